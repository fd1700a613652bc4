"""A program of a user's, as a static checker sees it: `mypy` reads it, nothing runs it.

Where a line is ignored the checker must complain, or the comment is reported as unused.
"""

from typing import Any, assert_type

import numpy as np
import pandas as pd

import crosscheck
import refgrad as rg
from refgrad import nn
from refgrad.hints import Array

x = np.ones((2, 3))
w = np.ones((4, 3))


def loss(w: Array) -> Array:
    """Layers take arrays and give arrays."""
    hidden = nn.relu(nn.linear(x, w))
    return nn.mse_loss(hidden, np.zeros((2, 4)), reduction="sum")


gradient: Array = rg.grad(loss)(w)
value, both = rg.value_and_grad(loss, argnums=(0,))(w)
result, pull = rg.vjp(loss, w)
result, tangent = rg.jvp(loss, (w,), (w,))
(product,) = rg.hvp(loss, [w], [w])
matrix = rg.jacobian(loss, mode="forward")(w), rg.hessian(loss)(w)
print(rg.jit(rg.checkpoint(loss)).program(w).source, rg.erf(w), rg.special.logsumexp(w))
kinds: list[str] = [kind for _, kind in rg.functions()]
nest: Any = rg.tree_map(np.negative, {"w": w})


@rg.custom
def twice(x: Array) -> Array:
    """A primitive of the user's own."""
    return 2 * x


@twice.def_vjp
def twice_vjp(g: Array, y: Array, x: Array) -> Array:
    """Its rule."""
    return 2 * g


h, c = nn.lstm_cell(x, (x, x), w, w)
pooled, positions = nn.max_pool1d_with_indices(x, (2,), stride=1)
assert_type(nn.softmax(x, dim=-1), Array)
rg.grad(loss, argnums="0")  # type: ignore[arg-type]
nn.softmax([1.0, 2.0], dim=0)  # type: ignore[arg-type]
nn.conv2d(x, w, strides=1)  # type: ignore[call-arg]
nn.mse_loss(x, x, reduction=True)  # type: ignore[arg-type]
rg.gradient(loss)  # type: ignore[attr-defined]

report = crosscheck.check(loss, w, dtypes=("float64",), modes="reverse")
assert_type(report.ok, bool)
assert_type(report.to_frame(), pd.DataFrame)
crosscheck.assert_gradient(twice, x, vjp=lambda g, x: 2 * g, order=1)
crosscheck.check(loss, w, order="first")  # type: ignore[arg-type]
crosscheck.verify(loss)  # type: ignore[attr-defined]
