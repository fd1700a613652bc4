"""Which steps differences in floats look at, decision by decision; what others find is put in."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.truth import estimated
from crosscheck.truth.estimated import Estimate
from crosscheck.truth.lines import EPS
from crosscheck.truth.tableau import Interval

NAN = float("nan")


# The search for the scale at which f is smooth


def searched(monkeypatch, goes_on, smallest=-40, own=0, finest=-11, values=lambda t: 0.0):
    """(first and lowest of each descent, the scales looked at, whether f has values on both sides).

    A descent ends at a quarter of its first step; all figures are exponents of 2, the noise's grid
    is 2^-11.
    """
    descents, looked = [], []

    def descend(line, first, lowest, here, noise):
        descents.append((np.log2(first), np.log2(lowest)))
        return ("found", len(descents), None), first / 4

    def continues(line, found, last, scale, here, noise):
        assert found[1] == len(descents) and last == 2.0 ** descents[-1][0] / 4
        looked.append(np.log2(scale))
        return looked[-1] not in goes_on

    monkeypatch.setattr(estimated, "_descend", descend)
    monkeypatch.setattr(estimated, "_continues", continues)
    monkeypatch.setattr(estimated, "_finest", lambda found, noise: 2.0 ** finest)
    monkeypatch.setattr(estimated, "_judged", lambda *given: given)
    line = type("Values", (), {"__call__": lambda self, t: values(t)})()
    line.smallest, line.grid = 2.0 ** smallest, 2.0 ** -11
    *found, _, two_sided = estimated._search(line, 1.0, 2.0 ** own, 0.0, None)
    assert found == ["found", len(descents), None]
    return descents, looked, two_sided


@pytest.mark.parametrize("turns, options, descents, looked", [
    ([], {}, [0], [-5, -8]), ([], dict(finest=-12), [0], [-5, -8, -11]),
    ([], dict(finest=-5), [0], [-5, -8]), ([], dict(finest=-5, own=7), [0], [-5]),
    ([-5], {}, [0, -5], [-5, -10]), ([-8], {}, [0, -8], [-5, -8, -13]),
    ([-5, -10], {}, [0, -5, -10], [-5, -10, -15]),
    ([], dict(own=-3), [0], [-5, -8, -11]), ([], dict(smallest=-8), [0], [-5]),
    ([], dict(smallest=-7, own=-8), [0], [-5]), ([], dict(smallest=-7, own=-9), [0], [-5, -9]),
    ([-9], dict(smallest=-7, own=-9), [0, (-9, -9)], [-5, -9]),
    ([-5], dict(smallest=-9), [0, -5], [-5]), ([-5], dict(smallest=-11), [0, -5], [-5, -10])])
def test_f_is_looked_at_down_to_the_finest_scale_or_to_where_it_does_something_else(
        monkeypatch, turns, options, descents, looked):
    found = searched(monkeypatch, turns, **options)
    lowest = options.get("smallest", -40)
    assert found[:2] == ([d if isinstance(d, tuple) else (d, lowest) for d in descents], looked)


def test_both_sides_count_where_f_has_values_on_both(monkeypatch):
    for values, two_sided in ((lambda t: t, True), (lambda t: NAN if t == 0.25 else t, False),
                              (lambda t: NAN if t == -0.25 else t, False)):
        assert searched(monkeypatch, [], values=values)[2] == two_sided


def test_the_finest_scale_of_a_kink_is_where_noise_begins_to_hide_it():
    noise = SimpleNamespace(grid=2.0 ** -8, factor=4.0, deviation=2.0 ** -20)
    for left, right, finest in (((1, 0.5), (2, 0.5), -8), ((1, 0.5), (-3, 0.5), -17),
                                ((1, 0), (1 + 2.0 ** -8, 0), -8)):
        sides = None, Interval(*left), Interval(*right)
        assert np.log2(estimated._finest(sides, noise)) == finest


def continues(far, near, central=0.0, sides=0.0, noise=0.0, above=None):
    """Does f go on at 1/8 as steps down to 1 say: slopes of 1, where its quotients are these?"""
    values = {1.0: far, -1.0: -far, 0.125: near / 8 if above is None else above, -0.125: -near / 8}
    found = Interval(1.0, central), Interval(1.0, sides), Interval(1.0, sides)
    noises = SimpleNamespace(factor=0.5, at=lambda value, t: noise * (value == 7.0 and t == 0.125))
    return estimated._continues(lambda t: values[t] + 7.0, found, 1.0, 0.125, 7.0, noises)


TINY = 2.0 ** -20


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("given, limit", [
    (dict(far=1.0, central=2.0 ** -6, sides=1.0), 2.0 ** -6),
    (dict(far=1.0, central=1.0, sides=2.0 ** -6), 2.0 ** -6),
    (dict(far=1.5, sides=1.0), 1 / 64), (dict(far=0.5, sides=1.0), 1 / 64),
    (dict(far=1.5, central=1.0), 1 / 8), (dict(far=1.0, noise=2.0 ** -9), 2.0 ** -6),
    (dict(far=1.5, central=1 / 64, noise=2.0 ** -9, sides=9.0), 3 / 64)])
def test_f_goes_on_within_the_uncertainty_what_it_bends_by_and_the_noise(given, limit, sign):
    assert continues(near=1 + sign * limit, **given)
    assert not continues(near=1 + sign * (limit + TINY), **given)


def test_a_slope_that_is_not_known_does_not_go_on_where_f_has_values_on_both_sides():
    for unknown in (dict(central=np.inf), dict(sides=np.inf)):
        assert not continues(1.0, 1.0, **unknown)
        assert continues(1.0, 1.0, above=NAN, **unknown)


# The scales of x


def best(monkeypatch, found, noises):
    """(the best of these estimates by the steps 8, 4, ..., those that were made, what noise was
    asked for) where the noise by two lines is this.
    """
    made, asked, turns = [], [], iter(noises)

    def noise_of(line, first, again):
        asked.append((line, first, again))
        given = next(turns)
        return given and SimpleNamespace(deviation=given[0], rough=given[1])

    def estimate(first, noise):
        made.append((first, noise.deviation))
        return found[len(made) - 1]

    monkeypatch.setattr(estimated, "noise_of", noise_of)
    steps = [8.0 / 2 ** n for n in range(len(noises) // 2)]
    return estimated._best(["plus", "minus"], steps, estimate), made, asked


FINE, ROUGH = (1.0, False), (3.0, True)
KNOWN, WIDE = Estimate(1.0, 0.25), Estimate(2.0, 0.5)
KINKED, OPEN = Estimate(3.0, 0.125, kink=True), Estimate(4.0, 0.0, reason="why")


@pytest.mark.parametrize("found, noises, chosen, tried", [
    ([KNOWN], [FINE, FINE, FINE, FINE], 0, 1), ([KINKED, WIDE], [FINE] * 6, 1, 2),
    ([OPEN, WIDE], [FINE] * 4, 1, 2), ([OPEN, KINKED], [FINE] * 4, 1, 2),
    ([WIDE, KNOWN], [ROUGH, FINE, ROUGH, FINE], 1, 2), ([WIDE, KNOWN], [FINE, ROUGH] * 2, 1, 2),
    ([KNOWN, WIDE], [ROUGH] * 4, 0, 2), ([KNOWN, KINKED], [ROUGH, ROUGH, FINE, FINE], 1, 2),
    ([OPEN, KNOWN], [FINE, FINE, ROUGH, ROUGH], 1, 2), ([KINKED], [None, None, FINE, FINE], 0, 1),
    ([KINKED], [FINE, FINE, None, None], 0, 1)])
def test_the_first_estimate_without_doubts_or_the_best(monkeypatch, found, noises, chosen, tried):
    told, made, asked = best(monkeypatch, found, noises)
    assert told is found[chosen] and len(made) == tried
    assert all(again == (first != 8.0) for _, first, again in asked)
    assert [line for line, _, _ in asked] == ["plus", "minus"] * (len(asked) // 2)


def test_the_larger_noise_of_two_lines_counts_and_none_at_all_is_told(monkeypatch):
    for noises in ([FINE, ROUGH], [ROUGH, FINE], [None, ROUGH], [ROUGH, None]):
        assert best(monkeypatch, [KNOWN], noises)[1] == [(8.0, 3.0)]
    told, made, _ = best(monkeypatch, [], [None, None])
    assert told.reason == "f is not finite on either side" and made == []


# Second derivatives


def bent(monkeypatch, corners, value=1.0, uncertainty=0.0, noise=0.0, smallest=-40, lines=None):
    """(the first steps of descents, the scales looked at, whether both sides count)."""
    descents, looked = [], []

    def bends(plus, minus, first, noise):
        descents.append(np.log2(first))
        return (Interval(value, uncertainty), None, None), first / 4

    def at(plus, minus, h):
        looked.append(np.log2(h))
        return corners(np.log2(h))

    monkeypatch.setattr(estimated, "_bends", bends)
    monkeypatch.setattr(estimated, "_corners", at)
    monkeypatch.setattr(estimated, "_judged", lambda *given: given)
    plus, minus = (type("Values", (), {"__call__": lambda self, t, f=f: f(t)})()
                   for f in lines or (lambda t: 0.0, lambda t: 0.0))
    plus.smallest = 2.0 ** smallest
    noises = SimpleNamespace(factor=0.5, at=lambda value, t: noise * t * t * (value == 7.0))
    *_, two_sided = estimated._bend(plus, minus, 1.0, 7.0, noises)
    return descents, looked[::2], two_sided


def test_a_second_derivative_is_looked_at_at_three_finer_scales(monkeypatch):
    assert bent(monkeypatch, lambda h: 1.0)[:2] == ([0], [-5, -8, -11])
    assert bent(monkeypatch, lambda h: 1.0, smallest=-8)[:2] == ([0], [-5])
    assert bent(monkeypatch, lambda h: 2.0 if h == -8 else 1.0)[:2] == (
        [0, -8], [-5, -8, -13, -16, -19])


@pytest.mark.parametrize("far, given, limit", [
    (1.0, {}, 0.0), (1.5, {}, 1 / 64), (0.5, {}, 1 / 64), (1.0, dict(uncertainty=1 / 8), 1 / 8),
    (1.0, dict(noise=1 / 8), 1 / 8), (1.5, dict(uncertainty=1 / 8, noise=1 / 8), 17 / 64)])
def test_it_goes_on_within_the_uncertainty_what_it_bends_by_and_the_noise(
        monkeypatch, far, given, limit):
    for sign in (1, -1):
        for off, descents in ((limit, [0]), (limit + TINY, [0, -5])):
            quotients = {-2: far, -5: 1 + sign * off}
            found = bent(monkeypatch, lambda h: quotients.get(h, 1.0), smallest=-8, **given)
            assert found[0] == descents


def test_a_second_derivative_has_both_sides_where_all_corners_have_values(monkeypatch):
    whole = lambda t: 0.0
    for at in (0.25, -0.25):
        part = lambda t: NAN if t == at else 0.0
        for lines in ((part, whole), (whole, part)):
            assert not bent(monkeypatch, lambda h: 1.0, lines=lines)[2]
    assert bent(monkeypatch, lambda h: 1.0)[2]


# Blame


def test_what_an_answer_says_along_a_direction_and_its_rounding():
    gradient = {"a": np.array([1.0, -2.0]), "b": np.array(0.5)}
    v = {"a": np.array([3.0, 4.0]), "b": np.array(2.0)}
    assert estimated._told(gradient, v, EPS) == (-4.0, 12 * 3 * EPS)


@pytest.mark.parametrize("entry, count", [(0, 5000), (4999, 5000), (2500, 5000), (4095, 4096)])
def test_of_many_entries_plain_differences_lead_to_the_one_that_is_off(monkeypatch, entry, count):
    x, v = {"a": np.full(count, 2.0)}, {"a": np.where(np.arange(count) % 2, 1.0, -1.0)}
    gradient = {"a": np.full(count, 12.0)}
    gradient["a"][entry] += 0.5
    calls = []

    def f(x):
        calls.append(x)
        return float(np.sum(x["a"] ** 3))

    found = estimated.blame(f, x, gradient, v)
    assert found.index == (entry,) and found.certain
    assert found.factor == pytest.approx(12.5 / 12)
    assert len(calls) < 4 * (np.ceil(np.log2(count)) + 1) + 60
    gradient["a"][entry] = 12.0  # where these lead to nothing certain, intervals decide
    assert not estimated.blame(f, x, gradient, v).certain
