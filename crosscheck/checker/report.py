"""What a check found: as an object, as a table for a person, as a frame."""

from __future__ import annotations

import dataclasses
import io
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..verdict import KINK, LESS_ACCURATE, NO_ANSWER, UNDECIDED, VERDICTS
from ..trial import Finding

COLUMNS = tuple(f.name for f in dataclasses.fields(Finding))


class GradientError(AssertionError):
    """A derivative is wrong, or misbehaves; the message is the report, `.report` the object."""

    def __init__(self, report):
        super().__init__(f"\n{report}")
        self.report = report


class Report:
    """The result of a check.

    ok        nothing is wrong: no wrong derivative, no nan or inf where a finite value exists, no misconduct
    verdicts  every `Finding`
    failures  those that make it not ok
    how       what the derivatives were measured by: "balls" or "differences"
    why       why by differences
    culprit   of refgrad's rules, the primitive that is at fault for the first failure, looked for when it is asked for
    """

    def __init__(self, title, how, verdicts, why="", locate=lambda finding: None):
        self.title, self.how, self.verdicts, self.why = title, how, list(verdicts), why
        self._locate = locate

    @cached_property
    def culprit(self):
        return self._locate(self.failures[0]) if self.failures else None

    @property
    def failures(self):
        return [f for f in self.verdicts if f.failed]

    @property
    def ok(self):
        return not self.failures

    def to_frame(self):
        """A pandas DataFrame with a row for each verdict."""
        import pandas as pd
        return pd.DataFrame([dataclasses.asdict(f) for f in self.verdicts], columns=COLUMNS)

    def rows(self):
        """A `Row` for each check and dtype, in the order in which they were made."""
        groups = {}
        for f in self.verdicts:
            groups.setdefault((f.check, f.dtype), []).append(f)
        return [_row(*key, found) for key, found in groups.items()]

    def sentence(self):
        points = len({f.point for f in self.verdicts})
        what = (f"{len(self.verdicts)} verdicts at {points} points, against " +
                ("ball arithmetic" if self.how == "balls" else "differences in floats"))
        if self.ok:
            return f"ok: {what}"
        checks = dict.fromkeys(f.check for f in self.failures)
        return f"NOT ok: {', '.join(checks)} ({len(self.failures)} of {what})"

    def __rich_console__(self, console, options):
        from ..report.terminal import plain_table
        from rich.text import Text
        yield Text(f"{self.title}", style="bold")
        yield Text(self.sentence(), style="green" if self.ok else "bold red")
        if self.why:
            yield Text(f"By differences, not in ball arithmetic: {self.why}.")
        rows, silent = [], {}
        for r in self.rows():
            if r.verdict == NO_ANSWER and not r.failed:
                silent.setdefault(r.dtype, []).append(r.check)
            else:
                rows.append(r)
        cells = {"check": [r.check for r in rows], "in": [r.dtype for r in rows],
                 "points": [str(r.points) for r in rows], "verdict": [r.verdict for r in rows],
                 "by": [r.by for r in rows],
                 "digits": ["" if np.isnan(r.digits) else f"{min(r.digits, 999):.0f}" for r in rows],
                 "ulps": ["" if np.isnan(r.ulps) else f"{r.ulps:.2g}" for r in rows]}
        columns = [c for c, column in cells.items() if any(column)]
        table = plain_table(*columns, right=("points", "digits", "ulps"), whole=columns)
        for r, *row in zip(rows, *(cells[c] for c in columns)):
            table.add_row(*row, style="red" if r.failed else None)
        yield table
        for dtype, checks in silent.items():
            yield Text(f"not available in {dtype}: {', '.join(checks)}")
        for f in self.examples():
            text = f"{f.check}, {f.dtype}, {f.argument}, {f.point}: {f.verdict}"
            yield Text(f"{text}; {f.note}" if f.note else text,
                       style="red" if f.failed else "yellow")
        if self.culprit is not None:
            yield Text(str(self.culprit), style="bold red")

    def examples(self):
        """The first failure of each check; without any, the first of each other remark."""
        found = {}
        for f in self.verdicts:
            if f.failed:
                found.setdefault(f.check, f)
        if found:
            return list(found.values())
        for f in self.verdicts:
            if f.verdict in (LESS_ACCURATE, UNDECIDED, NO_ANSWER, KINK):
                found.setdefault(f.verdict, f)
        return list(found.values())

    def __str__(self):
        from rich.console import Console
        console = Console(file=io.StringIO(), width=100, color_system=None)
        console.print(self, soft_wrap=False)
        return console.file.getvalue().rstrip()

    __repr__ = __str__


class Row(NamedTuple):
    """All verdicts of one check in one dtype: the worst, with the number of points that it is about if not all."""

    check: str
    dtype: str
    points: int
    verdict: str
    by: str
    digits: float
    ulps: float
    failed: bool


def _row(check, dtype, found):
    told = [f for f in found if f.verdict not in (NO_ANSWER, UNDECIDED)] or found
    worst = next((f.verdict for f in found if f.failed), None) or max((f.verdict for f in told), key=VERDICTS.index)
    points = {f.point for f in found}
    at = {f.point for f in found if f.verdict == worst}
    some = f" at {len(at)}" if at != {f.point for f in told} else ""
    digits, ulps = ([x for x in numbers if not np.isnan(x)] for numbers in ((f.digits for f in found),
                                                                            (f.ulps for f in found)))
    by = ", ".join(dict.fromkeys(f.bound for f in found if f.bound))
    return Row(check, dtype, len(points), worst + some, by, min(digits, default=np.nan), max(ulps, default=np.nan),
               any(f.failed for f in found))
