"""A trial differentiates a subject at one point, by modes and in dtypes, and judges each answer by
what is known there: a `Finding` for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ball import Ball, arithmetic
from .conduct import no_answer
from .formats import finest
from .modes import ALL, Mode
from .phases import VERDICTS, phase
from .points import AS_GIVEN
from .rounding import judged, without_a_digit
from .subjects.subject import Misconduct
from .verdict import LESS_ACCURATE, MISCONDUCT, NOT_FINITE, OK, RIGHT, UNDECIDED, WRONG, Verdict

#: Verdicts that make a check fail.
FAILURES = (WRONG, NOT_FINITE, MISCONDUCT)


@dataclass
class Finding:
    """One verdict.

    check     the mode ("reverse", "forward over reverse", ...), or what else was looked at
              ("mutation", ...)
    point     the label of the point
    argument  the input that the derivative is with respect to; "*" for all
    dtype     the dtype of the computation; "exact" for ball arithmetic
    digits    to how many digits a rule agrees with differences in ball arithmetic, or differences
              in floats know the derivative
    ulps      the largest error in units in the last place
    bound     what the answer was judged by, as in "proven" or "differences"
    failed    whether it makes the check fail
    """

    check: str
    point: str
    argument: str
    dtype: str
    verdict: str
    digits: float = np.nan
    ulps: float = np.nan
    rel_error: float = np.nan
    error_over_bound: float = np.nan
    bound: str = ""
    note: str = ""
    failed: bool = False


class Trial:
    """A subject at one point, differentiated by modes in dtypes, and each answer judged by what is
    known there.

    subject    the `Subject`
    known      what is known at the point: `ByBalls` or `ByDifferences`
    point      the `Point`
    varies     whether f's values differ from call to call, by rounding alone
    answers    dtype -> mode -> name -> derivative, or the error that came in its place
    own_rules  whether refgrad's rules are on trial
    """

    def __init__(self, subject, known, point, varies=False):
        self.subject, self.known, self.point, self.varies = subject, known, point, varies
        self.answers = {}
        self.own_rules = subject.by_refgrad and (known.on_trial or known.strict)

    def ask(self, modes, dtype):
        """Have the subject differentiate by these modes; an error that it raises is an answer,
        too."""
        known = self.known
        answers = self.answers.setdefault(dtype, {})
        for mode in modes:
            try:
                answers[mode] = self.subject.answer(mode, self.point.x, known.weights, known.u,
                                                    known.v, dtype)
            except Exception as error:
                answers[mode] = error
            finally:
                self.subject.state.put_back()

    def findings(self, dtype, prove=(), modes=None):
        """Yield a `Finding` for each answer, by some modes or by all; by those in `prove` bounds
        are computed in any case."""
        for mode, name, verdict, failed in self.verdicts(dtype, prove, modes):
            yield self.finding(mode, name, dtype, verdict, failed=failed)

    def verdicts(self, dtype, prove=(), modes=None):
        """Yield the same as (mode, name, `Verdict`, whether it is a failure or None if the verdict
        alone says that)."""
        for mode in self.answers[dtype] if modes is None else modes:
            found = self.answers[dtype][mode]
            if isinstance(found, Exception):
                yield mode, ALL, *self._unanswered(mode, found, dtype)
            if isinstance(found, Exception) or not self.known.covers(mode):
                continue
            misshapen = self._misshapen(mode, found)
            yield from ((mode, k, verdict, None) for k, verdict in misshapen)
            for name in () if misshapen else self.known.names(mode):
                if self.known.on_trial and self.known.refuted(mode, name):
                    continue  # there is a finding already, by the rules on balls
                with phase(VERDICTS):
                    verdict = judged(self, mode, name, dtype, self.answers, mode in prove,
                                     self.own_rules)
                if without_a_digit(self, mode, name, dtype, verdict):
                    verdict.verdict = LESS_ACCURATE
                    verdict.note = "; ".join(filter(None,
                                                    ["not one digit of it is right", verdict.note]))
                    yield mode, name, verdict, True
                    continue
                if (verdict.verdict == NOT_FINITE and self.subject.works(self.point.x, dtype)
                        and not self.subject.finite(self.point.x, dtype)):
                    verdict.verdict = UNDECIDED
                    verdict.note = f"f itself is nan or inf in {dtype} here"
                # Whether an overflow on the way is avoidable depends on the formula, of which only
                # refgrad's is known.
                formula = self.known.how == "balls" and (self.own_rules or self.known.another)
                avoidable = (not self.point.extreme
                             and (formula or dtype == finest(self.subject.dtypes)))
                far = self.point.extreme or self.leaves_range(dtype)
                beyond = verdict.verdict == WRONG and far and not self.own_rules
                remark = (beyond or verdict.verdict == NOT_FINITE
                          and not (self.known.on_trial or avoidable))
                yield mode, name, verdict, False if remark else None

    def leaves_range(self, dtype):
        """Whether what is computed on the way may leave the range of a dtype, since the point is
        farther out than the caller's and the dtype not the finest."""
        return self.point.far and dtype != finest(self.subject.dtypes)

    def on_balls(self, modes):
        """Yield a `Finding` for the derivative's code on balls: the formula is right to 40 digits,
        or refuted."""
        known, point = self.known, self.point
        x, u, v = ({k: Ball(a) for k, a in d.items()} for d in (point.x, known.u, known.v))
        for mode in filter(known.covers, modes):
            try:
                with arithmetic(known.truth.bits):
                    found = self.subject.on_balls(mode, x, [Ball(w) for w in known.weights], u, v)
                    found = {k: d if isinstance(d, Ball) else Ball(d) for k, d in found.items()}
            except Misconduct as error:
                yield self.finding(mode, ALL, "exact", Verdict(MISCONDUCT, note=str(error)))
                continue
            except Exception as error:
                if self.own_rules:
                    yield self.finding(mode, ALL, "exact", no_answer(error))
                continue  # code that balls cannot run is judged by its floats
            finally:
                self.subject.state.put_back()
            misshapen = self._misshapen(mode, found)
            yield from (self.finding(mode, k, "exact", verdict) for k, verdict in misshapen)
            for name, ball in () if misshapen else found.items():
                verdict, digits = known.judge_on_balls(mode, name, ball)
                yield self.finding(mode, name, "exact", verdict, digits=digits)

    def without_result(self, k):
        """The same trial beside what is known when the cotangent of result k is 0."""
        weights = [w * (n != k) for n, w in enumerate(self.known.weights)]
        return Trial(self.subject, self.known.weighed_by(weights), self.point)

    def finding(self, check, name, dtype, verdict, digits=np.nan, failed=None):
        """The `Finding` of a verdict; `failed` where the verdict alone does not say it."""
        digits = verdict.known if np.isnan(digits) else digits
        failed = verdict.verdict in FAILURES if failed is None else failed
        # A derivative need not be meant for shapes at which only the function broadcasts; refgrad's
        # rules are.
        meant = not self.point.foreign or self.own_rules or (
            self.point.together and verdict.verdict in (WRONG, NOT_FINITE))
        told = OK if verdict.verdict == RIGHT and not verdict.bound else verdict.verdict
        return Finding(check, self.point.label, name, dtype, told, digits, verdict.ulp_max,
                       verdict.rel_error, verdict.error_over_bound, verdict.bound, verdict.note,
                       failed and meant)

    def _misshapen(self, mode, found):
        """(name, `Verdict`) of each gradient that has not the shape of its input."""
        return [(k, Verdict(MISCONDUCT, note=f"shape {np.shape(found[k])}, expected {a.shape}"))
                for k, a in self.point.x.items()
                if mode == Mode.REVERSE and np.shape(found[k]) != a.shape]

    def _unanswered(self, mode, error, dtype):
        """An error in place of a derivative: a failure where the subject promised one and f itself
        works."""
        if isinstance(error, Misconduct):
            return Verdict(MISCONDUCT, note=str(error)), None
        # Where eigenvalues are the same, say, the equations for a derivative may have no solution:
        # away from the caller's inputs an error that says so is an answer.  NumPy and torch both
        # call it LinAlgError, torch with an underscore before it.
        nowhere = (type(error).__name__.endswith("LinAlgError") and not self.own_rules
                   and self.point.label != AS_GIVEN)
        declined = (nowhere or self.point.extreme or self.point.foreign
                    or self.subject.may_decline(mode, error))
        return no_answer(error), not declined and self.subject.works(self.point.x, dtype)
