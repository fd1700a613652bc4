"""The notes that `ByBalls` and `ByDifferences` share."""

from __future__ import annotations

from ..formats import format_named
from ..modes import ALL
from ..verdict import by_the_factor, entry

#: The note where a derivative is not 0 but the function is constant.
STEP = ("f is constant along it, as a step function is; for a straight-through gradient give the "
        "function that it stands for as surrogate=")


def another_dtype(dtype, mode, name, answers):
    """The dtype nearest in precision in which the same derivative was computed, or None."""
    precision = format_named(dtype).precision
    others = [d for d, by_mode in answers.items()
              if d != dtype and isinstance(by_mode.get(mode), dict)
              and (name in by_mode[mode] or name == ALL)]
    return min(others, key=lambda d: (abs(format_named(d).precision - precision),
                                      -format_named(d).precision),
               default=None)


def entry_note(index, given, true, factor):
    """The words about one entry that is off."""
    return (f"; {entry(index)} is {given:.10g}, the function says "
            f"{true}{by_the_factor(factor)}")
