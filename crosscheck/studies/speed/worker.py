"""The process of one contender, requests in and answers out.

    python -m crosscheck.studies.speed.worker MODULE FUNCTION THREADS

It knows nothing of the other contenders, so that no thread pool of theirs runs here.  Workers with
one thread are all kept on the same processor where the system allows it: there each has one,
however many threads it starts.
"""

from __future__ import annotations

import cProfile
import gc
import os
import pickle
import pstats
import sys
from importlib import import_module
from time import perf_counter, process_time


#: Bytes of a block whose release makes the C library keep the memory of smaller arrays: else it
#: returns it to the system at some calls, which then take twice as long, depending on what ran
#: before.
LARGE = 2 ** 24


class Contender:
    """Answers the requests, each of which is a method."""

    def __init__(self, module, function):
        self.module = import_module(module)
        bytearray(LARGE)
        self.function = function

    def prepare(self, problem, data):
        """Make the program, and run it once: the value and the gradients, as arrays."""
        self.run = getattr(self.module, self.function)(problem, data)
        return self.module.arrays(self.run())

    def warm_up(self, seconds):
        """Run for so long, at least twice; seconds of the fastest call."""
        end, fastest, calls = perf_counter() + seconds, float("inf"), 0
        while calls < 2 or perf_counter() < end:
            fastest = min(fastest, self.block(1)[0])
            calls += 1
        return fastest

    def block(self, calls):
        """(seconds of a call, processor time relative to it), after a call that refills the
        caches."""
        gc.collect(0)
        gc.disable()
        self.run()
        processor, start = process_time(), perf_counter()
        for _ in range(calls):
            result = self.run()  # noqa: F841  (kept until the next is there, as by a user)
        wall, used = perf_counter() - start, process_time() - processor
        gc.enable()
        return wall / calls, used / wall


    def profile(self, calls):
        """path -> seconds in the functions of that file, in so many calls."""
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(calls):
            self.run()
        profiler.disable()
        seconds = {}
        for (path, _, _), (_, _, own, _, _) in pstats.Stats(profiler).stats.items():
            seconds[path] = seconds.get(path, 0.0) + own
        return seconds


def main(module, function, threads):
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    contender = None
    while True:
        try:
            request, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            contender = contender or Contender(module, function)
            answer = None, getattr(contender, request)(*arguments)
        except Exception as error:
            answer = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}", None
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
