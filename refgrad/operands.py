"""The operands that may be combined with a traced array: real numbers, real arrays, and arrays that
speak NumPy's protocols.

Anything else raises a TypeError that says what was given and what to write instead, because NumPy
would otherwise treat it wrongly: a masked array would lose its mask, the product of an np.matrix
would become entrywise, the derivative of a complex function is not a real number."""

from __future__ import annotations

import functools
import math

import numpy as np

from .errors import describe, way_out_of

#: dtypes of real numbers: floats, signed and unsigned integers, truth values.
REAL = frozenset("efdgbhilqBHILQ?")
#: Python's and NumPy's own numbers, and None, which stands for an argument that is left out.
NUMBERS = {
    int,
    float,
    bool,
    type(None),
    *(t for t in np.sctypeDict.values() if np.dtype(t).char in REAL),
}
#: Parameters, and parts of a tuple of them, that nobody can overwrite, and in which no array is.
ATOMS = {int, float, bool, str, slice, type(None), type(Ellipsis)}
#: What the arguments of an operation consist of, besides arrays of other kinds.
PLAIN = NUMBERS | {np.ndarray, str, slice, type(Ellipsis), *(type(np.dtype(c)) for c in REAL)}


def has_nan(x) -> bool:
    """Whether an entry of a plain array or number is nan: one sum tells where none is."""
    if not isinstance(x, (np.ndarray, np.floating)) or x.dtype.kind != "f":
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(np.add.reduce(x, axis=None)) and np.isnan(x).any())


def is_finite(x) -> bool:
    """Whether the sum of the squares of a plain array is finite, so that each entry is."""
    flat = x.ravel("K")
    with np.errstate(all="ignore"):
        return math.isfinite(flat.dot(flat))


def admitted(x, where: str):
    """`x` as the other operand of a traced array: itself, or a plain array of the same numbers.

    Raises TypeError, which starts with `where`, if x is not an array of real numbers.
    """
    kind = type(x)
    if kind in NUMBERS:
        return x
    if kind is np.ndarray:
        return x if x.dtype.char in REAL else _converted(x, where)
    if kind is list or kind is tuple:
        return admitted(np.asarray(x), where)
    if isinstance(x, np.ndarray) and not speaks(kind):
        if isinstance(x, (np.matrix, np.ma.MaskedArray)):
            raise _refused(
                x,
                where,
                "Its operators are not those of an array: pass a plain one, np.asarray(x)"
                if isinstance(x, np.matrix)
                else "The mask would be lost: pass x.filled(value), with np.where(x.mask, ...)",
            )
        return admitted(np.asarray(x), where)  # a memory-mapped file, say
    if isinstance(x, np.generic) or kind is complex:
        return admitted(np.asarray(x), where)
    foreign = way_out_of(kind)
    if foreign is not None:
        raise _refused(x, where, foreign)
    if speaks(kind) or kind.__module__.startswith("refgrad."):
        return x
    raise _refused(
        x, where, "Convert it to an array of numbers, or pass the data through a closure"
    )


@functools.cache
def speaks(kind) -> bool:
    """Whether a type overrides NumPy's functions, so that its arrays are not converted."""
    plain = np.ndarray.__array_ufunc__
    return getattr(kind, "__array_ufunc__", plain) not in (plain, None)


@functools.cache
def is_foreign(kind) -> bool:
    """Whether a type is one of another library's arrays, which do not know refgrad's primitives.

    A type that does know them says so (_knows_primitives = True): each is offered to its
    ``__array_function__``, as NumPy's functions are.
    """
    return (
        speaks(kind)
        and hasattr(kind, "__array_function__")
        and hasattr(kind, "shape")
        and not issubclass(kind, np.generic)
        and not getattr(kind, "_knows_primitives", False)
    )


@functools.cache
def takes_over(kind) -> bool:
    """Whether an operator is the other operand's business: it opts out, or wraps arrays."""
    package = kind.__module__.partition(".")[0]
    return getattr(kind, "__array_ufunc__", 0) is None or package in (
        "xarray",
        "scipy",
        "pint",
        "astropy",
    )


def _converted(x, where):
    """An object array of numbers as floats; anything else is refused, complex numbers too."""
    if x.dtype.kind == "O":
        if all(type(v) in NUMBERS and v is not None for v in x.flat):
            return x.astype(float)
        raise _refused(
            x, where, "Convert it: x.astype(float); np.stack makes an array of traced numbers"
        )
    if x.dtype.kind == "c":
        raise _refused(
            x,
            where,
            "Complex numbers are not differentiated: write real and imaginary part as two real "
            "arrays, np.cos(x) and np.sin(x) for np.exp(1j * x)",
        )
    raise _refused(x, where, "Convert it to an array of numbers, or leave it out")


def _refused(x, where, way_out):
    plain = type(x) is np.ndarray or isinstance(x, np.generic)
    what = describe(x) if plain else f"{type(x).__name__} of {type(x).__module__}"
    return TypeError(f"{where}: {what} cannot stand beside a traced array. {way_out}.")
