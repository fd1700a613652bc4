"""Verdicts on derivatives of s = <G, f> at a point, by ball arithmetic.

Here f runs on balls: derivatives are enclosed, differences are right to 40 digits, rounding has a
bound.  The function is differenced, never a derivative that a rule computed: the derivative of a
wrong rule agrees with differences of that wrong rule.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np

from ..ball import Ball, Undecided, arithmetic, digits
from ..formats import OF_NUMPY, format_named
from ..modes import Mode
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ..subjects.subject import OtherResults, as_many, weighed
from ..verdict import AGREES, KINK, NOT_FINITE, RIGHT, TYPICAL, UNDECIDED, WRONG, Verdict, judge
from . import exact
from .differences import REQUIRED, Difference, moved, step_of_order, unit
from .notes import STEP, another_dtype, entry_note
from .precision import nominal

#: How many entries that are no numbers are looked at one by one.
ENTRIES = 6

#: Digits that a formula has whose constants are rounded to float64, a few of them: a rule that
#: agrees to these is right as far as its own constants say.  It is what a function's author can
#: write; 40 digits are for what closes over none.
OF_CONSTANTS = -np.log10(TYPICAL * np.finfo(float).eps)

#: Rounded constants do not explain a rule that agrees to fewer digits than this, however
#: ill-conditioned the function.
LEAST = 10


class ByBalls:
    """What is known at a point by ball arithmetic.

    program    f on balls: from a dict of Balls to a list of Balls
    weights    those that make it the scalar s(x) = <G, f(x)>; None if f gives one Ball, and no list
    modes      the modes that will be asked for
    on_trial   whether refgrad's rules for the program are themselves on trial; else they are a
               reference, and a reference that differences refute decides nothing
    natural    the size of s where the caller stands, beside which an error may be lost where s is
               small
    ordinary   the size of s where no entry of x is larger than 1
    another    whether `program` is not the subject's own: its first derivatives may be computed in
               other ways, too
    precision  ``precision(dtype)``: the `Precision` at which the subject works when it is called in
               that dtype
    strict     allow for nothing but rounding: neither for constants that were rounded to float64,
               nor for `natural`
    options    for `exact.differentiate`
    """

    how = "balls"

    #: A function that gives what f's own values tell here, a `ByDifferences`, where f is the
    #: subject's own program: where f jumps from one approximation to another, the slope of what it
    #: approximates is right too.
    by_values = None

    #: ``in_dtype(dtype)``: what is known of the function that f is in that dtype, where it reads
    #: its dtype, as for a default eps; None where nothing is.
    in_dtype = staticmethod(lambda dtype: None)

    def __init__(self, program, x, weights, u, v, seed, modes=tuple(Mode), on_trial=False,
                 natural=0.0, another=True, ordinary=0.0, strict=False, precision=nominal,
                 **options):
        self.program, self.x, self.weights, self.u, self.v = program, x, weights, u, v
        self.on_trial, self.strict, self.precision = on_trial, strict, precision
        self.scalar = program if weights is None else weighed(program, [Ball(w) for w in weights])
        self.truth = exact.differentiate(self.scalar, x, u, v, seed, modes,
                                         **{"dtypes": (), "coordinates": 1, **options})
        self.undecided = self.truth.undecided
        self.typical, self.size = {}, max(self.truth.value, natural)
        self.another, self.ordinary = another, 0.0 if on_trial or strict else ordinary

    @cached_property
    def value(self):
        """f at the point, as Balls."""
        with arithmetic(self.truth.bits):
            ys = self.program({k: Ball(a) for k, a in self.x.items()})
            # A result may depend on no input.
            return [y if isinstance(y, Ball) else Ball(y) for y in ys]

    def weighed_by(self, weights):
        """The same with other weights, for asking its slopes alone."""
        other = copy(self)
        other.weights, other.scalar = weights, weighed(self.program, [Ball(w) for w in weights])
        return other

    def rounded(self, dtype):
        """A bound of the rounding error of each result of f, to first order; 0 where it is
        unknown."""
        with arithmetic(dtype, exact.FINER):
            try:
                ys = self.program({k: Ball(a) for k, a in self.x.items()})
            except (Undecided, ZeroDivisionError, np.linalg.LinAlgError):
                return [0.0] * len(self.value)
        with arithmetic(self.truth.bits):
            return [(np.abs(y - b) * 2.0 ** exact.FINER).abs_upper()
                    for y, b in zip(ys, self.value)]

    def eps(self, dtype):
        """The eps of the format in which the subject works when it is called in that dtype."""
        return self.precision(dtype).eps

    def names(self, mode):
        """The names under which the derivatives of a mode are judged."""
        return Mode(mode).names(self.x)

    def covers(self, mode):
        """Can this mode be judged, or is it known why not?"""
        return mode in self.truth.derivatives or bool(self.undecided)

    def agreement(self, mode, name):
        """The `Agreement` of the rules with differences."""
        return self.truth.agreement[Mode(mode).order, name]

    def kinked(self):
        """Names of the arrays along which the function has a kink."""
        return [k for k in self.x if self.truth.agreement[1, k].kink]

    def smooth(self, mode):
        """Is a derivative of that mode known, and no kink in the way?"""
        return mode in self.truth.derivatives and not any(
            self.agreement(mode, k).kink or self.agreement(mode, k).open for k in self.names(mode))

    def fits(self, mode, name, dtype):
        """Is the derivative certainly in the range of the dtype?"""
        return np.all(self.truth.derivatives[mode][name].abs_upper() < format_named(dtype).largest)

    def open(self):
        """Is it unknown whether the function is smooth here?"""
        return any(self.truth.agreement[1, k].open for k in self.x)

    def refuted(self, mode, name):
        """Do differences refute the rules that the exact derivative comes from?"""
        found = self.agreement(mode, name)
        return found.refuted and (self.strict or not self._as_constants(found.digits))

    @property
    def without_rules(self):
        """Do differences refute the rules for a first derivative, as where they multiply an unused
        infinity by 0?"""
        return not self.undecided and any(self.refuted(Mode.REVERSE, k) for k in self.x)

    def there(self, x, mode):
        """What the rules say of the derivatives of a mode at another point, as Balls."""
        truth = exact.differentiate(self.scalar, x, self.u, self.v, 0, (mode,), dtypes=(),
                                    coordinates=None, by=self.truth.by)
        return truth.derivatives[mode]

    def _as_constants(self, agreed):
        """Is a formula that agrees to so many digits right but for the rounding of its constants to
        float64?

        Such a rounding acts as one of the inputs does: the condition number tells by how much.
        """
        if agreed >= OF_CONSTANTS:
            return True
        return agreed >= LEAST and agreed >= OF_CONSTANTS - np.log10(max(self.condition, 1.0))

    @cached_property
    def condition(self):
        """The condition number of the gradient."""
        try:
            return self.truth.condition
        except NotImplementedError:  # without a rule for forward mode
            return 1.0

    def judge(self, mode, name, dtype, answers, prove=False, own=False):
        """The verdict on ``answers[dtype][mode][name]``; the answers in other dtypes tell rounding
        from a fault.

        prove  compute the bound in any case, not only for an error that is not typical
        own    the answers are those of refgrad's own rules, in floats
        """
        if self.undecided:
            return Verdict(UNDECIDED, note=self.undecided)
        # The exact value comes from refgrad's rules on balls. If differences refute these, nothing
        # can be judged by it.
        if self.refuted(mode, name):
            return Verdict(WRONG if own else UNDECIDED,
                           note="refgrad's rules agree with differences to "
                                f"{self.agreement(mode, name).digits:.1f} digits only")
        if self.strict and not self.truth.holds(mode):
            return Verdict(WRONG if own else UNDECIDED,
                           note="refgrad's rules say otherwise in this mode")
        twin = another_dtype(dtype, mode, name, answers)
        works = self.precision(dtype).form
        works = works.name if works == format_named(dtype) else works
        known = prove or (mode, works) in self.truth.bounds
        context = self.truth.context(
            mode, name, dtype, natural=self._beside(self._natural(mode), mode),
            usual=0.0 if self.on_trial or self.strict else self.size,
            typical=None if known else lambda: self._typical(mode, name, dtype),
            twin=twin and answers[twin][mode][name], twin_dtype=twin,
            works=lambda d: self.precision(d).form)
        context.value = self._beside(context.value, mode)
        right = self.truth.derivatives[mode][name]
        found = judge(answers[dtype][mode][name], right,
                      lambda: self.truth.bound(mode, works, name), context)
        kink = self.agreement(mode, name).kink
        if found.verdict == NOT_FINITE and mode.order == 2 and kink and not own:
            # There is no second derivative, and no convention for others' code.
            found.verdict, found.note = KINK, kink
        if found.verdict == WRONG and (switch := self._switch(mode, name, dtype, answers)):
            found.verdict, found.note = AGREES, switch
        if found.verdict == WRONG and mode.order == 1 and not right.abs_upper().any():
            found.note += f"; {STEP}"
        return found

    def _switch(self, mode, name, dtype, answers):
        """The words about a jump of f itself that explains what an answer is off by; "" where none
        does."""
        right = self.truth.derivatives[mode][name]
        if self.by_values is None or np.shape(answers[dtype][mode][name]) != right.shape:
            return ""
        if mode.order == 2:
            exact = self.truth.curvature
        else:
            exact = right if mode == Mode.FORWARD else np.sum(right * Ball(self.v[name]))
        return self.by_values().switch(mode, name, dtype, answers, float(exact.mid()))

    def _beside(self, size, mode):
        """The size of s beside which an error of a derivative may be lost, where s is as large as
        `size`. Where x is large, it is smaller: the derivative of a term of s is about the term
        over x."""
        smaller = max(size / self._reach ** mode.order, self.ordinary * self._reach)
        return min(size, smaller)

    @cached_property
    def _reach(self):
        """What no entry of x that is not 0 is smaller than; at least 1."""
        sizes = np.concatenate([np.abs(np.ravel(a)) for a in self.x.values()])
        own = self.on_trial or self.strict
        if own or not sizes.any():
            return 1.0
        return float(np.clip(np.min(sizes[sizes > 0]), 1, 1e100))

    def _natural(self, mode):
        """The size of f beside which an error of a mode may be lost."""
        if self.on_trial or self.strict:
            return 0.0
        if self.another or self.weights is None:
            return self.size
        # The terms of s here are what its slopes are rounded beside, where they are computed in no
        # other way.
        terms = float(
            sum(np.sum(np.abs(np.asarray(y.mid() if isinstance(y, Ball) else y, float) * w))
                for y, w in zip(self.value, self.weights)))
        return terms / TYPICAL if mode.order == 1 else max(self.size, terms)

    def _typical(self, mode, name, dtype):
        """The reference in the same dtype; where its rules are on trial, the exact value
        rounded."""
        nearest = self.truth.derivatives[mode][name].mid()
        if self.on_trial or dtype not in OF_NUMPY:
            return nearest
        if (mode, dtype) not in self.typical:
            x, u, v = ({k: a.astype(dtype) for k, a in d.items()} for d in (self.x, self.u, self.v))
            scalar = weighed(self.program, [np.asarray(w, dtype) for w in self.weights])
            try:
                with np.errstate(all="ignore"):
                    self.typical[mode, dtype] = REFGRAD.differentiate(Mode(mode), scalar, x, u, v)
            except Exception:  # the reference is for balls alone
                self.typical[mode, dtype] = {}
        return self.typical[mode, dtype].get(name, nearest)

    def judge_on_balls(self, mode, name, found):
        """The verdict on a derivative that was itself computed on balls: a proof, or a
        refutation."""
        mode, agreement = Mode(mode), self.agreement(mode, name)
        if agreement.kink and mode.order == 1 and not found.finite().all():
            return (Verdict(NOT_FINITE, note=f"no finite number at a kink: {agreement.kink}"),
                    -np.inf)
        if mode == Mode.REVERSE and (lost := self._lost_entry(name, found)):
            return Verdict(NOT_FINITE, note=lost), -np.inf
        if agreement.kink or agreement.open:
            return Verdict(KINK if agreement.kink else UNDECIDED,
                           note=agreement.kink or agreement.open), np.nan
        right = self.truth.derivatives[mode][name]
        if found.shape != right.shape:
            return Verdict(WRONG, note=f"shape {found.shape}, expected {right.shape}"), -np.inf
        agreed = agreement.digits
        if not found.finite().all():
            return Verdict(NOT_FINITE, note="no finite number, where differences give one"), -np.inf
        enough = REQUIRED if self.strict else OF_CONSTANTS
        with arithmetic(self.truth.bits):
            if not self.refuted(mode, name):
                # What is certainly small beside the function and its slopes may be left open beside
                # itself.
                apart = not np.all(found.overlaps(right))
                for scale in (self.truth.scale[mode.order], self.truth.scale[1],
                              self.truth.value or 1.0):
                    agreed = min(agreement.digits,
                                 float(np.min(digits(found, right, scale), initial=np.inf)))
                    if apart or agreed >= enough:
                        break
                else:
                    return (Verdict(UNDECIDED, note=f"cancelled beyond {self.truth.bits} bits"),
                            agreed)
        if agreed >= REQUIRED:
            return Verdict(RIGHT, bound="proven"), agreed
        if not self.strict and self._as_constants(agreed):
            return Verdict(RIGHT, bound="float64 constants"), agreed
        note = f"agrees with differences to {max(agreed, 0):.1f} digits"
        if mode.order == 1:
            note += self._entry(mode, name, found)
        return Verdict(WRONG, note=note), agreed

    def _lost_entry(self, name, found):
        """The words about an entry that is no number although the slopes along it are, or differ at
        a jump or kink."""
        for index in np.argwhere(~found.finite())[:ENTRIES]:
            e = np.zeros(found.shape)
            e[tuple(index)] = 1.0
            try:
                left, right, _, _ = self.slopes({name: e})
            except Undecided:
                continue
            if np.isfinite(left + right):
                return (f"entry {tuple(map(int, index))} is nan or inf, the slopes along it are "
                        f"{left:.6g} and {right:.6g}")
        return ""

    def _entry(self, mode, name, found):
        """The words about the entry of a wrong gradient that is off."""
        if mode == Mode.FORWARD or not found.size:
            return ""
        index, given, true = self.entry_off(name, found)
        given, true = float(given.mid()), float(true.mid())
        return entry_note(index, given, f"{true:.10g}", given / true if true else np.nan)

    def entry_off(self, name, found):
        """(index, the entry, the difference along it) of a gradient that is off: found by halving
        the array in which differences disagree."""
        entries = np.arange(found.size)
        signs = np.random.default_rng(found.size).choice([-1.0, 1.0], found.size)
        with arithmetic(self.truth.bits):
            while len(entries) > 1:
                half = entries[:len(entries) // 2]
                direction = np.zeros(found.size)
                direction[half] = signs[half]
                d = Ball(direction.reshape(found.shape))
                given, true = np.sum(found * d), self._difference({name: d}).quotient
                size = np.sum(np.abs(found * d)) + np.abs(true)
                off = float(size.upper()) > 0 and not float(digits(given, true, size)) >= REQUIRED
                entries = half if off else entries[len(half):]
            index = np.unravel_index(entries[0], found.shape)
            return index, found[index], self._difference({name: unit(found, entries[0])}).quotient

    def _difference(self, direction):
        """The `Difference` of s along a direction."""
        x, h = {k: Ball(a) for k, a in self.x.items()}, step_of_order(1, self.truth.bits)
        return Difference(self.scalar, x, direction, h=h)

    def slopes(self, direction):
        """(left slope, right slope, half width of both, whether s is smooth) along a direction of
        floats.

        Both are nan at a jump.
        """
        with arithmetic(self.truth.bits):
            try:
                difference = self._difference({k: Ball(d) for k, d in direction.items()})
            except (Undecided, NotImplementedError):
                raise
            except Exception:  # the function has no value a step aside
                return np.nan, np.nan, np.inf, False
            if difference.jump:
                return np.nan, np.nan, np.inf, False
            left, right = (float(side.mid()) for side in difference.sides)
            return left, right, 0.0, difference.smooth

    def rises(self, direction):
        """The rise of each result of f over a small step along a direction, divided by the step."""
        with arithmetic(self.truth.bits):
            h = step_of_order(1, self.truth.bits)
            x = moved({k: Ball(a) for k, a in self.x.items()},
                      (h, {k: Ball(d) for k, d in direction.items()}))
            try:
                return [np.asarray(((there - here) / h).mid())
                        for there, here in zip(as_many(self.program(x), self.weights), self.value)]
            except (Undecided, np.linalg.LinAlgError, OtherResults):
                return [np.full(np.shape(w), np.nan) for w in self.weights]

    @staticmethod
    def same(a, b, size):
        """Are two slopes the same, of which one is added up in floats from terms of that size?"""
        return abs(a - b) <= np.sqrt(np.finfo(float).eps) * size
