"""What is known about s = <G, f> at a point, and the verdict that follows; two sources behind one interface.

    ByBalls         f runs on balls: derivatives are enclosed, differences are right to 40 digits, rounding has a bound
    ByDifferences   f is a black box in floats: a derivative is an interval, as wide as noise and truncation make it

Both difference the function, never a derivative that somebody computed: a derivative of a wrong rule agrees with
differences of that wrong rule.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..ball import Ball, Undecided, arithmetic, branches, digits
from ..formats import format_named
from . import estimated, exact
from .exact import REQUIRED, order_of
from ..subjects.libraries.refgrad_modes import MODES, inner
from ..verdict import (AGREES, KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, TYPICAL, UNDECIDED, WRONG, Verdict, figures,
                       judge)
from ..subjects.subject import weighed

#: How many points aside are looked at before a slope that is the same on both sides is believed against an answer.
NEARBY = 6

#: How many entries that are no numbers are looked at one by one.
ENTRIES = 6

#: Digits that a formula has whose constants are rounded to float64, a few of them: a rule that agrees to these is right
#: as far as its own constants say.  It is what a function's author can write; 40 digits are for what closes over none.
OF_CONSTANTS = -np.log10(TYPICAL * np.finfo(float).eps)

#: With fewer digits than this no rounding of constants is thought of, however ill-conditioned the function.
LEAST = 10


class ByBalls:
    """Knowledge by ball arithmetic.

    program    f on balls: from a dict of Balls to a list of Balls
    modes      the modes that will be asked for
    on_trial   whether refgrad's rules for the program are themselves on trial; else they are a reference, and a
               reference that differences refute decides nothing
    """

    how = "balls"

    def __init__(self, program, x, weights, u, v, seed, modes=tuple(MODES), on_trial=False, natural=0.0):
        self.program, self.x, self.weights, self.u, self.v = program, x, weights, u, v
        self.on_trial = on_trial
        self.scalar = weighed(program, [Ball(w) for w in weights])
        self.truth = exact.differentiate(self.scalar, x, u, v, seed, modes, dtypes=(), coordinates=1)
        self.undecided = self.truth.undecided
        self.typical, self.size = {}, max(self.truth.value, natural)

    @property
    def value(self):
        """f at the point, as Balls."""
        with arithmetic(self.truth.bits):
            return self.program({k: Ball(a) for k, a in self.x.items()})

    def names(self, mode):
        return ["*"] if mode == "forward over forward" else list(self.x)

    def covers(self, mode):
        """Is anything known of that mode?"""
        return mode in self.truth.derivatives

    def agreement(self, mode, name):
        return self.truth.agreement[order_of(mode), name]

    def kinked(self):
        return [k for k in self.x if self.truth.agreement[1, k].kink]

    def fits(self, mode, name, dtype):
        """Is the derivative certainly in the range of the dtype?"""
        return np.all(self.truth.derivatives[mode][name].abs_upper() < format_named(dtype).largest)

    def open(self):
        """Is it unknown whether the function is smooth here?"""
        return any(self.truth.agreement[1, k].open for k in self.x)

    def refuted(self, mode, name):
        """Do differences refute the rules that the exact derivative comes from?"""
        found = self.agreement(mode, name)
        return found.refuted and not self._as_constants(found.digits)

    def _as_constants(self, agreed):
        """Is a formula that agrees to so many digits right but for the rounding of its constants to float64?

        Such a rounding acts as one of the inputs does: the condition number tells by how much.
        """
        if agreed >= OF_CONSTANTS:
            return True
        return agreed >= LEAST and agreed >= OF_CONSTANTS - np.log10(max(self._condition, 1.0))

    @cached_property
    def _condition(self):
        try:
            return self.truth.condition
        except NotImplementedError:  # without a rule for forward mode
            return 1.0

    def judge(self, mode, name, dtype, answers, prove=False):
        """The verdict on ``answers[dtype][mode][name]``; the answers in other dtypes tell rounding from a fault.

        prove  compute the bound in any case, not only for an error that is not typical
        """
        if self.refuted(mode, name):
            return Verdict(UNDECIDED, note=f"refgrad's rules agree with differences to "
                                           f"{self.agreement(mode, name).digits:.1f} digits only")
        twin = another_dtype(dtype, mode, name, answers)
        return judge(answers[dtype][mode][name], self.truth.derivatives[mode][name], self.truth, mode, name, dtype,
                     twin and answers[twin][mode][name], twin,
                     None if prove else self._typical(mode, name, dtype), 0.0 if self.on_trial else self.size)

    def _typical(self, mode, name, dtype):
        """The reference in the same dtype; where its rules are on trial, the exact value rounded."""
        nearest = self.truth.derivatives[mode][name].mid()
        if self.on_trial or dtype not in np.sctypeDict:
            return nearest
        if (mode, dtype) not in self.typical:
            x, u, v = ({k: a.astype(dtype) for k, a in d.items()} for d in (self.x, self.u, self.v))
            scalar = weighed(self.program, [np.asarray(w, dtype) for w in self.weights])
            try:
                with np.errstate(all="ignore"):
                    self.typical[mode, dtype] = MODES[mode](scalar, x, u, v)
            except Exception:  # the reference is for balls alone
                self.typical[mode, dtype] = {}
        return self.typical[mode, dtype].get(name, nearest)

    def judge_on_balls(self, mode, name, found):
        """The verdict on a derivative that was itself computed on balls: a proof, or a refutation."""
        agreement = self.agreement(mode, name)
        if agreement.kink and order_of(mode) == 1 and not np.isfinite(found.radius()).all():
            return Verdict(NOT_FINITE, note=f"no finite number at a kink: {agreement.kink}"), -np.inf
        if mode == "reverse" and (lost := self._lost_entry(name, found)):
            return Verdict(NOT_FINITE, note=lost), -np.inf
        if agreement.kink or agreement.open:
            return Verdict(KINK if agreement.kink else UNDECIDED, note=agreement.kink or agreement.open), np.nan
        right, order = self.truth.derivatives[mode][name], order_of(mode)
        if found.shape != right.shape:
            return Verdict(WRONG, note=f"shape {found.shape}, expected {right.shape}"), -np.inf
        agreed = agreement.digits
        if not np.isfinite(found.radius()).all():
            return Verdict(NOT_FINITE, note="no finite number, where differences give one"), -np.inf
        with arithmetic(self.truth.bits):
            if not self.refuted(mode, name):
                # What is certainly small beside the function and its slopes may be left open beside itself.
                apart = not np.all(found.overlaps(right))
                for scale in (self.truth.scale[order], self.truth.scale[1], self.truth.value or 1.0):
                    agreed = min(agreement.digits, float(np.min(digits(found, right, scale), initial=np.inf)))
                    if apart or agreed >= OF_CONSTANTS:
                        break
                else:
                    return Verdict(UNDECIDED, note=f"cancelled beyond {self.truth.bits} bits"), agreed
        if agreed >= REQUIRED:
            return Verdict(RIGHT, bound="proven"), agreed
        if self._as_constants(agreed):
            return Verdict(RIGHT, bound="float64 constants"), agreed
        note = f"agrees with differences to {max(agreed, 0):.1f} digits"
        if order_of(mode) == 1:
            note += self._entry(mode, name, found)
        return Verdict(WRONG, note=note), agreed

    def _lost_entry(self, name, found):
        """The words about an entry that is no number although the slopes along it are, be others at a jump or a kink."""
        for index in np.argwhere(~np.isfinite(found.radius()))[:ENTRIES]:
            e = np.zeros(found.shape)
            e[tuple(index)] = 1.0
            try:
                left, right, _, _ = self.slopes({name: e})
            except Undecided:
                continue
            if np.isfinite(left + right):
                return (f"entry {tuple(map(int, index))} is nan or inf, the slopes along it are {left:.6g} and "
                        f"{right:.6g}")
        return ""

    def _entry(self, mode, name, found):
        """Which entry of a wrong gradient is off, found by halving the array in which differences disagree."""
        if mode == "forward" or not found.size:
            return ""
        entries = np.arange(found.size)
        signs = np.random.default_rng(found.size).choice([-1.0, 1.0], found.size)
        while len(entries) > 1:
            half = entries[:len(entries) // 2]
            direction = np.zeros(found.size)
            direction[half] = signs[half]
            with arithmetic(self.truth.bits):
                d = Ball(direction.reshape(found.shape))
                given, true = np.sum(found * d), self._central(name, d)
                size = np.sum(np.abs(found * d)) + np.abs(true)
                off = float(size.upper()) > 0 and not float(digits(given, true, size)) >= REQUIRED
            entries = half if off else entries[len(half):]
        index = np.unravel_index(entries[0], found.shape)
        with arithmetic(self.truth.bits):
            true = self._central(name, Ball(np.eye(1, found.size, entries[0]).reshape(found.shape)))
        given, true = float(found[index].mid()), float(true.mid())
        return entry_note(index, given, f"{true:.10g}", given / true if true else np.nan)

    def _central(self, name, direction):
        return self._along({name: direction})[0]

    def _along(self, direction, shift=None):
        """(central, left, right slope as Balls, whether no branch changes) along a direction; `shift` moves the point."""
        x, h = {k: Ball(a) for k, a in self.x.items()}, exact.step_of_order(1, self.truth.bits)
        for k, d in (shift or {}).items():
            x[k] = x[k] + Ball(d) * np.sqrt(h)  # far, beside the steps, and near, beside everything else
        moved = [{k: b + direction[k] * (s * h) if k in direction else b for k, b in x.items()} for s in (1, -1)]
        values, logs = [], []
        for point in (x, *moved):
            with branches() as log:
                values.append(self.scalar(point))
            logs.append(log)
        here, above, below = values
        return (above - below) / (2 * h), (here - below) / h, (above - here) / h, logs[0] == logs[1] == logs[2]

    def slopes(self, direction, shift=None):
        """(left slope, right slope, half width of both, whether s is smooth) along a direction of floats.

        shift  a direction in which to step aside first, by a distance that is small but larger than the steps
        Both are nan at a jump.
        """
        with arithmetic(self.truth.bits):
            _, left, right, smooth = self._along({k: Ball(d) for k, d in direction.items()}, shift)
        left, right = float(left.mid()), float(right.mid())
        if not max(abs(left), abs(right)) < exact.step_of_order(1, self.truth.bits) ** -0.5:
            return np.nan, np.nan, np.inf, False
        return left, right, 0.0, smooth


class ByDifferences:
    """Knowledge by differences of the subject's own values, in the widest dtype that it takes.

    natural   the size of s where the caller stands: what rounding inside f may amount to even where s itself is small
    extreme   entries so large or small that f's own value may be lost: then only nan and inf can be told
    together  difference all arrays along one direction, under the name "*", rather than each alone
    """

    how = "differences"
    on_trial = False
    undecided = ""

    def __init__(self, subject, x, weights, u, v, dtype, natural=0.0, extreme=False, together=False):
        self.subject, self.x, self.weights, self.u, self.v, self.dtype = subject, x, weights, u, v, dtype
        self.extreme, self.together, self.found, self.shifted = extreme, together, {}, {}
        self.size = max(abs(self.scalar(x)), natural)

    def scalar(self, x):
        with np.errstate(all="ignore"):
            ys = self.subject.value(x, self.dtype)
            return sum(float(np.sum(np.asarray(y, float) * w)) for y, w in zip(ys, self.weights))

    def names(self, mode):
        return ["*"] if order_of(mode) == 2 or self.together else list(self.x)

    def covers(self, mode):
        return True

    def estimate(self, mode, name):
        """The `Estimate` of the slope along v, or of u' H v."""
        key = order_of(mode), name
        if key not in self.found:
            self.found[key] = estimated.slope(self.scalar, self.x, self._along(name)) if order_of(mode) == 1 else \
                estimated.curvature(self.scalar, self.x, self.u, self.v)
        return self.found[key]

    def _along(self, name):
        """The direction of that name's slope."""
        return self.v if name == "*" else {name: self.v[name]}

    def kinked(self):
        kinked = [k for k in self.names("reverse") if self.estimate("reverse", k).kink]
        return list(self.x) if kinked == ["*"] else kinked

    def fits(self, mode, name, dtype):
        return False

    def open(self):
        return False

    def refuted(self, mode, name):
        return False

    def judge(self, mode, name, dtype, answers, prove=False):
        """Along one direction the answer must lie in the difference's interval; in other dtypes it is compared, entry
        by entry, with the answer in the widest one, once that is right."""
        answer = self._derivative(answers, dtype, mode, name)
        form = format_named(dtype)
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
        if order_of(mode) == 2 and self.kinked():
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
        if order_of(mode) == 2:
            return np.asarray(found["*"] if "*" in found else inner(found, self.u), float)
        if name != "*":
            return np.asarray(found[name], float)
        parts = [np.ravel(np.asarray(found[k], float)) for k in self.x]
        return np.concatenate(parts) if mode == "reverse" else np.sum(np.concatenate(parts))

    def _terms(self, answers, dtype, mode, name):
        """The terms whose sum is the answer along the direction."""
        found = answers[dtype][mode]
        if mode == "reverse":
            v = np.concatenate([np.ravel(d) for d in self._along(name).values()])
            return np.ravel(self._derivative(answers, dtype, mode, name)) * v
        if order_of(mode) == 2 and "*" not in found:
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
        floor = TYPICAL * format_named(self.dtype).eps * self.size * reach ** order_of(mode)
        own = TYPICAL * form.eps * float(np.sum(np.abs(terms)))
        relative = gap / max(abs(e.value), np.finfo(float).tiny)
        width, size = e.uncertainty + floor, max(abs(e.value), self.size * reach ** order_of(mode))
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
        if order_of(mode) == 1 and (near := self._slopes_nearby(name, e)):
            found.verdict, found.note = KINK, (f"the slope is {e.value:.6g}, nearby it is from {min(near):.6g} to "
                                               f"{max(near):.6g}, the answer is {given:.6g}")
            return found
        found.verdict = WRONG
        found.note = f"along a direction {given:.12g}, by differences {e.value:.12g} ± {width:.1e}"
        if mode == "reverse":
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
        e = estimated.slope(self.scalar, {**self.x, **aside}, direction)
        if e.reason:
            return np.nan, np.nan, np.inf, False
        if not e.kink:
            return e.value, e.value, e.uncertainty, True
        return e.left.value, e.right.value, max(e.left.uncertainty, e.right.uncertainty), False


def another_dtype(dtype, mode, name, answers):
    """The dtype nearest in precision in which the same derivative was computed, or None."""
    precision = format_named(dtype).precision
    others = [d for d, by_mode in answers.items()
              if d != dtype and isinstance(by_mode.get(mode), dict) and (name in by_mode[mode] or name == "*")]
    return min(others, key=lambda d: (abs(format_named(d).precision - precision), -format_named(d).precision),
               default=None)


def entry_note(index, given, true, factor):
    """The words about one entry that is off."""
    near = np.isfinite(factor) and abs(factor - 1) < 1e-3
    times = f" (by the factor 1 {factor - 1:+.3g})" if near else f" (by the factor {factor:.6g})" if np.isfinite(
        factor) else ""
    return f"; entry {tuple(map(int, index))} is {given:.10g}, the function says {true}{times}"
