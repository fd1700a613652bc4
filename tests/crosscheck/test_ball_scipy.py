"""SciPy's special functions on balls: containment and tightness in every arithmetic."""

import numpy as np
import pytest

from tests.rules import CASES

from .balls import check
from crosscheck.ball import Ball, arithmetic

pytest.importorskip("scipy.special")
SPECIAL = [(rule, case) for rule, case in CASES
           if rule.name.startswith("scipy.special")]


@pytest.mark.parametrize("rule, case", SPECIAL,
                         ids=[f"{rule.name}{case!r}" for rule, case in SPECIAL])
def test_function(rule, case):
    check(case.program(rule.function), case.draw(np.random.default_rng(3)), {})


@pytest.mark.parametrize("rule, case", SPECIAL,
                         ids=[f"{rule.name}{case!r}" for rule, case in SPECIAL])
def test_wide_balls_contain_their_parts(rule, case):
    arrays, program = case.draw(np.random.default_rng(3)), case.program(rule.function)
    with arithmetic(300):
        wide = program(*(Ball(x, np.abs(x) * 2.0 ** -12) for x in arrays))
        thin = program(*(Ball(x * (1 + 2.0 ** -13)) for x in arrays))
    assert np.all(wide.contains(thin))
