"""What a check found: as an object, as a table for a person, as a frame."""

from __future__ import annotations

import dataclasses
import io

import numpy as np

from ..verdict import KINK, LESS_ACCURATE, NO_ANSWER, RIGHT, UNDECIDED, VERDICTS
from .examination import Finding

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
    """

    def __init__(self, title, how, verdicts, note=""):
        self.title, self.how, self.verdicts, self.note = title, how, list(verdicts), note

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
        """A row for each check and dtype: (check, dtype, points, worst verdict, digits, ulps, failures)."""
        groups = {}
        for f in self.verdicts:
            groups.setdefault((f.check, f.dtype), []).append(f)
        return [(check, dtype, len({f.point for f in found}), _worst(found), _least(f.digits for f in found),
                 _most(f.ulps for f in found), [f for f in found if f.failed])
                for (check, dtype), found in groups.items()]

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
        if self.note:
            yield Text(self.note)
        table = plain_table("check", "in", "points", "worst verdict", "digits", "ulps", right=("points", "digits", "ulps"),
                            whole=("check", "in", "worst verdict"))
        for check, dtype, points, worst, digits, ulps, failures in self.rows():
            table.add_row(check, dtype, str(points), worst, "" if np.isnan(digits) else f"{min(digits, 999):.0f}",
                          "" if np.isnan(ulps) else f"{ulps:.2g}", style="red" if failures else None)
        yield table
        for f in self.examples():
            yield Text(f"{f.check}, {f.dtype}, {f.argument}, {f.point}: {f.verdict}" + (f"; {f.note}" if f.note else ""),
                       style="red" if f.failed else "yellow")

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
                found.setdefault((f.check, f.verdict) if f.verdict == NO_ANSWER else f.verdict, f)
        return list(found.values())

    def __str__(self):
        from rich.console import Console
        console = Console(file=io.StringIO(), width=118, color_system=None)
        console.print(self, soft_wrap=False)
        return console.file.getvalue().rstrip()

    __repr__ = __str__


def _worst(found):
    """The first failure's verdict, else the one that is least like right."""
    failed = [f.verdict for f in found if f.failed]
    order = [v for v in VERDICTS if v != RIGHT]
    others = sorted({f.verdict for f in found} - {RIGHT}, key=order.index)
    if failed:
        return failed[0]
    proven = {f.bound for f in found if f.verdict == RIGHT}
    right = RIGHT + (" (proven)" if proven == {"proven"} else " (typical)" if "typical" in proven else "")
    return others[0] if others and not any(f.verdict == RIGHT for f in found) else right if not others else \
        f"{right}, {others[0]} at {len({f.point for f in found if f.verdict == others[0]})}"


def _least(values):
    known = [x for x in values if not np.isnan(x)]
    return min(known, default=np.nan)


def _most(values):
    known = [x for x in values if not np.isnan(x)]
    return max(known, default=np.nan)
