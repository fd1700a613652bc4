"""Networks that are no perceptrons: their data, and their programs in any framework's functions.

Each is small, so that what the differentiation itself takes can be seen beside what NumPy takes.
"""

from __future__ import annotations

from typing import NamedTuple
from collections.abc import Callable

import numpy as np

CLASSES = 10
IMAGES, SIDE, KERNEL = 32, 16, 3        # of the CNN, whose images are squares with one channel
SEQUENCES, TOKENS, HEADS = 8, 16, 4     # of the transformer block
STREAMS = 32                            # of the LSTM: how many run beside each other
#: How far the two largest of a pooling window are apart at least, relative to the largest of all.
APART = 5e-6


class Network(NamedTuple):
    """draw(problem, rng) -> (parameters, x, y) in float64; loss(F, problem, parameters, x, y).

    sums(problem): the lengths of the sums on the longest way from a parameter to the value and
    back.
    """

    draw: Callable
    loss: Callable
    sums: Callable


def exact(a):
    """The nearest numbers that float32 has."""
    return a.astype(np.float32).astype(np.float64)


def gaps(z):
    """For each column the middle of the widest gap between its entries, a quarter on either side.

    There goes the kink of relu: rounding moves no sample across it, so that contenders can be
    compared.
    """
    z = np.sort(z, axis=0)[len(z) // 4:-len(z) // 4]
    widest = np.argmax(np.diff(z, axis=0), axis=0)[None]
    return (np.take_along_axis(z, widest, 0) + np.take_along_axis(z, widest + 1, 0))[0] / 2


def _matrix(rng, *shape):
    """Of a map that leaves the size of its argument's entries about as it is."""
    return exact(rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))


def _vector(rng, n, around=0.0):
    return exact(around + 0.25 * rng.standard_normal(n))


# Images: twice convolution, relu and pooling, then an affine map.  `width`: first channels


def _draw_images(problem, rng):
    """Drawn again until no pooling window has two largest entries that rounding could exchange."""
    while True:
        x = exact(rng.standard_normal((IMAGES, 1, SIDE, SIDE)))
        parameters, h, well_apart = [], x, True
        for channels in (problem.width, 2 * problem.width):
            W = _matrix(rng, channels, h.shape[1], KERNEL, KERNEL) * 2
            z = _convolved(h, W)
            b = exact(-gaps(np.moveaxis(z, 1, -1).reshape(-1, channels)))
            z = np.maximum(z + b[:, None, None], 0)
            n, c, s, _ = z.shape
            windows = z.reshape(n, c, s // 2, 2, s // 2, 2).swapaxes(3, 4)
            windows = np.sort(windows.reshape(n, c, s // 2, s // 2, 4))
            second, h = windows[..., 2], windows[..., 3]
            well_apart &= np.all((h == 0) | (h - second > APART * h.max()))
            parameters += [W, b]
        if well_apart:
            features = h[0].size
            y = rng.integers(CLASSES, size=IMAGES)
            return [*parameters, _matrix(rng, CLASSES, features), _vector(rng, CLASSES)], x, y


def _convolved(h, W):
    """With zeros around, so that the images keep their size."""
    h = np.pad(h, [(0, 0)] * 2 + [(KERNEL // 2,) * 2] * 2)
    windows = np.lib.stride_tricks.sliding_window_view(h, W.shape[2:], (2, 3))
    return np.einsum("nchwij,qcij->nqhw", windows, W, optimize=True)


def _images(F, problem, parameters, x, y):
    *convolutions, W, b = parameters
    h = x
    for k in range(0, len(convolutions), 2):
        h = F.max_pool2d(F.relu(F.conv2d(h, *convolutions[k:k + 2], padding=KERNEL // 2)), 2)
    return F.cross_entropy(F.linear(h.reshape(len(x), W.shape[1]), W, b), y)


def _sums_of_images(problem):
    window, features = KERNEL * KERNEL, 2 * problem.width * (SIDE // 4) ** 2
    return window * (1 + 3 * problem.width) + features + 2 * CLASSES + IMAGES * SIDE * SIDE


# Tokens: an encoder block with normalization before attention and before the two affine maps


def _draw_tokens(problem, rng):
    width = problem.width
    x, y = (exact(rng.standard_normal((SEQUENCES, TOKENS, width))) for _ in range(2))
    parameters = []
    for first, out, into in ((3 * width, width, width), (4 * width, width, 4 * width)):
        parameters += [_vector(rng, width, 1.0), _vector(rng, width), _matrix(rng, first, width),
                       _vector(rng, first), _matrix(rng, out, into), _vector(rng, out)]
    return parameters, x, y


def _tokens(F, problem, parameters, x, y):
    scale, shift, W, b, W_out, b_out, scale2, shift2, W1, b1, W2, b2 = parameters
    n, tokens, width = x.shape
    h = F.linear(F.layer_norm(x, (width,), scale, shift), W, b)
    h = h.reshape(n, tokens, 3 * HEADS, width // HEADS).swapaxes(1, 2)
    h = F.scaled_dot_product_attention(h[:, :HEADS], h[:, HEADS:2 * HEADS], h[:, 2 * HEADS:])
    x = x + F.linear(h.swapaxes(1, 2).reshape(n, tokens, width), W_out, b_out)
    h = F.gelu(F.linear(F.layer_norm(x, (width,), scale2, shift2), W1, b1), approximate="tanh")
    return F.mse_loss(x + F.linear(h, W2, b2), y)


def _sums_of_tokens(problem):
    return 2 * ((6 + 1 + 2 + 4) * problem.width + 2 * TOKENS) + 10 * 8 + SEQUENCES * TOKENS


# Steps: a long short-term memory.  `depth`: steps


def _draw_steps(problem, rng):
    width, gates = problem.width, 4 * problem.width
    x = exact(rng.standard_normal((problem.depth, STREAMS, width)))
    parameters = [_matrix(rng, gates, width), _matrix(rng, gates, width), _vector(rng, gates),
                  _vector(rng, gates)]
    return parameters, x, exact(rng.standard_normal((STREAMS, width)))


def _steps(F, problem, parameters, x, y):
    zero = F.zeros_like(y)
    h, _ = F.in_turn(lambda state, step: F.lstm_cell(step, state, *parameters), (zero, zero), x)
    return F.mse_loss(h, y)


def in_turn(function, state, steps):
    """The last state of state = function(state, step)."""
    for k in range(len(steps)):
        state = function(state, steps[k])
    return state


def _sums_of_steps(problem):
    return problem.depth * (6 * problem.width + 2 * 8 + STREAMS) + STREAMS * problem.width


#: The kind of a problem -> its network.
NETWORKS = {"images": Network(_draw_images, _images, _sums_of_images),
            "tokens": Network(_draw_tokens, _tokens, _sums_of_tokens),
            "steps": Network(_draw_steps, _steps, _sums_of_steps)}
