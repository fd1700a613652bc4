"""The tables of the report, and how files are written: whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ..networks import Coverage
from ..run import COLUMNS
from ..verdict import VERDICTS

#: Columns that each table must have; a file without them is not the table that it claims to be.
REQUIRED = {
    "errors.csv": COLUMNS,
    "layers.csv": ("layer", "differentiator", "dtype", "digits_min", "ulp_median", "ulp_max"),
    "coverage.csv": ("kind", "first", "second", "met"),
    "scaling.csv": ("study", "library", "method", "seconds", "projected"),
    "training.csv": ("step", "library", "loss"),
}


class ReportError(Exception):
    """A file of the report is missing, broken or of another kind; says which and what to do."""


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place when the block ends well: readers see the old file or the new."""
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
    command = {"scaling.csv": "scaling", "training.csv": "training"}.get(path.name, "run")
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    except FileNotFoundError:
        raise ReportError(f"{path} is missing; make it with: python -m crosscheck {command} --out {path.parent}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} cannot be read ({error}); make it again with: python -m crosscheck {command} "
                          f"--out {path.parent}") from error
    absent = [c for c in REQUIRED.get(path.name, ()) if c not in frame.columns]
    if absent:
        raise ReportError(f"{path} lacks the columns {', '.join(absent)}; make it again with: python -m crosscheck "
                          f"{command} --out {path.parent}")
    return frame


def write_json(data, path):
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(data, indent=1) + "\n")


def errors_table(rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


def layers_table(errors, networks):
    """The errors by layer: every row of a network counts for each layer that the network has."""
    of_network = {n.id: sorted(set(n.layers)) for n in networks}
    spread = errors.assign(layer=errors["network"].map(of_network)).explode("layer")
    table = []
    for (layer, who, dtype), rows in spread.groupby(["layer", "differentiator", "dtype"], sort=True):
        ulps = rows["ulp_max"]
        counts = rows["verdict"].value_counts()
        worst = rows.loc[rows["error_over_bound"].idxmax(), "network"] if rows["error_over_bound"].notna().any() else ""
        table.append({
            "layer": layer, "differentiator": who, "dtype": dtype, "networks": rows["network"].nunique(),
            "rows": len(rows), "digits_min": rows["digits"].min(), "ulp_median": rows["ulp_median"].median(),
            "ulp_p95": ulps.quantile(0.95) if ulps.notna().any() else np.nan, "ulp_max": ulps.max(),
            "rel_error_median": rows["rel_error"].median(), "rel_error_max": rows["rel_error"].max(),
            **{v: int(counts.get(v, 0)) for v in VERDICTS}, "closest_to_bound": worst})
    return pd.DataFrame(table)


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
