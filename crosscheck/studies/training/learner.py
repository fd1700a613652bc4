"""A net in training by gradient descent with momentum, by the functions of refgrad or of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch

from refgrad import nn, value_and_grad

from .nets import loss

MOMENTUM = 0.9


@dataclass(frozen=True)
class Library:
    """F: its functions, see `nets`; array: makes its array of NumPy's;
    differentiate: f, p -> ((f(p), more), gradient) where f gives (f(p), more)."""

    name: str
    F: SimpleNamespace
    array: Callable
    differentiate: Callable


def _refgrad_batch_norm(h, statistics, weight, bias, training):
    if not training:
        return nn.batch_norm(h, *statistics, weight, bias), statistics
    y = nn.batch_norm(h, None, None, weight, bias, training=True)
    return y, nn.running_statistics(h, *statistics)


def _torch_batch_norm(h, statistics, weight, bias, training):
    statistics = [a.clone() for a in statistics]  # torch overwrites them
    return torch.nn.functional.batch_norm(h, *statistics, weight, bias, training), statistics


def _torch_l2_penalty(weights, weight_decay):
    return sum(torch.sum(torch.square(W)) for W in weights) * (weight_decay / 2)


def _torch_differentiate(f, p):
    leaves = {k: a.detach().requires_grad_() for k, a in p.items()}
    value, more = f(leaves)
    found = torch.autograd.grad(value, list(leaves.values()))
    return (value.detach(), more), dict(zip(leaves, found))


REFGRAD = Library(
    "refgrad", SimpleNamespace(**{**vars(nn), "batch_norm": _refgrad_batch_norm}), np.asarray,
    lambda f, p: value_and_grad(f, has_aux=True)(p))
TORCH = Library(
    "torch", SimpleNamespace(**{**vars(torch.nn.functional), "batch_norm": _torch_batch_norm,
                                "l2_penalty": _torch_l2_penalty}),
    torch.tensor, _torch_differentiate)


class Learner:
    """A net, its parameters and its running statistics, all of them arrays of the library.

    Everything is computed in the dtype of the parameters.
    """

    def __init__(self, library, net, parameters):
        self.library, self.net = library, net
        self.parameters = {k: library.array(a) for k, a in parameters.items()}
        self.velocity = {k: library.array(np.zeros_like(a)) for k, a in parameters.items()}
        dtype = next(iter(parameters.values())).dtype
        self.statistics = [[library.array(make(n, dtype)) for make in (np.zeros, np.ones)]
                           for n in net.normed]

    def value_and_gradient(self, x, y):
        """(loss, gradient) of a batch, which the running statistics then have seen."""
        x, y = self.library.array(x), self.library.array(y)
        (value, self.statistics), gradient = self.library.differentiate(
            lambda p: loss(self.library.F, self.net, p, x, y, self.statistics), self.parameters)
        return float(value), gradient

    def descend(self, gradient):
        # As torch.optim.SGD, which takes longer to load than all this training.
        for k, g in gradient.items():
            self.velocity[k] = MOMENTUM * self.velocity[k] + g
            self.parameters[k] = self.parameters[k] - self.net.rate * self.velocity[k]

    def accuracy(self, x, y):
        """The part of the samples of which every answer that is asked for has the highest score."""
        scores, _ = self.net.scores(self.library.F, self.parameters, self.library.array(x),
                                    self.statistics, False)
        right = (np.argmax(np.asarray(scores), axis=-1) == y) | (y < 0)
        return np.mean(right.reshape(len(y), -1).all(axis=1))
