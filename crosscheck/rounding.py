"""The verdict on an answer, where no other dtype may tell rounding from a wrong formula.

A wrong formula is off by nearly the same a little aside; roundings there are others, and so is the
error that they add up to. And what rounding the inputs alone would do to the exact derivative is no
fault of its formula.
"""

from __future__ import annotations

import numpy as np

from .ball import Ball, arithmetic
from .formats import finest, format_named
from .points import AS_GIVEN
from .verdict import LESS_ACCURATE, LUCK, RIGHT, TYPICAL, UNDECIDED, WRONG

#: How far points beside a point are, relatively, in powers of eps: from half of the digits to a few
#: units in the last place.
ASIDE = (0.5, 0.55, 0.6, 0.7, 0.9)

#: At so many of them the error must be another.
ENOUGH = 2

#: Inputs tell a derivative well where their own rounding changes it by less than this part of it.
HARDLY = 2.0 ** -10


def judged(trial, mode, name, dtype, answers, prove=False, own=False):
    """The `Verdict` on ``answers[dtype][mode][name]`` of a trial: see `ByBalls.judge`.

    In a dtype that f itself reads, as for a default eps, f may be another function.
    """
    verdict = trial.known.judge(mode, name, dtype, answers, prove, own)
    if (verdict.verdict == WRONG and trial.known.how == "balls"
            and dtype != finest(trial.subject.dtypes)):
        there = trial.known.in_dtype(dtype)
        if there is not None and there.covers(mode):
            verdict = there.judge(mode, name, dtype, answers, prove, own)
    if verdict.verdict == WRONG and _by_rounding(trial, mode, name, dtype, answers, verdict):
        verdict.verdict = LESS_ACCURATE
    return verdict


def _by_rounding(trial, mode, name, dtype, answers, verdict):
    """Is it rounding that the error comes from?

    The caller's own inputs tell whether a coarser format is at work inside, which rounds as
    erratically: there the error must be smaller than one would make.  So must that of a network,
    whose answers in other dtypes have told larger ones.
    """
    known, form = trial.known, format_named(dtype)
    small = verdict.rel_error <= np.sqrt(form.eps) / LUCK
    if known.how != "balls" or known.on_trial or not np.isfinite(verdict.rel_error):
        return False
    if not small and (known.strict or trial.point.label == AS_GIVEN):
        return False
    if small and verdict.rel_error <= TYPICAL * form.eps * known.condition < np.inf:
        return True
    rng = np.random.default_rng(0)
    here = _off(trial, answers[dtype][mode][name], known.truth.derivatives[mode][name])

    def is_another(x, exact):
        """Is the error at x another?  None where there is no answer: the function may end there."""
        try:
            answer = trial.subject.answer(mode, x, known.weights, known.u, known.v, dtype)[name]
            there = _off(trial, answer, exact(x))
        except Exception:
            return None
        finally:
            trial.subject.state.put_back()
        return bool(np.linalg.norm(there - here) > np.linalg.norm(here) / 2)

    # An answer that was asked for in another way, as along a transposed cotangent, may be off
    # alone.
    if is_another(trial.point.x, lambda x: known.truth.derivatives[mode][name]) is not False:
        return False
    asides = ({k: form.round(a * (1 + form.eps ** power * rng.uniform(-2, 2, np.shape(a))))
               for k, a in trial.point.x.items()} for power in ASIDE)
    return sum(bool(is_another(x, lambda x: known.there(x, mode)[name])) for x in asides) >= ENOUGH


def without_a_digit(trial, mode, name, dtype, verdict):
    """Has a derivative not one right digit as a whole, at the caller's own inputs and in the widest
    dtype, although it could?"""
    known, widest = trial.known, finest(trial.subject.dtypes)
    if trial.point.label != AS_GIVEN or dtype != widest or known.how != "balls":
        return False
    if verdict.verdict == LESS_ACCURATE:
        exact = known.truth.derivatives[mode][name]
        return not verdict.rel_error < 0.5 and bool(exact.abs_upper().any())
    if verdict.verdict not in (RIGHT, UNDECIDED) or mode.order > 1 or (
            not 0.5 <= verdict.rel_error < np.inf):
        return False
    # It may be the formula of f itself that rounds so, while the inputs tell the derivative well.
    # It may be lost beside those with respect to other inputs.
    exact, eps = known.truth.derivatives[mode][name], format_named(dtype).eps
    least = max(np.finfo(float).tiny, eps * known.truth.scale[1])
    certain = np.maximum(exact.lower(), -exact.upper()) > least
    told = known.condition * eps < HARDLY
    return bool(certain.any() and told and known.smooth(mode))


def _off(trial, given, exact):
    """By how much the entries of a derivative are off, relative to its largest one, with their
    signs."""
    with arithmetic(trial.known.truth.bits):
        largest = float(np.max(exact.abs_upper(), initial=0.0)) or 1.0
        return np.asarray((Ball(np.asarray(given, float)) - exact).mid(), float) / largest
