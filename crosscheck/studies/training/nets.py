"""What is trained: three nets, each described once for the functions of any library.

A description is a function ``scores(F, p, x, statistics, training)``.  F is a namespace of
functions with the names and arguments of torch.nn.functional, except for two of `learner`:

    F.batch_norm(h, statistics, weight, bias, training) -> (result, new statistics)
    F.l2_penalty(weights, weight_decay) -> weight_decay / 2 times the sum of all squares

p is a dict of parameters, those whose names begin with W being the penalized matrices; `statistics`
are the running mean and variance of each batch norm.  It gives a score for each class, on the last
axis, and the new statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WEIGHT_DECAY = 1e-3

#: Digits in the test set.
TEST = 360

#: How many sums are drawn, and that their summands are below `BELOW`.
SUMS, BELOW = 1000, 5

#: What a line such as "3+4=7;" is made of, and the place of its answer.
CHARACTERS, ANSWER = "0123456789+=;", len("3+4=")


@dataclass(frozen=True)
class Net:
    """A net and what it learns.

    name     as in training.csv
    task     what it learns, in words
    data     seed -> (x, y, x of the test set, y of it).  Where y is negative, the test set asks for
             no answer.  None without the package that has the data
    start    a generator -> the parameters, a dict of float64 arrays
    scores   see above
    normed   the width of each batch norm
    batch    samples in a batch
    rate     the step length of gradient descent
    """

    name: str
    task: str
    data: Callable
    start: Callable
    scores: Callable
    normed: tuple = ()
    batch: int = 64
    rate: float = 0.05


def loss(F, net, p, x, y, statistics):
    """(cross entropy with L2 penalty, new statistics)."""
    scores, statistics = net.scores(F, p, x, statistics, True)
    fit = F.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))
    return fit + F.l2_penalty([a for k, a in p.items() if k[0] == "W"], WEIGHT_DECAY), statistics


# What they learn


def digits(seed):
    """Images, rows of 64 pixels in [0, 1] that are exact in float32, and the digits they show."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order] / 16, y[order]
    return x[TEST:], y[TEST:], x[:TEST], y[:TEST]


def sums(seed):
    """Lines such as "3+4=7;": each character but the last, and the character that follows it.

    The second summand cannot be guessed, so no net gets below a mean loss of log(5) / 5 = 0.32.
    The test set has each sum once, and only the answer is asked for.
    """
    train = codes(np.random.default_rng(seed).integers(BELOW ** 2, size=SUMS))
    test = codes(np.arange(BELOW ** 2))
    asked = np.where(np.arange(1, test.shape[1]) == ANSWER, test[:, 1:], -1)
    return train[:, :-1], train[:, 1:], test[:, :-1], asked


def codes(pairs):
    """Lines of text, a row each, as places in `CHARACTERS`; a pair a, b is given as a BELOW + b."""
    text = "".join(f"{a}+{b}={a + b};" for a, b in zip(*divmod(pairs, BELOW)))
    return np.array([CHARACTERS.index(c) for c in text]).reshape(len(pairs), -1)


# The nets


WIDTHS = (64, 64, 32, 10)


def _normal(rng, *shape, gain=1):
    """A matrix, or a bank of windows, that keeps the size of its input if `gain` is 1."""
    return rng.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))


def start_mlp(rng):
    p = {}
    for i, (n, m) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        p |= {f"W{i}": _normal(rng, m, n, gain=2), f"b{i}": np.zeros(m)}
        if i < len(WIDTHS) - 1:
            p |= {f"gamma{i}": np.ones(m), f"beta{i}": np.zeros(m)}
    return p


def mlp(F, p, x, statistics, training):
    h, after = x, []
    for i, before in enumerate(statistics, 1):
        h = F.linear(h, p[f"W{i}"], p[f"b{i}"])
        h, new = F.batch_norm(h, before, p[f"gamma{i}"], p[f"beta{i}"], training)
        h = F.relu(h)
        after.append(new)
    return F.linear(h, p["W3"], p["b3"]), after


CHANNELS = 6


def start_cnn(rng):
    return {"W1": _normal(rng, CHANNELS, 1, 3, 3, gain=2), "b1": np.zeros(CHANNELS),
            "W2": _normal(rng, CHANNELS, CHANNELS, 3, 3, gain=2), "b2": np.zeros(CHANNELS),
            "W3": _normal(rng, 10, 16 * CHANNELS), "b3": np.zeros(10)}


def cnn(F, p, x, statistics, training):
    h = x.reshape(-1, 1, 8, 8)
    h = F.max_pool2d(F.relu(F.conv2d(h, p["W1"], p["b1"], padding=1)), 2)
    h = F.relu(F.conv2d(h, p["W2"], p["b2"], padding=1))
    return F.linear(h.reshape(h.shape[0], -1), p["W3"], p["b3"]), statistics


WIDTH, HEADS, HIDDEN = 16, 2, 32


def start_transformer(rng):
    p = {"tokens": rng.standard_normal((len(CHARACTERS), WIDTH)),
         "places": rng.standard_normal((ANSWER + 1, WIDTH))}
    p |= {f"W{name}": _normal(rng, WIDTH, WIDTH) for name in ("query", "key", "value", "out")}
    for i in (1, 2):
        p |= {f"scale{i}": np.ones(WIDTH), f"shift{i}": np.zeros(WIDTH)}
    return p | {"W1": _normal(rng, HIDDEN, WIDTH, gain=2), "b1": np.zeros(HIDDEN),
                "W2": _normal(rng, WIDTH, HIDDEN), "b2": np.zeros(WIDTH),
                "W3": _normal(rng, len(CHARACTERS), WIDTH), "b3": np.zeros(len(CHARACTERS))}


def transformer(F, p, x, statistics, training):
    """One block, with the norms before attention and MLP.  x: (samples, places) tokens."""
    h = F.embedding(x, p["tokens"]) + p["places"]
    z = F.layer_norm(h, (WIDTH,), p["scale1"], p["shift1"])
    q, k, v = (F.linear(z, p[name]).reshape(*x.shape, HEADS, -1).swapaxes(1, 2)
               for name in ("Wquery", "Wkey", "Wvalue"))
    z = F.scaled_dot_product_attention(q, k, v, is_causal=True).swapaxes(1, 2)
    h = h + F.linear(z.reshape(h.shape), p["Wout"])
    z = F.layer_norm(h, (WIDTH,), p["scale2"], p["shift2"])
    h = h + F.linear(F.gelu(F.linear(z, p["W1"], p["b1"])), p["W2"], p["b2"])
    return F.linear(h, p["W3"], p["b3"]), statistics


DIGITS = "8x8 digits"

NETS = (
    Net("MLP with batch norm", DIGITS, digits, start_mlp, mlp, normed=WIDTHS[1:-1]),
    Net("CNN", DIGITS, digits, start_cnn, cnn, rate=0.08),
    Net("transformer", "sums such as 3+4=7", sums, start_transformer, transformer, batch=32,
        rate=0.1),
)
