"""One examination: a subject, at all points, by all ways to its derivatives, in all dtypes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .ball import Ball, Undecided, arithmetic
from .formats import format_named
from .locate import pinpoint
from .truth.exact import BITS
from .verdict import KINK, MISCONDUCT, NO_ANSWER, NOT_FINITE, RIGHT, TYPICAL, UNDECIDED, WRONG, Verdict
from .conduct import brief, conduct, finest, lost_in_one_mode, modes_agree, no_answer
from .truth.known import ByBalls, ByDifferences
from .points import MIXED, around
from .subjects.subject import Differentiated, Misconduct, Subject, results

#: Entries of an array that are tried one by one at a kink.
KINKED_ENTRIES = 6

#: Points nearby that are looked at where the slopes at a kink do not explain the answer.
PLACES = 64

#: With more entries than this, second derivatives are taken at the caller's own inputs alone.
MANY = 300

#: Verdicts that make a check fail.
FAILURES = (WRONG, NOT_FINITE, MISCONDUCT)


@dataclass
class Finding:
    """One verdict.

    check     by which way: a mode ("reverse", "forward over reverse", ...), or what was looked at ("mutation", ...)
    point     where
    argument  the derivative with respect to what; "*" for all
    dtype     in which arithmetic; "exact" for ball arithmetic
    digits    to how many the rule agrees with differences in ball arithmetic; or by differences in floats, to how many
              these know the derivative
    ulps      the largest error in units in the last place
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


class Examination:
    """A subject and what it is measured by.

    reference   the function on balls, from a dict of arrays to a list of arrays; None: the subject's own
    why_floats  why it is measured by differences in floats; "" where it is measured by ball arithmetic
    """

    def __init__(self, subject: Subject, reference=None, seed=0):
        self.subject, self.seed = subject, seed
        self.x, self.widest = subject.inputs(), finest(subject.dtypes)
        self.program = reference or subject.program()
        self.why_floats = _why_not_on_balls(self.program, self.x)
        if reference and self.why_floats:
            raise ValueError(f"check: the reference does not run in ball arithmetic ({self.why_floats}). Write it with "
                             f"NumPy's or refgrad.nn's functions, or leave reference= out: differences then do")
        self.natural, self.points = 0.0, {}
        self.many = sum(a.size for a in self.x.values()) > MANY
        self.measured_by_another = reference is not None
        self.own_rules = isinstance(subject, Differentiated) and reference is None

    def findings(self):
        """Yield `Finding`s, those at the caller's own inputs first."""
        with self.subject.at_work(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # overflow is judged, not announced
            yield from self._all()

    def _all(self):
        subject = self.subject
        first, second = (subject.value(self.x, self.widest) for _ in range(2))
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second)):
            yield Finding("repeated calls", "as given", "*", self.widest, MISCONDUCT, failed=True, note=(
                "the function itself gives another value when it is called again; fix its random seed"))
            return
        for name in subject.overwrites(self.widest):
            yield Finding("mutation", "as given", name, self.widest, MISCONDUCT, failed=True,
                          note=f"the function itself overwrites {name}")
        for number, point in enumerate(around(self.x, subject.constants, subject.dtypes, self.seed, self._works,
                                              subject.resizable)):
            self.points[point.label] = point
            with subject.given(point.constants):
                try:
                    yield from self._at(point, number)
                except Undecided as error:
                    yield Finding("differences", point.label, "*", "exact", UNDECIDED, note=str(error))

    def culprit(self, finding):
        """The primitive at fault for a failure of refgrad's rules, a `Culprit`; None if another's code failed."""
        point = self.points.get(finding.point)
        if not self.own_rules or self.why_floats or point is None:
            return None
        form = format_named("float32")
        x = {k: a if point.extreme else form.round(a) for k, a in point.x.items()}

        def program(*arrays):
            return _single(results(self.subject.call(dict(zip(x, arrays)))))

        with self.subject.given(point.constants):
            return pinpoint(program, *x.values(), seed=self.seed)

    def _works(self, x, constants):
        """Has the function a finite value there, and so its reference?"""
        try:
            with self.subject.given(constants):
                ys = self.subject.value(x, self.widest)
                if self.measured_by_another:
                    ys = [*ys, *self.program({k: np.array(a) for k, a in x.items()})]
                return all(np.isfinite(y).all() for y in ys)
        except Exception:
            return False

    def _at(self, point, number):
        rng = np.random.default_rng([self.seed, number])
        coarsest = min(map(format_named, self.subject.dtypes), key=lambda f: f.precision)
        ys = self.subject.value(point.x, self.widest)
        weights = [_draw(rng, y.shape, coarsest) for y in ys]
        if number == 0:
            self.natural = sum(float(np.sum(np.abs(y * w))) for y, w in zip(ys, weights))
        u, v = ({k: _draw(rng, a.shape, coarsest) for k, a in point.x.items()} for _ in range(2))
        try:
            known = self._knowledge(point, weights, u, v, number)
        except Undecided:
            raise
        except Exception as error:
            yield self._unknown(point, error)
            return
        if known.undecided:
            yield Finding("differences", point.label, "*", "exact", UNDECIDED, note=known.undecided)
            return
        if number == 0 and known.how == "balls" and not self.own_rules:
            yield from self._value(point, known)
        if known.how == "balls":
            yield from self._rules(point, known, number)
        answers = self._answers(point, weights, u, v, number)
        wrong = set()
        for dtype in answers:
            for finding in self._judged(point, known, answers, dtype, number):
                if finding.failed:
                    wrong.add(finding.check)
                yield finding
        for dtype in answers if not point.extreme else ():
            for name, mode in lost_in_one_mode(answers[dtype], point.x):
                if known.fits(mode, name, dtype):
                    yield _finding(mode, point, name, dtype, Verdict(
                        NOT_FINITE, note="nan or inf, where the other mode gives a number"))
        yield from self._kinks(point, known, answers)
        if number == 0 or point.label == MIXED and not self.many and self.widest in answers:
            yield from self._conduct(point, known, answers, weights, wrong)

    def _knowledge(self, point, weights, u, v, number):
        if not self.why_floats:
            modes = tuple(dict.fromkeys(["reverse", "forward", *self._modes(self.widest, number, point)]))
            for wanted in (modes, ("reverse", "forward")):
                try:
                    known = ByBalls(self.program, point.x, weights, u, v, self.seed, wanted, self.own_rules,
                                    self.natural)
                except NotImplementedError:  # a primitive of the user's own has a rule for one mode alone
                    known = None
                if known is not None and not (known.undecided and self.own_rules):
                    break  # where rules on trial leave something open, less of them may not
        if self.why_floats or known is None:
            known = ByDifferences(self.subject, point.x, weights, u, v, self.widest, self.natural, point.extreme,
                                  together=number > 0 and self.many)
        return known

    def _unknown(self, point, error):
        """No exact derivative could be had: because f itself has no value on balls, or because a rule fails."""
        try:
            with arithmetic(BITS[0]):
                ys = self.program({k: Ball(a) for k, a in point.x.items()})
            known = all(np.isfinite(y.radius() + np.abs(y.mid())).all() for y in ys if isinstance(y, Ball))
        except Exception:
            known = False
        if known:
            what = "refgrad's rules" if self.own_rules else "the reference's rules"
            return Finding("reverse", point.label, "*", "exact", NO_ANSWER, failed=self.own_rules and not point.reshaped,
                           note=f"{what} raise {brief(error)}")
        return Finding("differences", point.label, "*", "exact", UNDECIDED, note=f"f has no value: {brief(error)}")

    def _modes(self, dtype, number, point):
        """All modes everywhere; with many entries only where the caller stands.  Elsewhere it is reverse mode then, and
        forward mode at the point that has something of everything."""
        if number == 0 or not self.many:
            return self.subject.modes
        wanted = {"reverse"} | ({"forward"} if point.label == MIXED and dtype == self.widest else set())
        return [m for m in self.subject.modes if m in wanted]

    def _answers(self, point, weights, u, v, number):
        """dtype -> mode -> name -> derivative, or the error that came instead."""
        found = {}
        for dtype in sorted(point.dtypes or self.subject.dtypes, key=lambda d: -format_named(d).precision):
            found[dtype] = {}
            for mode in self._modes(dtype, number, point):
                try:
                    found[dtype][mode] = self.subject.answer(mode, point.x, weights, u, v, dtype)
                except Exception as error:
                    found[dtype][mode] = error
        return found

    def _judged(self, point, known, answers, dtype, number):
        for mode, found in answers[dtype].items():
            if isinstance(found, Exception):
                yield self._unanswered(mode, point, dtype, found)
            if isinstance(found, Exception) or not known.covers(mode):
                continue
            misshapen = list(_misshapen(mode, found, point))
            yield from (_finding(mode, point, k, dtype, verdict, failed=not point.reshaped) for k, verdict in misshapen)
            for name in () if misshapen else known.names(mode):
                if known.on_trial and known.refuted(mode, name):
                    continue  # said already, by the rules on balls
                verdict = known.judge(mode, name, dtype, answers, number == 0 and mode == "reverse")
                # Whether an overflow on the way is avoidable depends on the formula, of which only refgrad's is known.
                avoidable = not point.extreme and (known.how == "balls" or dtype == self.widest)
                remark = verdict.verdict == NOT_FINITE and not (known.on_trial or avoidable)
                yield self._of_shapes(point, _finding(mode, point, name, dtype, verdict, failed=False if remark else None))

    def _unanswered(self, mode, point, dtype, error):
        """An error in place of a derivative: a failure where the subject promised one and f itself works."""
        if isinstance(error, Misconduct):
            return _finding(mode, point, "*", dtype, Verdict(MISCONDUCT, note=str(error)), failed=not point.reshaped)
        promised = not (self.subject.may_decline(mode, error) or point.extreme or point.reshaped)
        return _finding(mode, point, "*", dtype, no_answer(error), failed=promised)

    def _rules(self, point, known, number):
        """The derivative's own code on balls: a formula that is right to 40 digits, or refuted."""
        x, u, v = ({k: Ball(a) for k, a in d.items()} for d in (point.x, known.u, known.v))
        for mode in filter(known.covers, self._modes(self.widest, number, point)):
            try:
                with arithmetic(known.truth.bits):
                    found = self.subject.on_balls(mode, x, [Ball(w) for w in known.weights], u, v)
                    found = {k: d if isinstance(d, Ball) else Ball(d) for k, d in found.items()}
            except Misconduct as error:
                yield _finding(mode, point, "*", "exact", Verdict(MISCONDUCT, note=str(error)),
                               failed=not point.reshaped)
                continue
            except Exception as error:
                if self.own_rules:
                    yield _finding(mode, point, "*", "exact", no_answer(error))
                continue  # code that balls cannot run is judged by its floats
            misshapen = list(_misshapen(mode, found, point))
            yield from (_finding(mode, point, k, "exact", verdict, failed=not point.reshaped) for k, verdict in misshapen)
            for name, ball in () if misshapen else found.items():
                verdict, digits = known.judge_on_balls(mode, name, ball)
                yield self._of_shapes(point, _finding(mode, point, name, "exact", verdict, digits=digits))

    def _of_shapes(self, point, finding):
        """A derivative need not be meant for shapes at which only the function broadcasts; refgrad's rules are."""
        finding.failed = finding.failed and (self.own_rules or not point.reshaped)
        return finding

    def _value(self, point, known):
        """Is the subject the function that it is measured by?"""
        ys = self.subject.value(point.x, self.widest)
        form = format_named(self.widest)
        exact = known.value
        if [np.shape(y) for y in ys] != [np.shape(b) for b in exact]:
            shapes = [np.shape(b) for b in exact]
            yield _finding("value", point, "*", self.widest, Verdict(
                WRONG, note=f"the results have the shapes {[np.shape(y) for y in ys]}, the reference's have {shapes}"))
            return
        for k, (y, b) in enumerate(zip(ys, exact)):
            with arithmetic(known.truth.bits):
                error = np.abs(Ball(np.asarray(y, float)) - b).abs_upper()
            size = float(np.max(b.abs_upper(), initial=0.0))
            # More than half of the digits are wrong: another function, not another way to round it.
            off = error > np.sqrt(form.eps) * size
            yield _finding("value", point, f"result {k}", self.widest, Verdict(RIGHT) if not off.any() else Verdict(
                WRONG, note="the function and its reference differ, at most by "
                            f"{float(np.max(error)):.3g} where the largest result is {size:.3g}"))

    # Kinks

    def _kinks(self, point, known, answers):
        """Entry by entry: is the answer between the one-sided slopes?  Along smooth directions: is it the slope?"""
        dtype = self.widest if self.widest in answers else next(iter(answers))
        kinked, reverse = known.kinked(), answers[dtype].get("reverse")
        if not kinked and (point.extreme or not known.open()):
            return
        if kinked and isinstance(reverse, dict) and all(
                np.shape(reverse[k]) == a.shape and np.isfinite(reverse[k]).all() for k, a in point.x.items()):
            # Of refgrad's own rules the exact convention is known; what floats make of it is judged elsewhere.
            gradient = {k: known.truth.gradient[k].mid() if known.on_trial else np.asarray(g, float)
                        for k, g in reverse.items()}
            for name in kinked:
                for index in _special_entries(point.x[name]):
                    e = np.zeros(point.x[name].shape)
                    e[index] = 1.0
                    yield from self._at_kink(point, known, name, dtype, {name: e}, gradient,
                                             f"entry {tuple(map(int, index))}")
            # Along these a tie stays a tie and a zero a zero, so here many kinked functions are smooth.
            ones = {k: np.ones(a.shape) for k, a in point.x.items()}
            own = {k: a for k, a in point.x.items() if a.any()}
            for label, d in (("all entries alike", ones), ("the input itself", own)):
                for names in filter(None, dict.fromkeys([*((k,) for k in kinked if k in d), tuple(d)])):
                    yield from self._at_kink(point, known, "*" if len(names) > 1 else names[0], dtype,
                                             {k: d[k] for k in names}, gradient, f"along {label}")
        for name, note in modes_agree(answers[dtype], point.x, known.v, dtype):
            yield _finding("kink", point, name, dtype, Verdict(KINK, note=f"two modes choose different subgradients: "
                                                                          f"{note}"), failed=True)

    def _at_kink(self, point, known, name, dtype, direction, gradient, where):
        left, right, width, smooth = known.slopes(direction)
        if not np.isfinite(left) or not np.isfinite(right):
            return
        terms = np.concatenate([np.ravel(gradient[k] * d) for k, d in direction.items()])
        reach = max(float(np.max(np.abs(d), initial=0.0)) for d in direction.values())
        given, slack = float(np.sum(terms)), width + TYPICAL * format_named(dtype).eps * (
            float(np.sum(np.abs(terms))) + abs(left) + abs(right) + known.size * reach)
        inside = min(left, right) - slack <= given <= max(left, right) + slack
        if smooth:
            if not inside and known.how == "differences":
                # Slopes that are the same on both sides are no proof of smoothness: of an odd number of ties, say.
                near = self._slopes_nearby(point, known, direction)[0] if len(direction) == 1 else [-np.inf, np.inf]
                inside = min([left, *near]) - slack <= given <= max([left, *near]) + slack
            if not inside:
                yield _finding("kink", point, name, dtype, Verdict(
                    WRONG, note=f"{where} the function is smooth with slope {left:.9g}, the answer is {given:.9g}"))
        elif where.startswith("entry"):
            around = "" if inside else " them, nor those nearby"
            if not inside:
                near, all_of_them = self._slopes_nearby(point, known, direction)
                inside = min([left, right, *near]) - slack <= given <= max([left, right, *near]) + slack
                around = " those nearby" if inside else around if all_of_them else " those seen nearby"
            yield _finding("kink", point, name, dtype, Verdict(KINK, note=(
                f"{where}: slopes {left:.6g} and {right:.6g}, the answer {given:.6g} is "
                f"{'' if inside else 'not '}between{around or ' them'}")), failed=not inside and all_of_them)

    def _slopes_nearby(self, point, known, direction):
        """(slopes along the direction at points nearby, whether every order of the entries was met).

        Where several entries tie, the slope along one of them may be the same on both sides, and yet differ nearby: of
        three equal numbers each can be the median.  At points nearby, at which the entry in question takes each place
        among the others, f is smooth; its gradients there span what a subgradient may be.
        """
        (name, d), = direction.items()
        n, entry = d.size, int(np.argmax(np.ravel(d)))
        rng = np.random.default_rng(n)
        places, slopes = rng.permutation(n), []
        for turn in range(PLACES):
            aside = {k: rng.uniform(-1, 1, a.shape) for k, a in point.x.items()}
            ranks = ((places + turn) % n).astype(float) - (n - 1) / 2
            ranks[entry] += 0.25  # never 0, where the entries that are 0 have their own kink
            aside[name] = ranks.reshape(d.shape) / n * rng.choice([-1.0, 1.0])
            left, right, _, _ = known.slopes(direction, aside)
            slopes += [s for s in (left, right) if np.isfinite(s)]
        # Two pieces meet, or several of a kind that places tell apart; of richer sets of slopes corners may be missing.
        kinds = len(set(np.round(np.asarray(slopes) / (max(map(abs, slopes), default=0.0) or 1.0), 6)))
        return slopes, n <= PLACES // 2 and kinds <= n + 1

    # Conduct, and other ways to the same

    def _conduct(self, point, known, answers, weights, wrong):
        dtype = self.widest
        if isinstance(answers[dtype].get("reverse"), Exception):
            return  # said already

        def judge(mode, found, check):
            if mode in wrong:
                return  # no other way to the same can be judged better
            judged = {dtype: {mode: found}, **{d: a for d, a in answers.items() if d != dtype}}
            for name in known.names(mode):
                if not (known.on_trial and known.refuted(mode, name)):
                    yield check, name, known.judge(mode, name, dtype, judged)

        for check, name, verdict in conduct(self.subject, point, weights, known.u, known.v, judge):
            yield _finding(check, point, name, dtype, verdict)
        for check, (mode, way, promised) in self.subject.extra.items():
            try:
                found = way(point.x, weights, known.u, known.v, dtype)
            except Exception as error:
                yield _finding(check, point, "*", dtype, no_answer(error), failed=promised)
                continue
            for name, verdict in ((n, w) for _, n, w in judge(mode, found, check)):
                yield _finding(check, point, name, dtype, verdict)


def _finding(check, point, name, dtype, verdict, digits=np.nan, failed=None):
    """`failed` where the verdict alone does not say it."""
    digits = verdict.known if np.isnan(digits) else digits
    return Finding(check, point.label, name, dtype, verdict.verdict, digits, verdict.ulp_max, verdict.rel_error,
                   verdict.error_over_bound, verdict.bound, verdict.note,
                   verdict.verdict in FAILURES if failed is None else failed)


def _misshapen(mode, found, point):
    """(name, `Verdict`) of what has not the shape of its input."""
    for k, a in point.x.items() if mode == "reverse" else ():
        if np.shape(found[k]) != a.shape:
            yield k, Verdict(MISCONDUCT, note=f"shape {np.shape(found[k])}, expected {a.shape}")


def _single(ys):
    """All results in one array."""
    return ys[0] if len(ys) == 1 else np.concatenate([np.ravel(y) for y in ys])


def _draw(rng, shape, form):
    """Directions and weights: of either sign, none near zero, none like another, representable in every dtype."""
    return form.round(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def _why_not_on_balls(program, x):
    """Why the function cannot run in ball arithmetic; "" if it can."""
    if program is None:
        return "it is not written in NumPy; reference= would prove it"
    try:
        with arithmetic(BITS[0]):
            ys = program({k: Ball(a) for k, a in x.items()})
    except Undecided:
        return ""
    except Exception as error:
        return brief(error)
    return "" if any(isinstance(y, Ball) for y in ys) else "its result does not depend on the inputs as arrays"


def _special_entries(a):
    """Indices of zeros and of entries that occur twice, then others."""
    flat = np.ravel(a)
    _, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True)
    special = (flat == 0) | (counts[inverse] > 1)
    order = np.argsort(~special, kind="stable")[:KINKED_ENTRIES]
    return [np.unravel_index(i, a.shape) for i in order]
