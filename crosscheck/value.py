"""Whether a subject's own results are those of the program by which its derivatives are judged."""

from __future__ import annotations

import numpy as np

from .ball import Ball, arithmetic
from .modes import ALL
from .verdict import LESS_ACCURATE, RIGHT, WRONG, Verdict


def value(trial, ys, dtype, measured_by_another):
    """Yield a `Finding` on each result ys of a trial's subject, computed in a dtype.

    measured_by_another  whether the program on balls is a reference, and not the subject's own
    """
    exact, eps = trial.known.value, trial.known.eps(dtype)
    if [np.shape(y) for y in ys] != [np.shape(b) for b in exact]:
        shapes = [np.shape(b) for b in exact]
        yield trial.finding("value", ALL, dtype, Verdict(
            WRONG, note=f"the results have the shapes {[np.shape(y) for y in ys]}, the reference's "
                        f"have {shapes}"))
        return
    rounded = trial.known.rounded(dtype)
    for k, (y, b) in enumerate(zip(ys, exact)):
        with arithmetic(trial.known.truth.bits):
            error = np.abs(Ball(np.asarray(y, float)) - b).abs_upper()
        size = float(np.max(b.abs_upper(), initial=0.0))
        # More than half of the digits are wrong: another function, not another way to round it; of
        # the subject's own program three quarters, since torch's own kernels may lose half.
        # Where the result is small beside what it is made of, or exactly 0, none of its digits
        # may be right.
        off = error > eps ** (0.5 if measured_by_another else 0.25) * size + rounded[k]
        if off.any():
            what = "the function and its reference differ" if measured_by_another else (
                "the function is off what its operations give exactly")
            verdict = Verdict(WRONG, note=f"{what}, at most by {float(np.max(error)):.3g} where "
                                          f"the largest result is {size:.3g}")
        else:
            verdict = entries_without_a_digit(np.asarray(y, float), b, error)
        yield trial.finding("value", f"result {k}", dtype, verdict)


def entries_without_a_digit(y, exact, error):
    """The `Verdict` on a result that is right as a whole, of which single entries may have no right
    digit."""
    # What an entry certainly has, 0 where it may be 0.
    sizes = np.maximum(exact.lower(), -exact.upper())
    lost = (sizes > np.finfo(float).tiny) & (error >= sizes / 2)
    if not lost.any():
        return Verdict(RIGHT)
    at = tuple(map(int, np.argwhere(lost)[0]))
    return Verdict(LESS_ACCURATE,
                   note=f"entry {at} is {y[at]:.6g}, exact {float(exact.mid()[at]):.6g}: not one "
                        "digit of it is right")
