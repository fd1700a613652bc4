"""Ties, numbers without axes, and orders of entries."""

import numpy as np
import pytest
import torch

from .carrying import assert_same

X = np.array([[1.0, 2.0, 2.0, -3.0], [4.0, 4.0, 7.0, 4.0]])

PROGRAMS = {
    "amax": lambda x: x.amax(1), "max": lambda x: (x.max() + x.min()) * x,
    "aminmax": lambda x: torch.aminmax(x, dim=1)[1] * x[:, 0],
    "topk, smallest": lambda x: x.topk(2, 0, largest=False)[0] * torch.tensor([[1.0], [2.0]]),
    "sort, descending and stable": lambda x: x.sort(dim=1, descending=True, stable=True)[0]
        * torch.arange(4),
    "argsort": lambda x: x.gather(1,
                                  x.argsort(dim=1, descending=True, stable=True)) * torch.arange(4),
    "mode": lambda x: x.mode(1)[0], "median": lambda x: x[1, 1:3].median() * x,
    "kthvalue, kept": lambda x: x[:, :3:2].kthvalue(2, 1, keepdim=True)[0],
    "cumulative extremes": lambda x: x.cummax(1)[0] * x.cummin(1)[0],
    "logcumsumexp, far apart": lambda x: (x * 300).logcumsumexp(1),
    "std, uncorrected": lambda x:
        x.std((0, 1), correction=0) * x.var(1, correction=2, keepdim=True),
    "norm, 0 and below 1": lambda x:
        torch.linalg.vector_norm(x, 0) * torch.linalg.vector_norm(x, 0.5, 1),
    "renorm": lambda x: x.renorm(2, 0, 5.0),
    "count_nonzero": lambda x: x.count_nonzero(1) * x[:, 0],
    "of a number": lambda x: sum(f(x[0, 1] * 2, 0) for f in (
        torch.sum, torch.cumsum, torch.cumprod, torch.logcumsumexp, torch.amax, torch.logsumexp)),
    "of a number, by its order": lambda x: sum(f(x[0, 1] * 2, dim=0)[0] for f in (
        torch.max, torch.sort, torch.median, torch.mode, torch.cummax)) + x[0, 0].topk(1)[0],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name):
    assert_same(PROGRAMS[name], X)
