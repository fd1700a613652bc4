"""The points at which derivatives are checked: the caller's inputs, and points around them at which
rules break.

`works`, which the caller of `around` passes, tells whether the function has a value at a point.
Where it has none the inputs are moved one after the other, and each stays moved if the function has
a value then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .formats import coarsest, finest, format_named

#: All points together have about so many entries: of larger inputs there are fewer points, the
#: first of the list, but no fewer than `FEWEST`.
BUDGET = 4000
FEWEST = 5

#: Where piecewise functions change from one piece to the next: the kinks and thresholds of the
#: common ones.
THRESHOLDS = (0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 20.0)


@dataclass
class Point:
    """A place to differentiate at.

    label      what it is called in the report
    x          name -> float64 array
    dtypes     the dtypes that can hold it; None for all
    constants  name -> another value for an input that is not differentiated
    extreme    so large or small that squares leave the range of floats
    far        larger than the caller's inputs: what f makes of them may leave the range of a dtype
    foreign    other shapes than the caller's, which the function takes: its derivative may not be
               meant for them
    together   all inputs were resized alike, so that none is broadcast: a derivative that has the
               shape is meant
    """

    label: str
    x: dict
    dtypes: tuple | None = None
    constants: dict = field(default_factory=dict)
    extreme: bool = False
    far: bool = False
    foreign: bool = False
    together: bool = False


def around(x, constants, dtypes, seed, works):
    """Yield the `Point`s of the caller's shapes: as given first, then those that find most.

    works  ``works(x, constants) -> bool``: does the function have a finite value there?
    """
    form, widest = coarsest(dtypes), (finest(dtypes),)
    fits = rounded(x, dtypes)
    given = all(np.array_equal(fits[k], a) for k, a in x.items())
    yield Point(AS_GIVEN, x, None if given else widest)
    if not given and works(fits, constants):
        yield Point(f"as given, rounded to {form.name}", fits)
    size = sum(a.size for a in x.values())
    ordinary = _largest(x)
    left = int(np.clip(BUDGET // max(size, 1), FEWEST, 40)) - (1 if given else 2)
    rng = np.random.default_rng(seed)
    for label, move, extreme in MOVES:
        if left <= 0:
            break
        if extreme and widest != ("float64",):
            continue
        moved = _together(x,
                          lambda k: form.round(move(x[k], rng)) if not extreme else move(x[k], rng),
                          lambda candidate: works(candidate, constants))
        if moved is not None:
            # Where squares leave a format's range, overflow on the way is no fault.
            largest = _largest(moved)
            able = tuple(d for d in dtypes if np.sqrt(format_named(d).largest) > largest)
            yield Point(label, moved, ("float64",) if extreme else able or widest, extreme=extreme,
                        far=largest > ordinary)
            left -= 1
    yield from _of_constants(fits, constants, works)
    yield from _of_equals(fits, constants, works)


def rounded(x, dtypes):
    """x, rounded so that the coarsest of the dtypes can hold it."""
    form = coarsest(dtypes)
    return {k: form.round(a) for k, a in x.items()}


def _largest(x):
    return max((float(np.max(np.abs(a), initial=0.0)) for a in x.values()), default=0.0)


def _together(x, moved, works):
    """All inputs moved; if the function has no value there, those that can be; None if that is none
    of them."""
    candidate = {k: moved(k) for k in x}
    if all(np.array_equal(candidate[k], x[k]) for k in x):
        return None
    if works(candidate):
        return candidate
    found = dict(x)
    for k in x:
        if not np.array_equal(candidate[k], x[k]) and works({**found, k: candidate[k]}):
            found[k] = candidate[k]
    return None if all(found[k] is x[k] for k in x) else found


# Moves: from an input to another one of the same shape


def _filled(a, value):
    return np.full(a.shape, value)


def _magnitudes(sizes):
    """Entries of these sizes, with the signs that the input has, and more where it has zeros."""
    def move(a, rng):
        signs = np.where(a == 0, rng.choice([-1.0, 1.0], a.shape), np.sign(a))
        return signs * rng.choice(sizes, a.shape) * rng.uniform(1, 1.5, a.shape)
    return move


def _near_thresholds(a, rng):
    return rng.choice(THRESHOLDS, a.shape) * rng.choice([-1.0, 1.0], a.shape) + rng.choice(
        [-1.0, 1.0], a.shape) * 2.0 ** rng.uniform(-10, -6, a.shape)


def _one_zero(a, rng):
    b = np.array(a)
    if b.size:
        b.flat[rng.integers(b.size)] = 0
    return b


def _every_other_zero(a, rng):
    b = np.array(a)
    b.reshape(-1)[::2] = 0
    return b


def _the_others_zero(a, rng):
    """The other sign and, of several inputs, zeros at different places."""
    return np.where(rng.random(a.shape) < 0.5, 0.0, -a)


def _ties(a, rng):
    """Each second entry along the last axis as the one before it."""
    b = np.array(a)
    if b.ndim and b.shape[-1] > 1:
        b[..., 1::2] = b[..., :-1:2]
    return b


def _square(a):
    return a.ndim >= 2 and a.shape[-1] == a.shape[-2]


def _identity(a, rng):
    return np.broadcast_to(np.eye(a.shape[-1]), a.shape).copy() if _square(a) else a


def _singular(a, rng):
    """The last row as the first."""
    b = np.array(a)
    if _square(b) and b.shape[-1] > 1:
        b[..., -1, :] = b[..., 0, :]
    return b


def _mixed(a, rng):
    """Something of everything: zeros, both signs, thresholds, small and large entries."""
    parts = [a, 4 * a, -a, 30 * a, a / 1000, np.zeros_like(a), _near_thresholds(a, rng)]
    return np.select([rng.integers(len(parts), size=a.shape) == k for k in range(len(parts))],
                     parts, a)


#: The label of the caller's own inputs.
AS_GIVEN = "as given"

#: The label of the point that has something of everything.
MIXED = "mixed sizes and signs"

#: (label, move, extreme), what finds most first.
MOVES = [
    ("times -4", lambda a, rng: -4 * a, False),
    (MIXED, _mixed, False),
    ("every other zero", _every_other_zero, False),
    ("near thresholds", _near_thresholds, False),
    ("ties", _ties, False),
    ("saturated tails", _magnitudes([15.0, 25.0, 40.0]), False),
    ("times 4", lambda a, rng: 4 * a, False),
    ("times 1/1000", lambda a, rng: a / 1000, False),
    ("times 1000", lambda a, rng: a * 1000, False),
    ("at thresholds", lambda a, rng: rng.choice([-6.0, -1.0, -0.5, 0.5, 1.0, 6.0], a.shape), False),
    ("times a million", lambda a, rng: a * 1e6, False),
    ("all zero", lambda a, rng: _filled(a, 0.0), False),
    ("all equal", lambda a, rng: _filled(a, a.flat[0] if a.size else 0.0), False),
    ("one zero", _one_zero, False),
    ("every other zero, signs turned", _the_others_zero, False),
    ("identity matrices", _identity, False),
    ("singular matrices", _singular, False),
    ("entries of 1e-170", lambda a, rng: a * 1e-170, True),
    ("entries of 1e200", lambda a, rng: a * 1e200, True),
]


# Points of other kinds


def _of_constants(x, constants, works):
    """Integer inputs with all entries alike: every index repeated."""
    same = {n: a * 0 + a.reshape(-1)[0] for n, a in constants.items() if is_whole(a)}
    if same and works(x, {**constants, **same}):
        return [Point("repeated indices", x, constants=same)]
    return []


def is_whole(a):
    """Is it an array or a tensor of several integers?"""
    return "int" in str(getattr(a, "dtype", "")) and bool(a.ndim and np.prod(a.shape) > 1)


def _of_equals(x, constants, works):
    """The same array for two inputs."""
    for a in x:
        for b in x:
            if a < b and x[a].shape == x[b].shape:
                same = {**x, b: x[a]}
                if works(same, constants):
                    return [Point(f"the same array for {a} and {b}", same)]
    return []
