"""The words about where in a gradient a fault is, of functions whose slopes are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck import where
from crosscheck.modes import Mode

TRUE = np.array([[1.0, -2.0, 4.0], [3.0, 0.5, -1.0], [2.0, 1.5, 2.5]])
VECTOR = np.array([4.0, -1.0, 2.0])


class Known:
    """A linear function of these gradients; the slopes of some arrays are other ones."""

    def __init__(self, gradients, weights=(1.0,), **told):
        self.gradients, self.weights, self.told = gradients, weights, told

    def slopes(self, direction):
        (name, d), = direction.items()
        slope = float(np.sum(self.gradients[name] * d))
        return self.told.get(name, (slope, slope, 0.0, True))


def pattern(given, true, dtype="float64", **told):
    return patterns({"x": given}, {"x": true}, "x", dtype, **told)


def patterns(given, true, name, dtype="float64", without=(), **told):
    """Of several inputs; `without` has the gradients when each of several results is left out."""
    given, true = ({k: np.asarray(a, float) for k, a in d.items()} for d in (given, true))
    trial = SimpleNamespace(
        answers={dtype: {Mode.REVERSE: given}}, point=SimpleNamespace(x=true),
        known=Known(true, [1.0] * max(len(without), 1), **told),
        without_result=lambda k: SimpleNamespace(known=Known(without[k]), point=trial.point))
    return where.pattern(trial, name, dtype)


def spoilt(a, *entries):
    """The array with each entry or slice changed to a value."""
    a = np.array(a, float)
    for index, value in entries:
        a[index] = value
    return a


@pytest.mark.parametrize("given, words", [
    (TRUE, ""), (TRUE[0], ""), (spoilt(TRUE, ((0, 0), np.nan), ((1, 1), 9)), ""),
    (TRUE.T, "it is transposed"), ((1 + 0.9e-5) * TRUE.T, "it is transposed"),
    ((1 + 1.1e-5) * TRUE.T, ""), (0 * TRUE, "it is 0 everywhere: nothing flows back"),
    (-TRUE, "off by the factor -1 everywhere: its sign is turned"),
    (1.5 * TRUE, "off by the factor 1.5 everywhere"),
    (spoilt(TRUE, (0, 7)), "row 0 alone is wrong"),
    (spoilt(TRUE, (2, 0)), "row 2 (the last) alone is wrong: it is 0"),
    (spoilt(TRUE, (np.s_[:, 1], 9)), "column 1 alone is wrong"),
    (spoilt(TRUE, (np.s_[1:, 1], 9)), "column 1 alone is wrong"),
    (spoilt(TRUE, ((1, 1), 9)), "1 of 9 entries are wrong"),
    (spoilt(TRUE, ((0, 1), 9), ((1, 2), 9)), "2 of 9 entries are wrong"),
    (TRUE + 10, "")])
def test_of_a_matrix(given, words):
    assert pattern(given, TRUE) == words


@pytest.mark.parametrize("given, true, words", [
    ([4, 7, 2], VECTOR, "entry 1 alone is wrong"),
    ([4, -1, 0], VECTOR, "entry 2 (the last) alone is wrong: it is 0"),
    ([5, -1, 7], VECTOR, "2 of 3 entries are wrong"), ([7, 7, 7], VECTOR, ""),
    ([8, 0, 4], [4, 0, 2], "off by the factor 2 everywhere: it is twice as large as it should be"),
    ([8, 0, 5], [4, 0, 2], "2 of 3 entries are wrong"),
    ([0, 3, 0], [0, 0, 0], "entry 1 alone is wrong"),
    (spoilt(TRUE[:2], ((0, 0), 9)), TRUE[:2], "1 of 6 entries are wrong"),
    ([7.0], [4.0], "off by the factor 1.75 everywhere"), ([7.0], [0.0], ""), ([], [], ""),
    (spoilt(np.ones((2, 2, 2)), (np.s_[:, 1], 2)), np.ones((2, 2, 2)),
     "index 1 of axis 1 (the last) alone is wrong"),
    ([[9, 9, 9]], [VECTOR], ""), ([[9], [9], [2]], VECTOR[:, None], "2 of 3 entries are wrong")])
def test_of_other_shapes(given, true, words):
    assert pattern(given, true) == words


def test_a_factor_near_1_in_a_symmetric_matrix_has_no_pattern():
    assert pattern((1 + 1e-6) * (TRUE + TRUE.T), TRUE + TRUE.T) == ""


@pytest.mark.parametrize("dtype, limit", [("float64", 4e-8), ("float32", 4e-3 * 8 * 2.0 ** -11.5)])
def test_what_counts_as_wrong_is_a_part_of_the_largest_entry(dtype, limit):
    assert pattern(spoilt(VECTOR, (1, -1 + 0.9 * limit)), VECTOR, dtype) == ""
    assert pattern(spoilt(VECTOR, (1, -1 + 1.1 * limit)), VECTOR, dtype) == "entry 1 alone is wrong"
    small, off = 1e-6 * VECTOR, 1e-6 * spoilt(VECTOR, (1, -1 + 1.1 * limit))
    assert pattern(off, small, dtype) == "entry 1 alone is wrong"


@pytest.mark.parametrize("factor, words", [
    (3.0, ": a factor of 1/3 is missing (a sum where a mean is due?)"),
    (2.0, ": it is twice as large as it should be"), (0.5, ": a factor of 2 is missing"),
    (1 / 3, ": a factor of 3 is missing (a mean where a sum is due?)"),
    (-1.0, ": its sign is turned"),
    (-1 + 2e-5, ""), (-2.0, ""), (-0.5, ""), (2.5, ""), (0.4, ""), (3 * (1 + 2e-5), ""),
    (3 * (1 + 0.5e-5), ": a factor of 1/3 is missing (a sum where a mean is due?)"),
    ((1 + 2e-5) / 4, ""),
    ((1 - 0.5e-5) / 4, ": a factor of 4 is missing (a mean where a sum is due?)")])
def test_what_a_factor_may_come_from(factor, words):
    assert pattern(factor * VECTOR, VECTOR) == f"off by the factor {factor:.6g} everywhere" + words


def test_one_triangle_is_read_and_the_slopes_are_shared():
    words = "f reads one triangle, and the slopes are shared with the other"
    for triangle in (np.tril(TRUE), np.triu(TRUE)):
        shared = (triangle + triangle.T) / 2
        assert words in pattern(shared, triangle)
        assert words in pattern(np.stack([shared, shared]), np.stack([triangle, triangle]))
        assert words not in pattern(1.1 * shared, triangle)
        assert words not in pattern(spoilt(shared, ((0, 1), 9)), triangle)
    assert words not in pattern((TRUE + TRUE.T) / 2, TRUE)
    assert words not in pattern(spoilt(np.diag([1.0, 2, 3]), ((0, 1), 5)), np.diag([1.0, 2, 3]))


def test_the_gradient_of_another_input():
    true = {"x": VECTOR, "y": [1.0, 2.0, 3.0], "z": [0.0, 0.0, 0.0]}
    assert patterns({"x": true["y"]}, true, "x") == "it is the gradient with respect to y"
    assert patterns({"x": [1.0, 2.0, 3.1]}, true, "x") == ""
    unknown = {"y": (1.0, 2.0, 0.0, False)}
    assert patterns({"x": true["y"]}, true, "x", **unknown) == ""


def test_the_cotangent_of_a_result_is_ignored():
    without = [{"x": [3.0, 1.0, 1.0]}, {"x": [1.0, 2.0, 5.0]}]
    for k, gradient in enumerate(without):
        said = patterns(gradient, {"x": VECTOR}, "x", without=without)
        assert said == f"the cotangent of result {k} is ignored"
    assert patterns({"x": [1.0, 2.0, 5.0]}, {"x": VECTOR}, "x", without=without[1:]) == ""


def test_nothing_is_said_where_slopes_are_not_known():
    for slopes in ((1.0, 1.0, 0.0, False), (np.nan, np.nan, np.inf, False)):
        assert pattern(2 * VECTOR, VECTOR, x=slopes) == ""
        assert pattern(np.full(65, 2.0), np.ones(65), x=slopes) == ""
    assert pattern([3.0], [1.0], x=(1.0, 3.0, 0.0, True)) == "off by the factor 1.5 everywhere"


# Large arrays

LARGE = np.random.default_rng(0).uniform(1, 2, (10, 7))


def test_65_entries_are_looked_at_slice_by_slice():
    two = [(0, 9.0), (5, 9.0)]
    assert pattern(spoilt(np.ones(64), *two), np.ones(64)) == "2 of 64 entries are wrong"
    assert pattern(spoilt(np.ones(65), *two), np.ones(65)) == ""


@pytest.mark.parametrize("given, words", [
    (LARGE, ""), (spoilt(LARGE, (3, 9)), "row 3 alone is wrong"),
    (spoilt(LARGE, (np.s_[:, 6], 0)), "column 6 (the last) alone is wrong: it is 0"),
    (spoilt(LARGE, ((3, 4), 9)), "row 3 alone is wrong"),
    (spoilt(LARGE, ((3, 4), 9), ((4, 5), 9)), ""),
    (2 * LARGE, "off by the factor 2 everywhere: it is twice as large as it should be"),
    ((1 + 2e-5) * LARGE, "off by the factor 1.00002 everywhere"), ((1 + 0.5e-5) * LARGE, ""),
    (0 * LARGE, "it is 0 everywhere: nothing flows back"), (LARGE[::-1], "")])
def test_of_a_large_matrix(given, words):
    assert pattern(given, LARGE) == words
    assert pattern(0 * LARGE, 0 * LARGE) == ""


def test_a_slice_is_wrong_beyond_the_width_of_its_slope():
    one = np.zeros((1, 65))
    one[0, 0] = 4.0  # the slope along the other columns is 0

    def of_width(width, error):
        def slopes(direction):
            slope = float(np.sum(one * direction["x"]))
            return slope, slope, width, True
        given = spoilt(one, ((0, 64), error))
        return where.pattern(SimpleNamespace(
            answers={"float64": {Mode.REVERSE: {"x": given}}}, point=SimpleNamespace(x={"x": one}),
            known=SimpleNamespace(slopes=slopes)), "x", "float64")
    assert of_width(1e-3, 1e-4) == ""
    assert of_width(1e-6, 1e-3) == "column 64 (the last) alone is wrong"


def test_of_a_long_axis_some_slices_are_looked_at():
    for n, words in ((0, "entry 0 alone is wrong"), (1, ""),
                     (99, "entry 99 (the last) alone is wrong")):
        assert pattern(spoilt(np.ones(100), (n, 9.0)), np.ones(100)) == words
