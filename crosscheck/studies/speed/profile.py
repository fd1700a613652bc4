"""Where refgrad's time goes: a profile of value and gradient, by what the code is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import refgrad

from .contenders import CONTENDERS, OURS, WRITTEN, Worker
from .problems import PROBLEMS, draw
from . import PROFILE

SHOWN = ("MLP 8", "MLP 32", "MLP 512")
#: A file, or folder, of refgrad -> what it does in this time.
PARTS = {"rules": "NumPy, called by rules and layers", "nn": "NumPy, called by rules and layers",
         "primitive.py": "tracing: primitives", "tracer.py": "tracing: dispatch",
         "reverse.py": "tape and sweep", "transforms.py": "transforms: arguments and results",
         "tree.py": "transforms: arguments and results",
         "recording.py": "transforms: arguments and results"}
PROGRAM, OTHERS = "NumPy, called by the program", "NumPy's own Python, and built-in functions"
ROOT = Path(refgrad.__file__).parent


def run_profile(seed=0, seconds=0.5):
    """The frame of speed_profile.csv."""
    rows = []
    for contender in (c for c in CONTENDERS if c.name in (OURS, WRITTEN)):
        with Worker(contender) as worker:
            for problem in (p for p in PROBLEMS if p.name in SHOWN):
                worker.ask("prepare", problem, draw(problem, seed).astype("float32"))
                fastest = worker.ask("warm_up", seconds)
                calls = max(1, int(seconds / fastest))
                each = worker.ask("block", calls)[0]
                rows += [{"problem": problem.name, "way": contender.name,
                          "microseconds": 1e6 * each, "part": part, "share": share}
                         for part, share in shares(worker.ask("profile", calls)).items()]
    return pd.DataFrame(rows, columns=PROFILE.columns)


def shares(seconds_of):
    """part -> share of the time, the largest first; from the seconds of each file."""
    found = {}
    for path, seconds in seconds_of.items():
        found[part_of(path)] = found.get(part_of(path), 0.0) + seconds
    total = sum(found.values())
    return {part: found[part] / total for part in sorted(found, key=found.get, reverse=True)}


def part_of(path):
    """What a file's functions are for."""
    if path.startswith("<jit "):
        return PROGRAM
    if not path.startswith(str(ROOT)):
        return OTHERS
    return PARTS.get(Path(path).relative_to(ROOT).parts[0], "other rooms of refgrad")


def side_by_side(profile):
    """A line for each part, a column for each problem and way."""
    shown = profile.assign(column=profile["problem"] + ", " + profile["way"]
                           + profile["microseconds"].map(" ({:,.0f} µs)".format))
    wide = shown.pivot_table(index="part", columns="column", values="share", sort=False)
    return wide.map(lambda s: "" if np.isnan(s) else f"{s:.0%}").reset_index()
