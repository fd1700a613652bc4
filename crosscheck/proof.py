"""Proves the rules of a function: its derivatives in every mode, in ball arithmetic, against
differences of the function.

A function of several arrays with any result y is made scalar by a random G: s(x) = <G, y(x)>.  The
gradient of s is the vjp of G, its slope along v is <G, jvp(v)>; so the differences of s test both,
and that they agree is their duality.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .modes import Mode
from .points import Point
from .subjects.arguments import Arguments
from .subjects.numpy_function import Differentiated
from .trial import Trial
from .truth.by_balls import ByBalls
from .truth.differences import REQUIRED


@dataclass
class Proof:
    """Digits of agreement with differences, by order of derivative; and what disagreed."""

    digits: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)

    def holds(self, digits=REQUIRED):
        return not self.faults and min(self.digits.values()) >= digits


def prove(program, arrays, rng):
    """The `Proof` of ``program(*arrays)``: both orders, in all modes, each argument alone and
    together."""
    x = {str(i): a for i, a in enumerate(arrays)}
    weights = [_normal(rng, np.shape(program(*arrays)))]
    u, v = ({k: _normal(rng, a.shape) for k, a in x.items()} for _ in range(2))
    subject = Differentiated(program, Arguments(list(x), arrays, range(len(x))), ("float64",))
    known = ByBalls(subject.program(), x, weights, u, v, int(rng.integers(2**32)), on_trial=True,
                    strict=True, coordinates=3)
    if known.undecided:
        return Proof(faults=[f"undecided: {known.undecided}"])
    proof = Proof()
    for (order, name), agreement in known.truth.agreement.items():
        proof.digits[order] = min(agreement.digits, proof.digits.get(order, np.inf))
        if agreement.kink or agreement.open or agreement.refuted:
            why = agreement.kink or agreement.open or f"{agreement.digits:.1f} digits"
            proof.faults.append(f"order {order}, argument {name}: {why}")
    proof.faults += [f"{f.check}, argument {f.argument}: {f.note}"
                     for f in Trial(subject, known, Point("as drawn", x)).on_balls(tuple(Mode))
                     if f.failed]
    return proof


def _normal(rng, shape):
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)
