"""No rule loses more than half of its digits: derivatives up to the third, at all scales.

A sample runs by default; ``pytest --full tests/crosscheck/test_digits.py`` takes every rule in
float64, float32 and float16, in both modes, at ten times as many points.
"""

import numpy as np
import pytest

from crosscheck.ball import Undecided
from refgrad.nn.losses import _cross_entropy
from refgrad.nn.softmax import balance, deviation, log_total
from refgrad.primitive import CONSTANT, KINKED, TABLE
from refgrad.rules import determinants, elementwise, reductions

from . import digits

DTYPES, MODES = (np.float64, np.float32, np.float16), ("forward", "reverse")
WAYS = [(dtype, mode) for dtype in DTYPES for mode in MODES]


def entries():
    """Every case of every rule; of a pointwise function one for each set of parameters.

    The shapes of its cases do not matter: its points are drawn as one vector.
    """
    for rule in TABLE.values():
        seen = []
        for n, case in enumerate(rule.cases if rule.kind is not CONSTANT else ()):
            what = repr(case.params), case.domains, case.call
            if not (getattr(rule, "pointwise", False) and what in seen):
                yield rule, case, f"{rule.name}-{n}"
            seen.append(what)


ENTRIES = list(entries())


def short(rule, case, dtype, mode, count, seed=0):
    """(entries with too few digits, points at which a comparison was open)"""
    rng, found, undecided = np.random.default_rng(seed), [], []
    queue = list(digits.trials(rule, case, dtype, count, rng))
    while queue:
        program, weights, arrays, directions, pointwise = trial = queue.pop()
        try:
            found += digits.losses(*trial[:-1], dtype, mode, pointwise, rng)
        except Undecided:
            if pointwise and len(weights) > 1:
                queue += digits.apart(*trial)
            else:
                undecided.append([x.tolist() for x in arrays])
    return found, undecided


@pytest.mark.parametrize("number", range(len(ENTRIES)), ids=[name for *_, name in ENTRIES])
def test_digits(number, full):
    rule, case, _ = ENTRIES[number]
    ways = WAYS if full else [(np.float64, MODES[number % 2]), WAYS[number % len(WAYS)]]
    for dtype, mode in ways:
        found, undecided = short(rule, case, dtype, mode, 256 if full else 24)
        where = f"{dtype.__name__}, {mode} mode"
        assert not found, f"{where}: " + "\n".join(map(str, found[:5]))
        assert not undecided or rule.kind is KINKED, f"{where}: open at {undecided[:5]}"


# Faults: formulas that are right, and lose digits


def sinc_by_recurrence(x, order):
    s = np.sinc(x)
    for n in range(1, order + 1):
        s = (np.pi ** (n - 1) * np.sin(np.pi * x + n * np.pi / 2) - n * s) / x
    return s


#: name -> (function, partial derivatives in the place of its own)
SLOPES = {
    "arcsin": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x))),
    "arccos": (np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x))),
    "arctanh": (np.arctanh, lambda x: 1 / ((1 - x) * (1 + x))),
    "tanh": (np.tanh, lambda y: 1 - y * y),
    "hypot": (np.hypot, lambda y, a: a / y, lambda y, b: b / y),
    "arctan2": (np.arctan2, lambda a, b: b / (a * a + b * b), lambda a, b: -a / (a * a + b * b)),
    "logaddexp": (np.logaddexp, lambda a, b: np.exp(-np.logaddexp(0, b - a)),
                  lambda a, b: np.exp(-np.logaddexp(0, a - b))),
    "sigmoid": (elementwise.logistic, lambda y: y * (1 - y)),
}
#: name -> (primitive, how it computes, the function in whose derivatives it shows)
FORWARDS = {
    "sinc": (elementwise.sinc_derivative, sinc_by_recurrence, elementwise.sinc_derivative),
    "norm": (reductions.norm, reductions.norm.formula, reductions.norm),
    "deviation": (deviation, deviation.formula, deviation),
    "balance": (balance, balance.formula, balance),
    "cross_entropy": (log_total, log_total.formula, _cross_entropy),
    "det": (determinants.is_inverse, determinants.is_inverse.formula, determinants.det),
}


def is_noticed(rule):
    with np.errstate(all="ignore"):
        return any(short(rule, case, np.float64, "reverse", 24)[0] for case in rule.cases)


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_that_lose_digits_are_noticed(name, monkeypatch):
    function, *partials = SLOPES[name]
    rule = TABLE[function]
    monkeypatch.setattr(rule, "vjp", rule.named(partials))
    monkeypatch.setattr(rule, "jvp", rule.vjp)
    assert is_noticed(rule)


@pytest.mark.parametrize("name", FORWARDS)
def test_computations_that_lose_digits_are_noticed(name, monkeypatch):
    primitive, forward, shown = FORWARDS[name]
    monkeypatch.setattr(primitive, "forward", forward)
    monkeypatch.setattr(primitive, "plain", forward)
    assert is_noticed(shown)
