"""Errors that name the function, the argument, what was given, and what to write instead."""

from __future__ import annotations

import functools
import inspect
import re

import numpy as np


def describe(x) -> str:
    """'float64[3,4]' for an array, the type's name for anything else."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"{x.dtype}[{','.join(map(str, x.shape))}]"
    return type(x).__name__


def describe_call(name, function, args, kwargs) -> str:
    """'np.roll(a=float64[3], shift=float64[])': a call with the names that the function gives its
    arguments."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # no signature, or not one that fits
        given = {**dict(enumerate(args)), **kwargs}
    return f"{name}({', '.join(f'{k}={describe(x)}' for k, x in given.items())})"


class Refused(TypeError):
    """A call that cannot be differentiated, or only if it is written in another way."""

    def __init__(self, message):
        self.message = message
        super().__init__(message)

    def within(self, rule, args, kwargs):
        """Put the outermost NumPy function around it before the error, if that names another."""
        if not re.match(re.escape(rule.name) + r"\b(?!\.)", str(self)):
            call = describe_call(rule.name, rule.function, args, kwargs)
            self.args = (f"{call}: {self.message}",)


class NoRule(Refused):
    """A function was called on a traced array that has no differentiation rule."""

    def __init__(self, function, how="", way_out=""):
        super().__init__(
            f"{function}{' ' + how if how else ''} has no differentiation rule. "
            + (way_out or not how and instead_of(function) or
               "Write it with functions that have one (refgrad.functions() lists them), or declare "
               "its jvp and vjp with refgrad.custom (help(refgrad.custom) has an example)."))


_COMPLEX = ("Complex numbers are not differentiated: with a = 2 np.pi k n / N for the "
            "frequencies k and the places n, np.cos(a) @ x and -np.sin(a) @ x are the real and the "
            "imaginary part.")
#: From a function of NumPy, or a module of it, to what to write instead.
INSTEAD = {
    **dict.fromkeys(
        ("np.linalg.eig", "np.linalg.eigvals"),
        "Its eigenvalues may be complex, which are not differentiated. For symmetric matrices use "
        "np.linalg.eigh or np.linalg.eigvalsh."),
    "np.full": "Write np.full(shape, x, like=x).",
    "np.full_like": "Write np.full(np.shape(a), x, like=x).",
    "np.r_": "Write np.concatenate([x, y]).", "np.c_": "Write np.column_stack([x, y]).",
    "np.vectorize": "Call the function itself on the array, or write np.stack([f(t) for t in x]).",
    "np.require": "Leave it out: a traced array is as it is.",
    "np.asarray_chkfinite": "Leave it out, or ask np.all(np.isfinite(x)).",
    "np.as_strided": "Write np.lib.stride_tricks.sliding_window_view(x, window_shape).",
    "np.sort_complex": "Write np.sort(x), which stays real.",
    "np.roots": "Roots may be complex. For real ones, r = np.roots(p) of plain numbers, r - "
                "np.polyval(p, r) / np.polyval(np.polyder(p), r) has the values and derivatives.",
    "np.polynomial": "Write np.polyval(c[::-1], x), np.polymul and so on, which take the highest "
                     "power first.",
    "np.lib.scimath": "It makes complex numbers of what is outside of the domain: write np.sqrt, "
                      "np.log, ..., which are nan there.",
    "np.fft": _COMPLEX,
}


def instead_of(function):
    """What to write instead of a function, given by its name, or else of its module's functions."""
    while function not in INSTEAD and "." in function:
        function = function.rpartition(".")[0]
    return INSTEAD.get(function, "")


class InPlaceWrite(Refused):
    """An array would have been overwritten that must keep its values, or that cannot hold traced
    ones."""

    def __init__(self, function, what="", way_out=""):
        super().__init__(
            f"{function} writes in place{' (' + what + ')' if what else ''}, which would leave old "
            "numbers behind. " + (way_out or (
                "Make a new array: x = x + y for x += y, np.where(mask, value, x) for "
                "x[mask] = value, np.concatenate or np.stack to assemble one from parts.")))


class LostTrace(Refused):
    """A traced array would have become a plain number, and its derivative would have been lost.

    The level remembers it: a program that catches it, or a NumPy function that reports it as
    another error, does not hide it (see `Level.__exit__`).
    """

    def __init__(self, function, tracer, way_out=""):
        tracer.level.lost = self
        super().__init__(
            f"{function} was given {describe(tracer)} that {tracer.level.purpose}, "
            "and would lose the trace. "
            + (way_out or instead_of(function.partition("(")[0]) or
               "Keep it an array:\n  np.stack([x, y])              for np.array([x, y])\n"
               "  a = np.zeros(shape, like=x)   for an array to write into, a[i] = x; x must be an "
               "array\n  np.where(mask, x, a)          for a[mask] = x\n"
               "  A @ x                         for A.dot(x)\n  NumPy's functions for math's, and "
               "has_aux=True to return a value as it is."))


class Overwritten(RuntimeError):
    """An array was overwritten after an operation had read it, and before the backward sweep needed
    its numbers."""

    def __init__(self, reader, array):
        super().__init__(
            f"{reader} read {array}, which the program overwrote before the backward sweep needed "
            "those numbers. Give the operation an array of its own: np.copy(x) for x, or x = x + "
            "y for x += y.")


def encloses_itself(name):
    """The error for a function that is a single operation on the tape, but closes over an array
    traced by that tape."""
    return TypeError(f"{name}: the function closes over a traced array, whose gradient would be "
                     "lost; pass it as an argument")


class ClosedLevel(RuntimeError):
    """A traced array outlived the transform that made it."""

    def __init__(self, function):
        super().__init__(
            f"{function} was given a traced array of a transform that has already returned. It "
            "leaked out of the differentiated function (through a global, a closure or a cache): "
            "return it instead, with has_aux=True if it is not part of the result.")


#: From the package that defines a type to the way out.
WAYS_OUT = {
    "torch": "Convert it: tensor.detach().cpu().numpy()",
    "jax": "Convert it: np.asarray(x)", "jaxlib": "Convert it: np.asarray(x)",
    "tensorflow": "Convert it: x.numpy()",
    "pandas": "Its labels have no meaning here: pass x.to_numpy()",
    "scipy": "Sparse arrays are not differentiated: pass x.toarray()",
}


@functools.cache
def way_out_of(kind):
    """What to write instead of an array of a library whose arrays do not follow NumPy's rules; None
    for others."""
    return WAYS_OUT.get(kind.__module__.partition(".")[0])


def check_leaf(x, function: str, where: str):
    """`x` as an array that can be differentiated, or an error that says why it cannot."""
    foreign = way_out_of(type(x))
    if foreign is not None:
        raise TypeError(f"{function}: {where} is a {type(x).__name__} of {type(x).__module__}; "
                        f"expected an array of NumPy's. {foreign}.")
    if not hasattr(x, "dtype"):
        if isinstance(x, bool) or not isinstance(x, (int, float, complex)):
            raise TypeError(f"{function}: {where} is {type(x).__name__}; expected an array or a "
                            "float. Pass data that is not differentiated through a closure, or "
                            "leave it out of argnums.")
        x = np.positive(x) if isinstance(x, float) else np.asarray(x)
    kind = x.dtype.kind
    if kind in "biu":
        raise TypeError(f"{function}: {where} is {describe(x)}; a derivative needs floating point "
                        "numbers. Convert it (x.astype(float), 3.0 for 3), or leave it out of "
                        "argnums.")
    if kind == "c":
        raise TypeError(f"{function}: {where} is {describe(x)}; complex arrays are not supported. "
                        "Split it into real and imaginary parts and differentiate with respect to "
                        "both.")
    if issubclass(type(x), (np.ndarray, np.generic)) and kind != "f":
        raise TypeError(f"{function}: {where} is {describe(x)}; expected floating point numbers. "
                        "Leave it out of argnums, or pass it through a closure.")
    if isinstance(x, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(f"{function}: {where} is {type(x).__name__}, whose operators are not those "
                        "of an array. Pass a plain array: np.asarray(x).")
    return x


def check_result(y, function: str, name: str):
    """`y`, a leaf of what the differentiated function `name` returned, or an error that says what
    may be returned."""
    if issubclass(type(y), (int, float)) and not isinstance(y, (bool, np.generic)):
        return float(y)
    if not hasattr(y, "dtype"):
        raise TypeError(f"{function}: {name} returned {describe(y)}; expected arrays, or a nesting "
                        "of dict, list, tuple or dataclass of them. Return other things with "
                        "has_aux=True.")
    plain = issubclass(type(y), (np.ndarray, np.generic))
    if y.dtype.kind in "biuc" or plain and y.dtype.kind != "f":
        raise TypeError(f"{function}: {name} returned {describe(y)}; expected floating point "
                        "numbers. Return indices, masks and counts with has_aux=True.")
    return y
