"""What a checker answers: a leaf, on which the checkers and what runs them stand."""

from __future__ import annotations

import warnings
from time import process_time
from typing import NamedTuple

import numpy as np

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"


class Answer(NamedTuple):
    """accepted; rejected: the checker's own word that a derivative is wrong; or error: it raised
    something else."""

    verdict: str
    seconds: float
    message: str = ""


class Refused(Exception):
    """A checker says that a derivative is wrong; its message says which."""


def ask(run, seed=0):
    """The `Answer` of a function without arguments that raises `Refused`, something else, or
    nothing."""
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


def refuse_unless_ok(report):
    """Raise `Refused` where a report calls something wrong, which undecided is not."""
    if not report.ok and report.failures:
        first = report.failures[0]
        raise Refused(f"{first.check}, {first.point}, {first.dtype}, {first.argument}: "
                      f"{first.verdict}; {first.note}")
