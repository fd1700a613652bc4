"""JAX: jax.grad and jax.jvp, in composition, on its functions of the same meaning as
torch.nn.functional's."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from .interface import Library


def _reduced(losses, reduction):
    if reduction == "batchmean":
        return jnp.sum(losses) / losses.shape[0]
    return {"mean": jnp.mean, "sum": jnp.sum, "none": lambda x: x}[reduction](losses)


def _normalized(x, axes, mean, variance, weight, bias, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * weight + bias, where weight and bias have the axes of
    `axes`."""
    y = (x - mean) / jnp.sqrt(variance + eps)
    for operation, a in ((jnp.multiply, weight), (jnp.add, bias)):
        if a is not None:
            y = operation(y, jnp.reshape(a, [n if k in axes else 1 for k, n in enumerate(x.shape)]))
    return y


def layer_norm(x, normalized_shape, weight=None, bias=None):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    mean, variance = (f(x, axis=axes, keepdims=True) for f in (jnp.mean, jnp.var))
    return _normalized(x, axes, mean, variance, weight, bias)


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False):
    others = tuple(k for k in range(x.ndim) if k != 1)
    if training:
        mean, variance = (f(x, axis=others, keepdims=True) for f in (jnp.mean, jnp.var))
    else:
        shape = [n if k == 1 else 1 for k, n in enumerate(x.shape)]
        mean, variance = (jnp.reshape(a, shape) for a in (running_mean, running_var))
    return _normalized(x, (1,), mean, variance, weight, bias)


def nll_loss(log_probabilities, target, weight=None, reduction="mean"):
    """Classes along axis 1; the mean is weighted."""
    picked = jnp.take_along_axis(log_probabilities, target[:, None], axis=1)[:, 0]
    weights = jnp.ones_like(picked) if weight is None else weight[target]
    losses = -weights * picked
    return (jnp.sum(losses) / jnp.sum(weights) if reduction == "mean"
            else _reduced(losses, reduction))


def cross_entropy(logits, target, weight=None, reduction="mean", label_smoothing=0.0):
    log_probabilities, classes = jax.nn.log_softmax(logits, axis=1), logits.shape[1]
    if jnp.issubdtype(target.dtype, jnp.floating):
        target = target * (1 - label_smoothing) + label_smoothing / classes
        losses = -jnp.sum(target * log_probabilities, axis=1)
        # The mean is over samples and positions, not over classes.
        return _reduced(losses, reduction)
    right = nll_loss(log_probabilities, target, weight, "none")
    weights = jnp.ones_like(right) if weight is None else weight[target]
    shape = [n if k == 1 else 1 for k, n in enumerate(logits.shape)]
    each = log_probabilities if weight is None else log_probabilities * jnp.reshape(weight, shape)
    losses = (1 - label_smoothing) * right - label_smoothing / classes * jnp.sum(each, axis=1)
    return (jnp.sum(losses) / jnp.sum(weights) if reduction == "mean"
            else _reduced(losses, reduction))


def binary_cross_entropy_with_logits(x, target, pos_weight=1.0, reduction="mean"):
    losses = (1 - target) * x + (1 + (pos_weight - 1) * target) * jax.nn.softplus(-x)
    return _reduced(losses, reduction)


def kl_div(x, target, reduction="mean"):
    return _reduced(target * (jnp.log(target) - x), reduction)


def huber_loss(x, target, reduction="mean", delta=1.0):
    gap = jnp.abs(x - target)
    return _reduced(jnp.where(gap <= delta, gap * gap / 2, delta * (gap - delta / 2)), reduction)


#: Functions with the names and options that networks use, where JAX has others.
F = SimpleNamespace(
    layer_norm=layer_norm, batch_norm=batch_norm, nll_loss=nll_loss, cross_entropy=cross_entropy,
    binary_cross_entropy_with_logits=binary_cross_entropy_with_logits, kl_div=kl_div,
    huber_loss=huber_loss, linear=lambda x, W, b=None: x @ W.T if b is None else x @ W.T + b,
    glu=lambda x, dim=-1: jax.nn.glu(x, axis=dim),
    gelu=lambda x, approximate="none": jax.nn.gelu(x, approximate=approximate == "tanh"),
    softplus=lambda x, beta=1: jax.nn.softplus(beta * x) / beta,
    softmax=lambda x, dim: jax.nn.softmax(x, axis=dim),
    log_softmax=lambda x, dim: jax.nn.log_softmax(x, axis=dim),
    mse_loss=lambda x, y, reduction="mean": _reduced((x - y) ** 2, reduction),
    l1_loss=lambda x, y, reduction="mean": _reduced(jnp.abs(x - y), reduction))


class Jax(Library):
    """JAX, by jax.grad and jax.jvp."""

    name = "jax"
    imports = ("import jax, jax.numpy as jnp; from crosscheck.subjects.libraries.jax_library "
               "import F")
    gradient, slope, array, dtype = "jax.grad", "jax.jvp", "jnp.array", "jnp."
    spaces = (("F", F), ("jax.nn", jax.nn), ("jnp", jnp))

    grad = staticmethod(jax.grad)
    jvp = staticmethod(jax.jvp)

    def _found(self, name):
        """Not ``jnp.pad``, which takes other arguments than ``F.pad``."""
        return None if name == "pad" else super()._found(name)

    @staticmethod
    def inner(a, b):
        return sum(jnp.sum(a[k] * b[k]) for k in a)

    def arrays(self, arrays, dtype):
        return {k: jnp.asarray(a, dtype if np.asarray(a).dtype.kind == "f" else None)
                for k, a in arrays.items()}

    @contextlib.contextmanager
    def at_work(self):
        """Enables float64, which JAX otherwise rounds to float32."""
        with jax.enable_x64():
            yield

    def like(self, a, x):
        return jnp.asarray(a, x.dtype)


LIBRARY = Jax()
