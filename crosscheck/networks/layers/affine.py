"""Affine maps, and how paths branch and join."""

import numpy as np

from ..builder import anywhere, features, layer


def weight(b, width):
    """A matrix from the current features to `width` new ones."""
    return b.parameter("weight", (width, b.shape[-1]), scale=1 / np.sqrt(b.shape[-1]))


def _width(b):
    """A new width, or one for which an earlier weight fits, so that it may be shared."""
    fitting = [a.shape[0] for k, a in b.arrays.items()
               if k.startswith("weight_") and len(a.shape) == 2 and a.shape[1:] == b.shape[-1:]]
    return int(b.rng.choice(fitting)) if fitting and b.chance(0.7) else b.width()


@layer("linear", "affine", fits=features)
def _(b):
    width = _width(b)
    b.call("linear", weight(b, width), b.parameter("bias", (width,), scale=0.5), layer="linear",
           shape=(*b.shape[:-1], width))


@layer("linear[no bias]", "affine", fits=features)
def _(b):
    width = _width(b)
    b.call("linear", weight(b, width), layer="linear[no bias]", shape=(*b.shape[:-1], width))


@layer("bilinear", "affine", fits=lambda b: features(b) and b.shape[-1] <= 16)
def _(b):
    n = b.shape[-1]
    width = min(b.width(), 8)
    matrices = b.parameter("weight", (width, n, n), scale=1 / n)
    bias = (b.parameter("bias", (width,), scale=0.5),) if b.chance(0.5) else ()
    b.call("bilinear", b.other(), matrices, *bias, layer="bilinear", shape=(*b.shape[:-1], width))


@layer("add[broadcast]", "affine")
def _(b):
    shapes = [(), (1,), b.shape[-1:], (1,) * (len(b.shape) - 1) + b.shape[-1:], b.shape[:-1] + (1,)]
    b.call("add", b.parameter("bias", b.one_of(*shapes), scale=0.5), layer="add[broadcast]")


@layer("residual", "join")
def _(b):
    skip = b.earlier(lambda shape: shape == b.shape)
    if skip:
        skip = skip[0]
    else:  # a path of its own: h + W h
        skip = b.h
        b.call("linear", weight(b, b.shape[-1]), layer=None)
    b.call("add", skip, layer="residual")


@layer("concatenate", "join", fits=lambda b: anywhere(b) and b.shape[1 if b.channels else -1] <= 8)
def _(b):
    """Features, or channels: then a skip of a U-shaped net, from before to after what was
    between."""
    axis = 1 if b.channels else -1
    axis %= len(b.shape)
    alike = b.earlier(lambda shape: len(shape) == len(b.shape) and all(
        n == m for k, (n, m) in enumerate(zip(shape, b.shape)) if k != axis) and shape[axis] <= 8)
    other, shape = alike or (b.h, b.shape)
    total = [*b.shape]
    total[axis] += shape[axis]
    b.call("concatenate", other, layer="concatenate", shape=total, axis=axis)


@layer("cdist", "distance", fits=lambda b: features(b) and len(b.shape) == 2)
def _(b):
    count = b.width()
    b.call("cdist", b.parameter("prototype", (count, b.shape[-1])), layer="cdist",
           shape=(b.shape[0], count), p=b.one_of(2.0, 1.0, 3.0))


@layer("pairwise_distance", "distance")
def _(b):
    b.call("pairwise_distance", b.other(), layer="pairwise_distance", shape=(*b.shape[:-1], 1),
           keepdim=True, p=b.one_of(2.0, 3.0))


@layer("cosine_similarity", "distance", fits=lambda b: features(b) and len(b.shape) == 3)
def _(b):
    b.call("cosine_similarity", b.other(), layer="cosine_similarity", shape=b.shape[1:], dim=0)
