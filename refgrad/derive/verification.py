"""A derived formula at random inputs: against the engine's gradient, and against differences of the program."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import transforms
from ..cases import DOMAINS
from .symbol import STRUCTURES


class Verification(NamedTuple):
    """How far the formula is from the engine's gradient and from central differences, relative to the largest entry."""

    engine: float
    differences: float

    @property
    def ok(self):
        """Whether formula and engine agree to more than half of float64's digits; False if either is not defined."""
        return self.engine < np.sqrt(np.finfo(float).eps)

    def __str__(self):
        return (f"formula and engine differ by {self.engine:.1e}, formula and differences by {self.differences:.1e} "
                f"(relative; differences of floats know about 1e-9)")


def random_inputs(derivation, sizes, rng):
    """Arrays of the shapes and properties of a derivation's arguments.

    sizes   an integer for each name of a dimension
    """
    arrays = []
    for v in derivation.variables:
        shape = tuple(sizes.get(n, n) for n in v.shape)
        z = rng.standard_normal(shape)
        if "diagonal" in v.properties:
            z = np.diag(np.abs(np.diagonal(z)) + 0.25)
        for domain in DOMAINS:
            if domain in v.properties:
                z = DOMAINS[domain](z)
        arrays.append(z)
    return arrays


def verify(derivation, seed=0):
    """Compare at random inputs; nan where the program is not defined there.

    What sizes a program makes sense for (X' X can be inverted for tall X alone) only it knows: named dimensions are
    tried in growing and in falling order, and the point is taken at which engine and differences agree best.  Where the
    program is defined at none of them, positive numbers are tried.
    """
    names = list(derivation.sizes)
    growing = dict(zip(names, range(3, 3 + len(names))))
    falling = dict(zip(names, reversed(growing.values())))
    orders = [{n: int(size) for n, size in derivation.sizes.items()}] if derivation.by_position else [growing, falling]
    with np.errstate(invalid="ignore", divide="ignore"):
        for positive in (False, True):
            found = [_compare(derivation, sizes, np.random.default_rng(seed), positive) for sizes in orders]
            best = min(found, key=lambda pair: (not pair[0] == pair[0], pair[0]))
            if best[0] == best[0]:
                break
    return best[1]


def _compare(derivation, sizes, rng, positive):
    """(how far engine and differences differ, the Verification)."""
    arrays = random_inputs(derivation, sizes, rng)
    if positive:
        arrays = [x if v.properties else np.abs(x) + 0.25 for v, x in zip(derivation.variables, arrays)]
    places = [n for n, v in enumerate(derivation.variables) if v.name in derivation.wrt]
    program = lambda *chosen: derivation.f(*_put(arrays, places, chosen))
    try:
        value, pull = transforms.vjp(program, *[arrays[n] for n in places])
        g = np.ones(()) if derivation.scalar else rng.standard_normal(np.shape(value))
        formula = derivation.numpy()(*arrays, *([] if derivation.scalar else [g]))
    except (np.linalg.LinAlgError, ValueError):  # a singular matrix, say: these sizes make no sense for the program
        return np.nan, Verification(np.nan, np.nan)
    formula = list(formula.values()) if isinstance(formula, dict) else [formula]
    engine = pull(g)
    directions = [_direction(rng, derivation.variables[n], arrays[n]) for n in places]
    h = np.cbrt(np.finfo(float).eps)
    ends = [program(*[arrays[n] + s * h * v for n, v in zip(places, directions)]) for s in (1, -1)]
    slope = np.sum(g * (ends[0] - ends[1])) / (2 * h)
    mine = sum(np.sum(a * v) for a, v in zip(formula, directions))
    along = sum(np.sum(a * v) for a, v in zip(engine, directions))
    size = sum(np.sum(np.abs(a * v)) for a, v in zip(formula, directions)) or 1.0
    structures = [set(derivation.variables[n].properties) & set(STRUCTURES) for n in places]
    entries = [np.max(np.abs(a - b), initial=0) / (np.max(np.abs(b), initial=0) or 1.0)
               for a, b, structure in zip(formula, engine, structures) if not structure]
    from_engine = max([abs(mine - along) / size, *entries])
    return abs(along - slope) / size, Verification(float(from_engine), float(abs(mine - slope) / size))


def _put(arrays, places, chosen):
    full = list(arrays)
    for n, x in zip(places, chosen):
        full[n] = x
    return full


def _direction(rng, v, x):
    """A direction in which the argument keeps its properties."""
    z = rng.standard_normal(np.shape(x))
    if "diagonal" in v.properties:
        return np.diag(np.diagonal(z))
    return z + z.T if {"symmetric", "positive definite"} & set(v.properties) else z
