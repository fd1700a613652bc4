"""One wrong derivative of one call, and the smallest call that still has it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ...ball import Undecided
from ...formats import finest
from ...modes import ALL, Mode
from ...points import AS_GIVEN, Point
from ...subjects.libraries.refgrad_library import inner
from ...subjects.torch_function import subject_of
from ...subspaces import subspaces_of
from ...examination import Examination
from ...trial import Trial
from ...verdict import NOT_FINITE, WRONG
from .samples import SHORT, cut, long_axes, numbers, runs, with_arrays

#: How often a smaller call is tried at most.
TRIALS = 20

#: Numbers are rounded to multiples of these, the coarsest that still shows it; then to one digit.
GRIDS = (1.0, 0.5, 0.125)

BAD = (WRONG, NOT_FINITE)


@dataclass
class Failure:
    """A wrong derivative along `directions`.

    call, tensors  of which, with float64 numbers
    k              the position of the tensor whose derivative it is
    gives, exact   its worst entry; by differences, its product with the direction
    given          the whole derivative in torch
    array          the exact one; None by differences
    """

    call: object
    tensors: list
    mode: Mode
    dtype: str
    k: int
    weights: list
    u: list
    v: list
    gives: float
    exact: float
    ulps: float
    verdict: str
    given: np.ndarray
    array: np.ndarray | None


def directions(shapes, seed):
    """Small whole numbers, none of them zero, for each shape."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.integers(1, 4, s) * rng.choice([-1.0, 1.0], s)) for s in shapes]


def failure(call, tensors, mode, dtypes, dtype):
    """The first wrong derivative of a call in a mode and dtype; None if none is, or nothing is
    known."""
    subject = subject_of(call, tensors, dtypes)
    subject.modes = (mode,)
    with subject.at_work(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        examination = Examination(subject)
        x = examination.x
        subject.within = subspaces_of(subject, x, examination.widest)
        ys = subject.value(x, finest(subject.dtypes))
        weights = directions([y.shape for y in ys], 0)
        u, v = (dict(zip(x, directions([a.shape for a in x.values()], seed))) for seed in (1, 2))
        try:
            known = examination.known_at(Point(AS_GIVEN, x), weights, u, v, 0)
        except Undecided:
            return None
        if known.undecided or known.kinked():
            return None
        trial = Trial(subject, known, Point(AS_GIVEN, x))
        for d in subject.dtypes:
            trial.ask((mode,), d)
        for _, name, verdict, failed in trial.verdicts(dtype, modes=(mode,)):
            if verdict.verdict in BAD and failed is not False and not isinstance(
                    trial.answers[dtype][mode], Exception):
                return _failure(call, tensors, trial, mode, dtype, name, verdict)
    return None


def _failure(call, tensors, trial, mode, dtype, name, verdict):
    known, answer = trial.known, trial.answers[dtype][mode]
    names = list(known.x)
    key = name if name in answer else names[0]
    given, array = np.asarray(answer[key], float), None
    if known.how == "balls":
        array = known.truth.derivatives[mode][name]
        array = np.where(array.contains(0), 0.0, array.mid())
        off = np.abs(given - array)
        at = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
        gives, exact = float(given[at]), float(array[at])
    else:
        exact = known.estimate(mode, name).value
        if mode is Mode.FORWARD or ALL in answer:
            gives = float(given)
        else:
            along = known.u if mode.order == 2 else known.v
            gives = float(inner(answer, along) if name == ALL else np.sum(given * along[name]))
    place = names.index(key) if key in names else 0
    return Failure(call, tensors, mode, dtype, place, list(known.weights), list(known.u.values()),
                   list(known.v.values()), gives, float(exact), float(verdict.ulp_max),
                   verdict.verdict, given, array)


def smallest(call, tensors, mode, dtypes, dtype, trials=TRIALS):
    """The `Failure` of the call with the fewest and roundest numbers that still has one of the same
    verdict; None where even the call itself has none along `directions`."""
    found = _tried(call, tensors, mode, dtypes, dtype)
    if found is None:
        return None
    kept = True
    while kept and trials > 0:
        kept = False
        for candidate in (*_shorter(found), *_rounder(found)):
            if trials == 0:
                break
            if not runs(*candidate, mode):
                continue
            trials -= 1
            next_one = _tried(*candidate, mode, dtypes, dtype)
            # A wrong number beside another tells more than one beside zero.
            if next_one is not None and next_one.verdict == found.verdict and (
                    next_one.exact != 0 or found.exact == 0):
                found, kept = next_one, True
                break
    return found


def _tried(call, tensors, mode, dtypes, dtype):
    try:
        return failure(call, tensors, mode, dtypes, dtype)
    except Exception:  # a smaller call may be refused by whatever takes part
        return None


def _shorter(found):
    """Shorter axes, the longest first."""
    for n in long_axes(found.call, found.tensors, 1):
        for m in sorted({1, 2, n // 2, *SHORT} & set(range(1, n))):
            shorter = cut(found.call, found.tensors, n, m)
            if numbers(shorter[1]) < numbers(found.tensors):
                yield shorter


def _rounder(found):
    """Fewer digits in one of the tensors, the coarsest first."""
    for k, t in enumerate(found.tensors):
        a = t.detach().cpu().numpy()
        for rounded in (*(_on_grid(a, grid) for grid in GRIDS), _to_a_digit(a)):
            if np.array_equal(rounded, a):
                break  # it is as round as that already
            arrays = [s.detach().cpu().numpy() for s in found.tensors]
            arrays[k] = rounded
            yield found.call, with_arrays(found.tensors, arrays)


def _on_grid(a, grid):
    """The nearest multiples of the grid; what is not zero stays so."""
    rounded = np.round(a / grid) * grid + 0.0
    return np.where((rounded == 0) & (a != 0), np.copysign(grid, a), rounded)


def _to_a_digit(a):
    return np.array([float(f"{x:.0e}") for x in a.flat]).reshape(a.shape)
