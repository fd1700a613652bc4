"""One real network on real data: the handwritten digits, learned by refgrad and by torch in lockstep.

Both start from the same parameters and see the same batches.  How far apart they drift is rounding, amplified by the
training itself; how good their gradients are is measured against the exact gradient at each one's own parameters.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from refgrad import grad

from ...ball import Ball, arithmetic
from ..scaling import refgrad_programs, torch_programs
from ..timing import equal_threads
from . import TABLE

DTYPES = ("float32", "float64")
WIDTHS = (64, 64, 32, 10)
BATCH, TEST = 64, 360              # samples in a batch, and in the test set
SETTINGS = {"rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
BITS = 200                         # of the exact gradient

WIDER = {"float32": np.float64, "float64": np.longdouble}


def steps(quick):
    return 30 if quick else 200


def count(quick):
    """How often `run_training` calls `tick`: once for each step."""
    return steps(quick) + 1


def run_training(seed=0, quick=False, tick=lambda description: None):
    """The frame of training.csv; None without scikit-learn, which has the data."""
    digits = load(seed)
    if digits is None:
        return None
    with equal_threads():
        rows = list(train(*digits, seed, steps(quick), tick=tick))
    return pd.DataFrame(rows, columns=TABLE.columns)


def load(seed):
    """(x, y, x of the test set, y of it), shuffled; x in [0, 1], exact in float32.  None without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order] / 16, y[order]
    return x[TEST:], y[TEST:], x[:TEST], y[:TEST]


def train(x, y, x_test, y_test, seed, steps, errors_every=20, accuracy_every=20, tick=lambda description: None):
    """Rows, step by step."""
    nets = {dtype: start(seed, dtype) for dtype in DTYPES}
    for step, batch in zip(range(steps + 1), batches(len(x), seed)):
        for dtype, pair in nets.items():
            drifted = distance(*(net.parameters for net in pair))
            for net in pair:
                accuracy = np.nan
                if step % accuracy_every == 0 or step == steps:
                    accuracy = np.mean(net.classify(x_test.astype(dtype)) == y_test)
                loss, gradient = net.value_and_gradient(x[batch].astype(dtype), y[batch])
                if step % errors_every == 0:
                    reference, e = "ball", exact_gradient(pair[0], net.parameters, x[batch], y[batch])
                else:
                    reference, e = wider_gradient(pair[0], net.parameters, x[batch], y[batch], WIDER[dtype])
                yield step, dtype, net.library, loss, error(gradient, e), reference, accuracy, drifted
                if step < steps:
                    net.descend(gradient)
        tick(f"training, step {step}")


def start(seed, dtype):
    """The same net for each library; the parameters are exact in float32."""
    rng = np.random.default_rng([seed, 1])
    parameters = {}
    for i, (n, m) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1):
        parameters |= {f"W{i}": rng.standard_normal((m, n)) * np.sqrt(2 / n), f"b{i}": np.zeros(m)}
        if i < len(WIDTHS) - 1:
            parameters |= {f"gamma{i}": np.ones(m), f"beta{i}": np.zeros(m)}
    parameters = {k: p.astype(np.float32).astype(dtype) for k, p in parameters.items()}
    return [module.DigitsNet(dict(parameters), **SETTINGS) for module in (refgrad_programs, torch_programs)]


def batches(samples, seed):
    """Indices of batch after batch: every sample once, then all again in another order."""
    rng = np.random.default_rng([seed, 2])
    while True:
        order = rng.permutation(samples)
        yield from order[:samples // BATCH * BATCH].reshape(-1, BATCH)


def exact_gradient(net, parameters, x, y):
    """The gradient of refgrad's `net` at `parameters`, in ball arithmetic; its rules are proven elsewhere."""
    with arithmetic(BITS):
        return grad(lambda p: net.loss(p, Ball(x), y)[0])({k: Ball(p.astype(float)) for k, p in parameters.items()})


def wider_gradient(net, parameters, x, y, dtype):
    """(name of the dtype, the gradient in it); ("", None) where it is no wider, as long double on some machines."""
    if np.finfo(dtype).eps >= np.finfo(next(iter(parameters.values())).dtype).eps:
        return "", None
    e = grad(lambda p: net.loss(p, x.astype(dtype), y)[0])({k: p.astype(dtype) for k, p in parameters.items()})
    return dtype.__name__, e


def error(gradient, e):
    """|g - e| / |e|, 2-norms over all arrays, in the arithmetic of e; nan without e."""
    if e is None:
        return np.nan
    with arithmetic(BITS):
        off = sum(np.sum(np.square(_like(g, e[k]) - e[k])) for k, g in gradient.items())
        ratio = np.sqrt(off / sum(np.sum(np.square(a)) for a in e.values()))
    return float(ratio.mid() if isinstance(ratio, Ball) else ratio)


def _like(g, e):
    return Ball(g.astype(float)) if isinstance(e, Ball) else g.astype(e.dtype)


def distance(p, q):
    """|p - q| / |p| over all arrays of two dicts."""
    off = sum(np.sum(np.square(p[k].astype(float) - q[k])) for k in p)
    return float(np.sqrt(off / sum(np.sum(np.square(a.astype(float))) for a in p.values())))
