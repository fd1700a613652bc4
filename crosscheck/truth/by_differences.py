"""What differences of a black box in floats tell of s = <G, f> at a point, and the verdict that follows."""

from __future__ import annotations

from copy import copy

import numpy as np

from ..formats import format_named
from ..modes import ALL, Mode
from ..subjects.libraries.refgrad_library import inner
from ..verdict import AGREES, KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, TYPICAL, UNDECIDED, WRONG, Verdict, figures
from . import estimated
from .notes import another_dtype, entry_note

#: How many points aside are looked at before a slope that is the same on both sides is believed against an answer.
NEARBY = 6


class ByDifferences:
    """Knowledge by differences of the subject's own values, in the widest dtype that it takes.

    natural   the size of s where the caller stands: what rounding inside f may amount to even where s itself is small
    extreme   entries so large or small that f's own value may be lost: then only nan and inf can be told
    together  difference all arrays along one direction, under the name `ALL`, rather than each alone
    """

    how = "differences"
    on_trial = strict = False
    undecided = ""

    def __init__(self, subject, x, weights, u, v, dtype, natural=0.0, extreme=False, together=False):
        self.subject, self.x, self.weights, self.u, self.v, self.dtype = subject, x, weights, u, v, dtype
        self.extreme, self.together, self.found, self.shifted = extreme, together, {}, {}
        self.size = max(abs(self.scalar(x)), natural)

    def scalar(self, x):
        with np.errstate(all="ignore"):
            ys = self.subject.value(x, self.dtype)
            return sum(float(np.sum(np.asarray(y, float) * w)) for y, w in zip(ys, self.weights))

    def weighed_by(self, weights):
        """The same with other weights, for asking its slopes alone."""
        other = copy(self)
        other.weights = weights
        return other

    def names(self, mode):
        return [ALL] if Mode(mode).order == 2 or self.together else list(self.x)

    def covers(self, mode):
        return True

    def estimate(self, mode, name):
        """The `Estimate` of the slope along v, or of u' H v."""
        key = Mode(mode).order, name
        if key not in self.found:
            self.found[key] = (estimated.slope(self.scalar, self.x, self._along(name)) if Mode(mode).order == 1 else
                               estimated.curvature(self.scalar, self.x, self.u, self.v))
        return self.found[key]

    def _along(self, name):
        """The direction of that name's slope."""
        return self.v if name == ALL else {name: self.v[name]}

    def kinked(self):
        kinked = [k for k in self.names(Mode.REVERSE) if self.estimate(Mode.REVERSE, k).kink]
        return list(self.x) if kinked == [ALL] else kinked

    def fits(self, mode, name, dtype):
        return False

    def open(self):
        return False

    def judge(self, mode, name, dtype, answers, prove=False, own=False):
        """Along one direction the answer must lie in the difference's interval; in other dtypes it is compared, entry
        by entry, with the answer in the widest one, once that is right."""
        mode, form = Mode(mode), format_named(dtype)
        answer = self._derivative(answers, dtype, mode, name)
        if not np.isfinite(answer).all():
            return self._not_finite(answers, dtype, mode, name, form)
        if self.extreme:
            return Verdict(UNDECIDED, note="f's own value may be lost at entries of this size")
        if format_named(self.dtype).precision < format_named("float32").precision:
            return Verdict(UNDECIDED, note=f"values in {self.dtype} are too coarse to be differenced; give reference=")
        largest = max(float(np.max(np.abs(a), initial=0.0)) for a in self.x.values())
        if self.dtype != "float64" and largest * format_named(self.dtype).eps ** 0.5 > 0.125:
            return Verdict(UNDECIDED, note=f"entries so large that {self.dtype} is too coarse between them")
        e = self.estimate(mode, name)
        if mode.order == 2 and self.kinked():
            return Verdict(KINK, note="the second difference crosses a kink")
        if e.reason or e.kink:
            slopes = f"left slope {e.left.value:.6g}, right slope {e.right.value:.6g}"
            return Verdict(KINK, note=slopes) if e.kink and not e.reason else Verdict(UNDECIDED, note=e.reason)
        if dtype != self.dtype and isinstance(answers.get(self.dtype, {}).get(mode), dict):
            base = self.judge(mode, name, self.dtype, answers)
            if base.verdict in (AGREES, LESS_ACCURATE):
                return self._against_widest(mode, name, dtype, answers, form)
        return self._against_difference(e, mode, name, dtype, answers, form)

    def _derivative(self, answers, dtype, mode, name):
        """The array that is judged; of a Hessian-vector product its product with u, since that is what is known."""
        found = answers[dtype][mode]
        if mode.order == 2:
            return np.asarray(found[ALL] if ALL in found else inner(found, self.u), float)
        if name != ALL:
            return np.asarray(found[name], float)
        parts = [np.ravel(np.asarray(found[k], float)) for k in self.x]
        return np.concatenate(parts) if mode == Mode.REVERSE else np.sum(np.concatenate(parts))

    def _terms(self, answers, dtype, mode, name):
        """The terms whose sum is the answer along the direction."""
        found = answers[dtype][mode]
        if mode == Mode.REVERSE:
            v = np.concatenate([np.ravel(d) for d in self._along(name).values()])
            return np.ravel(self._derivative(answers, dtype, mode, name)) * v
        if mode.order == 2 and ALL not in found:
            return np.concatenate([np.ravel(found[k] * self.u[k]) for k in found])
        return np.ravel(self._derivative(answers, dtype, mode, name))

    def _not_finite(self, answers, dtype, mode, name, form):
        value = self.subject.value(self.x, dtype)
        e = None if self.extreme else self.estimate(mode, name)
        beyond = e is not None and not abs(e.value) < form.largest
        if beyond or not all(np.isfinite(y).all() for y in value):
            return Verdict(UNDECIDED, note=f"{dtype} may overflow here")
        if e is not None and e.reason:
            return Verdict(UNDECIDED, note=f"nan or inf, and by differences {e.reason}")
        return Verdict(NOT_FINITE, note="nan or inf where f is finite")

    def _against_difference(self, e, mode, name, dtype, answers, form):
        terms = self._terms(answers, dtype, mode, name)
        given = float(np.sum(terms))
        gap = abs(given - e.value)
        # Rounding inside f that its values do not show, and that of the projection.
        reach = max(float(np.max(np.abs(d), initial=0.0)) for w in (self.v, self.u) for d in w.values())
        floor = TYPICAL * format_named(self.dtype).eps * self.size * reach ** mode.order
        own = TYPICAL * form.eps * float(np.sum(np.abs(terms)))
        relative = gap / max(abs(e.value), np.finfo(float).tiny)
        width, size = e.uncertainty + floor, max(abs(e.value), self.size * reach ** mode.order)
        known = np.inf if width == 0 else max(np.log10(max(size, width) / width), 0.0)
        found = Verdict(AGREES, rel_error=relative, bound="differences", known=float(known))
        if gap <= width + own:
            return found
        twin = another_dtype(dtype, mode, name, answers)
        if twin is not None:
            other = abs(float(np.sum(self._terms(answers, twin, mode, name))) - e.value)
            ratio = format_named(twin).eps / form.eps
            fine, coarse = (gap, other) if ratio > 1 else (other, gap)
            if fine * np.sqrt(max(ratio, 1 / ratio)) <= coarse:
                found.verdict, found.note = LESS_ACCURATE, f"off by {relative:.1e}, as rounding is"
                return found
        if mode.order == 1 and (near := self._slopes_nearby(name, e)):
            found.verdict, found.note = KINK, (f"the slope is {e.value:.6g}, nearby it is from {min(near):.6g} to "
                                               f"{max(near):.6g}, the answer is {given:.6g}")
            return found
        found.verdict = WRONG
        found.note = f"along a direction {given:.12g}, by differences {e.value:.12g} ± {width:.1e}"
        if mode == Mode.REVERSE:
            found.note += self._entry(name, answers[dtype][mode])
        return found

    def _slopes_nearby(self, name, e):
        """The slopes along the same direction at points aside, if they differ from it and from each other as those of
        a smooth function cannot: then the agreement of left and right slope was none of smoothness."""
        rng = np.random.default_rng(0)
        near = []
        for _ in range(NEARBY):
            left, right, width, _ = self.slopes(self._along(name), {k: rng.uniform(-1, 1, a.shape)
                                                                    for k, a in self.x.items()})
            if np.isfinite(left + right):
                near += [left, right]
        # The step aside is the root of eps; what a smooth slope changes over it is of that order, too.
        jump = max(near, default=0.0) - min(near, default=0.0)
        return near if jump > np.finfo(float).eps ** 0.25 * max(map(abs, [*near, e.value, self.size])) else []

    def _entry(self, name, gradient):
        along = self._along(name)
        found = estimated.blame(self.scalar, self.x, {k: np.asarray(gradient[k], float) for k in along}, along)
        if not found.certain:
            return ""
        return entry_note(found.index, found.given, f"{found.true.value:.10g} ± {found.true.uncertainty:.1e}",
                          found.factor)

    def _against_widest(self, mode, name, dtype, answers, form):
        """Against the right answer in the widest dtype: typical is what a change of x by one rounding does to it."""
        right = self._derivative(answers, self.dtype, mode, name)
        answer = self._derivative(answers, dtype, mode, name)
        error = np.abs(answer - right)
        size = float(np.max(np.abs(right), initial=0.0))
        found = Verdict(RIGHT, *figures(error, np.abs(right), size, form), bound="typical")
        limit = TYPICAL * form.eps * np.abs(right)
        if (error <= limit).all():
            return found
        limit = limit + TYPICAL * self._sensitivity(mode, name, form.eps)
        if (error <= limit).all():
            return found
        if np.max(error) <= np.sqrt(form.eps) * max(size, self.size) or self._is_another_function(dtype, form):
            worse = float(np.max((error - np.minimum(limit, error)) / form.spacing(right)))
            found.verdict = LESS_ACCURATE
            found.note = (f"{worse:.3g} ulps worse than attainable, condition number "
                          f"{float(np.max(self._sensitivity(mode, name, form.eps))) / (form.eps * (size or 1.0)):.2g}")
            return found
        worst = np.unravel_index(np.argmax(error), error.shape)
        found.verdict = WRONG
        found.note = f"entry {tuple(map(int, worst))} is {answer[worst]:.9g}, in {self.dtype} {right[worst]:.9g}"
        return found

    def _is_another_function(self, dtype, form):
        """Are f's own values others in that dtype, by more than half of the digits (an eps that depends on it, say)?"""
        pairs = zip(self.subject.value(self.x, dtype), self.subject.value(self.x, self.dtype))
        return any(np.max(np.abs(np.asarray(a, float) - b), initial=0.0) > np.sqrt(form.eps) * np.max(np.abs(b))
                   for a, b in pairs if np.size(b))

    def _sensitivity(self, mode, name, eps):
        """How far the derivative moves, in each entry at most, when every entry of x, u, v changes by one rounding."""
        if (mode, eps) not in self.shifted:
            self.shifted[mode, eps] = [self._answer(mode, self._rounded_at_random(eps, seed)) for seed in range(4)]
        base, *others = (self._derivative({self.dtype: {mode: found}}, self.dtype, mode, name)
                         for found in self.shifted[mode, eps])
        moved = np.zeros_like(base)
        for there in others:
            moved = np.maximum(moved, np.where(np.isfinite(there), np.abs(there - base), 0.0))
        # Entries move by chance; rounding reaches all of them.
        return np.maximum(moved, np.sqrt(np.mean(moved ** 2)) if moved.size else 0.0)

    def _rounded_at_random(self, eps, seed):
        """x with every entry moved by one rounding, up or down; with seed 0 x itself."""
        if seed == 0:
            return self.x
        rng = np.random.default_rng(seed)
        return {k: a * (1 + eps * rng.choice([-1.0, 1.0], a.shape)) for k, a in self.x.items()}

    def _answer(self, mode, x):
        return self.subject.answer(mode, x, self.weights, self.u, self.v, self.dtype)

    def slopes(self, direction, shift=None):
        aside = {k: a + np.sqrt(np.finfo(float).eps) * np.maximum(np.abs(a), 1) * shift[k]
                 for k, a in self.x.items() if k in (shift or {})}
        try:
            e = estimated.slope(self.scalar, {**self.x, **aside}, direction)
        except Exception:  # the function has no value aside
            return np.nan, np.nan, np.inf, False
        if e.reason:
            return np.nan, np.nan, np.inf, False
        if not e.kink:
            return e.value, e.value, e.uncertainty, True
        return e.left.value, e.right.value, max(e.left.uncertainty, e.right.uncertainty), False
