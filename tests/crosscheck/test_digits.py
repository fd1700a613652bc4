"""No rule loses more than half of its digits: derivatives up to the third, at all scales, against balls."""

import numpy as np
import pytest

from crosscheck.ball import Undecided
from refgrad.primitive import CONSTANT, KINKED, TABLE

from . import digits

ENTRIES = [(rule, case) for rule in TABLE.values() if rule.kind is not CONSTANT for case in rule.cases]
NAMES = [f"{rule.name}-{rule.cases.index(case)}" for rule, case in ENTRIES]


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


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16], ids=lambda d: d.__name__)
@pytest.mark.parametrize("rule, case", ENTRIES, ids=NAMES)
def test_digits(rule, case, dtype, mode, full):
    found, undecided = short(rule, case, dtype, mode, 64)
    assert not found, "\n".join(map(str, found[:5]))
    assert not undecided or rule.kind is KINKED, f"open at {undecided}"
