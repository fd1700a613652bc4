"""What is timed: small programs as data, and the one interpreter that runs them in any framework's
functions.

The arrays are the same in float32 and float64, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .networks import CLASSES, NETWORKS, exact, gaps

BATCH = 128
DTYPES = ("float32", "float64")
WEIGHT_DECAY = 1e-3
# Of a step of gradient descent: so large that an error of the gradient shows in the new parameters.
RATE = 1.0
NUMBERS, STEPS = 10, 50  # of the chain, each step of which has four operations


@dataclass(frozen=True)
class Problem:
    """`kind`: classify (softmax cross-entropy), train (the same, and the new parameters in place of
    the gradient), regress (mean square and L2), chain, hvp (a Hessian times a vector), or one of
    NETWORKS."""

    name: str
    kind: str
    width: int = 32
    inputs: int = 0  # 0: as many as the width
    depth: int = 3  # hidden layers
    activation: str = "relu"
    batch_norm: bool = False
    full_only: bool = False

    @property
    def per_layer(self):
        """Arrays of a hidden layer: weight and bias; or weight, scale and shift, since batch norm
        removes a bias."""
        return 3 if self.batch_norm else 2


PROBLEMS = (
    Problem("MLP 8", "classify", 8),
    Problem("MLP 32", "classify", 32),
    Problem("MLP 128", "classify", 128),
    Problem("MLP 512", "classify", 512),
    Problem("MLP 1024", "classify", 1024, full_only=True),
    Problem("MLP 2048", "classify", 2048, full_only=True),
    Problem("tanh MLP 32", "classify", 32, activation="tanh"),
    Problem("tanh MLP 128", "classify", 128, activation="tanh"),
    Problem("64 tanh layers of 32", "classify", 32, depth=64, activation="tanh"),
    Problem("batch norm 32", "classify", 32, batch_norm=True),
    Problem("MSE with L2 32", "regress", 32),
    Problem("SGD step, digits", "train", 32, inputs=64, depth=2),
    Problem("CNN", "images", 8),
    Problem("transformer block", "tokens", 32),
    Problem("LSTM, 64 steps", "steps", 32, depth=64),
    Problem("200 elementwise", "chain"),
    Problem("Hessian-vector 32", "hvp", 32),
)


def chosen(quick):
    return [p for p in PROBLEMS if not (quick and p.full_only)]


@dataclass(frozen=True)
class Data:
    """parameters: what is differentiated; along: the vector of a Hessian-vector product."""

    parameters: list
    x: np.ndarray
    y: np.ndarray
    along: list

    def astype(self, dtype):
        def convert(a):
            return a.astype(dtype) if a.dtype.kind == "f" else a
        return Data([convert(a) for a in self.parameters], convert(self.x), convert(self.y),
                    [convert(a) for a in self.along])


def draw(problem, seed=0):
    """The data in float64, every number of which float32 has too."""
    rng = np.random.default_rng([seed,
                                 PROBLEMS.index(problem) if problem in PROBLEMS else len(PROBLEMS)])
    if problem.kind in NETWORKS:
        return Data(*NETWORKS[problem.kind].draw(problem, rng), [])
    if problem.kind == "chain":
        start, factor, shift = (exact(rng.uniform(*span, NUMBERS))
                                for span in ((-1, 1), (0.9, 1.6), (-0.2, 0.2)))
        return Data([start], factor, shift, [])
    x = exact(rng.standard_normal((BATCH, problem.inputs or problem.width)))
    y = rng.integers(CLASSES, size=BATCH) if problem.kind != "regress" else \
        exact(rng.standard_normal((BATCH, CLASSES)))
    parameters, h = [], x
    for _ in range(problem.depth):
        W = exact(rng.standard_normal((problem.width, h.shape[1])) * np.sqrt(2 / h.shape[1]))
        z, scale = h @ W.T, []
        if problem.batch_norm:
            scale = [exact(rng.uniform(0.5, 1.5, problem.width))]
            z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5) * scale[0]
        shift = exact(-gaps(z))
        z = z + shift
        h = np.tanh(z) if problem.activation == "tanh" else np.maximum(z, 0)
        parameters += [W, *scale, shift]
    parameters += [exact(rng.standard_normal((CLASSES, problem.width)) / np.sqrt(problem.width)),
                   exact(rng.standard_normal(CLASSES))]
    along = ([exact(rng.standard_normal(a.shape)) for a in parameters]
             if problem.kind == "hvp" else [])
    return Data(parameters, x, y, along)


def loss_of(problem):
    """The program, a function of (F, problem, parameters, x, y).

    F is a namespace with linear, relu, tanh, sin, sum, batch_norm, cross_entropy, mse_loss,
    l2_penalty as in torch.nn.functional or refgrad.nn; for NETWORKS their layers too, lstm_cell
    and zeros_like.  It is chosen before anything is timed: nobody's program reads other networks.
    """
    if problem.kind in NETWORKS:
        return NETWORKS[problem.kind].loss
    return _chained if problem.kind == "chain" else _perceptron


def _chained(F, problem, parameters, x, y):
    z, = parameters
    for _ in range(STEPS):
        z = F.tanh(x * F.sin(z) + y)
    return F.sum(z)


def _perceptron(F, problem, parameters, x, y):
    *hidden, W, b = parameters
    activation, n, h = getattr(F, problem.activation), problem.per_layer, x
    for k in range(0, len(hidden), n):
        if problem.batch_norm:
            weight, scale, shift = hidden[k:k + n]
            h = F.batch_norm(F.linear(h, weight), None, None, scale, shift, training=True)
        else:
            h = F.linear(h, *hidden[k:k + n])
        h = activation(h)
    h = F.linear(h, W, b)
    if problem.kind == "regress":
        return F.mse_loss(h, y) + F.l2_penalty([*hidden[::n], W], WEIGHT_DECAY)
    return F.cross_entropy(h, y)


def stepped(parameters, gradients):
    """Gradient descent: new parameters."""
    return [p - RATE * g for p, g in zip(parameters, gradients)]


def rounding(problem, dtype):
    """How far a right gradient may be from the exact one, relative to the largest entry of each
    array.

    A sum of n products is off by at most n eps of the sum of their sizes.  The longest way from a
    parameter through the value and back passes a sum for each layer forward, one for each backward,
    and one over the batch; every other operation on it adds a few eps.  Ten times that leaves room
    for sums whose terms cancel.
    """
    eps = float(np.finfo(dtype).eps)
    if problem.kind in NETWORKS:
        return 10 * eps * NETWORKS[problem.kind].sums(problem)
    if problem.kind == "chain":
        return 10 * eps * 8 * STEPS
    passes = 4 if problem.kind == "hvp" else 2
    sums = passes * problem.depth * (problem.width + 8) + passes * (BATCH + CLASSES)
    if problem.batch_norm:
        sums += passes * problem.depth * 2 * BATCH
    return 10 * eps * sums
