"""Convolution: a weighted sum over windows, and its two adjoints.

With x padded by zeros, over samples n, channels c and q and k-tuples o (positions) and j (entries
of a window):

    y[n, q, o] = sum over c, j of  w[q, c, j] x[n, c, stride o + dilation j]

that is Y = W X, where column (n, o) of X is the unfolded window at o.  It is linear in x and in w,
and with a g in the shape of y

    T(g, x, w) = <g, conv(x, w)> = sum of  g[n, q, o] w[q, c, j] x[n, c, stride o + dilation j]

is linear in each of three arrays.  Leaving out one of them gives three bilinear maps:

    conv(x, w)         Y = W X                   T = <g, conv(x, w)>
    conv_input(g, w)   fold of W' G              T = <x, conv_input(g, w)>
    conv_weight(g, x)  G X'                      T = <w, conv_weight(g, x)>

so each one's differential is <g, conv(dx, w) + conv(x, dw)>, and the adjoints of each are the other
two.  A transposed convolution is conv_input.  Channels fall into independent groups: one product
for each group.

The padding is exact: (o - 1) stride + (k - 1) dilation + 1 = before + size + after.  So any two of
the three shapes give the third; a negative number after cuts off what no window reaches.

X is k times as large as x.  It is computed and used in pieces, and never stored as a whole.
"""

import functools
import itertools
import math
from operator import mul
from typing import NamedTuple

import numpy as np

from ..cases import Case
from ..hints import Array, Sizes
from ..operands import is_finite
from ..primitive import MULTILINEAR, composed, declare, widened
from ..rules.windows import add_windows, extent, overlap_add, windows
from .arguments import expected
from .geometry import images_of, same_numbers, sizes_of


class Form(NamedTuple):
    """How windows slide: for each axis stride, zeros (before, after) and dilation; the groups."""

    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int = 1


#: How many entries of X stand in memory at once.
PIECE = 2 ** 18


def padded(x, padding):
    """Zeros around the last axes, an entry (before, after) for each; a negative number cuts off."""
    cut, shape, inside = _room(x.shape, tuple(padding))
    if cut is not None:
        x = x[cut]
    if shape is None:
        return x
    if type(x) is not np.ndarray:
        return np.pad(x, [(s.start, n - s.stop) for n, s in zip(shape, inside)])
    y = np.zeros(shape, x.dtype)
    y[inside] = x
    return y


@functools.lru_cache(256)
def _room(shape, padding):
    """What is left of an array that is cut, the shape with zeros around that, and its place there.

    None for the index of an array that is not cut, and for the shape of one that has no zeros.
    """
    padding = ((0, 0),) * (len(shape) - len(padding)) + padding
    ends = [max(n + min(b, 0), 0) for n, (_, b) in zip(shape, padding)]
    cut = [slice(min(max(-a, 0), end), end) for end, (a, _) in zip(ends, padding)]
    inside = [slice(s.start + a, s.stop + a) for s, (a, _) in zip(cut, padding)]
    wide, left = (tuple(n + a + b for n, (a, b) in zip(shape, padding)),
                  tuple(s.stop - s.start for s in cut))
    return tuple(cut) if left != shape else None, wide if wide != left else None, tuple(inside)


def _opposite(padding):
    return tuple((-a, -b) for a, b in padding)


def _samples_last(x, groups):
    """(N, C, ...) as (groups, C / groups, ..., N), a view."""
    x = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return x.transpose(*range(1, x.ndim), 0)


def _unfolded(x, size, form):
    """The windows of x, as a view of a copy of it: (groups, C / groups, *size, *out, N).

    With the samples last, what an entry of the window meets at the positions of a row is in one
    piece, which NumPy copies and adds several times as fast as the rows of single samples.
    """
    x = np.ascontiguousarray(padded(_samples_last(x, form.groups), (*form.padding, (0, 0))))
    shape, strides = _sliding(x.shape, x.strides, size, form)
    return np.ndarray(shape, x.dtype, x, strides=strides)


@functools.lru_cache(256)
def _sliding(shape, strides, size, form):
    """Shape and strides of the windows of an array (groups, C / groups, ..., N)."""
    lead, steps = strides[:2], strides[2:-1]
    out = [(m - extent(j, d)) // s + 1
           for m, j, d, s in zip(shape[2:], size, form.dilation, form.stride)]
    return (*shape[:2], *size, *out, shape[-1]), (
        *lead, *map(mul, form.dilation, steps), *map(mul, form.stride, steps), strides[-1])


def _pieces(columns, entries):
    """Parts of the columns (*out, N) of X, which has `entries` rows: indices (..., *out, N).

    The columns of a part follow each other in memory.
    """
    return _cut(columns, PIECE // max(1, entries))


@functools.lru_cache(64)
def _cut(columns, count):
    """Parts with up to so many columns."""
    axis, block = len(columns) - 1, 1
    while axis and block * columns[axis] <= count:
        block *= columns[axis]
        axis -= 1
    step, rest = max(1, count // max(1, block)), [slice(None)] * (len(columns) - 1 - axis)
    return [(..., *(slice(j, j + 1) for j in first), slice(i, i + step), *rest)
            for first in itertools.product(*map(range, columns[:axis]))
            for i in range(0, columns[axis], step)]


def _matrices(A, axes):
    """Of the axes after the first, the first `axes` as the rows and the others as the columns."""
    return A.reshape(A.shape[0], math.prod(A.shape[1:1 + axes]), math.prod(A.shape[1 + axes:]))


def _weights(w, groups):
    """(groups, Q / groups, C / groups times the window's size)"""
    return w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))


def _samples_first(y):
    """(groups, C / groups, ..., N) as (N, C, ...), a view that the next layer finds samples
    last."""
    y = y.reshape(y.shape[0] * y.shape[1], *y.shape[2:])
    return y.transpose(-1, *range(y.ndim - 1))


def _conv(x, w, form):
    k, dtype = len(form.stride), np.result_type(x, w)
    x, w = widened(x), widened(w)
    X, W = _unfolded(x, w.shape[2:], form), _weights(w, form.groups)
    y = np.empty((*W.shape[:2], *X.shape[2 + k:]), np.result_type(x, w))
    for part in _pieces(y.shape[2:], form.groups * W.shape[-1]):
        np.matmul(W, _matrices(X[part], 1 + k), out=_matrices(y[part], 1))
    return _samples_first(y.astype(dtype, copy=False))


def _conv_input(g, w, *, form):
    turned = _turned(w.shape, form)
    if turned is not None and is_finite(w):  # 0 times infinity would not be 0
        w = _split(w[(..., *[slice(None, None, -1)] * len(form.stride))], form.groups, 0)
        return _conv(g, _joined(w.swapaxes(1, 2), 0), turned)
    k, size, out, dtype = len(form.stride), w.shape[2:], g.shape[2:], np.result_type(g, w)
    g, w = widened(g), widened(w)
    G, W = _samples_last(g, form.groups), _weights(w, form.groups)
    x = np.zeros((form.groups, w.shape[1], *_spans(out, size, form), len(g)), np.result_type(g, w))
    for part in _pieces(G.shape[2:], W.size // W.shape[1]):
        columns = W.mT @ _matrices(G[part], 1)
        columns = columns.reshape(form.groups, w.shape[1], *size, *G[part].shape[2:], 1)
        columns = columns.transpose(0, 1, *range(2 + k, 3 + 2 * k), *range(2, 2 + k), -1)
        first = [slice((p.start or 0) * s, None) for p, s in zip(part[1:], form.stride)]
        add_windows(x[(..., *first, part[-1])], columns, (*form.stride, 1), (*form.dilation, 1))
    x = padded(x, (*_opposite(form.padding), (0, 0)))
    return _samples_first(x.astype(dtype, copy=False))


@functools.lru_cache(256)
def _turned(shape, form):
    """The form in which conv_input is a convolution of g with w turned round, with windows of w's
    shape that move by 1.

    An entry of x lies in as many windows as these have entries, and in the other order:

        x[n, c, t] = sum over q, j of  w[q, c, j] g[n, q, t - dilation j]

    None if there is none, or if g has so many more channels that unfolding it takes longer than
    folding.
    """
    reach = [d * (m - 1) for d, m in zip(form.dilation, shape[2:])]
    padding = tuple((r - a, r - b) for (a, b), r in zip(form.padding, reach))
    if max(form.stride) > 1 or min(map(min, padding)) < 0 or shape[0] > (
            2 * form.groups * shape[1]):
        return None
    return form._replace(padding=padding)


def _conv_weight(g, x, *, form):
    k, dtype = len(form.stride), np.result_type(g, x)
    g, x = widened(g), widened(x)
    size = _size(g.shape, x.shape, form)
    X, G = _unfolded(x, size, form), _samples_last(g, form.groups)
    w = np.zeros((form.groups, math.prod(X.shape[1:2 + k]), G.shape[1]), np.result_type(g, x))
    for part in _pieces(G.shape[2:], form.groups * w.shape[1]):
        w += _matrices(X[part], 1 + k) @ _matrices(G[part], 1).mT
    return w.mT.reshape(g.shape[1], X.shape[1], *size).astype(dtype, copy=False)


def _spans(out, size, form):
    """How many entries all windows span together."""
    return tuple(s * (o - 1) + extent(j, d)
                 for s, o, j, d in zip(form.stride, out, size, form.dilation))


def _size(g_shape, x_shape, form):
    """The window's size, which the exact padding gives."""
    return tuple((a + n + b - s * (o - 1) - 1) // d + 1 for (a, b), n, s, o, d in zip(
        form.padding, x_shape[2:], form.stride, g_shape[2:], form.dilation))


# The same as formulas


def _einsum(left, k, *arrays):
    """Sums of products, with o and j standing for k axes each."""
    return np.einsum(left.replace("o", "uvw"[:k]).replace("j", "xyz"[:k]), *arrays)


def _split(x, groups, axis):
    return np.reshape(x, (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1:]))


def _joined(x, axis):
    return np.reshape(x, (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2:]))


def _conv_formula(x, w, *, form):
    X = windows(_split(padded(x, form.padding), form.groups, 1), size=w.shape[2:],
                stride=form.stride, dilation=form.dilation)
    return _joined(_einsum("ngcoj,gqcj->ngqo", len(form.stride), X, _split(w, form.groups, 0)), 1)


def _conv_input_formula(g, w, *, form):
    X = _einsum("ngqo,gqcj->ngcoj", len(form.stride), _split(g, form.groups, 1),
                _split(w, form.groups, 0))
    x = overlap_add(X, shape=_spans(g.shape[2:], w.shape[2:], form), stride=form.stride,
                    dilation=form.dilation)
    return padded(_joined(x, 1), _opposite(form.padding))


def _conv_weight_formula(g, x, *, form):
    size = _size(g.shape, x.shape, form)
    X = windows(_split(padded(x, form.padding), form.groups, 1), size=size, stride=form.stride,
                dilation=form.dilation)
    return _joined(_einsum("ngqo,ngcoj->gqcj", len(form.stride), _split(g, form.groups, 1), X), 0)


def _cases(shapes):
    """The same five convolutions for each of the three maps."""
    forms = [(((2, 2, 5), (3, 2, 2)), Form((2,), ((1, 0),), (1,))),
             (((1, 4, 4), (2, 2, 2)), Form((1,), ((1, 1),), (2,), 2)),
             (((1, 2, 3, 4), (1, 2, 2, 2)), Form((1, 2), ((0, 0), (0, 0)), (1, 1))),
             (((1, 1, 5, 2), (2, 1, 2, 1)), Form((2, 1), ((0, -1), (0, 0)), (1, 3))),
             (((1, 1, 2, 2, 3), (1, 1, 1, 2, 2)),
              Form((1, 1, 1), ((0, 0), (1, 0), (0, 0)), (1, 1, 1)))]
    return [Case(*shapes(x, w, _shape_of_result(x, w, form)), form=form) for (x, w), form in forms]


def _shape_of_result(x, w, form):
    return (x[0], w[0], *((a + n + b - extent(k, d)) // s + 1 for (a, b), n, k, s, d in zip(
        form.padding, x[2:], w[2:], form.stride, form.dilation)))


conv = declare(
    None, __doc__, name="conv", kind=MULTILINEAR, fresh=True, forward=_conv, formula=_conv_formula,
    vjp=(lambda g, w, form: conv_input(g, w, form=form),
         lambda g, x, form: conv_weight(g, x, form=form)),
    cases=_cases(lambda x, w, y: (x, w)))
conv_input = declare(
    None, __doc__, name="conv_input", kind=MULTILINEAR, fresh=True, forward=_conv_input,
    formula=_conv_input_formula,
    vjp=(lambda h, w, form: conv(h, w, form=form), lambda h, g, form: conv_weight(g, h, form=form)),
    cases=_cases(lambda x, w, y: (y, w)))
conv_weight = declare(
    None, __doc__, name="conv_weight", kind=MULTILINEAR, fresh=True, forward=_conv_weight,
    formula=_conv_weight_formula,
    vjp=(lambda v, x, form: conv(x, v, form=form), lambda v, g, form: conv_input(g, v, form=form)),
    cases=_cases(lambda x, w, y: (y, x)))


def _bias_added(function, y, bias, k):
    if bias is None:
        return y
    channels = y.shape[1]
    same_numbers(function, input=y, bias=bias)
    if bias.shape != (channels,):
        raise ValueError(f"{function}: bias has shape {bias.shape}; expected ({channels},), one "
                         f"for each output channel")
    return y + np.reshape(bias, (channels,) + (1,) * k)


def _checked(function, input, weight, groups, k):
    """The input as a batch, whether it was one, and the number of groups."""
    shape, has_batch = images_of(function, input, k)
    same_numbers(function, input=input, weight=weight)
    wanted = weight.shape
    if len(wanted) != k + 2 or 0 in wanted:
        raise ValueError(f"{function}: weight has shape {wanted}; expected {k + 2} axes with "
                         f"entries, two of channels and {k} of the window")
    groups, = sizes_of(function, "groups", groups, 1)
    if wanted[0] % groups:
        raise ValueError(f"{function}: weight has shape {wanted} and groups is {groups}; expected "
                         f"a first axis that groups divides")
    return (input if has_batch else input[None]), has_batch, groups


def _convolved(function, k, input, weight, bias, stride, padding, dilation, groups):
    x, has_batch, groups = _checked(function, input, weight, groups, k)
    size = weight.shape[2:]
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(f"{function}: input has shape {input.shape}, weight {weight.shape} and "
                         f"groups is {groups}; expected {weight.shape[1] * groups} channels of "
                         f"input, groups times the second axis of weight")
    stride = sizes_of(function, "stride", stride, k)
    dilation = sizes_of(function, "dilation", dilation, k)
    spans = tuple(map(extent, size, dilation))
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise expected(function, "padding", repr(padding), "integers, 'valid' or 'same'")
        if padding == "same" and set(stride) != {1}:
            raise ValueError(f"{function}: stride is {stride} and padding 'same'; expected a "
                             f"stride of 1, which alone gives as many results as entries")
        all_round = [n - 1 if padding == "same" else 0 for n in spans]
        before = [n // 2 for n in all_round]
        after = [n - b for n, b in zip(all_round, before)]
    else:
        before = after = sizes_of(function, "padding", padding, k, 0)
    room = [b + n + a - m for b, n, a, m in zip(before, x.shape[2:], after, spans)]
    if min(room) < 0:
        raise ValueError(f"{function}: input has shape {input.shape}, with padding {padding}, and "
                         f"the windows span {spans}; expected windows that fit into the input")
    exact = tuple((b, a - r % s) for b, a, r, s in zip(before, after, room, stride))
    y = conv(x, weight, form=Form(stride, exact, dilation, groups))
    y = _bias_added(function, y, bias, k)
    return y if has_batch else y[0]


def _transposed(function, k, input, weight, bias, stride, padding, output_padding, groups,
                dilation):
    g, has_batch, groups = _checked(function, input, weight, groups, k)
    if g.shape[1] != weight.shape[0]:
        raise ValueError(f"{function}: input has shape {input.shape} and weight {weight.shape}; "
                         f"expected {weight.shape[0]} channels of input, the first axis of weight")
    stride = sizes_of(function, "stride", stride, k)
    dilation = sizes_of(function, "dilation", dilation, k)
    padding = sizes_of(function, "padding", padding, k, 0)
    more = sizes_of(function, "output_padding", output_padding, k, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation)):
        raise ValueError(f"{function}: output_padding is {output_padding}, stride {stride} and "
                         f"dilation {dilation}; expected less than one of these along each axis")
    form = Form(stride, tuple((p, p - m) for p, m in zip(padding, more)), dilation, groups)
    shape = [n - 2 * p + m
             for n, p, m in zip(_spans(g.shape[2:], weight.shape[2:], form), padding, more)]
    if min(shape) < 1:
        raise ValueError(f"{function}: input has shape {input.shape} and padding is {padding}, "
                         f"which leave a result of the sizes {shape}; expected less padding")
    y = _bias_added(function, conv_input(g, weight, form=form), bias, k)
    return y if has_batch else y[0]


@composed(kind=MULTILINEAR, cases=[
    Case((2, 2, 5), (2, 2, 3), (2,), stride=2, padding=1), Case((2, 4), (2, 1, 2), groups=2)])
def conv1d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
           padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1) -> Array:
    """As conv2d, with one spatial axis: input (N, C, L) or (C, L), weight (Q, C / groups, k)."""
    return _convolved("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@composed(kind=MULTILINEAR, cases=[
    Case((1, 2, 3, 3), (1, 2, 2, 2), padding="same"), Case((2, 3, 4), (2, 1, 2, 2), (2,), groups=2),
    Case((1, 1, 4, 4), (1, 1, 2, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 2))])
def conv2d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
           padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1) -> Array:
    """The sum of w[q, c, j] x[n, c, stride o + dilation j - padding] over c and j, plus b[q].

    input     (N, C, H, W) or (C, H, W)
    weight    (Q, C / groups, h, w)
    bias      (Q,) or None
    stride    by how much the window moves: a number, or one for each axis (as the next two)
    padding   zeros before and after each axis; 'valid' for none, 'same' for as many as give a
              result of the input's size (for stride 1; an odd number has one more after)
    dilation  the distance of the entries that a window takes
    groups    the channels fall into so many groups, each of which only meets its own weights
    Returns (N, Q, o_1, o_2) with o = (size + 2 padding - dilation (k - 1) - 1) // stride + 1, or
    without N as the input is.
    Raises ValueError for shapes that do not match and windows that do not fit into the input.
    As torch.nn.functional.conv2d.
    """
    return _convolved("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@composed(kind=MULTILINEAR, cases=[Case((1, 1, 2, 3, 2), (2, 1, 2, 2, 1), (2,), padding=(0, 0, 1))])
def conv3d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
           padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1) -> Array:
    """As conv2d, with three spatial axes: input (N, C, D, H, W), weight (Q, C / groups, d, h, w).
    """
    return _convolved("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@composed(kind=MULTILINEAR, cases=[
    Case((2, 2, 3), (2, 2, 2), (2,), stride=2, output_padding=1),
    Case((2, 3), (2, 1, 2), groups=2, padding=1, dilation=2)])
def conv_transpose1d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
                     padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1,
                     dilation: Sizes = 1) -> Array:
    """As conv_transpose2d, with one spatial axis: input (N, Q, L) or (Q, L)."""
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding,
                       groups, dilation)


@composed(kind=MULTILINEAR, cases=[
    Case((1, 2, 2, 2), (2, 1, 2, 2), (1,), stride=(2, 1), padding=(1, 0)),
    Case((2, 2, 2), (2, 1, 1, 2), groups=2, output_padding=(0, 1), dilation=(1, 2))])
def conv_transpose2d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
                     padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1,
                     dilation: Sizes = 1) -> Array:
    """The adjoint of x -> conv2d(x, weight, None, stride, padding, dilation, groups), plus b[c].

    input           (N, Q, H, W) or (Q, H, W), a result of conv2d
    weight          (Q, C / groups, h, w), the weight of conv2d
    bias            (C,) or None
    output_padding  how many entries there are at the end of each axis that conv2d's windows did not
                    reach: its stride hides how many these were
    Returns (N, C, s_1, s_2) with s = stride (size - 1) - 2 padding + dilation (k - 1) + 1 +
    output_padding, or without N as the input is.
    Raises ValueError for shapes that do not match, and for an output_padding that is as large as
    stride and dilation.  Other arguments as those of conv2d.
    As torch.nn.functional.conv_transpose2d.
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding,
                       groups, dilation)


@composed(kind=MULTILINEAR, cases=[Case((1, 1, 2, 2, 2), (1, 2, 2, 1, 2), (2,), stride=(1, 2, 1))])
def conv_transpose3d(input: Array, weight: Array, bias: Array | None = None, stride: Sizes = 1,
                     padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1,
                     dilation: Sizes = 1) -> Array:
    """As conv_transpose2d, with three spatial axes: input (N, Q, D, H, W) or (Q, D, H, W)."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding,
                       groups, dilation)
