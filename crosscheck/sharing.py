"""Distributes independent tasks through the interface of concurrent.futures: in this process, to
worker processes or to a cluster."""

from __future__ import annotations

import platform
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from threading import Lock

from .processes import Processes, WorkerLost

#: How many tasks are handed in at once for each worker: enough that no worker waits, few enough to
#: fit into memory.
AHEAD = 4

#: How many seconds a cluster may take until it has its first worker.
PATIENCE = 60

#: The packages on which the numbers in the tables depend.
PACKAGES = ("numpy", "torch", "python-flint")


class ClusterError(Exception):
    """A cluster that cannot be used; says why and what to do."""


class ClusterLost(WorkerLost):
    """The cluster as a whole is gone."""


class Here(Executor):
    """This process: a task is done where it is handed in."""

    def submit(self, function, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def share_out(function, tasks, workers, tick):
    """``function(task)`` for all tasks: (position -> result, why it stopped or "").

    workers  how many processes share the work, or the address of a cluster; the results are the
             same

    Interrupted (Ctrl-C), it returns what is finished.  `tick` is called with each task that is.
    """
    found = {}
    try:
        for n, task, future in finished(function, enumerate(tasks), workers):
            found[n] = result_of(future)
            tick(task)
    except KeyboardInterrupt:
        return found, "interrupted"
    except WorkerLost as error:
        return found, str(error)
    return found, ""


def finished(function, tasks, workers):
    """(key, task, the Future of ``function(task)``) of each (key, task) as it is finished; few are
    under way at once.
    """
    tasks, under_way = iter(tasks), {}
    with executor(workers) as (pool, most):
        while True:
            for key, task in islice(tasks, max(most() - len(under_way), 0)):
                under_way[pool.submit(function, task)] = key, task
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield *under_way.pop(future), future


def result_of(future):
    """What a task gave.  Raises WorkerLost for one of which too many workers died, ClusterLost if
    none is left."""
    try:
        return future.result()
    except CancelledError:
        raise ClusterLost("the cluster has given up the tasks (is its scheduler gone?)") from None
    except Exception as error:
        # Distributed's, which is imported only where it is used.
        if type(error).__name__ != "KilledWorker":
            raise
        raise WorkerLost("several workers of the cluster died of the same task (too little "
                         "memory?)") from error


@contextmanager
def executor(workers):
    """(an Executor, a function that says how many tasks shall be under way), see `share_out` for
    `workers`.

    At the end of the block, and at an error in it, what is still under way is given up.
    """
    if workers == 1:
        yield Here(), lambda: 1
    elif isinstance(workers, int):
        pool = Processes(workers)
        try:
            yield pool, lambda: AHEAD * workers
        finally:
            pool.shutdown(cancel_futures=True)
    else:
        with _client(workers) as client, client.get_executor(pure=False) as pool:
            try:
                yield _OneAtATime(pool), lambda: AHEAD * max(len(client.nthreads()), 1)
            finally:
                pool.shutdown(wait=False)  # which cancels what is under way


@contextmanager
def _client(address):
    """distributed's Client, closed at the end."""
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("--cluster needs the package distributed, which is not installed: "
                           'pip install "refgrad[cluster]"') from None
    try:
        client = Client(address, set_as_default=False, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"--cluster {address}: there is no scheduler that answers ({error}); "
                           "start one with 'dask scheduler' and workers with 'dask worker ADDRESS "
                           "--nthreads 1'") from None
    with client:
        _same_everywhere(client, address)
        yield client


def _same_everywhere(client, address):
    """Raise ClusterError where a worker has other versions than this process, and so might find
    other numbers."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise ClusterError(f"--cluster {address}: no worker came in {PATIENCE} s; start some with "
                           f"'dask worker {address} --nthreads 1'") from None
    mine = versions()
    for worker, theirs in client.run(versions, on_error="return").items():
        if isinstance(theirs, Exception):
            raise ClusterError(f"--cluster {address}: {worker} cannot import crosscheck "
                               f"({theirs}); install the same "
                               'version there: pip install "refgrad[crosscheck,cluster]"')
        if other := [f"{p} {theirs[p]} and not {v}" for p, v in mine.items() if theirs[p] != v]:
            raise ClusterError(f"--cluster {address}: {worker} has {', '.join(other)}; "
                               "install the same versions there")


def versions():
    """package -> its version, in this process."""
    import refgrad  # not above: help and errors shall come at once
    return {"Python": platform.python_version(), "refgrad": refgrad.__version__,
            **{p: version(p) for p in PACKAGES}}


class _OneAtATime(Executor):
    """A pool on whose workers one task runs at a time, however many threads they have."""

    def __init__(self, pool):
        self.pool = pool

    def submit(self, function, /, *arguments, **named):
        return self.pool.submit(alone, function, *arguments, **named)


#: Held by the task that runs in this process: the precision of ball arithmetic belongs to the whole
#: process.
_RUNNING = Lock()


def alone(function, /, *arguments, **named):
    """``function(*arguments, **named)`` while no other task runs in this process."""
    with _RUNNING:
        return function(*arguments, **named)
