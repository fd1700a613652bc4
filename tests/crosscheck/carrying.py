"""torch programs on tensors that carry Balls, beside torch itself."""

import numpy as np
import torch

import refgrad
from crosscheck.ball import Ball, arithmetic
from crosscheck.subjects.aten import carried

TIGHT = 1e-12


def on_balls(program, *arrays):
    """(value, gradients of the sum of its entries), by the lines of NumPy."""
    def run(arrays):
        return carried(lambda tensors: [program(*tensors.values())], arrays, torch.float64)[0]

    with arithmetic(200):
        balls = {str(k): Ball(a) for k, a in enumerate(arrays)}
        value, slopes = run(balls), refgrad.grad(lambda arrays: np.sum(run(arrays)))(balls)
    return value.mid(), [g.mid() for g in slopes.values()]


def by_torch(program, *arrays):
    """The same by torch's autograd."""
    tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    value = program(*[t * 1 for t in tensors])
    slopes = torch.autograd.grad(value.sum(), tensors)
    return value.detach().numpy(), [g.numpy() for g in slopes]


def assert_same(program, *arrays):
    for ours, theirs in zip(on_balls(program, *arrays), by_torch(program, *arrays)):
        for a, b in zip(ours, theirs) if isinstance(ours, list) else [(ours, theirs)]:
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=TIGHT, atol=TIGHT)
