"""Speed: how it is measured, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import Outcome
from . import aims, measure, profile
from .contenders import in_words
from .plots import plot_speed


def run(options, watch):
    count = len(measure.tasks(options.quick))
    with watch("comparing speed", count) as tick:
        frame, stopped = measure.run_speed(options.seed, options.quick, tick)
    finished = len(frame[["threads", "problem", "dtype"]].drop_duplicates())
    times = None if stopped else partial(
        profile.run_profile, options.seed, 0.1 if options.quick else 0.5)
    notes = (f"{r.contender}, {r.problem}: {r.note}" for r in frame.itertuples() if r.note)
    return Outcome(
        finished, f"{finished} of {count} comparisons are made", [frame, times],
        {"speed.png": partial(plot_speed, frame)},
        f"the speed of {frame['contender'].nunique()} contenders on {frame['problem'].nunique()} "
        f"programs, with {_threads(frame)}, seed {options.seed}, on {measure.machine()}",
        aims.sentence(frame), list(dict.fromkeys(notes)), stopped)


def _threads(frame):
    return " and ".join(map(in_words, sorted(frame["threads"].unique())))


def sections(folder, speed, times):
    """What was found, the aims, every ratio with its interval, where the time goes, and who was
    refused or failed."""
    versions = ", ".join(dict.fromkeys(speed["version"]))
    text = [aims.sentence(speed) + ".",
            "The time of value and gradient relative to that of NumPy written by hand: medians "
            "over rounds in random order, in brackets their 95 % confidence interval. "
            "Before anything is timed its answers are compared with the "
            "exact ones. Each contender has a process of its own, in which every library may start "
            f"{_threads(speed)}; with one thread they all have the same processor in "
            "turn. Blocks of calls during which something else had the processor are thrown away: "
            f"{int(speed['thrown_away'].sum()):,} were. {versions}."]
    judged = aims.judged(speed)
    shown = ([table(judged, "What the project set out to reach, and the worst case of each")]
             if len(judged) else [])
    shown.append(table(measure.side_by_side(speed), "Time relative to NumPy by hand"))
    if times is not None:
        shown.append(table(profile.side_by_side(times),
                           "Where refgrad's time goes, float32 (a profile, to which calls look "
                           "dearer than they are)"))
    noted = speed[speed["note"].notna()]
    if len(noted):
        shown.append(table(noted[["contender", "problem", "dtype", "note"]], "Not timed",
                           long=("note",)))
    return [section("Speed", text, images(folder, "speed.png"), shown)]
