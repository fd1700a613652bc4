"""The benchmark: contenders that agree take turns, in rounds and in random order, each in its own
process.

A block is as many calls as take BLOCK seconds, after a pause in which the processor comes to rest.
A block during which the process did not have a processor to itself is thrown away and asked for
again.  All are measured with one thread, and with as many as libraries start if nobody tells them.
The figure of a contender is the median, over the rounds, of its time relative to the hand-written
version's time in the same round.
"""

from __future__ import annotations

import os
import platform
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, product
from math import ceil, comb
from operator import itemgetter
from time import perf_counter, sleep

import numpy as np
import pandas as pd

from . import numpy_by_hand
from .contenders import HAND, OURS, WRITTEN, Failed, Worker, in_words, present, thread_counts
from .problems import DTYPES, chosen, draw, rounding
from . import TABLE

PAUSE = 3e-3             # seconds, before a block
# Of the wall time a process must have had its processor, or the block is thrown away.
QUIET = 0.98
AGAIN = 2                # how often a block is asked for again
LEAST, MOST = 7, 101     # rounds


@dataclass(frozen=True)
class Effort:
    """Seconds: of rounds for a problem and dtype, of a block, of warming up."""

    rounds: float
    block: float
    warm_up: float


FULL, QUICK = Effort(3.5, 8e-3, 0.2), Effort(0.4, 4e-3, 0.02)


def tasks(quick):
    """(number of threads, problem, dtype) of each measurement."""
    return list(product(thread_counts(), chosen(quick), DTYPES))


def run_speed(seed=0, quick=False, tick=lambda description: None):
    """(the frame of speed.csv as far as it is finished, why it ended early)."""
    rows, stopped = [], ""
    try:
        for threads, group in groupby(tasks(quick), key=itemgetter(0)):
            with ExitStack() as stack:
                workers = [stack.enter_context(Worker(c, threads)) for c in present(quick)]
                for _, problem, dtype in group:
                    rows += measure(workers, problem, dtype, seed, QUICK if quick else FULL)
                    tick(f"{problem.name}, {dtype}, {in_words(threads)}")
    except KeyboardInterrupt:
        stopped = "interrupted"
    return pd.DataFrame(rows, columns=TABLE.columns), stopped


def measure(workers, problem, dtype, seed, effort):
    """Rows for one problem and dtype."""
    exact = draw(problem, seed)
    expected = numpy_by_hand.arrays(numpy_by_hand.prepare(problem, exact)())
    limit, data = rounding(problem, dtype), exact.astype(dtype)
    taking_part, notes, off, calls = {}, {}, {}, {}
    for worker in workers:
        who = worker.contender.name
        if not worker.contender.takes(problem):
            continue
        notes[who], off[who] = "", np.nan
        try:
            off[who] = apart(worker.ask("prepare", problem, data), expected, dtype) / limit
            if off[who] <= 1:
                calls[who] = max(1, ceil(effort.block / worker.ask("warm_up", effort.warm_up)))
                taking_part[who] = worker
            else:
                notes[who] = (f"refused: its answer is off by {off[who]:.3g} times what rounding "
                              "explains")
        except Failed as failure:
            notes[who] = str(failure)
    rounds = Rounds(taking_part, calls, np.random.default_rng([seed, 1]))
    try:
        rounds.run(effort.rounds)
    except Failed as failure:
        notes = {who: note or f"not timed: {failure}" for who, note in notes.items()}
    by_name = {w.contender.name: w for w in workers}
    return [{"problem": problem.name, "dtype": dtype, "contender": who, "off": off[who],
             "threads": by_name[who].threads, "version": by_name[who].contender.version,
             "note": note, **(rounds.columns(who) if not note else {"rounds": 0, "thrown_away": 0})}
            for who, note in notes.items()]


def apart(found, expected, dtype):
    """The largest error of the value and of any array, relative to its largest entry; inf for what
    is not alike."""
    (value, gradients), (right, leaves) = found, expected
    pairs = [*zip(gradients, leaves), *([] if value is None else [(value, right)])]
    if len(gradients) != len(leaves) or any(
            np.shape(g) != np.shape(e) or isinstance(g, np.ndarray) and g.dtype != dtype
            for g, e in pairs):
        return np.inf
    errors = [np.max(np.abs(np.asarray(g, float) - e)) / np.max(np.abs(e)) for g, e in pairs]
    return np.inf if np.isnan(errors).any() else float(max(errors))


class Rounds:
    """Blocks of all contenders, in a new order in each round."""

    def __init__(self, workers, calls, rng):
        self.workers, self.calls, self.rng = workers, calls, rng
        self.seconds = {who: [] for who in workers}
        self.busy = {who: [] for who in workers}
        self.thrown_away = dict.fromkeys(workers, 0)

    def run(self, budget):
        """Rounds for `budget` seconds, and then some if few were quiet."""
        start = perf_counter()
        for n in range(MOST):
            spent = perf_counter() - start
            if n >= LEAST and spent > budget and (spent > 2 * budget
                                                  or min(map(len, self.busy.values())) >= LEAST):
                break
            for who in self.rng.permutation(list(self.workers)):
                self.seconds[who].append(self._block(who))

    def _block(self, who):
        """Seconds of a call; nan if there was no quiet."""
        for _ in range(1 + AGAIN):
            sleep(PAUSE)
            seconds, busy = self.workers[who].ask("block", self.calls[who])
            if busy >= QUIET:
                self.busy[who].append(busy)
                return seconds
            self.thrown_away[who] += 1
        return np.nan

    def columns(self, who):
        seconds = np.array(self.seconds[who])
        ratio, low, high, rounds = median_interval(seconds / self.seconds.get(HAND, np.nan))
        return {"seconds": _median(seconds), "ratio": ratio, "low": low, "high": high,
                "over_refgrad": _median(seconds / self.seconds.get(OURS, np.nan)),
                "over_jit": _median(seconds / self.seconds.get(WRITTEN, np.nan)), "rounds": rounds,
                "thrown_away": self.thrown_away[who], "busy": _median(np.array(self.busy[who]))}


def machine():
    """The processor, and for which kind of it BLAS has its kernels: all that NumPy multiplies
    depends on them."""
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.partition(":")[2].strip() for line in lines
                        if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores{_blas()}"


def _blas():
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ""
    kinds = [f"{b['internal_api']} {b['version']} for {b['architecture']}"
             for b in threadpool_info() if b["user_api"] == "blas" and b.get("architecture")]
    return "".join(f", NumPy with {kind}" for kind in kinds[:1])


def _median(a):
    a = a[np.isfinite(a)]
    return float(np.median(a)) if len(a) else np.nan


def median_interval(values, confidence=0.95):
    """(median, low, high, how many values) of those that are finite, with no assumption about their
    distribution.

    Of n values the number below the true median is binomial(n, 1/2); so it lies between the k-th
    smallest and the k-th largest but for twice the probability that fewer than k are below it.
    """
    values = np.sort(values[np.isfinite(values)])
    n = len(values)
    if not n:
        return np.nan, np.nan, np.nan, 0
    k, outside = 0, 2 / 2 ** n
    while outside <= 1 - confidence:
        k += 1
        outside += 2 * comb(n, k) / 2 ** n
    k = max(k - 1, 0)
    return float(np.median(values)), float(values[k]), float(values[n - 1 - k]), n


def side_by_side(speed):
    """A line for each number of threads, problem and dtype: microseconds by hand, and each
    contender's ratio with its interval."""
    lines = []
    for (threads, problem, dtype), rows in speed.groupby(["threads", "problem", "dtype"],
                                                         sort=False):
        rows = rows.set_index("contender")
        line = {"threads": threads, "problem": problem, "dtype": dtype}
        for who in speed["contender"].unique():
            if who not in rows.index or pd.isna(rows.loc[who, "ratio"]):
                line[who] = ""
            elif who == HAND:
                line[f"{who}, µs"] = 1e6 * rows.loc[who, "seconds"]
            else:
                line[who] = "{ratio:.2f} ({low:.2f}–{high:.2f})".format(**rows.loc[who])
        lines.append(line)
    return pd.DataFrame(lines)
