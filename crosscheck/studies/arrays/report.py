"""Arrays: how the op table is run on other libraries, and its section of the page."""

import pandas as pd

from ...report.sections import section, table
from ..study import Outcome
from . import TABLE
from .libraries import installed
from .table import BAD, ENDS, found, rules


def run(options, watch):
    libraries, missing = installed()
    if not libraries:
        return Outcome(notes=missing)
    chosen = [*rules(), *rules(of_numpy=False)]
    if options.quick:
        chosen = chosen[::10]
    rows, stopped = [], ""
    with watch("running the op table on other arrays", len(libraries) * len(chosen)) as tick:
        try:
            for library in libraries:
                for rule in chosen:
                    rows += rows_of(rule, library)
                    tick()
        except KeyboardInterrupt:
            stopped = "interrupted"
    frame = pd.DataFrame(rows, columns=TABLE.columns)
    return Outcome(len(frame), f"{len(frame)} cases are run", [frame], about=sentence(frame),
                   said=sentence(frame), notes=missing, stopped=stopped,
                   failed=bool(frame["found"].isin(BAD).any()))


def rows_of(rule, library):
    return [(rule.name, repr(case), way, library.name, what, lazy, why) for
            case, way, what, lazy, why in found(
                rule, library.give, library.take, library.own, library.lazily, library.ways)]


def counts(frame):
    """For each library and way, how many cases work, are lazy, refused, wrong, converted."""
    lines = []
    for (library, way), rows in frame.groupby(["library", "way"], sort=False):
        ends = [int((rows["found"] == what).sum()) for what in ENDS]
        lazy = int((rows["lazy"].astype(str) == "True").sum())
        lines.append((library, way, ends[0], lazy, *ends[1:]))
    return pd.DataFrame(lines, columns=("library", "way", "works", "of these lazy", *ENDS[1:]))


def sentence(frame):
    parts = []
    for library, rows in frame.groupby("library"):
        works = rows[rows["found"] == "works"].groupby("way").size()
        worst, cases = int(works.min()), len(rows) // rows["way"].nunique()
        bad = int(rows["found"].isin(BAD).sum())
        parts.append(f"on {library}'s arrays at least {worst} of {cases} cases of the op table "
                     f"work in each way, {bad} are wrong, converted or end in an error")
    return "; ".join(parts)


def sections(folder, frame):
    """What works, what is lazy, and what is refused and why."""
    text = [sentence(frame) + ".",
            "Each case of the op table, with arrays of another library in the place of NumPy's: "
            "the value, the vjp, the jvp, a Hessian times a vector, forward over reverse, and "
            "value and gradient replayed by jit, against the same on NumPy's arrays. Lazy: nothing "
            "was computed before the result was asked for (jit is not for lazy arrays). What a "
            "library cannot do is refused, never converted."]
    shown = [table(counts(frame), "How the cases end")]
    refused = frame[frame["found"] == "refused"].drop_duplicates(["function", "library"])
    if len(refused):
        shown.append(table(refused[["function", "library", "why"]], "What is refused",
                           code=("function",), long=("why",)))
    return [section("Arrays of other libraries", text, tables=shown)]
