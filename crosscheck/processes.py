"""A pool of worker processes, with the interface of concurrent.futures, that survives the death of
a worker.

(The pool of concurrent.futures itself gives up all running tasks when one process dies.)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from concurrent.futures import Executor, ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler

#: So many workers may die of the same task before it is given up.
TRIES = 3


class WorkerLost(Exception):
    """A task was given up because every worker that had it died."""


class RemoteError(Exception):
    """The cause of an error that a task raised in a worker: its traceback there, as text."""

    def __str__(self):
        return f"\n{self.args[0]}"


class Processes(Executor):
    """A pool of new processes; one that dies is replaced, and its task is repeated.

    A thread of this process serves each.  They ignore Ctrl-C, which this process handles, and end
    when it ends.
    """

    def __init__(self, count):
        self._threads = ThreadPoolExecutor(count)
        self._closing = False
        self._all = [_Worker() for _ in range(count)]
        self._idle = list(self._all)

    def submit(self, function, /, *arguments, **named):
        # Pickled here, where an error of pickling belongs to who hands the task in.
        return self._threads.submit(self._done,
                                    bytes(ForkingPickler.dumps((function, arguments, named))))

    def _done(self, task):
        worker = self._idle.pop()  # there are as many as threads
        try:
            for _ in range(TRIES):
                if answer := worker.answer(task):
                    return _unpacked(*answer)
                if self._closing:
                    break
                worker.start()
        finally:
            self._idle.append(worker)
        raise WorkerLost(f"{TRIES} worker processes died of the same task (too little memory?)")

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Without `cancel_futures` all tasks are done first; with it those under way are given up,
        too."""
        if cancel_futures:
            self._closing = True
            for worker in self._all:
                worker.end()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._all:
            worker.end()


class _Worker:
    """A process, and the connection to it."""

    def __init__(self):
        self.start()

    def start(self):
        """A new process, in the place of one that may be there."""
        here, there = multiprocessing.Pipe()
        # A fresh one: a forked copy of a process with running thread pools may hang.
        self.process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,),
                                                                    daemon=True)
        with _interrupts_ignored(), _own_modules_only():
            self.process.start()
        there.close()
        self.connection = here

    def answer(self, task):
        """(whether it went well, what the task gave or raised), None if the process dies of it."""
        try:
            self.connection.send_bytes(task)
            return pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def end(self):
        self.process.kill()
        self.process.join()


def _unpacked(good, found):
    """What a task gave, or the error that it raised."""
    if good:
        return found
    error, trace = found
    raise error from RemoteError(trace)


def _serve(connection):
    """In the worker: do the tasks that come, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments, named = pickle.loads(connection.recv_bytes())
            try:
                answer = True, function(*arguments, **named)
            except Exception as error:
                answer = False, (error, traceback.format_exc())
            connection.send_bytes(_pickled(answer))


def _pickled(answer):
    """The bytes of an answer; of an error that cannot be pickled, those of a RuntimeError that
    tells of it."""
    try:
        data = bytes(ForkingPickler.dumps(answer))
        pickle.loads(data)
        return data
    except Exception as error:
        told = RuntimeError(f"what a worker found cannot be sent: {error!r}; "
                            f"it was {answer[1]!r:.500}")
        return bytes(ForkingPickler.dumps((False, (told, ""))))


def _end_with_parent():
    """End this process when the one that started it ends, by whatever signal."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextlib.contextmanager
def _interrupts_ignored():
    """Ctrl-C reaches all processes: those that are started in here leave it to this one."""
    if threading.current_thread() is not threading.main_thread():  # which has no say about signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_starting = threading.Lock()


@contextlib.contextmanager
def _own_modules_only():
    """Python processes that are started in here do not look for the standard library in the current
    folder first."""
    with _starting:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = before
