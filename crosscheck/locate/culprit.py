"""The report about a wrong rule: which rule it is, and what it computes in place of the exact
value."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Culprit:
    """A wrong rule and the evidence against it."""

    primitive: str
    position: str          # "operation 3 of the program", or inside which rule
    rule: str              # "vjp", "jvp", "vjp differentiated again", ...
    argument: int | None   # of the primitive; None if that cannot be told
    shapes: tuple          # of the primitive's arguments
    params: dict = field(default_factory=dict)
    entry: tuple | None = None   # of the cotangent (vjp) or of the result's tangent (jvp)
    gives: float = np.nan
    exact: float = np.nan
    digits: float = np.nan       # to which both agree
    dtype: str = "exact arithmetic"
    note: str = ""
    line: str = ""

    @property
    def factor(self):
        """The computed value divided by the exact one; nan where the exact value is zero or
        unknown."""
        return self.gives / self.exact if self.exact else np.nan

    def __str__(self):
        options = ", ".join(f"{k}={_short(v)}" for k, v in self.params.items())
        shapes = ", ".join("None" if s is None else str(s) for s in self.shapes)
        argument = "" if self.argument is None else f" of argument {self.argument}"
        where = f"{self.position}{f', at {self.line}' if self.line else ''}"
        text = [f"The {self.rule}{argument} of {self.primitive} is wrong ({where}).",
                f"Arguments of shape {shapes}{f', with {options}' if options else ''}."]
        if np.isfinite(self.exact) or not np.isnan(self.gives):
            entry = "" if self.entry is None else f"entry {self.entry} "
            text.append(f"In {self.dtype}, {entry}along a random direction is {self.gives:.9g}, "
                        f"exact {self.exact:.9g}{self._ratio()}.")
        if self.note:
            text.append(f"{self.note[0].upper()}{self.note[1:]}.")
        return " ".join(text)

    def _ratio(self):
        if np.isnan(self.factor):
            return ""
        agree = f", {max(self.digits, 0):.1f} digits agree" if np.isfinite(self.digits) else ""
        off = self.factor - 1
        factor = (f"1 {'-' if off < 0 else '+'} {abs(off):.2g}"
                  if abs(off) < 1e-3 else f"{self.factor:.6g}")
        return f": off by the factor {factor}{agree}"


def _short(x):
    text = " ".join(repr(x).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def accuse(operation, rule, argument, **evidence):
    """The `Culprit` of an operation."""
    shapes = tuple(None if a is None else np.shape(a) for a in operation.values)
    return Culprit(operation.primitive.name, operation.place, rule, argument, shapes,
                   operation.params, line=operation.line, **evidence)
