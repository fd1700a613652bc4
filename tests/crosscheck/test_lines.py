"""The parts of differences in floats by hand: intervals, extrapolation, lines, noise."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.truth import estimated, lines, tableau
from crosscheck.truth.estimated import Estimate
from crosscheck.truth.lines import Line
from crosscheck.truth.tableau import Interval, Tableau

# Intervals and their extrapolation, by hand


def test_intervals():
    a = Interval(1.0, 0.5)
    assert not a.differs(Interval(2.0, 0.5))
    assert a.differs(Interval(2.0, 0.25)) and a.differs(Interval(0.0, 0.25))
    assert not Interval().differs(a)  # nothing is known
    assert a + Interval(3.0, 0.25) == (4.0, 0.75) and a.scaled(-2.0) == (-2.0, 1.0)


def test_the_weights_of_extrapolation():
    assert np.allclose(Tableau.WEIGHTS[1][2], [1 / 3, -2, 8 / 3], rtol=1e-15)
    assert np.allclose(Tableau.WEIGHTS[2][1], [-1 / 3, 4 / 3], rtol=1e-15)
    for power in (1, 2):
        h = 2.0 ** -np.arange(tableau.COLUMNS)
        for k, weights in enumerate(Tableau.WEIGHTS[power]):
            for degree in range(k + 1):
                found = np.dot(weights, h[:k + 1] ** (power * degree))
                assert found == pytest.approx(float(degree == 0), abs=1e-11)


def quotients(power, f, n, noise=0.0, *, first=Interval()):
    found = Tableau(power)
    found.best = first
    for j in range(n):
        found.add(f(2.0 ** -j), noise)
    return found


def test_extrapolation_is_believed_when_it_has_been_seen_again():
    """Three quotients make 5 of 5 + 3h^2 + 2h^4, but only a fourth makes it once more."""
    def f(h):
        return 5 + 3 * h ** 2 + 2 * h ** 4
    assert quotients(2, f, 3, 1e-9).best.uncertainty == np.inf
    spread = 1e-9 * np.linalg.norm(Tableau.WEIGHTS[2][3])
    assert quotients(2, f, 4, 1e-9).best == (pytest.approx(5.0), pytest.approx(spread, rel=1e-5))


def test_what_two_steps_tell_alike_is_believed_at_once_within_the_noise():
    best = quotients(1, lambda h: 5.0, 3, 1e-3).best
    assert best == (5.0, pytest.approx(1e-3 * np.linalg.norm(Tableau.WEIGHTS[1][2])))


def test_finer_steps_that_contradict_are_right_and_others_must_be_better():
    assert quotients(1, lambda h: 5.0, 3, 1e-3, first=Interval(4.0, 1e-9)).best.value == 5.0
    assert quotients(1, lambda h: 5.0, 3, 1e-3, first=Interval(5.0, 1e-9)).best.uncertainty == 1e-9


def test_what_is_no_number_starts_it_anew_and_it_is_no_wider_than_its_columns():
    found = quotients(1, lambda h: np.nan if h == 1 / 8 else 5.0, 6)
    assert [len(row) for row in found.rows] == [1, 2] and len(found.noises) == 2
    found = quotients(1, lambda h: 5.0, 12)
    assert len(found.rows[-1]) == len(found.noises) == tableau.COLUMNS


@pytest.mark.parametrize("rows, row, k, spread, apart", [
    ([[1, 2, 3]], [0, 0, 3.5, 3.25], 3, 0.25, 0.25),
    ([[1, 2, 3]], [0, 0, 3.5, 3.25], 3, 0.24, np.inf),
    ([[1, 2, 3]], [0, 2.5, 3.5], 2, 0.5, 1.5), ([[1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.5, 0.5),
    ([[1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, np.inf),               # nothing tells how it shrinks
    ([[0, 0], [1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, np.inf),
    ([[0, 0, 2.375], [1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, 2.0),   # 0.5 (0.8 + 0.8^2 + ...)
    ([[0, 0, 1.0], [1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, 0.5),
    ([[0, 0, 1.0], [1, 2, 3]], [0, 2, 3.5], 2, 0.4, 1.5),
    ([[0, 0, 2.5], [1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, np.inf),  # it does not shrink
    ([[0, 0, 3.0], [1, 3.5, 3]], [0, 3.25, 3.5], 2, 0.4, np.inf)])
def test_how_far_an_extrapolation_may_be_from_the_limit(rows, row, k, spread, apart):
    found = Tableau(1)
    found.rows = rows
    assert found._apart(row, k, spread) == pytest.approx(apart)


# Along a line


def test_a_line_evaluates_each_point_once():
    x = {"a": np.array([1.0, 2.0]), "b": 3.0}
    line = Line(lambda x: x["a"][0] + 2 * x["b"], x, {"a": np.array([4.0, 0.0])})
    assert [line(t) for t in (0.5, 0.0, 0.5)] == [9.0, 7.0, 9.0] and line.calls == 2
    assert np.isnan(Line(lambda x: np.inf, {}, {})(0.0))


def test_points_are_rounded_at_random_where_they_move():
    def integers(low, high, shape):
        assert (low, high) == (-1, 2)
        return np.ones(shape)
    rng = SimpleNamespace(integers=integers)
    line = Line(lambda x: x["a"][0] + x["a"][1] - 3, {"a": np.ones(2)}, {"a": np.array([1.0, 0.0])})
    assert line.evaluate(1.0, rng) == 2.0 ** -51 and line.evaluate(0.0, rng) == -1.0


@pytest.mark.parametrize("t, leaves", [(0.8, False), (0.81, True)])
def test_an_array_leaves_when_it_moves_by_more_than_its_size(t, leaves):
    x = {"a": np.array([1.0, -4.0]), "b": np.array([9.0])}
    v = {"a": np.array([-5.0, 1.0]), "b": np.array([1.0])}
    assert Line(None, x, v).leaves(t) == leaves


@pytest.mark.parametrize("x, v, steps", [
    ([8.0, 0.5], [2.0, 1.0], [0.25]), ([1e6], [1.0], [0.25e6, 0.25]),
    ([1e-3], [1.0], [0.25, 0.25e-3]), ([8e6, 1e-3], [1.0, 1.0], [0.25, 0.25e-3]),
    ([8.0], [1.0], [2.0, 0.25]), ([7.9], [1.0], [1.975]), ([0.0], [-2.0], [0.125]),
    ([1e6, 1e-6], [1.0, 0.0], [0.25e6, 0.25]), ([1e6, 1e-6], [-1.0, 1e-6], [0.25e6, 0.25])])
def test_first_steps(x, v, steps):
    with np.errstate(divide="ignore"):
        found = lines.firsts({"a": np.array(x)}, {"a": np.array(v)})
    assert found == pytest.approx(steps)


def test_entries_of_scales_too_far_apart_move_along_lines_of_their_own():
    x = {"a": np.array([1.0, -1.0, 0.5]), "b": np.array(1.0), "i": np.array([1])}
    v = {"a": np.array([1.0, 2.0 ** -24, 0.0]), "b": np.array(-2.0 ** -25), "i": np.array([1])}
    with np.errstate(divide="ignore"):
        found = lines.groups(x, v)
    assert [{k: d.tolist() for k, d in part.items()} for part in found] == [
        {"a": [1.0, 2.0 ** -24, 0.0]}, {"b": -2.0 ** -25}]
    assert lines.groups(x, {"a": np.zeros(3)}) == []


def test_directions_are_added_by_name():
    found = lines.added({"a": np.array([1.0, 2.0]), "b": np.array(1.0)},
                        {"a": np.array([3.0, 5.0]), "c": np.array(7.0)}, -1)
    assert {k: d.tolist() for k, d in found.items()} == {"a": [-2.0, -3.0], "b": 1.0, "c": -7.0}


@pytest.mark.parametrize("value, t, noise", [
    (3.0, 0.0, 0.5), (-8.0, 0.0, 1.0), (3.0, -2.0, 20.5), (8.0, 1.0, 11.0)])
def test_noise_grows_with_the_value_and_with_the_step(value, t, noise):
    assert lines.Noise.at(SimpleNamespace(deviation=0.5, size=4.0, growth=10.0), value, t) == noise


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_the_noise_of_values_on_a_grid(scale):
    """The kth differences of 1, -1, 1 ... are ± 2^k; their squares times k!^2 / (2k)! estimate the
    variance: 2, 8/3, 3.2 for k = 1, 2, 3."""
    n, signs = np.arange(8.0), (-1.0) ** np.arange(8)
    deviation, freedom, sure = lines._deviation(scale * signs)
    assert (deviation, freedom, sure) == (pytest.approx(np.sqrt(2) * scale), 7, True)
    # A slope does not show in second differences.
    deviation, freedom, sure = lines._deviation(scale * (10 * n + signs))
    assert (deviation, freedom, sure) == (pytest.approx(np.sqrt(8 / 3) * scale), 6, True)
    # A fourth power does not show from the fifth differences on.
    deviation, freedom, sure = lines._deviation(scale * (100 * n ** 4 + signs))
    assert (deviation, freedom, sure) == (pytest.approx(np.sqrt(4 ** 5 / 252) * scale), 3, True)
    # Without noise the largest of the last three counts: fifth differences of 720 (2.5, 3.5, 4.5).
    deviation, freedom, sure = lines._deviation(scale * n ** 6)
    fifth = np.sqrt(120 ** 2 / 3628800 * 720 ** 2 * (2.5 ** 2 + 3.5 ** 2 + 4.5 ** 2) / 3)
    assert (deviation, freedom, sure) == (pytest.approx(fifth * scale), 3, False)
    assert lines._deviation(np.zeros(8))[0] == 0
    assert lines._deviation((n - 3.5) ** 2)[0] < 1e-15  # although it falls and rises


def stairs(width):
    """A function with the values 0.3 and 0.3 + 1e-6 on alternate steps of this width."""
    return lambda x: 0.3 + 1e-6 * (np.floor(x["a"] / width + 0.5) % 2)


def test_noise_is_looked_for_on_a_coarser_grid_once_larger_steps_have_failed():
    line = Line(stairs(lines.COARSER * lines.GRID), {"a": np.array(0.0)}, {"a": np.array(1.0)})
    assert lines.noise_of(line, 1.0).deviation < 1e-15
    assert 1e-7 < lines.noise_of(line, 1.0, again=True).deviation < 1e-5


def test_the_grid_has_x_in_its_middle_or_lies_elsewhere():
    line = Line(lambda x: x["a"], {"a": np.array(0.0)}, {"a": np.array(1.0)})
    for options, first in (({}, -4), ({"lowest": 1}, 1), ({"around": 0.75}, 2)):
        values = lines._sample(line, 0.125, np.random.default_rng(0), **options).values
        assert values == pytest.approx(0.125 * np.arange(first, first + lines.POINTS))


def noise_at(f, x=0.0, first=1.0, again=False):
    line = Line(lambda x: f(x["a"]), {"a": np.array(x)}, {"a": np.array(1.0)})
    return lines.noise_of(line, first, again)


def test_a_coarser_grid_that_is_too_coarse_for_the_function_tells_nothing():
    assert noise_at(lambda a: np.sin(1000 * a), again=True).deviation < 1e-12


def test_values_are_rounded_evenly_within_half_a_unit_in_the_last_place():
    """Evenly within a width w, the standard deviation is w over the root of 12."""
    for value, width in ((4 / 3, 2.0 ** -52 * 4 / 3), (1.5, 2.0 ** -23 * 1.5)):  # 1.5 is a float32
        found = noise_at(lambda a: value)
        assert found.deviation == pytest.approx(width / 12 ** 0.5, abs=0) and not found.rough


def test_values_in_float32_that_differ_are_rough():
    assert noise_at(lambda a: 2.0 ** -10 * np.round(a / lines.GRID)).rough


def test_noise_that_is_the_same_far_from_x_does_not_grow():
    found = noise_at(lambda a: stairs(lines.GRID / 4)({"a": a}), 0.01, 0.25)
    assert found.deviation > 1e-7 and found.growth * 0.25 * lines.AWAY < found.deviation


def test_noise_that_begins_where_x_is_left_grows_with_the_step():
    """So does the rounding of sums whose terms are as large as the step."""
    for x, growth in ((0.01, True), (1.0, False)):
        def f(there):
            away = {"a": there["a"] - x}
            return stairs(lines.GRID / 4)(away) if np.abs(away["a"]) > 0.02 else 0.3
        found = lines.noise_of(Line(f, {"a": np.array(x)}, {"a": np.array(1.0)}), 0.25)
        assert found.deviation < 1e-15 and (found.growth > 1e-6) == growth


def judged(central, left, right, two_sided=True, rough=False):
    noise = SimpleNamespace(deviation=0.5, rough=rough)
    sides = (Interval(*side) for side in (central, left, right))
    return estimated._judged(*sides, noise, two_sided)


def test_what_three_intervals_make():
    found = judged((2, 1), (1, 0.25), (3, 0.5))  # left and right differ: from 0.75 to 3.5
    assert found.kink and (found.value, found.uncertainty) == (2.125, 1.375) and found.noise == 0.5
    assert (found.left, found.right) == ((1, 0.25), (3, 0.5))
    found = judged((2, 0.5), (1, 1), (2, 0.75))  # they agree, and central is the narrowest
    assert not found.kink and (found.value, found.uncertainty) == (2, 0.5)
    found = judged((2, 1), (1, 0.75), (2, 0.5))  # both are narrower than central
    assert (found.value, found.uncertainty) == (1.5, 0.75)
    found = judged((2, np.inf), (1, 0.75), (2, 0.5))
    assert found.reason == "does not converge" and found.kink  # as at a jump
    found = judged((np.nan, np.inf), (1, 0.75), (2, 0.5), two_sided=False)
    assert (found.value, found.uncertainty, found.reason, found.kink) == (2, 0.5, "", False)
    found = judged((np.nan, np.inf), (1, np.inf), (2, np.inf), two_sided=False)
    assert found.reason == "does not converge" and not found.kink


@pytest.mark.parametrize("value, rough, hidden", [
    (3.99, True, True), (-4.0, True, False), (3.99, False, False)])
def test_rough_noise_hides_a_slope_of_which_three_bits_are_not_known(value, rough, hidden):
    found = judged((value, 0.5), (value, 1), (value, 1), rough=rough)
    assert found.reason == ("noise hides the slope" if hidden else "") and found.value == value


def test_parts_of_a_direction_add_up():
    a = Estimate(1.0, 0.5, 0.25, Interval(1, 2), Interval(3, 4), False, "", 3)
    b = Estimate(10.0, 5.0, 2.5, Interval(5, 6), Interval(7, 8), True, "why", 4)
    both = Estimate(11.0, 5.5, 2.5, Interval(6, 8), Interval(10, 12), True, "why", 7)
    assert estimated._sum([a, b]) == estimated._sum([b, a]) == both
    nothing = Interval(0.0, 0.0)
    assert estimated._sum([]) == Estimate(0.0, 0.0, 0.0, nothing, nothing)
    assert a.scaled(-2.0) == Estimate(-2.0, 1.0, 0.25, Interval(-2, 4), Interval(-6, 8), calls=3)


def test_quotients_on_paper():
    line = Line(lambda x: x["a"] ** 2, {"a": np.array(3.0)}, {"a": np.array(1.0)})
    assert estimated._quotients(line, 0.5, 9.0) == (6.0, 5.5, 6.5)
    x, u, v = ({"a": np.array(a), "b": np.array(b)}
               for a, b in ((3.0, 5.0), (1.0, 0.0), (0.0, 2.0)))
    plus, minus = (Line(lambda x: x["a"] ** 2 * x["b"], x, lines.added(u, v, sign))
                   for sign in (1, -1))
    assert estimated._corners(plus, minus, 0.5) == 12.0  # 2 a along u and 2 along v
    noise = SimpleNamespace(factor=1.0, at=lambda *_: 1e-12)
    sides, _ = estimated._bends(plus, minus, 0.5, noise)
    assert all(abs(side.value - 12) <= side.uncertainty < 1e-9 for side in sides)


def spreads(monkeypatch, estimate):
    """The noise of the quotients that go into the central, left and right tableaus, in turn."""
    given = ([], [], [])

    class Recorded(Tableau):
        def __init__(self, power):
            super().__init__(power)
            self.noises_given = next(tableaus)

        def add(self, quotient, noise):
            self.noises_given.append(noise)
            super().add(quotient, noise)
    tableaus = iter(given)
    monkeypatch.setattr(estimated, "Tableau", Recorded)
    monkeypatch.setattr(estimated, "HALVINGS", 2)
    estimate()
    return given


def test_the_noise_of_quotients_on_paper(monkeypatch):
    """Standard deviations of independent values add up in squares: of 3 above, 4 below, 12 here."""
    line = Line(lambda x: x["a"], {"a": np.array(0.0)}, {"a": np.array(1.0)})
    noise = SimpleNamespace(factor=10.0, at=lambda value, t: 3 if value > 0 else 4 if value else 12)
    central, left, right = spreads(
        monkeypatch, lambda: estimated._descend(line, 0.5, 0.0, 0.0, noise))
    assert central == pytest.approx([50.0, 100.0])
    assert left == pytest.approx([20 * 160 ** 0.5, 40 * 160 ** 0.5])
    assert right == pytest.approx([20 * 153 ** 0.5, 40 * 153 ** 0.5])


def test_the_noise_of_second_quotients_on_paper(monkeypatch):
    """Four values with the weights 1 make the central one, two with 1 and two with 2 the others."""
    line = Line(lambda x: x["a"], {"a": np.array(0.0)}, {"a": np.array(1.0)})
    noise = SimpleNamespace(factor=10.0, at=lambda value, t: 3.0)
    central, left, right = spreads(
        monkeypatch, lambda: estimated._bends(line, line, 0.5, noise))
    assert central == pytest.approx([30 * 4 ** 0.5 / (4 / 4), 30 * 4 ** 0.5 / (4 / 16)])
    assert left == right == pytest.approx([30 * 10 ** 0.5 / (4 / 16)])


@pytest.mark.parametrize("deviations, smallest, expected", [
    ([4], 0, 0), ([4.1, 3.9], 0, 1), ([100, 90, 80], 0, 0), ([100, 25, 25], 0, 0),
    ([101, 25, 25, 25.1], 0, 1), ([25, 101, 90, 80], 0, 1), ([1e9, 1e6, 1e3, 900, 950], 0, 2),
    ([1e9, 1e3, 1], 0, 2), ([1e9, 1e3, None], 0, 0), ([1e9, 1e3, 0], 0, 0),
    ([1e9, 1e3, 1e3, 1e3], 8.0 ** -3, 0), ([1e9, 1e3, 1e3, 1e3, 1], 0.9 * 8.0 ** -3, 1)])
def test_noise_is_what_three_finer_grids_agree_on(monkeypatch, deviations, smallest, expected):
    """The size is 1; values that are all the same have the deviation 0."""
    samples = [None if d is None else lines._Sample(
        np.array([0.0, 1.0]) if d else np.ones(2), d * lines.EPS, 5, True) for d in deviations]
    line = SimpleNamespace(eps=lines.EPS, smallest=smallest)
    by_grid = {8.0 ** -n: s for n, s in enumerate(samples)}
    monkeypatch.setattr(lines, "_sample", lambda line, distance, rng: by_grid[distance])
    found, grid = lines._without_detail(line, samples[0], 1.0, None)
    assert found is samples[expected] and grid == 8.0 ** -expected
