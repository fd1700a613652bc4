"""The tables of the networks, from the rows of a run."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from ...locate.findings import BAD, culprit_of, smallest_failure
from ...networks import Coverage
from ...verdict import KINK, LESS_ACCURATE, NO_ANSWER, NOT_FINITE, VERDICTS, WRONG
from . import COLUMNS, ERRORS, FINDINGS, REFGRAD_FINDINGS, TORCH_FINDINGS

#: Verdicts whose cause is looked for, the worst first.
LOOKED_INTO = [WRONG, NOT_FINITE, NO_ANSWER, LESS_ACCURATE, KINK]


def errors_table(rows):
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(ERRORS.numbers, float))


def by_layer(errors, networks):
    """The errors once for each layer that their network has."""
    of_network = {n.id: sorted(set(n.layers)) for n in networks}
    return errors.assign(layer=errors["network"].map(of_network)).explode("layer")


def layers_table(errors, networks):
    """The errors by layer: every row of a network counts for each layer that the network has."""
    table = []
    spread = by_layer(errors, networks)
    for (layer, who, dtype), rows in spread.groupby(["layer", "differentiator", "dtype"],
                                                    sort=True):
        ulps = rows["ulp_max"]
        counts = rows["verdict"].value_counts()
        worst = (rows.loc[rows["error_over_bound"].idxmax(), "network"]
                 if rows["error_over_bound"].notna().any() else "")
        table.append((
            layer, who, dtype, rows["network"].nunique(), len(rows), rows["digits"].min(),
            rows["ulp_median"].median(), ulps.quantile(0.95, interpolation="nearest"), ulps.max(),
            rows["rel_error"].median(), rows["rel_error"].max(),
            *(int(counts.get(v, 0)) for v in VERDICTS), worst))
    return pd.DataFrame(table, columns=[
        "layer", "differentiator", "dtype", "networks", "rows", "digits_min", "ulp_median",
        "ulp_p95", "ulp_max", "rel_error_median", "rel_error_max", *VERDICTS, "closest_to_bound"])


def findings_table(errors, networks):
    """What is not right, and through which layers: a row for each differentiator, verdict, mode and
    layer to suspect.

    The layer to suspect is the one with which most of its networks are affected; the networks that
    it explains are set aside, and so on until all are explained.  The simplest of them is the one
    to replay.
    """
    by_id = {n.id: n for n in networks}
    table = []
    affected = errors[errors["verdict"].isin(LOOKED_INTO)]
    affected = affected.sort_values("verdict", key=lambda v: v.map(LOOKED_INTO.index),
                                    kind="stable")
    for (who, verdict, mode), rows in affected.groupby(["differentiator", "verdict", "mode"],
                                                       sort=False):
        found = {i: by_id[i] for i in rows["network"]}
        for layer, group in _suspects(found, by_id):
            simplest = min(group, key=lambda n: (len(n.calls), n.size))
            table.append((who, verdict, mode, layer, len(group),
                          sum(layer in n.layers for n in networks), simplest.id,
                          rows.loc[rows["network"] == simplest.id, "note"].iloc[0]))
    return pd.DataFrame(table, columns=FINDINGS.columns)


def _suspects(found, by_id):
    """(layer, affected networks that it explains), the strongest suspicion first."""
    left = dict(found)
    while left:
        having = Counter(a for n in by_id.values() for a in set(n.layers)
                         if n.id in left or n.id not in found)
        affected = Counter(a for n in left.values() for a in set(n.layers))
        layer = max(sorted(affected), key=lambda a: (affected[a] / having[a], affected[a]))
        group = [n for n in left.values() if layer in n.layers]
        yield layer, group
        for n in group:
            del left[n.id]


def torch_findings(errors, networks):
    """Torch's wrong derivatives, a row for each mode and layer, with the smallest program that
    shows it.

    errors    the frame of errors.csv.gz
    networks  those that it is about
    """
    found = (pair for who in ("torch", "torch-cuda") for pair in _smallest(errors, networks, who))
    return pd.DataFrame([_about(*pair) for pair in found], columns=TORCH_FINDINGS.columns)


def refgrad_findings(errors, networks):
    """The same for refgrad's own wrong derivatives, with the primitive at fault."""
    rows = []
    for layer, found in _smallest(errors, networks, "refgrad"):
        culprit = culprit_of(found.network)
        who = ((culprit.primitive, culprit.rule, culprit.factor, str(culprit)) if culprit
               else ("", "", np.nan, ""))
        rows.append((*_about(layer, found), *who))
    return pd.DataFrame(rows, columns=REFGRAD_FINDINGS.columns)


def _about(layer, found):
    return (layer, found.mode, found.dtype, found.network.id, found.program, found.gives,
            found.exact, found.ulps, found.verdict)


def _smallest(errors, networks, library):
    """(layer, `Failure` of the smallest network) for each finding of a library; what the shrinking
    shows to be the same finding only once."""
    by_id, met = {n.id: n for n in networks}, set()
    mine = errors[(errors["differentiator"] == library) & errors["verdict"].isin(BAD)]
    for row in findings_table(mine, networks).itertuples():
        dtypes = set(
            mine.loc[(mine["network"] == row.simplest) & (mine["mode"] == row.mode), "dtype"])
        found = smallest_failure(by_id[row.simplest], library, row.mode, max(dtypes))
        if found is None:
            continue
        layers = found.network.layers
        layer = row.layer if row.layer in layers else " > ".join(layers)
        if (layer, row.mode) not in met:
            met.add((layer, row.mode))
            yield layer, found


def coverage_table(coverage: Coverage):
    """How often each layer and each pair of families in sequence was met, those never met
    included."""
    layers, pairs = coverage.possible()
    rows = [{"kind": "layer", "first": a, "second": "", "met": coverage.layers[a]} for a in layers]
    rows += [{"kind": "pair", "first": a, "second": b, "met": coverage.pairs[a, b]}
             for a, b in pairs]
    return pd.DataFrame(rows)


def verdict_counts(errors):
    """A row for each differentiator, dtype and mode; a column for each verdict that occurs."""
    counts = errors.pivot_table(index=["differentiator", "dtype", "mode"], columns="verdict",
                                values="network", aggfunc="count", fill_value=0)
    return counts[[v for v in VERDICTS if v in counts.columns]]
