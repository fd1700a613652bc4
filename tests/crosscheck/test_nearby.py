"""The gradients of points nearby, of functions whose pieces are known, and the directions in which
they are looked for."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.truth import nearby
from crosscheck.truth.nearby import ASIDE, LITTLE, RANDOM, TURNS, Beside, is_gradient_nearby


class Known:
    """A function that is homogeneous of degree one, at 0, where it rises by its value.

    f  function of the arrays that gives the list of its results
    """

    def __init__(self, f, weights, tolerance=2.0 ** -26):
        self.f, self.weights, self.tolerance = f, [np.asarray(w, float) for w in weights], tolerance

    def rises(self, direction):
        return [np.asarray(y, float) for y in self.f(*direction.values())]

    def same(self, a, b, size):
        return abs(a - b) <= self.tolerance * size


def beside(*arrays, f=lambda *arrays: arrays):
    x = {f"x{k}": np.asarray(a, float) for k, a in enumerate(arrays)}
    return Beside(Known(f, [np.ones(np.shape(y)) for y in f(*x.values())]), x, list(x))


def told(f, weights, rows, *shapes):
    """What is said of the gradient whose row for each result is given, at zeros of those shapes."""
    x = {f"x{k}": np.zeros(shape) for k, shape in enumerate(shapes)}
    rows = [np.asarray(row, float) for row in rows]
    ends = np.cumsum([a.size for a in x.values()])[:-1]

    def gradient(cotangents):
        flat = np.concatenate([np.ravel(c) for c in cotangents]) @ np.array(rows)
        return {k: part.reshape(a.shape) for (k, a), part in zip(x.items(), np.split(flat, ends))}

    known = Known(f, weights)
    return is_gradient_nearby(known, x, list(x), gradient(known.weights), gradient)


def largest(a):
    return [np.max(a)]


def size(a):
    return [np.sum(np.abs(a))]


def maxima(a):
    """Of each two neighbours the larger one."""
    return [np.maximum(a[:-1], a[1:])]


def clipped(a, low, high):
    return [np.clip(a, low, high)]


def middle(a):
    return [np.median(a)]


def eigenvalues(a):
    return [np.linalg.eigvalsh(a + a.T) / 2]


def form(*v):
    """The gradient of the eigenvalue whose eigenvector is v."""
    return np.outer(v, v).ravel() / np.dot(v, v)


E = np.eye(5)
SUMS = [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("f, weights, rows, shapes, expected", [
    (largest, [1.0], [[0, 1, 0]], [3], True), (largest, [1.0], [[1 / 3, 1 / 3, 1 / 3]], [3], True),
    (largest, [1.0], [[0.75, 0.25, 0]], [3], True), (largest, [-2.0], [[0, 0, 1]], [3], True),
    (largest, [1.0], [[1, 1, 0]], [3], False), (largest, [1.0], [[0.5, 0.25, 0]], [3], False),
    (largest, [1.0], [[1.5, -0.5, 0]], [3], False), (largest, [1.0], [[0, 0, 0]], [3], False),
    (largest, [1.0], [E[0] + E[1]], [5], False), (largest, [1.0], [np.ones(5) / 5], [5], True),
    (largest, [1.0], [2 * np.eye(1, 256)[0]], [256], False),
    (largest, [1.0], [2 * np.eye(1, 257)[0]], [257], None),
    (size, [1.0], [[1, -1, 1]], [3], True), (size, [1.0], [[0, 0, 0]], [3], True),
    (size, [1.0], [[1, 0.5, -0.25]], [3], True), (size, [1.0], [[1.25, 0, 0]], [3], False),
    (size, [1.0], [[0, 0, -1.01]], [3], False),
    (middle, [1.0], [E[3]], [5], True), (middle, [1.0], [E[0] + E[1]], [5], False),
    (lambda a: [np.sort(a)], [SUMS], E[[3, 1, 4, 0, 2]], [5], True),
    (lambda a: [np.sort(a)], [SUMS], E[[0, 0, 1, 2, 3]], [5], False),
    (lambda a: [np.sort(a)], [SUMS], np.full((5, 5), 0.2), [5], True),
    (lambda a: [np.sort(a)], [SUMS], 2 * np.full((5, 5), 0.2), [5], False),
    (lambda a: [np.max(a), np.min(a)], [1.0, 2.0], [[1, 0], [0, 1]], [2], True),
    (lambda a: [np.max(a), np.min(a)], [1.0, 2.0], [[1, 0], [1, 0]], [2], False),
    (maxima, [SUMS[:4]], E[[0, 2, 2, 4]], [5], True),
    (maxima, [SUMS[:4]], E[[0, 3, 2, 4]], [5], False),
    (lambda a: [np.abs(a[0] + a[1])] * 2, [1.0, -1.0], [[1, 1], [-1, -1]], [2], None),
    (eigenvalues, [[1.0, 3.0]], [form(3, 1), form(-1, 3)], [(2, 2)], True),
    (eigenvalues, [[1.0, 3.0]], [form(3, 1), form(3, 1)], [(2, 2)], None),
    (clipped, [np.ones(2)], [[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]], [2, 2, 2], True),
    (clipped, [np.ones(2)], [[0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0]], [2, 2, 2], False),
    # in order of the positions the bounds are turned round
    (lambda high, a, low: [np.clip(a, low, high)], [np.ones(12)], np.eye(12, 36, 24), [12] * 3,
     True)])
def test_gradients_of_points_nearby(f, weights, rows, shapes, expected):
    assert told(f, weights, rows, *shapes) is expected


def test_terms_of_the_answer_and_of_the_results_count_whole_where_they_cancel():
    g, w, asked = np.array([3.0, -1.0]), np.array([1.0, -2.0]), []
    known = Known(lambda a: asked.append(a) or [a], [w])
    known.same = lambda *figures: asked.append(figures) or True
    assert is_gradient_nearby(known, {"x0": np.zeros(2)}, ["x0"], {"x0": g}, None)
    d, figures = asked
    size = np.abs(g * d).sum() + np.abs(w * d).sum()
    assert figures == pytest.approx((g @ d, w @ d, size))


@pytest.mark.parametrize("f, turns", [
    (lambda a: [np.linalg.norm(a), 0.0], True), (lambda a: [np.linalg.norm(a)], False),
    (lambda a: [np.max(a), np.min(a)], False), (lambda a: list(np.sort(a)), False),
    (lambda a: [np.sum(np.abs(np.subtract.outer(a, a)) * (a > 0)), 0.0], False),
    # as the real part of two eigenvalues does where they are not real
    (lambda a: [np.linalg.norm(a) if a[0] > 0 else 0.0, 0.0], True)])
def test_gradients_of_several_results_turn_where_they_bend_smoothly(f, turns):
    it = beside(np.zeros(5), f=f)
    w = np.ones(len(it.known.weights))
    assert nearby._turn(it, w, np.random.default_rng(0)) == turns


@pytest.mark.parametrize("power, turns", [(1.5, False), (1.95, True), (2, True), (2.5, False)])
def test_what_bends_smoothly_bends_a_quarter_as_much_to_half_as_far(power, turns):
    it = beside(np.zeros(1), f=lambda a: [np.abs(a - 0.5) ** power, 3 * a])
    assert nearby._turn(it, np.array([2.0, 1.0]), drawn(0.5)) == turns


def test_a_direction_is_in_parts_of_its_arrays():
    it = beside([4.0, -8.0], [[0.5], [0.25]], [])
    assert it.count == 4 and [it.size(k) for k in it.names] == [8.0, 1.0, 1.0]
    scaled = it.scaled([1.0, 2.0, 3.0, 4.0])
    assert {k: a.tolist() for k, a in scaled.items()} == {
        "x0": [8.0, 16.0], "x1": [[3.0], [4.0]], "x2": []}
    assert it.flat(scaled).tolist() == it.rises(scaled).tolist() == [8.0, 16.0, 3.0, 4.0]


def test_cotangents_of_each_result():
    parts = nearby._parts(np.arange(4.0), [np.ones((1, 2)), np.array(1.0), np.ones(1)])
    assert [part.tolist() for part in parts] == [[[0.0, 1.0]], 2.0, [3.0]]


# The directions; every number that is drawn is half of the lower end of its range, or of the upper


ENDS = pytest.mark.parametrize("end", [-0.5, 0.5])


def drawn(end):
    return SimpleNamespace(permutation=np.arange, uniform=lambda low, high, shape: np.full(
        shape, abs(end) * (high if end > 0 else low)))


def listed(directions, end, by):
    """The directions without what was drawn, which is that much."""
    return [pytest.approx(d - end * by) for d in directions]


@ENDS
def test_orders_by_position_by_the_answer_and_by_both(end):
    found = list(nearby._orders(np.array([-2.0, 4.0, 1.0]), drawn(end)))
    assert len(found) == 12 + 2 * 3 + 40
    position, weight = np.array([-0.75, 0.25, 1.25]) / 3, np.array([-0.5, 1.0, 0.25])
    both = [position, weight, abs(weight), weight + position, weight - position]
    turned = [np.roll(position, k) for k in range(3)]
    by = [sign * base for base in (*both, *turned) for sign in (1, -1)]
    assert listed(found[:10] + found[12:18], end, ASIDE / 3) == by
    assert [d.tolist() for d in found[10:12]] == [[1 + end / 4] * 3, [-1 + end / 4] * 3]
    assert [d.tolist() for d in found[18:]] == [[end] * 3] * RANDOM


def test_of_many_entries_some_turns():
    found = list(nearby._orders(np.zeros(3 * TURNS), drawn(0.5)))
    assert len(found) == 12 + 2 * 24 + 40
    assert [np.argmin(d) for d in found[12:-RANDOM:2]] == list(range(0, 3 * TURNS, 3))


def test_what_is_drawn_leaves_the_order():
    n = 50
    up, down = (list(np.argsort(d)) for d, _ in zip(
        nearby._orders(np.zeros(n), np.random.default_rng(0)), range(2)))
    assert up == down[::-1] == list(range(n))
    first = next(nearby._of_rows(np.eye(n), np.random.default_rng(0)))
    assert list(np.argsort(first)) == list(range(n))


@ENDS
def test_all_entries_of_an_array_before_those_of_another(end):
    assert list(nearby._of_arrays(beside([1.0, 2.0]), drawn(end))) == []
    two = nearby._of_arrays(beside([1.0], [0.5]), drawn(end))
    assert listed(two, end, 0.25) == [[-0.5, 0.5], [0.5, -0.5]]
    found = nearby._of_arrays(beside([1.0, -4.0], [1.0], [0.5]), drawn(end))
    by = [(a / 4, a / 4, b, c) for a, b, c in (
        (-1, 0, 1), (-1, 1, 0), (0, -1, 1), (0, 1, -1), (1, -1, 0), (1, 0, -1))]
    assert listed(found, end, np.array([1 / 16, 1 / 16, 1 / 4, 1 / 4])) == by


@ENDS
def test_orders_of_the_results(end):
    """Each row is the gradient of a result; the last entry is in none."""
    found = list(nearby._of_rows(np.eye(3, 4), drawn(end)))
    by = [sign * np.array([*d, 0.0]) / max(map(abs, d))
          for k in range(3) for lowest in (-0.75, 1, -3)
          for d in [np.roll(np.arange(3), k) + lowest] for sign in (1, -1)]
    assert listed(found, end, LITTLE) == by
    assert list(nearby._of_rows(np.zeros((3, 4)), drawn(end))) == []
    many = list(nearby._of_rows(np.eye(2 * TURNS), drawn(end)))
    assert len(many) == 6 * TURNS
    assert [np.argmin(d) for d in many[2::6]] == list(range(0, 2 * TURNS, 2))


@ENDS
def test_places_of_the_entries_of_a_result(end):
    found = list(nearby._places(np.array([0.0, 3.0, 0.0, -2.0]), drawn(end)))
    by = []
    for place in range(5):
        for first, last in ((0.05, 0.0), (0.0, 0.05)):
            by.append(np.array([0.5, place + first, 2.5, place + last]) / 4 - 0.5)
    assert listed(found, end, 0.01 / 4) == by
    for none in (np.zeros(4), np.ones(nearby.ENTRIES + 1)):
        assert list(nearby._places(none, drawn(end))) == []
    many = np.zeros(100)
    many[:nearby.ENTRIES] = 1.0
    assert len(list(nearby._places(many, drawn(end)))) == 2 * nearby.PLACES


def test_of_a_result_whose_gradient_was_met_no_more_is_asked():
    it = beside(np.zeros(2), f=lambda a: [1 / 0] if a.any() else [0.0])
    met = [(None, np.array(d), rise) for d, rise in (((1.0, 2.0), 9.0), ((2.0, 1.0), 5.0))]
    assert nearby._row_is_nearby(it, np.array([2.0, 1.0]), 0, met, np.random.default_rng(0))
    with pytest.raises(ZeroDivisionError):
        nearby._row_is_nearby(it, np.array([2.0, 1.5]), 0, met, np.random.default_rng(0))


# Between the slopes at points nearby


def between(f, r, orders, tolerance=1e-12):
    it = beside(np.zeros(len(r)), f=f)
    it.known.tolerance = tolerance
    return nearby._between(it, lambda rises: rises[0], np.array(r), [np.array(o) for o in orders],
                           np.random.default_rng(0))


@pytest.mark.parametrize("r, expected", [
    ([1.0, 0.0], True), ([0.5, 0.5], True), ([0.0, 1.0], True), ([1.0, 1.0], False),
    ([1.01, -0.01], False), ([0.0, 0.0], False), ([0.5, 0.4], False)])
def test_between_the_slopes_of_two_pieces(r, expected):
    assert between(largest, r, [[0.5, -0.5], [-0.5, 0.5]]) is expected


def test_of_one_piece_its_own_slope_alone_is_between():
    """Off by 0.001 of 1, to which the slope 1 and the base 0.5 may be known to a part of it."""
    assert between(largest, [1.0, 0.0], [[0.5, -0.5]])
    assert not between(largest, [0.0, 1.0], [[0.5, -0.5]])
    for off, tolerance, expected in ((1e-3, 3e-6, False), (1e-3, 5e-6, True)):
        assert between(largest, [1 + off, 0.0], [[0.5, -0.5]], tolerance) is expected


@ENDS
def test_along_its_own_direction_along_entries_and_at_random(end):
    """The function is linear, so that none of the directions tells against it."""
    it, asked, r = beside(np.zeros(8)), [], np.array([1, 2, 3, -16, 8, 7, 6, 5.0])
    it.known.rises = lambda direction: asked.append(direction["x0"]) or [r @ direction["x0"]]
    assert nearby._between(it, lambda rises: rises[0], r, [np.zeros(8)], drawn(end))
    by = [r / 16, np.ones(8), *np.eye(8)[[3, 4, 5, 6, 7, 2]], *np.full((6, 8), 2 * end)]
    along = asked[nearby.POINTS::nearby.POINTS]
    assert [(d / nearby.ON).tolist() for d in along] == [d.tolist() for d in by]


def test_where_no_point_nearby_has_a_slope_nothing_is_between():
    assert not between(lambda a: [np.nan * np.max(a)], [1.0, 0.0], [[0.5, -0.5]])
    half = [[0.5, -0.5], [-0.5, 0.5]]  # the function has no value where the second is larger
    assert between(lambda a: [a[0] if a[0] > a[1] else np.nan], [1.0, 0.0], half)
    assert not between(lambda a: [a[0] if a[0] > a[1] else np.nan], [0.0, 1.0], half)
