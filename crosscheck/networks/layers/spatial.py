"""Layers of images, series and volumes (N, C, *): convolution, pooling, resampling, rearranging."""

import numpy as np

from ..builder import features, layer, space


def _convolved(n, kernel, stride, padding, dilation):
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _convolution(d):
    @layer(f"conv{d}d", "convolution", fits=space(d))
    def _(b):
        _, channels, *sizes = b.shape
        kernel, padding = b.one_of(1, 2, 3), b.one_of(0, 1)
        kernel = min(kernel, min(sizes) + 2 * padding)
        stride, groups = b.one_of(1, 1, 2), 2 if channels % 2 == 0 and b.chance(0.3) else 1
        dilation = 2 if 2 * (kernel - 1) < min(sizes) and b.chance(0.3) else 1
        width = groups * b.one_of(1, 2)
        kernels = b.parameter("weight", (width, channels // groups, *[kernel] * d),
                              scale=1 / np.sqrt(channels // groups * kernel**d))
        bias = (b.parameter("bias", (width,), scale=0.5),) if b.chance(0.7) else ()
        shape = (b.shape[0], width,
                 *(_convolved(n, kernel, stride, padding, dilation) for n in sizes))
        b.call(f"conv{d}d", kernels, *bias, layer=f"conv{d}d", shape=shape, stride=stride,
               padding=padding, dilation=dilation, groups=groups)

    def fits(b):
        return space(d)(b) and max(b.shape[2:]) <= 4

    @layer(f"conv_transpose{d}d", "convolution", fits=fits)
    def _(b):
        _, channels, *sizes = b.shape
        kernel, stride = b.one_of(1, 2, 3), b.one_of(1, 2) if d < 3 else 1
        groups = 2 if channels % 2 == 0 and b.chance(0.3) else 1
        output_padding = 1 if stride == 2 and b.chance(0.5) else 0
        padding = 1 if kernel == 3 else 0
        width = b.one_of(1, 2)
        kernels = b.parameter("weight", (channels, width, *[kernel] * d),
                              scale=1 / np.sqrt(channels))
        bias = (b.parameter("bias", (width * groups,), scale=0.5),) if b.chance(0.7) else ()
        shape = (b.shape[0], width * groups,
                 *((n - 1) * stride - 2 * padding + kernel + output_padding for n in sizes))
        b.call(f"conv_transpose{d}d", kernels, *bias, layer=f"conv_transpose{d}d", shape=shape,
               stride=stride, padding=padding, output_padding=output_padding, groups=groups)


def _large(d):
    """Fits where two entries or more lie along each axis of space."""
    return lambda b: space(d)(b) and min(b.shape[2:]) >= 2


def _pooling(d):
    def pooled(b, kernel, stride):
        return (*b.shape[:2], *((n - kernel) // stride + 1 for n in b.shape[2:]))

    for name in ("max_pool", "avg_pool", "lp_pool"):
        name = f"{name}{d}d"

        @layer(name, "pooling", fits=_large(d))
        def _(b, name=name):
            stride, options = b.one_of(1, 2), {}
            if name.startswith("lp"):
                options["norm_type"] = 2.0
            b.call(name, layer=name, shape=pooled(b, 2, stride), **options, kernel_size=2,
                   stride=stride)

    for name in (f"adaptive_avg_pool{d}d", f"adaptive_max_pool{d}d"):
        @layer(name, "pooling", fits=space(d))
        def _(b, name=name):
            sizes = tuple(int(b.rng.integers(1, n + 1)) for n in b.shape[2:])
            b.call(name, layer=name, shape=(*b.shape[:2], *sizes), output_size=sizes)

    @layer(f"max_unpool{d}d", "pooling", fits=lambda b: space(d)(b) and all(
        n % 2 == 0 for n in b.shape[2:]))
    def _(b):
        options, shape = {"kernel_size": 2}, b.shape
        both = b.beside(f"max_pool{d}d", (b.h,), options={**options, "return_indices": True})
        b.append("item", (both,), None, pooled(b, 2, 2), options={"index": 0})
        indices = b.beside("item", (both,), options={"index": 1})
        b.call(f"max_unpool{d}d", indices, layer=f"max_unpool{d}d", shape=shape, **options)

    if d > 1:
        name = f"fractional_max_pool{d}d"

        @layer(name, "pooling", fits=_large(d))
        def _(b):
            kernel = 2 if min(b.shape[2:]) > 2 else 1
            sizes = tuple(n - kernel for n in b.shape[2:])  # torch wants them that small
            samples = b.constant("samples", (*b.shape[:2], d), law="unit")
            b.call(name, layer=name, shape=(*b.shape[:2], *sizes), kernel_size=kernel,
                   output_size=sizes, named={"_random_samples": samples})


for _d in (1, 2, 3):
    _convolution(_d)
    _pooling(_d)


@layer("unfold", "convolution", fits=_large(2))
def _(b):
    samples, channels, *sizes = b.shape
    count = (sizes[0] - 1) * (sizes[1] - 1)
    b.call("unfold", layer="unfold", shape=(samples, channels * 4, count), kernel_size=2)


@layer("fold", "convolution", fits=_large(2))
def _(b):
    """Of the windows of the current result, so that entries in several of them add up."""
    options = {"kernel_size": 2, "padding": b.one_of(0, 1)}
    columns = b.beside("unfold", (b.h,), options=options)
    b.append("fold", (columns,), "fold", options={"output_size": b.shape[2:], **options})


# Resampling and rearranging


@layer("pad", "resampling", fits=lambda b: space(1, 2)(b) and min(b.shape[2:]) >= 2)
def _(b):
    mode = b.one_of("constant", "reflect", "replicate", "circular")
    amounts = tuple(int(n) for n in b.rng.integers(0, 2, 2 * (len(b.shape) - 2)))
    shape = (*b.shape[:2], *(n + p + q for n, p, q in zip(
        b.shape[2:], reversed(amounts[::2]), reversed(amounts[1::2]))))
    b.call("pad", layer="pad", shape=shape, pad=amounts, mode=mode)


@layer("interpolate", "resampling", fits=space(1, 2, 3))
def _(b):
    d = len(b.shape) - 2
    modes = {1: ("nearest", "linear", "area"), 2: ("nearest", "nearest-exact", "bilinear",
                                                   "bicubic", "area"),
             3: ("nearest", "trilinear")}[d]
    mode = b.one_of(*modes)
    size = tuple(int(b.rng.integers(1, 5 if d < 3 else 4)) for _ in range(d))
    options = {}
    if mode.endswith(("linear", "cubic")):
        options["align_corners"] = b.chance(0.5)
        if d == 2 and not options["align_corners"] and b.chance(0.5):
            options["antialias"] = True
    b.call("interpolate", layer="interpolate", shape=(*b.shape[:2], *size), size=size, mode=mode,
           **options)


@layer("pixel_shuffle", "resampling", fits=lambda b: space(2)(b) and b.shape[1] % 4 == 0)
def _(b):
    samples, channels, height, width = b.shape
    b.call("pixel_shuffle", layer="pixel_shuffle",
           shape=(samples, channels // 4, 2 * height, 2 * width), upscale_factor=2)


@layer("pixel_unshuffle", "resampling", fits=lambda b: space(2)(b) and all(
    n % 2 == 0 for n in b.shape[2:]))
def _(b):
    samples, channels, height, width = b.shape
    b.call("pixel_unshuffle", layer="pixel_unshuffle",
           shape=(samples, 4 * channels, height // 2, width // 2), downscale_factor=2)


@layer("channel_shuffle", "resampling", fits=lambda b: space(2)(b) and b.shape[1] % 2 == 0)
def _(b):
    b.call("channel_shuffle", layer="channel_shuffle", groups=2)


@layer("grid_sample", "resampling", fits=space(2))
def _(b):
    """At places of a grid, which are differentiated as well."""
    sizes = (int(b.rng.integers(1, 4)), int(b.rng.integers(1, 4)))
    grid = b.parameter("grid", (b.shape[0], *sizes, 2), scale=0.5)
    b.call("grid_sample", grid, layer="grid_sample", shape=(*b.shape[:2], *sizes),
           mode=b.one_of("bilinear", "bicubic"), align_corners=b.chance(0.5),
           padding_mode=b.one_of("zeros", "border", "reflection"))


@layer("affine_grid", "resampling", fits=space(2))
def _(b):
    """A grid of an affine map, at which the images are sampled: a spatial transformer."""
    theta = b.parameter("theta", (b.shape[0], 2, 3), scale=0.5)
    size, corners = b.shape, b.chance(0.5)
    grid = b.beside("affine_grid", (theta,), options={"size": size, "align_corners": corners})
    b.call("grid_sample", grid, layer="affine_grid", align_corners=corners)


@layer("flatten", "resampling", fits=space(1, 2, 3))
def _(b):
    """The features of a sample are all its channels at all places."""
    shape = (b.shape[0], int(np.prod(b.shape[1:])))
    b.append("reshape", (b.h,), "flatten", shape=shape, options={"shape": shape})
    b.channels = False


@layer("to series", "resampling", fits=lambda b: features(b) and len(b.shape) == 3)
def _(b):
    """Steps (L, N, C) as a series (N, C, L)."""
    length, samples, width = b.shape
    b.append("moveaxis", (b.h,), "to series", shape=(samples, width, length),
             options={"source": 0, "destination": 2})
    b.channels = True


@layer("to steps", "resampling", fits=space(1))
def _(b):
    """A series (N, C, L) as steps (L, N, C)."""
    samples, channels, length = b.shape
    b.append("moveaxis", (b.h,), "to steps", shape=(length, samples, channels),
             options={"source": 2, "destination": 0})
    b.channels = False
