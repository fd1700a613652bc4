"""Errors that name the function, the argument, what came, and the way out."""

from __future__ import annotations

import numpy as np


def describe(x) -> str:
    """'float64[3,4]' for an array, the type's name for anything else."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"{x.dtype}[{','.join(map(str, x.shape))}]"
    return type(x).__name__


class NoRule(TypeError):
    """A function was called on a traced array that has no differentiation rule."""

    def __init__(self, function, how=""):
        super().__init__(
            f"{function}{' ' + how if how else ''} has no differentiation rule. Write it with functions that have one "
            f"(refgrad.functions() lists them), or declare its jvp and vjp with refgrad.custom.")


class InPlaceWrite(TypeError):
    """A traced array, or an array that a traced value goes into, would have been overwritten."""

    def __init__(self, function, what="", way_out=""):
        super().__init__(
            f"{function} writes in place{' (' + what + ')' if what else ''}, and a traced array is never overwritten. "
            f"{way_out or 'Make a new array: x = x + y for x += y, np.where(mask, value, x) for x[mask] = value, '}"
            f"{'' if way_out else 'np.concatenate or np.stack to assemble one from parts.'}")


class LostTrace(TypeError):
    """A traced array would have become a plain number, and its derivative would have been lost."""

    def __init__(self, function, tracer):
        what = describe(tracer) if tracer is not None else "a traced array"
        super().__init__(
            f"{function} was given {what} that is being differentiated, and would lose the trace. Keep it an array: "
            f"np.stack([x, y]) for np.array([x, y]), NumPy's functions for math's, has_aux=True to return a value as "
            f"it is.")


class ClosedLevel(RuntimeError):
    """A traced array outlived the transform that made it."""

    def __init__(self, function):
        super().__init__(
            f"{function} was given a traced array of a transform that has already returned. It leaked out of the "
            f"differentiated function (through a global, a closure or a cache): return it instead, with has_aux=True "
            f"if it is not part of the result.")


def check_leaf(x, function: str, where: str):
    """`x` as an array that can be differentiated, or an error that says why it cannot."""
    if not hasattr(x, "dtype"):
        if isinstance(x, bool) or not isinstance(x, (int, float, complex)):
            raise TypeError(f"{function}: {where} is {type(x).__name__}; expected an array or a float. Pass data that "
                            f"is not differentiated through a closure, or leave it out of argnums.")
        x = np.asarray(x)
    kind = x.dtype.kind
    if kind in "biu":
        raise TypeError(f"{function}: {where} is {describe(x)}; a derivative needs floating point numbers. Convert it "
                        f"(x.astype(float), 3.0 for 3), or leave it out of argnums.")
    if kind == "c":
        raise TypeError(f"{function}: {where} is {describe(x)}; complex arrays are not supported. Split it into real "
                        f"and imaginary parts and differentiate with respect to both.")
    if type(x) is np.ndarray and kind != "f":
        raise TypeError(f"{function}: {where} is {describe(x)}; expected floating point numbers.")
    return x
