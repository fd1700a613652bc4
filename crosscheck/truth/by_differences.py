"""Verdicts on derivatives of s = <G, f> at a point, by differences of f's float results."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from ..formats import format_named
from ..modes import ALL, Mode
from ..subjects.libraries.refgrad_library import inner
from ..subjects.subject import as_many
from ..verdict import (AGREES, KINK, LESS_ACCURATE, NOT_FINITE, TYPICAL, UNDECIDED, WRONG, Verdict)
from . import estimated, nearby, switches
from .lines import Line
from .notes import STEP, another_dtype, entry_note
from .precision import nominal
from .widest import Widest

#: How many points aside are looked at before a slope that is the same on both sides is believed
#: against an answer.
NEARBY = 12

#: By how many roundings at once x is moved where roundings are coarse.
STRIDE = 64

#: A jump is at least so many times the noise.
VISIBLY = 64

#: A gap that is larger than this part of the slope does not come from a formula that f takes for
#: nearly the same.
SMALL = 2.0 ** -20


class ByDifferences:
    """The derivatives at a point, by differences of the subject's own values in the widest dtype
    that it takes.

    dtype      that dtype; the answers may be in narrower ones alone
    precision  ``precision(dtype)``: the `Precision` at which the subject works there
    unexplained  a list, shared by all points, of the gaps that no switch of f explains: after one,
                 none is looked for
    natural    the size of s where the caller stands: what rounding inside f may amount to even
               where s itself is small
    extreme    entries so large or small that f's own value may be lost: then only nan and inf can
               be told
    together   difference all arrays along one direction, under the name `ALL`, rather than each
               alone
    """

    how = "differences"
    on_trial = strict = False
    undecided = ""

    def __init__(self, subject, x, weights, u, v, dtype, natural=0.0, extreme=False, together=False,
                 precision=nominal, unexplained=None):
        self.subject, self.x, self.weights, self.u, self.v, self.dtype = (subject, x, weights, u,
                                                                          v, dtype)
        self.extreme, self.together, self.found = extreme, together, {}
        self.tied = set()  # names of arrays along which both slopes are the same, but others nearby
        self.precision, self.widest, self.jumps = precision, Widest(self), {}
        self.unexplained = [] if unexplained is None else unexplained
        self.size = max(abs(self.scalar(x)), natural)

    def scalar(self, x):
        """s at a dict of arrays."""
        with np.errstate(all="ignore"):
            ys = as_many(self.subject.value(x, self.dtype), self.weights)
            return sum(float(np.sum(np.asarray(y, float) * w)) for y, w in zip(ys, self.weights))

    def weighed_by(self, weights):
        """The same with other weights, for asking its slopes alone."""
        other = copy(self)
        other.weights = weights
        return other

    def eps(self, dtype):
        """The eps of the format in which the subject works when it is called in that dtype."""
        return self.precision(dtype).eps

    def names(self, mode):
        """The names under which the derivatives of a mode are judged."""
        return [ALL] if Mode(mode).order == 2 or self.together else list(self.x)

    def covers(self, mode):
        """Can this mode be judged?  By differences every mode can."""
        return True

    def estimate(self, mode, name):
        """The `Estimate` of the slope along v, or of u' H v."""
        key = Mode(mode).order, name
        if key not in self.found:
            eps = self.eps(self.dtype)
            self.found[key] = (estimated.slope(self.scalar, self.x, self._along(name), eps)
                               if Mode(mode).order == 1
                               else estimated.curvature(self.scalar, self.x, self.u, self.v, eps))
        return self.found[key]

    def _along(self, name):
        """The direction of that name's slope."""
        return self.v if name == ALL else {name: self.v[name]}

    def kinked(self):
        """Names of the arrays along which the function has a kink."""
        kinked = [k for k in self.names(Mode.REVERSE) if self.estimate(Mode.REVERSE, k).kink]
        kinked = list(self.x) if kinked == [ALL] else kinked
        return [k for k in self.x if k in kinked or k in self.tied]

    def smooth(self, mode):
        """Is it certain that no kink is in the way?  Differences do not prove that."""
        return False

    def fits(self, mode, name, dtype):
        """Is the derivative certainly in the range of the dtype?  Differences do not prove that."""
        return False

    def open(self):
        """Is it unknown whether the function is smooth here?  An estimate always says."""
        return False

    def judge(self, mode, name, dtype, answers, prove=False, own=False):
        """Along one direction the answer must lie in the difference's interval; in other dtypes it
        is compared, entry by entry, with the answer in the widest one, once that is right."""
        mode, form = Mode(mode), format_named(dtype)
        answer = self.derivative(answers[dtype][mode], mode, name)
        if mode.order == 2 and not self.extreme and self.kinked():
            return Verdict(KINK, note="the second difference crosses a kink")
        if not np.isfinite(answer).all():
            return self._not_finite(dtype, mode, name, form)
        if self.extreme:
            return Verdict(UNDECIDED, note="f's own value may be lost at entries of this size")
        e = self.estimate(mode, name)
        if e.reason or e.kink:
            slopes = f"left slope {e.left.value:.6g}, right slope {e.right.value:.6g}"
            return (Verdict(KINK, note=slopes) if e.kink and not e.reason
                    else Verdict(UNDECIDED, note=e.reason))
        if dtype != self.dtype and (widest := self.widest.answer(mode, answers)) is not None:
            base = self.judge(mode, name, self.dtype, {**answers, self.dtype: {mode: widest}})
            if base.verdict in (AGREES, LESS_ACCURATE):
                return self.widest.judge(mode, name, dtype, answers)
        return self._against_difference(e, mode, name, dtype, answers)

    def derivative(self, found, mode, name):
        """The array of an answer that is judged; of a Hessian-vector product its product with u,
        since that is what is known."""
        if mode.order == 2:
            return np.asarray(found[ALL] if ALL in found else inner(found, self.u), float)
        if name != ALL:
            return np.asarray(found[name], float)
        parts = [np.ravel(np.asarray(found[k], float)) for k in self.x]
        return np.concatenate(parts) if mode == Mode.REVERSE else np.sum(np.concatenate(parts))

    def _terms(self, found, mode, name):
        """The terms whose sum is the answer along the direction."""
        if mode == Mode.REVERSE:
            v = np.concatenate([np.ravel(d) for d in self._along(name).values()])
            return np.ravel(self.derivative(found, mode, name)) * v
        if mode.order == 2 and ALL not in found:
            return np.concatenate([np.ravel(found[k] * self.u[k]) for k in found])
        return np.ravel(self.derivative(found, mode, name))

    def _not_finite(self, dtype, mode, name, form):
        """The verdict on an answer with nan or inf in it."""
        value = self.subject.value(self.x, dtype)
        e = None if self.extreme else self.estimate(mode, name)
        beyond = e is not None and not abs(e.value) < form.largest
        if beyond or not all(np.isfinite(y).all() for y in value):
            return Verdict(UNDECIDED, note=f"{dtype} may overflow here")
        if e is not None and e.reason:
            return Verdict(UNDECIDED, note=f"nan or inf, and by differences {e.reason}")
        if mode.order == 2 and e is not None and e.kink and not self._knows_slopes():
            return Verdict(KINK, note="nan or inf where the slope jumps, which differences do not "
                                      "know itself")
        if e is not None and (rough := self._roughness(mode, name, e)):
            return Verdict(KINK, note=f"nan or inf; {rough}")
        return Verdict(NOT_FINITE, note="nan or inf where f is finite")

    def _against_difference(self, e, mode, name, dtype, answers):
        """The verdict on an answer beside the `Estimate` e."""
        terms = self._terms(answers[dtype][mode], mode, name)
        given = float(np.sum(terms))
        gap = abs(given - e.value)
        reach = self._reach()
        own = TYPICAL * self.eps(dtype) * float(np.sum(np.abs(terms)))
        relative = gap / max(abs(e.value), np.finfo(float).tiny)
        width, size = e.uncertainty, max(abs(e.value), self.size * reach ** mode.order)
        known = np.inf if width == 0 else max(np.log10(max(size, width) / width), 0.0)
        found = Verdict(AGREES, rel_error=relative, bound="differences", known=float(known))
        if gap <= width + own:
            return found
        twin = another_dtype(dtype, mode, name, answers)
        if twin is not None:
            other = abs(float(np.sum(self._terms(answers[twin][mode], mode, name))) - e.value)
            ratio = self.eps(twin) / self.eps(dtype)
            fine, coarse = (gap, other) if ratio > 1 else (other, gap)
            if max(ratio, 1 / ratio) > TYPICAL and fine * np.sqrt(max(ratio, 1 / ratio)) <= coarse:
                found.verdict, found.note = LESS_ACCURATE, f"off by {relative:.1e}, as rounding is"
                return found
        if switch := self._switch(mode, name, gap, e, reach):
            found.note = switch
            return found
        # What a tie chooses is another slope, and none that differs by what cannot be told from it.
        other = mode.order == 1 and not self.same(given, e.value, float(np.sum(np.abs(terms))))
        if other and (words := self._ties(name, mode, e, answers[dtype][mode])):
            found.verdict, found.note = KINK, f"{words}, the answer is {given:.6g}"
            return found
        if gap <= width + own + TYPICAL * self._lost_to_rounding(mode, name):
            found.verdict = LESS_ACCURATE
            found.note = f"off by {relative:.1e}, as a change of x by one rounding is"
            return found
        if mode.order == 1 and self._agrees_closer(name, e, given):
            found.note = "the slope is that of finer steps than those at which f is smooth"
            return found
        if rough := self._roughness(mode, name, e):
            found.verdict, found.note = KINK, rough
            return found
        found.verdict = WRONG
        found.note = f"along a direction {given:.12g}, by differences {e.value:.12g} ± {width:.1e}"
        if e.value == 0 and mode.order == 1:
            found.note += f"; {STEP}"
        if mode == Mode.REVERSE:
            entry = self._entry(name, answers[dtype][mode])
            found.note += entry
            if not entry and relative < SMALL:
                # Where entries differ in curvature, the uncertainty of one difference along all may
                # be too small.
                found.verdict = UNDECIDED
                found.note += "; no entry alone is off by more than its own difference knows"
        return found

    def _knows_slopes(self):
        """Is the uncertainty of the slopes smaller than the slopes, or than a small part of s?"""
        slopes = [self.estimate(Mode.REVERSE, k) for k in self.names(Mode.REVERSE)]
        return all(e.uncertainty <= max(abs(e.value), SMALL * self.size) for e in slopes)

    def _roughness(self, mode, name, e):
        """Why there is no derivative to compare with although its difference converged; "" if
        nothing says so.

        f may jump.  A second difference that is no derivative is not additive: of |x|^2 / |y|, say,
        at 0.
        """
        if any(map(self._jumps, [self._along(name)] if mode.order == 1 else [self.u, self.v])):
            return "f jumps here"
        if mode.order == 1:
            return "f is infinitely steep here" if self._steep(self._along(name)) else ""
        first = {k: d * (np.arange(d.size).reshape(d.shape) % 2 == 0) for k, d in self.v.items()}
        parts = [estimated.curvature(self.scalar, self.x, self.u, d, self.eps(self.dtype))
                 for d in (first, {k: self.v[k] - first[k] for k in first})]
        width = e.uncertainty + sum(part.uncertainty for part in parts)
        if abs(sum(part.value for part in parts) - e.value) > TYPICAL * width:
            return "f has no second derivative here: differences are not additive"
        return ""

    def _jumps(self, direction):
        """Does f change as much over a step that is a thousand times smaller?"""
        here = self.scalar(self.x)
        far, near = (max(abs(above - here), abs(below - here))
                     for above, below in self._beside(direction))
        return near > max(far / 2, self._noise)

    def _steep(self, direction):
        """Does the slope on a side go on growing at far finer steps, as that of x log x at 0?"""
        here = self.scalar(self.x)
        for far, near in zip(*self._beside(direction)):
            far, near = ((v - here) / t for v, t in zip((far, near), self._steps))
            if abs(near - far) > max(self._noise / self._steps[1], abs(far) / 100):
                return True
        return False

    def _agrees_closer(self, name, e, given):
        """Do differences at far finer steps agree with what was given, and not with the estimate?

        What looks like noise may be steps of f's own, of which only those very near x tell the
        slope there.
        """
        for (above, below), t in zip(self._beside(self._along(name)), self._steps):
            near, width = (above - below) / (2 * t), self._noise / t
            if abs(near - given) <= width < abs(near - e.value):
                return True
        return False

    @property
    def _noise(self):
        return TYPICAL * self.eps(self.dtype) * self.size

    @cached_property
    def _steps(self):
        """Two small steps, relative to the size of x."""
        size = max(1.0, *(float(np.max(np.abs(a), initial=0.0)) for a in self.x.values()))
        return 2.0 ** -30 * size, 2.0 ** -40 * size

    def _beside(self, direction):
        """The values of s above and below x along a direction for each step; nan where none is."""
        line = Line(self.scalar, self.x, direction)
        return [(line(t), line(-t)) for t in self._steps]

    def _ties(self, name, mode, e, answer):
        """The words on what is no kink along the direction and yet is not smooth; "" where f seems
        smooth.

        Of an odd number of ties the slopes on both sides are those of the same entry, while others
        are the choice of points nearby.
        """
        names = list(self.x) if name == ALL else [name]
        flat = np.concatenate([np.ravel(self.x[k]) for k in names])
        if flat.all() and len(np.unique(flat)) == flat.size:
            return ""
        rng, near = np.random.default_rng(0), []
        for _ in range(NEARBY):
            aside = {k: rng.uniform(-1, 1, self.x[k].shape) for k in names}
            on = {k: aside[k] + nearby.ON * self._along(name)[k] for k in names}
            far, here = (sum(float(np.sum(r * w)) for r, w in zip(self.rises(d), self.weights))
                         for d in (on, aside))
            near.append((far - here) / nearby.ON)
        size = self.size / nearby.ON + abs(e.value)
        if not all(self.same(s, e.value, size) for s in near if np.isfinite(s)):
            self.tied.update(names)
            return (f"the slope is {e.value:.6g}, nearby it is from {min(near):.6g} to "
                    f"{max(near):.6g}")
        if mode == Mode.REVERSE and self.is_nearby(names, answer):
            return "the gradient of points nearby"
        return ""

    def is_nearby(self, names, gradient):
        """Is the gradient one of those at points nearby, or between them?"""
        def row(cotangents):
            return self.subject.answer(Mode.REVERSE, self.x, cotangents, self.u, self.v, self.dtype)

        return nearby.is_gradient_nearby(self, self.x, names, gradient, row)

    def switch(self, mode, name, dtype, answers, exact):
        """The words about a jump of f itself that explains what an answer is off its exact value
        by, along the direction; "" where there is none."""
        gap = abs(float(np.sum(self._terms(answers[dtype][mode], mode, name))) - exact)
        return self._switch(mode, name, gap, self.estimate(mode, name), self._reach())

    def _reach(self):
        """The largest entry of the directions."""
        return max(float(np.max(np.abs(d), initial=0.0)) for w in (self.v, self.u)
                   for d in w.values())

    def _switch(self, mode, name, gap, e, reach):
        """The words about a jump of f itself that explains so small a gap; "" where there is
        none."""
        size = max(abs(e.value), self.size if mode.order == 2 else 0.0)
        if self.unexplained or self.precision(self.dtype).coarse or not gap <= SMALL * size:
            return ""
        # What f is off by before it jumps is a slope's error times the length over which it grew.
        length = min(1.0, switches.largest(self.x, self._along(name)))
        least = gap * (length / reach) ** mode.order / TYPICAL
        if name not in self.jumps:
            first = mode if mode.order == 1 else Mode.REVERSE
            self.jumps[name] = switches.jump_along(self.scalar,
                                                   lambda x: self._told_at(first, name, x), self.x,
                                                   self._along(name), max(least, VISIBLY * e.noise))
        if not self.jumps[name] > least:
            self.unexplained.append(gap)
            return ""
        return f"off by {gap:.1g}; f's own switch: it jumps by {self.jumps[name]:.1g} nearby"

    def _entry(self, name, gradient):
        """The words about one entry of the gradient that is wrong; "" where none certainly is."""
        along = self._along(name)
        found = estimated.blame(self.scalar, self.x,
                                {k: np.asarray(gradient[k], float) for k in along}, along,
                                self.eps(self.dtype))
        if not found.certain:
            return ""
        return entry_note(found.index, found.given,
                          f"{found.true.value:.10g} ± {found.true.uncertainty:.1e}", found.factor)

    def _lost_to_rounding(self, mode, name):
        """How far the answer along the direction moves when every entry of x changes by one
        rounding; equal entries change alike, so that a tie stays one.

        Where roundings are coarse x changes by more, and what the answer moves by is taken in
        proportion: an answer of fewer bits than f has would jump by its own roundings, which are
        no property of f.
        """
        found, many = [], STRIDE if self.precision(self.dtype).coarse else 1
        for seed in range(4):
            x = nearby.rounded_at_random(self.x, many * self.eps(self.dtype), seed, alike=True)
            found.append(self._told_at(mode, name, x))
        moved = (abs(a - found[0]) / many for a in found)
        return max(filter(np.isfinite, moved), default=0.0)

    def _told_at(self, mode, name, x):
        """The slope along the direction that the answer at x implies."""
        return float(np.sum(self._terms(self.answer(mode, x), mode, name)))

    def answer(self, mode, x, dtype=None):
        """The subject's answer at x, in the widest dtype or another."""
        return self.subject.answer(mode, x, self.weights, self.u, self.v, dtype or self.dtype)

    def slopes(self, direction):
        """(left slope, right slope, half width of both, whether s seems smooth) along a direction.

        All are unknown at a jump, and where f has no value aside.
        """
        e = estimated.slope(self.scalar, self.x, direction, self.eps(self.dtype))
        if e.reason or not e.kink and self._jumps(direction):
            return np.nan, np.nan, np.inf, False
        if not e.kink:
            return e.value, e.value, e.uncertainty, True
        return e.left.value, e.right.value, max(e.left.uncertainty, e.right.uncertainty), False

    def rises(self, direction):
        """The rise of each result of f over a small step along a direction, divided by the step."""
        h, here = np.cbrt(self.eps(self.dtype)), self.subject.value(self.x, self.dtype)
        there = [{**self.x, **{k: self.x[k] + t * d for k, d in direction.items()}}
                 for t in (h / 2, h)]
        try:
            near, far = (as_many(self.subject.value(x, self.dtype), self.weights) for x in there)
        except Exception:  # the step leaves the domain
            return [np.full(np.shape(w), np.nan) for w in self.weights]
        # Extrapolated once, so that what f bends over the step does not count.
        return [(4.0 * a - b - 3.0 * np.asarray(c, float)) / h for a, b, c in zip(near, far, here)]

    def same(self, a, b, size):
        """Are two slopes the same, as far as rises of results that add up to that size can tell?"""
        return abs(a - b) <= TYPICAL * np.sqrt(self.eps(self.dtype)) * (size + self.size)
