"""Positions that repeat, kinds of indices, ties, numbers without axes, empty indices."""

import numpy as np
import pytest
import torch

from .carrying import assert_same

X = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 7.0]])
SOURCE = np.array([[5.0, 2.5, -1.0], [0.5, 3.0, 0.0]])
REPEATED = torch.tensor([[0, 0, 0], [0, 1, 0]])
TIED = np.array([[1.0, 2.0, 2.0], [4.0, 4.0, 7.0]])
MASK = torch.tensor([[True, False, True], [False, True, True]])
NONE = torch.zeros((0,), dtype=torch.int64)

PROGRAMS = {
    "index by bytes": lambda x, y: (x * y)[MASK.to(torch.uint8)],
    "index by a mask of the first axis": lambda x, y: (x * y)[MASK[:, 0]],
    "index between whole axes": lambda x, y: (x * y)[None, :, torch.tensor([2, 0, 2])] * 2,
    "index_put, added up": lambda x, y: x.index_put((torch.tensor([1, 1]),), y[0], accumulate=True)
        * x,
    "index_put_ through a view": lambda x, y: x.t().index_put_((torch.tensor([1, 0]),), y[:, 0]).t()
        * x,
    "put": lambda x, y: x.put(torch.tensor([1, -1]), y[:, 1]) * x,
    "take": lambda x, y: x.take(torch.tensor([[1, -1], [0, 1]])) * y[:, :2],
    "gather without entries": lambda x, y: torch.cat([x.gather(1, NONE), y.ravel()]),
    "scatter without entries": lambda x, y: x.scatter(0, NONE, y[0, :0]) * y,
    "scatter of a number": lambda x, y: x.scatter(1, REPEATED, 2.5) * y,
    "masked_scatter": lambda x, y: x.masked_scatter(MASK, y) * x,
    "index_add with alpha": lambda x, y: x.index_add(1, torch.tensor([0, 0, 2]), y, alpha=0.5) * x,
    "index_copy": lambda x, y: x.index_copy(1, torch.tensor([2, 0]), y[:, 1:]) * x,
    "index_fill by a tensor": lambda x, y: x.index_fill(1, torch.tensor([2]), y[0, 0]) * x,
    "of a number": lambda x, y: x.sum().index_select(0, torch.tensor([0]))
        * y.sum().gather(0, torch.tensor([0])),
    **{f"scatter_reduce, {how}, {'with' if own else 'without'} its own": (
        lambda x, y, how=how, own=own: x.scatter_reduce(0, REPEATED, y, how, include_self=own) * x)
       for how in ("sum", "mean", "prod", "amax", "amin") for own in (True, False)},
    **{f"index_reduce, {how}": lambda x, y, how=how:
       x.index_reduce(1, torch.tensor([0, 0, 2]), y, how) * x
       for how in ("mean", "prod", "amax", "amin")},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name):
    assert_same(PROGRAMS[name], X, SOURCE)


def test_ties_are_shared_evenly():
    assert_same(lambda x: torch.ones(2, dtype=torch.float64).mul(2).scatter_reduce(
        0, torch.tensor([0, 0, 0, 1, 1, 1]), x.ravel(), "amax"), TIED)
