"""The tables of the report, and how files are written: whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ..studies.derivations.book import COLUMNS as DERIVATIONS_COLUMNS
from ..studies.derivations.book import NUMBERS as DERIVATIONS_NUMBERS
from ..studies.faults.trial import COLUMNS as FAULTS_COLUMNS
from ..locate.findings import REFGRAD_COLUMNS, TORCH_COLUMNS
from ..networks import Coverage
from ..studies.checkers.tables import CHECKERS_COLUMNS, FALSE_ALARMS, SECONDS_COLUMNS
from ..studies.networks import COLUMNS
from ..studies.speed.measure import COLUMNS as SPEED_COLUMNS
from ..studies.speed.measure import NUMBERS as SPEED_NUMBERS
from ..studies.speed.memory import COLUMNS as MEMORY_COLUMNS
from ..studies.speed.memory import NUMBERS as MEMORY_NUMBERS
from ..studies.speed.profile import COLUMNS as PROFILE_COLUMNS
from ..studies.speed.profile import NUMBERS as PROFILE_NUMBERS
from ..studies.speed.throughput import COLUMNS as THROUGHPUT_COLUMNS
from ..studies.speed.throughput import NUMBERS as THROUGHPUT_NUMBERS
from ..studies.speed.throughput import TIME_COLUMNS, TIME_NUMBERS
from ..verdict import KINK, LESS_ACCURATE, NO_ANSWER, NOT_FINITE, VERDICTS, WRONG

#: Columns that each table must have; a file without them is not the table that it claims to be.
REQUIRED = {
    "errors.csv": COLUMNS,
    "layers.csv": ("layer", "differentiator", "dtype", "digits_min", "ulp_median", "ulp_max"),
    "findings.csv": ("differentiator", "verdict", "mode", "layer", "networks", "with_layer", "simplest", "note"),
    "torch_findings.csv": TORCH_COLUMNS,
    "refgrad_findings.csv": REFGRAD_COLUMNS,
    "coverage.csv": ("kind", "first", "second", "met"),
    "derivations.csv": DERIVATIONS_COLUMNS,
    "faults.csv": FAULTS_COLUMNS,
    "checkers.csv": CHECKERS_COLUMNS,
    "false_alarms.csv": FALSE_ALARMS,
    "checker_seconds.csv": SECONDS_COLUMNS,
    "scaling.csv": ("study", "library", "method", "seconds", "projected"),
    "training.csv": ("step", "library", "loss"),
    "speed.csv": SPEED_COLUMNS,
    "speed_profile.csv": PROFILE_COLUMNS,
    "memory.csv": MEMORY_COLUMNS,
    "throughput.csv": THROUGHPUT_COLUMNS,
    "throughput_time.csv": TIME_COLUMNS,
}

NUMERIC = {"ulp_max", "ulp_median", "rel_error", "error_over_bound", "digits", "digits_min", "met", "networks",
           "with_layer", "torch", "refgrad", "exact", "ulps", "factor", "seconds", "step", "loss", "cases", "rejected",
           "errors", "not_taken", "share", "scale", "ratio", "numbers", *DERIVATIONS_NUMBERS, *SPEED_NUMBERS,
           *MEMORY_NUMBERS, *THROUGHPUT_NUMBERS, *TIME_NUMBERS, *PROFILE_NUMBERS}

#: The command that makes a table, where it is not `run`.
COMMANDS = {
    "scaling.csv": "scaling", "training.csv": "training", "derivations.csv": "derivations",
    **dict.fromkeys(("speed.csv", "speed_profile.csv", "memory.csv", "throughput.csv", "throughput_time.csv"), "speed"),
    **dict.fromkeys(("faults.csv", "checkers.csv", "false_alarms.csv", "checker_seconds.csv"), "faults")}

#: Verdicts whose cause is looked for, the worst first.
FINDINGS = [WRONG, NOT_FINITE, NO_ANSWER, LESS_ACCURATE, KINK]


class ReportError(Exception):
    """A file of the report is missing, broken or of another kind; says which and what to do."""


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place when the block ends well: readers see the old or the new."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_table(frame, path):
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.4g", lineterminator="\n")


def read_table(path):
    """The table at `path`; ReportError if it is missing, half-written or something else."""
    path = Path(path)
    how = f"python -m crosscheck {COMMANDS.get(path.name, 'run')} --out {path.parent}"
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    except FileNotFoundError:
        raise ReportError(f"{path} is missing; make it with: {how}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise ReportError(f"{path} cannot be read ({error}); make it again with: {how}") from error
    if absent := [c for c in REQUIRED.get(path.name, ()) if c not in frame.columns]:
        raise ReportError(f"{path} lacks the columns {', '.join(absent)}; make it again with: {how}")
    numbers = sorted(NUMERIC & set(frame.columns))
    if broken := [c for c in numbers if len(frame) and not pd.api.types.is_numeric_dtype(frame[c])]:
        raise ReportError(f"{path} has text in the columns of numbers {', '.join(broken)}; make it again with: {how}")
    return frame


def write_json(data, path):
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(data, indent=1) + "\n")


def errors_table(rows):
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({c: float for c in COLUMNS if c in NUMERIC})


def by_layer(errors, networks):
    """The errors once for each layer that their network has."""
    of_network = {n.id: sorted(set(n.layers)) for n in networks}
    return errors.assign(layer=errors["network"].map(of_network)).explode("layer")


def layers_table(errors, networks):
    """The errors by layer: every row of a network counts for each layer that the network has."""
    table = []
    spread = by_layer(errors, networks)
    for (layer, who, dtype), rows in spread.groupby(["layer", "differentiator", "dtype"], sort=True):
        ulps = rows["ulp_max"]
        counts = rows["verdict"].value_counts()
        worst = rows.loc[rows["error_over_bound"].idxmax(), "network"] if rows["error_over_bound"].notna().any() else ""
        table.append((
            layer, who, dtype, rows["network"].nunique(), len(rows), rows["digits"].min(), rows["ulp_median"].median(),
            ulps.quantile(0.95, interpolation="nearest"), ulps.max(),
            rows["rel_error"].median(), rows["rel_error"].max(), *(int(counts.get(v, 0)) for v in VERDICTS), worst))
    return pd.DataFrame(table, columns=[
        "layer", "differentiator", "dtype", "networks", "rows", "digits_min", "ulp_median", "ulp_p95", "ulp_max",
        "rel_error_median", "rel_error_max", *VERDICTS, "closest_to_bound"])


def findings_table(errors, networks):
    """What is not right, and through which layers: a row for each differentiator, verdict, mode and layer to suspect.

    The layer to suspect is the one with which most of its networks are affected; the networks that it explains are set
    aside, and so on until all are explained.  The simplest of them is the one to replay.
    """
    by_id = {n.id: n for n in networks}
    table = []
    affected = errors[errors["verdict"].isin(FINDINGS)]
    affected = affected.sort_values("verdict", key=lambda v: v.map(FINDINGS.index), kind="stable")
    for (who, verdict, mode), rows in affected.groupby(["differentiator", "verdict", "mode"], sort=False):
        found = {i: by_id[i] for i in rows["network"]}
        for layer, group in _suspects(found, by_id):
            simplest = min(group, key=lambda n: (len(n.calls), n.size))
            table.append((who, verdict, mode, layer, len(group), sum(layer in n.layers for n in networks), simplest.id,
                          rows.loc[rows["network"] == simplest.id, "note"].iloc[0]))
    return pd.DataFrame(table, columns=REQUIRED["findings.csv"])


def _suspects(found, by_id):
    """(layer, affected networks that it explains), the strongest suspicion first."""
    left = dict(found)
    while left:
        having = Counter(a for n in by_id.values() for a in set(n.layers) if n.id in left or n.id not in found)
        affected = Counter(a for n in left.values() for a in set(n.layers))
        layer = max(sorted(affected), key=lambda a: (affected[a] / having[a], affected[a]))
        group = [n for n in left.values() if layer in n.layers]
        yield layer, group
        for n in group:
            del left[n.id]


def coverage_table(coverage: Coverage):
    """How often each layer and each pair of layers in sequence was met, those never met included."""
    layers, pairs = coverage.possible()
    rows = [{"kind": "layer", "first": a, "second": "", "met": coverage.layers[a]} for a in layers]
    rows += [{"kind": "pair", "first": a, "second": b, "met": coverage.pairs[a, b]} for a, b in pairs]
    return pd.DataFrame(rows)


def verdict_counts(errors):
    """A row for each differentiator, dtype and mode; a column for each verdict that occurs."""
    counts = errors.pivot_table(index=["differentiator", "dtype", "mode"], columns="verdict", values="network",
                                aggfunc="count", fill_value=0)
    return counts[[v for v in VERDICTS if v in counts.columns]]
