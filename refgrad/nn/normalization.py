"""Normalisation: subtract the mean, divide by the standard deviation, scale and shift.

One mathematics for batch and layer norm; they differ in the axes over which the mean is taken, and in the axes of the
weight.  With n entries under each mean, c = x - mean x, s^2 = mean c^2 + eps and z = c / s:

    y = w . z + b
    ds = <c, dc> / (n s) = mean(z . dc),   mean(z . dc) = mean(z . dx)   because mean z = 0
    dz = dc / s - c ds / s^2 = (dx - mean dx - z mean(z . dx)) / s = P dx / s
    P is symmetric: <h, P dx> = <h, dx> - <mean h, dx> - <z mean(z . h), dx> = <P h, dx>

    dy = dw . z + w . dz + db
    <g, w . dz> = <w . g, P dx / s> = <P(w . g) / s, dx>      so  g_x = P(w . g) / s
    <g, dw . z> = <g . z, dw>                                 so  g_w = g . z, summed over the axes that w lacks
    <g, db>                                                   so  g_b = g, summed likewise
"""

import math

import numpy as np

from ..cases import FOURTH, Case, Fixed
from ..primitive import declare, in_dtype_of, widened
from ..rules.reductions import count, mean
from .arguments import expected, plain, shape_of


def _inverse_size(c, axes, eps):
    """1 / s; of entries whose squares overflow by those of c / m, with a power of two m."""
    with np.errstate(over="ignore"):
        s = np.sqrt(mean(c * c, axes) + eps)
    r = 1 / s
    if not r.all():
        large = s == np.inf
        shift = np.where(large, np.frexp(np.max(np.abs(c), axis=axes, keepdims=True))[1], 0)
        variance = np.mean(np.square(np.ldexp(c, -shift)), axis=axes, keepdims=True) + np.ldexp(eps, -2 * shift)
        r = 1 / np.ldexp(np.sqrt(variance), shift).astype(c.dtype)
    return r


inverse_size = declare(
    None, """r = 1 / s,  s^2 = mean c^2 + eps:  s ds = mean(c . dc),  dr = -r^2 ds = -r^2 mean(r c . dc)
    <g, -r^2 mean(r c . dc)> = <-g r^2 . r c / n, dc>""", name="inverse_size", forward=_inverse_size,
    takes="c axes eps -> r", stacked=True, turns=True,
    formula=lambda c, axes, eps: 1 / np.sqrt(np.mean(c * c, axis=axes, keepdims=True) + eps),
    jvp=(lambda v, r, c, axes: -r * r * np.mean(r * c * v, axis=axes, keepdims=True),),
    vjp=(lambda g, r, c, axes: -g * r * r * (r * c) / count(c, axes),), cases=[Case((3, 4), axes=(-1,), eps=1e-5)])


def _standardized(x, w, b, axes, eps):
    """z and 1 / s."""
    x = widened(x)
    c = x - mean(x, axes)
    r = inverse_size(c, axes=axes, eps=eps)
    return c * r, r


def _scaled(x, w):
    return x if w is None else x * w


def _forward(kept, x, w, b, axes, eps):
    y = _scaled(kept[0], w)
    y = y if b is None else y + b
    return y if x.dtype != np.float16 else y.astype(np.result_type(*(a.dtype for a in (x, w, b) if a is not None)))


def _project(h, kept, axes):
    """P h / s"""
    z, r = kept
    return r * (h - mean(h, axes) - z * mean(z * h, axes))


def _norm(name, cases):
    return declare(
        None, __doc__, name=name, keep=_standardized, forward=_forward, stacked=True, cases=cases,
        jvp=(lambda v, kept, w, axes: _scaled(_project(v, kept, axes), w),
             lambda v, kept: v * kept[0], lambda v: v),
        vjp=(lambda g, kept, w, axes: _project(_scaled(g, w), kept, axes),
             lambda g, kept: g * kept[0], lambda g: g))


_layer_norm = _norm("layer_norm", [
    Case((3, 4), (4,), (4,), axes=(-1,), eps=1e-5, scales=FOURTH),
    Case((2, 3, 4), (3, 4), Fixed(None), axes=(-2, -1), eps=0.5, scales=FOURTH),
    Case((1, 5), Fixed(None), (5,), axes=(-1,), eps=1e-5), Case((4,), Fixed(None), Fixed(None), axes=(-1,), eps=0.25)])
_batch_norm = _norm("batch_norm", [
    Case((5, 3), (3,), (3,), axes=(-2,), eps=1e-5, scales=FOURTH),
    Case((2, 3, 4), (3, 1), Fixed(None), axes=(-3, -1), eps=0.5, scales=FOURTH),
    Case((2, 3, 2, 2), (3, 1, 1), (3, 1, 1), axes=(-4, -2, -1), eps=1e-5, scales=FOURTH),
    Case((4, 1), Fixed(None), Fixed(None), axes=(-2,), eps=0.25)])


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """Each sample with mean 0 and variance 1 over its last axes, then times weight plus bias.

    Ba, Kiros and Hinton (2016).

    input             (*, *normalized_shape)
    normalized_shape  the last axes, over which the mean is taken
    weight, bias      of shape normalized_shape, or None
    eps               added to the (biased) variance
    Returns the input's shape.
    Raises ValueError for shapes that do not match.  As torch.nn.functional.layer_norm.
    """
    shape = shape_of("layer_norm", "input", input)
    last = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not last or shape[-len(last):] != last:
        raise expected("layer_norm", "normalized_shape", normalized_shape,
                       f"the last axes of input, which has shape {shape}")
    for argument, x in (("weight", weight), ("bias", bias)):
        if x is not None and shape_of("layer_norm", argument, x) != last:
            raise ValueError(f"layer_norm: {argument} has shape {x.shape}; expected normalized_shape, {last}")
    return _layer_norm(input, weight, bias, axes=tuple(range(-len(last), 0)), eps=plain("layer_norm", "eps", eps))


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05):
    """Each channel with mean 0 and variance 1 over the batch, then times weight plus bias.  Ioffe and Szegedy (2015).

    input                      (N, C, *)
    running_mean, running_var  (C,): the mean and variance to use when not training.  In training pass None: they are
                               not overwritten here; `running_statistics` computes the new ones
    weight, bias               (C,), or None
    momentum                   belongs to `running_statistics`; accepted for torch's signature
    eps                        added to the variance, which in training is the biased one of the batch
    Returns the input's shape.
    Raises ValueError for shapes that do not match, for running statistics in training, for none otherwise, and in
    training for a single value in each channel.  As torch.nn.functional.batch_norm.
    """
    shape = _channels("batch_norm", input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    eps = plain("batch_norm", "eps", eps)
    w, b = _per_channel(weight, shape), _per_channel(bias, shape)
    if training:
        if running_mean is not None or running_var is not None:
            raise ValueError("batch_norm: running statistics are given with training=True, where torch overwrites "
                             "them, and refgrad overwrites nothing. Pass None for both, and compute the new ones with "
                             "running_mean, running_var = running_statistics(input, running_mean, running_var)")
        _count("batch_norm", shape)
        return _batch_norm(input, w, b, axes=_all_but_channels(shape), eps=eps)
    if running_mean is None or running_var is None:
        missing = "running_mean" if running_mean is None else "running_var"
        raise expected("batch_norm", missing, "None", f"an array of shape ({shape[1]},) when training=False")
    y = _scaled((input - _per_channel(running_mean, shape)) * _per_channel(1 / np.sqrt(running_var + eps), shape), w)
    return y if b is None else y + b


def running_statistics(input, running_mean, running_var, momentum=0.1):
    """The running mean and variance after one more batch: (new_mean, new_var), each new = old + momentum (batch - old).

    input                      (N, C, *)
    running_mean, running_var  (C,)
    The batch's variance is the unbiased one, with n - 1 in the denominator, as in torch.
    Raises ValueError for shapes that do not match and for a single value in each channel.
    """
    shape = _channels("running_statistics", input, running_mean=running_mean, running_var=running_var)
    for argument, x in (("running_mean", running_mean), ("running_var", running_var)):
        if x is None:
            raise expected("running_statistics", argument, "None", f"an array of shape ({shape[1]},)")
    momentum = plain("running_statistics", "momentum", momentum)
    n, axes = _count("running_statistics", shape), _all_but_channels(shape)
    mean = np.mean(input, axis=axes, keepdims=True)
    c = widened(input) - mean
    mean, var = np.reshape(mean, (shape[1],)), in_dtype_of(input, np.sum(c * c, axis=axes) / (n - 1))
    return running_mean + momentum * (mean - running_mean), running_var + momentum * (var - running_var)


def _channels(function, input, **others):
    """The input's shape (N, C, *), after checking that the others are None or (C,)."""
    shape = shape_of(function, "input", input)
    if len(shape) < 2:
        raise ValueError(f"{function}: input has shape {shape}; expected (N, C, *)")
    for argument, x in others.items():
        if x is not None and shape_of(function, argument, x) != shape[1:2]:
            raise ValueError(f"{function}: {argument} has shape {x.shape}; expected ({shape[1]},), one number for each "
                             f"channel of an input of shape {shape}")
    return shape


def _per_channel(x, shape):
    """(C,) as (C, 1, ...), so that it broadcasts against (N, C, *)."""
    return x if x is None or len(shape) == 2 else np.reshape(x, (shape[1],) + (1,) * (len(shape) - 2))


def _count(function, shape):
    """How many values each channel has."""
    n = math.prod(shape) // shape[1] if shape[1] else 0
    if n == 1:
        raise ValueError(f"{function}: input has shape {shape}, a single value in each channel; expected more than "
                         f"one, of which a variance can be taken")
    return n


def _all_but_channels(shape):
    n = len(shape)
    return (-n, *range(2 - n, 0))
