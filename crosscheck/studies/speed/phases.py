"""Where the harness's time goes: a clock that stands beside it, and is told when a phase begins and
ends."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from time import process_time

from refgrad.reverse import Tape

from ...phases import BOUNDS, DIFFERENCES, GRADIENTS, VERDICTS, floats, listening
from ...subjects.libraries import USUAL

#: What the harness does beside, and, within what runs on balls, the sweep back.
DRAWING, WRITING, BACK = "drawing", "writing", "going back"
PHASES = (DRAWING, GRADIENTS, f"{GRADIENTS}, {BACK}", DIFFERENCES, BOUNDS, f"{BOUNDS}, {BACK}",
          *map(floats, USUAL), VERDICTS, WRITING)


class Clock:
    """Processor time of each phase; a phase within another stops the other's time."""

    def __init__(self):
        self.seconds = Counter()
        self.running, self.since = [], 0.0

    @contextmanager
    def phase(self, name):
        self._charge()
        self.running.append(name)
        try:
            yield
        finally:
            self._charge()
            self.running.pop()

    def _charge(self):
        now = process_time()
        if self.running:
            self.seconds[self.running[-1]] += now - self.since
        self.since = now

    def shares(self):
        """(phase, seconds, share of all) in the order in which they come."""
        total = sum(self.seconds.values())
        return [(p, self.seconds[p], self.seconds[p] / total) for p in PHASES if p in self.seconds]

    @contextmanager
    def watching(self):
        """Inside, the harness's phases are known to the clock, which runs while a phase is open."""
        sweep = Tape.sweep

        def timed(tape, *args, **kwargs):
            """Sweeps count apart where balls run."""
            if not self.running or self.running[-1] not in (GRADIENTS, BOUNDS):
                return sweep(tape, *args, **kwargs)
            with self.phase(f"{self.running[-1]}, {BACK}"):
                return sweep(tape, *args, **kwargs)

        Tape.sweep = timed
        try:
            with listening(self._within):
                yield self
        finally:
            Tape.sweep = sweep

    def _within(self, name):
        return self.phase(name) if self.running else nullcontext()
