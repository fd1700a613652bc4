"""Three real networks, each learned by refgrad and by torch in lockstep.

Both start from the same parameters and see the same batches.  How far apart they drift is
rounding, amplified by the training itself; how good their gradients are is measured against the
exact gradient at each one's own parameters.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from refgrad import grad

from ...ball import Ball, arithmetic
from ..timing import equal_threads
from . import TABLE
from .learner import REFGRAD, TORCH, Learner
from .nets import NETS, loss

DTYPES = ("float32", "float64")
BITS = 200                         # of the exact gradient
ERRORS_EVERY, ACCURACY_EVERY = 5, 10
WIDER = {"float32": np.float64, "float64": np.longdouble}


def steps(quick):
    return 80 if quick else 200


def count(quick):
    """How often `run_training` calls `tick`: once for each step of each net."""
    return len(NETS) * (steps(quick) + 1)


def run_training(seed=0, quick=False, tick=lambda description: None):
    """The frame of training.csv, without the nets whose data are not there."""
    with equal_threads():
        rows = [row for net in NETS if (data := net.data(seed)) is not None
                for row in train(net, *data, seed, steps(quick), tick=tick)]
    return pd.DataFrame(rows, columns=TABLE.columns)


def train(net, x, y, x_test, y_test, seed, steps, tick=lambda description: None):
    """Rows, step by step, with the exact gradient at the first step, halfway and at the last."""
    pairs = {dtype: start(net, seed, dtype) for dtype in DTYPES}
    exactly = {0, steps // 2, steps}
    for step, batch in zip(range(steps + 1), batches(len(x), net.batch, seed)):
        for dtype, pair in pairs.items():
            drifted = distance(*(learner.parameters for learner in pair))
            for learner in pair:
                accuracy = np.nan
                if step % ACCURACY_EVERY == 0 or step == steps:
                    accuracy = learner.accuracy(_as(dtype, x_test), y_test)
                value, gradient = learner.value_and_gradient(_as(dtype, x[batch]), y[batch])
                reference, e = "", None
                at = pair[0], learner.parameters, x[batch], y[batch]
                if step in exactly:
                    reference, e = "ball", exact_gradient(*at)
                elif step % ERRORS_EVERY == 0:
                    reference, e = wider_gradient(*at, WIDER[dtype])
                yield (net.name, step, dtype, learner.library.name, value, error(gradient, e),
                       reference, accuracy, drifted)
                if step < steps:
                    learner.descend(gradient)
        tick(f"training the {net.name}, step {step}")


def start(net, seed, dtype):
    """The same net for each library; the parameters are exact in float32."""
    parameters = {k: a.astype(np.float32).astype(dtype)
                  for k, a in net.start(np.random.default_rng([seed, 1])).items()}
    return [Learner(library, net, parameters) for library in (REFGRAD, TORCH)]


def batches(samples, size, seed):
    """Indices of batch after batch: every sample once, then all again in another order."""
    rng = np.random.default_rng([seed, 2])
    while True:
        order = rng.permutation(samples)
        yield from order[:samples // size * size].reshape(-1, size)


def _as(dtype, a):
    """Real numbers in that dtype; integers are codes and stay."""
    return a.astype(dtype) if a.dtype.kind == "f" else a


def exact_gradient(learner, parameters, x, y):
    """The gradient at `parameters` in ball arithmetic, by refgrad's rules, proven elsewhere.

    A rule that is wrong shows as an error of torch's gradient.  A function of refgrad that computes
    something wrong in floats shows as an error of refgrad's, since balls take its formula.
    """
    with arithmetic(BITS):
        return _gradient(learner, lambda a: Ball(a.astype(float)), parameters, x, y)


def wider_gradient(learner, parameters, x, y, dtype):
    """(name of the dtype, the gradient in it); ("", None) where it is no wider, as long double on
    some machines."""
    if np.finfo(dtype).eps >= np.finfo(next(iter(learner.parameters.values())).dtype).eps:
        return "", None
    return dtype.__name__, _gradient(learner, lambda a: a.astype(dtype), parameters, x, y)


def _gradient(learner, convert, parameters, x, y):
    """The gradient of the net of refgrad's `learner`, all reals being converted first."""
    x = convert(x) if x.dtype.kind == "f" else x
    return grad(lambda p: loss(REFGRAD.F, learner.net, p, x, y, learner.statistics)[0])(
        {k: convert(np.asarray(a)) for k, a in parameters.items()})


def error(gradient, e):
    """|g - e| / |e|, 2-norms over all arrays, in the arithmetic of e; nan without e."""
    if e is None:
        return np.nan
    with arithmetic(BITS):
        off = sum(np.sum(np.square(_like(g, e[k]) - e[k])) for k, g in gradient.items())
        ratio = np.sqrt(off / sum(np.sum(np.square(a)) for a in e.values()))
    return float(ratio.mid() if isinstance(ratio, Ball) else ratio)


def _like(g, e):
    g = np.asarray(g)
    return Ball(g.astype(float)) if isinstance(e, Ball) else g.astype(e.dtype)


def distance(p, q):
    """|p - q| / |p| over all arrays of two dicts."""
    pairs = [(np.asarray(p[k], float), np.asarray(q[k], float)) for k in p]
    return float(np.sqrt(sum(np.sum(np.square(a - b)) for a, b in pairs)
                         / sum(np.sum(np.square(a)) for a, _ in pairs)))
