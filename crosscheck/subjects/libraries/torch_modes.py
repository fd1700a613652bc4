"""The same derivatives by torch: torch.autograd in reverse, torch.func in forward mode, both in composition.

The only file that imports torch.
"""

from __future__ import annotations

import functools
import operator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

from .refgrad_modes import kept_by_dropout

VERSION = torch.__version__
TYPES = {"float64": torch.float64, "float32": torch.float32}


def use_threads(n):
    torch.set_num_threads(n)


@contextmanager
def threads(n):
    before = torch.get_num_threads()
    use_threads(n)
    try:
        yield
    finally:
        use_threads(before)


def tensors(arrays, dtype):
    """Copies in torch; integers stay integers."""
    return {k: torch.tensor(a, dtype=TYPES[dtype] if np.asarray(a).dtype.kind == "f" else torch.long)
            for k, a in arrays.items()}


def arrays(result):
    return {k: t.detach().numpy() for k, t in result.items()}


def function(name):
    """The function that a network calls `name`."""
    if name == "dropout":
        return _dropout
    if name == "concatenate":
        return lambda *tensors: torch.cat(tensors, dim=-1)
    if name == "l2_penalty":
        return lambda *parameters, weight_decay: sum(torch.sum(p * p) for p in parameters) * weight_decay / 2
    return getattr(F, name, None) or getattr(torch, name)


def _dropout(input, p, seed):
    return input * torch.tensor(kept_by_dropout(tuple(input.shape), p, seed), dtype=input.dtype)


def added(terms):
    """The sum, without Python's 0 before it, which in forward mode costs more than all the terms."""
    return functools.reduce(operator.add, terms)


def inner(a, b):
    return added(torch.sum(a[k] * b[k]) for k in a)


def _gradient(f, x, create_graph=False):
    leaves = x if create_graph else {k: t.detach().requires_grad_() for k, t in x.items()}
    found = torch.autograd.grad(f(leaves), list(leaves.values()), create_graph=create_graph, materialize_grads=True)
    return dict(zip(leaves, found))


def reverse(f, x, u, v):
    return _gradient(f, x)


def forward(f, x, u, v):
    """Dual numbers as torch.func.jvp makes them, without the cost of its levels, which only nesting needs."""
    with forward_ad.dual_level():
        slopes = {k: forward_ad.unpack_dual(f({**x, k: forward_ad.make_dual(x[k], v[k])})).tangent for k in x}
    return {k: torch.zeros((), dtype=x[k].dtype) if s is None else s for k, s in slopes.items()}


def reverse_over_reverse(f, x, u, v):
    leaves = {k: t.detach().requires_grad_() for k, t in x.items()}
    first = _gradient(f, leaves, create_graph=True)
    slope = inner(first, v)
    if not slope.requires_grad:  # f is linear in all its arrays
        return {k: torch.zeros_like(t) for k, t in x.items()}
    found = torch.autograd.grad(slope, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found))


def forward_over_reverse(f, x, u, v):
    return torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]


def reverse_over_forward(f, x, u, v):
    return torch.func.grad(lambda x: torch.func.jvp(f, (x,), (v,))[1])(x)


def forward_over_forward(f, x, u, v):
    return {"*": torch.func.jvp(lambda x: torch.func.jvp(f, (x,), (v,))[1], (x,), (u,))[1]}


MODES = {
    "reverse": reverse,
    "forward": forward,
    "reverse over reverse": reverse_over_reverse,
    "forward over reverse": forward_over_reverse,
    "reverse over forward": reverse_over_forward,
    "forward over forward": forward_over_forward,
}
