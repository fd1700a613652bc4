"""A campaign: so many networks that their rows do not fit into memory, checked in parts, each a
file."""

from __future__ import annotations

from functools import partial

import pandas as pd
import typer

from ...networks import networks_from
from ...networks.draw import BLOCK
from ...report.manifest import versions
from ...report.tables import replacing, save_table
from ...report.terminal import complain, console, table_of
from ...sharing import ClusterLost
from ...verdict import NO_ANSWER
from ..parts import Pace, Parts
from . import COLUMNS
from .commands import count_and_profile, dtypes_of, libraries_of
from .frames import errors_table
from .run import check_network
from .summary import Summary

PARTS, SUMMARY = "parts.csv", "summary.csv"


def run(options):
    """Do the command."""
    count, profile = count_and_profile(options)
    about = {"seed": options.seed, "profile": profile, "networks": count, "part": options.part,
             "dtypes": list(dtypes_of(options)), "libraries": list(libraries_of(options)),
             "versions": versions()}
    parts = Parts(options.out, about, "campaign", count, options.part, errors_table)
    parts.open(options.resume)
    try:
        check(parts, options.cluster or options.workers)
    except (KeyboardInterrupt, ClusterLost) as error:
        why = str(error) or "interrupted"
        complain(f"{why}: the parts that are finished stay; go on with --resume")
        raise typer.Exit(1 if str(error) else 130) from None
    console.print(table_of(summarize(parts), ("differentiator", "dtype", "mode", "closest")))
    console.print(f"[bold]{parts.folder / SUMMARY}[/bold]", soft_wrap=True)


def check(parts, workers):
    """Check the networks of all parts that are not there."""
    function = partial(checked, dtypes=tuple(parts.about["dtypes"]),
                       libraries=tuple(parts.about["libraries"]))
    with Pace("networks", parts.count, parts.done) as pace:
        parts.fill(function, missing(parts), workers,
                   lambda network, error: [no_check(network, error)], pace.step)


def missing(parts):
    """(index, network) of the parts that are not there; a block is drawn only if it has some."""
    for first in range(0, parts.count, BLOCK):
        last = min(first + BLOCK, parts.count)
        wanted = {k for k in range(first // parts.size, (last - 1) // parts.size + 1)
                  if not parts.there(k)}
        if wanted:
            for index, network in enumerate(
                    networks_from(parts.about["seed"], first, last, parts.about["profile"]), first):
                if index // parts.size in wanted:
                    yield index, network


def summarize(parts):
    """Write summary.csv and parts.csv from all parts, one after the other; gives the summary's
    frame."""
    summary, about_parts = Summary(), []
    for part in parts:
        frame = parts.read(part)
        summary.add(frame)
        about_parts.append((part, len(parts.range(part)), len(frame), parts.digest(part)))
    found = summary.frame()
    for name, frame in ((PARTS,
                         pd.DataFrame(about_parts, columns=["part", "networks", "rows", "digest"])),
                        (SUMMARY, found)):
        with replacing(parts.folder / name) as temporary:
            save_table(frame, temporary)
    return found


def checked(network, dtypes, libraries):
    """The rows of a network; where the check itself fails, one row that says so."""
    try:
        return check_network(network, dtypes, libraries)
    except Exception as error:
        return [no_check(network, error)]


def no_check(network, error):
    """The row of a network that could not be checked."""
    note = " ".join(f"the check failed: {type(error).__name__}: {error}".split())[:200]
    return {**dict.fromkeys(COLUMNS, ""),
            **dict.fromkeys(("ulp_max", "ulp_median", "rel_error", "error_over_bound",
                             "digits"), float("nan")),
            "network": network.id, "verdict": NO_ANSWER, "note": note}
