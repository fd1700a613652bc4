"""How many networks the harness checks in a second, and torch's gradcheck: the networks of the
default run, in turn.

gradcheck says of the gradient, in reverse mode, in float64, whether it agrees with differences, of
every entry.  What corresponds to it is the proof of the gradient: on balls, against an exact
difference along random multiples of each array's direction and of single entries at once, one by
one where that leaves something open. gradgradcheck's counterpart is the proof of second order.  A
whole check does far more: six modes by refgrad and torch, in two dtypes, each with what rounding
may do to it.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from ...modes import Mode
from ...networks import draw_networks
from ...networks.draw import PROFILES
from ...report.tables import write_table
from ...subjects.network import on_balls
from ...truth import exact
from ..checkers.answer import ACCEPTED, ask
from ..networks import ERRORS, frames, run
from ..speed.phases import DRAWING, WRITING, Clock
from . import TABLE, TIME

PROFILE = "full"
QUICK_NETWORKS = 8

#: Processes of the pool; one is how the networks are measured.
WORKERS = 2


@dataclass
class Result:
    rows: list = field(default_factory=list)
    time: list = field(default_factory=list)
    stopped: str = ""

    @property
    def frame(self):
        return pd.DataFrame(self.rows, columns=TABLE.columns)

    @property
    def time_frame(self):
        frame = pd.DataFrame(self.time, columns=TIME.columns)
        return frame.astype(dict.fromkeys(TIME.numbers, float))


def chosen(seed, quick):
    """The networks of the default run; or a few, each from the middle of as many classes of
    sizes."""
    networks = draw_networks(seed, PROFILES[PROFILE].networks, PROFILE)[0]
    if not quick:
        return networks
    ordered = sorted(networks, key=lambda n: (n.size, n.id))
    return [ordered[(2 * k + 1) * len(ordered) // (2 * QUICK_NETWORKS)]
            for k in range(QUICK_NETWORKS)]


def count(quick):
    """How often `run_throughput` ticks: for each network here, and in the pool."""
    return 2 * (QUICK_NETWORKS if quick else PROFILES[PROFILE].networks)


def run_throughput(seed=0, quick=False, tick=lambda description: None):
    """Measure everything; interrupted, it returns what is finished."""
    from ..timing import equal_threads  # not above: the page reads tables without torch
    result, clock, found = Result(), Clock(), {}
    with clock.phase(DRAWING):
        networks = chosen(seed, quick)
    try:
        with equal_threads():
            _, rows = measure(networks[0], Clock())  # what is set up once does not count
            _written(networks[:1], {networks[0].id: rows})
            for network in networks:
                row, found[network.id] = measure(network, clock)
                result.rows.append(row)
                tick(network.id)
    except KeyboardInterrupt:
        result.stopped = "interrupted"
    if not found:
        return result
    done = [n for n in networks if n.id in found]
    with clock.phase(WRITING):
        written = _written(done, found)
    result.time += [_time("phase", phase, seconds, share=share)
                    for phase, seconds, share in clock.shares()]
    seconds = sum(row["check"] for row in result.rows)
    result.time.append(_time("workers", "1", seconds, per_second=len(done) / seconds, busy=1.0,
                             same=True))
    if not result.stopped:
        _among_workers(result, networks, written, tick)
    return result


def measure(network, clock):
    """(row, rows of errors.csv.gz) of one network; `clock` learns where the time of its check
    goes."""
    from ..timing import take_turns
    from ..speed.peers import torch_gradcheck
    with clock.watching():
        leaves, constants = network.draw()
        subject = torch_gradcheck.Subject(network, leaves, constants)
        f, (u, v) = on_balls(network, constants), run.directions(network, leaves)

        def proof(*modes):
            return exact.differentiate(f, leaves, u, v, network.size, modes, dtypes=())

        def check():
            with clock.phase(DRAWING):  # and then what `watching` knows
                return run.check_network(network)

        answers = {}
        with torch_gradcheck.generator(network.size):
            seconds = take_turns(
                {"check": check, "proof": lambda: proof(Mode.REVERSE),
                 "both": lambda: proof(Mode.REVERSE, Mode.FORWARD_OVER_REVERSE),
                 **{who: lambda who=who: ask(lambda: subject.check(who))
                    for who in ("gradcheck", "gradgradcheck")}},
                budget=0, least=1, check=answers.__setitem__)
        seconds = {who: float(taken[0]) for who, taken in seconds.items()}
        said = [answers[who] for who in ("gradcheck", "gradgradcheck")]
        return {"network": network.id, "numbers": network.size, **seconds,
                "ratio": seconds["gradcheck"] / seconds["proof"],
                "ratio_both": (seconds["gradcheck"] + seconds["gradgradcheck"]) / seconds["both"],
                "ratio_check": seconds["gradcheck"] / seconds["check"],
                "digits": _digits(answers["proof"]),
                "digits_gradcheck": subject.digits(_sizes(answers["proof"])),
                "said": said[0].verdict, "said_twice": said[1].verdict,
                "note": "; ".join(a.message for a in said
                                  if a.verdict != ACCEPTED)}, answers["check"]


def _digits(truth):
    """The fewest that agree; nan where nothing was decided, or at a kink."""
    return min((a.digits for a in truth.agreement.values()), default=np.nan)


def _sizes(truth):
    """The largest entry of each array's gradient; of all of them, where it is zero."""
    largest = [float(np.max(np.abs(g.mid()))) for g in truth.gradient.values()]
    return [size or max(largest) or 1.0 for size in largest]


def _among_workers(result, networks, written, tick):
    """The same networks by the pool of processes that `crosscheck run` has."""
    start, processor = perf_counter(), _of_children()
    found, result.stopped = run.check_networks(networks, workers=WORKERS,
                                               tick=lambda n: tick(f"{n.id}, {WORKERS} processes"))
    seconds = perf_counter() - start
    if not result.stopped:
        result.time.append(_time("workers", str(WORKERS), seconds,
                                 per_second=len(networks) / seconds,
                                 busy=(_of_children() - processor) / seconds / WORKERS,
                                 same=_written(networks, found) == written))


def _of_children():
    """Processor time of the processes that this one has started, and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _written(networks, found):
    """The bytes of errors.csv.gz; layers.csv is written beside it."""
    errors = frames.errors_table([row for n in networks for row in found[n.id]])
    with tempfile.TemporaryDirectory() as folder:
        write_table(errors, Path(folder) / ERRORS.name)
        write_table(frames.layers_table(errors, networks), Path(folder) / "layers.csv")
        return (Path(folder) / ERRORS.name).read_bytes()


def _time(what, which, seconds, share=np.nan, per_second=np.nan, busy=np.nan, same=None):
    return dict(zip(TIME.columns, (what, which, seconds, share, per_second, busy, same)))


# What the project set out to reach

#: A row as those of `aims.judged`: (what, limit, the figure of a frame, of what it is).
AIM, DIGITS = 5.0, float(exact.REQUIRED)
JUDGED = ("aim", "limit", "the worst", "of", "in", "met", "by the factor")
COMPARED = (("gradcheck over the proof of the gradient", ("gradcheck",), "proof", "ratio",
             "float64"),
            ("gradcheck and gradgradcheck over the proof of both orders",
             ("gradcheck", "gradgradcheck"), "both", "ratio_both", "float64"),
            ("gradcheck over the whole check", ("gradcheck",), "check", "ratio_check",
             "all modes and dtypes"))


def judged(frame):
    """Rows for each aim: by the time of all networks together, and by the median network; the
    digits of the worst."""
    rows = []
    for what, torch, ours, ratio, where in COMPARED if len(frame) else ():
        for of, value in ((f"all {len(frame)} networks together", total(frame, torch, ours)),
                          ("the median network", float(frame[ratio].median()))):
            rows.append(_judged(f"{what}: at least", AIM, value, of, where))
    known = frame[frame["digits"].notna()]
    if len(known):
        worst = known.loc[known["digits"].idxmin()]
        rows.append(_judged("digits of the proof: at least", DIGITS, worst["digits"],
                            worst["network"], "balls"))
    return pd.DataFrame(rows, columns=JUDGED).astype({"by the factor": float})


def total(frame, torch, ours):
    """How many times as many networks in a second: by the time of all of them together."""
    return float(frame[list(torch)].to_numpy().sum() / frame[ours].sum())


def _judged(what, limit, value, of, where):
    met = value >= limit
    return dict(zip(JUDGED, (what, limit, value, of, where, "met" if met else "missed",
                             None if met else limit / value if value > 0 else np.inf)))


def sentence(frame, time):
    """What was found, in a few words."""
    if not len(frame):
        return "Nothing was measured"
    table, n = judged(frame), len(frame)
    missed = table[table["met"] == "missed"]
    first, second = (total(frame, *columns) for _, *columns, _, _ in COMPARED[:2])
    torch_first, torch_second = (n / frame[list(torch)].to_numpy().sum()
                                 for _, torch, *_ in COMPARED[:2])
    parts = [f"one process proves the gradients of {n / frame['proof'].sum():.0f} networks in "
             f"a second, to {_least(frame['digits'])} digits and more; "
             f"torch.autograd.gradcheck checks {torch_first:.0f}, by differences that are right to "
             f"{frame['digits_gradcheck'].median():.1f}: {first:.2g} times as many",
             f"with the second order {n / frame['both'].sum():.0f}, gradcheck and gradgradcheck "
             f"{torch_second:.0f}: {second:.2g} times as many",
             f"whole checks, in all modes and dtypes: {_per_second(time)}"]
    if (wrong := int((frame["said"] != ACCEPTED).sum())) or (frame["said_twice"] != ACCEPTED).any():
        parts.append(f"gradcheck does not accept {wrong} of these gradients, gradgradcheck "
                     f"{int((frame['said_twice'] != ACCEPTED).sum())}")
    parts.append(f"of {len(table)} aims {len(table) - len(missed)} are met" + (
        f", the others missed by factors of {missed['by the factor'].min():.3g} to "
        f"{missed['by the factor'].max():.3g}" if len(missed) else ""))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _per_second(time):
    rows = time[time["what"] == "workers"]
    said = [f"{r.per_second:.1f} in a second by one process" if str(r.which) == "1" else
            f"{r.per_second:.1f} by {r.which}, their start included, which had {100 * r.busy:.0f} "
            "% of as many processors" for r in rows.itertuples()]
    return " and ".join(said) or "not timed"


def _least(digits):
    return "no" if digits.isna().all() else f"{digits.min():.0f}"


#: Limits between classes of networks, by the numbers that are differentiated.
SIZES = (0, 10, 30, 100, 300, 1000, np.inf)


def by_size(frame):
    """A line for each class of sizes: networks in a second, and how many times as many."""
    lines = []
    for low, high in zip(SIZES, SIZES[1:]):
        rows = frame[(frame["numbers"] >= low) & (frame["numbers"] < high)]
        if len(rows):
            lines.append(
                {"numbers": f"{low} and more" if high == np.inf else f"{low} to {high - 1}",
                 "networks": len(rows), "proofs in a second": len(rows) / rows["proof"].sum(),
                 "gradchecks in a second": len(rows) / rows["gradcheck"].sum(),
                 "times as many": total(rows, *COMPARED[0][1:3]),
                 "with second order": total(rows, *COMPARED[1][1:3]),
                 "digits": rows["digits"].min(), "of gradcheck": rows["digits_gradcheck"].median()})
    return pd.DataFrame(lines)
