"""No rule loses more than half of its digits: derivatives up to the third, at all scales, against balls."""

import numpy as np
import pytest

from crosscheck.ball import Undecided
from refgrad.nn.losses import _cross_entropy
from refgrad.nn.softmax import balance, deviation, log_total
from refgrad.primitive import CONSTANT, KINKED, TABLE
from refgrad.rules import elementwise, linalg, reductions

from . import digits

DTYPES, MODES = (np.float64, np.float32, np.float16), ("forward", "reverse")


def entries():
    """Every case of every rule, but one for each set of parameters of a pointwise function: shapes do not matter."""
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
    ways = [(dtype, mode) for dtype in DTYPES for mode in MODES]
    for dtype, mode in ways if full else [(np.float64, MODES[number % 2]), ways[number % 6]]:
        found, undecided = short(rule, case, dtype, mode, 256 if full else 24)
        where = f"{dtype.__name__}, {mode} mode"
        assert not found, f"{where}: " + "\n".join(map(str, found[:5]))
        assert not undecided or rule.kind is KINKED, f"{where}: a comparison is open at {undecided[:5]}"


# Faults: formulas that are right, and lose digits


def product(*partials):
    """Rules of an elementwise function with these partial derivatives."""
    return tuple(lambda v, y, *arrays, _p=p, **params: v * _p(y, *arrays, **params) for p in partials)


def sinc_by_recurrence(x, order):
    s = np.sinc(x)
    for n in range(1, order + 1):
        s = (np.pi ** (n - 1) * np.sin(np.pi * x + n * np.pi / 2) - n * s) / x
    return s


def over_sum(p, v, axis):
    return v - np.sum(p * v, axis=axis, keepdims=True)


def squared_norm_root(x, axis, keepdims):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


FAULTS = {
    "arcsin": (np.arcsin, {"rules": product(lambda _y, x: 1 / np.sqrt((1 - x) * (1 + x)))}),
    "arccos": (np.arccos, {"rules": product(lambda _y, x: -1 / np.sqrt((1 - x) * (1 + x)))}),
    "arctanh": (np.arctanh, {"rules": product(lambda _y, x: 1 / ((1 - x) * (1 + x)))}),
    "tanh": (np.tanh, {"rules": product(lambda y, _x: 1 - y * y)}),
    "hypot": (np.hypot, {"rules": product(lambda y, a, _b: a / y, lambda y, _a, b: b / y)}),
    "arctan2": (np.arctan2, {"rules": product(lambda _y, a, b: b / (a * a + b * b),
                                              lambda _y, a, b: -a / (a * a + b * b))}),
    "logaddexp": (np.logaddexp, {"rules": product(lambda _y, a, b: np.exp(-np.logaddexp(0, b - a)),
                                                  lambda _y, a, b: np.exp(-np.logaddexp(0, a - b)))}),
    "sigmoid": (elementwise.logistic, {"rules": product(lambda y, _x: y * (1 - y))}),
    "sinc": (elementwise.sinc_derivative, {"forward": sinc_by_recurrence}),
    "norm": (reductions.norm, {"forward": squared_norm_root}),
    "deviation": (deviation, {"forward": over_sum}),
    "balance": (balance, {"forward": lambda p, g, axis: g - p * np.sum(g, axis=axis, keepdims=True)}),
    "cross_entropy": (log_total, {"forward": lambda t, z, axis: np.log(t)}),
    "det": (linalg.is_inverse, {"forward": lambda Y, A: True}),
}
#: Where a fault shows that does not show in the rule's own cases.
SHOWS_IN = {"cross_entropy": _cross_entropy, "det": linalg.det}


@pytest.mark.parametrize("name", FAULTS)
def test_a_formula_that_loses_digits_is_noticed(name, monkeypatch):
    function, fault = FAULTS[name]
    rule = TABLE[function]
    if "rules" in fault:
        monkeypatch.setattr(rule, "vjp", fault["rules"])
        monkeypatch.setattr(rule, "jvp", fault["rules"])
    if "forward" in fault:
        monkeypatch.setattr(rule, "forward", fault["forward"])
        monkeypatch.setattr(rule, "plain", fault["forward"])
    shown = SHOWS_IN.get(name, rule)
    with np.errstate(all="ignore"):
        assert any(short(shown, case, np.float64, "reverse", 24)[0] for case in shown.cases)
