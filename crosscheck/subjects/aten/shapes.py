"""Views, copies, joining and padding, and what depends on shapes alone."""

from __future__ import annotations

import numpy as np

from refgrad.rules.shape import scatter_add, setitem

from .carrier import strided
from .table import OPERATIONS, Kind, NoLine, constants, operation, view

# Factories and random numbers: torch runs them on tensors of the same shapes.
constants("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like",
          "randint_like", "new_zeros", "new_ones", "new_empty", "new_full", "new_empty_strided",
          "bernoulli", "uniform", "exponential", "random", "normal", "cauchy",
          "log_normal", "geometric", "poisson",
          "multinomial", "is_same_size", "sym_size", "sym_stride", "_has_same_storage_numel",
          "is_pinned", "_fused_sdp_choice", "_nested_tensor_from_mask_left_aligned")


@view("view", "_unsafe_view", "reshape", "_reshape_alias")
def _(x, shape, *_):
    return np.reshape(x, shape)


view("transpose", lambda x, a, b: np.swapaxes(x, a, b) if np.ndim(x) else x)
view("t", lambda x: np.transpose(x))
view("numpy_T", lambda x: np.transpose(x))
view("permute", lambda x, axes: np.transpose(x, axes))
view("unsqueeze", lambda x, axis: np.expand_dims(x, axis))
view("detach", "alias", "lift", lambda x: x)
view("diagonal", lambda x, offset=0, axis1=0, axis2=1: np.diagonal(x, offset, axis1, axis2))


def _at(axis, index, x):
    """x[:, …, index] with the index on an axis."""
    return x[(slice(None),) * (axis % x.ndim) + (index,)]


view("select", lambda x, axis, index: _at(axis, index, x))


@view("slice")
def _(x, axis=0, start=None, end=None, step=1):
    return _at(axis, slice(start, end, step), x)


@view("squeeze")
def _(x, axes=None):
    if axes is None:
        return np.squeeze(x)
    axes = (axes,) if isinstance(axes, int) else axes
    return np.squeeze(x, tuple(a for a in axes if x.ndim and x.shape[a] == 1))


@view("expand")
def _(x, size, *, implicit=False):
    missing = len(size) - x.ndim
    return np.broadcast_to(x, [x.shape[k - missing] if n == -1 else n for k, n in enumerate(size)])


@view("split")
def _(x, size, axis=0):
    return _cut(x, np.arange(size, x.shape[axis], size) if x.shape[axis] else [], axis)


@view("split_with_sizes")
def _(x, sizes, axis=0):
    return _cut(x, np.cumsum(sizes)[:-1], axis)


def _cut(x, ends, axis):
    ends = [0, *map(int, ends), x.shape[axis]]
    return [_at(axis, slice(a, b), x) for a, b in zip(ends, ends[1:])]


view("unbind", lambda x, axis=0: [_at(axis, k, x) for k in range(x.shape[axis])])


@view("unfold")
def _(x, axis, size, step):
    if not x.ndim:
        return np.reshape(x, (1,))[:size]
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis % x.ndim)
    return windows[(slice(None),) * (axis % x.ndim) + (slice(None, None, step),)]


@operation("as_strided", kind=Kind.MEMORY)
def _(x, size, stride, offset=None):
    return size, stride, x.storage_offset() if offset is None else offset


# Copies of which a part is written to.
def _written(part):
    """A line for x with the entries that a view would show replaced."""
    def line(x, source, *args, **named):
        places = part(np.arange(x.size).reshape(x.shape), *args, **named)
        source = np.reshape(np.broadcast_to(source, places.shape), (-1,))
        return np.reshape(setitem(np.reshape(x, (-1,)), source, index=(places.ravel(),)), x.shape)
    return line


for _name in ("select", "slice", "diagonal"):
    operation(f"{_name}_scatter", _written(OPERATIONS[_name].compute))
operation("as_strided_scatter",
          _written(lambda x, size, stride, offset=0: strided(x, size, stride, offset or 0)))


# Copies; those of views have the lines of the views.
for _name in ("split", "split_with_sizes"):
    operation(f"unsafe_{_name}", OPERATIONS[_name].compute)
operation("narrow_copy", lambda x, axis, start, length: _at(axis, slice(start, start + length), x))
operation("clone", "contiguous", "lift_fresh", "lift_fresh_copy", lambda x, **_: x)


@operation("_to_copy")
def _(x, *, dtype=None, **_):
    if dtype is None:
        return x
    if dtype.is_complex:
        raise NoLine(f"a tensor of {dtype}")
    return x != 0 if str(dtype) == "torch.bool" else x.astype(np.int64)


operation("copy", lambda x, y, non_blocking=False: np.broadcast_to(y, x.shape))
operation("fill", lambda x, value: np.full_like(x, value))
operation("zero", lambda x: np.zeros(x.shape))

operation("cat", lambda parts, axis=0: np.concatenate([p for p in parts if p.shape != (0,)]
                                                      or parts, axis=axis))
operation("stack", lambda parts, axis=0: np.stack(parts, axis=axis))
operation("flip", lambda x, axes: np.flip(x, axes))
operation("roll", lambda x, shifts, axes=(): np.roll(x, shifts, tuple(axes) or None))
operation("rot90", lambda x, k=1, axes=(0, 1): np.rot90(x, k, axes))
operation("repeat", lambda x, counts: np.tile(x, counts))
operation("tril", lambda x, k=0: np.tril(x, k))
operation("triu", lambda x, k=0: np.triu(x, k))


@operation("diag_embed")
def _(x, offset=0, axis1=-2, axis2=-1):
    n = x.shape[-1]
    places = np.arange(n) + max(0, -offset), np.arange(n) + max(0, offset)
    y = scatter_add(x, index=(..., *places),
                    shape=(*x.shape[:-1], n + abs(offset), n + abs(offset)))
    return np.moveaxis(y, (-2, -1), (axis1, axis2))


@operation("_to_sparse", "to_sparse", "sparse_coo_tensor")
def _(*_, **__):
    raise NoLine("a sparse tensor")


@operation("constant_pad_nd")
def _(x, pad, value=0):
    """The widths come in pairs, those of the last axis first; negative ones cut."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2]))
    kept = tuple(slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape, pairs))
    return np.pad(x[kept], [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value)
