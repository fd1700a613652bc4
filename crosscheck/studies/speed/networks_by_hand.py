"""The limit for the networks: value and gradient in closed form, written by hand in NumPy.

As in `numpy_by_hand`, nothing is computed twice or kept without need, and what can be done in
place is.
"""

from __future__ import annotations

import numpy as np

from .networks import HEADS, KERNEL
from .output_by_hand import output_layer

EPS = 1e-5


# Images


def images(p, x, y):
    """Twice convolution, relu and pooling, then the output layer.

    Channels come first and samples last: h is (C, H, W, N), so that what a window meets along a row
    is in one piece.  X has a row for each channel and place in the window, and a column for each
    position of the window:

        Z = W X,    dL/dW = G X',    dL/dX = W' G,

    and dL/dh adds up what came from the same entry.  The largest entry of a window stays so if a
    bias is added and relu taken; so both follow the pooling, which leaves a quarter of the entries.
    The gradient goes to the entry of Z that is its window's largest, the first of equal ones,
    where relu passes it.
    """
    h, kept, last = x.transpose(1, 2, 3, 0), [], len(p) - 2
    for k in range(0, last, 2):
        W, b = p[k], p[k + 1]
        X = _columns(h)
        Z = (W.reshape(len(W), -1) @ X).reshape(len(W), *h.shape[1:])
        quarters = [Z[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        largest = np.maximum(quarters[0], quarters[1])
        np.maximum(largest, quarters[2], out=largest)
        np.maximum(largest, quarters[3], out=largest)
        h = largest + b[:, None, None, None]
        np.maximum(h, 0, out=h)
        kept.append((X, Z, quarters, largest, h))
    gradients, n = [None] * len(p), len(x)
    features, ones = h.reshape(-1, n).T, np.ones(n, x.dtype)
    value, *gradients[last:], G = output_layer(features, p[last], p[last + 1], y, ones)
    G = G.T.reshape(h.shape)
    for k in range(last - 2, -1, -2):
        X, Z, quarters, largest, h = kept.pop()
        G = np.multiply(G, h > 0, order="C")
        gradients[k + 1] = G.reshape(len(G), -1) @ np.ones(G[0].size, G.dtype)
        sought = np.ones_like(h, bool)
        for quarter in quarters:
            is_first = quarter == largest
            is_first &= sought
            sought ^= is_first
            np.multiply(is_first, G, out=quarter)
        Z = Z.reshape(len(Z), -1)
        gradients[k] = (Z @ X.T).reshape(p[k].shape)
        if k:
            G = _added_up(np.matmul(p[k].reshape(len(Z), -1).T, Z, out=X), kept[-1][-1].shape)
    return value, gradients


def _columns(h):
    """The windows of h, with zeros around it, as columns."""
    c, *sides, n = h.shape
    padded = np.zeros((c, *(s + KERNEL - 1 for s in sides), n), h.dtype)
    edge = KERNEL // 2
    padded[:, edge:-edge, edge:-edge] = h
    a, *steps, b = padded.strides
    X = np.lib.stride_tricks.as_strided(padded, (c, KERNEL, KERNEL, *sides, n),
                                        (a, *steps, *steps, b))
    return X.reshape(c * KERNEL * KERNEL, -1)


def _added_up(X, shape):
    """The adjoint of `_columns`: a view of an array with edges."""
    c, *sides, n = shape
    X = X.reshape(c, KERNEL, KERNEL, *sides, n)
    padded = np.zeros((c, *(s + KERNEL - 1 for s in sides), n), X.dtype)
    for i in range(KERNEL):
        for j in range(KERNEL):
            padded[:, i:i + sides[0], j:j + sides[1]] += X[:, i, j]
    edge = KERNEL // 2
    return padded[:, edge:-edge, edge:-edge]


# Tokens


def tokens(p, x, y):
    """An encoder block.  Its tokens are the rows of matrices, in attention those of each head.

    With Z = (X - mean X) r, r = 1 / s of each row, H = Z . scale + shift, and P = dL/dH . scale:

        dL/dX = r (P - mean P - Z mean(Z P))

    With S = a Q K', P = softmax S of each row, Y = P V, and G = dL/dY:

        dL/dV = P' G,   dL/dP = G V',   dL/dS = P . (dL/dP - the rows' sums of P . dL/dP)
        dL/dQ = a dL/dS K,   dL/dK = a (dL/dS)' Q

    With gelu(u) = u (1 + t) / 2, t = tanh(a (u + b u^3)):

        gelu' = (1 + t + u (1 - t^2) a (1 + 3 b u^2)) / 2
    """
    scale, shift, W, b, W_out, b_out, scale2, shift2, W1, b1, W2, b2 = p
    n, length, width = x.shape
    ones, head = np.ones(n * length, x.dtype), width // HEADS
    x, y = x.reshape(-1, width), y.reshape(-1, width)

    Z, _, H = _normalized(x, scale, shift)
    qkv = H @ W.T
    qkv += b
    Q, K, V = qkv.reshape(n, length, 3, HEADS, head).transpose(2, 0, 3, 1, 4)
    P = Q @ K.mT
    P *= head ** -0.5
    P -= np.maximum.reduce(P, axis=-1, keepdims=True)
    np.exp(P, out=P)
    P /= (P @ ones[:length])[..., None]
    attended = np.empty_like(x)
    np.matmul(P, V, out=_heads(attended, n))
    after = attended @ W_out.T
    after += b_out
    after += x

    Z2, r2, H2 = _normalized(after, scale2, shift2)
    u = H2 @ W1.T
    u += b1
    a, c = (2 / np.pi) ** 0.5, 0.044715
    squares = u * u
    t = squares * (a * c)
    t += a
    t *= u
    np.tanh(t, out=t)
    squares *= 3 * a * c  # what follows is a (1 + 3 c u^2) (1 - t^2) u + (1 + t), twice the slope
    squares += a
    squares *= u
    squares *= 1 - t * t
    t += 1
    squares += t
    t *= u  # twice gelu
    t *= 0.5
    E = t @ W2.T
    E += b2
    E += after
    E -= y
    flat = E.ravel()
    value = flat @ flat / flat.size
    E *= 2 / flat.size

    of_W2, of_b2 = E.T @ t, ones @ E
    G = E @ W2
    G *= squares
    G *= 0.5
    of_W1, of_b1 = G.T @ H2, ones @ G
    G = G @ W1
    of_scale2, of_shift2 = np.einsum("ij,ij->j", G, Z2), ones @ G
    G *= scale2
    Z2 *= (np.einsum("ij,ij->i", G, Z2) / width)[:, None]
    G -= (G @ ones[:width] / width)[:, None]
    G -= Z2
    G *= r2
    E += G
    of_W_out, of_b_out = E.T @ attended, ones @ E
    G = _heads(E @ W_out, n)
    of_qkv = np.empty_like(qkv)
    of_Q, of_K, of_V = of_qkv.reshape(n, length, 3, HEADS, head).transpose(2, 0, 3, 1, 4)
    np.matmul(P.mT, G, out=of_V)
    S = G @ V.mT
    S -= np.einsum("...i,...i->...", P, S)[..., None]
    S *= P
    S *= head ** -0.5
    np.matmul(S, K, out=of_Q)
    np.matmul(S.mT, Q, out=of_K)
    of_W, of_b = of_qkv.T @ H, ones @ of_qkv
    G = of_qkv @ W
    return value, [np.einsum("ij,ij->j", G, Z), ones @ G, of_W, of_b, of_W_out, of_b_out,
                   of_scale2, of_shift2, of_W1, of_b1, of_W2, of_b2]


def _normalized(x, scale, shift):
    """Z, r and H."""
    mean = np.ones(x.shape[1], x.dtype) / x.dtype.type(x.shape[1])
    Z = x - (x @ mean)[:, None]
    r = np.einsum("ij,ij->i", Z, Z)
    r /= x.shape[1]
    r += EPS
    r = (1 / np.sqrt(r))[:, None]
    Z *= r
    H = Z * scale
    H += shift
    return Z, r, H


def _heads(x, n):
    """Rows of tokens as (sequences, heads, tokens, width of a head), a view."""
    return x.reshape(n, -1, HEADS, x.shape[1] // HEADS).swapaxes(1, 2)


# Steps


def steps(p, x, y):
    """A long short-term memory.

    sigma(a) = (1 + tanh(a / 2)) / 2, so one tanh serves all four gates.  With D = dL/dc from the
    steps to come and e = dL/dh, and with c and c_next before and after the step:

        D += e . o . (1 - tanh(c_next)^2)
        dL/da_i = D . g i (1 - i),  dL/da_f = D . c f (1 - f),  dL/da_g = D . i (1 - g^2),
        dL/da_o = e . tanh(c_next) o (1 - o),    D = D . f,    e = dL/da W_hh

    One product gives the gradient of a weight for all steps.
    """
    W_ih, W_hh, b_ih, b_hh = p
    length, streams, _ = x.shape
    width, x = W_hh.shape[1], x.reshape(length * streams, -1)
    half = np.full((4, width), 0.5, x.dtype)
    half[2] = 1  # the third gate is tanh itself
    half = half.ravel()
    rest = 1 - half
    A = x @ (half[:, None] * W_ih).T
    A += half * (b_ih + b_hh)
    A = A.reshape(length, streams, -1)
    halved = (half[:, None] * W_hh).T
    hs = np.zeros((length + 1, streams, width), x.dtype)
    cs, tanhs = np.zeros_like(hs), np.empty_like(hs[1:])
    i, f, g, o = A.reshape(length, streams, 4, width).transpose(2, 0, 1, 3)
    for k in range(length):
        a, c = A[k], cs[k + 1]
        if k:
            a += hs[k] @ halved
        np.tanh(a, out=a)
        a *= half
        a += rest
        np.multiply(f[k], cs[k], out=c)
        c += i[k] * g[k]
        np.tanh(c, out=tanhs[k])
        np.multiply(o[k], tanhs[k], out=hs[k + 1])
    e = hs[-1] - y
    flat = e.ravel()
    value = flat @ flat / flat.size
    e *= 2 / flat.size

    D, slopes, s = np.zeros_like(e), np.empty_like(A[0]), np.empty_like(e)
    of_i, of_f, of_g, of_o = parts = slopes.reshape(streams, 4, width).swapaxes(0, 1)
    for k in range(length - 1, -1, -1):
        a, t = A[k], tanhs[k]
        np.multiply(t, t, out=s)
        np.subtract(1, s, out=s)
        s *= o[k]
        s *= e
        D += s
        np.subtract(1, a, out=slopes)
        slopes *= a
        np.multiply(g[k], g[k], out=of_g)
        np.subtract(1, of_g, out=of_g)
        of_i *= g[k]
        of_f *= cs[k]
        of_g *= i[k]
        of_o *= t
        parts[:3] *= D
        of_o *= e
        if k:
            D *= f[k]
            e = slopes @ W_hh
        a[:] = slopes  # dL/da, in the place of the gates
    A = A.reshape(len(x), -1)
    of_b = np.ones(len(x), x.dtype) @ A
    return value, [A.T @ x, A.T @ hs[:-1].reshape(len(x), -1), of_b, of_b.copy()]


#: The kind of a problem -> (value, gradients) of its parameters and data.
BY_HAND = {"images": images, "tokens": tokens, "steps": steps}
