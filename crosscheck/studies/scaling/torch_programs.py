"""The programs that the studies measure, by torch; NumPy arrays go in and come out.  See
`refgrad_programs`."""

from __future__ import annotations

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual
from torch.func import jacfwd, jacrev, vjp

from .refgrad_programs import STEP


def peak_bytes(run):
    """The most memory that ``run()`` holds at a time, beyond what was held before.

    It counts the storage of tensors, by the allocator's own record of every allocation and release.
    """
    # Else the profiler writes its starts and stops to the terminal.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        run()
    events = [e for e in profile.kineto_results.events() if e.name() == "[memory]"]
    held = np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    return int(np.max(held, initial=0))


class WideNet:
    library = "torch"

    def __init__(self, x, y, weights):
        self.x, self.y = torch.tensor(x), torch.tensor(y)
        self.weights = [torch.tensor(w) for w in weights]
        self.tangent = [torch.zeros_like(w) for w in self.weights]
        self.sizes = [w.numel() for w in self.weights]

    def loss(self, W1, W2):
        return F.mse_loss(F.linear(torch.tanh(F.linear(self.x, W1)), W2), self.y)

    def value(self):
        with torch.no_grad():
            return self.loss(*self.weights).item()

    def reverse(self):
        leaves = [w.detach().requires_grad_() for w in self.weights]
        return tuple(g.numpy() for g in torch.autograd.grad(self.loss(*leaves), leaves))

    def forward(self, leaf, start, stop):
        entry = self.tangent[leaf].view(-1)
        entry[start] = 1
        try:
            with dual_level(), torch.no_grad():  # torch.func.jvp is the same, at a higher price
                duals = map(make_dual, self.weights, self.tangent)
                return unpack_dual(self.loss(*duals)).tangent.item()
        finally:
            entry[start] = 0

    def forward_batched(self, leaf, start, stop):
        W = self.weights[leaf]
        flat = W.view(-1)

        def of_block(block):
            weights = list(self.weights)
            weights[leaf] = torch.cat([flat[:start], block, flat[stop:]]).view(W.shape)
            return self.loss(*weights)

        return jacfwd(of_block)(flat[start:stop]).numpy()

    def differences(self, leaf, start, stop):
        entry = self.weights[leaf].view(-1)
        here = entry[start].item()
        try:
            entry[start] = here + STEP
            above = self.value()
            entry[start] = here - STEP
            return (above - self.value()) / (2 * STEP)
        finally:
            entry[start] = here


def _by_sweeps(f):
    """A sweep for each output, over one recording."""
    def matrix(x):
        value, pull = vjp(f, x)
        return torch.stack([pull(e)[0] for e in _basis(value)])
    return matrix


def _by_tangents(f):
    """A pass for each input."""
    def matrix(x):
        with dual_level(), torch.no_grad():
            return torch.stack([unpack_dual(f(make_dual(x, e))).tangent for e in _basis(x)], dim=-1)
    return matrix


def _basis(x):
    return torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape)


JACOBIANS = {"reverse": _by_sweeps, "reverse batched": jacrev, "forward": _by_tangents,
             "forward batched": jacfwd}


class VectorNet:
    library, methods = "torch", tuple(JACOBIANS)

    def __init__(self, x, W1, W2):
        self.x, self.W1, self.W2 = map(torch.tensor, (x, W1, W2))

    def f(self, x):
        return F.linear(torch.tanh(F.linear(x, self.W1)), self.W2)

    def jacobian(self, method):
        return JACOBIANS[method](self.f)(self.x).reshape(len(self.W2), -1).numpy()


class DeepNet:
    library = "torch"

    def __init__(self, x, weights):
        self.x, self.weights = torch.tensor(x), [torch.tensor(w) for w in weights]

    def loss(self, weights):
        h = self.x
        for W in weights[:-1]:
            h = F.relu(F.linear(h, W))
        return torch.mean(torch.square(F.linear(h, weights[-1])))

    def value(self):
        with torch.no_grad():
            return self.loss(self.weights).item()

    def value_and_gradient(self):
        leaves = [w.detach().requires_grad_() for w in self.weights]
        value = self.loss(leaves)
        return value.item(), [g.numpy() for g in torch.autograd.grad(value, leaves)]
