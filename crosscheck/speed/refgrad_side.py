"""refgrad: the transform of a program that its user would write."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import refgrad as rg
from refgrad import nn

from .problems import loss

F = SimpleNamespace(**{name: getattr(nn, name) for name in (
    "linear", "relu", "tanh", "batch_norm", "cross_entropy", "mse_loss", "l2_penalty")}, sin=np.sin, sum=np.sum)


def prepare(problem, data):
    def program(p):
        return loss(F, problem, p, data.x, data.y)

    if problem.kind == "hvp":
        return lambda: (None, rg.hvp(program, (data.parameters,), (data.along,))[0])
    both = rg.value_and_grad(program)
    return lambda: both(data.parameters)


def arrays(result):
    value, gradients = result
    return None if value is None else float(value), gradients
