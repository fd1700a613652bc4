"""Who takes part, and the worker process in which each lives."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from shutil import which

from .networks import NETWORKS

#: The variables by which libraries are told how many threads they may start.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
             "VECLIB_MAXIMUM_THREADS", "NPROC", "TORCHINDUCTOR_COMPILE_THREADS")


def thread_counts():
    """One thread, and what libraries start if nobody tells them: one for each processor."""
    processors = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                  else os.cpu_count())
    return tuple(dict.fromkeys((1, processors)))


def environment(threads):
    """The variables of a process in which every library has so many threads."""
    eigen = "false" if threads == 1 else "true"
    return {**os.environ, **dict.fromkeys(VARIABLES, str(threads)), "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen}"}


def in_words(threads):
    return "one thread" if threads == 1 else f"{threads} threads"


HAND, OURS, WRITTEN = "NumPy by hand", "refgrad", "refgrad.jit"


@dataclass(frozen=True)
class Contender:
    """`module` has ``prepare(problem, data)``, or what `function` names, and ``arrays(result)``."""

    name: str
    module: str
    package: str
    function: str = "prepare"
    lacks: tuple = ()        # kinds of problems; also those that it takes minutes to compile
    full_only: bool = False  # what takes long to compile
    needs: tuple = ()        # programs, of which one must be there

    @property
    def version(self):
        return f"{self.package} {version(self.package)}"

    def can_run(self):
        try:
            version(self.package)
        except PackageNotFoundError:
            return False
        return not self.needs or any(map(which, self.needs))

    def takes(self, problem):
        return problem.kind not in self.lacks


CONTENDERS = (
    Contender(HAND, "crosscheck.studies.speed.numpy_by_hand", "numpy"),
    Contender(OURS, "crosscheck.studies.speed.refgrad_side", "refgrad"),
    Contender(WRITTEN, "crosscheck.studies.speed.refgrad_side", "refgrad", function="prepare_jit"),
    Contender("torch", "crosscheck.studies.speed.peers.torch_speed", "torch"),
    Contender("torch.compile", "crosscheck.studies.speed.peers.torch_speed", "torch",
              function="prepare_compiled", full_only=True, lacks=("hvp", "steps"),
              needs=(os.environ.get("CXX", "g++"), "clang++")),
    Contender("jax.jit", "crosscheck.studies.speed.peers.jax_speed", "jax"),
    Contender("HIPS autograd", "crosscheck.studies.speed.peers.autograd_speed", "autograd",
              lacks=("hvp", *NETWORKS)),
    Contender("MyGrad", "crosscheck.studies.speed.peers.mygrad_speed", "mygrad",
              lacks=("hvp", *NETWORKS)),
)


def present(quick):
    """The contenders that can take part here."""
    return [c for c in CONTENDERS if c.can_run() and not (quick and c.full_only)]


class Failed(Exception):
    """A contender raised an error, or its process died."""


class Worker:
    """A contender in a process of its own, which Ctrl-C does not reach; used as a context."""

    def __init__(self, contender, threads=1):
        self.contender, self.threads = contender, threads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crosscheck.studies.speed.worker", contender.module,
             contender.function, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True, env=environment(threads))

    def ask(self, request, *arguments):
        """What the worker answers; raises Failed."""
        try:
            pickle.dump((request, arguments), self.process.stdin)
            self.process.stdin.flush()
            error, answer = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise Failed(f"{self.contender.name}: its process ended") from None
        if error:
            raise Failed(f"{self.contender.name}: {error}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with suppress(OSError):  # what a dead process did not take is still in the buffer
            self.process.stdin.close()
