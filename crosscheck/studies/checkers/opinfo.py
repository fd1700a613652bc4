"""torch's own functions as right gradients: the entries of its test suite's op database, each at
sample inputs of its own.

An entry brings the function and samples; a sample's tensors that require a gradient are
differentiated, all else stays as it is.  Random functions are called with one seed, complex results
are taken as pairs of real numbers.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from unittest import mock

import numpy as np
import torch

from refgrad.tree import flatten

from ... import check
from ...formats import format_named
from ...modes import ALL, Mode
from ...subjects.libraries.refgrad_library import inner
from ...truth.differences import REQUIRED
from ...truth.nearby import rounded_at_random
from ...verdict import AGREES, LESS_ACCURATE, NOT_FINITE, RIGHT, WRONG
from .answer import ACCEPTED, ask, refuse_unless_ok

#: What torch's test suite imports and does not bring along.
NEEDS = "expecttest"

#: Samples with more numbers than this are passed over where there are smaller ones.
SMALL = 40

#: Of an entry's samples that fit, those that are looked at.
SAMPLES = 60

#: A smaller part of a derivative or of f may be lost to rounding: it refutes nobody.
ROUNDED = 1e-9

#: An error of so many roundings is none, where nothing cancels.
MANY_ROUNDINGS = 1e4

#: By more roundings than this two modes are apart where they are so by the same part at so many
#: points beside, a step of this part of x away.
ROUNDINGS, BESIDE, STEP = 64, 5, 2.0 ** -10

#: Slopes by steps of 1e-6 are the same if they differ by no more than this part.
SAME_SIDE = 1e-6

#: Entries that are no functions of their inputs' entries alone, and why; their derivatives are no
#: one's fault.
NO_FUNCTIONS = {name: "reads and writes memory by its layout" for name in (
    "as_strided", "as_strided partial_views", "as_strided_copy", "as_strided_scatter")}


@dataclass(frozen=True)
class OpCase:
    """One sample of an entry of the op database.

    name     of the entry, with its variant
    number   which of the samples that are small enough
    """

    name: str
    number: int
    seed: int = 0
    family: str = "OpInfo"
    size: float = 1.0

    @property
    def id(self):
        return f"torch {self.name} {self.number}"


def op_cases(seed=0, samples=1):
    """The cases of all entries with derivatives in float64; none where the database is missing."""
    if find_spec(NEEDS) is None:
        return []
    return [OpCase(name, number, seed) for name in entries() for number in range(samples)]


@lru_cache(maxsize=1)
def entries():
    """name -> entry of the op database, those that torch differentiates in float64 here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {f"{op.name} {op.variant_test_name}".strip(): op for op in op_db
            if op.supports_autograd and op.supports_dtype(torch.float64, "cpu")}


def realize(case):
    """(function, tensors) of a case; None where the entry has no such sample."""
    found = fitting(entries()[case.name], case.seed)
    if not found:
        return None
    small = [d for d in found if _count(d[1]) <= SMALL]
    small = small or [min(found, key=lambda d: _count(d[1]))]
    return small[case.number] if case.number < len(small) else None


def fitting(op, seed=0, device="cpu"):
    """(function, tensors) of an entry's samples at which there is something to differentiate."""
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = op.sample_inputs(device, torch.float64, requires_grad=True)
        drawn = (_split(op, s) for s in samples)
        return list(islice((d for d in drawn if _fits(*d)), SAMPLES))


def check_op(case):
    """(crosscheck's `Answer` about torch's derivatives, why torch is wrong if it is), or None."""
    drawn = realize(case)
    if drawn is None:
        return None
    function, tensors = drawn
    reports = []

    def run():
        reports.append(check(function, *tensors, seed=case.seed))
        refuse_unless_ok(reports[0])

    answer = ask(run, case.seed)
    if answer.verdict == ACCEPTED or not reports:
        return answer, ""
    return answer, refuted(reports[0]) or NO_FUNCTIONS.get(case.name, "")


# Is it torch that is wrong?  Decided without what crosscheck knows of the derivative.


def refuted(report):
    """Why torch is wrong, by plain means, in all modes and dtypes that failed; "" if one is
    left."""
    reasons = {}
    for failure in report.failures:
        place = failure.check, failure.dtype
        reasons[place] = reasons.get(place) or _refuted(report, failure)
    # Of a derivative that is wrong other ways to it are wrong, too: other modes of its order, and
    # what is not differentiated by one mode.
    wrong = {(order, dtype) for (check, dtype), reason in reasons.items() if reason
             for order in (_order(check), 0)}
    told = [reason for (check, dtype), reason in reasons.items()
            if reason or (_order(check), dtype) not in wrong]
    return "; ".join(dict.fromkeys(told)) if all(told) else ""


def _order(check):
    """Of a mode its order, of other checks 0."""
    return Mode(check).order if check in tuple(Mode) else 0


def _refuted(report, failure):
    """torch contradicts itself, or plain differences contradict it; "" if neither is so."""
    trial = report.examination.trials.get(failure.point)
    if failure.check in report.examination.subject.extra and failure.verdict == WRONG:
        return f"{failure.check}, torch gives another gradient"  # since its own in one go is right
    if trial is not None and failure.check == "kink":
        return _smooth_by_plain_differences(trial, failure)
    told = failure.check in tuple(Mode) and failure.verdict in (WRONG, NOT_FINITE)
    if not told or trial is None:
        return ""
    mode, place = Mode(failure.check), (failure.point, failure.dtype, failure.argument)
    right = [f.check for f in report.verdicts
             if f.check in tuple(Mode) and f.check != mode and Mode(f.check).order == mode.order
             and (f.point, f.dtype, f.argument) == place
             and f.verdict in (AGREES, LESS_ACCURATE, RIGHT)]
    plain, apart = _plain(trial, mode, failure.argument)
    if failure.verdict == NOT_FINITE:
        smooth = right or apart <= 1e-5 * max(abs(plain), 1.0)
        return f"{mode} is nan or inf where f is smooth" if smooth else ""
    told = _told(trial, mode, failure)
    least = ROUNDED * max(abs(plain), abs(told), trial.known.size)
    if right and abs(told - _told(trial, Mode(right[0]), failure)) > least:
        return f"{mode} is not what torch itself gives in {right[0]}"
    if right and _steadily_apart(trial, mode, Mode(right[0]), failure):
        return f"{mode} is off what torch itself gives in {right[0]} by the same part nearby"
    off = abs(told - plain) > max(10 * apart, least)
    return f"{mode} is refuted by plain differences" if off else _proved(trial, mode, failure)


def _proved(trial, mode, failure):
    """The words where differences on balls, which use nobody's rules, refute it by more than many
    roundings."""
    known, name = trial.known, failure.argument
    proved = (known.how == "balls" and not known.open()
              and known.agreement(mode, name).digits >= REQUIRED)
    many = (failure.rel_error > MANY_ROUNDINGS * np.finfo(float).eps
            or failure.error_over_bound > MANY_ROUNDINGS)
    return f"{mode} is refuted by differences in ball arithmetic" if proved and many else ""


def _plain(trial, mode, name):
    """(the derivative by plain differences, how far two steps are apart).

    Of a function that works in float32 or less they tell nothing: its values are a staircase.
    """
    known, found = trial.known, []
    ways = [lambda t=t: _in_single(trial, {k: a + t * known.v[k] for k, a in known.x.items()})
            for t in (1e-5 / 3, -1e-5 / 3)]
    if 1.0 in map(_tried, ways):
        return np.nan, np.inf
    v = known.v if name == ALL else {name: known.v[name]}
    for h in (2e-3, 1e-3, 2e-4, 1e-4, 2e-5, 1e-5):
        def at(t, r=0.0, h=h):
            return _value(trial, (r * h, known.u), (t * h, v))
        ways = [lambda: (at(-2) - 8 * at(-1) + 8 * at(1) - at(2)) / (12 * h),
                lambda: (4 * at(1) - at(2) - 3 * at(0)) / (2 * h),
                lambda: (3 * at(0) - 4 * at(-1) + at(-2)) / (2 * h)]
        if mode.order == 2:
            ways = [lambda: (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h * h)]
        found.append(next(filter(np.isfinite, map(_tried, ways)), np.nan))
    pairs = [(abs(a - b), b) for a, b in zip(found[::2], found[1::2]) if np.isfinite(a - b)]
    apart, value = min(pairs, default=(np.inf, np.nan))
    return value, apart


def _smooth_by_plain_differences(trial, failure):
    """The words where plain differences find f smooth and torch's gradient wrong: along two
    directions the slopes from both sides agree, that along the sum of the directions is the sum of
    the slopes, and the gradient gives other slopes."""
    names = list(trial.point.x) if failure.argument == ALL else [failure.argument]
    along = [{k: d[k] for k in names} for d in (trial.known.u, trial.known.v)]
    along.append({k: sum(d[k] for d in along) for k in names})
    found = trial.answers[failure.dtype][Mode.REVERSE]
    told = np.array([sum(np.sum(found[k] * d[k]) for k in names) for d in along])
    sides = np.array([[_tried(lambda d=d, h=h: _rise(trial, d, h)) for d in along]
                      for h in (1e-6, -1e-6)])
    slopes, least = sides.mean(axis=0), SAME_SIDE * np.max(np.abs(sides))
    smooth = np.ptp(sides, axis=0).max() <= least and abs(slopes[:2].sum() - slopes[2]) <= least
    off = np.any(np.abs(told - slopes) > 10 * least)
    return f"{Mode.REVERSE} is refuted by plain differences" if smooth and off else ""


def _rise(trial, direction, h):
    """The slope of f from x on along a direction, by a step of h."""
    near, far, here = (_value(trial, (t, direction)) for t in (h, 2 * h, 0))
    return (4 * near - far - 3 * here) / (2 * h)


def _value(trial, *moves):
    """<G, f> where x has moved, for each (t, direction), by t times the direction."""
    x = dict(trial.known.x)
    for t, direction in moves:
        x.update({k: x[k] + t * d for k, d in direction.items()})
    ys = trial.subject.value(x, trial.subject.dtypes[0])
    return sum(float(np.sum(y * w)) for y, w in zip(ys, trial.known.weights))


def _in_single(trial, x):
    """1 where all results are numbers of float32, as a computation in float64 hardly makes them."""
    ys = trial.subject.value(x, trial.subject.dtypes[0])
    return float(all(np.array_equal(y, np.asarray(y, np.float32)) for y in ys))


def _tried(way):
    """The number that a function gives; nan where it leaves its domain."""
    try:
        return way()
    except Exception:
        return np.nan


def _steadily_apart(trial, mode, other, failure):
    """Do two modes of torch differ by the same part at points nearby, as by rounding they do
    not?"""
    known, parts = trial.known, []
    for seed in range(1, 1 + BESIDE):
        x = rounded_at_random(known.x, STEP, seed)
        told, right = (_told(trial, m, failure, trial.subject.answer(
            m, x, known.weights, known.u, known.v, failure.dtype)) for m in (mode, other))
        parts.append((told - right) / right if right else np.nan)
    least = ROUNDINGS * format_named(failure.dtype).eps
    return bool(abs(np.mean(parts)) > max(least, 4 * np.ptp(parts)))


def _told(trial, mode, failure, answer=None):
    """What torch says of it, or what an answer does."""
    known = trial.known
    answer = trial.answers[failure.dtype][mode] if answer is None else answer
    if mode.order == 2:
        return float(answer[ALL] if ALL in answer else inner(answer, known.u))
    names = list(known.x) if failure.argument == ALL else [failure.argument]
    along = known.v if mode == Mode.REVERSE else {k: 1.0 for k in names}
    return float(sum(np.sum(answer[k] * along[k]) for k in names))


def _count(tensors):
    return sum(t.numel() for t in tensors)


def _fits(function, tensors):
    """Is there something to differentiate, and does a real gradient of a finite value exist?

    Not of a sparse result: torch's gradient of its entries is that of those that it holds.
    """
    if not tensors or not _count(tensors) or any(t.is_complex() or t.layout != torch.strided
                                                 or not torch.isfinite(t).all() for t in tensors):
        return False
    try:
        with seeded(0):
            returned = function.returned(*tensors)
            ys = _real(function.end(returned))
    except Exception:
        return False
    dense = all(t.layout == torch.strided for t in flatten([returned])[0] if torch.is_tensor(t))
    return (dense and any(y.requires_grad for y in ys)
            and all(bool(torch.isfinite(y).all()) for y in ys))


def _split(op, sample):
    """(function of the tensors that are differentiated, these tensors)."""
    tensors = []

    def taken(x):
        if torch.is_tensor(x) and x.requires_grad:
            tensors.append(x.detach().clone().requires_grad_())
            return Place(len(tensors) - 1)
        if isinstance(x, (list, tuple)) and not isinstance(x, torch.Size):
            return type(x)(map(taken, x)) if type(x) in (list, tuple) else x
        return x

    call = taken((sample.input, tuple(sample.args), tuple(sample.kwargs.items())))
    return Call(op, *call, sample.output_process_fn_grad), tensors


class Call:
    """A call of an entry as a function of the tensors that are differentiated.

    first, args, named  its arguments, with a `Place` for each of these tensors; `named` in pairs
    end                 what the sample makes of the result
    """

    def __init__(self, op, first, args, named, end):
        self.op, self.first, self.args, self.named, self.end = op, first, args, named, end
        self.__name__ = op.name

    def __call__(self, *given):
        with seeded(0):
            return _real(self.end(self.returned(*given)))

    def returned(self, *given):
        """What the entry itself returns."""
        def filled(x):
            if isinstance(x, Place):
                return given[x.position]
            if torch.is_tensor(x):
                x = x.clone()
                return x.to(given[0].dtype) if x.dtype == torch.float64 else x
            return type(x)(map(filled, x)) if type(x) in (list, tuple) else x

        first, args, named = filled((self.first, self.args, self.named))
        # The wrapper says where a derivative is meant: on symmetric matrices, say.
        return self.op.gradcheck_wrapper(self.op, first, *args, **dict(named))


@contextlib.contextmanager
def seeded(seed):
    """A block in which torch draws from a seed, and seeds those devices alone that are in use;
    torch.manual_seed, which looks for all of them, takes longer than most functions."""
    generators = [torch.random.default_generator]
    if torch.cuda.is_initialized():
        generators += torch.cuda.default_generators
    before = [g.get_state() for g in generators]

    def manual_seed(seed):
        for g in generators:
            g.manual_seed(seed)

    with mock.patch.object(torch, "manual_seed", manual_seed):
        manual_seed(seed)
        try:
            yield
        finally:
            for g, state in zip(generators, before):
                g.set_state(state)


@dataclass(frozen=True)
class Place:
    """Where one of the tensors that are differentiated goes."""

    position: int


def _real(y):
    """The results as a list of real tensors: complex ones as pairs, integers left out."""
    if torch.is_tensor(y):
        y = torch.view_as_real(y) if y.is_complex() else y
        return [y] if y.is_floating_point() and y.layout == torch.strided else []
    return [t for part in y for t in _real(part)] if isinstance(y, (list, tuple)) else []
