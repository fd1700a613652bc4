"""Independent tasks shared out among worker processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager


def share_out(function, tasks, workers, tick):
    """``function(task)`` for all tasks, in this process or in several: (position -> result, why it stopped or "").

    Interrupted (Ctrl-C), it returns what is finished.  `tick` is called with each task that is.
    """
    found = {}
    try:
        if workers == 1:
            for n, task in enumerate(tasks):
                found[n] = function(task)
                tick(task)
        else:
            _among_processes(function, tasks, workers, found, tick)
    except KeyboardInterrupt:
        return found, "interrupted"
    except BrokenProcessPool:
        return found, "a worker process died (too little memory?)"
    return found, ""


def _among_processes(function, tasks, workers, found, tick):
    others = multiprocessing.active_children()
    # Fresh processes: a forked copy of a process with running thread pools may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        with _interrupts_ignored():
            futures = {pool.submit(function, task): n for n, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                tick(tasks[futures[future]])
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()).difference(others):
                worker.terminate()
            raise


@contextmanager
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
