"""The page's section about speed."""

from __future__ import annotations

import pandas as pd

from ..studies.speed import aims
from ..studies.speed import profile as profiling
from ..studies.speed.contenders import HAND
from .sections import images, table


def speed_section(folder, speed, profile=None):
    """What was found, the aims, every ratio with its interval, where the time goes, and who was refused or failed."""
    threads = "one thread" if (speed["threads"] == 1).all() else f"{speed['threads'].max()} threads"
    versions = ", ".join(dict.fromkeys(speed["version"]))
    text = [aims.sentence(speed) + ".",
            "The time of value and gradient in parts of that of NumPy written by hand: medians over rounds in random "
            "order, in brackets their 95 % confidence interval. Before anything is timed its answers are compared "
            "with the exact ones. Each contender has a process of its own, all of them in turn the same processor, and "
            f"{threads}. Blocks of calls during which something else had the processor are thrown away: "
            f"{int(speed['thrown_away'].sum()):,} were. {versions}."]
    judged = aims.judged(speed)
    shown = [table(judged, "What the project set out to reach, and the worst case of each")] if len(judged) else []
    shown.append(table(side_by_side(speed), "Time in parts of NumPy by hand"))
    if profile is not None:
        shown.append(table(profiling.side_by_side(profile),
                           "Where refgrad's time goes, float32 (a profile, to which calls look dearer than they are)"))
    noted = speed[speed["note"].notna()]
    if len(noted):
        shown.append(table(noted[["contender", "problem", "dtype", "note"]], "Not timed", long=("note",)))
    return {"title": "Speed", "text": text, "images": images(folder, "speed.png"), "tables": shown}


def side_by_side(speed):
    """A line for each problem and dtype: microseconds by hand, and each contender's ratio with its interval."""
    lines = []
    for (problem, dtype), rows in speed.groupby(["problem", "dtype"], sort=False):
        rows = rows.set_index("contender")
        line = {"problem": problem, "dtype": dtype}
        for who in speed["contender"].unique():
            if who not in rows.index or pd.isna(rows.loc[who, "ratio"]):
                line[who] = ""
            elif who == HAND:
                line[f"{who}, µs"] = 1e6 * rows.loc[who, "seconds"]
            else:
                line[who] = "{ratio:.2f} ({low:.2f}–{high:.2f})".format(**rows.loc[who])
        lines.append(line)
    return pd.DataFrame(lines)
