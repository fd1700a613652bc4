"""What the project set out to reach, and by how much it is missed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from .contenders import OURS

SMALL = ("MLP 8", "MLP 32", "tanh MLP 32", "64 tanh layers of 32", "batch norm 32", "MSE with L2 32")
#: Widths of the MLPs -> problems.
NARROW, MIDDLE, WIDE = ("MLP 8", "MLP 32", "tanh MLP 32"), ("MLP 128", "MLP 512"), ("MLP 1024",)


@dataclass(frozen=True)
class Aim:
    """A limit for the worst of all problems and dtypes: for `contender`'s time in parts of refgrad's, at least; for
    refgrad's own in parts of the hand-written version's, at most."""

    what: str
    limit: float
    problems: tuple
    contender: str = OURS

    def judged(self, frame):
        """The row of the table; None if nothing was measured."""
        column = "ratio" if self.contender == OURS else "over_refgrad"
        rows = frame[(frame["contender"] == self.contender) & frame["problem"].isin(self.problems)]
        rows = rows[rows[column].notna()]
        if not len(rows):
            return None
        worst = rows.loc[rows[column].idxmax() if self.contender == OURS else rows[column].idxmin()]
        by = worst[column] / self.limit if self.contender == OURS else self.limit / worst[column]
        return {"aim": self.what, "limit": self.limit, "the worst": worst[column], "of": worst["problem"],
                "in": worst["dtype"], "met": "met" if by <= 1 else "missed", "by the factor": by if by > 1 else None}


AIMS = (
    Aim("refgrad over NumPy by hand, width 8 to 32: at most", 1.4, NARROW),
    Aim("refgrad over NumPy by hand, width 128 to 512: at most", 1.15, MIDDLE),
    Aim("refgrad over NumPy by hand, width 1024: at most", 1.1, WIDE),
    Aim("torch over refgrad, small nets: at least", 2.5, SMALL, "torch"),
    Aim("torch over refgrad, wider nets: at least", 1.0, MIDDLE + WIDE, "torch"),
    Aim("jax.jit over refgrad, MLPs up to width 128: at least", 1.0, (*NARROW, "MLP 128"), "jax.jit"),
    Aim("HIPS autograd over refgrad, small nets: at least", 5.0, SMALL, "HIPS autograd"),
    Aim("MyGrad over refgrad, small nets: at least", 2.5, SMALL, "MyGrad"),
    Aim("torch over refgrad, 200 elementwise operations: at least", 2.0, ("200 elementwise",), "torch"),
)


def judged(frame):
    """A row for each aim that the measurements speak of."""
    found = [row for aim in AIMS if (row := aim.judged(frame))]
    return pd.DataFrame(found, columns=["aim", "limit", "the worst", "of", "in", "met", "by the factor"]).astype(
        {"by the factor": float})


def sentence(frame):
    """What was found, in a few words."""
    parts = []
    for name, problems in (("width 8 to 32", NARROW), ("width 128 to 512", MIDDLE), ("width 1024", WIDE)):
        if span := _span(frame, problems, OURS, "ratio"):
            parts.append(f"{span} at {name}")
    said = []
    if parts:
        said.append(f"for value and gradient of an MLP refgrad takes, in parts of NumPy by hand, {', '.join(parts)}")
    if span := _span(frame, SMALL, "torch", "over_refgrad"):
        said.append(f"on small nets torch takes {span} times as long as refgrad, and "
                    f"{_span(frame, SMALL, 'torch', 'ratio')} times as long as NumPy by hand")
    table = judged(frame)
    missed = table[table["met"] == "missed"]
    if len(table):
        said.append(f"of {len(table)} aims {len(table) - len(missed)} are met" + (
            f", the others missed by factors of {missed['by the factor'].min():.2f} to "
            f"{missed['by the factor'].max():.2f}" if len(missed) else ""))
    text = "; ".join(said)
    return text[:1].upper() + text[1:] if text else "Nothing was measured"


def _span(frame, problems, contender, column):
    found = frame.loc[(frame["contender"] == contender) & frame["problem"].isin(problems), column].dropna()
    if not len(found):
        return ""
    low, high = f"{found.min():.2f}", f"{found.max():.2f}"
    return low if low == high else f"{low} to {high}"
