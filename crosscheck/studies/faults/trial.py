"""The trial: every fault is planted, the checker is asked, and then the locator.

A fault is tried in the smallest program that uses the rule, then between smooth functions, where
the rule's own derivative counts, then where the result is used twice, and in the primitive's other
cases: until it is noticed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import pandas as pd

from ...locate import pinpoint
from ...sharing import share_out
from .equivalence import compare
from .experiment import experiments
from .planting import Fault, chosen, family, primitive_named
from . import TABLE

CAUGHT, MISSED, EQUIVALENT, FALSE_ALARM = "caught", "missed", "equivalent", "false alarm"


@dataclass
class Trial:
    """What a trial found: rows of faults.csv.gz."""

    rows: list
    stopped: str = ""   # why it ended before all faults were tried


# One fault


def try_fault(fault: Fault, seed=0):
    """The row of one fault."""
    start = time.perf_counter()
    comparison = compare(fault)
    row = dict.fromkeys(TABLE.columns, "") | {
        "primitive": fault.primitive, "family": family(primitive_named(fault.primitive)),
        "operator": fault.operator, "rule": fault.which, "argument": fault.argument,
        "caught": MISSED, "note": comparison.difference}
    if comparison.equivalent:
        row |= {"caught": EQUIVALENT, "note": f"proved on balls at {comparison.points} points"}
    tried = experiments(fault, seed)
    for experiment in tried[:1] if comparison.equivalent else tried:
        failure = experiment.first_failure(fault)
        if failure is not None:
            unfounded = comparison.equivalent and failure.point not in comparison.ends
            row |= {"caught": FALSE_ALARM if unfounded else CAUGHT, "by": failure.check,
                    "point": failure.point}
            row["pinned_on"] = _pinned_on(fault, experiment, failure)
            row["pinned"] = row["pinned_on"] == fault.primitive
            break
    return row | {"seconds": time.perf_counter() - start}


def _pinned_on(fault, experiment, failure):
    """The primitive that the locator names, with the fault planted."""
    inputs = experiment.inputs_at(failure)
    with fault.planted():
        try:
            culprit = pinpoint(experiment.program, *inputs)
        except Exception as error:
            return f"raises {type(error).__name__}"
    return "" if culprit is None else culprit.primitive


# All of them


def trial(seed=0, profile="full", workers=2, tick=lambda fault: None):
    """Try the faults of a profile.  Interrupted (Ctrl-C), it returns what is finished."""
    found, stopped = share_out(partial(try_fault, seed=seed), chosen(profile), workers, tick)
    return Trial([found[n] for n in sorted(found)], stopped)


# Tables


def faults_table(rows):
    return pd.DataFrame(rows, columns=TABLE.columns)


def summary(frame):
    """Numbers for a sentence: how many were planted, equivalent, missed, caught, pinned on the
    right primitive."""
    counts = frame["caught"].value_counts()
    caught = frame[frame["caught"] == CAUGHT]
    return {"planted": len(frame), "equivalent": int(counts.get(EQUIVALENT, 0)),
            "false alarms": int(counts.get(FALSE_ALARM, 0)), "missed": int(counts.get(MISSED, 0)),
            "caught": len(caught), "pinned": int((caught["pinned"].astype(str) == "True").sum())}


def sentence(frame):
    """What became of the faults, in one sentence."""
    n = summary(frame)
    alarms = f" ({n['false alarms']:,} of them were called wrong)" if n["false alarms"] else ""
    return (f"{n['planted']:,} faults planted, {n['equivalent'] + n['false alarms']:,} proved to "
            f"change nothing{alarms}; of the other {n['caught'] + n['missed']:,} caught "
            f"{n['caught']:,}, pinned on the right primitive {n['pinned']:,}")
