"""The tables of the comparison: false_alarms.csv.gz, a row for each right gradient and checker, and
checkers.csv."""

import pandas as pd

from ..faults.operators import OPERATORS
from .answer import ACCEPTED, ERROR, REJECTED
from .checkers import CHECKERS
from .compare import COUNTED, NOT_TAKEN, SHOWS
from . import FALSE_ALARMS, TABLE

#: The columns of the rows of a `Comparison`: all but one, which is read off the verdict.
OF_ROWS = [c for c in FALSE_ALARMS.columns if c != "accepted"]


def false_alarms_table(rows):
    frame = pd.DataFrame(rows, columns=OF_ROWS)
    return frame.assign(accepted=frame["verdict"] == ACCEPTED)[list(FALSE_ALARMS.columns)]


def checkers_table(right, faults):
    """checkers.csv from the rows of a `Comparison`."""
    right = pd.DataFrame(right, columns=OF_ROWS)
    right = right[right["subject"].isin(COUNTED)]
    faults = pd.DataFrame(faults, columns=["fault", "operator", "shows", "checker", "verdict",
                                           "seconds", "message"])
    operators, table = [o for o in OPERATORS if o in set(faults["operator"])], []
    for checker in CHECKERS:
        ours, theirs = (frame[frame["checker"] == checker] for frame in (faults, right))
        table.append(_row(checker, "faults", "all", ours))
        table += [_row(checker, "shows in", s, ours[ours["shows"] == s]) for s in SHOWS
                  if s in set(faults["shows"])]
        table += [_row(checker, "operator", o, ours[ours["operator"] == o]) for o in operators]
        table += [_row(checker, "right, dtype", d, rows, of_faults=False)
                  for d, rows in theirs.groupby("dtype", sort=False)]
        finest = theirs[theirs["dtype"] != "float32"]  # for which the peers' tolerances are meant
        table += [_row(checker, "right, family", f, rows, of_faults=False)
                  for f, rows in finest.groupby("family", sort=False)]
    return pd.DataFrame(table, columns=TABLE.columns)


def side_by_side(table):
    """A line for each checker, in per cent: faults noticed, by where they show, and right gradients
    called wrong."""
    columns = {"faults noticed": ("faults", "all"),
               **{f"in {s}".replace("in elsewhere", "elsewhere"): ("shows in", s) for s in SHOWS},
               "right called wrong": ("right, dtype", "float64"),
               "in float32": ("right, dtype", "float32")}
    shares = 100 * table.pivot_table(index="checker", columns=["what", "group"], values="share",
                                     sort=False)
    lines = pd.DataFrame({name: shares.get(key) for name, key in columns.items()},
                         index=list(CHECKERS))
    everything = shares.get(("right, dtype", "all"))  # of a checker that tries all dtypes at once
    if everything is not None:
        for name in list(columns)[-2:]:
            lines[name] = lines[name].fillna(everything)
    seconds = table[table["what"] == "faults"].set_index("checker")["seconds"]
    return lines.assign(seconds=seconds).rename_axis("checker").reset_index()


def _row(checker, what, group, rows, of_faults=True):
    counts = rows["verdict"].value_counts()
    accepted, rejected, errors, not_taken = (int(counts.get(v, 0))
                                             for v in (ACCEPTED, REJECTED, ERROR, NOT_TAKEN))
    # An error where there was none before the fault was planted is noticed by whoever reads the
    # test's output.
    cases = accepted + rejected + errors * of_faults
    noticed = rejected + errors * of_faults
    taken = rows[rows["verdict"] != NOT_TAKEN]
    return (checker, what, group, cases, rejected, errors, not_taken,
            noticed / cases if cases else float("nan"), taken["seconds"].median())
