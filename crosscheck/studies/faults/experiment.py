"""Programs around a primitive, and what the checker says of them with right rules and with wrong
ones."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

import numpy as np

from refgrad.tracer import Level, Tracer

from ...checker.subjects import subject_of
from ...conduct import LAYOUTS
from ...examination import Examination
from ...trial import Finding
from ...points import around, rounded
from ...shapes import elsewhere
from ...truth.differences import each
from ...verdict import NO_ANSWER
from .planting import Fault, primitive_named

# Settings: what stands around the primitive


def bare(program, inputs, primitive):
    return program


def between(program, inputs, primitive):
    """Between two smooth functions; the first leaves the inputs where they are, but it has a
    curvature there."""
    here = [x.astype(np.float32) for x in inputs]  # without loss, and what is float32 stays so
    return lambda *xs: np.arcsinh(program(*(x + (x - a) * (x - a) / 4 for x, a in zip(xs, here))))


def twice(program, inputs, primitive):
    """Each use of the primitive is two, of which the mean is taken: what one of them does to its
    arguments' tangents, or to the cotangent that a sum hands to both of its terms, the other one
    sees."""
    def doubled(*xs):
        with Doubling(primitive) as level:
            return level.strip(program(*map(level.constant, xs)))
    return doubled


class Doubling(Level):
    """The level, above all that differentiate, at which a primitive is used twice on the same
    arguments."""

    def __init__(self, primitive):
        super().__init__()
        self.primitive = primitive

    def constant(self, value):
        return (tuple(map(self.constant, value)) if isinstance(value, tuple)
                else Tracer(value, self, None))

    def process(self, primitive, arrays, params):
        values = [self.strip(a) for a in arrays]
        result = primitive.evaluate(*values, **params)
        if primitive is self.primitive:
            result = each(lambda a, b: (a + b) / 2, result, primitive.evaluate(*values, **params))
        return self.constant(result)


def of_such_shapes(program, sample):
    """A primitive of refgrad's own is called with shapes that its front end has made: no others are
    calls of it."""
    expected = [a for a in sample.arrays if isinstance(a, tuple)]

    def checked(*arrays):
        if [_sizes(np.shape(a)) for a in arrays] != [_sizes(shape) for shape in expected]:
            raise ValueError(f"shapes {[np.shape(a) for a in arrays]}; expected such as {expected}")
        return program(*arrays)

    return checked


def _sizes(shape):
    """Of each axis: none, one or several entries."""
    return [min(n, 2) for n in shape]


#: In how many of a fault's cases each is tried.
SETTINGS = {bare: 3, between: 2, twice: 1}


class Experiment:
    """A program that uses a primitive, with inputs for it."""

    def __init__(self, primitive, n, setting, seed):
        case = primitive.cases[n]
        self.inputs = case.draw(np.random.default_rng([seed, n]))
        program = case.program(primitive.function or primitive)
        self.program = setting(program if primitive.function else of_such_shapes(program, case),
                               self.inputs, primitive)
        self.seed = seed
        # Of the right program, as far as nobody has asked for them.
        self.rest = self.findings()
        self.points, self.alarms = [], set()

    def findings(self):
        """What ``check(program, *inputs, seed=seed)`` finds, one by one; an error that it raises is
        a finding, too."""
        try:
            yield from Examination(subject_of(self.program, self.inputs), seed=self.seed,
                                   thorough=True).findings()
        except Exception as error:
            name = f"raises {type(error).__name__}"
            yield Finding(name, "anywhere", "*", "", NO_ANSWER, note=str(error), failed=True)

    def first_failure(self, fault: Fault):
        """The first failure with the fault planted that the right program has not; None if there is
        none."""
        findings = self.findings()
        while True:
            with fault.planted():
                failure = next((f for f in findings if f.failed), None)
            if failure is None or not self.is_alarm(failure):
                return failure

    def is_alarm(self, failure):
        """Does the checker say the same of the right program?"""
        while failure.point not in self.points[:-1] and (finding := next(self.rest, None)):
            if finding.point not in self.points:
                self.points.append(finding.point)
            if finding.failed:
                self.alarms.add((finding.check, finding.point))
        return (failure.check, failure.point) in self.alarms

    def inputs_at(self, failure):
        """The inputs at the point of a failure, laid out in memory as they were there."""
        subject = subject_of(self.program, self.inputs)
        layout = LAYOUTS.get(failure.check.removesuffix(" arrays"), np.asarray)

        def works(x, constants):
            try:
                return all(np.isfinite(y).all() for y in subject.value(x, "float64"))
            except Exception:
                return False

        x, constants = subject.inputs(), subject.constants
        with np.errstate(all="ignore"):
            points = [*around(x, constants, subject.dtypes, self.seed, works),
                      *chain(*elsewhere(rounded(x, subject.dtypes), constants, subject.resizable))]
        here = next((p for p in points if p.label == failure.point), points[0])
        return [layout(x) for x in here.x.values()]


@lru_cache(maxsize=128)
def experiment(primitive, n, setting, seed):
    """The `Experiment` with the n-th case of the primitive of that name."""
    return Experiment(primitive_named(primitive), n, setting, seed)


def experiments(fault, seed):
    """Those in which the fault can show, the likeliest first."""
    return [experiment(fault.primitive, n, setting, seed) for setting, most in SETTINGS.items()
            for n in fault.cases[:most]]
