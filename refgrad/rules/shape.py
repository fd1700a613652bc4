"""Functions that rearrange entries. Every one is linear, y = P x with a matrix P of zeros and ones.

    dy = P dx,   <g, P dx> = <P' g, dx>

The jvp is the function itself; the vjp P' puts each entry back where it came from, adding where it
was used twice. Few of them need a rule: the others are written with these.  Where a jvp stands here
nevertheless, it is the function itself on tangents that may have one more leading axis.
"""

import functools
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..cases import Case
from ..errors import NoRule
from ..face import reversed_axes
from ..primitive import CONSTANT, LINEAR, TABLE, TRACING, Each, align, compose, declare, \
    ndim_of, shape_of, within
from .arguments import as_array, axes_of, in_memory, in_order

# The primitives


def _reshape(a, shape, order="C", *, copy=None):
    if copy is False:
        raise NoRule("np.reshape", "with copy=False")
    if order == "F" or in_order("np.reshape", a, order):
        shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
        a = np.transpose(np.reshape(np.transpose(a), shape[::-1]))
        shape = shape_of(a)
    return (np.copy(a) if copy else a,), {"shape": shape}


def _leading(v, shape):
    """The shape of the axis that a stack of tangents has before those of the argument: (N,), or ()
    for one tangent."""
    return shape_of(v)[:ndim_of(v) - len(shape)]


declare(np.reshape, "y = the entries of x in the same order",
        kind=LINEAR, call=_reshape, stacked=True,
        jvp=(lambda v, x_shape, y_shape: np.reshape(v, _leading(v, x_shape) + y_shape),),
        vjp=(lambda g, x_shape: np.reshape(g, x_shape),),
        view=lambda params: (lambda x: np.reshape(x, **params),
                             lambda x, y: np.reshape(y, shape_of(x))),
        cases=[Case((3, 4), shape=(2, 6)), Case((2, 3), shape=-1), Case((), shape=(1, 1)),
               Case((0, 2), shape=(4, 0))])


def _permutation(a, axes=None):
    n = ndim_of(a)
    if axes is not None and len(axes) != n:
        raise ValueError(f"np.transpose: axes={axes!r} for an array with {n} axes")
    return (a,), {"axes": reversed_axes(n) if axes is None else normalize_axis_tuple(axes, n)}


@functools.cache
def _inverse(axes):
    """The permutation that undoes one; it depends on nothing else, so it is computed once."""
    return tuple(np.argsort(axes).tolist())


def _transpose_jvp(v, x_shape, axes):
    first = len(_leading(v, x_shape))
    return np.transpose(v, (*range(first), *(first + k for k in axes)))


declare(np.transpose, "Y = X';  <G, dX'> = <G', dX>: axes permuted back", kind=LINEAR,
        call=_permutation, takes="x axes", jvp=(_transpose_jvp,), stacked=True,
        plain=lambda x, axes: x.transpose(axes), vjp=(lambda g, axes: g.transpose(_inverse(axes)),),
        view=lambda params: (lambda x: np.transpose(x, **params),
                             lambda x, y: np.transpose(y, _inverse(params["axes"]))),
        cases=[Case((3, 4)), Case((2, 3, 4), axes=(1, 2, 0)), Case(())])

declare(np.broadcast_to,
        "y = x, repeated along new axes and axes of size 1; <g, dy> sums over the repetitions",
        kind=LINEAR, call=lambda array, shape, subok=False: ((array,), {"shape": shape}),
        stacked=True,
        # Broadcasting, too.
        jvp=(lambda v, x_shape, y_shape: align(v, len(y_shape)) if _leading(v, x_shape) else v,),
        vjp=(lambda g: g,),  # the engine sums over broadcast axes
        view=lambda params: (lambda x: np.broadcast_to(x, **params), None),
        cases=[Case((3, 1), shape=(2, 3, 4)), Case((), shape=(2,)), Case((1,), shape=(0,))])


def _slice_of(i, g, arrays_shape, axis):
    start = sum(shape[axis] for shape in arrays_shape[:i])
    return g[(slice(None),) * (axis % ndim_of(g)) + (slice(start, start + arrays_shape[i][axis]),)]


def _concatenate(arrays, axis=0, *, dtype=None, casting="same_kind"):
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    if dtype is not None or casting != "same_kind":
        arrays = [as_array(a) for a in arrays]
        dtype = np.result_type(*arrays) if dtype is None else np.dtype(dtype)
        if not all(np.can_cast(a.dtype, dtype, casting) for a in arrays):
            raise TypeError(f"np.concatenate: dtype={dtype} with casting={casting!r} of "
                            f"{', '.join(str(a.dtype) for a in arrays)}")
        arrays = [a.astype(dtype) for a in arrays]
    return tuple(arrays), {"axis": axis}


declare(np.concatenate, "y = [a b ...];  <g, dy> = <g_1, da> + <g_2, db> + ...: "
                        "g is cut at the joints", kind=LINEAR, call=_concatenate,
        forward=lambda *arrays, axis: np.concatenate(arrays, axis=axis), vjp=Each(_slice_of),
        cases=[Case((2, 3), (4, 3), call=lambda a, b: np.concatenate([a, b])),
               Case((2, 3), (2, 0), (2, 1), call=lambda *x: np.concatenate(x, axis=-1)),
               Case((2, 2), (3,), call=lambda *x: np.concatenate(x, axis=None))])


def _scatter_add(x, *, index, shape, distinct=False):
    y = np.zeros(shape, dtype=x.dtype)
    if distinct or takes_each_once(index):
        y[index] = x
    else:
        np.add.at(y, index, x)
    return y


def takes_each_once(index):
    """Basic indexing (and a boolean mask) meets no entry twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, np.integer, slice))
               or getattr(i, "dtype", None) == bool for i in parts)


scatter_add = declare(
    None, """y = 0 but for y[index], to which x is added, as often as an entry is indexed;
        <g, dy> = <g[index], dx>
    Where it is known that no entry is indexed twice, it may be said (distinct): that is faster.""",
    name="scatter_add", kind=LINEAR, forward=_scatter_add, vjp=(lambda g, index: at(g, index),),
    cases=[Case((3,), index=np.array([0, 2, 0]), shape=(4,)),
           Case((2,), index=(slice(0, 2), 1), shape=(3, 2))])


def _getitem_jvp(v, x_shape, index):
    if not _leading(v, x_shape):
        return at(v, index)
    parts = index if isinstance(index, tuple) else (index,)
    if all(i is None or i is Ellipsis or isinstance(i, (int, slice)) and not isinstance(i, bool)
           for i in parts):
        return v[(slice(None), *parts)]
    # An array among the indices may move its axis to the front.
    return np.stack([at(d, index) for d in v])


def _chooses(params):
    """Whether the index contains arrays or lists; numbers and slices have no shape."""
    return any(type(p) is list or getattr(p, "shape", ()) for p in within(params))


getitem = declare(
    operator.getitem,
    "y = x[index];  <g, dx[index]> = <scatter g, dx>: entries used twice receive both", kind=LINEAR,
    name="getitem", jvp=(_getitem_jvp,), stacked=True, forward=lambda x, index: x[index],
    vjp=(lambda g, x_shape, index: scatter_add(g, index=index, shape=x_shape),), chooses=_chooses,
    view=lambda params: (lambda x: x[params["index"]],
                       lambda x, y: setitem(x, y, index=params["index"])),
    cases=[Case((3, 4), call=lambda x: x[1]), Case((3, 4), call=lambda x: x[..., None, ::-2]),
           Case((3, 4), call=lambda x: x[np.array([0, 2, 0])]),
           Case((3, 4), call=lambda x: x[np.array([[0], [2]]), np.array([1, 1, 3])]),
           Case((3,), call=lambda x: x[np.array([True, False, True])]),
           Case((3,), call=lambda x: x[()]), Case((2, 3), call=lambda x: x[:, 1:1])])


def at(x, index):
    """x[index], also where the array is plain and the index is traced."""
    return getitem(x, index=index) if type(x) is np.ndarray else x[index]


def _with_item(x, v, *, index):
    y = np.copy(x)
    y[index] = v
    return y


def _last_writer(g, v_shape, index):
    """g[index], but 0 for what a later value has overwritten."""
    taken = at(g, index)
    if not takes_each_once(index):
        numbers = np.arange(taken.size).reshape(taken.shape)
        writer = setitem(np.zeros(shape_of(g), int), numbers, index=index)
        taken = np.where(at(writer, index) == numbers, taken, 0)
    missing = len(v_shape) - ndim_of(taken)
    return np.reshape(taken, (1,) * missing + shape_of(taken)) if missing > 0 else taken


setitem = declare(
    None, """y = x, but y[index] = v (of several values for one entry the last);
        dy = dx, but dy[index] = dv
    <g, dy> = <g with 0 at index, dx> + <g[index], dv>""", name="setitem",
    kind=LINEAR, forward=_with_item,
    vjp=(lambda g, index: setitem(g, 0, index=index), _last_writer), chooses=_chooses,
    cases=[Case((3, 4), (4,), index=1),
           Case((3, 4), (2, 1), index=(slice(None, None, 2), slice(1, 3))),
           Case((4,), (3,), index=np.array([0, 2, 0])),
           Case((3,), (), index=np.array([True, False, True])), Case((2, 3), (1, 1, 3), index=0)])

declare(np.copy, "y = x", kind=LINEAR, call=lambda a, order="K", subok=False: ((a,), {}),
        vjp=(lambda g: g,), stacked=True, cases=[Case((3,))])
cast = declare(
    None, "y = x, rounded to another precision; the rounding carries no derivative", name="cast",
    kind=LINEAR, forward=lambda x, dtype: x.astype(dtype), vjp=(lambda g: g,), stacked=True,
    cases=[Case((3,), dtype=np.dtype(float))])
truncate = declare(
    None, "integers and truth values are constant almost everywhere: dy = 0",
    name="truncate", kind=CONSTANT,
    forward=lambda x, dtype: x.astype(dtype), cases=[Case((3,), dtype=np.dtype(int))])


def _astype(x, dtype, /, *, copy=True, device=None):
    in_memory("np.astype", device)
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        raise NoRule("np.astype", f"with dtype={dtype}")
    if x.dtype == dtype and not copy:
        return x
    return (truncate if dtype.kind in "biu" else cast)(x, dtype=dtype)


compose(np.astype, _astype, cases=[Case((3,), call=lambda x: x.astype(float)),
                                   Case((3,), call=lambda x: x.astype(int) + x)], kind=LINEAR)
compose(np.real, lambda val: val, cases=[Case((3,))], kind=LINEAR)


def _filled(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    in_memory("np.full_like", device)
    if dtype is not None and np.dtype(dtype).kind == "c":
        raise NoRule("np.full_like", f"with dtype={np.dtype(dtype)}")
    if dtype is not None and hasattr(fill_value, "dtype"):
        fill_value = fill_value.astype(dtype)
    return (a, fill_value), {"dtype": dtype, "shape": shape}


def full_like(a, fill_value, dtype, shape):
    """np.full_like dispatches on `a` alone, so that a traced fill value is handled here."""
    if type(a) not in TRACING and type(fill_value) in TRACING:
        params = {"dtype": dtype, "shape": shape}
        return TRACING[type(fill_value)](TABLE[np.full_like], (a, fill_value), params)
    return np.full_like(a, fill_value, dtype=dtype, shape=shape)


declare(np.full_like, "y = c 1, constant in a:  dy = dc 1,  <g, dc 1> = <sum g, dc>", kind=LINEAR,
        call=_filled, forward=full_like, vjp=(None, lambda g: g),
        cases=[Case((3, 4), ()), Case((3, 4), (4,)), Case((3,), fill_value=2)])

# Compositions: axes


def _moved(a, source, destination):
    n = ndim_of(a)
    source, destination = normalize_axis_tuple(source, n), normalize_axis_tuple(destination, n)
    if len(source) != len(destination):
        raise ValueError(f"np.moveaxis: source={source!r} and destination={destination!r} differ "
                         "in length")
    order = [k for k in range(n) if k not in source]
    for d, s in sorted(zip(destination, source)):
        order.insert(d, s)
    return np.transpose(a, order)


def _rolled_axis(a, axis, start=0):
    n = ndim_of(a)
    axis, start = normalize_axis_index(axis, n), operator.index(start)
    start = normalize_axis_index(start + n if start < 0 else start, n + 1)  # -1: before the last
    return _moved(a, axis, start - (axis < start))


def _squeezed(a, axis=None):
    shape = shape_of(a)
    n = len(shape)
    ones = [k for k in range(-n, 0) if shape[k] == 1]
    axes = ones if axis is None else axes_of(a, axis, scalar=True)
    if any(shape[k] != 1 for k in axes):
        raise ValueError(f"np.squeeze: axis={axis!r} chooses an axis that is not of size 1 in the "
                         f"shape {shape}")
    return np.reshape(a, tuple(m for k, m in zip(range(-n, 0), shape) if k not in axes))


def _expanded(a, axis):
    n = ndim_of(a) + np.size(axis)
    new = normalize_axis_tuple(axis, n)
    sizes = iter(shape_of(a))
    return np.reshape(a, tuple(1 if k in new else next(sizes) for k in range(n)))


def _at_least(n, a):
    """NumPy's own placement of the new axes, read off an index array of that shape."""
    return np.reshape(
        a, shape_of((np.atleast_1d, np.atleast_2d, np.atleast_3d)[n - 1](np.empty(shape_of(a)))))


def _swapped(a, axis1, axis2):
    order = list(range(ndim_of(a)))
    axis1, axis2 = (normalize_axis_index(k, ndim_of(a)) for k in (axis1, axis2))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return np.transpose(a, order)


compose(np.swapaxes, _swapped,
        cases=[Case((2, 3, 4), axis1=0, axis2=-1), Case((2, 3), axis1=1, axis2=1)], kind=LINEAR)
compose(np.moveaxis, _moved, cases=[Case((2, 3, 4), source=0, destination=-1)], kind=LINEAR)
compose(np.matrix_transpose, lambda x, /: _swapped(x, -1, -2), cases=[Case((2, 3, 4))], kind=LINEAR)
compose(np.rollaxis, _rolled_axis,
        cases=[Case((2, 3, 4), axis=2), Case((2, 3, 4), axis=0, start=2)], kind=LINEAR)
compose(np.ravel, lambda a, order="C": np.reshape(
    a, -1, order="F" if in_order("np.ravel", a, order, "CFAK") else "C"), cases=[Case((2, 3))],
    kind=LINEAR)
compose(np.squeeze, _squeezed, cases=[Case((1, 3, 1)), Case((1, 3, 1), axis=0)], kind=LINEAR)
compose(np.expand_dims, _expanded, cases=[Case((2, 3), axis=1), Case((3,), axis=(0, -1))],
        kind=LINEAR)
for _n, _function in enumerate((np.atleast_1d, np.atleast_2d, np.atleast_3d), 1):
    compose(_function, lambda *arrays, _n=_n: _at_least(_n, arrays[0]) if len(arrays) == 1
            else tuple(_at_least(_n, a) for a in arrays), cases=[Case(()), Case((3,))], kind=LINEAR)
compose(np.broadcast_arrays, lambda *args, subok=False: tuple(
    np.broadcast_to(a, np.broadcast_shapes(*map(shape_of, args))) for a in args),
    cases=[Case((3, 1), (2,), call=lambda a, b: np.broadcast_arrays(a, b)[0])], kind=LINEAR)

# Compositions: joining and cutting


def along(axis, index, ndim):
    """The index that takes `index` along one axis and everything along the others."""
    return (slice(None),) * normalize_axis_index(axis, ndim) + (index,)


def _stack(arrays, axis=0, *, dtype=None, casting="same_kind"):
    arrays = list(arrays)
    if len(set(map(shape_of, arrays))) != 1:
        raise ValueError(f"np.stack: arrays of the shapes {[shape_of(a) for a in arrays]}; "
                         "expected one shape, of one array or more")
    return np.concatenate([np.expand_dims(a, axis) for a in arrays],
                          axis=normalize_axis_index(axis, ndim_of(arrays[0]) + 1), dtype=dtype,
                          casting=casting)


def _column(a):
    return np.reshape(a, (-1, 1)) if ndim_of(a) < 2 else a


def _pieces(ary, indices_or_sections, axis=0, cut=np.split, least=0):
    """The parts of np.split, cut by the places at which NumPy cuts an array of positions."""
    if ndim_of(ary) < least:
        raise ValueError(f"expected an array with {least} axes or more, got shape {shape_of(ary)}")
    parts = cut(np.arange(shape_of(ary)[axis]), indices_or_sections)
    return [ary[along(axis, slice(p[0], p[-1] + 1) if len(p) else slice(0, 0), ndim_of(ary))]
            for p in parts]


def joined(call):
    """Cases for a function that takes a list of arrays."""
    return [Case((2, 3), (2, 3), call=lambda a, b: call([a, b])),
            Case((3,), (3,), call=lambda a, b: call([a, b]))]


compose(np.stack, _stack, cases=[Case((2, 3), (2, 3), call=lambda a, b: np.stack([a, b], axis=-1)),
                                 Case((), (), call=lambda a, b: np.stack([a, b]))], kind=LINEAR)
compose(np.vstack, lambda tup, *, dtype=None, casting="same_kind": np.concatenate(
    [np.atleast_2d(a) for a in tup], dtype=dtype, casting=casting),
    cases=joined(np.vstack), kind=LINEAR)
compose(np.hstack, lambda tup, *, dtype=None, casting="same_kind": np.concatenate(
    [np.atleast_1d(a) for a in tup], axis=int(ndim_of(tup[0]) > 1), dtype=dtype, casting=casting),
    cases=joined(np.hstack), kind=LINEAR)
compose(np.dstack, lambda tup: np.concatenate([np.atleast_3d(a) for a in tup], axis=2),
        cases=joined(np.dstack), kind=LINEAR)
compose(np.column_stack, lambda tup: np.concatenate([_column(a) for a in tup], axis=1),
        cases=joined(np.column_stack), kind=LINEAR)
compose(np.append, lambda arr, values, axis=None: np.concatenate([arr, values], axis=axis),
        cases=[Case((2, 3), (2,))], kind=LINEAR)
_last = lambda parts: parts[-1]
compose(np.split, lambda ary, indices_or_sections, axis=0: _pieces(ary, indices_or_sections, axis),
        cases=[Case((6,), call=lambda x: _last(np.split(x, 3))),
               Case((2, 5), call=lambda x: _last(np.split(x, [1, 3], axis=-1)))], kind=LINEAR)
compose(np.array_split, lambda ary, indices_or_sections, axis=0: _pieces(
    ary, indices_or_sections, axis, np.array_split), kind=LINEAR,
    cases=[Case((5,), call=lambda x: np.array_split(x, 2)[0])])
compose(np.vsplit, lambda ary, indices_or_sections: _pieces(ary, indices_or_sections, least=2),
        cases=[Case((4, 2), call=lambda x: _last(np.vsplit(x, 2)))], kind=LINEAR)
compose(np.hsplit, lambda ary, indices_or_sections: _pieces(
    ary, indices_or_sections, min(1, ndim_of(ary) - 1), least=1),
        cases=[Case((2, 4), call=lambda x: _last(np.hsplit(x, 2)))], kind=LINEAR)
compose(np.dsplit, lambda ary, indices_or_sections: _pieces(ary, indices_or_sections, 2, least=3),
        cases=[Case((1, 2, 4), call=lambda x: _last(np.dsplit(x, 2)))], kind=LINEAR)
compose(np.unstack, lambda x, /, *, axis=0: tuple(np.moveaxis(x, axis, 0)),
        cases=[Case((2, 3), call=lambda x: _last(np.unstack(x, axis=1)))], kind=LINEAR)
