"""Activations, entry by entry or along an axis."""

from ..builder import anywhere, layer


def _elementwise(name, **choices):
    """An activation; with probability 0.6 each option takes one of its choices."""
    @layer(name, "activation")
    def _(b):
        options = {k: b.one_of(*few) for k, few in choices.items()} if b.chance(0.6) else {}
        b.call(name, layer=name, **options)


_elementwise("relu")
_elementwise("leaky_relu", negative_slope=(0.25, 0.125))
_elementwise("elu", alpha=(0.5, 2.0))
_elementwise("celu", alpha=(0.5, 2.0))
_elementwise("selu")
_elementwise("relu6")
_elementwise("rrelu", lower=(0.125,), upper=(0.25, 0.5))
_elementwise("hardtanh", min_val=(-0.5, -2.0), max_val=(0.5, 2.0))
_elementwise("hardsigmoid")
_elementwise("hardswish")
_elementwise("hardshrink", lambd=(0.25, 0.125))
_elementwise("softshrink", lambd=(0.25, 0.125))
_elementwise("tanhshrink")
_elementwise("softsign")
_elementwise("sigmoid")
_elementwise("logsigmoid")
_elementwise("tanh")
_elementwise("softplus", beta=(0.5, 2.0))
_elementwise("silu")
_elementwise("mish")
_elementwise("gelu")


@layer("gelu[tanh]", "activation")
def _(b):
    b.call("gelu", layer="gelu[tanh]", approximate="tanh")


@layer("threshold", "activation")
def _(b):
    b.call("threshold", layer="threshold", threshold=b.one_of(0.25, -0.5),
           value=b.one_of(-1.0, 0.5))


@layer("prelu", "activation")
def _(b):
    count = b.shape[1] if b.chance(0.5) else 1
    b.call("prelu", b.parameter("slope", (count,), scale=0.25), layer="prelu")


@layer("glu", "activation", fits=lambda b: anywhere(b) and any(n % 2 == 0 for n in b.shape[1:]))
def _(b):
    dim = b.one_of(*(k for k in range(1, len(b.shape)) if b.shape[k] % 2 == 0))
    shape = [n // 2 if k == dim else n for k, n in enumerate(b.shape)]
    b.call("glu", layer="glu", shape=shape, dim=dim)


def _several(b):
    """The axes with several entries: the softmax of a single one is constant."""
    return [k for k in range(1, len(b.shape)) if b.shape[k] > 1]


for _name in ("softmax", "softmin", "log_softmax"):
    @layer(_name, "softmax", fits=lambda b: anywhere(b) and _several(b))
    def _(b, name=_name):
        b.call(name, layer=name, dim=b.one_of(*_several(b)))
