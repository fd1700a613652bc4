"""What a rule reads in the backward sweep is what the operation read when it ran.

A program may overwrite its arrays between an operation and the backward sweep (a buffer that is
used again, an index list, ``W *= 2``).  So reverse mode never keeps an array of the program's by
reference alone:

- a small array is copied, and so is a list or an array in an index;
- a large array is kept by reference, together with a fingerprint of its numbers.  The sweep
  computes the fingerprint again, and raises `Overwritten` if it differs.
"""

from __future__ import annotations

import inspect
from sys import getrefcount

import numpy as np

from .errors import Overwritten, describe

#: Arrays of at least so many entries are fingerprinted instead of copied.
LARGE = 1 << 15
#: Below this many entries an array is copied each time; above, an equal copy is used again.
REUSED = 1 << 12
#: The length of a fingerprint: a prime, so that moving entries by a row, a column or a block
#: changes it.
COLUMNS = 1021


def fingerprint(x: np.ndarray) -> bytes:
    """A position-dependent checksum of an array: `COLUMNS` sums of every COLUMNS-th word, modulo
    2^64.

    One changed entry always changes it.  It reads memory once, at the speed of a sum.
    """
    if not (x.flags.c_contiguous or x.flags.f_contiguous):
        x = x.copy()
    words = x.ravel(order="K").view(np.uint8)
    size = next(n for n in (8, 4, 2, 1) if words.size % n == 0)
    words = words.view(f"u{size}")
    rows = words.size // COLUMNS
    sums = np.add.reduce(words[: rows * COLUMNS].reshape(rows, COLUMNS), axis=0, dtype=np.uint64)
    rest = words[rows * COLUMNS :]
    sums[: rest.size] += rest
    return sums.tobytes()


def owner_of(x: np.ndarray) -> np.ndarray:
    """The array that owns the memory of x.

    NumPy puts objects of another type between windows that slide over an array and the array.
    """
    base = x.base
    while base is not None:
        if type(base) is np.ndarray:
            x = base
        base = getattr(base, "base", None)
    return x


def _references(x):
    """The reference count of an object that is passed straight from a list, without a name."""
    return getrefcount(x)


#: The references to an array that nothing but one list holds.
_HELD = [np.empty(1)]
_ONCE = _references(_HELD[0])


def is_only_holder(arrays: list, position: int) -> bool:
    """Whether only a list holds the array there, and only the array its memory, all of it.

    CPython counts references, so whoever else keeps the array, or a view of its memory, is seen.
    """
    if type(arrays[position]) is not np.ndarray or _references(arrays[position]) != _ONCE:
        return False
    x = arrays[position]
    flags = x.flags
    if x.base is None:
        return flags.owndata and flags.writeable
    return (
        flags.writeable
        and flags.forc  # no two of its entries share memory
        and type(x.base) is np.ndarray
        and _references(x.base) == _ONCE
        and x.base.flags.owndata
        and x.base.size == x.size
    )


class Snapshots:
    """The arrays of the program that one tape keeps."""

    def __init__(self):
        self.copies = {}  # id -> (array, its latest copy)
        self.watched = {}  # id -> (array, fingerprint, what read it)

    def of(self, x: np.ndarray, reader) -> np.ndarray:
        """The array as it is now, for a rule that reads it later.

        reader  who read it, for the error: a text, or a primitive and which of its arguments
        """
        if x.size < REUSED:
            return x.copy("K")
        if x.size >= LARGE:
            return self.watch(x, reader)
        known = self.copies.get(id(x))
        if known is not None and known[1].tobytes() == x.tobytes():
            return known[1]
        copy = x.copy("K")
        self.copies[id(x)] = x, copy
        return copy

    def watch(self, x: np.ndarray, reader) -> np.ndarray:
        """The array itself; `verify` raises if its numbers have changed by then."""
        now = fingerprint(x)
        known = self.watched.setdefault(id(x), (x, now, reader))
        if known[1] != now:
            raise Overwritten(_described(known[2]), describe(x))
        return x

    def within(self, p, reader):
        """A parameter (an index, say) with snapshots of the arrays and lists in it."""
        kind = type(p)
        if kind is np.ndarray:
            return p.copy("K") if p.size < REUSED else self.of(p, reader)
        if kind is tuple or kind is list:
            return kind([q if type(q) is int else self.within(q, reader) for q in p])
        if kind is dict:
            return {k: self.within(q, reader) for k, q in p.items()}
        return p

    def verify(self):
        """Raise `Overwritten` if a large array has changed since an operation read it."""
        for x, then, reader in self.watched.values():
            if fingerprint(x) != then:
                raise Overwritten(_described(reader), describe(x))


def _described(reader):
    """'np.multiply, argument x2,' for a primitive and the position of its argument."""
    if isinstance(reader, str):
        return reader
    primitive, argument = reader
    if isinstance(argument, int):
        try:
            argument = list(inspect.signature(primitive.function or primitive.forward).parameters)[
                argument
            ]
        except (TypeError, ValueError, IndexError):
            argument += 1
    return f"{primitive.name}, argument {argument},"
