"""The entries of windows as columns, and the adjoint, which adds columns up at their windows."""

import math

import numpy as np

from ..cases import Case
from ..hints import Array, Sizes
from ..primitive import LINEAR, composed
from ..rules.windows import extent, overlap_add, windows
from .convolution import padded
from .geometry import images_of, sizes_of


def _blocks(function, kernel_size, dilation, padding, stride, shape):
    """Size, dilation, padding and stride for two axes, and how often the window fits into shape."""
    size = sizes_of(function, "kernel_size", kernel_size, 2)
    dilation = sizes_of(function, "dilation", dilation, 2)
    padding = sizes_of(function, "padding", padding, 2, 0)
    stride = sizes_of(function, "stride", stride, 2)
    out = tuple((n + 2 * p - extent(k, d)) // s + 1
                for n, p, k, d, s in zip(shape, padding, size, dilation, stride))
    if min(out) < 1:
        raise ValueError(f"{function}: windows of size {size} with dilation {dilation} do not fit "
                         f"into {tuple(shape)} with padding {padding}")
    return size, dilation, padding, stride, out


@composed(kind=LINEAR, cases=[
    Case((1, 2, 3, 4), kernel_size=2, stride=(1, 2)),
    Case((1, 3, 3), kernel_size=(2, 1), padding=1),
    Case((1, 1, 4, 2), kernel_size=2, dilation=(2, 1))])
def unfold(input: Array, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
           stride: Sizes = 1) -> Array:
    """The entries of each window as a column.

    input  (N, C, H, W) or (C, H, W)
    Returns (N, C h w, L) for windows (h, w) at L positions, or without N; position l counts along
    the last axis first, as do the entries of a window.
    Raises ValueError for windows that do not fit into the input.
    Arguments as those of conv2d; as torch.nn.functional.unfold.
    """
    shape, has_batch = images_of("unfold", input, 2)
    size, spacing, pads, step, out = _blocks("unfold", kernel_size, dilation, padding, stride,
                                             shape[-2:])
    y = windows(padded(input, [(p, p) for p in pads]), size=size, stride=step, dilation=spacing)
    y = np.moveaxis(y, (-2, -1), (-4, -3))
    return np.reshape(y, (*shape[:-3], shape[-3] * math.prod(size), math.prod(out)))


@composed(kind=LINEAR, cases=[
    Case((1, 4, 4), output_size=(3, 4), kernel_size=2, stride=(1, 2)),
    Case((2, 8), output_size=(1, 2), kernel_size=(2, 1), padding=1, stride=(1, 1))])
def fold(input: Array, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1,
         padding: Sizes = 0, stride: Sizes = 1) -> Array:
    """The adjoint of unfold: the columns are added up at the places of their windows.

    input        (N, C h w, L) or (C h w, L), as unfold gives it
    output_size  (H, W)
    Returns (N, C, H, W) or (C, H, W).
    Raises ValueError for shapes that do not match.
    Other arguments as those of unfold; as torch.nn.functional.fold.
    """
    shape, _ = images_of("fold", input, 1)
    image = sizes_of("fold", "output_size", output_size, 2)
    size, spacing, pads, step, out = _blocks("fold", kernel_size, dilation, padding, stride, image)
    rows, columns = math.prod(size), math.prod(out)
    if shape[-2] % rows or shape[-1] != columns:
        raise ValueError(f"fold: input has shape {shape}; expected {columns} columns, one for each "
                         f"position, and a multiple of {rows} rows, the entries of a window")
    y = np.reshape(input, (*shape[:-2], shape[-2] // rows, *size, *out))
    x = overlap_add(np.moveaxis(y, (-4, -3), (-2, -1)), stride=step, dilation=spacing,
                    shape=tuple(n + 2 * p for n, p in zip(image, pads)))
    return padded(x, [(-p, -p) for p in pads])
