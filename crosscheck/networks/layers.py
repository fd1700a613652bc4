"""The vocabulary of random networks: every layer and loss, and how one is drawn.

Each entry builds its call on a `Builder`: it draws options, declares the arrays that it needs and appends a call in the
names and signatures of torch.nn.functional.  A new layer needs one function here, and the draw, the coverage tables and
the report know it.
"""

from __future__ import annotations

import numpy as np

from .network import Array, Call, Network

#: name -> function of a Builder that appends the layer; `fits` says whether it can stand at the builder's shape.
LAYERS: dict = {}
LOSSES: dict = {}
FITS: dict = {}


class Builder:
    """A network under construction: the current result `h` with its shape, and what has been declared so far."""

    def __init__(self, rng, widths, batch, trailing, input_scale):
        self.rng, self.widths = rng, widths
        self.arrays, self.calls, self.seen = {}, [], []
        shape = (batch, *trailing, self.width())
        self.h = self.array("x", shape, role="input", scale=input_scale)
        self.shape = shape

    def width(self):
        return int(self.rng.choice(self.widths))

    def chance(self, p):
        return bool(self.rng.random() < p)

    def array(self, name, shape, role="parameter", **law):
        """Declare an array under a name of its own."""
        number = sum(a.split("_")[0] == name for a in self.arrays)
        name = f"{name}_{number}" if name != "x" else "x"
        self.arrays[name] = Array(tuple(int(n) for n in shape), role, seed=int(self.rng.integers(2**32)), **law)
        return name

    def parameter(self, name, shape, scale=1.0, law="normal"):
        """A trained array: now and then a thousand times smaller or larger than usual, or shared with another layer."""
        like = [k for k, a in self.arrays.items()
                if k.split("_")[0] == name and a.role == "parameter" and a.shape == tuple(shape)]
        if like and self.chance(0.5):
            return str(self.rng.choice(like))
        usual = 0.9 > self.rng.random()
        factor = 1.0 if usual else float(10.0 ** self.rng.uniform(-3, 3))
        return self.array(name, shape, scale=float(scale) * factor, law=law)

    def constant(self, name, shape, **law):
        return self.array(name, shape, role="constant", **law)

    def call(self, function, *others, layer, shape=None, named=None, **options):
        """Append ``h = function(h, *others, ...)``."""
        self.append(function, (self.h, *others), layer, shape, named, options)

    def append(self, function, arguments, layer, shape=None, named=None, options=None):
        self.seen.append((self.h, self.shape))
        result = f"h{len(self.calls) + 1}"
        self.calls.append(Call(function, tuple(arguments), result, options or {}, named or {}, layer))
        self.h = result
        self.shape = self.shape if shape is None else tuple(shape)

    def earlier(self, fits):
        """An earlier result whose shape fits, or None."""
        found = [name for name, shape in self.seen if fits(shape)]
        return str(self.rng.choice(found)) if found else None

    def network(self, id, depth):
        return Network(id, self.arrays, tuple(self.calls), depth)


def _kind(table):
    def named(name, fits=lambda b: True):
        def register(build):
            table[name], FITS[name] = build, fits
            return build
        return register
    return named


layer, loss = _kind(LAYERS), _kind(LOSSES)


# Affine maps, and how paths branch and join


def _weight(b, width):
    return b.parameter("weight", (width, b.shape[-1]), scale=1 / np.sqrt(b.shape[-1]))


def _width(b):
    """A new width, or one for which an earlier weight fits, so that it may be shared."""
    fitting = [a.shape[0] for k, a in b.arrays.items() if k.startswith("weight_") and a.shape[1:] == b.shape[-1:]]
    return int(b.rng.choice(fitting)) if fitting and b.chance(0.7) else b.width()


@layer("linear")
def _(b):
    width = _width(b)
    b.call("linear", _weight(b, width), b.parameter("bias", (width,), scale=0.5), layer="linear",
           shape=(*b.shape[:-1], width))


@layer("linear[no bias]")
def _(b):
    width = _width(b)
    b.call("linear", _weight(b, width), layer="linear[no bias]", shape=(*b.shape[:-1], width))


@layer("add[broadcast]")
def _(b):
    shapes = [(), (1,), b.shape[-1:], (1,) * (len(b.shape) - 1) + b.shape[-1:], b.shape[:-1] + (1,)]
    shape = shapes[b.rng.integers(len(shapes))]
    b.call("add", b.parameter("bias", shape, scale=0.5), layer="add[broadcast]")


@layer("residual")
def _(b):
    skip = b.earlier(lambda shape: shape == b.shape)
    if skip is None:  # a path of its own: h + W h
        skip = b.h
        b.call("linear", _weight(b, b.shape[-1]), layer=None)
    b.call("add", skip, layer="residual")


@layer("concatenate", fits=lambda b: b.shape[-1] <= 32)
def _(b):
    other = b.earlier(lambda shape: shape == b.shape) or b.h
    b.call("concatenate", other, layer="concatenate", shape=(*b.shape[:-1], 2 * b.shape[-1]))


# Elementwise


def _elementwise(name, function, **draws):
    """`draws` maps an option to a function of the random generator."""
    @layer(name)
    def _(b):
        options = {k: draw(b.rng) for k, draw in draws.items()} if b.chance(0.6) else {}
        b.call(function, layer=name, **options)


_elementwise("relu", "relu")
_elementwise("leaky_relu", "leaky_relu", negative_slope=lambda rng: float(rng.choice([0.25, 0.125])))
_elementwise("elu", "elu", alpha=lambda rng: float(rng.choice([0.5, 2.0])))
_elementwise("sigmoid", "sigmoid")
_elementwise("tanh", "tanh")
_elementwise("softplus", "softplus", beta=lambda rng: float(rng.choice([0.5, 2.0])))
_elementwise("silu", "silu")
_elementwise("gelu", "gelu")


@layer("gelu[tanh]")
def _(b):
    b.call("gelu", layer="gelu[tanh]", approximate="tanh")


@layer("dropout")
def _(b):
    b.call("dropout", layer="dropout", p=float(b.rng.choice([0.25, 0.5])), seed=int(b.rng.integers(2**32)))


# Along an axis


def _several(b):
    """The axes with several entries: the softmax of a single one is constant."""
    return [k for k in range(1, len(b.shape)) if b.shape[k] > 1]


def _along_an_axis(name):
    @layer(name, fits=_several)
    def _(b):
        b.call(name, layer=name, dim=int(b.rng.choice(_several(b))))


_along_an_axis("softmax")
_along_an_axis("log_softmax")


@layer("layer_norm")
def _(b):
    shape = b.shape[-1:] if b.chance(0.7) else b.shape[1:]
    weight, bias = b.parameter("weight", shape), b.parameter("bias", shape, scale=0.5)
    b.call("layer_norm", layer="layer_norm", normalized_shape=shape, named={"weight": weight, "bias": bias})


def _affine(b):
    if not b.chance(0.8):
        return None, None
    return b.parameter("weight", b.shape[1:2]), b.parameter("bias", b.shape[1:2], scale=0.5)


@layer("batch_norm", fits=lambda b: np.prod(b.shape) > b.shape[1])
def _(b):
    b.call("batch_norm", None, None, *_affine(b), layer="batch_norm", training=True)


@layer("batch_norm[eval]")
def _(b):
    mean = b.constant("running", b.shape[1:2], scale=0.5)
    var = b.constant("running", b.shape[1:2], law="positive")
    b.call("batch_norm", mean, var, *_affine(b), layer="batch_norm[eval]", training=False)


# Losses


def _reduced(b, function, *others, layer, reductions=("mean", "sum", "none"), named=None, **options):
    """A loss with any reduction; what is left unreduced is averaged."""
    reduction = str(b.rng.choice(reductions))
    b.call(function, *others, layer=layer, shape=(), named=named, reduction=reduction, **options)
    if reduction == "none":
        b.call("mean", layer=None)


def _classes(b):
    """Targets and class weights for logits of shape (N, C, ...)."""
    n, classes, *rest = b.shape
    named = {"weight": b.constant("weights", (classes,), law="positive")} if b.chance(0.5) else {}
    return b.constant("target", (n, *rest), law="classes", scale=float(classes)), named


@loss("cross_entropy")
def _(b):
    target, named = _classes(b)
    options = {"label_smoothing": 0.125} if b.chance(0.5) else {}
    _reduced(b, "cross_entropy", target, layer="cross_entropy", named=named, **options)


@loss("cross_entropy[probabilities]")
def _(b):
    target = b.constant("target", b.shape, law="probabilities", axis=1)
    options = {"label_smoothing": 0.125} if b.chance(0.3) else {}
    _reduced(b, "cross_entropy", target, layer="cross_entropy[probabilities]", **options)


@loss("nll_loss")
def _(b):
    target, named = _classes(b)
    _reduced(b, "nll_loss", target, layer="nll_loss", named=named)


@loss("binary_cross_entropy_with_logits")
def _(b):
    named = {"pos_weight": b.constant("weights", b.shape[-1:], law="positive")} if b.chance(0.4) else {}
    _reduced(b, "binary_cross_entropy_with_logits", b.constant("target", b.shape, law="unit"), named=named,
             layer="binary_cross_entropy_with_logits")


@loss("kl_div")
def _(b):
    _reduced(b, "kl_div", b.constant("target", b.shape, law="probabilities"), layer="kl_div",
             reductions=("mean", "sum", "none", "batchmean"))


def _regression(name, **options):
    @loss(name)
    def _(b):
        _reduced(b, name, b.constant("target", b.shape), layer=name, **options)


_regression("mse_loss")
_regression("l1_loss")
_regression("huber_loss", delta=0.75)


def penalize(b):
    """Add the L2 penalty of a few parameters to the loss."""
    parameters = [name for name, a in b.arrays.items() if a.role == "parameter"]
    if not parameters:
        return
    chosen = b.rng.choice(parameters, size=min(3, len(parameters)), replace=False)
    value = b.h
    b.append("l2_penalty", sorted(map(str, chosen)), "l2_penalty", shape=(), options={"weight_decay": 0.0625})
    b.append("add", (value, b.h), None, shape=())
