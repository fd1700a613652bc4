"""Sums of products: every matrix product, inner, outer and tensor product is an Einstein summation.

    C[out] = sum over all other labels of  A[a] B[b] ...

Two operands at a time: labels in both and still needed are a batch, labels in both and no longer
needed are summed over, and what remains is a matrix product, which flint's `arb_mat` does some
fifty times faster than cell by cell. The same contraction of absolute values and of ones gives the
magnitudes and the counts for `rounded_sums`.
"""

from __future__ import annotations

import math
import string

import numpy as np
from flint import arb_mat

from .arithmetic import as_cells, current_format, rounded_sums
from .array import cells_of, filled, register, wrap
from .reductions import nonzero


def einsum_of(cells, labels, out):
    """The Ball of the Einstein summation of cells, whose axes have `labels`, onto the axes
    `out`."""
    values = contract(cells, labels, out)
    if current_format() is None:
        return wrap(values)
    sizes = [as_cells(np.abs(c)) for c in cells]
    counts = contract([np.asarray(nonzero(c)) for c in cells], labels, out)
    return wrap(rounded_sums(values, contract(sizes, labels, out), counts, sizes))


def contract(arrays, labels, out):
    """The Einstein summation of object or of float arrays.  Axes of length 1 broadcast."""
    sizes = lengths(arrays, labels)
    operands = [simplify(a, names, sizes) for a, names in zip(arrays, labels)]
    total, names = operands[0]
    for k, (other, others) in enumerate(operands[1:], 2):
        needed = set(out).union(*(later for _, later in operands[k:]))
        total, names = pair(total, names, other, others, needed)
    total, names = sum_out(total, names, set(out))
    return total.transpose([names.index(n) for n in out])


def lengths(arrays, labels):
    sizes = {}
    for a, names in zip(arrays, labels):
        if a.ndim != len(names):
            raise ValueError(f"contraction: {len(names)} labels for an array of shape {a.shape}")
        for name, n in zip(names, a.shape):
            if sizes.setdefault(name, n) == 1:
                sizes[name] = n
            elif n not in (1, sizes[name]):
                raise ValueError(f"contraction: lengths {sizes[name]} and {n} do not match, "
                                 f"in arrays of shapes {', '.join(str(b.shape) for b in arrays)}")
    return sizes


def simplify(a, names, sizes):
    """Every label once: repeated ones give diagonals, axes that only broadcast go."""
    names = list(names)
    for i in reversed(range(len(names))):
        if a.shape[i] != sizes[names[i]]:
            a = a[(slice(None),) * i + (0, ...)]
            names.pop(i)
    for name in set(names):
        while names.count(name) > 1:
            i = names.index(name)
            j = names.index(name, i + 1)
            a = np.diagonal(a, 0, i, j)
            names = names[:i] + names[i + 1:j] + names[j + 1:] + [name]
    return as_cells(a), names


def sum_out(a, names, needed):
    axes = tuple(i for i, n in enumerate(names) if n not in needed)
    if not axes:
        return a, names
    total = np.add.reduce(a, axis=axes)
    total = filled(total) if a.dtype == object else np.asarray(total)
    return total, [n for n in names if n in needed]


def pair(a, left, b, right, needed):
    """The contraction of two operands, with labels batch + left + right."""
    a, left = sum_out(a, left, needed.union(right))
    b, right = sum_out(b, right, needed.union(left))
    batch = [n for n in left if n in right and n in needed]
    summed = [n for n in left if n in right and n not in needed]
    rows, columns = [n for n in left if n not in right], [n for n in right if n not in left]
    size = dict(zip(left, a.shape)) | dict(zip(right, b.shape))
    many, m, k, n = (math.prod(size[name] for name in names)
                     for names in (batch, rows, summed, columns))
    a = a.transpose([left.index(n) for n in batch + rows + summed]).reshape(many, m, k)
    b = b.transpose([right.index(n) for n in batch + summed + columns]).reshape(many, k, n)
    names = batch + rows + columns
    return products(a, b).reshape([size[name] for name in names]), names


def products(a, b):
    """Batched matrix products, (n, m, k) by (n, k, p)."""
    if a.dtype != object:
        return a @ b
    (many, m, k), p = a.shape, b.shape[-1]
    if k == 1:
        return a * b
    result = np.empty((many, m * p), object)
    for i in range(many):
        left, right = arb_mat(m, k, a[i].ravel().tolist()), arb_mat(k, p, b[i].ravel().tolist())
        result[i] = (left * right).entries()
    return result.reshape(many, m, p)


# NumPy's functions

def _ellipsis(n):
    """Labels for n broadcast axes, aligned at the last."""
    return [("...", i) for i in range(-n, 0)]


@register(np.einsum)
def einsum(subscripts, *operands, optimize=False, order="K", dtype=None, casting="safe"):
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists(subscripts, *operands)
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {len(terms)} terms for {len(operands)} operands")
    cells, labels, widest = [cells_of(x) for x in operands], [], 0
    for term, x in zip(terms, cells):
        before, dots, after = term.partition("...")
        n = x.ndim - len(before) - len(after) if dots else 0
        if n < 0 or "." in before + after:
            raise ValueError(f"einsum: term {term!r} for an array of shape {x.shape}")
        labels.append([*before, *_ellipsis(n), *after])
        widest = max(widest, n)
    if arrow:
        before, dots, after = right.partition("...")
        out = [*before, *(_ellipsis(widest) if dots else ()), *after]
    else:
        letters = left.replace(",", "").replace(".", "")
        out = _ellipsis(widest) + sorted(c for c in set(letters) if letters.count(c) == 1)
    if len(set(out)) < len(out) or not set(out) <= set().union(*labels):
        raise ValueError(f"einsum: output {right!r} repeats a label or has one that no operand has")
    return einsum_of(cells, labels, out)


def _from_lists(*args):
    """einsum(A, [0, 1], B, [1, 2], [0, 2]) as subscripts and operands."""
    letters = string.ascii_letters
    def term(numbers):
        return "".join("..." if n is Ellipsis else letters[n] for n in numbers)
    operands, terms = args[0:len(args) // 2 * 2:2], args[1::2]
    subscripts = ",".join(map(term, terms))
    return (subscripts + "->" + term(args[-1]) if len(args) % 2 else subscripts), operands


@register(np.matmul)
def matmul(a, b):
    a, b = cells_of(a), cells_of(b)
    if not (a.ndim and b.ndim):
        raise ValueError("matmul: 0-d operands are not possible, use *")
    x, y = _ellipsis(max(a.ndim - 2, 0)), _ellipsis(max(b.ndim - 2, 0))
    rows, columns = ["row"][:a.ndim - 1], ["column"][:b.ndim - 1]
    _same_length(a, -1, b, -2 if b.ndim > 1 else -1, "matmul")
    labels = [x + rows + ["sum"], y + ["sum"] + columns]
    return einsum_of([a, b], labels, max(x, y, key=len) + rows + columns)


def _same_length(a, i, b, j, name):
    if a.shape[i] != b.shape[j]:
        raise ValueError(f"{name}: shapes {a.shape} and {b.shape} do not match")


def product_along(ufunc, a_tail, b_tail, out_tail):
    """The ufuncs of one or two core dimensions, broadcast over the others."""
    def implementation(a, b):
        a, b = cells_of(a), cells_of(b)
        x, y = _ellipsis(a.ndim - len(a_tail)), _ellipsis(b.ndim - len(b_tail))
        return einsum_of([a, b], [x + [*a_tail], y + [*b_tail]], max(x, y, key=len) + [*out_tail])
    register(ufunc, implementation)


product_along(np.vecdot, "k", "k", "")
product_along(np.matvec, "mk", "k", "m")
product_along(np.vecmat, "k", "kn", "n")


@register(np.tensordot)
def tensordot(a, b, axes=2):
    a, b = cells_of(a), cells_of(b)
    if isinstance(axes, (int, np.integer)):
        first, second = range(a.ndim - axes, a.ndim), range(axes)
    else:
        first, second = (np.atleast_1d(side).tolist() for side in axes)
    return contracted(a, b, first, second, "tensordot")


def contracted(a, b, first, second, name):
    """Cells summed over pairs of axes."""
    left, right = [("a", i) for i in range(a.ndim)], [("b", i) for i in range(b.ndim)]
    for i, j in zip(first, second, strict=True):
        _same_length(a, i, b, j, name)
        left[i] = right[j] = ("sum", i)
    return einsum_of([a, b], [left, right], [n for n in left + right if n[0] != "sum"])


@register(np.dot)
def dot(a, b):
    a, b = cells_of(a), cells_of(b)
    if not (a.ndim and b.ndim):
        return np.multiply(wrap(a), wrap(b))
    return contracted(a, b, [-1], [-2 if b.ndim > 1 else -1], "dot")


@register(np.inner)
def inner(a, b):
    a, b = cells_of(a), cells_of(b)
    if not (a.ndim and b.ndim):
        return np.multiply(wrap(a), wrap(b))
    return contracted(a, b, [-1], [-1], "inner")


@register(np.outer)
def outer(a, b):
    return einsum_of([cells_of(a).ravel(), cells_of(b).ravel()], ["a", "b"], "ab")


@register(np.vdot)
def vdot(a, b):
    return contracted(cells_of(a).ravel(), cells_of(b).ravel(), [0], [0], "vdot")


@register(np.kron)
def kron(a, b):
    """The blocks a[i, j] b."""
    a, b = cells_of(a), cells_of(b)
    n = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (n - x.ndim) + x.shape) for x in (a, b))
    labels = [[(name, i) for i in range(n)] for name in "ab"]
    out = [label for both in zip(*labels) for label in both]
    return einsum_of([a, b], labels, out).reshape([m * k for m, k in zip(a.shape, b.shape)])
