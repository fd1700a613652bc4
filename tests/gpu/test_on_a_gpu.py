"""What needs a GPU; skipped without one."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck import check
from crosscheck.studies.arrays import table
from crosscheck.studies.arrays.libraries import installed
from crosscheck.verdict import WRONG

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)


def on_gpu(*shape, dtype=torch.float32):
    generator = torch.Generator("cuda").manual_seed(len(shape))
    return torch.randn(shape, dtype=dtype, device="cuda", generator=generator)


def test_the_op_table_on_cupy():
    pytest.importorskip("cupy")
    cupy = next(library for library in installed()[0] if library.name == "CuPy")
    ends = Counter()
    for rule in table.rules():
        for _, way, what, _, _ in table.found(rule, cupy.give, cupy.take, cupy.own):
            ends[way, what] += 1
    for way in table.WAYS:
        assert ends[way, "works"] >= 390, ends
        assert not any(ends[way, bad] for bad in table.BAD), ends


def test_networks_on_a_gpu(tmp_path):
    subprocess.run([sys.executable, "-m", "crosscheck", "run", "--networks", "6",
                    "--device", "cuda", "--out", tmp_path], check=True)
    errors = pd.read_csv(tmp_path / "errors.csv.gz")
    assert set(errors["differentiator"]) == {"refgrad", "torch-cuda"}
    assert not ((errors["verdict"] == WRONG) & (errors["mode"] == "reverse")).any()


def softmax(off):
    """A softmax of rows by Triton kernels; the backward pass is off by this factor minus 1."""
    triton = pytest.importorskip("triton")
    from .kernels import softmax_backward, softmax_forward

    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x = x.contiguous()
            y = torch.empty_like(x)
            block = triton.next_power_of_2(x.shape[1])
            if y.numel():
                softmax_forward[(len(x),)](x, y, x.shape[1], BLOCK=block)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            y, = ctx.saved_tensors
            g, dx = g.contiguous(), torch.empty_like(y)
            block = triton.next_power_of_2(y.shape[1])
            if y.numel():
                softmax_backward[(len(y),)](y, g, dx, y.shape[1], BLOCK=block)
            return dx * (1 + off)
    return Softmax


@pytest.mark.parametrize("off, outcome", [(0, "ok"), (1e-4, "wrong")])
def test_a_triton_kernel(off, outcome):
    report = check(softmax(off), on_gpu(4, 7), order=1)
    assert report.outcome == outcome, report


@pytest.mark.parametrize("off, outcome", [(0, "ok"), (1e-2, "wrong")])
def test_a_product_in_tf32(off, outcome):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g @ b.mT * (1 + off), a.mT @ g

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        report = check(Product, on_gpu(32, 32), on_gpu(32, 32), order=1)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    assert report.outcome == outcome and "TF32" in str(report), report


def test_attention_in_bfloat16_is_decided():
    q, k, v = (on_gpu(1, 2, 8, 16, dtype=torch.bfloat16) for _ in range(3))
    report = check(torch.nn.functional.scaled_dot_product_attention, q, k, v, order=1)
    assert report.outcome == "ok", report


def test_results_are_numpys_to_rounding():
    """refgrad's gradient of a network on CuPy's arrays, eager and by jit."""
    cupy = pytest.importorskip("cupy")
    import refgrad as rg
    from refgrad import nn

    def loss(w, x):
        return np.sum(nn.gelu(nn.layer_norm(nn.linear(x, w), (8,))))
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((8, 5)), rng.standard_normal((3, 5))
    right = rg.grad(loss)(w, x)
    for gradient in (rg.grad(loss), rg.jit(rg.grad(loss))):
        for _ in range(2):
            found = gradient(cupy.asarray(w), cupy.asarray(x))
            assert isinstance(found, cupy.ndarray)
            np.testing.assert_allclose(cupy.asnumpy(found), right, rtol=1e-12, atol=1e-12)
