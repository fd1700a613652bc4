"""Views of a place in memory, writes through them, and copies, which alias nothing."""

import numpy as np
import pytest
import torch

from crosscheck.subjects.aten import NoLine

from .carrying import assert_same, on_balls

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


def _written(view):
    """Writes through a view of a result, and what then stands in the whole of it."""
    def program(x):
        y = x * x
        view(y).mul_(y.sum())
        return y * x
    return program


def _squeezed(x):
    y = (x * x).unsqueeze(0)
    z = y.squeeze_(0)
    z[0].mul_(3)
    return y * x


def _turned(x):
    y = x * x
    y.t_()[0].mul_(x[1, 0])
    y.unsqueeze_(-1).squeeze_().transpose_(0, 1)
    return y * x


PROGRAMS = {
    "as_strided": _written(lambda y: y.as_strided((2, 2), (2, 1), 1)),
    "as_strided of a view": _written(lambda y: y[1:].as_strided((2,), (1,))),
    "as_strided beyond a view": _written(lambda y: y[1:].as_strided((2,), (2,), 0)),
    "as_strided of a transposed view": _written(lambda y: y.t()[1:].as_strided((2,), (2,))),
    "diagonal": _written(lambda y: y.diagonal(1)),
    "unfold": _written(lambda y: y.unfold(1, 2, 2)),
    "narrow": _written(lambda y: y.narrow(1, 1, 2)),
    "as_strided_copy": _written(lambda y: torch.as_strided_copy(y[1:], (2,), (1,))),
    "select_copy": _written(lambda y: torch.select_copy(y, 0, 1)),
    "split_copy": _written(lambda y: torch.split_copy(y, 2, 1)[1]),
    "unsafe_split": _written(lambda y: torch.unsafe_split(y, 2, 1)[1].clone()),
    "squeeze_": _squeezed,
    "t_, unsqueeze_, transpose_": _turned,
    "select_scatter": lambda x: torch.select_scatter(x * x, x[1, :2], 1, -1) * x,
    "diagonal_scatter": lambda x: torch.diagonal_scatter(x * x, x[1, :2], 1) * x,
    "slice_scatter": lambda x: torch.slice_scatter(x * x, x[:, :2] * 3, 1, 0, 3, 2) * x,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name):
    assert_same(PROGRAMS[name], X)


@pytest.mark.parametrize("program, why", [
    (lambda x: x[:1].expand(3, 4).mul_(2), "several entries share one place"),
    (lambda x: x.sum(dtype=torch.int64), "dtype=torch.int64"),
    (lambda x: torch.zeros(3, 4, dtype=torch.int64).add_(x), "torch.int64|result type")])
def test_what_is_not_carried_says_why(program, why):
    with pytest.raises((NoLine, RuntimeError), match=why):
        on_balls(program, np.ones((3, 4)))
