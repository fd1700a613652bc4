"""Measuring time fairly: contenders agree, and take turns, on the same number of threads.

What is measured is processor time, which leaves out how long others had the processor.  What else
slows the machine down slows all alike, since they take turns; the median of the turns is what
counts, and the quartiles tell how steady it was.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from time import perf_counter, process_time

import numpy as np

from ..subjects.libraries import torch_library

EPS = float(np.finfo(float).eps)

#: How far right answers may be apart, as parts of the largest entry.  Rounding is orders of
#: magnitude below the first, and the error of a central difference with its best step, eps^(1/3),
#: is about eps^(2/3); a wrong rule is off by far more than either.
ROUNDING, DIFFERENCES = EPS ** (1 / 2), EPS ** (1 / 3)


class Disagreement(AssertionError):
    """Two contenders computed different things: their times cannot be compared."""


def agree(who, found, expected, limit=ROUNDING):
    """Raise Disagreement unless `found` is within `limit` times the largest entry of `expected`."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise Disagreement(f"{who}: shape {found.shape}, expected {expected.shape}")
    scale = float(np.max(np.abs(expected), initial=0.0))
    apart = float(np.max(np.abs(found - expected), initial=0.0))
    if not apart <= limit * scale:  # also when it is nan
        raise Disagreement(f"{who}: off by {apart:.3g} where the largest entry is {scale:.3g}; at "
                           f"most {limit * scale:.3g} could be rounding, so their times cannot be "
                           "compared")


#: A turn takes at least so many seconds, in several calls if need be, so that what rivals left in
#: the caches does not matter; but it has at most so many calls.
TURN, CALLS = 2e-3, 32


def take_turns(contenders, budget, least=3, most=31, check=lambda name, result: None):
    """{name: seconds of a call, for each turn} for a dict of functions without arguments.

    `budget` is in seconds, for all together; there are at least `least` turns and at most `most`.
    ``check(name, result)`` sees the results of the first turn, and raises if they cannot be
    compared.
    """
    seconds = {name: [] for name in contenders}
    end = perf_counter() + budget
    for turn in range(most):
        if turn >= least and perf_counter() > end:
            break
        for name, run in contenders.items():
            taken, result = _turn(run)
            if turn == 0:
                check(name, result)
            seconds[name].append(taken)
    return {name: np.array(s) for name, s in seconds.items()}


def _turn(run):
    """(seconds of a call, result), without garbage collections in between."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = process_time()
        for calls in range(1, CALLS + 1):
            result = run()
            taken = process_time() - start
            if taken > TURN:
                break
        return taken / calls, result
    finally:
        if enabled:
            gc.enable()


def spread(seconds):
    """The median and the quartiles, as columns."""
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return {"seconds": middle, "seconds_low": low, "seconds_high": high, "repeats": len(seconds)}


@contextmanager
def equal_threads():
    """NumPy's BLAS and torch on one thread each; yields the number.

    One, because two threads that wait for each other wait for whatever else the machine does.
    Where threadpoolctl is missing (it comes with scikit-learn) BLAS cannot be told, and torch gets
    the number that BLAS takes by itself.
    """
    with _limited_blas(1) as limited:
        threads = 1 if limited else _blas_threads()
        with torch_library.threads(threads):
            yield threads


@contextmanager
def _limited_blas(threads):
    """Yields whether it could be done."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield False
        return
    with threadpool_limits(threads, user_api="blas"):
        yield True


def _blas_threads():
    asked = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    return int(asked) if asked else os.cpu_count() or 1
