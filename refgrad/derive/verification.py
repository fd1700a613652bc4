"""Derived formulas at random sizes and random inputs: against the engine, and against differences
of the program."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import transforms
from ..cases import DOMAINS
from .arguments import size_at
from .numpy_source import NoSource
from .recovery import recovered

#: Maps from standard normal numbers to random inputs, for arguments without properties.  The first
#: for which the program is defined is used.
DRAWN = (DOMAINS[None], DOMAINS["positive"], DOMAINS["unit interval"], DOMAINS["above one"],
         lambda z: z / 16,
         lambda z: DOMAINS["positive definite" if z.ndim == 2 and z.shape[0] == z.shape[1]
                           else "positive"](z))

#: Relative differences above this are none of rounding: more than half of float64's digits agree.
ENOUGH = np.sqrt(np.finfo(float).eps)


class WrongFormula(ArithmeticError):
    """A derivation whose formulas and the engine's gradients differ."""


class Verification(NamedTuple):
    """How far the formula is from the engine's gradient and from differences, relatively."""

    engine: float
    differences: float

    @property
    def ok(self):
        """Whether formula and engine agree to more than half of float64's digits."""
        return self.engine < ENOUGH

    def __str__(self):
        return (f"formula and engine differ by {self.engine:.1e}, formula and differences by "
                f"{self.differences:.1e} (relative; differences of floats know about 1e-9)")


class Trial:
    """A derivation at one random point: what the engine says there, and what the formulas say.

    sizes     an integer for each name of a dimension
    defined   whether the program runs there and has finite derivatives
    """

    def __init__(self, derivation, sizes, rng, domain=DRAWN[0]):
        self.derivation, self.sizes = derivation, sizes
        self.arrays = random_inputs(derivation, sizes, rng, domain)
        self.places = [n for n, v in enumerate(derivation.variables) if v.name in derivation.wrt]
        chosen = [self.arrays[n] for n in self.places]
        self.directions = [derivation.structured(n, rng.standard_normal(np.shape(self.arrays[n])))
                           for n in self.places]
        with np.errstate(all="ignore"):
            try:
                value, pull = transforms.vjp(self.program, *chosen)
                self.g = np.ones(()) if derivation.scalar else rng.standard_normal(np.shape(value))
                found = zip(self.places, pull(self.g))
                self.gradients = [derivation.structured(n, g) for n, g in found]
                self.tangent = transforms.jvp(self.program, chosen, self.directions)[1]
                found = [value, self.tangent, *self.gradients]
                self.defined = all(np.all(np.isfinite(x)) for x in found)
                # A derivative that is 0 comes as rounding, measured by the values that cancelled.
                self.least = max(ENOUGH * np.max(np.abs(value), initial=0), 10 * ENOUGH)
            except Exception:  # the program is not defined there
                self.defined = False

    def program(self, *chosen):
        full = list(self.arrays)
        for n, x in zip(self.places, chosen):
            full[n] = x
        return self.derivation.program(*full)

    def formulas(self):
        """What is compared: for each formula (what it is, its value, the engine's)."""
        d = self.derivation
        gradients = d.numpy()(*self.arrays, *([] if d.scalar else [self.g]))
        by_name = gradients if isinstance(gradients, dict) else {d.wrt[0]: gradients}
        names = [d.variables[n].name for n in self.places]
        for name, g in zip(names, self.gradients):
            yield f"the gradient by {name}", by_name[name], g
        yield "the differential", d.tangent_program()(*self.arrays, *self.directions), self.tangent

    def distance(self, compared):
        """(how far pairs of values are apart at most, in words which and why)."""
        worst = -1.0, ""
        try:
            with np.errstate(all="ignore"):
                for what, a, b in compared(self):
                    if np.shape(a) != np.shape(b):
                        comes = f"{what} comes in the shape {np.shape(a)}"
                        return np.inf, f"{comes}, and is {np.shape(b)}"
                    size = max(np.max(np.abs(b), initial=0), self.least)
                    apart = float(np.max(np.abs(a - b), initial=0) / size)
                    apart = np.inf if np.isnan(apart) else apart
                    worst = max(worst, (apart, f"{what} is off by {apart:.1e}"))
        except NoSource:
            raise
        except Exception as error:
            return np.inf, f"the formula's program raises {type(error).__name__}: {error}"
        return worst

    def slopes(self):
        """The change of the program along the random direction: by the engine, by differences."""
        h = np.cbrt(np.finfo(float).eps)
        chosen = [self.arrays[n] for n in self.places]
        with np.errstate(all="ignore"):
            ends = [self.program(*(x + s * h * v for x, v in zip(chosen, self.directions)))
                    for s in (1, -1)]
            return np.sum(self.g * self.tangent), np.sum(self.g * (ends[0] - ends[1])) / (2 * h)

    def size(self):
        """What rounding along the direction is measured by."""
        return sum(np.sum(np.abs(a * v)) for a, v in zip(self.gradients, self.directions)) or 1.0

    def trusted(self):
        """Whether engine and differences agree: not, say, where a matrix is all but singular."""
        try:
            engine, differences = self.slopes()
        except Exception:  # a matrix is singular
            return False
        return abs(engine - differences) < 1e-6 * self.size()


def random_inputs(derivation, sizes, rng, domain=DRAWN[0]):
    """Arrays of a derivation's arguments' shapes and properties; in a domain without these."""
    arrays = []
    for v in derivation.variables:
        z = rng.standard_normal(tuple(size_at(n, sizes) for n in v.shape))
        if "diagonal" in v.properties:
            z = np.diag(np.abs(np.diagonal(z)) + 0.25)
        for name in DOMAINS:
            if name in v.properties:
                z = DOMAINS[name](z)
        arrays.append(np.asarray(z if v.properties else domain(z)))
    return arrays


def random_sizes(derivation, rng):
    """Sizes to try: a set of even ones that grow from name to name, and one that falls.

    They differ from the primes that stand for the names.  For what sizes a program makes sense
    (X' X can be inverted for tall X alone) only it knows.
    """
    names = list(derivation.numbers)
    if derivation.fixed or not names:
        return [derivation.numbers]
    taken = {*derivation.numbers.values(), *(n for v in derivation.variables for n in v.shape)}
    free = [n for n in range(2, 40 + 3 * len(names)) if n not in taken]
    found = []
    for falling in (False, True):
        for attempt in range(60):
            window = [n for n in free if n % 2 == 0 or falling or attempt > 30]
            window = window[:2 * len(names) + 2 + attempt // 2]
            chosen = sorted(rng.choice(window, len(names), replace=False).tolist(), reverse=falling)
            sizes = dict(zip(names, chosen))
            holds = all(c.holds_at(sizes) for c in derivation.conditions.values())
            if holds and sizes not in found:
                found.append(sizes)
                break
    return found or [derivation.numbers]


def confirm(derivation):
    """Compare the formulas of a derivation with the engine.

    Where they agree at the sizes alone that stood for names, plain numbers came of these: what they
    are is looked for, else the formulas are said to hold for these sizes.  Raises WrongFormula
    where they do not agree.
    """
    try:
        derivation.fixed = False
        wrong, points = compare(derivation)
        if wrong and derivation.numbers:
            found = recovered(derivation)
            if found:
                derivation.again(found)
                derivation.fixed = False
                wrong, points = compare(derivation)
            if wrong and found:
                derivation.again({})
            if wrong:
                derivation.fixed = True
                wrong, points = compare(derivation)
    except NoSource as error:
        derivation.unconfirmed = str(error)
        return
    if wrong:
        raise WrongFormula(f"derive: of the formulas of {derivation.name} {wrong}, by the engine's "
                           f"own derivative; gradient: {derivation.gradient}")
    undefined = "the program is not defined at the random inputs that were tried"
    derivation.unconfirmed = None if points else undefined


def confirm_jacobian(derivation, jacobian):
    """Compare a program for the Jacobian with the engine; raises WrongFormula."""
    wrong, _ = compare(derivation, lambda t: [
        ("the Jacobian times a vector", np.dot(jacobian(*t.arrays), t.directions[0]), t.tangent)])
    if wrong:
        raise WrongFormula(f"derive: {wrong}, by the engine's own derivative")


def equal_in_numbers(derivation, sides):
    """Whether a program's results "a" and "b" agree at a random point."""
    def two(trial):
        values = sides(*trial.arrays, *([] if derivation.scalar else [trial.g]))
        return [("a cotangent", values["a"], values["b"])]

    rng = np.random.default_rng(0)
    trials = [Trial(derivation, sizes, rng, domain) for sizes in random_sizes(derivation, rng)
              for domain in DRAWN[:2]]
    return any(trial.distance(two)[0] < ENOUGH for trial in trials if trial.defined)


def compare(derivation, compared=Trial.formulas):
    """(the first disagreement at random points or None, the number of points that agree)."""
    rng, points = np.random.default_rng(0), 0
    for sizes in [*random_sizes(derivation, rng), derivation.numbers]:
        if sizes is derivation.numbers and points:
            break
        for domain in DRAWN:
            trial = Trial(derivation, sizes, rng, domain)
            if not trial.defined:
                continue
            apart, what = trial.distance(compared)
            if apart < ENOUGH:
                points += 1
                break
            if trial.trusted():
                at = ", ".join(f"{n} = {size}" for n, size in sizes.items())
                return what + (f" at {at}" if at else ""), points
    return None, points


def verify(derivation, seed=0):
    """Compare at random inputs; nan where the program is not defined there.

    The point is taken at which engine and differences agree best.
    """
    rng = np.random.default_rng(seed)
    for domain in DRAWN:
        found = [_verified(Trial(derivation, sizes, rng, domain))
                 for sizes in random_sizes(derivation, rng)]
        if any(found):
            return min(filter(None, found))[1]
    return Verification(np.nan, np.nan)


def _verified(trial):
    """(how far engine and differences differ, the Verification); None where it is not defined."""
    if not trial.defined:
        return None
    try:
        engine, differences = trial.slopes()
    except Exception:  # the program is not defined nearby
        return None
    by_formula = lambda t: [("the slope", np.sum(t.g * value), differences)
                            for what, value, _ in t.formulas() if what == "the differential"]
    apart = abs(engine - differences) / trial.size()
    return None if np.isnan(apart) else (apart, Verification(
        trial.distance(Trial.formulas)[0], trial.distance(by_formula)[0]))
