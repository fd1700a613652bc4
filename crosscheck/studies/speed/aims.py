"""What the project set out to reach, and by how much it is missed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from .contenders import OURS, WRITTEN, in_words

SMALL = ("MLP 8", "MLP 32", "tanh MLP 32", "64 tanh layers of 32", "batch norm 32",
         "MSE with L2 32", "SGD step, digits")
#: Widths of the MLPs -> problems.
NARROW, MIDDLE, WIDE = ("MLP 8", "MLP 32", "tanh MLP 32"), ("MLP 128", "MLP 512", "tanh MLP 128"), (
    "MLP 1024", "MLP 2048")
NETS = ("CNN", "transformer block", "LSTM, 64 steps")
#: The two ways to run refgrad -> the column with the others' time relative to that.
WAYS = {OURS: "over_refgrad", WRITTEN: "over_jit"}


@dataclass(frozen=True)
class Aim:
    """A limit that the worst of all problems and dtypes has to keep: the least `contender`'s time
    relative to refgrad's, or the most of refgrad's own time relative to the hand-written version's.
    Judged for refgrad without jit and with it."""

    what: str
    limit: float
    problems: tuple
    contender: str = OURS

    def judged(self, frame):
        """The row of the table; None if nothing was measured."""
        row, by = {"aim": self.what, "limit": self.limit}, {}
        for way, column in WAYS.items():
            who, column = (way, "ratio") if self.contender == OURS else (self.contender, column)
            rows = frame[(frame["contender"] == who) & frame["problem"].isin(self.problems)
                         & frame[column].notna()]
            if len(rows):
                worst = rows.loc[rows[column].idxmax() if self.contender == OURS
                                 else rows[column].idxmin()]
                by[way] = (worst[column] / self.limit if self.contender == OURS
                           else self.limit / worst[column])
                row[way], row[f"{way}: the worst of"] = (worst[column],
                                                         f"{worst['problem']}, {worst['dtype']}")
        if not by:
            return None
        best = min(by, key=by.get)
        return {**row, "met by": " and ".join(way for way in by if by[way] <= 1) or "none",
                "missed by the factor": by[best] if by[best] > 1 else None}


AIMS = (
    Aim("refgrad over NumPy by hand, width 8 to 32: at most", 1.4, NARROW),
    Aim("refgrad over NumPy by hand, width 128 to 512: at most", 1.15, MIDDLE),
    Aim("refgrad over NumPy by hand, width 1024 and 2048: at most", 1.1, WIDE),
    Aim("refgrad over NumPy by hand, CNN, transformer block, LSTM: at most", 1.3, NETS),
    Aim("torch over refgrad, small nets: at least", 2.5, SMALL, "torch"),
    Aim("torch over refgrad, wider nets: at least", 1.0, MIDDLE + WIDE, "torch"),
    Aim("jax.jit over refgrad, MLPs up to width 128: at least", 1.0, (*NARROW, "MLP 128"),
        "jax.jit"),
    Aim("HIPS autograd over refgrad, small nets: at least", 5.0, SMALL, "HIPS autograd"),
    Aim("MyGrad over refgrad, small nets: at least", 2.5, SMALL, "MyGrad"),
    Aim("torch over refgrad, 200 elementwise operations: at least", 2.0, ("200 elementwise",),
        "torch"),
)


COLUMNS = ("aim", "threads", "limit", "met by", "missed by the factor",
           *(c for way in WAYS for c in (way, f"{way}: the worst of")))


def judged(frame):
    """A row for each aim that the measurements speak of, and each number of threads."""
    found = [{"threads": threads, **row} for aim in AIMS
             for threads, rows in frame.groupby("threads")
             if (row := aim.judged(rows))]
    return pd.DataFrame(found, columns=COLUMNS).astype({"missed by the factor": float})


def sentence(frame):
    """What was found, in a few words for each number of threads."""
    said = [f"With {in_words(threads)} {_of_equal_threads(rows)}"
            for threads, rows in frame.groupby("threads")]
    return ". ".join(said) or "Nothing was measured"


def _of_equal_threads(frame):
    parts = []
    for name, problems in (("8 to 32", NARROW), ("128 to 512", MIDDLE), ("1024 and more", WIDE)):
        spans = [_span(frame, problems, way, "ratio") for way in WAYS]
        if all(spans):
            parts.append(f"{spans[0]} at width {name} ({spans[1]} with jit)")
    said = []
    if parts:
        said.append("for value and gradient of an MLP refgrad takes, relative to NumPy by hand, "
                    f"{', '.join(parts)}")
    spans = [_span(frame, NETS, way, "ratio") for way in WAYS]
    if all(spans):
        said.append(f"for a CNN, a transformer block and an LSTM it takes {spans[0]} "
                    f"({spans[1]} with jit)")
    spans = [_span(frame, SMALL, "torch", column) for column in WAYS.values()]
    if all(spans):
        said.append(f"on small nets torch takes {spans[0]} times as long as refgrad, {spans[1]} "
                    f"times as long as refgrad.jit, and {_span(frame, SMALL, 'torch', 'ratio')} "
                    "times as long as NumPy by hand")
    table = judged(frame)
    missed = table[table["met by"] == "none"]
    if len(table):
        said.append(f"of {len(table)} aims {len(table) - len(missed)} are met" + (
            f", the others missed by factors of {missed['missed by the factor'].min():.2f} to "
            f"{missed['missed by the factor'].max():.2f}" if len(missed) else ""))
    return "; ".join(said) or "no aim was measured"


def _span(frame, problems, contender, column):
    found = frame.loc[(frame["contender"] == contender) & frame["problem"].isin(problems),
                      column].dropna()
    if not len(found):
        return ""
    low, high = f"{found.min():.2f}", f"{found.max():.2f}"
    return low if low == high else f"{low} to {high}"
