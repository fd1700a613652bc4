"""Losses: each makes a scalar of the current result."""

from ..builder import features, loss
from .affine import weight


def _reduced(b, function, *others, layer, reductions=("mean", "sum", "none"), named=None,
             **options):
    """A loss with any reduction; what is left unreduced is averaged."""
    reduction = b.one_of(*reductions)
    b.call(function, *others, layer=layer, shape=(), named=named, reduction=reduction, **options)
    if reduction == "none":
        b.call("mean", layer=None)


# Of classes


def _classes(b):
    """Targets and class weights for logits of shape (N, C, ...)."""
    n, classes, *rest = b.shape
    named = {"weight": b.constant("weights", (classes,), law="positive")} if b.chance(0.5) else {}
    return b.constant("target", (n, *rest), law="classes", scale=float(classes)), named


@loss("cross_entropy", "classification")
def _(b):
    target, named = _classes(b)
    options = {"label_smoothing": 0.125} if b.chance(0.5) else {}
    _reduced(b, "cross_entropy", target, layer="cross_entropy", named=named, **options)


@loss("cross_entropy[probabilities]", "classification")
def _(b):
    target = b.constant("target", b.shape, law="probabilities", axis=1)
    options = {"label_smoothing": 0.125} if b.chance(0.3) else {}
    _reduced(b, "cross_entropy", target, layer="cross_entropy[probabilities]", **options)


def _matrix(b):
    return features(b) and len(b.shape) == 2


@loss("linear_cross_entropy", "classification", fits=_matrix)
def _(b):
    classes = b.width()
    target = b.constant("target", b.shape[:1], law="classes", scale=float(classes))
    _reduced(b, "linear_cross_entropy", weight(b, classes), target, layer="linear_cross_entropy",
             reductions=("mean", "sum"))


@loss("nll_loss", "classification")
def _(b):
    target, named = _classes(b)
    _reduced(b, "nll_loss", target, layer="nll_loss", named=named)


@loss("multi_margin_loss", "classification", fits=_matrix)
def _(b):
    target, named = _classes(b)
    _reduced(b, "multi_margin_loss", target, layer="multi_margin_loss", named=named,
             p=b.one_of(1, 2))


@loss("multilabel_margin_loss", "classification", fits=_matrix)
def _(b):
    target = b.constant("target", b.shape, law="labels")
    _reduced(b, "multilabel_margin_loss", target, layer="multilabel_margin_loss")


@loss("multilabel_soft_margin_loss", "classification", fits=_matrix)
def _(b):
    target = b.constant("target", b.shape, law="unit")
    _reduced(b, "multilabel_soft_margin_loss", target, layer="multilabel_soft_margin_loss")


@loss("ctc_loss", "classification", fits=lambda b: features(b) and len(b.shape) == 3
      and b.shape[2] > 1)
def _(b):
    """Of log probabilities (T, N, C); the last class is the blank."""
    steps, samples, classes = b.shape
    longest = (steps + 1) // 2  # so that repeated labels, with a blank between, have room
    target = b.constant("target", (samples, longest), law="classes", scale=float(classes - 1))
    b.call("log_softmax", layer=None, dim=-1)
    _reduced(b, "ctc_loss", target, layer="ctc_loss", input_lengths=(steps,) * samples,
             target_lengths=(longest,) * samples, blank=classes - 1)


@loss("kl_div", "classification")
def _(b):
    _reduced(b, "kl_div", b.constant("target", b.shape, law="probabilities"), layer="kl_div",
             reductions=("batchmean", "batchmean", "mean", "sum", "none"))


@loss("binary_cross_entropy_with_logits", "classification")
def _(b):
    named = {"pos_weight": b.constant("weights", b.shape[-1:], law="positive")} if b.chance(0.4) \
        else {}
    _reduced(b, "binary_cross_entropy_with_logits", b.constant("target", b.shape, law="unit"),
             named=named, layer="binary_cross_entropy_with_logits")


@loss("binary_cross_entropy", "classification")
def _(b):
    """Of probabilities, which a sigmoid gives."""
    b.call("sigmoid", layer=None)
    named = {"weight": b.constant("weights", b.shape[-1:], law="positive")} if b.chance(0.4) else {}
    _reduced(b, "binary_cross_entropy", b.constant("target", b.shape, law="unit"), named=named,
             layer="binary_cross_entropy")


@loss("soft_margin_loss", "classification")
def _(b):
    _reduced(b, "soft_margin_loss", b.constant("target", b.shape, law="signs"),
             layer="soft_margin_loss")


@loss("hinge_embedding_loss", "classification")
def _(b):
    _reduced(b, "hinge_embedding_loss", b.constant("target", b.shape, law="signs"),
             layer="hinge_embedding_loss", margin=b.one_of(1.0, 0.5))


# Of numbers


def _regression(name, law="normal", **choices):
    @loss(name, "regression")
    def _(b):
        options = {k: b.one_of(*few) for k, few in choices.items()}
        _reduced(b, name, b.constant("target", b.shape, law=law), layer=name, **options)


_regression("mse_loss")
_regression("l1_loss")
_regression("huber_loss", delta=(0.75,))
_regression("smooth_l1_loss", beta=(0.75, 1.0))
_regression("poisson_nll_loss", law="positive", log_input=(True,), full=(True, False))


@loss("gaussian_nll_loss", "regression")
def _(b):
    """Of a mean and a variance: softplus of another result."""
    target = b.constant("target", b.shape)
    variance = b.beside("softplus", (b.other(),))
    _reduced(b, "gaussian_nll_loss", target, variance, layer="gaussian_nll_loss",
             full=b.chance(0.5))


# Of pairs and triples


@loss("cosine_embedding_loss", "pairs", fits=_matrix)
def _(b):
    target = b.constant("target", b.shape[:1], law="signs")
    _reduced(b, "cosine_embedding_loss", b.other(), target, layer="cosine_embedding_loss",
             margin=b.one_of(0.0, 0.25))


@loss("margin_ranking_loss", "pairs")
def _(b):
    target = b.constant("target", b.shape, law="signs")
    _reduced(b, "margin_ranking_loss", b.other(), target, layer="margin_ranking_loss",
             margin=b.one_of(0.25, 0.5))


@loss("triplet_margin_loss", "pairs", fits=_matrix)
def _(b):
    _reduced(b, "triplet_margin_loss", b.other(), b.constant("negative", b.shape),
             layer="triplet_margin_loss", p=b.one_of(2.0, 3.0), swap=b.chance(0.5))


@loss("triplet_margin_with_distance_loss", "pairs", fits=_matrix)
def _(b):
    _reduced(b, "triplet_margin_with_distance_loss", b.other(), b.constant("negative", b.shape),
             layer="triplet_margin_with_distance_loss", margin=b.one_of(1.0, 0.5),
             swap=b.chance(0.5))


@loss("pdist", "pairs", fits=lambda b: _matrix(b) and b.shape[0] > 1)
def _(b):
    b.call("pdist", layer="pdist", shape=(), p=b.one_of(2.0, 3.0))
    b.call("mean", layer=None)


def penalize(b):
    """Add the L2 penalty of a few parameters to the loss."""
    parameters = [name for name, a in b.arrays.items() if a.role == "parameter"]
    if not parameters:
        return
    chosen = b.rng.choice(parameters, size=min(3, len(parameters)), replace=False)
    value = b.h
    b.append("l2_penalty", sorted(map(str, chosen)), "l2_penalty", shape=(),
             options={"weight_decay": 0.0625})
    b.append("add", (value, b.h), None, shape=())
