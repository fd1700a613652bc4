"""Steps, ties, kinks, matrices of which one triangle is read, straight-through gradients: no false
alarm, and faults at the same places are found."""

import contextlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crosscheck import check, kinks
from crosscheck import subspaces
from crosscheck.truth import by_balls, by_differences, nearby
from crosscheck.verdict import KINK, WRONG
from tests.crosscheck.scenarios import Scenario, function

ROW = torch.tensor([0.3, 1.7, -0.4, 0.9, 2.2, 0.1, -1.0], dtype=torch.float64)
X = torch.tensor([[0.5, -1.25, 2.0, 0.3], [0.75, 3.5, -0.25, 1.1], [-0.6, 0.4, 1.3, -2.0]],
                 dtype=torch.float64)
A = torch.tensor([[4.0, 1.0, 0.5, -0.25], [1.0, 3.0, 0.75, 0.5], [0.5, 0.75, 5.0, 1.5],
                  [-0.25, 0.5, 1.5, 2.5]], dtype=torch.float64)
RANKS = torch.arange(16.0).reshape(4, 4)
B = torch.tensor([[1.0, -2.0], [0.5, 0.25], [3.0, 1.0], [-1.0, 0.75]], dtype=torch.float64)
DOUBLE = ("float64",)


def right(f, *inputs, **options):
    return Scenario(lambda: check(f, *inputs, dtypes=DOUBLE, **options))


def wrong(f, *inputs, failing=(("kink", KINK),), **options):
    return Scenario(lambda: check(f, *inputs, dtypes=DOUBLE, **options), *failing)


def chosen(forward, index):
    """An autograd.Function whose gradient goes to the entries of that index, a function of x, along
    the last axis.
    """
    def backward(g, x):
        at = index(x)
        return torch.zeros_like(x).scatter_add(-1, at, g.reshape(at.shape))
    return function(forward, backward)


def drawn(seed):
    """A matrix with eigenvalues that are not real."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((5, 5)))


def first_of_equals(x):
    """Of each sorted entry the first that is equal to it: of two that tie the first is chosen
    twice.
    """
    ordered = torch.sort(x, -1)[0]
    return torch.argmax((x[..., None, :] == ordered[..., :, None]).to(x.dtype), -1)


def pool(x):
    return np.stack([np.max(x[i:i + 3]) for i in range(len(x) - 2)])


def pool_vjp(g, x, last=False, times=1.0):
    found = np.zeros_like(x)
    for i in range(len(x) - 2):
        window = x[i:i + 3]
        found[i + (2 - np.argmax(window[::-1]) if last else np.argmax(window))] += times * g[i]
    return found


def staircase(inside):
    """round(4 x) / 4 within [-1, 1], whose gradient is that of the clamp; `inside` says where."""
    return function(lambda x: (torch.round(4 * x) / 4).clamp(-1, 1), lambda g, x: g * inside(x))


def within(x):
    return (x.abs() <= 1).to(x.dtype)


def clamp(x):
    return np.clip(x, -1, 1)


def lower(slope):
    """The sum of squares of the lower triangle, whose gradient is a function of the whole
    matrix.
    """
    return function(lambda a: (a.tril() ** 2).sum(), lambda g, a: g * slope(a))


SCENARIOS = {
    # steps
    **{f.__name__: right(f, X) for f in (
        torch.round, torch.floor, torch.ceil, torch.trunc, torch.frac, torch.sign)},
    "fmod": right(lambda x: torch.fmod(x, 0.7), X),
    "remainder": right(lambda x: torch.remainder(x, 0.7), X),
    "fine steps": right(lambda x: torch.round(x, decimals=1), 10 * X + 2 ** -8),
    "a step times x": right(lambda x: torch.floor(3 * x) * x, X),
    "half a step of a rounding": wrong(function(torch.round, lambda g, x: g * 0.5), X,
                                       failing=[("reverse", WRONG)]),
    # ties
    "sort": right(lambda x: torch.sort(x, -1)[0], X),
    "topk": right(lambda x: torch.topk(x, 3)[0], X),
    "the smallest": right(lambda x: torch.topk(x, 2, largest=False)[0], X),
    "median": right(torch.median, ROW), "median of rows": right(lambda x: x.median(-1)[0], X),
    "quantile": right(lambda x: torch.quantile(x, torch.tensor([0.1, 0.5, 0.77]).to(x), -1), X),
    "kthvalue": right(lambda x: torch.kthvalue(x, 3)[0], ROW),
    "cummax": right(lambda x: torch.cummax(x, -1)[0], X),
    "max pooling": right(lambda x: F.max_pool1d(x[None], 3, 1), X),
    "max pooling of planes, in a curve": right(
        lambda x: torch.tanh(F.max_pool2d(x[None, None], 2, 1)), X),
    "amax, shared": right(lambda x: x.unfold(-1, 3, 1).amax(-1), X),
    "the last of the largest": right(pool, ROW.numpy(), vjp=lambda g, x: pool_vjp(g, x, last=True)),
    "Wasserstein distance": right(lambda a, b: (torch.sort(a)[0] - torch.sort(b)[0]).abs().sum(),
                                  ROW, ROW.flip(0) + 0.01),
    "equal eigenvalues": right(lambda x: torch.linalg.eigvalsh(x @ x.T), X),
    "equal eigenvalues of any matrix": right(
        lambda a: torch.view_as_real(torch.linalg.eigvals(a)), drawn(7)),
    "their moduli": right(lambda a: torch.linalg.eigvals(a).abs(), drawn(1)),
    "their real parts, which no equations tell": Scenario(lambda: check(
        lambda a: torch.linalg.eigvals(a).real, drawn(0))),
    "a tie counted twice": wrong(function(lambda x: x.amax(-1), lambda g, x: g[..., None] * (
        x == x.amax(-1, keepdim=True))), X, failing=[("kink", WRONG)]),
    "a median's tie counted twice": wrong(function(
        torch.median, lambda g, x: g * (x == torch.median(x))), ROW, failing=[("kink", WRONG)]),
    "one entry for two places": wrong(chosen(lambda x: torch.sort(x, -1)[0], first_of_equals), X),
    "a tie outside its slopes": wrong(pool, ROW.numpy(), vjp=lambda g, x: pool_vjp(
        g, x, times=1 if len(np.unique(x)) == len(x) else 1.5), failing=[("kink", WRONG)]),
    # kinks in higher derivatives
    "relu cubed": right(lambda x: F.relu(x) ** 3, X), "x |x|": right(lambda x: x * x.abs(), X),
    "isrlu": right(lambda x: torch.where(x < 0, x / torch.sqrt(1 + x * x), x), X),
    "celu": right(F.celu, X),
    "infinitely steep": right(torch.special.entr, X.abs()),
    # results that are 0
    "a sum that is 0": right(lambda x: np.sum((x - np.mean(x)) / np.std(x)), ROW.numpy(),
                             gradient=lambda x: np.zeros_like(x)),
    "a difference that is 0": right(lambda x: np.sum(np.exp(x) * np.exp(-x)) - x.size, ROW.numpy(),
                                    gradient=lambda x: 0 * x),
    # one triangle is read
    "eigvalsh": right(torch.linalg.eigvalsh, A), "cholesky": right(torch.linalg.cholesky, A),
    "eigvalsh of the upper triangle": right(lambda a: torch.linalg.eigvalsh(a, UPLO="U"), A),
    "log determinant": right(lambda a: torch.linalg.cholesky(a).diagonal().log().sum(), A),
    "cholesky_solve": right(torch.cholesky_solve, B, torch.linalg.cholesky(A)),
    "symmetric by convention": right(lower(lambda a: (2 * a) / (2 - torch.eye(len(a)).to(a))), A),
    "twice off the diagonal": wrong(lower(lambda a: 2 * a), A, failing=[("reverse", WRONG)]),
    "transposed, at a symmetric matrix": wrong(function(
        lambda a: (a * RANKS.to(a)).sum(), lambda g, a: g * RANKS.to(a).T), A,
        failing=[("reverse", WRONG)]),
    # straight-through gradients
    "a straight-through gradient": right(staircase(within), X, surrogate=clamp),
    "a straight-through gradient, alone": wrong(staircase(within), X, failing=[("reverse", WRONG)]),
    "a range forgotten": wrong(staircase(torch.ones_like), X, surrogate=clamp,
                               failing=[("reverse", WRONG)]),
    # modes
    "clamp at its bounds": right(lambda x: torch.clamp(
        x, torch.zeros_like(x), torch.ones_like(x)), X),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_verdict_is_as_expected(name):
    assert SCENARIOS[name].holds()


def test_what_is_said():
    assert "symmetric directions" in str(check(torch.linalg.eigvalsh, A, dtypes=DOUBLE))
    assert "straight-through" in str(check(staircase(torch.ones_like), X, dtypes=DOUBLE))
    declared = check(lambda a: np.sum(a ** 3), A.numpy(), symmetric="a", dtypes=DOUBLE)
    assert declared.ok and "symmetric directions" in str(declared)


# The mechanism on trial


FAULTS = {
    "no direction is looked for": ("max pooling", "topk"),
    "every choice is right": ("a tie counted twice", "a tie outside its slopes"),
    "results are looked at alone": ("one entry for two places",),
    "rises are zero": ("max pooling",),
    "no triangle is looked for": ("eigvalsh", "cholesky_solve"),
    "every matrix is symmetric": ("transposed, at a symmetric matrix",),
    "a result has no rounding": ("a sum that is 0",),
    "the modes of torch must agree": ("clamp at its bounds",),
}


def plant(name, patch):
    if name == "no direction is looked for":
        patch.setattr(kinks, "is_gradient_nearby", lambda *arguments: False)
    elif name == "every choice is right":
        patch.setattr(kinks, "is_gradient_nearby", lambda *arguments: True)
    elif name == "results are looked at alone":
        between = nearby._between
        patch.setattr(nearby, "_between", lambda beside, of, r, orders, rng: (
            np.count_nonzero(r) > 1 or between(beside, of, r, orders, rng)))
    elif name == "rises are zero":
        patch.setattr(by_differences.ByDifferences, "rises",
                      lambda self, d: [np.zeros(np.shape(w)) for w in self.weights])
    elif name == "no triangle is looked for":
        patch.setattr(subspaces, "_ignores", lambda *arguments: False)
    elif name == "every matrix is symmetric":
        patch.setattr(subspaces, "_ignores", lambda *arguments: True)
    elif name == "a result has no rounding":
        patch.setattr(by_balls.ByBalls, "rounded", lambda self, dtype: [0.0] * len(self.weights))
    else:
        patch.setattr("crosscheck.subjects.torch_function.TorchSubject.modes_agree", True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_spoilt_checker_fails_its_tests(name, monkeypatch):
    with monkeypatch.context() as patch:
        plant(name, patch)
        with contextlib.suppress(Exception):
            assert not all(SCENARIOS[scenario].holds() for scenario in FAULTS[name])
    assert all(SCENARIOS[scenario].holds() for scenario in FAULTS[name])
