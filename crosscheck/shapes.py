"""Points with other shapes and indices than the caller's, at which the derivative must be right,
too, if the function accepts them."""

from __future__ import annotations

import numpy as np

from .points import BUDGET, FEWEST, Point, is_whole

#: The label that torch's losses ignore.
IGNORED = -100

#: The label of the point with the indices 0 and the largest given.
ENDS = "indices at both ends"


def elsewhere(x, constants, resizable):
    """Yield lists of `Point`s, of each of which the first is tried at which the function has a
    value.

    resizable  names of the inputs whose shapes may be varied
    """
    for label, changed in _indices(x, constants):
        yield [Point(label, x, constants=changed, foreign=label == ENDS)]
    for label, length in (("a batch of one", 1), ("a batch of two", 2)):
        batch = resized(length, x, constants, resizable)
        if batch:
            yield [Point(label, batch[0], constants=batch[1], foreign=True, together=length > 1)]
    yield from _doubled(x, constants, resizable)
    yield from _shortened(x, constants, resizable)
    if sum(a.size for a in x.values()) > BUDGET // FEWEST or len(x) == 1:
        return
    for k in filter(resizable.__contains__, x):
        for label, change in (("of size 1", _cut), ("of size 2", _enlarged)):
            moved = [change(x[k], axis) for axis in range(x[k].ndim)]
            yield [Point(f"{k} {label} along axis {axis}", {**x, k: a}, foreign=True)
                   for axis, a in enumerate(moved) if a.shape != x[k].shape]
    for a in x:
        for b in x:
            if (a < b and x[a].shape != x[b].shape and {a, b} <= set(resizable)
                    and _broadcast(x[a], x[b])):
                swapped = {**x, a: np.resize(x[a], x[b].shape), b: np.resize(x[b], x[a].shape)}
                yield [Point(f"{a} and {b} with their shapes exchanged", swapped, foreign=True)]


def _doubled(x, constants, resizable):
    """Yield the points at which an axis, not the first, that has size 1 in all inputs has size
    2."""
    arrays = {n: a for n, a in {**constants, **x}.items() if getattr(a, "shape", ())}
    depth = max((a.ndim for a in x.values()), default=0)
    for axis in range(1, depth):
        ones = [n for n, a in arrays.items() if len(a.shape) == depth]
        if all(arrays[n].shape[axis] == 1 and n in resizable for n in ones):
            double = {n: arrays[n][(slice(None),) * axis + ([0, 0],)] for n in ones}
            yield [_of_all(f"size 2 along axis {axis}", x, double)]


def _shortened(x, constants, resizable):
    """Yield the points at which axes of one size, in all inputs, are shorter: no other array is
    broadcast to that, and f has to take it as it is.  By one entry, or by two where their number is
    even, since a function that takes entries in pairs need not be meant for an odd number."""
    arrays = {n: a for n, a in {**constants, **x}.items()
              if n in resizable and getattr(a, "shape", ())}
    shorter = {n: n - 1 if n % 2 else n - 2 for a in x.values() for n in a.shape if n > 2}
    alternatives = [shorter, *({n: shorter[n]} for n in sorted(shorter) if len(shorter) > 1)]
    if shorter:
        yield [_of_all("fewer entries along all axes" if chosen == shorter
                       else f"{chosen[n]} entries in the place of {n}",
                       x, {k: a[tuple(slice(chosen.get(m, m)) for m in a.shape)]
                           for k, a in arrays.items()})
               for chosen in alternatives for n in [max(chosen)]]


def _of_all(label, x, changed):
    """The `Point` with other arrays, all resized together."""
    return Point(label, {k: changed.get(k, a) for k, a in x.items()},
                 constants={n: a for n, a in changed.items() if n not in x}, foreign=True,
                 together=True)


def resized(length, x, constants, resizable):
    """(x, constants) with that many entries along the first axis of the first input, and of all
    that share its length; None if it has them already or has no such axis.  Only a single entry is
    repeated."""
    first = next((a for k, a in x.items() if k in resizable), np.zeros(()))
    if (not first.ndim or first.shape[0] == length
            or first.shape[0] < length and first.shape[0] != 1):
        return None
    size = first.shape[0]

    def part(name, a):
        shape = getattr(a, "shape", ())
        if not len(shape) or shape[0] != size or name not in resizable:
            return a
        if size < length:
            return a[[0] * length]
        square = tuple(shape) == (size, size)  # a matrix that stays one
        return a[:length, :length] if square else a[:length]

    return {k: part(k, a) for k, a in x.items()}, {k: part(k, a) for k, a in constants.items()}


def shares_rows(ys, whole):
    """Are the results at another length of the first axis rows of those at the caller's?  Then that
    axis is that of a batch."""
    def same(y, w):
        if np.ndim(y) != np.ndim(w) or not np.ndim(y) or len(y) == len(w):
            return False
        return np.shape(y)[1:] == np.shape(w)[1:] and np.allclose(y[:1], w[:1], rtol=1e-3)
    return len(ys) == len(whole) and all(map(same, ys, whole))


def _indices(x, constants):
    """(label, other values for the constants): integers at both ends, and with one that is
    ignored."""
    whole = {n: a for n, a in constants.items() if is_whole(a)}
    if whole:
        yield ENDS, {n: alternating(a, 0, int(a.max())) for n, a in whole.items()}
        signed = not any("uint" in str(a.dtype) for a in whole.values())
        # In a longer array it may count from the end.
        if signed and all(n < -IGNORED for a in x.values() for n in a.shape):
            yield f"an index of {IGNORED}", {n: alternating(a, IGNORED) for n, a in whole.items()}


def alternating(a, *values):
    """A copy with these values at the first entries, the others as they were."""
    b = a.clone() if hasattr(a, "clone") else a.copy()
    for k, value in enumerate(values):
        b[np.unravel_index(k, tuple(b.shape))] = value
    return b


def _cut(a, axis):
    """The first entries along an axis; without any the array as it is."""
    return np.array(a[(slice(None),) * axis + (slice(1),)])


def _enlarged(a, axis):
    return np.repeat(a, 2, axis=axis) if a.shape[axis] == 1 else a


def _broadcast(a, b):
    try:
        return np.broadcast_shapes(a.shape, b.shape) in (a.shape, b.shape)
    except ValueError:
        return False
