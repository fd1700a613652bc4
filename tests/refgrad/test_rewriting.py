"""What jit rewrites: the same numbers, by fewer or faster operations."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, rewriting
from refgrad.operations import references
from refgrad.rewriting import LARGE, are_apart

from .checks import close

X = np.random.default_rng(0).standard_normal((3, 8))
SPLITS = {  # functions of slices of x, and whether their slices are apart
    "apart": (lambda x: np.sin(x[:, :4]) * x[:, 4:], True),
    "apart along the first axis": (lambda x: np.sin(x[0]) * x[2], True),
    "of three parts": (lambda x: x[..., 2:4] * np.exp(x[..., 0:2]) * x[..., 6:], True),
    "overlapping": (lambda x: np.sin(x[:, :4]) * x[:, 3:7], False),
    "from the end": (lambda x: np.sin(x[:, :4]) * x[:, -5:-1], False),
    "backwards": (lambda x: np.sin(x[:, :4]) * x[:, 3::-1], False),
}


def derivatives(f):
    """The gradient as it is, and the program that jit makes of it."""
    plain = rg.grad(lambda x: np.sum(f(x)))
    return plain(X), rg.jit(plain)


@pytest.mark.parametrize("name", SPLITS)
def test_slices_of_zeros_are_written_where_they_are_apart(name):
    f, apart = SPLITS[name]
    expected, fast = derivatives(f)
    close(fast(X), expected)
    close(fast(X), expected)
    assert ("] +=" in fast.program(X).source) != apart


def test_a_slice_that_is_written_and_not_added_is_noticed(monkeypatch):
    monkeypatch.setattr(rewriting, "are_apart", lambda i, j: True)
    expected, fast = derivatives(SPLITS["overlapping"][0])
    fast(X)
    assert not np.allclose(fast(X), expected)


@pytest.mark.parametrize("i", [0, 2, -1, slice(None), slice(3), slice(1, 4), slice(4, None),
                               slice(0, 5, 2), slice(1, 5, 2), slice(-3, None),
                               slice(None, None, -1)])
def test_indices_that_are_apart_meet_no_entry_twice(i):
    for j in (1, slice(0, 2), slice(2, 3), slice(-2, None), slice(4, 1, -1), slice(5, 6)):
        for a, b in ((i, j), ((..., i), (..., j)), ((slice(None), i), (slice(None), j)), (i, (j,))):
            met = np.zeros((6, 6), int)
            met[a] += 1
            met[b] += 1
            assert not are_apart(a, b) or met.max() == 1
    assert not are_apart((0, ...), (..., 1))


def test_small_arrays_are_computed_once_and_large_ones_again():
    def f(x):
        return np.sum(np.exp(x) * np.cos(np.exp(x)))

    for n, count in ((8, 1), (LARGE, 2)):
        x, fast = np.linspace(0, 1, n), rg.jit(f)
        close(fast(x), f(x))
        close(fast(x), f(x))
        source = fast.program(x).source
        assert source.count("exp(") == count, source


def test_new_results_of_primitives_are_overwritten_when_nobody_needs_them():
    x, w = np.random.default_rng(0).standard_normal((2, 4, 2, 6, 6)), np.ones((2, 2, 3, 3))
    before = x.copy()

    def f(x, w):
        y = nn.conv2d(x[0], w, padding=1)
        z = nn.conv2d(x[1], w, padding=1)
        return z + 1, (y + 1) * z, z

    fast = rg.jit(f)
    for _ in range(2):
        for found, expected in zip(fast(x, w), f(x, w), strict=True):
            close(found, expected)
        np.testing.assert_array_equal(x, before)
    source = fast.program(x, w).source
    assert source.count("+= 1") == 1 and ".copy(" not in source, source


def test_equal_operations_of_other_numbers_stay_apart():
    x = np.arange(4)
    fast = rg.jit(lambda x: (x * 2, x * 2.0, x * True))
    for _ in range(2):
        found = fast(x)
        assert [y.dtype.kind for y in found] == ["i", "f", "i"]
        np.testing.assert_array_equal(found, [x * 2, x * 2, x])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("divisor", [2, 0.25, -8.0, 3, 2.0 ** -120])
def test_a_quotient_by_a_power_of_two_is_the_same_product(dtype, divisor):
    x = np.array([0, 1, 3, -7, 100]).astype(dtype)
    fast = rg.jit(lambda x: x / divisor)
    fast(x)
    np.testing.assert_array_equal(fast(x), x / divisor, strict=True)
    assert ("*" in fast.program(x).source) == (dtype != "int64" and divisor in (2, 0.25, -8.0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("function", [np.maximum, np.minimum])
def test_the_maximum_of_a_large_array_and_a_number(function, dtype):
    x = np.resize([0.0, 2.5, -1.5, 1.0, 9.0], LARGE).astype(dtype)
    if dtype != "int64":
        x[:5] = np.nan, np.inf, -np.inf, -0.0, 1
    for bound in (0, 1.0, -2.5):
        for f in (lambda x: function(x, bound), lambda x: function(x + x, bound)):
            fast = rg.jit(f)
            fast(x)
            with np.errstate(all="raise"):
                np.testing.assert_array_equal(fast(x), f(x), strict=True)
            assert (".clip(" in fast.program(x).source) == (dtype != "int64")


def test_many_parts_are_not_compared_each_with_each(monkeypatch):
    compared = []

    def counted(i, j):
        compared.append(i)
        return are_apart(i, j)

    monkeypatch.setattr(rewriting, "are_apart", counted)
    x = np.random.default_rng(1).standard_normal(4 * rewriting.PARTS)
    expected = rg.grad(lambda x: sum(np.sin(x[i]) for i in range(len(x))))
    fast = rg.jit(expected)
    close(fast(x), expected(x))
    close(fast(x), expected(x))
    assert 0 < len(compared) <= rewriting.PARTS ** 2


@pytest.mark.parametrize("name", SPLITS)
def test_the_list_of_what_an_operation_reads_is_up_to_date(name):
    _, fast = derivatives(SPLITS[name][0])
    operations = fast.program(X).operations
    assert operations
    for op in operations:
        assert op.reads == references((op.arrays, op.params))


def test_constants_of_one_name_are_told_apart():
    arrays = [np.full(3, float(k)) + [0, 1, 2] for k in range(40)]
    _, fast = derivatives(lambda x: sum(np.sin(x[0, :3] * a) for a in arrays))
    close(fast(X), rg.grad(lambda x: np.sum(sum(np.sin(x[0, :3] * a) for a in arrays)))(X))
    close(fast(X), rg.grad(lambda x: np.sum(sum(np.sin(x[0, :3] * a) for a in arrays)))(X))
