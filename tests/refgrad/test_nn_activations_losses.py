"""Activations in pieces, margins, likelihoods, distances and ctc: against torch, loops, and at
their kinks."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refgrad as rg
from refgrad import nn
from tests.refgrad.layers import CLASSES, POSITIVE3, UNIT, X3, X4, X, drawn

from .checks import close
from .torchs import Constant, agrees_with_torch, has_the_signature_of_torch

Y, Z = drawn((4, 3), seed=3), drawn((4, 3), seed=4)
SIGNS = np.where(drawn((4, 3), seed=5) > 0, 1, -1)
POSITIVE = drawn((4, 3), "positive", seed=6)
LABELS = np.array([[2, 0, -1], [1, -1, 0], [-1, 0, 1], [0, 1, 2]])
TRIPLET = X, Y, Z


@pytest.fixture
def rng():
    return np.random.default_rng(7)


CALLS = [
    *((name, (x,))
      for name in ("celu", "hardshrink", "hardswish", "hardtanh", "logsigmoid", "mish", "relu6",
                   "rrelu", "selu", "softshrink", "softsign", "tanhshrink")
      for x in (3 * X, X3, drawn(()))),
    ("glu", (X4,)), ("glu", (X, 0)), ("celu", (X, -0.5)), ("hardshrink", (X, 0.25)),
    ("softshrink", (X, 0.25)), ("hardtanh", (X, -0.25, 0.5)), ("threshold", (X, 0.25, -3)),
    ("rrelu", (X, 0.0, 0.5)), ("softmin", (X, 0)),
    ("prelu", (X, POSITIVE3)), ("prelu", (X3, drawn((1,)))), ("prelu", (drawn((3,)), drawn((1,)))),
    ("binary_cross_entropy", (UNIT, drawn((4, 3), "unit interval", seed=8))),
    ("binary_cross_entropy", (UNIT, drawn((4, 3), "unit interval", seed=8), Constant(POSITIVE3))),
    ("cosine_embedding_loss", (X, Y, SIGNS[:, 0])),
    ("cosine_embedding_loss", (X, Y, SIGNS[:, 0], -0.75)),
    ("cosine_embedding_loss", (X[0], Y[0], np.array(-1), -0.75)),
    ("gaussian_nll_loss", (X, Y, POSITIVE)), ("gaussian_nll_loss", (X, Y, POSITIVE[:, 0], True)),
    ("gaussian_nll_loss", (X, Y, POSITIVE[:, :1])), ("gaussian_nll_loss", (X, Y, 0.5)),
    ("hinge_embedding_loss", (X, SIGNS)), ("hinge_embedding_loss", (X, SIGNS, 0.25)),
    ("linear_cross_entropy", (X, drawn((5, 3)), CLASSES)),
    ("linear_cross_entropy", (X, drawn((5, 3)), CLASSES),
     {"linear_bias": drawn((5,)), "weight": Constant(drawn((5,), "positive")),
      "label_smoothing": 0.25, "ignore_index": 1}),
    ("linear_cross_entropy", (X, drawn((5, 2, 3)), np.stack([CLASSES, CLASSES[::-1]], 1))),
    ("margin_ranking_loss", (X, Y, SIGNS)), ("margin_ranking_loss", (X, Y, SIGNS, 0.5)),
    ("multi_margin_loss", (X, CLASSES)), ("multi_margin_loss", (X, CLASSES, 2, 0.5)),
    ("multi_margin_loss", (X, CLASSES), {"weight": Constant(POSITIVE3)}),
    ("multi_margin_loss", (X[0], np.array(2))),
    ("multilabel_margin_loss", (X, LABELS)), ("multilabel_margin_loss", (X[0], LABELS[0])),
    ("multilabel_soft_margin_loss", (X, UNIT)),
    ("multilabel_soft_margin_loss", (X, UNIT, POSITIVE3)),
    ("poisson_nll_loss", (X, POSITIVE)), ("poisson_nll_loss", (X, 2 * POSITIVE, True, True)),
    ("poisson_nll_loss", (POSITIVE, UNIT, False)), ("smooth_l1_loss", (X, Y)),
    ("smooth_l1_loss", (X, Y), {"beta": 0.25}), ("smooth_l1_loss", (X, Y), {"beta": 0}),
    ("soft_margin_loss", (X, SIGNS)), ("triplet_margin_loss", TRIPLET),
    ("triplet_margin_loss", (*TRIPLET, 3.0, 3)),
    ("triplet_margin_loss", TRIPLET, {"margin": 3.0, "swap": True}),
    ("triplet_margin_with_distance_loss", TRIPLET),
    ("triplet_margin_with_distance_loss", TRIPLET, {"margin": 3.0, "swap": True}),
]
MEASURES = [
    ("cosine_similarity", (X, Y)), ("cosine_similarity", (X, Y[0], -1)),
    ("cosine_similarity", (X3, X3[:1], 1, 0.5)),
    ("pairwise_distance", (X, Y)), ("pairwise_distance", (X, Y[0], 3.0)),
    ("pairwise_distance", (X, Y, 1.0, 0.5, True)), ("pairwise_distance", (X, Y, float("inf"))),
    *((name, (*x, p))
      for name, x in (("pdist", (X,)), ("cdist", (X, Y)), ("cdist", (X3[:, :2], X3)))
      for p in (0.0, 1.0, 1.5, 2.0, 3.0, float("inf"))),
]


def calls():
    for i, (name, args, *options) in enumerate([*CALLS, *MEASURES]):
        reductions = (("mean", "sum", "none") if name.endswith("_loss") or "entropy" in name
                      else (None,))
        for reduction in reductions:
            extra = {} if reduction is None else {"reduction": reduction}
            yield pytest.param(name, args, {**(options[0] if options else {}), **extra},
                               id=f"{name}-{i}-{reduction}")


@pytest.mark.parametrize("name, args, options", list(calls()))
def test_value_gradients_and_second_derivatives_are_those_of_torch(name, args, options, rng):
    agrees_with_torch(name, args, options, rng)


@pytest.mark.parametrize("name", sorted(
    {name for name, *_ in [*CALLS, *MEASURES]} | {"ctc_loss", "gumbel_softmax", "hardsigmoid"}))
def test_signatures_are_those_of_torch(name):
    has_the_signature_of_torch(name)


@pytest.mark.parametrize("name, options, at", [
    ("celu", {"alpha": 0.5}, 0.0), ("selu", {}, 0.0), ("hardtanh", {}, 1.0),
    ("hardtanh", {}, -1.0), ("relu6", {}, 0.0),
    ("relu6", {}, 6.0), ("hardsigmoid", {}, 3.0), ("hardsigmoid", {}, -3.0), ("hardswish", {}, 3.0),
    ("hardswish", {}, -3.0), ("hardshrink", {}, 0.5),
    ("hardshrink", {}, -0.5), ("softshrink", {}, 0.5),
    ("softshrink", {}, -0.5), ("threshold", {"threshold": 2.0, "value": 1.0}, 2.0),
    ("rrelu", {}, 0.0), ("softsign", {}, 0.0)])
def test_conventions_at_kinks_are_those_of_torch(name, options, at):
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    slope, = torch.autograd.grad(getattr(F, name)(x, **options), x)
    close(rg.grad(lambda x: getattr(nn, name)(x, **options))(np.array(at)), slope.item())


# Where torch is less exact, or of another opinion


def test_the_slope_of_hardsigmoid_is_a_sixth():
    """torch has 1/6 in float32, and celu's 1/alpha."""
    x = np.array([-4.0, -2.5, 0.5, 2.5, 4.0])
    value, slope = rg.vjp(nn.hardsigmoid, x)
    close(value, np.clip(x / 6 + 0.5, 0, 1))
    assert slope(np.ones(5))[0].tolist() == [0, 1 / 6, 1 / 6, 1 / 6, 0]
    close(rg.grad(lambda x: np.sum(nn.celu(x, 0.8)))(x), np.where(x > 0, 1, np.exp(x / 0.8)))


def test_hardswish_is_0_at_minus_infinity():
    with np.errstate(all="raise"):
        assert rg.value_and_grad(nn.hardswish)(np.array(-np.inf)) == (0, 0)


@pytest.mark.parametrize("x", [1e-8, -1e-4, 0.75, 1.999, 2.001, -30.0])
def test_tanhshrink_keeps_its_digits(x):
    flint = pytest.importorskip("flint")
    with flint.ctx.workprec(300):
        exact = float(flint.arb(x) - flint.arb(x).tanh())
    np.testing.assert_allclose(nn.tanhshrink(np.array(x)), exact, rtol=1e-15)


def test_certain_probabilities_have_a_loss_of_at_most_100():
    p, t = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    with np.errstate(all="raise"):
        value, slope = (
            rg.value_and_grad(lambda p: nn.binary_cross_entropy(p, t, reduction="sum"))(p))
    assert value == 200 and slope.tolist() == [0, 0, 1, -1]


def test_the_slope_of_a_small_probability_is_not_bounded():
    """torch divides by 1e-12 at least."""
    assert rg.grad(lambda p: nn.binary_cross_entropy(p, np.array(1.0)))(np.array(1e-20)) == -1e20


def test_a_vector_shorter_than_eps_is_divided_by_eps():
    """torch's slope still has the term of the norm that is not used."""
    a, b = np.array([1e-3, 2e-3]), np.array([3.0, 4.0])
    close(rg.grad(lambda a: nn.cosine_similarity(a, b, 0, 0.5))(a), b / 5 / 0.5)
    hessian = rg.hessian(lambda a: nn.cosine_similarity(a, b, 0, 0.5))
    assert np.all(hessian(np.zeros(2)) == 0) and np.all(hessian(a) == 0)


def test_a_variance_below_eps_has_slope_0():
    slope = rg.grad(lambda v: nn.gaussian_nll_loss(X, Y, v, eps=10.0))(POSITIVE)
    assert np.all(slope == 0)


@pytest.mark.parametrize("p", [1.5, 2, 3, float("inf")])
def test_equal_rows_have_distance_and_slope_0(p):
    value, pull = rg.vjp(lambda a, b: nn.cdist(a, b, p), X[:2], X[:2])
    assert value[0, 0] == 0
    for slope in pull(np.eye(2)):
        assert np.all(slope == 0)


# Random numbers


def test_random_slopes_and_noise_follow_their_generator():
    x = -np.ones(10_000)
    draw = lambda seed, dtype=float: nn.rrelu(x.astype(dtype), training=True,
                                              generator=np.random.default_rng(seed))
    np.testing.assert_array_equal(draw(3), draw(3))
    assert np.any(draw(3) != draw(4)) and draw(3, np.float32).dtype == np.float32
    assert (np.all((-1 / 3 <= draw(3)) & (draw(3) <= -1 / 8))
            and abs(np.mean(draw(3)) + 11 / 48) < 0.005)
    assert np.array_equal(nn.rrelu(-x, training=True, generator=np.random.default_rng(3)), -x)


def test_gumbel_softmax_draws_classes_by_their_probabilities():
    p = np.array([0.5, 0.3, 0.2])
    logits = np.tile(np.log(p), (40_000, 1))
    sample = lambda **options: nn.gumbel_softmax(logits, generator=np.random.default_rng(0),
                                                 **options)
    close(np.sum(sample(tau=0.5), -1), np.ones(40_000))
    hard = sample(hard=True)
    assert np.all(np.sort(hard, -1) == [0, 0, 1]) and np.max(np.abs(np.mean(hard, 0) - p)) < 0.01
    f = lambda hard: lambda x: np.sum(X * nn.gumbel_softmax(x, hard=hard,
                                                            generator=np.random.default_rng(1)))
    close(rg.grad(f(True))(X), rg.grad(f(False))(X))
    close(rg.jvp(f(True), (X,), (Y,))[1], rg.jvp(f(False), (X,), (Y,))[1])


# Connectionist temporal classification


def by_paths(x, target, blank):
    """The loss as a sum over all paths."""
    found = []
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        if [k for k, _ in itertools.groupby(path) if k != blank] == list(target):
            found.append(sum(x[t, k] for t, k in enumerate(path)))
    return -np.logaddexp.reduce(found) if found else np.inf


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1]], ids=len)
def test_ctc_sums_over_all_paths(target, blank):
    x, target = drawn((5, 3)), np.array(target, int)
    f = lambda x: nn.ctc_loss(x, target, np.array(5), np.array(len(target)), blank,
                              reduction="none")
    close(f(x), by_paths(x, target, blank))
    slope = rg.grad(f)(x)
    # At each time some state is occupied.
    close(np.sum(slope, axis=1), -np.ones(5) * (len(target) < 4))
    for i in np.ndindex(x.shape if len(target) < 4 else ()):
        if i:
            d = np.zeros_like(x)
            d[i] = 1e-5
            assert abs(slope[i] - (by_paths(x + d, target, blank)
                                   - by_paths(x - d, target, blank)) / 2e-5) < 1e-8


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("zero_infinity", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc_after_log_softmax_is_that_of_torch(reduction, zero_infinity, flat, rng):
    """The last but one sequence fits nowhere: torch's gradient is nan there, unless the loss is
    made 0."""
    x, targets = rng.standard_normal((7, 5, 4)), rng.integers(1, 4, (5, 3))
    targets[3] = 1
    lengths, sizes = np.array([7, 6, 3, 3, 5]), np.array([3, 2, 2, 3, 0])
    if flat:
        targets = np.concatenate([t[:n] for t, n in zip(targets, sizes)])
    f = lambda x: nn.ctc_loss(nn.log_softmax(x, -1), targets, lengths, sizes, 0, reduction,
                              zero_infinity)
    t = torch.tensor(x, requires_grad=True)
    y = F.ctc_loss(F.log_softmax(t, -1), *map(torch.tensor, (targets, lengths, sizes)), 0,
                   reduction, zero_infinity)
    close(f(x), y.detach().numpy())
    theirs, = torch.autograd.grad(y.sum(), t)
    fits = np.array([True, True, True, zero_infinity, True])
    close(rg.grad(lambda x: np.sum(f(x)))(x)[:, fits], theirs.numpy()[:, fits])


@pytest.mark.filterwarnings("error")
def test_ctc_of_impossible_classes():
    x = drawn((4, 3))
    x[1, 1], x[2, 0] = -np.inf, -np.inf
    for target in ([1], [1, 2], [2]):
        f = lambda x: nn.ctc_loss(x, np.array(target), (4,), (len(target),), reduction="sum")
        value, slope = rg.value_and_grad(f)(x)
        close(value, by_paths(np.maximum(x, -1e4), target, 0))
        assert slope[1, 1] == slope[2, 0] == 0 and np.all(np.isfinite(slope))


# What is refused


WRONG = [
    *((lambda f=f: f(X, inplace=True), TypeError, "inplace=True is not supported")
      for f in (nn.celu, nn.selu, nn.relu6, nn.rrelu, nn.hardtanh, nn.hardsigmoid, nn.hardswish,
                nn.mish)),
    (lambda: nn.celu(X, 0), ValueError, "celu: alpha is 0"),
    (lambda: nn.glu(X), ValueError, "glu: .*even number"),
    (lambda: nn.prelu(X, drawn((4,))), ValueError, r"prelu: weight has shape \(4,\); expected"),
    (lambda: nn.rrelu(X, training=True), TypeError, "rrelu: generator is NoneType.*default_rng"),
    (lambda: nn.rrelu(X, 1, 0), ValueError, "rrelu: lower is 1"),
    (lambda: nn.hardtanh(X, 1, 0), ValueError, "hardtanh: min_val is 1"),
    (lambda: nn.softshrink(X, -1), ValueError, "softshrink: lambd is -1"),
    (lambda: nn.gumbel_softmax(X), TypeError, "gumbel_softmax: generator is NoneType"),
    (lambda: nn.gumbel_softmax(X, 0), ValueError, "gumbel_softmax: tau is 0"),
    (lambda: nn.binary_cross_entropy(X, UNIT), ValueError,
     "binary_cross_entropy: input .*between 0 and 1"),
    (lambda: nn.gaussian_nll_loss(X, Y, POSITIVE3), ValueError,
     r"gaussian_nll_loss: var has shape \(3,\)"),
    (lambda: nn.gaussian_nll_loss(X, Y, -1.0), ValueError, "var holds a negative"),
    (lambda: nn.linear_cross_entropy(X, X.T, CLASSES), ValueError,
     r"linear_weight has shape \(3, 4\)"),
    (lambda: nn.linear_cross_entropy(X, X, UNIT, ignore_index=1), ValueError,
     "ignore_index is 1 for a target of"),
    (lambda: nn.smooth_l1_loss(X, Y, beta=-1), ValueError, "smooth_l1_loss: beta is -1"),
    (lambda: nn.margin_ranking_loss(X, Y[0], SIGNS), ValueError,
     r"input2 has shape \(3,\) and input1 has shape"),
    (lambda: nn.cosine_embedding_loss(X, Y, SIGNS), ValueError,
     r"target has shape \(4, 3\) and input1"),
    (lambda: nn.multi_margin_loss(X, CLASSES, 3), ValueError,
     "multi_margin_loss: p is 3; expected 1 or 2"),
    (lambda: nn.multi_margin_loss(X, CLASSES + 1), ValueError,
     "target holds the class 3; expected 0 <= class < 3"),
    (lambda: nn.multilabel_margin_loss(X, LABELS - 1), ValueError, "target holds the class -2"),
    (lambda: nn.multilabel_margin_loss(X, Y), TypeError,
     r"target is float64\[4,3\]; expected integers"),
    (lambda: nn.triplet_margin_loss(*TRIPLET, margin=0), ValueError,
     "triplet_margin_loss: margin is 0"),
    (lambda: nn.triplet_margin_loss(X, X, X[0]), ValueError,
     r"negative has shape \(3,\) and anchor has shape"),
    (lambda: nn.cosine_similarity(X, Y, 2), ValueError, "cosine_similarity: dim is 2"),
    (lambda: nn.pairwise_distance(X, X.T), ValueError, "expected shapes that broadcast"),
    (lambda: nn.pdist(X3), ValueError, r"pdist: input has shape \(2, 3, 4\); expected \(N, M\)"),
    (lambda: nn.pdist(X, -1), ValueError, "pdist: p is -1"),
    (lambda: nn.cdist(X, X3), ValueError, r"cdist: x1 has shape \(4, 3\) and x2 \(2, 3, 4\)"),
    (lambda: nn.cdist(X, X, compute_mode="mm"), ValueError, "cdist: compute_mode is 'mm'"),
    (lambda: nn.ctc_loss(X, [1], [5], [1]), ValueError,
     "input_lengths is .5.; expected lengths from 0 to 4"),
    (lambda: nn.ctc_loss(X, [3], [4], [1]), ValueError,
     "targets holds a class that is not from 0 to 2"),
    (lambda: nn.ctc_loss(X, [1], [4], [1], blank=3), ValueError, "ctc_loss: blank is 3"),
    (lambda: nn.ctc_loss(X3, [1], [2, 2, 2], [1, 1, 1]), ValueError, r"targets has shape \(1,\)"),
    (lambda: nn.ctc_loss(X3, [[1]], [2, 2], [1, 1, 1]), ValueError,
     r"input_lengths has shape \(2,\); expected \(3,\)"),
]


@pytest.mark.parametrize("call, error, message", WRONG, ids=[message for *_, message in WRONG])
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
