"""Optimization passes that make a straight-line program shorter or faster; they run one after the
other.

Each takes the program, which knows shapes and dtypes, and a list of operations, and returns a new
list.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np

from .operations import ADD_AT, INFIX, Array, references, replaced
from .rules.shape import scatter_add, setitem, takes_each_once

#: For arrays with fewer entries, making a new array costs less than finding a free one.
LARGE = 2048
#: Of so many parts it is known where they are, so that the next is assigned and not added.
PARTS = 64


def is_plain(index):
    """Whether no computed array stands in an index: that is a tuple too, and may repeat entries."""
    return not any(type(i) is Array for i in (index, *(index if type(index) is tuple else ())))


def once(program, operations):
    """Common subexpressions: equal views of one array, and equal computations of small arrays, are
    done once."""
    known, same, kept = {}, {}, []
    for op in operations:
        key = None
        if not same.keys().isdisjoint(op.reads):
            op.read(_renamed(op.arrays, same), _renamed(op.params, same))
        if op.is_view:
            key = op.function, op.arrays, repr(op.params)
        elif op.is_ufunc and op.made and op.made[0].size < LARGE:
            key = op.function, repr(op.errors) if op.errors else "", *(
                a if type(a) is Array else id(a) for a in op.arrays)
        if key is not None:
            first = known.setdefault(key, op.results[0])
            if op.function is np.reshape and program.shape(op.arrays[0]) == np.shape(op.made[0]):
                first = op.arrays[0].number
            if first != op.results[0]:
                same[op.results[0]] = first
                continue
        kept.append(op)
    program.outputs = _renamed(program.outputs, same)
    return kept


def _renamed(x, same):
    return replaced(x, lambda v: Array(same.get(v.number, v.number)) if type(v) is Array else v)


def without_broadcasts(program, operations):
    """A broadcast is dropped if the elementwise operation that reads it broadcasts anyway.

    A constant array whose entries are all equal is replaced by one of them.
    """
    source = {}
    for op in operations:
        if op.function is np.broadcast_to and type(op.arrays[0]) is Array:
            source[op.results[0]] = op.arrays[0]
        elif op.is_ufunc and op.function is not np.matmul:
            for i, a in enumerate(op.arrays):
                if type(a) is Array:
                    a = source.get(a.number)
                elif type(a) is np.ndarray and a.size > 1 and op.function in INFIX:
                    a = a.flat[0] if a.tobytes() == a.flat[0].tobytes() * a.size else None
                else:
                    a = None
                if a is not None:
                    instead = (*op.arrays[:i], a, *op.arrays[i + 1:])
                    if np.broadcast_shapes(*map(program.shape, instead)) == np.shape(op.made[0]):
                        op.read(instead, op.params)
    return operations


def as_products(program, operations):
    """Division by a power of two becomes a product with its reciprocal, which is equal to the last
    bit."""
    for op in operations:
        if op.function is np.divide and op.made[0].dtype.char in "fd" and (
                type(op.arrays[1]) in (int, float) and (
                    program.dtype(op.arrays[0]) == op.made[0].dtype)):
            mantissa, exponent = math.frexp(op.arrays[1])
            if abs(mantissa) == 0.5 and abs(exponent) < 100:
                op.function, op.arrays = np.multiply, (op.arrays[0], 1 / op.arrays[1])
    return operations


def added_where_nonzero(program, operations):
    """An array that is 0 except for some entries is added to another only at those entries.

    If the other is 0 there, the entries are assigned instead of added.  Elsewhere -0.0 then stays
    -0.0, so this is not done to arrays that must be the same to the last bit.
    """
    parts = {op.results[0]: op for op in operations if op.function is scatter_add
             and is_plain(op.params["index"]) and takes_each_once(op.params["index"])}
    if not parts:
        return operations
    uses = Counter(itertools.chain(references(program.outputs), *(op.reads for op in operations)))
    filled = {n: [op.params["index"]] for n, op in parts.items()}  # elsewhere the array is 0
    added = set()
    for op in operations:
        if op.function is not np.add or op.results[0] in program.exact:
            continue
        for x, y in (op.arrays, op.arrays[::-1]):
            if type(x) is type(y) is Array and y.number in parts and uses[y.number] == 1 and (
                    program.kinds[x.number] == program.kinds[y.number]):
                part = parts[y.number]
                index, before = part.params["index"], filled.get(x.number)
                is_zero = before is not None and all(are_apart(index, i) for i in before)
                op.function = setitem if is_zero else ADD_AT
                op.read((x, *part.arrays), {"index": index})
                if before is not None and len(before) < PARTS:
                    filled[op.results[0]] = [*before, index]
                added.add(y.number)
                break
    return [op for op in operations if not added.intersection(op.results)]


def are_apart(i, j):
    """Whether two indices of slices and numbers provably have no entry in common."""
    i, j = (k if type(k) is tuple else (k,) for k in (i, j))
    if [*map(type, i)] != [*map(type, j)] or not {*map(type, i)} <= {slice, int, type(...)}:
        return False
    spans = [(_span(a), _span(b)) for a, b in zip(i, j) if a is not ...]
    return any(a[1] <= b[0] or b[1] <= a[0] for a, b in spans)


def _span(a):
    """The range of entries of an axis that a slice or a number takes; the whole axis if it is not
    known."""
    if type(a) is int:
        a = slice(a, a + 1)
    first, end = a.start or 0, math.inf if a.stop is None else a.stop
    is_clear = 0 <= first and 0 <= end and (a.step is None or a.step > 0)
    return (first, end) if is_clear else (-math.inf, math.inf)
