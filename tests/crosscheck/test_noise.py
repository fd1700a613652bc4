"""How the precision at which a function works is found: each step by numbers that are put in."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.formats import TF32, format_named
from crosscheck.truth import precision
from crosscheck.truth.precision import (
    FEW, FINE, FINEST, GRIDS, GROWS, MANY, SCALE, Precision, nominal, precision_of)

FLOAT64, SINGLE, HALF, BRAIN = map(format_named, ("float64", "float32", "float16", "bfloat16"))
X = {"a": np.array([0.5, 2.0])}


def unasked(x):
    raise AssertionError("the function is not called")


def test_what_a_precision_says():
    fine, coarse = nominal("float32"), Precision("float64", SINGLE, noise=2.0 ** -22)
    assert not fine.coarse and fine.text == "" and fine.eps == SINGLE.eps and fine.noise == 0
    assert coarse.coarse and coarse.eps == 2.0 ** -20
    assert Precision("float64", SINGLE, noise=2.0 ** -26).eps == SINGLE.eps
    assert coarse.text == "Called in float64 it is as accurate as float32"
    assert Precision("float64", TF32, "so").text == "Called in float64 it works in TF32 (so)"


# Points and tables


@pytest.mark.filterwarnings("error")  # as the median of no numbers gives
@pytest.mark.parametrize("end", [0.25, 0.75])
def test_entries_move_in_parts_of_their_size_and_zeros_by_the_median(end):
    rng = SimpleNamespace(choice=lambda signs, shape: np.resize(signs, shape),
                          uniform=lambda low, high, shape: np.full(shape, low + end * (high - low)))
    moved = precision._moved({"a": np.array([0.0, -4.0, 0.0, 8.0]), "b": np.zeros(0)}, rng)
    by = (1 + end) / 2
    assert moved(0)["a"].tolist() == [0.0, -4.0, 0.0, 8.0]
    assert moved(0.5)["a"].tolist() == [-by, -4 + 2 * by, -by, 8 + 4 * by]  # the median is 2
    assert moved(0.5)["b"].shape == (0,)


def test_a_table_has_the_values_around_x_for_each_result():
    a, b = precision._table(lambda x: [np.array([[x, 2 * x]]), x ** 2], lambda t: t, 0.5, 5)
    t = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    assert a.tolist() == np.stack([t, 2 * t], 1).tolist()
    assert b.tolist() == (t[:, None] ** 2).tolist()


def test_change_deviation_and_median():
    assert precision._change(np.array([[1.0], [1.5], [1.0]]), 0.25) == [2.0]
    assert precision._change(np.array([[0.0], [0.0], [2.0]]), 1.0) == pytest.approx(np.sqrt(2))
    bump = np.array([[0.0], [0.0], [0.0], [0.0], [3.0], [0.0]])  # fourth differences 3 and -12
    assert precision._deviation(bump) == pytest.approx(np.sqrt((9 + 144) / 2 / 70))
    assert precision._deviation(np.arange(7.0)[:, None] ** 3) == pytest.approx(0)
    a, size = np.array([4.0, np.nan, 9.0, 1.0, 5.0]), np.array([0.5, 1.0, 3.0, 0.0, np.inf])
    assert precision._median(a, size) == 5.5 and precision._median(a[:2], 0 * size[:2]) == 0.0


# The noise of tables whose noise is put in


def noise_of(heights, monkeypatch, dtype="float64", x=X, slope=2.0, steeper=1.0, **options):
    """(noise, the grids): of a function that is 1 at x, on whose grid g the value farthest below is
    higher by ``heights[g]``; a grid without a height has no values.
    """
    asked = []

    def table(values, moved, step, points):
        asked.append(-int(np.log2(step)))
        if points == 2:
            assert asked[-1] == FINEST[dtype]
            return [1 + steeper * slope * step * np.arange(2.0)[:, None]]
        if asked[-1] not in heights:
            return []
        assert points == 7
        height = heights[asked[-1]] * np.eye(1, points).T
        return [1 + slope * step * (np.arange(7.0)[:, None] - 3) + height]

    monkeypatch.setattr(precision, "_table", table)
    found = precision._noise(unasked, x, dtype, 0, **options)
    return found, asked[:-1]


TINY = 2.0 ** -26


def part(g):
    """Of one value out of seven that is higher by 1, one of three fourth differences is 1; and f
    changes by 2, and on the grid to 1 + 3 * 2 * 2^-g.
    """
    return 1 / np.sqrt(3 * 70) / (2 + 1 + 6 * 2.0 ** -g)


@pytest.mark.parametrize("height, k", [
    (lambda k: TINY, 6), (lambda k: TINY * 0.45 ** k, 0), (lambda k: TINY * 0.35 ** k, None),
    (lambda k: TINY * (1 if k > 4 else 0.01), 6), (lambda k: TINY * (k == 6), 6),
    (lambda k: TINY * 1e-3 ** k, None), (lambda k: TINY * 2.0 ** k, 6)])
def test_noise_is_what_is_as_large_on_two_grids_in_a_row(height, k, monkeypatch):
    found, grids = noise_of({g: height(k) for k, g in enumerate(GRIDS)}, monkeypatch)
    expected = 0.0 if k is None else height(k) * part(GRIDS[k])
    assert found == pytest.approx(expected, rel=1e-3) and grids == list(GRIDS)


def test_on_how_many_grids(monkeypatch):
    every = dict.fromkeys(GRIDS, TINY)
    assert noise_of(every, monkeypatch, "float32")[1] == [6, 9, 12, 15, 18, 21]
    for more, grids in ((0, GRIDS), (1, FEW)):
        x = {"a": np.ones((MANY - 1, 1)), "b": np.ones(1 + more)}
        found = noise_of(every, monkeypatch, x=x)
        assert found == (pytest.approx(TINY * part(grids[-1]), rel=1e-3), list(grids))
    assert noise_of({9: TINY}, monkeypatch)[0] == 0
    assert noise_of({9: TINY, 18: TINY}, monkeypatch)[0] > 0
    monkeypatch.setattr(precision, "_table", lambda values, moved, step, points: (
        [] if points == 2 else [np.eye(1, 7).T]))
    assert precision._noise(unasked, X, "float64", 0) == 0


def test_details_that_are_finer_than_the_grids_are_no_noise(monkeypatch):
    every = dict.fromkeys(GRIDS, TINY)
    for steeper, noisy in ((1.9, True), (2.1, False)):
        assert (noise_of(every, monkeypatch, steeper=steeper)[0] > 0) == noisy


def test_noise_of_more_than_so_much_is_none(monkeypatch):
    every = dict.fromkeys(GRIDS, TINY)
    noise = noise_of(every, monkeypatch)[0]
    assert noise_of(every, monkeypatch, most=noise)[0] == noise > 0
    assert noise_of(every, monkeypatch, most=0.9 * noise)[0] == 0
    large = {6: 0.0, 9: 1.0, 12: 1.0}
    assert noise_of(large, monkeypatch)[0] == 0 < noise_of(large, monkeypatch, most=1.0)[0]


@pytest.mark.parametrize("values, form", [
    (lambda a: np.float32(np.sin(a)), SINGLE), (lambda a: TF32.round(np.sin(a)), TF32),
    (lambda a: BRAIN.round(np.sin(a)), BRAIN)])
def test_the_noise_of_a_format(values, form):
    """Of roundings that are uniform, at most half a unit: between 2^-(p + 2.8) and 2^-(p + 0.8)."""
    x = {"a": np.linspace(0.6, 1.3, 32)}
    found = precision._noise(lambda x: [values(x["a"])], x, "float64", 0)
    assert 2.0 ** -2.8 < found * 2.0 ** form.precision < 2.0 ** -0.8
    smooth = precision._noise(lambda x: [np.zeros(3), np.sin(x["a"])], x, "float64", 0)
    assert smooth < FINE
    both = precision._noise(lambda x: [np.sin(x["a"]), values(x["a"])], x, "float64", 0)
    assert both == found


# What stands for which format


@pytest.mark.parametrize("noise, form", [
    (2.0 ** -30, FLOAT64), (2.0 ** -29.9, SINGLE), (2.0 ** -18, SINGLE), (2.0 ** -17.9, TF32),
    (2.0 ** -11.6, TF32), (2.0 ** -11.5, BRAIN), (2.0 ** -6.5, BRAIN), (2.0 ** -6.4, FLOAT64)])
def test_the_format_of_a_noise(noise, form, monkeypatch):
    seeds = []
    monkeypatch.setattr(precision, "_noise", lambda values, x, dtype, seed: (
        seeds.append(seed) or noise / (1 + 15 * (seed < 1))))
    monkeypatch.setattr(precision, "_recognised", lambda values, x, form, noise: (form, ""))
    monkeypatch.setattr(precision, "_steps", lambda *arguments: False)
    found = precision_of(unasked, X, "float64")
    assert found == (nominal("float64") if form == FLOAT64 else
                     Precision("float64", form, "", noise))
    assert seeds == [0, 1]
    assert precision_of(unasked, X, "float32").form == (SINGLE if form == FLOAT64 else form)
    assert precision_of(unasked, X, "float32").coarse == (form in (TF32, BRAIN))
    for few in ("bfloat16", "float16"):
        assert precision_of(unasked, X, few) == nominal(few)
    seeds.clear()
    precision_of(unasked, {"a": np.ones(MANY + 1)}, "float64")
    assert seeds == [0]


@pytest.mark.parametrize("how, steps, coarse", [
    ("", False, True), ("", True, False), ("so", True, True), ("so", False, True)])
def test_steps_are_no_noise_where_no_format_is_recognised(how, steps, coarse, monkeypatch):
    monkeypatch.setattr(precision, "_noise", lambda *arguments: 2.0 ** -25)
    monkeypatch.setattr(precision, "_recognised", lambda values, x, form, noise: (form, how))
    monkeypatch.setattr(precision, "_steps", lambda *arguments: steps)
    assert precision_of(unasked, X, "float64").coarse == coarse


@pytest.mark.parametrize("below, above, steps", [
    (GROWS + 0.1, 1 / GROWS - 0.01, True), (1 / GROWS - 0.01, 1 / GROWS - 0.01, True),
    (GROWS, 1 / GROWS - 0.01, False), (1 / GROWS, 1 / GROWS - 0.01, False),
    (GROWS + 0.1, 1 / GROWS, False), (0.0, 0.0, True), (1.0, 1.0, False), (1.0, 0.0, False)])
def test_the_noise_of_steps_is_another_at_inputs_of_another_scale(below, above, steps, monkeypatch):
    def noise(values, x, dtype, seed, most):
        assert most >= 1  # that of steps may be larger than of any rounding
        return 2.0 ** -20 * {0.5 * SCALE: above, 0.5 / SCALE: below}[x["a"][0]]

    monkeypatch.setattr(precision, "_noise", noise)
    assert precision._steps(unasked, X, "float64", 2.0 ** -20) == steps


NUMBERS = "its values are numbers of that format"
SAME = "inputs that are rounded to that format give the same values"


@pytest.mark.parametrize("values, form, noise, expected", [
    (lambda a: [a], SINGLE, 0.0, (SINGLE, "")),
    (lambda a: [SINGLE.round(a)], SINGLE, 0.5 * SINGLE.eps, (SINGLE, NUMBERS)),
    (lambda a: [SINGLE.round(a)], SINGLE, SINGLE.eps, (SINGLE, SAME)),
    (lambda a: [SINGLE.round(a) / 3], SINGLE, 0.0, (SINGLE, SAME)),
    (lambda a: [SINGLE.round(a), a], SINGLE, 0.0, (SINGLE, "")),
    (lambda a: [TF32.round(a)], TF32, 0.0, (HALF, NUMBERS)),
    (lambda a: [TF32.round(1e6 * a)], TF32, 0.0, (TF32, NUMBERS)),
    (lambda a: [TF32.round(a) / 3], TF32, 0.0, (TF32, SAME)),
    (lambda a: [BRAIN.round(a)], BRAIN, 0.0, (BRAIN, NUMBERS))])
def test_a_format_is_recognised(values, form, noise, expected):
    assert precision._recognised(lambda x: values(x["a"]), X, form, noise) == expected


def test_a_format_is_recognised_at_each_of_three_points():
    for exact in range(3):
        for f in (SINGLE.round, lambda a: SINGLE.round(a) / 3):
            calls = iter(range(6))

            def values(x):
                return [x["a"] if next(calls) % 3 == exact else f(x["a"])]

            assert precision._recognised(values, X, SINGLE, 0.0) == (SINGLE, "")


def test_an_error_of_what_calls_the_function_is_raised():
    with pytest.raises(AssertionError, match="not called"):
        precision._recognised(unasked, X, SINGLE, 0.0)
    with pytest.raises(AssertionError, match="not called"):
        precision._table(unasked, lambda t: X, 0.5, 2)
