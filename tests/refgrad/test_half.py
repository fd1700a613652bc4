"""float16: what rules count and add up may be far beyond 65504, its largest number."""

import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn

N = 100_000
ONES = np.ones(N, np.float16)
ALTERNATING = np.arange(N).astype(np.int8) % 2 * ONES
ROWS = np.zeros((N, 3), np.float16)
LOGITS = np.zeros((N, 2), np.float16)
CLASSES = np.zeros(N, int)
IGNORED = np.where(np.arange(N) < 4, -100, 0)
TWO = 300 * np.array([1, -1], np.float16)
LOG2 = np.log(2)

#: name -> (function of one array, the array, its value, the sum of the gradient's absolute values)
PROGRAMS = {
    "mean": (np.mean, ONES, 1, 1),
    "average": (np.average, ONES, 1, 1),
    "weighted average": (lambda x: np.average(x, weights=2 * ONES), ONES, 1, 1),
    "max": (np.max, ONES, 1, 1),
    "min": (np.min, ONES, 1, 1),
    "median": (np.median, ONES, 1, 1),
    "var": (np.var, ALTERNATING, 0.25, 1),
    "std": (np.std, ALTERNATING, 0.5, 1),
    "norm": (np.linalg.norm, 100 * ONES, 100 * N ** 0.5, N ** 0.5),
    "norm of order 3": (lambda x: np.linalg.norm(x, 3), 100 * ONES, 100 * np.cbrt(N), np.cbrt(N)),
    "broadcast": (lambda b: np.mean(b + ROWS[:, :1]), ONES[:1], 1, 1),
    "broadcast along an axis": (lambda b: np.mean(b + ROWS), ONES[:3], 1, 1),
    "one entry again and again": (lambda x: np.mean(x[CLASSES]), ONES[:3], 1, 1),
    "repeat": (lambda x: np.mean(np.repeat(x, N)), ONES[:2], 1, 1),
    "tile": (lambda x: np.mean(np.tile(x, N)), ONES[:2], 1, 1),
    "linear": (lambda w: np.mean(nn.linear(ONES[:, None], w)), ONES[:3, None], 1, 1),
    "mse_loss": (lambda x: nn.mse_loss(x, 0 * x), ONES, 1, 2),
    "weighted mse_loss": (lambda x: nn.mse_loss(x, 0 * x, weight=ONES), ONES, 1, 2),
    "cross_entropy": (lambda x: nn.cross_entropy(x, CLASSES), LOGITS, LOG2, 1),
    "ignored classes": (lambda x: nn.cross_entropy(x, IGNORED), LOGITS, LOG2, 1),
    "weighted classes": (lambda x: nn.cross_entropy(x, CLASSES, ONES[:2]), LOGITS, LOG2, 1),
    "log_softmax": (lambda x: nn.log_softmax(x, 0)[0], ONES, -np.log(N), 2),
    "kl_div": (lambda x: nn.kl_div(x, 0 * x + 0.5, reduction="batchmean"), LOGITS, -LOG2, 1),
    "l2_penalty": (lambda x: nn.l2_penalty(x, 1e-4), ONES, 5, 10),
    "layer_norm": (lambda x: nn.layer_norm(x, (2,))[0], TWO, 1, 0),
    "gelu": (lambda x: np.sum(nn.gelu(x, "tanh")), TWO, 300, 1),
}


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_sums_and_counts_beyond_the_largest_half(name, mode):
    f, x, value, size = PROGRAMS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if mode == "reverse":
            found, gradient = rg.value_and_grad(f)(x)
            assert gradient.dtype == np.float16
            found_size = float(np.sum(np.abs(gradient.astype(float))))
            assert found_size == pytest.approx(size, rel=0.02, abs=1e-3)
        else:
            found, slope = rg.jvp(f, (x,), (x,))
            assert slope.dtype == np.float16 and np.isfinite(slope)
    assert found.dtype == np.float16 and float(found) == pytest.approx(value, rel=2e-3)
