"""Right gradients, which no checker may call wrong: every rule, every layer and loss, at the points
where checkers err.

A case is data, drawn by seed and name alone: what is differentiated (a sample call of a rule, a
call beside one of its kinks, a layer or a loss) and the family of points where it stands.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from refgrad import hvp, vjp
from refgrad.errors import NoRule
from refgrad.primitive import CONSTANT, KINKED, SMOOTH, TABLE
from refgrad.tracer import bare

from ...networks import interpret
from ...networks.builder import KINDS, LAYERS, LOSSES
from ...networks.draw import stand_alone
from ...subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ..faults.experiment import of_such_shapes

#: Domains of matrices with eigenvalues that can be moved.
MATRICES = {"symmetric", "positive definite"}

#: Domains that a factor does not leave; where it does, the result is multiplied instead.
CONES = {None, "positive", "nonzero", *MATRICES}

#: family -> function ``(rng, program, arrays, domains, strength) -> (program, arrays, size)``; it
#: returns None where it does not apply.
FAMILIES: dict = {}

#: How many numbers a large sum has, and how many results at most.
MANY, FEW = 10_000, 4

LARGE_SUM, NEAR_A_KINK = "large sum", "near a kink"

#: How often a family is tried, each time half as strong, until nothing overflows in either dtype.
TRIES = 5


#: So many of a rule's sample calls are taken.
SAMPLES = 2


@dataclass(frozen=True)
class RightCase:
    """A function and a point at which its gradient is right.

    source  "rule": a sample call of a rule; "kink": beside a declared kink; "layer": a layer or a
            loss, alone
    name    of the rule, layer or loss
    number  which sample call, which kink, which draw
    family  the name of one of FAMILIES
    size    what the family is about: the factor, the distance, the largest entry
    """

    source: str
    name: str
    number: int
    family: str
    seed: int
    size: float = 1.0

    @property
    def id(self):
        return f"{self.source} {self.name} {self.number}, {self.family}"


def right_cases(seed=0, families=None):
    """All cases of a seed that can be drawn, in the families asked for."""
    found = []
    for source, name, number, allowed in _subjects():
        for family in allowed if families is None else [f for f in allowed if f in families]:
            drawn = _draw(RightCase(source, name, number, family, seed))
            if drawn is not None:
                found.append(RightCase(source, name, number, family, seed, drawn[2]))
    return found


def realize(case):
    """(program, arrays) of a case; the arrays hold numbers of float32, as float64."""
    return _draw(case)[:2]


def _subjects():
    """(source, name, number, families) of all that is differentiated."""
    for rule in TABLE.values():
        if rule.kind is CONSTANT:
            continue
        curved = rule.kind in (SMOOTH, KINKED)
        for number in range(min(len(rule.cases), SAMPLES)):
            yield ("rule", rule.name, number,
                   [f for f in FAMILIES if f != NEAR_A_KINK and (curved or f in AFFINE)])
        for number in range(3 * len(rule.kinks)):
            yield "kink", rule.name, number, [NEAR_A_KINK]
    for name in (*LAYERS, *LOSSES):
        for number in range(2):
            yield "layer", name, number, [f for f in FAMILIES if f not in (NEAR_A_KINK, LARGE_SUM)]


def _draw(case):
    """(program, arrays, size), or None where the family does not apply or overflows."""
    build = {"rule": _rule, "kink": _kink, "layer": _layer}[case.source]
    for halvings in range(TRIES):
        rng = generator(case)
        program, arrays, domains = build(case, rng)
        moved = FAMILIES[case.family](rng, program, arrays, domains, 0.5 ** halvings)
        if moved is None:
            return None
        program, arrays, size = moved
        arrays = tuple(np.asarray(a, np.float32).astype(np.float64) for a in arrays)
        with np.errstate(all="ignore"):
            if all(_is_finite(program, tuple(a.astype(dtype) for a in arrays))
                   for dtype in ("float64", "float32")):
                return program, arrays, size
    return None


def generator(case):
    return np.random.default_rng([case.seed, zlib.crc32(case.id.encode())])


def _is_finite(program, arrays):
    """Whether arguments, value, gradient and curvature are numbers."""
    if not all(np.all(np.isfinite(a)) for a in arrays):
        return False
    try:
        value, pull = vjp(program, *arrays)
        ones = tuple(map(np.ones_like, arrays))
        found = [value, *pull(np.ones_like(value)),
                 *hvp(lambda *x: np.sum(program(*x)), arrays, ones)]
    except (np.linalg.LinAlgError, NoRule):  # refused at this point
        return False
    return all(np.all(np.isfinite(a)) for a in found)


# What is differentiated: (program, arrays, their domains)


def _rule_named(name):
    return next(rule for rule in TABLE.values() if rule.name == name)


def _rule(case, rng):
    rule = _rule_named(case.name)
    sample = rule.cases[case.number]
    domains = [d for a, d in zip(sample.arrays, sample.domains) if isinstance(a, tuple)]
    program = sample.program(rule.function or rule)
    return program if rule.function else of_such_shapes(program, sample), sample.draw(rng), domains


def _kink(case, rng):
    rule = _rule_named(case.name)
    kink = rule.kinks[case.number % len(rule.kinks)]
    function = rule.function or rule
    call = kink.call or (lambda *arrays: function(*arrays, **kink.params))
    return call, tuple(np.asarray(a, float) for a in kink.at), [None] * len(kink.at)


def _layer(case, rng):
    network, leaves, constants = layer_drawn(case, rng)

    def program(*arrays):
        dtype = bare(arrays[0]).dtype
        held = {k: a.astype(dtype) if a.dtype.kind == dtype.kind == "f" else a
                for k, a in constants.items()}
        return interpret(network, REFGRAD.function, dict(zip(leaves, arrays)), held)

    return program, tuple(leaves.values()), [None] * len(leaves)


def layer_drawn(case, rng):
    """(network, leaves, constants): the layer of a case alone, as a network whose result is the
    layer's."""
    b = stand_alone(case.name, rng, (2, 3, 5), int(rng.integers(2, 5)), rng.permutation(KINDS))
    network = b.network(case.id, 1)
    return network, *network.draw()


# Where it is differentiated


def family(name):
    def register(move):
        FAMILIES[name] = move
        return move
    return register


@family("as drawn")
def _(rng, program, arrays, domains, strength):
    return program, arrays, 1.0


@family("scaled")
def _(rng, program, arrays, domains, strength):
    """By a power of two between 1e-6 and 1e6, which changes no other digit."""
    factor = 2.0 ** round(strength * rng.uniform(-20, 20))
    if not CONES.issuperset(domains):
        return lambda *x: factor * program(*x), arrays, factor
    return program, [factor * a for a in arrays], factor


@family("saturated")
def _(rng, program, arrays, domains, strength):
    """In the tails, on both sides."""
    if None not in domains:
        return None
    far = strength * rng.uniform(15, 40)
    return program, [far * np.sign(a) + a if d is None else a for a, d in zip(arrays, domains)], far


@family("nearly constant")
def _(rng, program, arrays, domains, strength):
    """Entries that differ in the last digits: what a norm divides by is as good as zero."""
    if None not in domains or not any(a.size > 1 for a in arrays):
        return None
    apart = 10 ** -rng.uniform(2, 5)
    return program, [1 + apart * a if d is None else a for a, d in zip(arrays, domains)], apart


@family("nearly singular")
def _(rng, program, arrays, domains, strength):
    """Matrices with one small eigenvalue."""
    if not MATRICES & set(domains):
        return None
    small = 10 ** -(strength * rng.uniform(2, 4))

    def squeeze(a):
        values, vectors = np.linalg.eigh(a)
        values[..., 0] = small
        return vectors * values[..., None, :] @ np.swapaxes(vectors, -1, -2)

    return program, [squeeze(a) if d in MATRICES else a for a, d in zip(arrays, domains)], small


@family(NEAR_A_KINK)
def _(rng, program, arrays, domains, strength):
    """Beside it in every entry: closer than the steps of most differences, but not on it."""
    distance = 10 ** -rng.uniform(1, 12)
    # float32 has nothing closer beside a number
    close = lambda a: np.where(a == 0, distance, max(distance, 1e-5))
    return program, [a + close(a) * _away(rng, a.shape) for a in arrays], distance


def _away(rng, shape):
    """Normal numbers, none of them small."""
    z = rng.standard_normal(shape)
    return z + 0.5 * np.sign(z)


@family(LARGE_SUM)
def _(rng, program, arrays, domains, strength):
    """The same call on ten thousand numbers, where it makes few of them."""
    if (not all(a.ndim and a.size and a.shape[0] > 1 for a in arrays)
            or not set(domains) <= {None, "nonzero"} or np.size(program(*arrays)) > FEW):
        return None
    rows = [(MANY * a.shape[0] // a.size, *a.shape[1:]) for a in arrays]
    large = [rng.standard_normal(shape) for shape in rows]
    try:
        value, pull = vjp(program, *large)
        slopes = pull(np.ones_like(value))
    except (ValueError, IndexError, TypeError):
        return None  # a call that fits its own shapes alone
    counting = sum(map(np.count_nonzero, slopes)) / sum(a.size for a in large)
    return (program, large, float(MANY)) if np.size(value) <= FEW and counting > 0.5 else None


#: The families in which a function without curvature has something to show.
AFFINE = ("as drawn", "scaled", LARGE_SUM)
