"""Normalisation: subtract the mean, divide by the standard deviation, scale and shift.

One mathematics for batch, layer, group and instance norm; they differ in the axes over which the
mean is taken, and in the axes of the weight.  With n entries under each mean, c = x - mean x, s^2 =
mean c^2 + eps and z = c / s:

    y = w . z + b
    ds = <c, dc> / (n s) = mean(z . dc),   mean(z . dc) = mean(z . dx)   because mean z = 0
    dz = dc / s - c ds / s^2 = (dx - mean dx - z mean(z . dx)) / s = P dx / s
    P is symmetric: <h, P dx> = <h, dx> - <mean h, dx> - <z mean(z . h), dx> = <P h, dx>
    Of one or two entries h - mean h is a multiple of z, and  P h = (h - mean h) (1 - mean z^2)
        = (h - mean h) eps / s^2

    dy = dw . z + w . dz + db
    <g, w . dz> = <w . g, P dx / s> = <P(w . g) / s, dx>      so  g_x = P(w . g) / s
    <g, dw . z> = <g . z, dw>                                 so  g_w = g . z,
        summed over the axes that w lacks
    <g, db>                                                   so  g_b = g, summed likewise
"""

import math

import numpy as np

from ..cases import FOURTH, Case, Fixed, Kink
from ..foreign import is_certain, may_be
from ..hints import Array, Sizes
from ..primitive import KINKED, composed, declare, in_dtype_of, widened
from ..rules.reductions import count, mean, safe_sums
from .arguments import axis_of, expected, plain, refuse, shape_of


def _inverse_size(c, axes, eps):
    """1 / s; where the squares over- or underflow, by those of c / m with a power of two m."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        s = np.sqrt(mean(c * c, axes) + eps)
        r = 1 / s
    least, _ = safe_sums(c.dtype)
    if not is_certain(r.all()) or eps < least and may_be(np.any(s * s < least)):
        odd = (s == np.inf) | (s * s < least)
        shift = np.where(odd, np.frexp(np.max(np.abs(c), axis=axes, keepdims=True))[1], 0)
        with np.errstate(over="ignore", divide="ignore"):
            variance = np.mean(np.square(np.ldexp(c, -shift)), axis=axes,
                               keepdims=True) + np.ldexp(eps, -2 * shift)
            scaled = 1 / np.ldexp(np.sqrt(variance), shift).astype(c.dtype)
        r = np.where(variance < np.inf, scaled, r)  # else eps is all that counts
    return r


inverse_size = declare(
    None, """r = 1 / s,  s^2 = mean c^2 + eps:
        s ds = mean(c . dc),  dr = -r^2 ds = -r^2 mean(r c . dc)
    <g, -r^2 mean(r c . dc)> = <-g r^2 . r c / n, dc>""", name="inverse_size",
    forward=_inverse_size, takes="c axes eps -> r", stacked=True, turns=True,
    formula=lambda c, axes, eps: 1 / np.sqrt(np.mean(c * c, axis=axes, keepdims=True) + eps),
    jvp=(lambda v, r, c, axes: -r * r * np.mean(r * c * v, axis=axes, keepdims=True),),
    vjp=(lambda g, r, c, axes: -g * r * r * (r * c) / count(c, axes),),
    cases=[Case((3, 4), axes=(-1,), eps=1e-5)])


def _turned(h, kept, axes, eps, alike):
    """P h / s, of what is kept, z and r; up to `alike` entries all c^2 are equal."""
    z, r = kept
    return h * (eps * r * r * r) if count(z, axes) <= alike else r * (h - z * mean(z * h, axes))


def _root_mean_square(c, axes, eps, alike):
    return np.sqrt((c * c if count(c, axes) <= alike else np.mean(c * c, axis=axes, keepdims=True))
                   + eps)


def _along(v, c, axes, eps, alike):
    r = inverse_size(c, axes=axes, eps=eps)
    return _turned(v, (c * r, r), axes, eps, alike)


standardized = declare(
    None, """z = c / s,  s^2 = mean c^2 + eps;  the second argument is 1 / s once more:
        it is in no derivative
    s ds = mean(c . dc),  dz = dc / s - c ds / s^2 = (dc - z mean(z . dc)) / s = P dc / s,
        and P is symmetric
    Of one entry, and of two with the mean 0, c^2 is its own mean:
        then  z_i = c_i / sqrt(c_i^2 + eps)  entry by entry
    and  dz_i = (1 - z_i^2) dc_i / s = eps dc_i / s^3,  which does not cancel.""",
    name="standardized", stacked=True, forward=lambda c, r, axes, eps, alike: c * r,
    formula=lambda c, r, axes, eps, alike: c / _root_mean_square(c, axes, eps, alike),
    jvp=(_along, None), vjp=(_along, None),
    cases=[Case((3, 4), call=lambda c: _divided(c, (-1,), 0.5, 1)[0], scales=FOURTH),
           Case((1, 3), call=lambda c: _divided(c, (-2,), 0.25, 1)[0], scales=FOURTH)])


def _divided(c, axes, eps, alike):
    """z and 1 / s"""
    r = inverse_size(c, axes=axes, eps=eps)
    return standardized(c, r, axes=axes, eps=eps, alike=alike), r


def _standardized(x, w, b, axes, eps):
    """z and 1 / s of what the mean leaves."""
    x = widened(x)
    return _divided(x - mean(x, axes), axes, eps, 2)


def _scaled(x, w):
    return x if w is None else x * w


def _forward(kept, x, w, b, axes, eps):
    y = _scaled(kept[0], w)
    y = y if b is None else y + b
    return (y if x.dtype != np.float16
            else y.astype(np.result_type(*(a.dtype for a in (x, w, b) if a is not None))))


def _project(h, kept, axes, eps):
    """P h / s, with the mean taken off: for many entries in one step, as mean(z . h) takes no
    notice of it."""
    z, r = kept
    if count(z, axes) <= 2:
        return _turned(h - mean(h, axes), kept, axes, eps, 2)
    return r * (h - mean(h, axes) - z * mean(z * h, axes))


def _norm(name, cases):
    return declare(
        None, __doc__, name=name, keep=_standardized, forward=_forward, stacked=True, cases=cases,
        jvp=(lambda v, kept, w, axes, eps: _scaled(_project(v, kept, axes, eps), w),
             lambda v, kept: v * kept[0], lambda v: v),
        vjp=(lambda g, kept, w, axes, eps: _project(_scaled(g, w), kept, axes, eps),
             lambda g, kept: g * kept[0], lambda g: g))


_layer_norm = _norm("layer_norm", [
    Case((3, 4), (4,), (4,), axes=(-1,), eps=1e-5, scales=FOURTH),
    Case((2, 3, 4), (3, 4), Fixed(None), axes=(-2, -1), eps=0.5, scales=FOURTH),
    Case((1, 5), Fixed(None), (5,), axes=(-1,), eps=1e-5),
    Case((4,), Fixed(None), Fixed(None), axes=(-1,), eps=0.25),
    Case((3, 2), (2,), Fixed(None), axes=(-1,), eps=0.25, scales=FOURTH)])
_batch_norm = _norm("batch_norm", [
    Case((5, 3), (3,), (3,), axes=(-2,), eps=1e-5, scales=FOURTH),
    Case((2, 3, 4), (3, 1), Fixed(None), axes=(-3, -1), eps=0.5, scales=FOURTH),
    Case((2, 3, 2, 2), (3, 1, 1), (3, 1, 1), axes=(-4, -2, -1), eps=1e-5, scales=FOURTH),
    Case((4, 1), Fixed(None), Fixed(None), axes=(-2,), eps=0.25)])


_rms_norm = declare(
    None, """y = w . z  with  z = x / s,  s^2 = mean x^2 + eps
    dz = P dx / s  with the symmetric P of `standardized`
    dy = dw . z + w . dz,  <g, w . dz> = <P(w . g) / s, dx>,  <g, dw . z> = <g . z, dw>""",
    name="rms_norm", keep=lambda x, w, axes, eps: _divided(widened(x), axes, eps, 1), stacked=True,
    forward=lambda kept, x, w, axes, eps: _forward(kept, x, w, None, axes, eps),
    jvp=(lambda v, kept, w, axes, eps: _scaled(_turned(v, kept, axes, eps, 1), w),
         lambda v, kept: v * kept[0]),
    vjp=(lambda g, kept, w, axes, eps: _turned(_scaled(g, w), kept, axes, eps, 1),
         lambda g, kept: g * kept[0]),
    cases=[Case((3, 4), (4,), axes=(-1,), eps=1e-5, scales=FOURTH),
           Case((2, 3, 2), (3, 2), axes=(-2, -1), eps=0.5, scales=FOURTH),
           Case((5,), Fixed(None), axes=(-1,), eps=1e-5),
           Case((3, 1), (1,), axes=(-1,), eps=0.25, scales=FOURTH)])


def layer_norm(input: Array, normalized_shape: Sizes, weight: Array | None = None,
               bias: Array | None = None, eps: float = 1e-05) -> Array:
    """Each sample with mean 0 and variance 1 over its last axes, then times weight plus bias.

    Ba, Kiros and Hinton (2016).

    input             (*, *normalized_shape)
    normalized_shape  the last axes, over which the mean is taken
    weight, bias      of shape normalized_shape, or None
    eps               added to the (biased) variance
    Returns the input's shape.
    Raises ValueError for shapes that do not match.  As torch.nn.functional.layer_norm.
    """
    axes = _last_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _layer_norm(input, weight, bias, axes=axes, eps=plain("layer_norm", "eps", eps))


def rms_norm(input: Array, normalized_shape: Sizes, weight: Array | None = None,
             eps: float | None = None) -> Array:
    """Each sample divided by the root of the mean of its squares over its last axes, then times
    weight.

    Zhang and Sennrich (2019).

    input             (*, *normalized_shape)
    normalized_shape  the last axes, over which the mean is taken
    weight            of shape normalized_shape, or None
    eps               added to the mean of the squares; None is the distance from 1 to the next
                      number of the input's dtype (of float32 for float16, whose sums are taken in
                      it)
    Returns the input's shape.
    Raises ValueError for shapes that do not match.  As torch.nn.functional.rms_norm.
    """
    axes = _last_axes("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:
        dtype = input.dtype if input.dtype.kind == "f" else np.dtype(float)
        eps = float(np.finfo(np.promote_types(dtype, np.float32)).eps)
    return _rms_norm(input, weight, axes=axes, eps=plain("rms_norm", "eps", eps))


def _last_axes(function, input, normalized_shape, **others):
    """The axes of normalized_shape, after checking that the others are None or have this shape."""
    shape = shape_of(function, "input", input)
    last = (tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list))
            else (normalized_shape,))
    if not last or shape[-len(last):] != last:
        raise expected(function, "normalized_shape", normalized_shape,
                       f"the last axes of input, which has shape {shape}")
    for argument, x in others.items():
        if x is not None and shape_of(function, argument, x) != last:
            raise ValueError(f"{function}: {argument} has shape {x.shape}; "
                             f"expected normalized_shape, {last}")
    return tuple(range(-len(last), 0))


@composed(cases=[Case((2, 4, 3), (4,), (4,), call=lambda x, w, b: group_norm(x, 2, w, b),
                      scales=FOURTH),
                 Case((1, 6), (6,), call=lambda x, w: group_norm(x, 3, w, eps=0.5), scales=FOURTH),
                 Case((1, 2, 2, 2), call=lambda x: group_norm(x, 1), scales=FOURTH)])
def group_norm(input: Array, num_groups: int, weight: Array | None = None,
               bias: Array | None = None, eps: float = 1e-05) -> Array:
    """Each group of channels of each sample with mean 0 and variance 1, then times weight plus
    bias.

    Wu and He (2018).

    input         (N, C, *)
    num_groups    a divisor of C: channels that follow each other make a group
    weight, bias  (C,), a number for each channel; or None
    eps           added to the (biased) variance
    Returns the input's shape.
    Raises ValueError for shapes that do not match, and for a batch with a single value in each
    group.
    As torch.nn.functional.group_norm.
    """
    shape = _channels("group_norm", input, weight=weight, bias=bias)
    groups, eps = plain("group_norm", "num_groups", num_groups), plain("group_norm", "eps", eps)
    if groups != int(groups) or groups < 1 or shape[1] % groups:
        raise expected("group_norm", "num_groups", groups,
                       f"a divisor of {shape[1]}, the number of channels of an "
                       f"input of shape {shape}")
    groups = int(groups)
    if math.prod(shape) == groups:
        raise ValueError(f"group_norm: input has shape {shape}, a single value in each of {groups} "
                         "groups; expected more than one, of which a variance can be taken")
    channels = groups, shape[1] // groups
    w, b = (x if x is None else np.reshape(x, channels + (1,) * (len(shape) - 2))
            for x in (weight, bias))
    x = np.reshape(input, shape[:1] + channels + shape[2:])
    y = _layer_norm(x, w, b, axes=tuple(range(1 - len(shape), 0)), eps=eps)
    return np.reshape(y, shape)


@composed(
    cases=[Case((2, 2, 4), (2,), (2,), call=lambda x, w, b: instance_norm(x, None, None, w, b),
                scales=FOURTH),
           Case((1, 2, 2, 2), call=lambda x: instance_norm(x, eps=0.5), scales=FOURTH),
           Case((2, 3, 2), (3,), (3,), (3,), domain=(None, None, "positive", None), scales=FOURTH,
                call=lambda x, m, v, w: instance_norm(x, m, v, w, use_input_stats=False))])
def instance_norm(input: Array, running_mean: Array | None = None, running_var: Array | None = None,
                  weight: Array | None = None, bias: Array | None = None,
                  use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-05) -> Array:
    """Each channel of each sample with mean 0 and variance 1, then times weight plus bias.

    Ulyanov, Vedaldi and Lempitsky (2016).

    input                      (N, C, *) with at least one more axis, over which the mean is taken
    running_mean, running_var  (C,): the mean and variance to use with use_input_stats=False.
                               Otherwise pass None: they are not overwritten here (torch's new ones
                               move by momentum towards the mean over the samples of each sample's
                               mean and unbiased variance)
    weight, bias               (C,), or None
    momentum                   belongs to the running statistics; accepted for torch's signature
    eps                        added to the (biased) variance
    Returns the input's shape.
    Raises ValueError for shapes that do not match, for running statistics with
    use_input_stats=True, for none otherwise, and for a single value in each channel of a sample.
    As torch.nn.functional.instance_norm.
    """
    name = "instance_norm"
    shape = _channels(name, input, weight=weight, bias=bias, running_mean=running_mean,
                      running_var=running_var)
    eps = plain(name, "eps", eps)
    w, b = _per_channel(weight, shape), _per_channel(bias, shape)
    if not use_input_stats:
        return _by_statistics(name, "use_input_stats", input, running_mean, running_var, w, b, eps)
    if running_mean is not None or running_var is not None:
        raise ValueError("instance_norm: running statistics are given with use_input_stats=True, "
                         "where torch overwrites them, and refgrad overwrites nothing. Pass None "
                         "for both; they do not change the result")
    if math.prod(shape[2:]) == 1:
        raise ValueError(f"instance_norm: input has shape {shape}, a single value in each channel "
                         "of a sample; expected more than one, of which a variance can be taken")
    return _batch_norm(input, w, b, axes=tuple(range(2 - len(shape), 0)), eps=eps)


def batch_norm(input: Array, running_mean: Array | None, running_var: Array | None,
               weight: Array | None = None, bias: Array | None = None, training: bool = False,
               momentum: float = 0.1, eps: float = 1e-05) -> Array:
    """Each channel with mean 0 and variance 1 over the batch, then times weight plus bias.  Ioffe
    and Szegedy (2015).

    input                      (N, C, *)
    running_mean, running_var  (C,): the mean and variance to use when not training.  In training
                               pass None: they are not overwritten here; `running_statistics`
                               computes the new ones
    weight, bias               (C,), or None
    momentum                   belongs to `running_statistics`; accepted for torch's signature
    eps                        added to the variance, which in training is the biased one of the
                               batch
    Returns the input's shape.
    Raises ValueError for shapes that do not match, for running statistics in training, for none
    otherwise, and in training for a single value in each channel.  As
    torch.nn.functional.batch_norm.
    """
    shape = _channels("batch_norm", input, weight=weight, bias=bias, running_mean=running_mean,
                      running_var=running_var)
    eps = plain("batch_norm", "eps", eps)
    w, b = _per_channel(weight, shape), _per_channel(bias, shape)
    if training:
        if running_mean is not None or running_var is not None:
            raise ValueError("batch_norm: running statistics are given with training=True, where "
                             "torch overwrites them, and refgrad overwrites nothing. Pass None for "
                             "both, and compute the new ones with running_mean, running_var = "
                             "running_statistics(input, running_mean, running_var)")
        _count("batch_norm", shape)
        return _batch_norm(input, w, b, axes=_all_but_channels(shape), eps=eps)
    return _by_statistics("batch_norm", "training", input, running_mean, running_var, w, b, eps)


def _by_statistics(function, switch, input, running_mean, running_var, w, b, eps):
    """Normalised by a given mean and variance for each channel; the argument that asks for it is
    named `switch`."""
    shape = input.shape
    if running_mean is None or running_var is None:
        missing = "running_mean" if running_mean is None else "running_var"
        raise expected(function, missing, "None",
                       f"an array of shape ({shape[1]},) when {switch}=False")
    y = _scaled((input - _per_channel(running_mean, shape))
                * _per_channel(1 / np.sqrt(running_var + eps), shape), w)
    return y if b is None else y + b


def running_statistics(input: Array, running_mean: Array, running_var: Array,
                       momentum: float = 0.1) -> tuple[Array, Array]:
    """The running mean and variance after one more batch: (new_mean, new_var), each new = old +
    momentum (batch - old).

    input                      (N, C, *)
    running_mean, running_var  (C,)
    The batch's variance is the unbiased one, with n - 1 in the denominator, as in torch.
    Raises ValueError for shapes that do not match and for a single value in each channel.
    """
    shape = _channels("running_statistics", input, running_mean=running_mean,
                      running_var=running_var)
    for argument, x in (("running_mean", running_mean), ("running_var", running_var)):
        if x is None:
            raise expected("running_statistics", argument, "None",
                           f"an array of shape ({shape[1]},)")
    momentum = plain("running_statistics", "momentum", momentum)
    n, axes = _count("running_statistics", shape), _all_but_channels(shape)
    mean = np.mean(input, axis=axes, keepdims=True)
    c = widened(input) - mean
    mean, var = (np.reshape(mean, (shape[1],)),
                 in_dtype_of(input, np.sum(c * c, axis=axes) / (n - 1)))
    return (running_mean + momentum * (mean - running_mean),
            running_var + momentum * (var - running_var))


def _channels(function, input, **others):
    """The input's shape (N, C, *), after checking that the others are None or (C,)."""
    shape = shape_of(function, "input", input)
    if len(shape) < 2:
        raise ValueError(f"{function}: input has shape {shape}; expected (N, C, *)")
    for argument, x in others.items():
        if x is not None and shape_of(function, argument, x) != shape[1:2]:
            raise ValueError(f"{function}: {argument} has shape {x.shape}; expected ({shape[1]},), "
                             f"one number for each channel of an input of shape {shape}")
    return shape


def _per_channel(x, shape):
    """(C,) as (C, 1, ...), so that it broadcasts against (N, C, *)."""
    return (x if x is None or len(shape) == 2
            else np.reshape(x, (shape[1],) + (1,) * (len(shape) - 2)))


def _count(function, shape):
    """How many values each channel has."""
    n = math.prod(shape) // shape[1] if shape[1] else 0
    if n == 1:
        raise ValueError(f"{function}: input has shape {shape}, a single value in each channel; "
                         "expected more than one, of which a variance can be taken")
    return n


def _all_but_channels(shape):
    n = len(shape)
    return (-n, *range(2 - n, 0))


# Without a mean


@composed(cases=[Case((2, 4, 3), size=3, alpha=0.5, scales=(-30, 3)),
                 Case((1, 2, 2, 2), size=5, scales=(-30, 3)),
                 Case((1, 5, 2), size=2, alpha=0.25, beta=0.5, k=2.0, scales=(-30, 3))])
def local_response_norm(input: Array, size: int, alpha: float = 0.0001, beta: float = 0.75,
                        k: float = 1.0) -> Array:
    """Each entry divided by (k + alpha mean x^2)^beta, the mean over `size` neighbouring channels,
    0 beyond the ends.

    Krizhevsky, Sutskever and Hinton (2012).

    input  (N, C, *) with at least one more axis
    size   the number of channels in a mean; of an even number one more stands before the entry than
           after it
    Returns the input's shape.
    Raises ValueError for an input with too few axes and a size that is not positive.
    As torch.nn.functional.local_response_norm.
    """
    name = "local_response_norm"
    shape = shape_of(name, "input", input)
    if len(shape) < 3:
        raise ValueError(f"{name}: input has shape {shape}; expected (N, C, *) with at least one "
                         "more axis")
    size, alpha, beta, k = (plain(name, argument, value) for argument, value in (
        ("size", size), ("alpha", alpha), ("beta", beta), ("k", k)))
    if size != int(size) or size < 1:
        raise expected(name, "size", size, "a number of channels, 1 or more")
    size = int(size)
    around = [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (len(shape) - 2)
    squares = np.pad(input * input, around)
    total = sum(squares[:, i:i + shape[1]] for i in range(size))
    return input / np.power(k + alpha * (total / size), beta)


@composed(kind=KINKED, cases=[
    Case((2, 3)), Case((2, 3), p=1.0, dim=-1, domain="nonzero"),
    Case((2, 3), p=3, dim=0, domain="nonzero"),
    Case((3,), p=float("inf"), dim=0, domain="nonzero"), Case((2, 2), eps=1000.0, scales=(-75, 0))],
    kinks=[Kink(([0.0, 0.0],), ([[4.0, 0.0], [0.0, 4.0]],), "x / eps at 0",
                {"dim": 0, "eps": 0.25})])
def normalize(input: Array, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12,
              out: None = None) -> Array:
    """x / max(n, eps) with the p-norm n along the axis `dim`.

    With u = dn/dx, where n > eps:  dy = (dx - y <u, dx>) / n;  elsewhere  dy = dx / eps.

    input  any shape; an array without axes is a single entry, along dim 0 or -1
    p      the order of the norm, any number or infinity
    dim    an axis, or a tuple of axes
    Returns the input's shape.
    Raises ValueError for an axis that input does not have, TypeError for out.
    As torch.nn.functional.normalize.
    """
    refuse("normalize", "out", out, "nothing is overwritten here: write y = normalize(x)")
    p, eps = plain("normalize", "p", p), plain("normalize", "eps", eps)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = tuple(axis_of("normalize", input, k) for k in dims)
    x = input if input.shape else np.reshape(input, (1,))
    n = np.clip(np.linalg.vector_norm(x, ord=p, axis=axes, keepdims=True), eps, None)
    return np.reshape(x / n, input.shape)
