"""jax.jit: value and gradient compiled as one function, on arrays that are there already."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from ..problems import loss_of, stepped

jax.config.update("jax_enable_x64", True)


def _batch_norm(x, mean, variance, scale, shift, training):
    return jax.nn.standardize(x, axis=0, epsilon=1e-5) * scale + shift


def _cross_entropy(logits, y):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y])


def _conv2d(x, W, b, padding):
    y = jax.lax.conv_general_dilated(x, W, (1, 1), [(padding, padding)] * 2)
    return y + b[:, None, None]


def _max_pool2d(x, size):
    window = (1, 1, size, size)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


def _layer_norm(x, shape, scale, shift):
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5) * scale + shift


def _attention(query, key, value):
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
    return jax.nn.softmax(scores) @ value


def _lstm_cell(x, hx, w_ih, w_hh, b_ih, b_hh):
    h, c = hx
    i, f, g, o = jnp.split(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _in_turn(function, state, steps):
    """Compiled once for all steps."""
    return jax.lax.scan(lambda state, step: (function(state, step), None), state, steps)[0]


F = SimpleNamespace(
    linear=lambda x, W, b=None: x @ W.T if b is None else x @ W.T + b, relu=jax.nn.relu,
    tanh=jnp.tanh, sin=jnp.sin, sum=jnp.sum, batch_norm=_batch_norm, cross_entropy=_cross_entropy,
    mse_loss=lambda x, y: jnp.mean((x - y) ** 2),
    l2_penalty=lambda parameters, k: k / 2 * sum(jnp.sum(W * W) for W in parameters),
    conv2d=_conv2d, max_pool2d=_max_pool2d, layer_norm=_layer_norm,
    scaled_dot_product_attention=_attention,
    gelu=lambda x, approximate: jax.nn.gelu(x, approximate=approximate == "tanh"),
    lstm_cell=_lstm_cell, zeros_like=jnp.zeros_like, in_turn=_in_turn)


def prepare(problem, data):
    x, y, p, along = (jax.tree.map(jnp.asarray, a)
                      for a in (data.x, data.y, data.parameters, data.along))

    loss = loss_of(problem)

    def program(p, x, y):  # x and y are arguments: constants would be folded in at compile time
        return loss(F, problem, p, x, y)

    if problem.kind == "hvp":
        product = jax.jit(
            lambda p, v, x, y: jax.jvp(lambda q: jax.grad(program)(q, x, y), (p,), (v,))[1])
        return lambda: (None, jax.block_until_ready(product(p, along, x, y)))
    both = jax.value_and_grad(program)

    def step(p, x, y):
        value, gradients = both(p, x, y)
        return value, stepped(p, gradients)

    compiled = jax.jit(step if problem.kind == "train" else both)
    return lambda: jax.block_until_ready(compiled(p, x, y))


def arrays(result):
    value, gradients = result
    return None if value is None else float(value), [np.asarray(g) for g in gradients]
