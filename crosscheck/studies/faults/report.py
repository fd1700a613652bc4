"""Planted faults: how they are tried, and their section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import Outcome
from . import trial
from .planting import chosen
from .plots import plot_faults


def run(options, watch):
    profile = "quick" if options.quick else "full"
    count = len(chosen(profile))
    with watch("planting faults", count) as tick:
        result = trial.trial(options.seed, profile, options.workers, tick)
    frame = trial.faults_table(result.rows)
    return Outcome(
        len(frame), f"{len(frame):,} of {count:,} faults are tried", [frame],
        {"faults.png": partial(plot_faults, frame)},
        f"{len(frame):,} faults planted in the rules, seed {options.seed} ({profile})",
        trial.sentence(frame), stopped=result.stopped, asked=f"{count:,} were to be tried")


def sections(folder, faults):
    """What became of the planted mistakes; those that were missed, or pinned on another primitive,
    one by one."""
    text = [trial.sentence(faults) + ".",
            "Each mistake is put into one rule of one primitive, and the checker is asked about a "
            "small program that uses it, then the locator. That a mutant changes nothing is "
            "proved: on balls to second order, and entry by entry in floats."]
    pinned = faults["pinned"].astype(str) == "True"
    failed = faults["caught"].isin([trial.MISSED, trial.FALSE_ALARM])
    left = faults[failed | (faults["caught"] == trial.CAUGHT) & ~pinned]
    columns = ["primitive", "operator", "rule", "argument", "caught", "by", "point",
               "pinned_on", "note"]
    shown = [table(left[columns], f"Missed, or not pinned on the right primitive: {len(left)}",
                   long=("note",))] if len(left) else []
    return [section("Planted faults", text, images(folder, "faults.png"), shown)]
