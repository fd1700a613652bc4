"""Triton kernels: softmax of each row, forward and backward."""

import triton
import triton.language as tl


@triton.jit
def softmax_forward(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * n + i, mask=i < n, other=-float("inf"))
    e = tl.exp(x - tl.max(x, 0))
    tl.store(y_ptr + row * n + i, e / tl.sum(e, 0), mask=i < n)


@triton.jit
def softmax_backward(y_ptr, g_ptr, dx_ptr, n, BLOCK: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    y = tl.load(y_ptr + row * n + i, mask=i < n, other=0.0)
    g = tl.load(g_ptr + row * n + i, mask=i < n, other=0.0)
    tl.store(dx_ptr + row * n + i, y * (g - tl.sum(g * y, 0)), mask=i < n)
