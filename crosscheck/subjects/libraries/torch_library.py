"""torch: torch.autograd in reverse, torch.func in forward mode, both in composition."""

from __future__ import annotations

import functools
import operator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

from ...modes import Mode
from .interface import Library


@contextmanager
def threads(n):
    """A block in which torch uses n threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def tf32(allowed):
    """A block in which products of float32 on a GPU may, or must not, round their operands to
    TF32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=allowed):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def added(terms):
    """The sum, without Python's 0 before it, which in forward mode costs more than all the
    terms."""
    return functools.reduce(operator.add, terms)


class Torch(Library):
    """torch, by torch.autograd and torch.func, on a device."""

    name, device = "torch", "cpu"
    imports = "import torch, torch.nn.functional as F"
    gradient, slope, array, dtype = ("torch.func.grad", "torch.func.jvp", "torch.tensor",
                                     "dtype=torch.")
    spaces = (("F", F), ("torch", torch))

    grad = staticmethod(torch.func.grad)
    jvp = staticmethod(torch.func.jvp)

    @staticmethod
    def inner(a, b):
        return added(torch.sum(a[k] * b[k]) for k in a)

    def arrays(self, arrays, dtype):
        """Copies in torch; integers stay integers."""
        return {k: torch.tensor(a, device=self.device, dtype=(
            getattr(torch, dtype) if np.asarray(a).dtype.kind == "f" else torch.long))
                for k, a in arrays.items()}

    def numpy(self, found):
        return {k: t.detach().cpu().numpy() for k, t in found.items()}

    def at_work(self):
        return threads(1)

    def differentiate(self, mode, f, x, u, v):
        return OWN.get(mode, mode.differentiate)(self, f, x, u, v)

    def like(self, a, x):
        return torch.tensor(a, dtype=x.dtype, device=x.device)


def _gradient(f, x, create_graph=False):
    leaves = x if create_graph else {k: t.detach().requires_grad_() for k, t in x.items()}
    found = torch.autograd.grad(f(leaves), list(leaves.values()), create_graph=create_graph,
                                materialize_grads=True)
    return dict(zip(leaves, found))


def _reverse(by, f, x, u, v):
    return _gradient(f, x)


def _forward(by, f, x, u, v):
    """Dual numbers as torch.func.jvp makes them, without the cost of its levels, which only nesting
    needs."""
    with forward_ad.dual_level():
        slopes = {k: forward_ad.unpack_dual(f({**x, k: forward_ad.make_dual(x[k], v[k])})).tangent
                  for k in x}
    return {k: torch.zeros_like(x[k].sum()) if s is None else s for k, s in slopes.items()}


def _reverse_over_reverse(by, f, x, u, v):
    leaves = {k: t.detach().requires_grad_() for k, t in x.items()}
    slope = by.inner(_gradient(f, leaves, create_graph=True), v)
    if not slope.requires_grad:  # f is linear in all its arrays
        return {k: torch.zeros_like(t) for k, t in x.items()}
    found = torch.autograd.grad(slope, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found))


#: The modes that people reach by torch.autograd; the others are torch.func's compositions.
OWN = {Mode.REVERSE: _reverse, Mode.FORWARD: _forward,
       Mode.REVERSE_OVER_REVERSE: _reverse_over_reverse}

LIBRARY = Torch()
