"""The comparison: every checker on the same right gradients, and on the same planted faults.

Rows are plain dicts; worker processes share the work out, and the rows come back in the order of
the cases, whatever the number of workers.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np

from ..faults import equivalence
from ..faults.experiment import SETTINGS, experiment
from ..faults.planting import chosen
from ...modes import Mode
from ...subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ...sharing import share_out
from .answer import ACCEPTED, ERROR, REJECTED
from .checkers import CHECKERS
from .right import LARGE_SUM, realize, right_cases

DTYPES = ("float64", "float32")

#: In full, and quick: how many right cases there are, how many of them the peers get, how many
#: layers and functions of torch are tried, and how many faults of each operator every checker gets.
RIGHT, PEERS_GET, LAYERS_OF_TORCH, OF_EACH_OPERATOR = (1600, 40), (200, 20), (60, 4), (7, 1)
FUNCTIONS_OF_TORCH = (600, 6)

#: What derivatives are right that no checker may call wrong: refgrad's, which are proved, and
#: torch's where no plain means refute them.
COUNTED = ("refgrad", "torch function")

#: Where a fault shows at the inputs that the checkers are given.
REVERSE, FORWARD, SECOND, ELSEWHERE = SHOWS = ("reverse", "forward", "second order", "elsewhere")

#: A checker that blames a right program, or raises an error, has no say about the faults in it.
NOT_TAKEN = "not taken"


@dataclass
class Comparison:
    """What was found: rows of false_alarms.csv.gz, and a row for each fault and checker."""

    right: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    stopped: str = ""   # why it ended before all was compared


def compare(tasks, workers=2, tick=lambda task: None):
    """All checkers on right gradients and on planted faults.  Interrupted (Ctrl-C), it returns what
    is finished."""
    found, stopped = share_out(run_task, tasks, workers, tick)
    result = Comparison(stopped=stopped)
    for n in sorted(found):
        rows = result.faults if tasks[n].func is check_faults else result.right
        rows.extend(found[n])
    return result


def tasks(seed=0, quick=False):
    """What `compare` is to do: functions without arguments, each of which returns rows."""
    from .opinfo import op_cases
    cases = right_cases(seed)
    layers = spread([c for c in cases if c.source == "layer"], LAYERS_OF_TORCH[quick])
    cases = spread(cases, RIGHT[quick])
    # Peers difference a large sum entry by entry, some of them for minutes.
    peers = set(spread([c for c in cases if c.family != LARGE_SUM], PEERS_GET[quick]))
    by_primitive = defaultdict(list)
    for fault in some_faults(seed, quick):
        by_primitive[fault.primitive].append(fault)
    return [partial(check_faults, tuple(group), seed) for group in by_primitive.values()] + [
        partial(check_right, c, peers=c in peers) for c in cases] + [
        partial(check_torch, c) for c in layers] + [
        partial(check_torch_function, c) for c in spread(op_cases(seed), FUNCTIONS_OF_TORCH[quick])]


def some_faults(seed, quick):
    """A few faults of each operator, drawn from all primitives."""
    rng = np.random.default_rng(seed)
    by_operator = defaultdict(list)
    for fault in chosen("full"):
        by_operator[fault.operator].append(fault)
    return [group[i] for group in by_operator.values()
            for i in sorted(rng.permutation(len(group))[:OF_EACH_OPERATOR[quick]])]


def spread(things, count):
    """`count` of a list, evenly."""
    return [things[i]
            for i in np.linspace(0, len(things) - 1, min(count, len(things))).round().astype(int)]


# What a worker does


def run_task(task):
    from ..timing import equal_threads  # which imports torch
    with equal_threads():
        return task()


def check_right(case, peers=True):
    """A row for each checker and dtype; without `peers` for crosscheck alone, which tries all
    dtypes at once."""
    program, arrays = realize(case)
    rows = []
    for name, checker in CHECKERS.items():
        for dtype in ("all",) if name == "crosscheck" else DTYPES if peers else ():
            given = arrays if dtype == "all" else tuple(a.astype(dtype) for a in arrays)
            rows.append(_right_row("refgrad", case, dtype, name,
                                   checker(program, given, case.seed)))
    return rows


def check_torch(case):
    """The row of torch's own derivatives of a layer, in all dtypes that it has: right as far as
    torch is."""
    from .torch_peer import check_layer
    return [_right_row("torch", case, "all", "crosscheck", check_layer(case))]


def check_torch_function(case):
    """The row of a function of torch's own, in all dtypes that it has; none without a sample.

    It is counted as right unless torch is refuted by plain means, without crosscheck.
    """
    from .opinfo import check_op
    found = check_op(case)
    if found is None:
        return []
    answer, refuted = found
    if refuted:
        answer = answer._replace(message=f"{refuted}: {answer.message}")
    subject = "torch" if refuted else "torch function"
    return [_right_row(subject, case, "all", "crosscheck", answer)]


def _right_row(subject, case, dtype, checker, answer):
    return {"subject": subject, "case": case.id, "family": case.family, "dtype": dtype,
            "scale": case.size, "checker": checker, **answer._asdict()}


def check_faults(faults, seed=0):
    """A row for each fault of a primitive and checker; none for a fault that changes nothing.

    A fault is planted in three programs: the primitive alone, between smooth functions, and used
    twice.
    """
    rows = []
    for fault in faults:
        comparison = equivalence.compare(fault)
        if comparison.equivalent:
            continue
        places = [(fault.primitive, comparison.case, setting, seed) for setting in SETTINGS]
        shows = min((_shows(fault, place) for place in places), key=SHOWS.index)
        for name in CHECKERS:
            verdict, seconds, message = _noticed(fault, name, places)
            rows.append({"fault": str(fault), "operator": fault.operator,
                         "shows": shows, "checker": name,
                         "verdict": verdict, "seconds": seconds, "message": message})
    return rows


def _noticed(fault, checker, places):
    """The first answer by which the checker notices the fault, else the last; with the seconds of
    one check."""
    answers = []
    for place in places:
        if _right_answer(checker, place).verdict == ACCEPTED:
            here = experiment(*place)
            with fault.planted():
                answers.append(CHECKERS[checker](here.program, here.inputs, here.seed))
            if answers[-1].verdict in (REJECTED, ERROR):
                break
    if not answers:
        return NOT_TAKEN, np.nan, _right_answer(checker, places[0]).message
    return answers[-1].verdict, float(np.mean([a.seconds for a in answers])), answers[-1].message


@lru_cache(maxsize=512)
def _right_answer(checker, place):
    here = experiment(*place)
    return CHECKERS[checker](here.program, here.inputs, here.seed)


def _shows(fault, place):
    """By which derivatives the fault shows first at the inputs of that place."""
    right, faulty = _right_derivatives(place), _derivatives(place, fault.planted)
    differs = {mode: not _same(right[mode], faulty[mode]) for mode in right}
    return (REVERSE if differs[Mode.REVERSE] else FORWARD if differs[Mode.FORWARD] else SECOND
            if any(differs.values()) else ELSEWHERE)


@lru_cache(maxsize=512)
def _right_derivatives(place):
    return _derivatives(place, nullcontext)


def _derivatives(place, planting):
    """mode -> derivatives of <G, program>, or the error that came; each mode with a planting of its
    own."""
    here = experiment(*place)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(np.shape(here.program(*here.inputs)))
    x = {str(i): a for i, a in enumerate(here.inputs)}
    u, v = ({k: rng.standard_normal(a.shape) for k, a in x.items()} for _ in range(2))
    found = {}
    for mode in Mode:
        try:
            with planting(), np.errstate(all="ignore"):
                found[mode] = REFGRAD.differentiate(
                    mode, lambda x: np.sum(here.program(*x.values()) * weights),
                    *({k: np.copy(a) for k, a in d.items()} for d in (x, u, v)))
        except Exception as error:
            found[mode] = type(error)
    return found


def _same(a, b):
    if isinstance(a, type) or isinstance(b, type):
        return a is b
    return all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
