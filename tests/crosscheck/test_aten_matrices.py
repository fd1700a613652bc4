"""Factors and solutions of stacks, their other forms, and what has no line."""

import numpy as np
import pytest
import torch

from crosscheck.subjects.aten import NoLine

from .carrying import assert_same, on_balls

A = np.array([[[1.0, 2.0, 0.5], [4.0, 1.0, 3.0], [2.0, 5.0, 1.5]],
              [[3.0, 1.0, 2.0], [1.0, 0.5, 1.0], [6.0, 2.0, 5.0]]])
B = np.array([[1.0, 2.0], [0.5, 3.0], [2.0, -1.0]])


def _by_factors(a, b, left=True, adjoint=False):
    lu, pivots = torch.linalg.lu_factor(a)
    b = b if left else b.mT
    return torch.linalg.lu_solve(lu, pivots, b, left=left, adjoint=adjoint)


PROGRAMS = {
    "lu of wide": lambda a, b: torch.cat([m.sum((-2, -1)) for m in torch.linalg.lu(a[:, :2])[1:]])
        * b[0, 0],
    "lu of tall": lambda a, b: torch.linalg.lu(a[..., :2])[0] @ torch.linalg.lu(a[..., :2])[1]
        * b[0, 0],
    "lu_unpack": lambda a, b: torch.lu_unpack(*torch.linalg.lu_factor(a))[2] @ b,
    "lu_solve": _by_factors,
    "lu_solve from the right": lambda a, b: _by_factors(a, b, left=False),
    "lu_solve transposed": lambda a, b: _by_factors(a, b, adjoint=True),
    "solve of vectors": lambda a, b: torch.linalg.solve(a, b[:, 0]),
    "solve from the right": lambda a, b: torch.linalg.solve(a, b.mT.expand(2, 2, 3), left=False),
    "solve_triangular": lambda a, b: torch.linalg.solve_triangular(a, b, upper=True,
                                                                   unitriangular=True),
    "cholesky of a triangle": lambda a, b: torch.linalg.cholesky(a @ a.mT + a.tril(-1), upper=True)
        @ b,
    "cholesky_inverse": lambda a, b: torch.cholesky_inverse(a.triu(), upper=True) @ b,
    "addmm without its own": lambda a, b: torch.addmm(b[0] / (b[0] - b[0] + 1), a[0], b, beta=0,
                                                      alpha=0.5),
    "block_diag": lambda a, b: torch.block_diag(a[0], b, b[0, 0]),
    "slogdet": lambda a, b: torch.linalg.slogdet(a)[1] * b[0, 0],
    "matrix_exp": lambda a, b: torch.linalg.matrix_exp(a / 4) @ b,
    "ormqr": lambda a, b: torch.ormqr(a[0], b[:, 0], b.mT, left=False, transpose=True),
}
REFUSED = {
    "svd with all vectors": lambda a: torch.linalg.svd(a[..., :2], full_matrices=True)[0],
    "qr with all vectors": lambda a: torch.linalg.qr(a[..., :2], mode="complete")[0],
    "complex eigenvalues": lambda a: torch.linalg.eigvals(a).abs(),
    "fft": lambda a: torch.fft.fft(a).abs(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name):
    assert_same(PROGRAMS[name], A, B)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_line(name):
    with pytest.raises(NoLine, match="any basis|complex"):
        on_balls(REFUSED[name], A)
