"""What a check found: as an object, as a table for a person, as a frame."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..locate import Culprit
from ..modes import ALL, FIRST_ORDER, Mode
from ..examination import Examination
from ..points import AS_GIVEN
from ..trial import FAILURES, Finding
from ..verdict import (AGREES, KINK, LESS_ACCURATE, NO_ANSWER, NOT_FINITE, OK, RIGHT, UNDECIDED,
                       VERDICTS, WRONG)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = tuple(f.name for f in dataclasses.fields(Finding))

#: Verdicts that say what a derivative is worth.
DECIDED = (RIGHT, AGREES, LESS_ACCURATE, KINK, WRONG, NOT_FINITE)

#: The exit status of the command line for each outcome; 2 is for a call that could not be made.
STATUS = {OK: 0, WRONG: 1, UNDECIDED: 3}

#: More ulps than this are no figure that helps.
MOST_ULPS = 1000


class GradientError(AssertionError):
    """A derivative is wrong, or could not be decided; the message is the report, `.report` the
    object."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


class Report:
    """The result of a check.

    outcome    "ok": the derivatives are right, in every dtype; "wrong": some derivative is wrong,
               no number where a finite value exists, or its code misbehaves; "undecided": nothing
               wrong was found, but some first derivative could not be decided
    ok         whether the outcome is "ok"
    verdicts   every `Finding`
    failures   those that make it wrong
    undecided  (argument, dtype) of the first derivatives that were not decided
    how        what the derivatives were measured by: "balls" or "differences"
    why        why by differences
    culprit    of refgrad's rules, the primitive that is at fault for the first failure, looked for
               when it is asked for
    """

    def __init__(self, title, examination: Examination, notes=(),
                 locate=lambda examination, finding: None):
        self.title, self.examination, self.notes = title, examination, list(notes)
        self.how = "differences" if examination.why_floats else "balls"
        self.why = examination.why_floats
        self.verdicts = list(examination.findings())
        self._locate = locate

    @cached_property
    def culprit(self) -> Culprit | None:
        return self._locate(self.examination, self.failures[0]) if self.failures else None

    @property
    def failures(self) -> list[Finding]:
        return [f for f in self.verdicts if f.failed]

    @cached_property
    def undecided(self) -> list[tuple[str, str]]:
        known = {(f.argument, f.dtype) for f in self.verdicts
                 if f.check in FIRST_ORDER and f.verdict in DECIDED}
        subject = self.examination.subject
        return [(name, dtype) for dtype in subject.dtypes for name in subject.arguments.chosen
                if not {(name, dtype), (ALL, dtype)} & known]

    @property
    def outcome(self) -> str:
        return WRONG if self.failures else UNDECIDED if self.undecided else OK

    @property
    def ok(self) -> bool:
        return self.outcome == OK

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with a row for each verdict."""
        import pandas as pd
        return pd.DataFrame([dataclasses.asdict(f) for f in self.verdicts], columns=COLUMNS)

    def rows(self) -> list[Row]:
        """A `Row` for each check and dtype, in the order in which they were made."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for f in self.verdicts:
            groups.setdefault((f.check, f.dtype), []).append(f)
        return [_row(check, dtype, found) for (check, dtype), found in groups.items()]

    def sentence(self) -> str:
        """The outcome, and what was decided: which derivatives, in which dtypes, by proof or by
        differences."""
        how = "proved in ball arithmetic" if self.how == "balls" else "by differences in floats"
        points = len({f.point for f in self.verdicts})
        count = f"{len(self.verdicts)} verdicts at {points} point{'s' * (points != 1)}"
        if self.failures:
            checks = dict.fromkeys(f.check for f in sorted(self.failures, key=_order))
            return f"wrong: {', '.join(checks)} ({len(self.failures)} of {count}, {how})"
        if self.undecided:
            about: dict[str, list[str]] = {}
            for name, dtype in self.undecided:
                about.setdefault(dtype, []).append(name)
            noted = [f for f in self.verdicts if f.note and f.dtype in (*about, "exact")]
            reasons = [f.note for f in noted if f.verdict == UNDECIDED] + [
                f.note for f in noted if f.verdict == NO_ANSWER and f.check in FIRST_ORDER]
            reason = reasons[0] if reasons else "no first derivative was given"
            which = "; ".join(f"{', '.join(names)} in {dtype}" for dtype, names in about.items())
            return (f"undecided: nothing is known of the derivative with respect to {which}: "
                    f"{reason} ({count}, {how})")
        return f"ok: {self._decided()}, {how} ({count})"

    def _decided(self):
        """Which derivatives are right, in which dtypes."""
        orders = {}
        for f in self.verdicts:
            if (f.check in tuple(Mode) and f.verdict in DECIDED
                    and f.dtype in self.examination.subject.dtypes):
                orders.setdefault(Mode(f.check).order, {})[f.dtype] = None
        said = {order: _listed([d for d in self.examination.subject.dtypes if d in dtypes])
                for order, dtypes in sorted(orders.items())}
        if len(set(said.values())) == 1:
            names = _listed([("first", "second")[order - 1] for order in said])
            return f"{names} derivatives are right in {said.popitem()[1]}"
        return "; ".join(f"{('first', 'second')[order - 1]} derivatives are right in {dtypes}"
                         for order, dtypes in said.items()) or "nothing to differentiate"

    def __rich_console__(self, console, options):
        from rich.text import Text

        from ..report.terminal import plain_table
        style = {OK: "green", WRONG: "bold red", UNDECIDED: "bold yellow"}[self.outcome]
        yield Text(f"{self.title} {self.sentence()}", style=style)
        if self.why:
            yield Text(f"By differences, not in ball arithmetic: {self.why.rstrip('.')}.")
        for note in (*self.notes, *filter(None, [self.examination.works_in])):
            yield Text(note)
        yield from (Text(line, style=style) for line in self.lines())
        rows, silent = [], {}
        for r in self.rows():
            if r.verdict == NO_ANSWER and not r.failed:
                silent.setdefault(r.dtype, []).append(r.check)
            else:
                rows.append(r)
        cells = {"check": [r.check for r in rows], "in": [r.dtype for r in rows],
                 "points": [str(r.points) for r in rows], "verdict": [r.verdict for r in rows],
                 "by": [r.by for r in rows],
                 "digits": ["" if np.isnan(r.digits) else f"{np.clip(r.digits, 0, 999):.0f}"
                            for r in rows],
                 "ulps": ["" if not r.ulps < MOST_ULPS else f"{r.ulps:.2g}" for r in rows]}
        columns = [c for c, column in cells.items() if any(column)]
        table = plain_table(*columns, right=("points", "digits", "ulps"), whole=columns)
        for r, *row in zip(rows, *(cells[c] for c in columns)):
            table.add_row(*row, style="red" if r.failed else None)
        yield table
        for dtype, checks in silent.items():
            yield Text(f"not available in {dtype}: {'; '.join(checks)}")
        if self.culprit is not None:
            yield Text(str(self.culprit), style="bold red")

    def lines(self) -> Iterator[str]:
        """The words about what is wrong: each input, first order first, with where in its gradient
        the fault is; then an example of each other failure.  Without any, an example of each
        remark."""
        for f in self.examples():
            where = self.examination.where(f) if f.failed else ""
            subject = self.examination.subject
            remark = (subject.remarks.get(f.argument) or subject.meanings.get(f.check)
                      if f.failed else None)
            verdict = f.verdict if f.failed or f.verdict not in FAILURES else (
                f"{f.verdict}, which does not count " + self.examination.why_not_counted(f))
            words = "; ".join(filter(None, [verdict, where, f.note, remark]))
            yield f"{f.check}, {f.dtype}, {f.argument}, {f.point}: {words}"
        if self.failures and (hint := self._hint()):
            yield hint

    def _hint(self):
        """What to do where the first derivative is right and its own derivative is not, or where
        nothing is wrong at the inputs as given."""
        wrong = {f.check for f in self.failures}
        if not any(f.point.startswith(AS_GIVEN) for f in self.failures):
            return ("At the inputs as given nothing is wrong. Where f is not meant to be called, "
                    "let it raise an error or return nan: such points are left out.")
        if (wrong <= {m for m in Mode if m.order == 2}
                and getattr(self.examination.subject, "has_function", False)):
            return ("The first derivative is right; differentiated again it is not, as where a "
                    "backward reads what the forward computed: save the inputs and compute from "
                    "them, or mark the backward with torch.autograd.function.once_differentiable. "
                    "order=1 checks the first derivative alone.")
        return ""

    def examples(self) -> list[Finding]:
        """The first failure of each check; of first derivatives that with respect to each input.
        Without any, the first of each other remark."""
        found: dict[Any, Finding] = {}
        for f in sorted(self.failures, key=_order):
            each_input = (f.check in FIRST_ORDER
                          and (f.check == Mode.REVERSE or (Mode.REVERSE, f.argument) not in found))
            found.setdefault((f.check, f.argument if each_input else ""), f)
        if found:
            return list(found.values())
        for f in self.verdicts:
            if f.verdict in (*FAILURES, LESS_ACCURATE, UNDECIDED, NO_ANSWER, KINK):
                found.setdefault(f.verdict, f)
        return list(found.values())

    def __str__(self) -> str:
        from rich.console import Console
        text = io.StringIO()
        Console(file=text, width=100, color_system=None).print(self, soft_wrap=False, crop=False)
        return "\n".join(line.rstrip() for line in text.getvalue().rstrip().split("\n"))

    __repr__ = __str__


def _order(finding):
    """First derivatives come first, reverse mode before forward, then what code does beside, then
    second order."""
    check = finding.check
    return FIRST_ORDER.index(check) if check in FIRST_ORDER else 3 if check in tuple(Mode) else 2


def _listed(names):
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


class Row(NamedTuple):
    """All verdicts of one check in one dtype: the worst, with the number of points that it is about
    if not all."""

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
    worst = next((f.verdict for f in found if f.failed), None) or max(
        (f.verdict for f in told), key=(OK, *VERDICTS).index)
    points = {f.point for f in found}
    at = {f.point for f in found if f.verdict == worst}
    some = f" at {len(at)}" if at != {f.point for f in told} else ""
    digits, ulps = ([x for x in numbers if not np.isnan(x)]
                    for numbers in ((f.digits for f in found), (f.ulps for f in found)))
    by = ", ".join(dict.fromkeys(f.bound for f in found if f.bound))
    return Row(check, dtype, len(points), worst + some, by, min(digits, default=np.nan),
               max(ulps, default=np.nan), any(f.failed for f in found))
