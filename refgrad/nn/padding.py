"""Padding and rearranging: y = P x with a matrix P of zeros and ones.

    dy = P dx,   <g, P dx> = <P' g, dx>

All are written with NumPy's functions, whose rules are those of `refgrad.rules.shape`, and with
products along one axis.
"""

import operator

import numpy as np

from ..cases import Case
from ..errors import describe
from ..primitive import LINEAR, composed
from .arguments import expected, plain, shape_of
from .sparse import Sparse, resample

#: From torch's modes of padding to NumPy's.
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def whole(function, argument, value, least=None):
    """A parameter that is an integer, of some least size."""
    wanted = "an integer" if least is None else f"an integer from {least} on"
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {argument} is {describe(value)}; expected {wanted}") from None
    if least is not None and value < least:
        raise expected(function, argument, value, wanted)
    return value


@composed(kind=LINEAR, cases=[
    Case((2, 3), pad=(1, 2)), Case((2, 3), pad=(1, -1, 0, 2)),
    Case((2, 3), call=lambda x: pad(x, (-1, 2), value=1.5)),
    Case((2, 3), pad=(2, 1), mode="reflect"), Case((1, 2, 3), pad=(2, -1, 0, 1), mode="reflect"),
    Case((2, 3), pad=(1, 4), mode="replicate"),
    Case((1, 2, 3), pad=(-1, 2, 1, 0), mode="replicate"),
    Case((2, 3), pad=(1, 3), mode="circular"), Case((1, 2, 3), pad=(2, -1, 0, 1), mode="circular")])
def pad(input, pad, mode="constant", value=None):
    """An array, continued (or, where a width is negative, cut) at both ends of its last axes.

    pad    widths, in torch's order, which starts at the last axis: (left, right, top, bottom,
           front, back, ...)
    mode   'constant': by `value`, on any number of axes; on the last axes of arrays that have one
           or two more (1 to 3 axes are padded): 'reflect', by the mirror image about the first and
           the last entry, which are not repeated, 'replicate', by the entry at the edge,
           'circular', by the entries of the other end (of what is left, if a width is negative)
    value  the constant, 0 if it is None; only with mode='constant'
    Returns the shape of input with pad[0] + pad[1] added to the last axis, and so on.
    Raises ValueError for an unknown mode, an odd number of widths or more than the axes of input
    (of the other modes: for which they are not defined), for a width that a mode cannot fill or
    that cuts more than there is, and for a value without 'constant'.  As torch.nn.functional.pad.
    """
    shape = shape_of("pad", "input", input)
    if mode not in MODES:
        raise expected("pad", "mode", repr(mode), f"one of {', '.join(map(repr, MODES))}")
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad: pad is {describe(pad)}; expected a tuple of integers, "
                        f"(left, right, top, bottom, ...)")
    ends = [whole("pad", f"pad[{k}]", w) for k, w in enumerate(pad)]
    if len(ends) % 2 or len(ends) > 2 * len(shape):
        raise expected("pad", "pad", f"of length {len(ends)}",
                       f"two widths for each axis that is padded, of at most "
                       f"{len(shape)} axes, as input has the shape {shape}")
    widths = [(0, 0)] * (len(shape) - len(ends) // 2) + list(zip(ends[::2], ends[1::2]))[::-1]
    _check(mode, shape, widths, len(ends) // 2, value)
    grown = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "circular":
        return _continued(_cut(input, widths), grown, mode, value)
    return _cut(_continued(input, grown, mode, value), widths)


def _check(mode, shape, widths, count, value):
    if mode != "constant":
        if value is not None and value != 0:
            raise expected("pad", "value", value, f"None with mode={mode!r}, which has its own")
        if not (1 <= count <= 3 and count < len(shape) <= count + 2):
            raise ValueError(f"pad: pad has widths for {count} axes and input has the shape "
                             f"{shape}; with mode={mode!r} expected 1 to 3 axes, and one or two "
                             f"axes before them that are not padded")
    for n, (a, b) in zip(shape[len(shape) - count:], widths[len(shape) - count:]):
        least = 0 if mode == "constant" else 1
        if n + a + b < least or min(a, 0) + min(b, 0) < -n and mode == "constant":
            raise expected("pad", "pad", f"{a}, {b} for an axis of size {n}",
                           "widths that do not cut more than that")
        most = {"reflect": n - 1, "circular": n + min(a, 0) + min(b, 0)}.get(mode)
        if most is not None and max(a, b) > most:
            raise expected("pad", "pad", f"{a}, {b} for an axis of size {n}",
                           f"at most {most} with mode={mode!r}")
        if mode != "constant" and n == 0:
            raise expected("pad", "input", f"of shape {shape}",
                           f"entries, from which mode={mode!r} continues it")


def _cut(x, widths):
    """Without the entries that negative widths take away."""
    index = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths))
    return x if all(part == slice(0, n) for part, n in zip(index, x.shape)) else x[index]


def _continued(x, widths, mode, value):
    if mode == "constant":
        constant = 0 if value is None else plain("pad", "value", value)
        return np.pad(x, widths, constant_values=constant)
    for k, (n, width) in enumerate(zip(x.shape, widths)):
        if any(width):
            index = np.pad(np.arange(int(n)), width, MODES[mode])[None]
            x = resample(x, matrix=Sparse(int(n), index, np.ones(index.shape, int).astype(object)),
                         axis=k - len(widths))
    return x


@composed(kind=LINEAR, cases=[Case((1, 4, 2), groups=2), Case((2, 6, 1, 2), groups=3)])
def channel_shuffle(input, groups):
    """The channels of several groups, taken in turn: channels (g, k) in row-major order as (k, g).

    input   (N, C, d1, ...); the result has the same shape
    groups  their number, which divides C
    Raises ValueError for another number and for an input without d1.  Zhang et al. (2018); as
    torch.nn.functional.channel_shuffle.
    """
    shape = shape_of("channel_shuffle", "input", input)
    groups = whole("channel_shuffle", "groups", groups, 1)
    if len(shape) < 3:
        raise expected("channel_shuffle", "input", f"of shape {shape}", "(N, C, d1, ...)")
    if shape[1] % groups:
        raise expected("channel_shuffle", "groups", groups,
                       f"a divisor of the {shape[1]} channels of input")
    parted = np.reshape(input, (shape[0], groups, shape[1] // groups, *shape[2:]))
    return np.reshape(np.swapaxes(parted, 1, 2), shape)


@composed(kind=LINEAR, cases=[
    Case((4, 1, 2), upscale_factor=2), Case((2, 4, 2, 1), upscale_factor=2)])
def pixel_shuffle(input, upscale_factor):
    """Channels made pixels: (..., C r^2, H, W) to (..., C, H r, W r) with the factor r.

    y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w].
    Raises ValueError for fewer than three axes and for a number of channels that r^2 does not
    divide.  Shi et al. (2016); as torch.nn.functional.pixel_shuffle.
    """
    r = whole("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    *lead, c, h, w = _image("pixel_shuffle", input)
    if c % (r * r):
        raise expected("pixel_shuffle", "upscale_factor", r,
                       f"a number whose square divides the {c} channels of input")
    lead, n = tuple(lead), len(lead)
    x = np.reshape(input, (*lead, c // (r * r), r, r, h, w))
    x = np.transpose(x, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return np.reshape(x, (*lead, c // (r * r), h * r, w * r))


@composed(kind=LINEAR, cases=[
    Case((1, 2, 4), downscale_factor=2), Case((2, 1, 4, 2), downscale_factor=2)])
def pixel_unshuffle(input, downscale_factor):
    """Pixels made channels, the inverse of pixel_shuffle: (..., C, H r, W r) to (..., C r^2, H, W).

    Raises ValueError for fewer than three axes and for sizes that r does not divide.
    As torch.nn.functional.pixel_unshuffle.
    """
    r = whole("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    *lead, c, h, w = _image("pixel_unshuffle", input)
    if h % r or w % r:
        raise expected("pixel_unshuffle", "downscale_factor", r,
                       f"a divisor of the height {h} and the width {w}")
    lead, n = tuple(lead), len(lead)
    x = np.reshape(input, (*lead, c, h // r, r, w // r, r))
    x = np.transpose(x, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return np.reshape(x, (*lead, c * r * r, h // r, w // r))


def _image(function, input):
    shape = shape_of(function, "input", input)
    if len(shape) < 3:
        raise expected(function, "input", f"of shape {shape}", "(..., C, H, W)")
    return shape
