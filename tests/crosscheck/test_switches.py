"""Jumps of f between formulas that are nearly the same, found by what a slope does not explain."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.subjects.subject import Subject, Unanswered
from crosscheck.truth import switches
from crosscheck.truth.switches import FARTHER, INTERVALS, NARROW, POINTS, SPLITS

HEIGHT = 2.0 ** -30


def step(at, height=HEIGHT):
    """A smooth function and a jump of it; the slope but for that is `np.cos`."""
    return lambda t: np.sin(t) + height * (t > at)


@pytest.mark.parametrize("at", [-1.9, -0.3, 0.0, 1e-9, 0.7, 1.99])
@pytest.mark.parametrize("height", [HEIGHT, -HEIGHT])
def test_the_height_of_a_jump_wherever_it_is(at, height):
    found = switches.jump(step(at, height), np.cos, 2.0, HEIGHT / 2)
    assert found == pytest.approx(height, abs=1e-14)


def test_the_higher_of_two_jumps_is_found():
    both = lambda t: step(-0.5)(t) - 4 * HEIGHT * (t > 0.6)
    assert switches.jump(both, np.cos, 2.0, HEIGHT / 2) == pytest.approx(-4 * HEIGHT, abs=1e-14)


def test_what_is_no_jump():
    def jump(f, slope=np.cos, reach=2.0, least=HEIGHT / 2):
        return switches.jump(f, slope, reach, least)

    assert jump(np.sin) == 0
    assert jump(step(0.3), least=2 * HEIGHT) == 0  # too low
    assert jump(step(2.1)) == jump(step(-2.1)) == 0 != jump(step(2.1), reach=2.2)  # too far
    assert jump(step(0.3, np.nan)) == 0
    assert jump(np.sin, lambda t: 1.1 * np.cos(t)) == 0  # a slope that is wrong everywhere
    assert jump(lambda t: HEIGHT * (t > 0), lambda t: 0.0, least=HEIGHT) == 0  # as high as none


def test_how_finely_a_line_is_looked_at():
    """Each interval, and each half of one that is split, is integrated by as many points."""
    ends, slopes = [], []

    def asked(t):
        ends.append(t)
        return HEIGHT * (t > 0.3)

    def slope(t):
        slopes.append(t)
        return 0.0

    assert switches.jump(asked, slope, 2.0, HEIGHT / 2) == HEIGHT
    halved = (len(ends) - 2 * INTERVALS) / 4
    assert halved == np.log2(4 / INTERVALS / (2 * NARROW)) and halved < SPLITS
    assert len(slopes) == len(ends) / 2 * POINTS
    assert ends[:2] == [-2 + 4 / INTERVALS, -2.0] and ends[2 * INTERVALS - 2] == 2.0
    lower, upper = ends[1:2 * INTERVALS:2], ends[0:2 * INTERVALS:2]
    assert upper[:-1] == lower[1:]


def test_a_slope_that_is_wrong_everywhere_is_given_up_after_so_many_halves():
    asked = []
    assert switches.jump(lambda t: asked.append(t) or 0.0, lambda t: 1.0, 2.0, 0.0) == 0
    assert len(asked) == 2 * INTERVALS + 4 * SPLITS


# Along a direction


X = {"a": np.array([1.0, -3.0]), "b": np.array([100.0]), "c": np.zeros(0)}


def test_the_largest_entry_of_what_moves():
    assert switches.largest(X, ["a", "c"]) == 3.0 and switches.largest(X, X) == 100.0
    assert switches.largest(X, ["c"]) == 0.0


def along(f, slope=lambda x: 0.0, least=HEIGHT / 2):
    return switches.jump_along(f, slope, X, {"a": np.array([2.0, 0.0])}, least)


@pytest.mark.parametrize("t", [-0.9, 0.4, 0.9])
def test_a_line_is_looked_at_as_far_as_x_is_large_and_then_farther(t):
    """a is 3 at most, and its first entry moves by 2 t from 1: up to 3, and then up to 12."""
    for reach in (3, 3 * FARTHER):
        at = 1 + 2 * t * reach
        f = lambda x: -HEIGHT * (x["a"][0] > at) * (x["a"][1] == -3 and x["b"][0] == 100)
        assert along(f) == HEIGHT
    assert along(lambda x: HEIGHT * (x["a"][0] > 1 + 2 * 1.01 * 3 * FARTHER)) == 0


def test_the_slope_is_taken_where_f_is():
    f = lambda x: x["a"][0] ** 2 + HEIGHT * (x["a"][0] > 1.5)
    assert along(f, lambda x: 4 * x["a"][0]) == pytest.approx(HEIGHT, abs=1e-12)


def test_nearer_jumps_are_told_even_where_farther_ones_are_higher():
    f = lambda x: HEIGHT * (x["a"][0] > 2) + 4 * HEIGHT * (x["a"][0] > 20)
    assert along(f) == HEIGHT


def test_where_the_line_leaves_the_domain_there_is_no_jump_and_an_error_of_the_checker_is_raised():
    def by_the_subject(x):
        Subject.pull(SimpleNamespace(name="f"), x, [], "float64", None)

    with pytest.raises(Unanswered):
        by_the_subject(X)
    assert along(by_the_subject) == 0.0
    with pytest.raises(ZeroDivisionError):
        along(lambda x: 1 / 0)
    assert along(lambda x: np.log(x["a"][0])) == 0.0  # in silence
