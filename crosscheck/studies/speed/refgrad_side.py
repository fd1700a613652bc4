"""refgrad: the transform of a program that its user would write, without jit and with it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import refgrad as rg
from refgrad import nn

from .networks import in_turn
from .problems import loss_of, stepped

F = SimpleNamespace(**{name: getattr(nn, name) for name in (
    "linear", "relu", "tanh", "batch_norm", "cross_entropy", "mse_loss", "l2_penalty", "conv2d",
    "max_pool2d", "layer_norm", "scaled_dot_product_attention", "gelu", "lstm_cell")},
    sin=np.sin, sum=np.sum, zeros_like=np.zeros_like, in_turn=in_turn)


def prepare(problem, data):
    f, arguments = _function(problem, data)
    return lambda: f(*arguments)


def prepare_jit(problem, data):
    f, arguments = _function(problem, data)
    fast = rg.jit(f)
    return lambda: fast(*arguments)


def _function(problem, data):
    """What is timed, as a function of the arrays that change from call to call in use."""
    loss = loss_of(problem)

    def program(p, x, y):
        return loss(F, problem, p, x, y)

    both = rg.value_and_grad(program)

    def step(p, x, y):
        value, gradients = both(p, x, y)
        return value, stepped(p, gradients)

    def product(p, v, x, y):
        return None, rg.hvp(lambda p: program(p, x, y), (p,), (v,))[0]

    p, x, y = data.parameters, data.x, data.y
    if problem.kind == "hvp":
        return product, (p, data.along, x, y)
    return (step if problem.kind == "train" else both), (p, x, y)


def arrays(result):
    value, gradients = result
    return None if value is None else float(value), gradients
