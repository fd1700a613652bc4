"""The ways to a derivative, in refgrad: the same programs on floats and on balls.

Each mode takes f (a scalar function of a dict of arrays), the point x and two directions u, v of the same structure,
and returns a dict: derivatives by name of the array that they belong to, "*" for one that belongs to all.

    reverse                 the gradient
    forward                 <gradient, v>, for each array along its own part of v
    A over B                the Hessian times v, by mode A applied to mode B; forward over forward gives u' H v
"""

from __future__ import annotations

import numpy as np

from refgrad import grad, hvp, jvp, nn


def reverse(f, x, u, v):
    return grad(f)(x)


def forward(f, x, u, v):
    return {k: jvp(lambda part, k=k: f({**x, k: part}), (x[k],), (v[k],))[1] for k in x}


def reverse_over_reverse(f, x, u, v):
    return grad(lambda x: inner(grad(f)(x), v))(x)


def forward_over_reverse(f, x, u, v):
    return hvp(f, (x,), (v,))[0]


def reverse_over_forward(f, x, u, v):
    return grad(lambda x: jvp(f, (x,), (v,))[1])(x)


def forward_over_forward(f, x, u, v):
    return {"*": jvp(lambda x: jvp(f, (x,), (v,))[1], (x,), (u,))[1]}


MODES = {
    "reverse": reverse,
    "forward": forward,
    "reverse over reverse": reverse_over_reverse,
    "forward over reverse": forward_over_reverse,
    "reverse over forward": reverse_over_forward,
    "forward over forward": forward_over_forward,
}


def inner(a, b):
    """<a, b> over all arrays of two dicts."""
    total = 0
    for k in a:
        total = total + np.sum(a[k] * b[k])
    return total


def function(name):
    """The function that a network calls `name`, for NumPy arrays and all that speak NumPy's protocols."""
    if name == "dropout":
        return _dropout
    if name == "concatenate":
        return lambda *arrays: np.concatenate(arrays, axis=-1)
    if name == "l2_penalty":
        return lambda *parameters, weight_decay: nn.l2_penalty(list(parameters), weight_decay)
    return getattr(nn, name, None) or getattr(np, name)


def _dropout(input, p, seed):
    return nn.dropout(input, p, generator=np.random.default_rng(seed))


def kept_by_dropout(shape, p, seed):
    """The mask of a dropout call, for frameworks with another generator: dropout of ones tells where it keeps."""
    return nn.dropout(np.ones(shape), p, generator=np.random.default_rng(seed))
