"""Where the harness's time goes: a clock that stands beside it, and is told when a phase begins and ends."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from time import process_time

from refgrad.reverse import Tape

from .. import networks as run
from ...truth import exact

DRAWING, DIFFERENCES, VERDICTS, WRITING = "drawing", "differences on balls", "verdicts", "writing"
#: What runs the network on balls, and goes back; exact, and with every rounding that may happen.
GRADIENTS, BOUNDS, BACK = "exact derivatives on balls", "bounds of rounding on balls", "going back"
FLOATS = {library: f"{library} in floats" for library in run.LIBRARIES}
PHASES = (DRAWING, GRADIENTS, f"{GRADIENTS}, {BACK}", DIFFERENCES, BOUNDS, f"{BOUNDS}, {BACK}", *FLOATS.values(),
          VERDICTS, WRITING)


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
        with ExitStack() as stack:
            for owner, name, phase in (
                    (run, "_answers", lambda network, library, *rest: FLOATS[library]), (run, "_rows", VERDICTS),
                    (exact, "differentiate", DIFFERENCES), (exact, "_exact", GRADIENTS),
                    (exact.Truth, "holds", GRADIENTS), (exact, "_bounds", BOUNDS), (Tape, "sweep", self._back)):
                stack.enter_context(self._watched(owner, name, phase))
            yield self

    @contextmanager
    def _watched(self, owner, name, phase):
        before = getattr(owner, name)

        def watched(*args, **kwargs):
            if not self.running:
                return before(*args, **kwargs)
            with self.phase(phase(*args, **kwargs) if callable(phase) else phase):
                found = before(*args, **kwargs)
                return list(found) if name == "_rows" else found  # a generator works when it is asked
        setattr(owner, name, watched)
        try:
            yield
        finally:
            setattr(owner, name, before)

    def _back(self, *args, **kwargs):
        """Sweeps count apart where balls run."""
        now = self.running[-1]
        return f"{now}, {BACK}" if now in (GRADIENTS, BOUNDS) else now
