"""The limit: value and gradient in closed matrix form, written by hand in NumPy for each problem.

Nothing is computed twice or kept without need, and what can be done in place is.  Like all
contenders it returns new arrays at every call.  With G = dL/dZ for Z = H W' + 1 b':

    dL/dW = G' H,    dL/db = G' 1,    dL/dH = G W
"""

from __future__ import annotations

import numpy as np

from .networks_by_hand import BY_HAND
from .output_by_hand import output_layer, softmax_cross_entropy
from .problems import RATE, STEPS, WEIGHT_DECAY


def prepare(problem, data):
    """A function without arguments that returns (value, [gradients])."""
    if problem.kind in BY_HAND:
        return lambda: BY_HAND[problem.kind](data.parameters, data.x, data.y)
    if problem.kind == "chain":
        return lambda: chain(*data.parameters, data.x, data.y)
    ones = np.ones(len(data.x), data.x.dtype)
    if problem.kind == "hvp":
        return lambda: hessian_vector(data.parameters, data.along, data.x, data.y, ones)
    if problem.batch_norm:
        return lambda: batch_normalized(data.parameters, data.x, data.y, ones)
    if problem.kind == "train":
        return lambda: descent(data.parameters, *perceptron(data.parameters, data.x, data.y, ones,
                                                            problem.activation))
    return lambda: perceptron(data.parameters, data.x, data.y, ones, problem.activation,
                              problem.kind == "regress")


def arrays(result):
    value, gradients = result
    return float(value), gradients


def perceptron(p, x, y, ones, activation="relu", regress=False):
    inputs, last = [x], len(p) - 2
    for k in range(0, last, 2):
        h = inputs[-1] @ p[k].T
        h += p[k + 1]
        np.tanh(h, out=h) if activation == "tanh" else np.maximum(h, 0, out=h)
        inputs.append(h)
    gradients = [None] * len(p)
    value, *gradients[last:], G = output_layer(h, p[last], p[last + 1], y, ones, regress)
    for k in range(last - 2, -1, -2):
        h = inputs.pop()
        if activation == "tanh":  # the slope 1 - h^2; h is not needed any more
            h *= h
            np.subtract(1, h, out=h)
            G *= h
        else:
            G *= h > 0
        gradients[k], gradients[k + 1] = G.T @ inputs[-1], ones @ G
        if k:
            G = G @ p[k]
    if regress:  # k/2 <W, W> has the gradient k W
        for k in range(0, len(p), 2):
            W = p[k].ravel()
            value += WEIGHT_DECAY / 2 * (W @ W)
            gradients[k] += WEIGHT_DECAY * p[k]
    return value, gradients


def descent(p, value, gradients):
    """The new parameters p - RATE G, in the place of the gradients."""
    for a, G in zip(p, gradients):
        G *= -RATE
        G += a
    return value, gradients


def batch_normalized(p, x, y, ones):
    """Z = (A - mean A) / s, H = relu(scale Z + shift).  With P = G scale, the gradient of the
    projection is
    dL/dA = (P - mean P - Z mean(Z P)) / s, and its means are sums that the gradients of shift and
    scale need anyway."""
    n, kept, h, last = len(x), [], x, len(p) - 2
    for k in range(0, last, 3):
        Z = h @ p[k].T
        Z -= ones @ Z / n
        r = 1 / np.sqrt(np.einsum("ij,ij->j", Z, Z) / n + 1e-5)
        Z *= r
        H = Z * p[k + 1]
        H += p[k + 2]
        np.maximum(H, 0, out=H)
        kept.append((h, Z, r, H))
        h = H
    gradients = [None] * len(p)
    value, *gradients[last:], G = output_layer(h, p[last], p[last + 1], y, ones)
    for k in range(last - 3, -1, -3):
        h, Z, r, H = kept.pop()
        G *= H > 0
        of_scale, of_shift = np.einsum("ij,ij->j", G, Z), ones @ G
        Z *= of_scale / n
        G -= of_shift / n
        G -= Z
        G *= p[k + 1] * r
        gradients[k:k + 3] = G.T @ h, of_scale, of_shift
        if k:
            G = G @ p[k]
    return value, gradients


def chain(z, factor, shift):
    """z = tanh(factor sin z + shift), again and again: the gradient is the product of all slopes,
    taken at once."""
    states = np.empty((STEPS + 1, len(z)), z.dtype)
    states[0] = z
    for before, after in zip(states, states[1:]):
        np.sin(before, out=after)
        after *= factor
        after += shift
        np.tanh(after, out=after)
    slopes = np.cos(states[:-1])
    slopes *= factor
    after = states[1:]
    value = after[-1].sum()
    after *= after
    slopes *= np.subtract(1, after, out=after)
    return value, [np.multiply.reduce(slopes, axis=0)]


def hessian_vector(p, v, x, y, ones):
    """R forward and backward (Pearlmutter 1994): every line of `perceptron` differentiated along v.
    R relu'(Z) = 0.

    The value is no part of it; its place is taken by the slope of the loss along v.
    """
    inputs, tangents, last = [x], [None], len(p) - 2
    for k in range(0, last, 2):
        h, dh = inputs[-1], tangents[-1]
        z, dz = h @ p[k].T, h @ v[k].T
        z += p[k + 1]
        dz += v[k + 1]
        if dh is not None:
            dz += dh @ p[k].T
        dz *= z > 0
        inputs.append(np.maximum(z, 0, out=z))
        tangents.append(dz)
    h, dh = inputs[-1], tangents[-1]
    S, dS = p[last] @ h.T, v[last] @ h.T
    S += p[last + 1][:, None]
    dS += v[last + 1][:, None]
    dS += p[last] @ dh.T
    softmax_cross_entropy(S, y)
    slope, n = np.vdot(S, dS), len(y)
    softmax = S.copy()
    # It is softmax / n; d softmax = softmax . (dS - <softmax, dS>).
    softmax.ravel()[y * n + np.arange(n)] += 1 / n
    dS -= np.einsum("cn,cn->n", softmax, dS) * n
    dS *= softmax
    products = [None] * len(p)
    products[last:] = dS @ h + S @ dh, dS @ ones
    dG, G = dS.T @ p[last], S.T @ p[last]
    dG += S.T @ v[last]
    for k in range(last - 2, -1, -2):
        on = inputs.pop() > 0
        tangents.pop()
        G *= on
        dG *= on
        h, dh = inputs[-1], tangents[-1]
        products[k], products[k + 1] = dG.T @ h, ones @ dG
        if k:
            products[k] += G.T @ dh
            dG = dG @ p[k]
            dG += G @ v[k]
            G = G @ p[k]
    return slope, products
