"""Locates a fault within a gradient.  It describes the pattern of the wrong entries in words: off
by one factor everywhere, one row or column, transposed, the gradient of another input, the
cotangent of a result ignored.

The true gradient is known by slopes of the function along single entries, or, of larger arrays,
along random directions that are confined to one slice of an axis each.
"""

from __future__ import annotations

import numpy as np

from .formats import format_named
from .modes import Mode
from .verdict import TYPICAL

#: Arrays with more entries than this are looked at slice by slice; along at most so many slices of
#: an axis.
ENTRIES, SLICES = 64, 48

#: With more entries than this in all inputs fewer slices are looked at, at least `FEW`; then no
#: slice is named.
LARGE, FEW = 10_000, 6

#: Numbers that differ by less than this part of their size are taken for the same.
SAME = 1e-5

NOTHING = "it is 0 everywhere: nothing flows back"


def pattern(trial, name, dtype):
    """What is wrong with the gradient with respect to `name`, in words; "" where no pattern
    shows."""
    given = np.asarray(trial.answers[dtype][Mode.REVERSE][name], float)
    if given.shape != trial.point.x[name].shape or not given.size or not np.isfinite(given).all():
        return ""
    if given.size > ENTRIES:
        return _of_slices(trial, name, given)
    true = _entries(trial, name)
    if true is None:
        return ""
    wrong = _differ(given, true, dtype)
    if not wrong.any():
        return ""
    return (_another(trial, name, given, true) or _ignored(trial, name, given)
            or _factor(given, true) or _place(given, wrong))


def _entries(trial, name):
    """The true gradient, entry by entry; None where a slope is not known."""
    x = trial.point.x[name]
    found = np.empty(x.size)
    for n in range(x.size):
        left, right, _, smooth = trial.known.slopes({name: np.eye(1, x.size, n).reshape(x.shape)})
        if not smooth:
            return None
        found[n] = (left + right) / 2
    return found.reshape(x.shape)


def _differ(given, true, dtype):
    """Which entries are wrong, beyond what rounding in the dtype explains."""
    size = float(np.max(np.abs(true)) or np.max(np.abs(given)))
    return np.abs(given - true) > max(SAME,
                                      TYPICAL * np.sqrt(format_named(dtype).eps)) * 1e-3 * size


def _same(a, b):
    """Are two arrays the same, relatively to their largest entry?"""
    return a.shape == b.shape and bool(np.max(np.abs(a - b)) <= SAME * np.max(np.abs(b)))


def _another(trial, name, given, true):
    """Is it transposed, 0, or the gradient with respect to another input?"""
    if true.ndim == 2 and _same(given, true.T) and not _same(true, true.T):
        return "it is transposed"
    if not given.any():
        return NOTHING
    if true.ndim > 1 and true.shape[-1] == true.shape[-2]:
        halves = np.tril(true, -1), np.triu(true, 1)
        both = [a + a.swapaxes(-1, -2) for a in (given, true)]
        if sum(half.any() for half in halves) == 1 and _same(*both):
            return ("f reads one triangle, and the slopes are shared with the other, which is "
                    "right along symmetric directions alone: give a symmetric matrix to have these "
                    "checked")
    for other, x in trial.point.x.items():
        if other != name and x.shape == given.shape:
            theirs = _entries(trial, other)
            if theirs is not None and theirs.any() and _same(given, theirs):
                return f"it is the gradient with respect to {other}"
    return ""


def _ignored(trial, name, given):
    """Would the gradient be right if the cotangent of one of several results were 0?"""
    several = len(trial.known.weights) > 1
    for k in range(len(trial.known.weights)) if several else ():
        true = _entries(trial.without_result(k), name)
        if true is not None and _same(given, true):
            return f"the cotangent of result {k} is ignored"
    return ""


def _factor(given, true):
    """Is it off by one factor in all entries?"""
    known = np.abs(true) > SAME * np.max(np.abs(true))
    if not known.any():
        return ""
    factor = float(np.median(given[known] / true[known]))
    if not _same(given, factor * true) or abs(factor - 1) < SAME:
        return ""
    return f"off by the factor {factor:.6g} everywhere{_meaning(factor)}"


def _meaning(factor):
    """What a factor may come from."""
    if abs(factor + 1) < SAME:
        return ": its sign is turned"
    if abs(factor - round(factor)) < SAME * abs(factor) and factor > 1:
        return (f": a factor of 1/{round(factor)} is missing (a sum where a mean is due?)"
                if factor > 2 else (": it is twice as large as it should be"))
    if factor > 0 and abs(1 / factor - round(1 / factor)) < SAME / factor:
        return f": a factor of {round(1 / factor)} is missing" + (
            " (a mean where a sum is due?)" if round(1 / factor) > 2 else "")
    return ""


def _place(given, wrong):
    """The rows, columns or slices to which the wrong entries are confined."""
    for axis in range(given.ndim):
        others = tuple(k for k in range(given.ndim) if k != axis)
        rows = np.flatnonzero(wrong.any(axis=others))
        if len(rows) == 1 and given.shape[axis] > 1 and (given.ndim == 1 or wrong.sum() > 1):
            part = np.take(given, rows[0], axis=axis)
            return _slice(axis, rows[0], given.shape) + (": it is 0" if not part.any() else "")
    count = int(wrong.sum())
    return f"{count} of {given.size} entries are wrong" if count < given.size else ""


def _slice(axis, n, shape):
    """The words about a slice that alone is wrong."""
    last = " (the last)" if n == shape[axis] - 1 and n else ""
    if len(shape) == 1:
        return f"entry {n}{last} alone is wrong"
    if len(shape) == 2:
        return f"{('row', 'column')[axis]} {n}{last} alone is wrong"
    return f"index {n} of axis {axis}{last} alone is wrong"


def _of_slices(trial, name, given):
    """What is wrong with the gradient of a large array, by one slope for each slice of each
    axis."""
    rng = np.random.default_rng(given.size)
    v = rng.uniform(0.5, 2.0, given.shape) * rng.choice([-1.0, 1.0], given.shape)
    size = sum(a.size for a in trial.point.x.values())
    most = int(np.clip(SLICES * LARGE // size, FEW, SLICES))
    factors = []
    for axis, n in enumerate(given.shape):
        chosen = np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
        wrong, zero = [], []
        for k in chosen:
            part = tuple(slice(None) if a != axis else slice(k, k + 1) for a in range(given.ndim))
            d = np.zeros(given.shape)
            d[part] = v[part]
            left, _, width, smooth = trial.known.slopes({name: d})
            if not smooth:
                return ""
            told, terms = (float(np.sum(given[part] * v[part])),
                           float(np.sum(np.abs(given[part] * v[part]))))
            off = abs(told - left) > width + SAME * 1e-3 * max(terms, abs(left))
            wrong.append(off)
            zero.append(not given[part].any())
            factors.append(told / left if abs(left) > SAME * terms else np.nan)
        if sum(wrong) == 1 < len(chosen) and most == SLICES:
            at = wrong.index(True)
            return _slice(axis, int(chosen[at]), given.shape) + (": it is 0" if zero[at] else "")
    known = [f for f in factors if np.isfinite(f)]
    if not known:
        return ""
    if not given.any():
        return NOTHING
    factor = float(np.median(known))
    if np.ptp(known) <= SAME * abs(factor) and abs(factor - 1) > SAME:
        return f"off by the factor {factor:.6g} everywhere{_meaning(factor)}"
    return ""
