"""The checkers on trial: how they are compared, and their section of the page."""

from functools import partial
from importlib.util import find_spec

import pandas as pd

from ...report.sections import images, section, table
from ...report.terminal import table_of
from ..study import Outcome
from . import compare, frames, torch_seconds
from .opinfo import NEEDS
from .plots import plot_checkers


def run(options, watch):
    tasks = compare.tasks(options.seed, options.quick)
    with watch("comparing checkers", len(tasks) + len(torch_seconds.LAYERS)) as tick:
        result = compare.compare(tasks, options.workers, tick)
        seconds = [] if result.stopped else torch_seconds.measure(options.seed, options.quick, tick)
    frame = frames.checkers_table(result.right, result.faults)
    right = {r["case"] for r in result.right if r["subject"] in compare.COUNTED}
    planted = {r["fault"] for r in result.faults}
    return Outcome(
        len(result.right) + len(result.faults), "the comparison of checkers was not finished",
        [frame, frames.false_alarms_table(result.right),
         pd.DataFrame(seconds) if seconds else None],
        {"checkers.png": partial(plot_checkers, frame)},
        f"{len(right):,} right gradients and {len(planted):,} planted faults of seed "
        f"{options.seed} put to {frame['checker'].nunique()} checkers" +
        ("" if find_spec(NEEDS) else f"; without torch's own functions, which need {NEEDS}"),
        lambda: table_of(frames.side_by_side(frame), ("checker",)),
        stopped=result.stopped)


def sections(folder, checkers, alarms, seconds):
    """Detection, false alarms and time of each checker."""
    text = ["Each checker is given the same function with the same faulty rule of refgrad, as "
            "a function of its own framework: an autograd.Function of torch, a primitive of JAX or "
            "of HIPS autograd, whose derivatives of every order are refgrad's. In per cent: the "
            "faults that it notices, by the derivatives in which they show at the inputs given "
            "(elsewhere: only at other points, dtypes or memory layouts, or in repeated calls), "
            "and the right gradients that it calls wrong: scaled, saturated, nearly constant or "
            "singular, near kinks. Settings are each checker's own. torch's gradcheck claims "
            "reverse mode in float64 alone, gradgradcheck the derivative of reverse mode."]
    found, shown = [], [table(frames.side_by_side(checkers),
                   "In per cent; seconds for one check of a small function")]
    if alarms is not None:
        ours = alarms[(alarms["checker"] == "crosscheck") & alarms["subject"].isin(compare.COUNTED)]
        wrong = ours[ours["verdict"] != "accepted"]
        text.append(f"crosscheck was given {len(ours):,} right gradients, all dtypes of each, and "
                    f"called {len(wrong) or 'none'} of them wrong.")
        if len(wrong):
            shown.append(table(wrong[["case", "family", "scale", "message"]], "Called wrong",
                               long=("message",)))
        torch = alarms[(alarms["subject"] == "torch") & (alarms["verdict"] != "accepted")]
        if len(torch):
            found.append(section(
                "Layers of torch that crosscheck refutes",
                ["Torch's own layers and functions were put to the checkers as right gradients. "
                 "These are wrong all the same; the first reason for each is shown."],
                tables=[table(torch[["case", "scale", "message"]], long=("message",))],
                finding=True))
    if seconds is not None:
        wide = seconds.pivot_table(index=["layer", "numbers"], columns="checker", values="seconds",
                                   sort=False)
        shown.append(table(wide.reset_index(),
                           "Seconds to check torch layers of about a thousand numbers"))
    return [*found, section("The checkers on trial", text, images(folder, "checkers.png"), shown)]
