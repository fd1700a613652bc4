"""A network's value and gradient on a GPU: refgrad on CuPy's arrays, CuPy by hand, torch, JAX.

    python examples/mlp_on_a_gpu.py [--tf32] [--out mlp_on_a_gpu.csv]

The network has three hidden layers with relu and a squared error, float32, a batch of 128. Each
contender computes the value and the gradient with respect to all weights; the table has the
median time of interleaved repetitions, and its ratio to CuPy by hand. Without a GPU it says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time

import numpy as np

import refgrad as rg
from refgrad import nn

BATCH, INPUTS, OUTPUTS = 128, 64, 10


def by_hand(xp, weights, x, y):
    """Value and gradients, written with the array functions of xp."""
    layers = [x]
    for w in weights[:-1]:
        layers.append(xp.maximum(layers[-1] @ w.T, 0))
    error = layers[-1] @ weights[-1].T - y
    value = xp.mean(xp.square(error))
    g, gradients = error * (2 / error.size), []
    for w, h in zip(weights[::-1], layers[::-1]):
        gradients.append(g.T @ h)
        if h is not x:
            g = (g @ w) * (h > 0)
    return value, gradients[::-1]


def loss(weights, x, y):
    """The same for refgrad, on NumPy's or CuPy's arrays."""
    for w in weights[:-1]:
        x = nn.relu(nn.linear(x, w))
    return nn.mse_loss(nn.linear(x, weights[-1]), y)


def contenders(weights, x, y, tf32):
    """name -> (function that computes all of it, function that waits for the GPU)."""
    import cupy
    import jax
    import jax.numpy as jnp
    import torch
    import torch.nn.functional as F

    on_cupy = [cupy.asarray(w) for w in weights], cupy.asarray(x), cupy.asarray(y)
    wait = cupy.cuda.Device().synchronize
    eager, written = rg.value_and_grad(loss), rg.jit(rg.value_and_grad(loss))

    torch.backends.cuda.matmul.allow_tf32 = tf32
    leaves, tx, ty = ([torch.tensor(w, device="cuda", requires_grad=True) for w in weights],
                      torch.tensor(x, device="cuda"), torch.tensor(y, device="cuda"))

    def by_torch():
        z = tx
        for w in leaves[:-1]:
            z = F.relu(F.linear(z, w))
        value = F.mse_loss(F.linear(z, leaves[-1]), ty)
        return value, torch.autograd.grad(value, leaves)

    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "highest")

    def jax_loss(weights, x, y):
        for w in weights[:-1]:
            x = jax.nn.relu(x @ w.T)
        return jnp.mean(jnp.square(x @ weights[-1].T - y))

    on_jax = jax.device_put((list(weights), x, y))
    by_jax = jax.jit(jax.value_and_grad(jax_loss))
    return {
        "CuPy by hand": (lambda: by_hand(cupy, *on_cupy), wait),
        "refgrad": (lambda: eager(*on_cupy), wait),
        "refgrad.jit": (lambda: written(*on_cupy), wait),
        "torch": (by_torch, torch.cuda.synchronize),
        "jax.jit": (lambda: jax.block_until_ready(by_jax(*on_jax)), lambda: None)}


def seconds(run, wait, calls):
    """The time of one call, of so many in a row."""
    wait()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    wait()
    return (time.perf_counter() - start) / calls


def measured(width, tf32, repetitions=15):
    """(contender, median seconds, median ratio to CuPy by hand, relative error of the
    gradient in the norm) of a width."""
    rng = np.random.default_rng(0)
    sizes = INPUTS, width, width, width, OUTPUTS
    weights = [(rng.standard_normal((m, n)) / n ** 0.5).astype(np.float32)
               for n, m in zip(sizes, sizes[1:])]
    x, y = (rng.standard_normal((BATCH, n)).astype(np.float32) for n in (INPUTS, OUTPUTS))
    right = by_hand(np, [w.astype(float) for w in weights], x.astype(float), y.astype(float))
    runs, times, off = contenders(weights, x, y, tf32), {}, {}
    for name, (run, wait) in runs.items():
        gradients = [np.asarray(g.get() if hasattr(g, "get") else g.tolist()) for g in run()[1]]
        off[name] = max(np.linalg.norm(g - r) / np.linalg.norm(r)
                        for g, r in zip(gradients, right[1]))
        for _ in range(3):
            seconds(run, wait, 3)
        times[name] = []
    for _ in range(repetitions):
        for name, (run, wait) in runs.items():
            times[name].append(seconds(run, wait, 20))
    for name in runs:
        ratios = [t / hand for t, hand in zip(times[name], times["CuPy by hand"])]
        yield name, statistics.median(times[name]), statistics.median(ratios), off[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tf32", action="store_true", help="products may round to TF32")
    parser.add_argument("--out", default="mlp_on_a_gpu.csv", help="the table to write")
    options = parser.parse_args()
    os.environ["CUPY_TF32"] = "1" if options.tf32 else "0"  # CuPy reads it when it is imported
    try:
        import cupy
        card = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except Exception as error:  # of CuPy or of the driver, which have errors of their own
        sys.exit(f"needs CuPy, torch, JAX and a GPU: {type(error).__name__}: {error}")
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        write(("card", "products", "width", "contender", "seconds", "ratio", "relative_error"))
        for width in (64, 512, 4096):
            for name, time_, ratio, off in measured(width, options.tf32):
                write((card, "TF32" if options.tf32 else "float32", width, name, f"{time_:.3g}",
                       f"{ratio:.3g}", f"{off:.2g}"))
                print(f"{card}, width {width}: {name:14} {1e6 * time_:9.1f} us, {ratio:5.2f} times "
                      f"CuPy by hand, off by {off:.1e}", flush=True)


if __name__ == "__main__":
    main()
