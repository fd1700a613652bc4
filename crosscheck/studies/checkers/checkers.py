"""The checkers that are compared, each called as its users call it, with its own settings and tolerances.

    answer = CHECKERS["torch gradcheck slow"](program, arrays)

`program` is a function of NumPy arrays that refgrad can differentiate; every checker is asked about its derivatives as
refgrad has them.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from time import process_time
from typing import NamedTuple

import numpy as np

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"

#: name -> function ``(program, arrays, seed=0) -> Answer``; the peers that are not installed are left out.
CHECKERS: dict = {}


class Answer(NamedTuple):
    """accepted; rejected: the checker's own word that a derivative is wrong; or error: it raised something else."""

    verdict: str
    seconds: float
    message: str = ""


def checker(name, needs=None):
    """Declare a checker: a function ``(program, arrays, seed)`` that raises `Refused`; `needs` is a package."""
    def register(run):
        if needs is None or find_spec(needs):
            CHECKERS[name] = lambda program, arrays, seed=0: ask(lambda: run(program, arrays, seed), seed)
        return run
    return register


class Refused(Exception):
    """A checker says that a derivative is wrong; its message says which."""


def ask(run, seed=0):
    """The `Answer` of a function without arguments that raises `Refused`, something else, or nothing."""
    state = np.random.get_state()
    np.random.seed(seed)  # HIPS autograd and JAX draw from the global generator
    start = process_time()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            run()
        verdict, message = ACCEPTED, ""
    except Refused as refusal:
        verdict, message = REJECTED, _line(refusal)
    except Exception as error:
        verdict, message = ERROR, f"{type(error).__name__}: {_line(error)}"
    finally:
        np.random.set_state(state)
    return Answer(verdict, process_time() - start, message)


def _line(error):
    """The message in one line, cut short."""
    return " ".join(str(error).split())[:150]


@checker("crosscheck")
def _(program, arrays, seed):
    from ... import check
    refuse_unless_ok(check(program, *arrays, seed=seed))


def refuse_unless_ok(report):
    if not report.ok:
        first = report.failures[0]
        raise Refused(f"{first.check}, {first.point}, {first.dtype}, {first.argument}: {first.verdict}; {first.note}")


def _torch(check, **options):
    def run(program, arrays, seed):
        from . import torch_peer
        torch_peer.check(check, program, arrays, seed, **options)
    return run


checker("torch gradcheck slow")(_torch("gradcheck"))
checker("torch gradcheck fast")(_torch("gradcheck", fast_mode=True))
checker("torch gradcheck with forward")(_torch("gradcheck", check_forward_ad=True))
checker("torch gradgradcheck")(_torch("gradgradcheck"))


@checker("jax check_grads", needs="jax")
def _(program, arrays, seed):
    from . import jax_peer
    jax_peer.check(program, arrays)


@checker("autograd check_grads", needs="autograd")
def _(program, arrays, seed):
    from . import autograd_peer
    autograd_peer.check(program, arrays)
