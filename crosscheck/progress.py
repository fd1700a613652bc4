"""A line on the terminal about a check that takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

#: After so many seconds the line is shown, and then renewed at this interval.
PATIENCE, INTERVAL = 2.0, 0.5


@contextlib.contextmanager
def progress(status):
    """Show ``status()``, a text, and the seconds on the standard error stream while the block runs,
    if it is a terminal and the block takes more than `PATIENCE` seconds."""
    if not sys.stderr.isatty():
        yield
        return
    done, start = threading.Event(), time.monotonic()

    def show():
        pause, shown = PATIENCE, 0
        while not done.wait(pause):
            line = f"checking {status()}, {time.monotonic() - start:.0f} s"[:100]
            sys.stderr.write(f"\r{line.ljust(shown)}")
            sys.stderr.flush()
            pause, shown = INTERVAL, len(line)
        if shown:
            sys.stderr.write(f"\r{' ' * shown}\r")
            sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
