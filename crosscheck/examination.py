"""An examination goes through a subject's points, and yields what is found at each."""

from __future__ import annotations

import warnings
from functools import cache, cached_property

import numpy as np

from .ball import Ball, Undecided, arithmetic
from .child import can_fork, in_a_child
from .conduct import another_order, brief, conduct, no_entries, third_order
from .formats import TF32, coarsest, finest, format_named
from .kinks import kinks
from .modes import ALL, FIRST_ORDER, Mode
from .points import AS_GIVEN, MIXED, around, rounded
from .progress import progress
from .shapes import ENDS, elsewhere, shares_rows
from .subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from .subjects.subject import Subject, raised_by_the_subject
from .subspaces import subspaces_of
from .trial import FAILURES, Finding, Trial
from .truth.by_balls import ByBalls
from .truth.by_differences import ByDifferences
from .truth.differences import BITS, BY_DIFFERENCES
from .truth.precision import precision_of
from .value import value
from .verdict import MISCONDUCT, NO_ANSWER, OK, RIGHT, UNDECIDED
from .where import pattern

#: How many points a quick check looks at.
QUICK = 3

#: With more entries than this, second derivatives are taken at the caller's own inputs alone.
MANY = 300

#: With more entries than this ball arithmetic would take minutes.
FOR_BALLS = 20_000

#: With more entries than this nothing more is looked at once a derivative of first order is wrong.
HUGE = 100_000


class Examination:
    """A subject at all its points, and what its derivatives are measured by.

    reference   the function on balls, from a dict of arrays to a list of arrays; None: the
                subject's own
    why_floats  why it is measured by differences in floats; "" where it is measured by ball
                arithmetic
    quick       look at few points
    thorough    go on to other points after a failure at the caller's own inputs
    """

    def __init__(self, subject: Subject, reference=None, seed=0, quick=False, thorough=False):
        self.subject, self.seed, self.quick, self.thorough = subject, seed, quick, thorough
        self.x, self.widest = subject.inputs(), finest(subject.dtypes)
        self.size = sum(a.size for a in self.x.values())
        program = reference or subject.program()
        self.program = program and subject.state.after(program)
        self.why_floats = (subject.unproved if self.program is None
                           else _why_not_on_balls(self.program, self.x))
        if reference and self.why_floats and self.size <= FOR_BALLS:
            raise ValueError("check: the reference does not run in ball arithmetic "
                             f"({self.why_floats}). Write it with NumPy's or refgrad.nn's "
                             "functions, or leave reference= out: differences then do")
        self.natural = self.ordinary = 0.0
        self.points, self.trials, self.precisions, self.varies = {}, {}, {}, False
        self.unexplained = []
        self.here = ""  # the label of the point that is looked at
        self.many = self.size > MANY
        self.measured_by_another = reference is not None
        self.own_rules = subject.by_refgrad and reference is None

    @cached_property
    def measured(self):
        """The dtype in which the subject's values are differenced."""
        return self.subject.measurable(self.widest)

    def precision(self, dtype):
        """The `Precision` at which the subject works when it is called in a dtype, found at the
        caller's own inputs."""
        def values(x):
            try:
                return self.subject.value(x, dtype)
            finally:
                self.subject.state.put_back()

        if dtype not in self.precisions:
            self.precisions[dtype] = precision_of(values, self.x, dtype)
        return self.precisions[dtype]

    @cached_property
    def rounds_in_steps(self):
        """Does f round to a format for which it has no conversion, as to TF32?  To balls that is a
        step function."""
        own = not (self.own_rules or self.measured_by_another)
        return own and self.precision(self.widest).form is TF32

    @property
    def works_in(self):
        """Words about the precisions that were found where those are not the dtypes that were asked
        for."""
        known = [self.precisions[d] for d in self.subject.dtypes if d in self.precisions]
        return "; ".join(p.text for p in known if p.coarse)

    def findings(self):
        """Yield `Finding`s, those at the caller's own inputs first."""
        with (progress(lambda: f"{self.subject.name} {self.here}"), self.subject.at_work(),
              warnings.catch_warnings()):
            warnings.simplefilter("ignore")  # overflow is judged, not announced
            try:
                yield from self._all()
            finally:
                self.subject.state.put_back()

    def _all(self):
        subject = self.subject
        subject.within = subspaces_of(subject, self.x, self.widest)
        first, second = (subject.value(self.x, self.widest) for _ in range(2))
        same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second))
        reordered = "" if same else another_order(first, second, format_named(self.widest).eps)
        if reordered:
            self.varies = True
            yield Finding("repeated calls", AS_GIVEN, ALL, self.widest, RIGHT,
                          note=f"two calls of f {reordered}")
        elif not same:
            yield Finding("repeated calls", AS_GIVEN, ALL, self.widest, MISCONDUCT, failed=True,
                          note=("the function itself gives another value when it is called again; "
                                "fix its random seed"))
            return
        for name in subject.overwrites(self.widest):
            yield Finding("mutation", AS_GIVEN, name, self.widest, MISCONDUCT, failed=True,
                          note=f"the function itself overwrites {name}")
        for name, subspace in subject.within.items():
            directions = f"{subspace.words} directions"
            yield Finding(directions, AS_GIVEN, name, self.widest, OK, note=(
                f"{name} is {subspace.words}: the derivative is judged along {directions}"))
        number = failed = 0
        for number, point in enumerate(around(self.x, subject.constants, subject.dtypes, self.seed,
                                              self._works)):
            for finding in self._stand(point, number):
                failed += finding.failed
                yield finding
            if failed and not number and not self.thorough or self.quick and number + 1 >= QUICK:
                return
        if not subject.crash_prone:
            found, end = self._elsewhere(number), ""
        elif can_fork() and subject.on_cpu:
            found, end = in_a_child(self._elsewhere(number))
        else:
            return
        place = ""
        for finding in found:
            if isinstance(finding, str):
                place = finding
            else:
                yield finding
        if end:
            yield Finding("other shapes", place, ALL, self.widest, NO_ANSWER,
                          note=f"{end}, one of its own")

    def _stand(self, point, number):
        """Yield what is found at a point; an error that the subject raises on the way becomes a
        finding."""
        self.points[point.label], self.here = point, point.label
        with self.subject.given(point.constants):
            try:
                yield from self._at(point, number)
            except Exception as error:
                if not (isinstance(error, Undecided) or raised_by_the_subject(error)):
                    raise
                note = (str(error) if isinstance(error, Undecided)
                        else f"it could not be told: {brief(error)}")
                yield Finding("differences", point.label, ALL, "exact", UNDECIDED, note=note)

    def _elsewhere(self, number):
        """Yield a label, then what is found there: at other shapes and indices, and for arrays
        without entries."""
        subject = self.subject
        x, constants, whole = rounded(self.x, subject.dtypes), subject.constants, None
        if not self._works(x, constants):
            return
        for alternatives in filter(None, elsewhere(x, constants, subject.resizable)):
            yield alternatives[0].label
            point = next((p for p in alternatives if self._works(p.x, p.constants)), None)
            if point is None:
                continue
            if point.foreign:
                whole = subject.value(x, self.widest) if whole is None else whole
                with subject.given(point.constants):
                    point.foreign = not shares_rows(subject.value(point.x, self.widest), whole)
                    if point.label == ENDS:
                        point.foreign = self._pads(point, whole)
            number += 1
            yield from self._stand(point, number)
        self.here = "without entries"
        yield self.here
        for name, verdict in no_entries(subject, x, self.widest):
            told = OK if verdict.verdict == RIGHT else verdict.verdict
            yield Finding("no entries", self.here, name, self.widest, told, note=verdict.note,
                          failed=verdict.verdict in FAILURES)

    def _pads(self, point, ys):
        """Is the gradient 0 at index 0 of some input?  Then index 0 may stand for padding, on
        purpose."""
        try:
            ones = [np.ones(np.shape(y)) for y in ys]
            found = self.subject.pull(point.x, ones, self.widest, np.asarray)[0]
        except Exception:
            return True
        return any(np.ndim(g) and len(g) and not np.any(g[0]) for g in found.values())

    def extreme(self, label):
        """Are the entries at a point so large or small that squares leave the range of floats?"""
        return label in self.points and self.points[label].extreme

    def why_not_counted(self, finding):
        """Why a wrong answer at a point is no failure, in words."""
        point = self.points.get(finding.point)  # of a child process there is none
        return "at shapes and indices that were not given" if point is None or point.foreign else (
            "where numbers on the way leave the range of the dtype")

    def where(self, finding):
        """Where in the gradient the fault of a failure is, in words; "" where no pattern shows."""
        trial = self.trials.get(finding.point)
        if trial is None or finding.check != Mode.REVERSE or finding.argument not in self.x:
            return ""
        dtype = finding.dtype if finding.dtype in trial.answers else next(iter(trial.answers))
        if not isinstance(trial.answers[dtype].get(Mode.REVERSE), dict):
            return ""
        with (self.subject.at_work(), self.subject.given(trial.point.constants),
              np.errstate(all="ignore")):
            try:
                return pattern(trial, finding.argument, dtype)
            finally:
                self.subject.state.put_back()

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
        """Yield what is found at a point, of some number in the order of all points."""
        rng, form = np.random.default_rng([self.seed, number]), coarsest(self.subject.dtypes)
        ys = self.subject.value(point.x, self.widest)
        weights = [_draw(rng, y.shape, form) for y in ys]
        if number == 0:
            self.natural = _size(ys, weights)
            near = {k: a / max(1.0, float(np.max(np.abs(a), initial=0.0)))
                    for k, a in point.x.items()}
            if self._works(near, {}):
                self.ordinary = _size(self.subject.value(near, self.widest), weights)
        u, v = ({k: _draw(rng, a.shape, form) for k, a in point.x.items()} for _ in range(2))
        try:
            known = self.known_at(point, weights, u, v, number)
        except Undecided:
            raise
        except Exception as error:
            yield self._unknown(point, error)
            return
        if known.undecided:
            yield Finding("differences", point.label, ALL, "exact", UNDECIDED, note=known.undecided)
            return
        if known.how == "balls" and not (self.own_rules or self.measured_by_another):
            known.by_values = cache(lambda: self._by_values(point, weights, u, v, number))
            known.in_dtype = cache(lambda dtype: self._in_dtype(dtype, point, weights, u, v))
        trial = Trial(self.subject, known, point, self.varies)
        if number == 0 and known.how == "balls" and not (self.own_rules or self.subject.stands_in):
            yield from value(trial, ys, self.widest, self.measured_by_another)
        modes = self._modes(number, point)
        if known.how == "balls":
            yield from trial.on_balls(modes[self.widest])
        dtypes = sorted(point.dtypes or self.subject.dtypes,
                        key=lambda d: -format_named(d).precision)
        wrong = set()
        self.trials[point.label] = trial
        for order in (1, 2):
            chosen = {d: [m for m in modes[d] if m.order == order] for d in dtypes}
            for dtype in dtypes:
                trial.ask(chosen[dtype], dtype)
            for dtype in dtypes:
                for finding in trial.findings(dtype, (Mode.REVERSE,) if number == 0 else (),
                                              chosen[dtype]):
                    if finding.failed:
                        wrong.add(finding.check)
                    yield finding
                if wrong and self.size > HUGE and not self.thorough:
                    return
        yield from kinks(trial, dtypes[0])
        if number == 0 or point.label == MIXED and not self.many and self.widest in trial.answers:
            yield from conduct(trial, self.widest, wrong)
            if not wrong and not self.many and not known.kinked() and not point.extreme:
                yield from third_order(trial, self.widest)

    def known_at(self, point, weights, u, v, number):
        """What is known at a point: `ByBalls` where the function runs on balls, else
        `ByDifferences`."""
        def by_balls(modes, source):
            return ByBalls(self.program, point.x, weights, u, v, self.seed, modes, self.own_rules,
                           self.natural, self.measured_by_another, self.ordinary,
                           precision=self.precision, by=source)

        known = None
        if not self.why_floats and not self.rounds_in_steps:
            modes = tuple(dict.fromkeys([*FIRST_ORDER, *self._modes(number, point)[self.widest]]))
            for wanted, source in ((modes, REFGRAD), (FIRST_ORDER, REFGRAD),
                                   (FIRST_ORDER, BY_DIFFERENCES)):
                if source is BY_DIFFERENCES and (known is None or self.many):
                    break
                try:
                    known = by_balls(wanted, source)
                except NotImplementedError:
                    # A primitive of the user's own has a rule for one mode alone.
                    known = None
                if known is not None and not (known.undecided and self.own_rules):
                    # Where rules on trial leave something open, fewer modes may not, or f's own
                    # differences.
                    break
            if known is not None and known.without_rules and not (self.own_rules or self.many):
                known = by_balls(modes, BY_DIFFERENCES)
        # Where balls leave open which branch f takes, its own values may still tell.
        if known is None or known.undecided and not (self.own_rules or self.measured_by_another):
            known = self._by_values(point, weights, u, v, number)
        return known

    def _in_dtype(self, dtype, point, weights, u, v):
        program = self.subject.program_in(dtype)
        try:
            return program and ByBalls(self.subject.state.after(program),
                                       point.x, weights, u, v, self.seed,
                                       self.subject.modes, natural=self.natural, another=False,
                                       precision=self.precision)
        except Exception:  # without a rule for one of the modes
            return None

    def _by_values(self, point, weights, u, v, number):
        return ByDifferences(self.subject, point.x, weights, u, v,
                             self.measured, self.natural, point.extreme,
                             together=number > 0 and self.many, precision=self.precision,
                             unexplained=self.unexplained)

    def _unknown(self, point, error):
        """The `Finding` where there is no exact derivative: f has no value on balls, or a rule
        raises an error."""
        try:
            with arithmetic(BITS[0]):
                ys = self.program({k: Ball(a) for k, a in point.x.items()})
            known = all(np.isfinite(y.radius() + np.abs(y.mid())).all() for y in ys
                        if isinstance(y, Ball))
        except Exception:
            known = False
        if known:
            what = "refgrad's rules" if self.own_rules else "the reference's rules"
            return Finding(Mode.REVERSE, point.label, ALL, "exact", NO_ANSWER,
                           failed=self.own_rules and not point.foreign,
                           note=f"{what} raise {brief(error)}")
        return Finding("differences", point.label, ALL, "exact", UNDECIDED,
                       note=f"f has no value: {brief(error)}")

    def _modes(self, number, point):
        """dtype -> the modes to ask for: all, or with many entries all at the caller's own inputs
        alone.  Elsewhere it is reverse mode then, and at the `MIXED` point forward mode too, in the
        widest dtype."""
        def wanted(dtype):
            if number == 0 or not self.many:
                return self.subject.modes
            some = {Mode.REVERSE} | ({Mode.FORWARD} if point.label == MIXED and dtype == self.widest
                                     else set())
            return [m for m in self.subject.modes if m in some]
        return {dtype: wanted(dtype) for dtype in self.subject.dtypes}


def _size(ys, weights):
    """The size of the terms of s."""
    return sum(float(np.sum(np.abs(y * w))) for y, w in zip(ys, weights))


def _draw(rng, shape, form):
    """A direction or a weight: its entries have either sign, differ from 0 and from each other, and
    fit every dtype."""
    return form.round(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def _why_not_on_balls(program, x):
    """Why the function cannot run in ball arithmetic; "" if it can."""
    if sum(a.size for a in x.values()) > FOR_BALLS:
        return f"more than {FOR_BALLS} numbers would take too long"
    try:
        with arithmetic(BITS[0]):
            ys = program({k: Ball(a) for k, a in x.items()})
    except Undecided:
        return ""
    except Exception as error:
        return brief(error)
    return ("" if any(isinstance(y, Ball) for y in ys)
            else "its result does not depend on the inputs as arrays")
