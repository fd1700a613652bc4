"""The comparison of all entries, and its frame."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pandas as pd

from refgrad import nn

from ..timing import equal_threads
from . import TABLE
from .comparison import compare
from .samples import entries, name_of, refused_by_torch, samples_of

#: Samples of each entry in a quick run.
FEW = 2


def run_layers(seed=0, quick=False, tick=lambda *_: None, ops=None):
    """(the frame of layers_opinfo.csv, why it ended early); `ops`: the entries, all by default."""
    rows, stopped = [], ""
    with equal_threads():
        try:
            for op in entries() if ops is None else ops:
                rows.append(row_of(op, seed, FEW if quick else None))
                tick(rows[-1]["name"])
        except KeyboardInterrupt:
            stopped = "interrupted"
    return pd.DataFrame(rows, columns=TABLE.columns), stopped


def function_of(name):
    """The public function of refgrad.nn, or None."""
    found = vars(nn).get(name)
    return found if inspect.isfunction(found) else None


def row_of(op, seed=0, most=None):
    """The row of one entry."""
    function = function_of(name_of(op))
    row = dict.fromkeys(TABLE.columns, "") | dict.fromkeys(TABLE.numbers, 0) | {
        "name": name_of(op), "variant": op.variant_test_name, "missing": function is None,
        "how_far": np.nan,
        "torch_forward": op.supports_forward_ad, "torch_second": op.supports_gradgrad,
        "forward": function is not None, "second": function is not None}
    calls = samples_of(op, seed, most)
    row["samples"] = len(calls)
    if function is None:
        return row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [compare(op, function, call) for call in calls]
        row |= _errors(op, function)
    refused = [f for f in found if f.stage == "refused"]
    differ = [f for f in found if f.stage not in ("", "refused")]
    stages = list(dict.fromkeys(f.stage for f in differ))
    return row | {
        "passed": len(found) - len(refused) - len(differ), "refused": len(refused),
        "reason": refused[0].reason if refused else "", "differ": len(differ),
        "stage": "; ".join(stages),
        "how_far": max((f.how_far for f in differ if np.isfinite(f.how_far)), default=np.nan),
        "right": "; ".join(dict.fromkeys(f.right for f in differ)),
        "forward": not {"forward", "error"}.intersection(stages),
        "second": not any("over" in s or s == "error" for s in stages)}


def _errors(op, function):
    """Which of the calls that torch refuses are refused, and the first that is not."""
    calls = refused_by_torch(op)
    accepted = [call for call in calls if not _is_refused(call, function)]
    return {"errors": len(calls), "raised": len(calls) - len(accepted),
            "accepted": str(accepted[0]) if accepted else ""}


def _is_refused(call, function):
    arrays, f = call.of_arrays(function)
    try:
        f(*arrays)
    except (TypeError, ValueError):
        return True
    except Exception:  # refused, but nobody said why
        return False
    return False


def sentence(frame):
    """What was found, in a sentence."""
    here = frame[~frame["missing"].astype(bool)]
    missing = sorted(set(frame["name"]) - set(here["name"]))
    total = here[["samples", "passed", "refused", "differ", "errors", "raised"]].sum().astype(int)
    text = (f"{here['name'].nunique()} functions of torch.nn.functional at {total['samples']:,} "
            f"samples: at {total['passed']:,} value, gradient and second derivatives are torch's, "
            f"at {total['differ']:,} they differ, {total['refused']:,} are refused; of "
            f"{total['errors']} calls that torch refuses {total['raised']} are refused")
    return text + (f". Missing: {', '.join(missing)}" if missing else "")
