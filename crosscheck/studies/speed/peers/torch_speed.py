"""torch, eager and compiled, on tensors that are there already."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional

from ..networks import in_turn
from ..problems import loss_of, stepped


def _l2_penalty(parameters, weight_decay):
    return sum(torch.sum(torch.square(W)) for W in parameters) * (weight_decay / 2)


F = SimpleNamespace(**{name: getattr(torch.nn.functional, name) for name in (
    "linear", "relu", "batch_norm", "cross_entropy", "mse_loss", "conv2d", "max_pool2d",
    "layer_norm", "scaled_dot_product_attention", "gelu")},
    tanh=torch.tanh, sin=torch.sin, sum=torch.sum, l2_penalty=_l2_penalty,
    lstm_cell=torch.lstm_cell, zeros_like=torch.zeros_like, in_turn=in_turn)


def prepare(problem, data, compiled=False):
    x, y = torch.tensor(data.x), torch.tensor(data.y)
    p = [torch.tensor(a, requires_grad=True) for a in data.parameters]

    loss = loss_of(problem)

    def program(p):
        return loss(F, problem, p, x, y)

    if problem.kind == "hvp":
        return _hessian_vector(program, p, [torch.tensor(a) for a in data.along])
    if compiled:
        torch.compiler.reset()
        program = torch.compile(program)

    def both():
        value = program(p)
        return value, torch.autograd.grad(value, p)

    @torch.no_grad()
    def step():
        with torch.enable_grad():
            value, gradients = both()
        return value, stepped(p, gradients)

    return step if problem.kind == "train" else both


def prepare_compiled(problem, data):
    return prepare(problem, data, compiled=True)


def _hessian_vector(program, p, along):
    """The gradient's vjp: the Hessian is symmetric."""
    def product():
        gradient = torch.autograd.grad(program(p), p, create_graph=True)
        return None, torch.autograd.grad(gradient, p, grad_outputs=along)

    return product


def arrays(result):
    value, gradients = result
    return None if value is None else value.item(), [g.numpy() for g in gradients]
