"""Throughput: how it is measured, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..checkers.answer import ACCEPTED
from ..study import Outcome
from . import run as throughput
from .plots import plot_throughput


def run(options, watch):
    count = throughput.count(options.quick)
    with watch("measuring throughput", count) as tick:
        result = throughput.run_throughput(options.seed, options.quick, tick)
    frame, time = result.frame, result.time_frame
    return Outcome(
        len(frame), f"{len(frame)} of {count // 2} networks are measured", [frame, time],
        {"throughput.png": partial(plot_throughput, frame, time)},
        f"{len(frame)} networks of seed {options.seed} checked by crosscheck and by torch's "
        "gradcheck",
        throughput.sentence(frame, time), stopped=result.stopped)


def sections(folder, frame, time):
    """What was found, the aims, networks in a second by size, where the time goes, and what torch
    does not accept."""
    text = [throughput.sentence(frame, time) + ".",
            "The networks of the default run, all numbers of each, checked in turn in one process, "
            "one thread each; processor time. A proof is the gradient on balls, against an exact "
            "difference along random multiples of each array's direction and of single entries at "
            "once, one by one where that leaves something open. gradcheck has its defaults, "
            "float64 and slow mode: a difference for each number; it accepts what agrees to three "
            "digits. A whole check is more: six modes, by refgrad and torch, in two "
            "dtypes, and what rounding may do in each."]
    shown = [table(throughput.judged(frame), "What the project set out to reach"),
             table(throughput.by_size(frame), "By the numbers that are differentiated")]
    for what, title, columns in (
        ("phase", "Where the time of whole checks goes", ("which", "seconds", "share")),
        ("workers", "Whole checks by several processes, and whether errors.csv.gz is the same",
         ("which", "seconds", "per_second", "busy", "same"))):
        rows = time.loc[time["what"] == what, list(columns)]
        if len(rows):
            shown.append(table(
                rows.rename(columns={"which": what, "per_second": "networks in a second"}), title))
    refused = frame[(frame["said"] != ACCEPTED) | (frame["said_twice"] != ACCEPTED)]
    if len(refused):
        shown.append(table(refused[["network", "numbers", "said", "said_twice", "note"]].rename(
            columns={"said": "gradcheck", "said_twice": "gradgradcheck"}),
            "What torch does not accept", code=("network",), long=("note",)))
    return [section("Throughput", text, images(folder, "throughput.png"), shown)]
