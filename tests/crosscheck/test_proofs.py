"""Each rule proved in ball arithmetic: vjp and jvp, first and second order, and their duality."""

import numpy as np
import pytest

import refgrad  # noqa: F401  (declares the rules)
from crosscheck.proof import prove
from refgrad.primitive import CONSTANT, TABLE, Each, Primitive
from tests.turned_signs import negative


def rules():
    for rule in TABLE.values():
        if rule.kind is not CONSTANT:
            for n, case in enumerate(rule.cases):
                yield pytest.param(rule, case, id=f"{rule.name}-{n}")


def proof_of(rule, case, seed=0):
    rng = np.random.default_rng(seed)
    return prove(case.program(rule.function or rule), case.draw(rng), rng)


@pytest.mark.parametrize("rule, case", list(rules()))
def test_rule(rule, case):
    proof = proof_of(rule, case)
    assert not proof.faults
    assert min(proof.digits.values(), default=np.inf) >= 40


def signs():
    for rule in TABLE.values():
        if isinstance(rule, Primitive) and rule.kind is not CONSTANT:
            for which in ("vjp", "jvp"):
                found = getattr(rule, which)
                for i in range(1 if isinstance(found, Each) else len(found or ())):
                    if isinstance(found, Each) or found[i] is not None:
                        yield pytest.param(rule, which, i, id=f"{rule.name}-{which}-{i}")


@pytest.mark.parametrize("rule, which, argument", list(signs()))
def test_every_turned_sign_is_noticed(rule, which, argument, monkeypatch):
    monkeypatch.setattr(rule, which, negative(getattr(rule, which), argument))
    assert any(proof_of(rule, case).faults for case in rule.cases)
