"""Verdicts on derivatives in narrower dtypes, beside the right ones in the widest dtype."""

from __future__ import annotations

import numpy as np

from ..formats import format_named
from ..modes import Mode
from ..verdict import LESS_ACCURATE, RIGHT, TYPICAL, WRONG, Verdict, entry, figures
from . import nearby

#: What is typical is said of at least so many entries.
ENOUGH = 8

#: Values of f that are off by less than this part of a rounding need no rounding, and so say
#: nothing of how f sums.
VISIBLE = 0.1

#: The longer of the steps of x over which an error that comes of rounding has become another.
THOUSANDTH = 2.0 ** -10


class Widest:
    """The answers in the widest dtype, and what those in other dtypes are beside them.

    known    the `ByDifferences` that found them right
    answers  mode -> answer; None where the subject has none
    shifted  (mode, eps) -> the answers at x and where every entry of it is moved by one rounding
    """

    def __init__(self, known):
        self.known, self.answers, self.shifted = known, {}, {}

    def answer(self, mode, answers):
        """The subject's answer in the widest dtype; None where it has none."""
        if mode not in self.answers:
            found = answers.get(self.known.dtype, {}).get(mode)
            if self.known.dtype not in answers:
                try:
                    found = self.known.answer(mode, self.known.x)
                except Exception:  # in that dtype there is a value alone
                    found = None
            self.answers[mode] = found if isinstance(found, dict) else None
        return self.answers[mode]

    def judge(self, mode, name, dtype, answers):
        """The `Verdict` on an answer in another dtype: typical is what a change of x by one
        rounding does to the right one."""
        form = format_named(dtype)
        right = self.known.derivative(self.answers[mode], mode, name)
        answer = self.known.derivative(answers[dtype][mode], mode, name)
        error = np.abs(answer - right)
        size = float(np.max(np.abs(right), initial=0.0))
        found = Verdict(RIGHT, *figures(error, np.abs(right), size, form), bound="typical")
        eps = max(self.known.eps(dtype), self.known.eps(self.known.dtype))
        limit = TYPICAL * (eps * np.abs(right) + form.smallest_normal)
        if ((error <= limit).all()
                or (error <= limit + TYPICAL * self._sensitivity(mode, name, eps)).all()):
            if mode == Mode.REVERSE and form.eps > format_named("float32").eps:
                self._hold_to_values(found, answer, right, self._sensitivity(mode, name, eps),
                                     dtype, form)
            return found
        limit = limit + TYPICAL * self._sensitivity(mode, name, eps)
        if np.max(error) <= max(np.sqrt(eps) * size, TYPICAL * eps * self.known.size) or (
                self._is_another_function(dtype, form)):
            attainable = np.maximum(limit / TYPICAL, form.spacing(right))
            worse = float(np.max((error - np.minimum(limit, error)) / attainable))
            found.verdict = LESS_ACCURATE
            found.note = (
                f"worse by {worse:.3g} times the attainable error, condition number "
                f"{float(np.max(self._sensitivity(mode, name, eps))) / (eps * (size or 1.0)):.2g}")
            return found
        if (error <= limit + TYPICAL * self._scatter(mode, name, dtype, answer - right)).all():
            found.verdict = LESS_ACCURATE
            found.note = (f"its error in {dtype} changes as much as that from one x to the next, "
                          "as rounding errors do")
            return found
        worst = np.unravel_index(np.argmax(error), error.shape)
        found.verdict = WRONG
        found.note = (f"{entry(worst)} is {answer[worst]:.9g}, in "
                      f"{self.known.dtype} {right[worst]:.9g}")
        return found

    def _hold_to_values(self, found, answer, right, moved, dtype, form):
        """Remark on a gradient in few bits, of which well-conditioned entries are off by more than
        f's own values."""
        told = moved <= TYPICAL * form.eps * np.abs(right)
        values = max((_roundings(np.asarray(a, float), np.asarray(b, float), form)
                      for a, b in self._values(dtype)), default=0.0)
        own = _roundings(answer[told], right[told], form)
        if np.sum(told) >= ENOUGH and own > 1 > 2 * values > VISIBLE:
            found.verdict = LESS_ACCURATE
            found.note = (f"typically off by {own:.2g} roundings of {dtype}, f's own values by "
                          f"{values:.2g}: f seems to sum in more bits than its derivative")

    def _is_another_function(self, dtype, form):
        """Are f's own values others in that dtype, by more than half of the digits (an eps that
        depends on it, say)?"""
        return any(np.max(np.abs(np.asarray(a, float) - b), initial=0.0)
                   > np.sqrt(form.eps) * np.max(np.abs(b))
                   for a, b in self._values(dtype) if np.size(b))

    def _values(self, dtype):
        """The results of f in that dtype, each with that in the widest one."""
        value, x = self.known.subject.value, self.known.x
        return zip(value(x, dtype), value(x, self.known.dtype))

    def _sensitivity(self, mode, name, eps):
        """How far the derivative moves, in each entry at most, when every entry of x, u, v changes
        by one rounding."""
        if (mode, eps) not in self.shifted:
            here = self.answers.get(mode) or self.known.answer(mode, self.known.x)
            self.shifted[mode, eps] = [
                here, *(self.known.answer(mode, nearby.rounded_at_random(self.known.x, eps, seed))
                        for seed in (1, 2, 3))]
        base, *others = (self.known.derivative(found, mode, name)
                         for found in self.shifted[mode, eps])
        moved = np.zeros_like(base)
        for there in others:
            moved = np.maximum(moved, np.where(np.isfinite(there), np.abs(there - base), 0.0))
        # Entries move by chance; rounding reaches all of them.
        return np.maximum(moved, np.sqrt(np.mean(moved ** 2)) if moved.size else 0.0)

    def _scatter(self, mode, name, dtype, error):
        """How far the error of the answer in a dtype moves when x does, by one rounding or by a
        thousandth.

        What rounding does changes from one x to the next, as 1 - tanh² does far out, where tanh has
        few values. What a wrong formula does stays what it was.
        """
        moved = np.zeros_like(error)
        for step in (self.known.eps(dtype), max(self.known.eps(dtype), THOUSANDTH)):
            for seed in (1, 2, 3):
                x = nearby.rounded_at_random(self.known.x, step, seed, alike=True)
                x = {k: format_named(dtype).round(a) for k, a in x.items()}
                there, right = (self.known.derivative(self.known.answer(mode, x, d), mode, name)
                                for d in (dtype, self.known.dtype))
                change = np.abs(there - right - error)
                moved = np.maximum(moved, np.where(np.isfinite(change), change, 0.0))
        return moved


def _roundings(found, right, form):
    """The median error in roundings of a format, over the entries that are not zero."""
    told = np.isfinite(found) & (np.abs(right) > form.smallest_normal)
    return (float(np.median(np.abs(found - right)[told] / (form.eps * np.abs(right[told]))))
            if told.any() else 0.0)
