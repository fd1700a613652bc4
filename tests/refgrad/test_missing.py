"""Functions that leave nan out: NumPy's value, the slopes of what is there, and 0 where nan is."""

import warnings

import numpy as np
import pytest

import refgrad as rg

from . import checks

#: From a function to the one that it is where nothing is missing.
PAIRS = {np.nansum: np.sum, np.nanprod: np.prod, np.nanmean: np.mean, np.nanvar: np.var,
         np.nanstd: np.std, np.nanmax: np.max, np.nanmin: np.min}
A = np.array([[1.0, np.nan, 3.5, -2.0], [0.25, 4.0, np.nan, np.nan], [2.0, 1.5, -0.5, 0.75]])


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_what_is_there_counts(function, mode):
    found = rg.jacobian(lambda a: function(a, axis=1), mode=mode)(A)
    for i, row in enumerate(A):
        there = ~np.isnan(row)
        expected = np.zeros_like(A)
        expected[i, there] = rg.grad(PAIRS[function])(row[there])
        checks.close(found[i], expected)


@pytest.mark.parametrize("function", PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("named", [
    {}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": 1, "keepdims": True},
    {"axis": 1, "ddof": 2},
    {"axis": 1, "where": np.array([True, True, False, True]), "initial": 1.0}],
    ids=str)
def test_the_value_is_numpys(function, named):
    if "ddof" in named and function not in (np.nanvar, np.nanstd):
        return
    if "initial" in named and function in (np.nanvar, np.nanstd, np.nanmean):
        named = {k: v for k, v in named.items() if k != "initial"}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for a in A, A.astype(np.float32), np.full((3, 4), np.nan):
            expected = function(a, **named)
            value = rg.vjp(lambda a: function(a, **named), a)[0]
            checks.close(value, expected, rtol=64 * np.finfo(a.dtype).eps)
            assert value.dtype == expected.dtype


@pytest.mark.parametrize("function", [np.nancumsum, np.nancumprod])
def test_running_totals_pass_over_what_is_missing(function):
    checks.agrees_with_numpy(lambda a: function(a, axis=1), (A,))
    slopes = rg.jacobian(lambda a: function(a, axis=1))(A)
    assert not np.any(slopes[..., np.isnan(A)])
    assert np.all(np.isfinite(slopes))


def test_ties_are_shared_among_what_is_there():
    a = np.array([np.nan, -np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(rg.grad(np.nanmax)(a), [0.0, 0.5, 0.5, 0.0])


def test_positions():
    positions = []

    def f(a):
        positions.append(np.nanargmax(a))
        return np.nansum(a)

    rg.grad(f)(A)
    assert positions == [5]
