"""Operands beside a traced array: right, or refused with a TypeError that says what came and the
way out."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse
import torch

import refgrad as rg

X = np.array([1.0, 2.0, 3.0])
TRANSFORMS = {"grad": rg.grad, "jvp": lambda f: lambda x: rg.jvp(f, (x,), (x,)), "jit": rg.jit,
              "hvp": lambda f: lambda x: rg.hvp(f, (x,), (x,))}
REFUSED = {
    "complex number": (lambda x: np.abs(np.exp(1j * x)), "complex"),
    "complex array": (lambda x: np.array([1j, 2, 3]) * x, "complex"),
    "Fourier matrix": (lambda x: np.real(np.fft.fft(np.eye(3)) @ x), "complex"),
    "masked array": (lambda x: x * np.ma.array(X, mask=[0, 1, 0]), "MaskedArray.*filled"),
    "matrix": (lambda x: np.matrix(np.eye(3)) * np.outer(x, x), "matrix.*np.asarray"),
    "matrix on the right": (lambda x: np.outer(x, x) * np.matrix(np.eye(3)), "matrix.*np.asarray"),
    "Series": (lambda x: x * pd.Series(X), "Series.*to_numpy"),
    "Series @": (lambda x: x @ pd.Series(X), "Series.*to_numpy"),
    "tensor": (lambda x: x * torch.tensor(X), "Tensor.*numpy"),
    "tensor in dot": (lambda x: np.dot(x, torch.tensor(X)), "Tensor.*numpy"),
    "objects": (lambda x: x * np.array([1.0, "a", 3.0], object), "object"),
    "fractions": (lambda x: x * Fraction(1, 2), "Fraction"),
    "text": (lambda x: x + np.array(["a", "b", "c"]), "U1|str")}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("f, message", REFUSED.values(), ids=REFUSED)
def test_refused(f, message, transform):
    with pytest.raises(TypeError, match=message):
        transform(lambda x: np.sum(f(x)))(X)


@pytest.mark.parametrize("operand", [
    [1.0, 2.0, 3.0], (1, 2, 3), np.array([1, 2, 3], object), np.arange(1, 4, dtype=np.uint8),
    np.float32(2), True, np.array([True, False, True]), np.ascontiguousarray(X[::-1])[::-1]],
                         ids=lambda a: f"{type(a).__name__}")
def test_taken_as_numbers(operand):
    expected = np.broadcast_to(np.asarray(operand, float), (3,))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(x * operand))(X), expected)
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(np.multiply(operand, x)))(X), expected)


def test_a_memory_mapped_file_is_an_array(tmp_path):
    a = np.memmap(tmp_path / "a", np.float64, "w+", shape=(3,))
    a[:] = X
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(a * x))(X), X)


def test_the_other_class_may_answer():
    class Wrapper:
        __array_ufunc__ = None

        def __rmul__(self, other):
            return "taken over"

        __radd__ = __rmatmul__ = __rmul__

    found = []
    rg.grad(lambda x: np.sum(x) * (found.extend([x * Wrapper(), x + Wrapper(), x @ Wrapper()])
                                   or 1))(X)
    assert found == ["taken over"] * 3
    with pytest.raises(TypeError):  # SciPy turns it into a plain array, which is refused
        rg.grad(lambda x: np.sum(x @ sparse.eye_array(3)))(X)


@pytest.mark.parametrize("argument", [torch.tensor(X), pd.Series(X), np.array([1, "a"], object),
                                      np.ma.array(X)])
def test_arguments_are_refused_by_name(argument):
    with pytest.raises(TypeError, match="argument 0.*(Tensor|Series|object|MaskedArray)"):
        rg.grad(lambda x: np.sum(x * x))(argument)


def test_a_traced_array_is_an_ndarray_and_a_number_a_float():
    for transform in (rg.value_and_grad, lambda f: lambda x: rg.jvp(f, (x,), (x,)),
                      lambda f: lambda x: (rg.jit(f)(x),)):
        assert (transform(lambda x: np.sum(x) if isinstance(x, np.ndarray) else -np.sum(x))(X)[0]
                == 6)
        assert transform(lambda x: np.sum(x) if isinstance(x[0], float) else -np.sum(x))(X)[0] == 6
        assert transform(lambda x: x * x if isinstance(x, float) and np.isscalar(x)
                         else -x)(2.0)[0] == 4


def test_a_lost_trace_is_not_hidden_by_the_program():
    def f(x):
        try:
            k = float(x[0])
        except TypeError:
            k = 100.0
        return np.sum(x) * k

    with pytest.raises(TypeError, match=r"float\(\)"):
        rg.grad(f)(X)
