"""torch on trial: how the study is run, its sections of the page, and its sentence at the head."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Group

from ...modes import Mode
from ...report.manifest import versions
from ...report.sections import compared, section, table
from ...report.terminal import table_of
from ...sharing import ClusterLost
from ...verdict import LESS_ACCURATE, MISCONDUCT, NO_ANSWER, NOT_FINITE, UNDECIDED, WRONG
from ..checkers.opinfo import NEEDS, entries
from ..parts import Parts
from ..study import Outcome
from . import FINDINGS, OPERATIONS
from .examine import COLUMNS, ORDER, Task, no_check, rows_of

#: Operations that tell something: of each family one, right ones among them.
FEW = ("nn.functional.layer_norm", "linalg.slogdet", "cumprod", "softmax", "tanh", "index_select",
       "nn.functional.linear",
       "logsumexp", "masked_fill", "cross")

#: Issues at github.com/pytorch/pytorch that report a fault: operation, mode, number.
ISSUES = Path(__file__).with_name("known_issues.csv")

#: Groups of operations by the worst that was found of them: (verdict, title, what it means).
GROUPS = (
    (WRONG, "Wrong", "a number that more precision does not cure"),
    (NOT_FINITE, "nan or inf where a finite value exists", "and where f itself is finite"),
    (MISCONDUCT, "Right numbers, but the code misbehaves", "as the note says"),
    (LESS_ACCURATE, "Digits lost",
     "the formula is right, its floating point form loses more than rounding must"))

PARTS = "torch_parts"


def run(options, watch):
    if find_spec(NEEDS) is None:
        return Outcome(
            notes=[f"torch skipped: its op database needs {NEEDS} (pip install {NEEDS})"])
    if options.device == "cuda" and not torch.cuda.is_available():
        return Outcome(notes=[
            "torch skipped: --device cuda needs a GPU, and torch.cuda.is_available() says no"])
    names, unknown = chosen(FEW if options.few else options.names)
    if unknown:
        near = [e for e in entries() if e.rpartition(".")[2] in unknown]
        return Outcome(notes=[f"torch: there is no operation {', '.join(unknown)}; names are "
                              f"those of the table, as in {', '.join(near) or 'linalg.det'} or "
                              "'scatter_reduce prod'"], failed=True)
    samples = 1 if options.few else options.samples
    device = str(getattr(options.device, "value", options.device))
    tasks = [Task(name, samples, options.seed, device) for name in names]
    parts = Parts(options.out / PARTS, {
        "operations": names, "samples": samples, "seed": options.seed, "device": device,
        "versions": versions()},
        "run", len(tasks), 1, lambda rows: pd.DataFrame(rows, columns=COLUMNS))
    if not options.resume:
        parts.discard()
    parts.open(resume=True)
    stopped = ""
    with watch("putting torch on trial", len(tasks)) as tick:
        for _ in range(parts.done):
            tick()
        missing = [(k, task) for k, task in enumerate(tasks) if not parts.there(k)]
        try:
            parts.fill(rows_of, missing, options.workers,
                       lambda task, error: [no_check(task, error)], tick)
        except (KeyboardInterrupt, ClusterLost) as error:
            stopped = str(error) or "interrupted"
    operations, findings = tables(parts)
    finished = operations["operation"].nunique()
    if not stopped:
        parts.discard()
    return Outcome(
        finished, f"{finished} of {len(tasks)} operations are on record", [operations, findings],
        about=f"{finished} operations of torch on {device}, seed {options.seed}",
        said=lambda: Group(table_of(counts(operations), ("mode", "dtype")), *(
            f"{row['operation']}, {row['mode']}: {row['verdict']}"
            for row in findings.to_dict("records")),
            f"The programs that show it are in {FINDINGS.name}." if len(findings) else ""),
        notes=["go on with --resume"] if stopped else [], stopped=stopped,
        asked=f"{len(tasks)} were asked for")


def chosen(names):
    """(the entries of these names and their variants, or all; the names that there are not)."""
    every = list(entries())
    if not names:
        return every, []
    found = {name: [e for e in every if e == name or e.startswith(f"{name} ")] for name in names}
    return (list(dict.fromkeys(e for es in found.values() for e in es)),
            [n for n, es in found.items() if not es])


def tables(parts):
    """(torch_operations.csv.gz, torch_operation_findings.csv) of all parts that are there."""
    frames = [parts.read(k) for k in parts if parts.there(k)]
    rows = pd.concat([f for f in frames if len(f)]) if frames else pd.DataFrame(columns=COLUMNS)
    issues = pd.read_csv(ISSUES)
    findings = rows[rows["verdict"].isin((WRONG, NOT_FINITE)) & rows["mode"].isin(list(Mode))]
    findings = findings.drop(columns="issue").merge(issues, "left", ["operation", "mode"])
    # Of several dtypes the finest: a formula is wrong in all of them.
    findings = findings.sort_values(["operation", "mode"],
                                    kind="stable").drop_duplicates(["operation", "mode"])
    findings["issue"] = findings["issue"].astype("Int64")
    return rows[list(OPERATIONS.columns)], findings[list(FINDINGS.columns)]


def counts(operations):
    """A row for each mode and dtype; a column for each verdict that occurs."""
    found = operations.pivot_table(index=["mode", "dtype"], columns="verdict", values="operation",
                                   aggfunc="count", fill_value=0)
    modes = [m for m in Mode if m in found.index.get_level_values(0)]
    return found.loc[modes, [v for v in ORDER if v in found]].reset_index()


def standing(operations):
    """operation -> the worst verdict on it, in any mode and dtype."""
    worst = operations.assign(rank=operations["verdict"].map(ORDER.index))
    worst = worst[~worst["verdict"].isin((UNDECIDED, NO_ANSWER))]
    ranks = worst.groupby("operation")["rank"].min()
    return {name: ORDER[ranks[name]] if name in ranks else UNDECIDED
            for name in operations["operation"].unique()}


def verdict(operations, findings):
    """(sentences on torch, whether it is good: it is torch that is on trial)."""
    if operations is None or not len(operations):
        return [], True
    modes = operations[operations["mode"].isin(list(Mode))]
    total, parts = operations["operation"].nunique(), []
    for words, order in (("first derivatives", 1), ("second derivatives", 2)):
        wrong = []
        for mode in (m for m in Mode if m.order == order):
            rows = modes[modes["mode"] == mode]
            count = rows.loc[rows["verdict"].isin((WRONG, NOT_FINITE)), "operation"].nunique()
            wrong.append(f"{count} by {mode}")
        parts.append(f"{words} of {', '.join(wrong)}")
    return [f"torch, its {total} operation{'s' * (total != 1)} one by one: wrong, or not finite "
            f"where a value exists, are the {'; the '.join(parts)}."], True


def sections(folder, operations, findings):
    """What a maintainer of torch can act on, the worst first."""
    stand = standing(operations)
    shown = []
    for worst, title, meaning in GROUPS:
        names = [n for n, v in stand.items() if v == worst]
        rows = operations[operations["operation"].isin(names) & (operations["verdict"] == worst)]
        if len(rows):
            shown.append(table(by_operation(rows), f"{title}: {len(names)} operations ({meaning})",
                               code=("operation",), long=("modes", "note")))
    rest = {}
    for name, v in stand.items():
        if v not in [g[0] for g in GROUPS]:
            rest.setdefault("undecided" if v == UNDECIDED else "right to rounding", []).append(name)
    lists = pd.DataFrame([(v, len(names), ", ".join(names)) for v, names in rest.items()],
                         columns=["verdict", "operations", "which"])
    shown += [table(lists, "The others", long=("which",))] if rest else []
    by_differences = operations[operations["why"].notna()
                                & (operations["why"] != "")].drop_duplicates("operation")
    if len(by_differences):
        reasons = by_differences.groupby("why")["operation"].agg(["count", ", ".join]).reset_index()
        shown.append(table(reasons.set_axis(["why", "operations", "which"], axis=1),
                           "What balls cannot compute, and is measured by differences",
                           long=("which",)))
    found = [section("Torch's operations", [
        *verdict(operations, findings)[0],
        "Every differentiable operation of torch's op database, at small samples and at points "
        "around them where rules break: zeros, ties, thresholds, tails, singular matrices. The "
        "exact derivative is enclosed in ball arithmetic where balls know all operations that are "
        "reached, and estimated by differences of floats elsewhere. A derivative is wrong if "
        "its error does not shrink with the precision as rounding does. A column has the digits "
        "that are right, another the number of points at which the derivative fails."],
        tables=[table(counts(operations)), *shown])]
    if len(findings):
        whole = findings[findings["program"].notna() & (findings["program"] != "")]
        found.append(section("Operations of torch that are wrong", [
            "Each wrong derivative at the fewest and roundest numbers that show it; an issue is "
            "one at github.com/pytorch/pytorch that reports it. Paste a program and run it: it "
            "prints torch's derivative."],
            finding=True, programs=[(_title(r), r["program"]) for r in whole.to_dict("records")]))
    return found


def _title(finding):
    """What a program shows."""
    ulps = finding["ulps"]
    largest = f"; the largest error at all points: {ulps:.2g} ulps" if np.isfinite(ulps) else ""
    issue = "" if pd.isna(finding["issue"]) else f"; issue {int(finding['issue'])}"
    return (f"{finding['operation']}, {finding['mode']}, {finding['dtype']}: "
            f"{compared('torch', finding['torch'], finding['exact'])}{largest}{issue}")


def by_operation(rows):
    """A row for each operation: in which modes and dtypes, at how many points, the worst
    figures."""
    return pd.DataFrame([(
        name, "; ".join(dict.fromkeys(group["mode"])), ", ".join(dict.fromkeys(group["dtype"])),
        int(group["failed"].max()), group["digits"].min(), group["ulps"].max(),
        group["how"].iloc[0], group["point"].iloc[0], str(group["note"].iloc[0]))
        for name, group in rows.sort_values("digits", kind="stable")
        .groupby("operation", sort=False)],
        columns=["operation", "modes", "dtypes", "points", "digits", "ulps", "how",
                 "point", "note"])
