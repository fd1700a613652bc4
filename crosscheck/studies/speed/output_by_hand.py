"""The end of a network and its gradient, written by hand in NumPy, in place where that goes."""

from __future__ import annotations

import numpy as np


def output_layer(h, W, b, y, ones, regress=False):
    """(value, dL/dW, dL/db, dL/dH).  Samples are columns here: NumPy reduces faster along these."""
    S = W @ h.T
    S += b[:, None]
    value = mean_square(S, y) if regress else softmax_cross_entropy(S, y)
    return value, S @ h, S @ ones, S.T @ W


def softmax_cross_entropy(S, y):
    """The value; puts the gradient (softmax - one-hot) / n in the place of the logits S."""
    n, flat = len(y), S.ravel()
    target = y * n
    target += np.arange(n)
    S -= np.maximum.reduce(S, axis=0)
    picked = flat[target].sum()
    np.exp(S, out=S)
    total = np.ones(len(S), S.dtype) @ S
    value = (np.log(total).sum() - picked) / n
    total *= n
    S /= total
    flat[target] -= 1 / n
    return value


def mean_square(S, y):
    """The value; puts the gradient 2 (S - y') / n in the place of S."""
    S -= y.T
    flat = S.ravel()
    value = flat @ flat / S.size
    S *= 2 / S.size
    return value
