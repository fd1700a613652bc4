"""Runs a generator in a child process, for code that may crash the process that runs it."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import select
import signal
import sys
import time
import traceback
from typing import NamedTuple

#: A child that takes longer is ended.
SECONDS = 60.0


class Failure(NamedTuple):
    """An error in the child, as text: the error itself might not be picklable."""

    traceback: str


def can_fork():
    """Can this system run a generator in a child process?"""
    return hasattr(os, "fork")


def in_a_child(items, seconds=SECONDS):
    """(what the iterator yields in a forked child, how the child ended if not by itself, else "").

    The items are pickled; what they change stays in the child.

    Raises:
        RuntimeError: the iterator raised an error; the message is its traceback in the child.
    """
    source, target = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(source)
        _send(items, target)
    os.close(target)
    try:
        data, late = _received(source, time.monotonic() + seconds)
    finally:
        os.close(source)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it has sent all that it had, or takes too long
        status = os.waitpid(pid, 0)[1]
    found, ended = _unpickled(data)
    if isinstance(ended, Failure):
        raise RuntimeError(f"in the child process:\n{ended.traceback}")
    if ended:
        return found, ""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    how = f"with signal {number} ({signal.Signals(number).name})" if number else "at once"
    return found, f"takes more than {seconds:g} s" if late else f"ends the process {how}"


def _send(items, target):
    """In the child: write the items, then None or the error that ended them; never return."""
    try:
        faulthandler.disable()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with os.fdopen(target, "wb") as out:
            last = None
            try:
                if torch := sys.modules.get("torch"):
                    torch.set_num_threads(1)  # the pool of OpenMP's threads has stayed behind
                for item in items:
                    pickle.dump(item, out)
                    out.flush()
            except Exception:
                last = Failure(traceback.format_exc())
            pickle.dump(last, out)
    finally:
        os._exit(0)


def _received(source, deadline):
    """(all bytes until the other end is closed, whether that took too long)."""
    data = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        if select.select([source], [], [], left)[0]:
            part = os.read(source, 1 << 16)
            if not part:
                return bytes(data), False
            data += part
    return bytes(data), True


def _unpickled(data):
    """(the items, True if the None after the last one came, the Failure if an error ended them)."""
    found, stream = [], io.BytesIO(data)
    while True:
        try:
            item = pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return found, False
        if item is None or isinstance(item, Failure):
            return found, item or True
        found.append(item)
