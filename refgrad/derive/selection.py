"""Choosing entries by position, and joining arrays: products with arrays of zeros and ones.

    y = x[index]      y_o = S_ok x_k
    scatter_add       x_k = S_ok y_o, the adjoint
"""

from __future__ import annotations

import operator

import numpy as np

from ..rules.shape import scatter_add, setitem
from .data import given_data
from .index import Delta, Factor, Index, Leaf, Sum, product, summed
from .meaning import means, tidy
from .sizes import CONDITIONS, Condition, Size
from .symbol import NoFormula, Symbol, as_symbol, axes_of, fresh_axes, paired, size_of


def selection(axes, index):
    """(axes of x[index], factors that link them to `axes`)."""
    parts = list(index) if isinstance(index, tuple) else [index]
    taking = sum(1 for p in parts if p is not None and p is not Ellipsis)
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    spot = next(k for k, p in enumerate(parts) if p is Ellipsis)
    parts[spot:spot + 1] = [slice(None)] * (len(axes) - taking)
    out, links, factors, arrays, position = [], [], [], [], []
    k = 0
    for part in parts:
        if part is None:
            out.append(())
            continue
        axis, n = axes[k], int(size_of(axes[k]))
        k += 1
        if isinstance(part, slice):
            if part.indices(n) == (0, n, 1):
                out.append(axis)
                continue
            known = rows_of_identity(axis, part)
            if known is not None:
                out.append(known.slots[0])
                factors.append(known)
                continue
            chosen = np.arange(n)[part]
            (new,) = axes_of(chosen.shape)
            out.append(new)
            links.append((new, axis, chosen, n))
        else:
            part = np.asarray(part)
            if part.dtype == bool:
                if part.ndim != 1:
                    raise NoFormula("a mask of several axes")
                part = np.flatnonzero(part)
            arrays.append((axis, part, n))
            position.append(len(out))
    if arrays:
        shape = np.broadcast_shapes(*(np.shape(p) for _, p, _ in arrays))
        widest = max((axis for axis, _, _ in arrays), key=len)
        whole = len(shape) == 1 and shape[0] == size_of(widest)
        new = fresh_axes([widest]) if whole else axes_of(shape)
        place = position[0] if len(set(position)) == 1 else 0
        out[place:place] = new
        flat = tuple(i for axis in new for i in axis)
        for axis, part, n in arrays:
            links.append((flat, axis, np.ravel(np.broadcast_to(part, shape)), n))
    for new, axis, chosen, n in links:
        chosen = np.where(chosen < 0, chosen + n, chosen)
        table = np.zeros((len(chosen), n))
        table[np.arange(len(chosen)), chosen] = 1
        if not axis:
            continue
        identity = len(chosen) == n and np.array_equal(table, np.eye(n))
        if not new:
            factors.append(Factor(given_data(table[0]), (axis,)))
        elif identity and len(new) == len(axis):
            factors.extend(Factor(Delta(), ((i,), (j,))) for i, j in zip(new, axis))
        elif identity and 1 in (len(new), len(axis)):
            factors.append(Factor(Delta(), (new, axis)))
        elif identity:
            raise NoFormula("an index along axes that were merged in different ways")
        else:
            factors.append(Factor(given_data(table), (new, axis)))
    return out, factors


def rows_of_identity(axis, part):
    """x[a:b] as I[a:b] x for all sizes of a named axis: a factor; None for others."""
    size, first, last = size_of(axis), part.start or 0, part.stop
    inside = first < 0 <= (-1 if last is None else last)
    if type(size) is not Size or len(axis) > 1 or part.step not in (None, 1) or inside:
        return None
    if first >= 0 and (last is None or last < 0):
        least, length = first - (last or 0), size + (last or 0) - first
    else:
        least, length = (-first, (last or 0) - first) if first < 0 else (last, last - first)
    if length < 2 or int(size) < least:
        return None
    if least > 1 and CONDITIONS.get() is not None:
        CONDITIONS.get().setdefault((size.value, ">=", least), Condition(size, ">=", least))
    rows = f"{first or ''}:{'' if last is None else last}"
    return Factor(Leaf(rows, (length, size), "rows"), ((Index(length),), axis))


@means(operator.getitem)
def taken(x, index):
    """The entries that an index selects."""
    x = as_symbol(x)
    if any(isinstance(p, Symbol) for p in (index if isinstance(index, tuple) else (index,))):
        raise NoFormula("an index computed from formulas")
    axes, factors = selection(x.axes, index)
    return linked(x.expression, factors, axes)


def linked(s, factors, axes):
    """The product of an expression and factors, summed over all indices but those of the axes."""
    whole = product(s, Sum.product(factors, (i for f in factors for i in f.indices)))
    kept = {i for axis in axes for i in axis}
    return Symbol(axes, tidy(summed(whole, [i for i in whole.free if i not in kept])))


@means(scatter_add)
def _scattered(x, index, shape, distinct=False):
    x = as_symbol(x)
    target = axes_of(tuple(shape))
    axes, factors = selection(target, index)
    new, merged_axes = {}, {}
    for mine, wanted in zip(x.axes, axes):
        if len(mine) > 1 and len(wanted) == 1:
            merged_axes[wanted[0]] = mine
        elif mine and wanted:
            new.update(paired(mine, wanted))
    target = [tuple(j for i in axis for j in merged_axes.get(i, (i,))) for axis in target]
    return linked(x.expression.substituted(new), [f.substituted(merged_axes) for f in factors],
                  target)


@means(setitem)
def _with_item(x, v, index):
    """What was there is taken away, and the new values are put in its place."""
    x = as_symbol(x)
    written = np.zeros(x.shape, int)
    np.add.at(written, index, 1)
    if np.max(written, initial=0) > 1:
        raise NoFormula("a write of several values to one entry")
    there = taken(x, index)
    v = as_symbol(v)
    v = np.reshape(v, v.shape[v.ndim - there.ndim:]) if v.ndim > there.ndim else v
    return x + _scattered(np.broadcast_to(v, there.shape) - there, index, x.shape)


@means(np.concatenate)
def _concatenate(*arrays, axis):
    arrays = [as_symbol(a) for a in arrays]
    sizes = [int(a.shape[axis]) for a in arrays]
    ends = np.cumsum(sizes)
    total = None
    for a, n, end in zip(arrays, sizes, ends):
        moved = np.moveaxis(a, axis, -1)
        place = np.zeros((int(ends[-1]), n))
        place[np.arange(end - n, end), np.arange(n)] = 1
        part = np.moveaxis(np.sum(moved[..., None, :] * place, axis=-1), -1, axis)
        total = part if total is None else total + part
    return total
