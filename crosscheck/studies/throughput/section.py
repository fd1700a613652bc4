"""The page's section about how many networks the harness checks in a second."""

from __future__ import annotations

from ..studies.checkers.checkers import ACCEPTED
from ..studies.speed import throughput
from .sections import images, table


def throughput_section(folder, frame, time):
    """What was found, the aims, networks in a second by size, where the time goes, and what torch does not accept."""
    text = [throughput.sentence(frame, time) + ".",
            "The networks of the default run, all numbers of each, checked in turn in one process, one thread each; "
            "processor time. A proof is the gradient on balls, against exact differences along each array and along "
            "single entries. gradcheck has its defaults, float64 and slow mode: a difference for each number; it "
            "accepts what agrees to three digits. A whole check is more: six modes, by refgrad and torch, in two "
            "dtypes, and what rounding may do in each."]
    shown = [table(throughput.judged(frame), "What the project set out to reach"),
             table(throughput.by_size(frame), "By the numbers that are differentiated")]
    for what, title, columns in (("phase", "Where the time of whole checks goes", ("which", "seconds", "share")),
                                 ("workers", "Whole checks by several processes, and whether errors.csv is the same",
                                  ("which", "seconds", "per_second", "busy", "same"))):
        rows = time.loc[time["what"] == what, list(columns)]
        if len(rows):
            shown.append(table(rows.rename(columns={"which": what, "per_second": "networks in a second"}), title))
    refused = frame[(frame["said"] != ACCEPTED) | (frame["said_twice"] != ACCEPTED)]
    if len(refused):
        shown.append(table(refused[["network", "numbers", "said", "said_twice", "note"]].rename(
            columns={"said": "gradcheck", "said_twice": "gradgradcheck"}), "What torch does not accept",
            code=("network",), long=("note",)))
    return {"title": "Throughput", "text": text, "images": images(folder, "throughput.png"), "tables": shown}
