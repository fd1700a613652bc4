"""Right gradients at points where the exact derivative is hard to find: none is called wrong, and
planted faults still are."""

import math
import warnings

import numpy as np
import pytest
import scipy.special
import torch

import refgrad
from crosscheck import check
from crosscheck.ball import Ball, arithmetic, ball_polygamma
from crosscheck.conduct import _linear
from crosscheck.truth.differences import Difference
from crosscheck.verdict import RIGHT

A = np.array([[1.2, -0.7], [0.4, 1.9], [-1.1, 0.3]])
OF_FUNCTIONS = {
    "LAPACK's signs": (lambda a: np.linalg.svd(a, full_matrices=False)[0], A),
    "signs of R": (lambda a: np.linalg.qr(a)[0], A),
    "squares below all floats": (lambda a: np.linalg.svd(a, compute_uv=False), A),
    "another number of results": (np.unique, np.array([1.0, 3.0, 2.0])),
    "SciPy's domain": (lambda x: scipy.special.gammainc(np.array([0.5, 1.0, 2.5]), x),
                       np.array([0.5, 1.0, 2.0])),
}


@pytest.mark.parametrize("name", OF_FUNCTIONS)
def test_none_is_called_wrong(name):
    function, x = OF_FUNCTIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check(function, x, seed=0)
    assert not report.failures, report.failures[0]


def test_eigenvalues_of_any_matrix_have_no_derivative_where_two_are_equal():
    a = np.random.default_rng(0).standard_normal((5, 5))
    report = check(lambda a: torch.view_as_real(torch.linalg.eigvals(a)), torch.tensor(a),
                   dtypes=("float64",), seed=0)
    assert not report.failures, report.failures[0]


def test_a_choice_of_lapack_is_a_jump_or_nothing():
    x, d = ({"a": Ball(np.array([[0.0, 1.0], [1.0, 1.0]]))},
            {"a": Ball(np.array([[1.0, 0.5], [0.25, 2.0]]))})
    with arithmetic(400):
        jumps, even = (Difference(lambda x, f=f: f(np.linalg.qr(x["a"])[0]), x, d, h=2.0 ** -125)
                       for f in (np.sum, lambda q: np.sum(q * q * np.arange(4.0).reshape(2, 2))))
        assert jumps.jump and not jumps.smooth
        assert even.smooth and not even.jump


def test_small_singular_values_are_in_order():
    with arithmetic(400):
        small, large = (np.linalg.svd(Ball(A) * 2.0 ** -n, compute_uv=False) * 2.0 ** n
                        for n in (600, 0))
        assert np.all(small.overlaps(large))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma_far_left_of_zero(n):
    with arithmetic(400):
        x = Ball(np.array([-491367.5, -0.25]))
        step = ball_polygamma(n, x + 1) - ball_polygamma(n, x)
        right = (-1) ** n * math.factorial(n) / x ** (n + 1)
        assert np.all(step.overlaps(right)) and step.radius().max() < 1e-80


@pytest.mark.parametrize("function",
                         [scipy.special.gammainc, scipy.special.rel_entr, scipy.special.kl_div])
def test_beyond_scipys_domain_there_is_no_number(function):
    with arithmetic(400):
        assert not np.all(function(Ball(np.array(1.0)), Ball(np.array(-0.5))).finite())


class Pull:
    """A subject of which only the vjp is asked for."""

    def __init__(self, pull):
        self.pull = lambda x, w, dtype, layout: ({"a": pull(x["a"], w[0])}, None, None)


def test_a_vjp_is_linear_up_to_what_a_rounding_does_and_no_more():
    rng = np.random.default_rng(0)
    x, w = {"a": np.array([1.0, 1 + 1e-9])}, [rng.standard_normal(4)]

    def verdict(pull):
        class point:
            pass
        point.x = x
        subject = Pull(pull)
        pulled = subject.pull(x, w, None, None)[0]
        return [v for _, _, v in _linear(subject, point, w, "float64", pulled, 2.0 ** -52)][0]

    noisy = lambda x, w: np.array([np.sum(w) * 1e3 * np.sin(1e17 * np.sum(np.abs(w)) * x[0]),
                                   1.0 * w[0]])
    clipped = lambda x, w: np.clip(x * np.sum(w), -0.1, 0.1)
    assert verdict(noisy).verdict == RIGHT
    assert verdict(clipped).verdict != RIGHT


def test_a_fault_in_singular_values_is_still_found():
    report = check(refgrad_like, A, vjp=lambda x: (
        refgrad_like(x), lambda g: 1.01 * refgrad.vjp(refgrad_like, x)[1](g)))
    assert not report.ok


def refgrad_like(a):
    return np.linalg.svd(a, compute_uv=False)
