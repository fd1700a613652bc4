"""No rule loses more than half of its digits: derivatives up to the third, at all scales, against balls."""

import numpy as np
import pytest

from crosscheck.ball import Undecided
from refgrad.primitive import CONSTANT, KINKED, TABLE

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
