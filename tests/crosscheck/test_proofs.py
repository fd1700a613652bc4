"""Each rule proved in ball arithmetic: vjp and jvp, first and second order, and their duality."""

import numpy as np
import pytest

from crosscheck.proof import prove
from tests.rules import VARYING, derivatives, drawn, each, negative


def proof_of(rule, case):
    return prove(*drawn(rule, case, seed=0))


@each(VARYING)
def test_rule(rule, case):
    proof = proof_of(rule, case)
    assert not proof.faults
    assert min(proof.digits.values(), default=np.inf) >= 40


@pytest.mark.parametrize("rule, mode, argument", derivatives())
def test_every_turned_sign_is_noticed(rule, mode, argument, monkeypatch):
    monkeypatch.setattr(rule, mode, negative(getattr(rule, mode), argument))
    assert any(proof_of(rule, case).faults for case in rule.cases)
