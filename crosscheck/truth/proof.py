"""Proving one function's rules: every way to its derivatives, in ball arithmetic, against differences of the function.

A function of several arrays with any result y is made scalar by a random G: s(x) = <G, y(x)>.  The gradient of s is the
vjp of G, its slope along v is <G, jvp(v)>; so the differences of s test both, and that they agree is their duality.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from refgrad import custom

from ..ball import Ball, arithmetic
from .exact import differentiate, enclosures
from ..subjects.libraries.refgrad_modes import MODES


@dataclass
class Proof:
    """Digits of agreement with differences, by order of derivative; and what disagreed."""

    digits: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)

    def holds(self, digits=40):
        return not self.faults and min(self.digits.values()) >= digits


def prove(program, arrays, rng):
    """The `Proof` of ``program(*arrays)``: both orders, in all modes, each argument alone and together."""
    x = {str(i): a for i, a in enumerate(arrays)}
    weights = Ball(_normal(rng, np.shape(program(*arrays))))
    u, v = ({k: Ball(_normal(rng, a.shape)) for k, a in x.items()} for _ in range(2))

    # A primitive of its own, so that a fault in the rule of np.sum cannot cancel itself.
    weigh = custom(lambda y: np.sum(y * weights))
    weigh.def_jvp(lambda tangents, s, y: np.sum(tangents[0] * weights))
    weigh.def_vjp(lambda g, s, y: (g * weights,))

    def f(x):
        return weigh(program(*x.values()))

    truth = differentiate(f, x, u, v, int(rng.integers(2**32)), dtypes=())
    proof = Proof()
    if truth.undecided:
        proof.faults.append(f"undecided: {truth.undecided}")
        return proof
    for (order, name), agreement in truth.agreement.items():
        proof.digits[order] = min(agreement.digits, proof.digits.get(order, np.inf))
        if agreement.kink:
            proof.faults.append(f"argument {name} is at a kink: {agreement.kink}")
        elif agreement.open:
            proof.faults.append(f"order {order}, argument {name}: {agreement.open}")
        elif not agreement.digits >= 40:
            proof.faults.append(f"order {order}, argument {name}: {agreement.digits:.1f} digits")
    with arithmetic(truth.bits):
        for mode in MODES:
            for name, ball in enclosures(mode, f, {k: Ball(a) for k, a in x.items()}, u, v).items():
                if not np.all(ball.overlaps(truth.derivatives[mode][name])):
                    proof.faults.append(f"{mode}, argument {name}: disagrees with reverse mode")
    return proof


def _normal(rng, shape):
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)
