"""The page's section about memory."""

from __future__ import annotations

import pandas as pd

from ..studies.speed import memory
from .sections import images, table


def memory_section(folder, frame):
    """What was found, the aims, what must be kept and why, and the peaks at the greatest depth."""
    text = [memory.sentence(frame) + ".",
            "The most that value and gradient hold at a time, arrays and Python objects, beyond what was there before; "
            f"programs of equal layers on {memory.BATCH:,} samples of {memory.WIDTH} numbers. What must be kept is "
            "counted by hand: the arrays that the rules read in the sweep. The gradients are not in it, since each "
            "takes the place of arrays that the sweep frees; they and what the sweep works with are in the peak. With "
            "checkpoint each segment of the depth keeps its input, and is computed a second time."]
    shown = [table(judged, "What the project set out to reach, and the worst case of each")
             ] if len(judged := memory.judged(frame)) else []
    shown += [table(reasons(), "What a layer must keep", long=("because",)),
              table(deepest(frame), "At the greatest depth, without checkpoint (0 segments) and with")]
    return {"title": "Memory", "text": text, "images": images(folder, "memory.png"), "tables": shown}


def reasons():
    """A line for each problem: how many arrays of the size of the layer's result it must keep, and why."""
    return pd.DataFrame([{"problem": p.name, "arrays": round(p.kept / memory.ENTRIES, 2), "because": p.because}
                         for p in memory.PROBLEMS])


def deepest(frame):
    """The measurements at the greatest depth, with the exponent of the peak up to there."""
    rows = frame[frame["depth"] == frame["depth"].max()]
    rows = rows.assign(checkpointed=rows["checkpoint"] > 0)
    rows = rows.merge(memory.slopes(frame), left_on=["problem", "dtype", "checkpointed"],
                      right_on=["problem", "dtype", "checkpoint"], suffixes=("", "_of_slope"))
    exponents = ["{slope:.2f} ({slope_low:.2f}–{slope_high:.2f})".format(**row) for row in rows.to_dict("records")]
    return pd.DataFrame({
        "problem": rows["problem"], "dtype": rows["dtype"], "layers": rows["depth"], "segments": rows["checkpoint"],
        "peak, MB": rows["peak_bytes"] / 1e6, "must be kept, MB": rows["kept_bytes"] / 1e6,
        "gradients, MB": rows["gradient_bytes"] / 1e6, "peak over what must be kept": rows["ratio"],
        "layers evaluated": rows["evaluations"], "exponent of depth": exponents})
