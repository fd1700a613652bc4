"""What is found of one operation: a row for each mode and dtype, and the smallest program for each
that is wrong."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from multiprocessing import parent_process

import numpy as np
import torch

from ... import check
from ...conduct import brief
from ...formats import FORMATS
from ...modes import Mode
from ...subjects.libraries.torch_library import tf32
from ...trial import FAILURES
from ...verdict import (AGREES, KINK, LESS_ACCURATE, MISCONDUCT, NO_ANSWER, NOT_FINITE, OK, RIGHT,
                        UNDECIDED, WRONG)
from ..checkers.opinfo import entries
from . import FINDINGS, OPERATIONS
from .program import program_of
from .samples import NO_DERIVATIVE, chosen, with_arrays, words
from .smallest import smallest

#: The columns of a part's rows: those of both tables; a row without a program's columns is no
#: finding.
COLUMNS = tuple(dict.fromkeys((*OPERATIONS.columns, *FINDINGS.columns)))

#: Which verdict stands for several points, the first that occurs.
ORDER = (WRONG, NOT_FINITE, MISCONDUCT, LESS_ACCURATE, RIGHT, AGREES, OK, KINK, UNDECIDED,
         NO_ANSWER)

#: Verdicts that say what a derivative is worth.
DECIDED = ORDER[:8]


@dataclass(frozen=True)
class Setting:
    """How torch computes.

    name    what stands behind the dtype
    tf32    whether products in float32 may round their operands to TF32
    dtypes  of which the findings count; "exact" does where all do
    """

    name: str = ""
    tf32: bool = False
    dtypes: tuple = ()


#: device -> how torch computes there.
SETTINGS = {"cpu": (Setting(dtypes=("float64", "float32")),),
            "cuda": (Setting(dtypes=tuple(FORMATS)), Setting(" (TF32)", True, ("float32",)))}


@dataclass(frozen=True)
class Task:
    """An operation to look at."""

    name: str
    samples: int
    seed: int
    device: str


def rows_of(task):
    """The rows of an operation, as dicts; where the check itself fails, one that says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on operations that it will remove
        try:
            rows = list(_rows(task))
        except Exception as error:
            rows = [no_check(task, error)]
    if task.device == "cuda" and parent_process() is not None and gpu_is_lost():
        os._exit(1)  # a worker in which nothing more can be computed: another does the task
    return rows


def gpu_is_lost():
    """Whether an assertion failed on the GPU (an index out of bounds), after which this process
    cannot use it."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def no_check(task, error):
    """The row of an operation that could not be looked at."""
    note = " ".join(f"the check failed: {type(error).__name__}: {error}".split())[:200]
    return _row(operation=task.name, mode="check", verdict=NO_ANSWER, note=note)


def _row(**values):
    return ({c: np.nan if c in (*OPERATIONS.numbers, *FINDINGS.numbers) else "" for c in COLUMNS}
            | values)


def _rows(task):
    op = entries()[task.name]
    if op.name in NO_DERIVATIVE:
        yield _row(operation=task.name, mode="check", verdict=UNDECIDED,
                   note=NO_DERIVATIVE[op.name])
        return
    calls = chosen(op, task.samples, task.seed, task.device)
    if not calls:
        yield _row(operation=task.name, mode="check", verdict=UNDECIDED,
                   note="no sample has a finite value to differentiate in real, dense tensors")
        return
    found, latest = {}, None  # (mode, dtype) -> [(Finding, number of the sample, report, setting)]
    for setting in SETTINGS[task.device]:
        dtypes = tuple(d
                       for d in setting.dtypes if op.supports_dtype(getattr(torch, d), task.device))
        for number, (call, tensors) in enumerate(calls):
            try:
                with tf32(setting.tf32):
                    report = check(call, *tensors, seed=task.seed, modes=tuple(Mode), thorough=True,
                                   quick=number > 0,
                                   dtypes=tuple(dict.fromkeys(("float64", *dtypes))))
            except (TypeError, ValueError) as error:
                yield _row(operation=task.name, mode="check", verdict=NO_ANSWER, note=brief(error),
                           arguments=words(call, tensors))
                continue
            for f in report.verdicts:
                if f.dtype in dtypes or f.dtype == "exact" and not setting.name:
                    found.setdefault((f.check, f.dtype + setting.name),
                                     []).append((f, number, report, setting))
    for (mode, dtype), group in found.items():
        row, worst = _summary(task, mode, dtype, group, calls)
        if row["verdict"] in (WRONG, NOT_FINITE) and worst[0].check in tuple(Mode):
            if (smaller := _smallest(worst, calls, latest)) is not None:
                latest = smaller
                row |= {"torch": smaller.gives, "exact": smaller.exact,
                        "program": program_of(smaller)}
        yield row


def _summary(task, mode, dtype, group, calls):
    """(the row of a mode in a dtype, the finding that its verdict comes from)."""
    counted = [g for g in group if g[0].failed or g[0].verdict not in FAILURES]
    counted = counted or [(_remark(f), *rest) for f, *rest in group]
    failing = [g for g in counted if g[0].failed]
    worst = min(failing or counted, key=lambda g: (
        ORDER.index(g[0].verdict), g[2].examination.extreme(g[0].point), g[1]))
    decided = [g for g in counted if g[0].verdict in DECIDED]
    telling = [g[0] for g in failing or decided
               if g[0].verdict not in (KINK, OK) and np.isfinite(g[0].rel_error)]
    off = max((f.rel_error for f in telling), default=np.nan)
    f, number, report, _ = worst
    return _row(
        operation=task.name, mode=mode, dtype=dtype, verdict=f.verdict,
        failed=len(_places(failing)), points=len(_places(decided)), samples=len(calls),
        digits=np.nan if np.isnan(off) else max(-np.log10(off), 0.0) if off else 16.0,
        ulps=max((f.ulps for f in telling if np.isfinite(f.ulps)), default=np.nan),
        how=_how(report, f), why=report.why, point=f.point, arguments=words(*calls[number]),
        note=f.note), worst


def _how(report, finding):
    """What the derivative was measured by at the point: differences may judge where balls leave it
    open."""
    trial = report.examination.trials.get(finding.point)
    return trial.known.how if trial else report.how


def _remark(finding):
    """A verdict that makes nothing fail, as where f may overflow: it tells nothing."""
    return replace(finding, verdict=UNDECIDED)


def _places(group):
    return {(number, f.point) for f, number, *_ in group}


def _smallest(worst, calls, latest):
    """The smallest `Failure` of a finding; the one before it, of another mode, is tried first."""
    finding, number, report, setting = worst
    mode, dtypes = Mode(finding.check), report.examination.subject.dtypes
    dtype = finding.dtype if finding.dtype in dtypes else report.examination.widest
    call, tensors = calls[number]
    point = report.examination.points[finding.point]
    there = with_arrays(tensors, point.x.values())
    with tf32(setting.tf32):
        if latest is not None:
            found = smallest(latest.call, latest.tensors, mode, dtypes, dtype, 0)
            if found is not None and found.verdict == finding.verdict:
                return found
        return smallest(call, there, mode, dtypes, dtype)
