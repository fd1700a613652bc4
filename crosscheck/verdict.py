"""What a disagreement means.  No tolerances: every limit is computed.

    exact to rounding   the error is within what rounding alone can do to the computation, by the ball at that precision
    less accurate       beyond that, but it shrinks with the precision as only rounding errors do, or it is lost beside
                        the largest entry of the gradient or the function's value: the formula is right, its floating
                        point form is worse than the reference's
    wrong               an error that more precision does not cure
    kink                the function is not differentiable here; the one-sided slopes are given
    no answer           the differentiator raised an error, which the note has
    undecided           with the reason
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ball import Ball, arithmetic
from .oracles.exact import order_of

RIGHT, LESS_ACCURATE, WRONG, KINK = "exact to rounding", "less accurate", "wrong", "kink"
NO_ANSWER, UNDECIDED = "no answer", "undecided"
VERDICTS = (RIGHT, LESS_ACCURATE, WRONG, KINK, NO_ANSWER, UNDECIDED)

#: Rounding errors shrink by 2^29 from float32 to float64, those of a wrong formula not at all: this is halfway.
SHRINKS = float(np.sqrt(np.finfo(np.float32).eps / np.finfo(np.float64).eps))


@dataclass
class Verdict:
    """The judgement of one result; ulp figures are in units in the last place of the exact value in that dtype."""

    verdict: str
    ulp_max: float = np.nan
    ulp_median: float = np.nan
    rel_error: float = np.nan
    error_over_bound: float = np.nan
    bound: str = ""
    note: str = ""


def judge(result, exact, truth, mode, name, dtype, twin=None):
    """Judge a floating point `result` against the Ball `exact`.

    twin  the result of the same computation in the other dtype, which tells a rounding error from a wrong formula
    """
    order = order_of(mode)
    agreement, scale = truth.agreement[order, name], truth.scale[order]
    bound = truth.bounds[mode, dtype][name]
    result = np.asarray(result)
    if result.shape != exact.shape:
        return Verdict(WRONG, note=f"shape {result.shape}, expected {exact.shape}")
    came_as = "" if result.dtype == np.dtype(dtype) else f"came as {result.dtype}"
    result = result.astype(dtype)
    if result.size == 0:
        return Verdict(RIGHT, 0.0, 0.0, 0.0, 0.0, bound.how, came_as)
    error = _error(result, exact, truth)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(error == 0, 0.0, np.where(np.isinf(error), np.inf, error / bound.limit))
    found = Verdict(UNDECIDED, *_figures(error, exact.abs_upper(), scale, dtype), float(np.max(ratio)), bound.how)
    if agreement.kink:
        found.verdict, found.note = KINK, agreement.kink + _between(result, agreement, mode)
    elif np.isinf(error).any():
        overflow = np.isinf(bound.limit[np.isinf(error)]).all()
        found.verdict = UNDECIDED if overflow else WRONG
        found.note = f"{dtype} may overflow here" if overflow else "nan or inf where a finite value exists"
    elif np.max(bound.limit) >= truth.telling(mode, dtype):
        found.note = "rounding alone could explain any value"
    elif (beyond := ratio > 1).any():
        lost = error <= max(scale, truth.value) * np.finfo(dtype).eps
        if (lost | _shrinks(error, twin, exact, truth, dtype))[beyond].all():
            found.verdict = LESS_ACCURATE
            found.note = (f"{found.error_over_bound:.3g} times the bound" if np.isfinite(found.error_over_bound) else
                          "where the reference rounds nothing")
        else:
            worst = np.unravel_index(np.argmax(ratio), ratio.shape)
            found.verdict = WRONG
            found.note = f"entry {tuple(map(int, worst))} is {result[worst]:.9g}, exact {float(exact.mid()[worst]):.9g}"
    else:
        found.verdict = RIGHT
    found.note = "; ".join(filter(None, (found.note, came_as)))
    return found


def _error(result, exact, truth):
    """How far the result certainly is from exact at most, for each entry; inf where it is no number."""
    finite = np.isfinite(result)
    with arithmetic(truth.bits):
        return np.where(finite, (Ball(np.where(finite, result, 0).astype(float)) - exact).abs_upper(), np.inf)


def _shrinks(error, twin, exact, truth, dtype):
    """Is the error in float64 as much smaller than the one in float32 as it is for rounding errors?"""
    if twin is None or np.shape(twin) != exact.shape:
        return np.zeros(error.shape, bool)
    other = _error(np.asarray(twin), exact, truth)
    fine, coarse = (error, other) if dtype == "float64" else (other, error)
    # An error below float32's last place may be luck, and none at all, where that overflowed, tells nothing.
    last_place = exact.abs_upper() * float(np.finfo(np.float32).eps)
    coarse = np.maximum(np.where(np.isinf(coarse), 0.0, coarse), last_place)
    return fine * SHRINKS <= coarse


def _between(result, agreement, mode):
    if mode != "forward" or not agreement.slopes:
        return ""
    low, high = sorted(agreement.slopes)
    return f", the answer is {'between' if low <= float(result) <= high else 'not between'} them"


def _figures(error, size, scale, dtype):
    """(largest and median error in ulps, relative error in the norm)."""
    kind = np.dtype(dtype).type
    largest = float(np.max(size))
    # Where the exact value is zero there is no last place of its own: the array's or the gradient's largest stands in.
    reference = np.where(size > scale * 1e-100, size, largest if largest > scale * 1e-100 else scale)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ulp = np.spacing(np.minimum(reference, float(np.finfo(kind).max)).astype(kind)).astype(float)
        ulps = np.where(error == 0, 0.0, error / np.where(ulp > 0, ulp, float(np.finfo(kind).smallest_subnormal)))
        norm = float(np.linalg.norm(reference.ravel() / (largest or 1.0))) * (largest or 1.0)
        relative = float(np.linalg.norm(error.ravel())) / norm if norm else (0.0 if not error.any() else np.inf)
    return float(np.max(ulps)), float(np.median(ulps)), relative
