"""Normalization and dropout."""

import numpy as np

from ..builder import anywhere, layer, space


def _affine(b, shape, probability=0.8):
    """Weight and bias, or None for both."""
    if not b.chance(probability):
        return None, None
    return b.parameter("weight", shape), b.parameter("bias", shape, scale=0.5)


@layer("layer_norm", "norm")
def _(b):
    shape = b.shape[-1:] if b.chance(0.7) else b.shape[1:]
    weight, bias = _affine(b, shape, 1.0)
    b.call("layer_norm", layer="layer_norm", normalized_shape=shape,
           named={"weight": weight, "bias": bias})


@layer("rms_norm", "norm")
def _(b):
    shape = b.shape[-1:] if b.chance(0.7) else b.shape[1:]
    named = {"weight": b.parameter("weight", shape)} if b.chance(0.8) else {}
    b.call("rms_norm", layer="rms_norm", normalized_shape=shape, named=named,
           eps=b.one_of(1e-5, 0.5))


@layer("batch_norm", "norm", fits=lambda b: anywhere(b) and np.prod(b.shape) > b.shape[1])
def _(b):
    b.call("batch_norm", None, None, *_affine(b, b.shape[1:2]), layer="batch_norm", training=True)


def _statistics(b):
    """Running mean and variance, given."""
    shape = b.shape[1:2]
    return b.constant("running", shape, scale=0.5), b.constant("running", shape, law="positive")


@layer("batch_norm[eval]", "norm")
def _(b):
    b.call("batch_norm", *_statistics(b), *_affine(b, b.shape[1:2]), layer="batch_norm[eval]",
           training=False)


@layer("group_norm", "norm", fits=lambda b: anywhere(b) and np.prod(b.shape[1:]) > 1)
def _(b):
    groups = [n for n in range(1, b.shape[1] + 1)
              if b.shape[1] % n == 0 and np.prod(b.shape[1:]) > n]
    weight, bias = _affine(b, b.shape[1:2])
    b.call("group_norm", layer="group_norm", num_groups=b.one_of(*groups),
           named={"weight": weight, "bias": bias} if weight else {})


@layer("instance_norm", "norm", fits=lambda b: space(1, 2, 3)(b) and np.prod(b.shape[2:]) > 1)
def _(b):
    weight, bias = _affine(b, b.shape[1:2])
    b.call("instance_norm", layer="instance_norm",
           named={"weight": weight, "bias": bias} if weight else {})


@layer("local_response_norm", "norm", fits=lambda b: anywhere(b) and len(b.shape) > 2)
def _(b):
    b.call("local_response_norm", layer="local_response_norm", size=b.one_of(2, 3),
           alpha=b.one_of(0.5, 1e-4), k=b.one_of(1.0, 2.0))


@layer("normalize", "norm")
def _(b):
    b.call("normalize", layer="normalize", p=b.one_of(2.0, 3.0), dim=b.one_of(1, -1))


def _dropout(name, fits):
    """`seed` is that of the generator that refgrad draws from; other libraries get its mask."""
    @layer(name, "dropout", fits=fits)
    def _(b):
        b.call(name, layer=name, p=b.one_of(0.25, 0.5), seed=int(b.rng.integers(2**32)))


_dropout("dropout", anywhere)
_dropout("alpha_dropout", anywhere)
_dropout("feature_alpha_dropout", lambda b: anywhere(b) and len(b.shape) > 2)
_dropout("dropout1d", space(1))
_dropout("dropout2d", space(2))
_dropout("dropout3d", space(3))
