"""One difference on balls by hand, quotients, jumps, and when more bits are asked for."""

import numpy as np
import pytest

from crosscheck.ball import ANY_OF_SEVERAL, Ball, arithmetic
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth import exact
from crosscheck.truth.differences import (BITS, BY_DIFFERENCES, Difference, Place, evaluated,
                                          moved, step_of_order, unit)
from crosscheck.truth.exact import Agreement, Truth

STEP = 2.0 ** -20


def difference(here, above, below):
    """Of a function with these (value, branches) at x and a step aside."""
    made = Difference.__new__(Difference)
    made.h, made.order, made._here = STEP, 1, Place(Ball(here[0]), here[1])
    made.at = {sign: Place(Ball(value), taken) for sign, (value, taken) in
               (((1,), above), ((-1,), below))}
    return made


ONE, OTHER = [("sign", 1)], [("sign", -1)]
FIRST, SECOND = [(ANY_OF_SEVERAL, 0)], [(ANY_OF_SEVERAL, 1)]


@pytest.mark.parametrize("here, above, below, value, smooth", [
    (ONE, ONE, ONE, 0.0, True), (ONE, ONE, ONE, 1.0, True), (ONE, OTHER, ONE, 0.0, False),
    (ONE, ONE, OTHER, 0.0, False), (OTHER, ONE, ONE, 0.0, False), (ONE, ONE, [], 0.0, False),
    (FIRST, SECOND, FIRST, 0.0, True), (FIRST, SECOND, FIRST, 1.0, False),
    (FIRST, FIRST, FIRST, 1.0, True), (ONE + FIRST, OTHER + FIRST, ONE + FIRST, 0.0, False),
    (ONE + FIRST, ONE + SECOND, FIRST + ONE, 0.0, True)])
def test_smooth_is_where_the_branches_are_the_same(here, above, below, value, smooth):
    """Which of several equal ones is taken may change, if the value does not jump."""
    assert difference((0.0, here), (value, above), (0.0, below)).smooth == smooth


@pytest.mark.parametrize("off, scale, meet", [
    (2.0 ** -8, 4.0, True), (-2.0 ** -8, 4.0, True), (1.01 * 2.0 ** -8, 4.0, False),
    (-1.01 * 2.0 ** -8, 4.0, False), (2.0 ** -8, -4.0, True), (0.0, 0.0, True)])
def test_sides_meet_up_to_the_root_of_the_step(off, scale, meet):
    made = difference((0.0, []), ((1 + off) * STEP, []), (-STEP, []))
    assert made.sides_meet(Ball(scale)) is meet
    both = difference((np.zeros(2), []), (np.array([1.0, 1 + off]) * STEP, []),
                      (np.full(2, -STEP), []))
    assert both.sides_meet(Ball(scale)) is meet


# Quotients and jumps


def along(f, h, x, *directions, **options):
    """The `Difference` of f, a function of the arrays by name."""
    x, *directions = ({k: Ball(a) for k, a in d.items()} for d in (x, *directions))
    return Difference(lambda x: f(**x), x, *directions, h=h, **options)


def test_quotients_are_those_on_paper():
    """(a + h)^3 - (a - h)^3 = 2h (3 a^2 + h^2), and so in two variables."""
    cube, h = (lambda a, b: np.sum(a ** 3) * b ** 3), 0.5
    x = {"a": [2.0, 3.0], "b": 1.0}
    found = along(cube, h, x, {"a": [1.0, 0.0]})
    assert found.order == 1 and float(found.quotient.mid()) == 12.25
    assert [float(side.mid()) for side in found.sides] == [9.25, 15.25]  # 3 a^2 -+ 3 a h + h^2
    assert float(along(cube, h, x, {"a": [0.0, -1.0]}).quotient.mid()) == -27.25
    found = along(cube, h, x, {"a": [1.0, 0.0]}, {"b": 1.0})
    assert found.order == 2 and float(found.quotient.mid()) == 12.25 * 3.25


def test_a_tuple_of_results_has_a_tuple_of_quotients():
    found = along(lambda a: (a ** 2, -a), 0.25, {"a": 3.0}, {"a": 1.0})
    assert [float(q.mid()) for q in found.quotient] == [6.0, -1.0]
    assert [[float(s.mid()) for s in side] for side in found.sides] == [[5.75, -1.0], [6.25, -1.0]]


def test_differences_are_a_source_of_derivatives():
    """Of a^3 b: (3 a^2 b, sum of a^3), and their slopes along v."""
    x, u, v = ({"a": Ball([a]), "b": Ball(b)} for a, b in (
        ([2.0, 3.0], 5.0), ([1.0, 0.0], 1.0), ([1.0, -1.0], 2.0)))
    expected = {
        Mode.REVERSE: {"a": [[60.0, 135.0]], "b": 35.0}, Mode.FORWARD: {"a": -75.0, "b": 70.0},
        Mode.FORWARD_OVER_REVERSE: {"a": [[84.0, -36.0]], "b": -15.0},
        Mode.FORWARD_OVER_FORWARD: {"*": 69.0}}
    with arithmetic(400):
        for mode, derivatives in expected.items():
            found = BY_DIFFERENCES.differentiate(
                mode, lambda x: np.sum(x["a"] ** 3) * x["b"], x, u, v)
            assert {k: d.mid().tolist() for k, d in found.items()} == derivatives, mode
            assert all(np.max(d.radius()) < 1e-40 for d in found.values())
        x = {"a": Ball(np.zeros((0, 3)))}
        found = BY_DIFFERENCES.differentiate(Mode.REVERSE, lambda x: Ball(0.0), x, x, x)
        assert found["a"].shape == (0, 3)


def test_what_is_known_of_the_place_is_not_evaluated_again():
    calls = []

    def f(a):
        calls.append(a)
        return 2 * a
    found = along(f, 0.25, {"a": 3.0}, {"a": 1.0}, here=Place(Ball(6.25), []))
    assert [float(side.mid()) for side in found.sides] == [3.0, 1.0] and len(calls) == 2
    found = along(f, 0.25, {"a": 3.0}, {"a": 1.0})
    assert [float(side.mid()) for side in found.sides] == [2.0, 2.0] and len(calls) == 5


@pytest.mark.parametrize("x, smooth", [
    (0.5, True), (0.25, False), (0.125, False), (0.0, False), (-0.5, True)])
def test_smooth_is_what_takes_one_branch_within_the_step(x, smooth):
    assert along(lambda a: np.where(a > 0, a, 0.0), 0.25, {"a": x}, {"a": 1.0}).smooth == smooth


@pytest.mark.parametrize("left, right, jump", [
    (0.0, 3.75, False), (0.0, 4.0, True), (-3.75, 0.0, False), (-4.0, 0.0, True),
    (3.5, 3.5, False)])
def test_a_side_as_steep_as_the_root_of_the_step_is_a_jump(left, right, jump):
    def f(a):
        return np.maximum(a, 0) * right + np.minimum(a, 0) * left
    assert along(f, 2.0 ** -4, {"a": 0.0}, {"a": 1.0}).jump == jump
    assert along(lambda a: (a, f(a)), 2.0 ** -4, {"a": 0.0}, {"a": 1.0}).jump == jump
    assert along(f, 2.0 ** -4, {"a": [0.5, 0.0]}, {"a": [0.0, 1.0]}).jump == jump


@pytest.mark.parametrize("above, slope, continuous", [
    (0.0, 2.0, True), (0.0, 2.125, False), (-1.0, 4.0, True), (-1.0, 4.125, False)])
def test_what_changes_by_the_root_of_the_step_is_not_continuous(above, slope, continuous):
    """Over two steps of 2^-4: by 1/4 beside 0, by 1/2 beside 1."""
    def f(a):
        return slope * (a - 2.0 ** -4) + above
    assert along(f, 2.0 ** -4, {"a": 0.0}, {"a": 1.0}).continuous == continuous
    assert along(lambda a: (a, f(a)), 2.0 ** -4, {"a": 0.0}, {"a": 1.0}).continuous == continuous


@pytest.mark.parametrize("towards", [1.0, -1.0])
def test_beyond_the_end_of_its_domain_a_function_is_not_continuous(towards):
    assert not along(lambda x: np.log(x), 2.0 ** -4, {"x": 2.0 ** -5}, {"x": towards}).continuous


def test_steps_balance_truncation_and_rounding():
    for bits in BITS:
        assert step_of_order(1, bits) == 2.0 ** (-5 * bits // 16)
        assert step_of_order(2, bits) == 2.0 ** (-bits // 4)


def test_points_aside():
    x = {"a": Ball([1.0, 2.0]), "b": Ball(3.0)}
    there = moved(x, (0.5, {"a": Ball([1.0, -1.0])}), (2.0, {"a": Ball([0.0, 1.0])}))
    assert there["a"].mid().tolist() == [1.5, 3.5] and there["b"] is x["b"]
    assert x["a"].mid().tolist() == [1.0, 2.0]
    assert unit(Ball(np.zeros((2, 3))), 4).mid().tolist() == [[0, 0, 0], [0, 1, 0]]
    assert evaluated(lambda x: np.maximum(x["b"], 0), x).branches
    assert not evaluated(lambda x: 2 * x["b"], x).branches


# More bits


def differentiated(monkeypatch, agreements, converged=(), by=REFGRAD):
    """(the bits that were tried, the last agreements) where each number of bits gives these."""
    tried = []

    def truth(f, balls, u, v, rng, modes, coordinates, bits, by):
        tried.append(bits)
        found = agreements[bits]
        undecided = found if isinstance(found, str) else ""
        return Truth(bits=bits, undecided=undecided, agreement={} if undecided else {
            (order, "a"): a for order, a in enumerate(found, 1)})

    monkeypatch.setattr(exact, "_truth", truth)
    monkeypatch.setattr(exact, "_converged",
                        lambda truth, before, key: before is not None and truth.bits in converged)
    found = exact.differentiate(None, {}, {}, {}, 0, modes=(), dtypes=(), by=by)
    return tried, list(found.agreement.values()), found.undecided


def of_digits(*digits, bits=BITS):
    return dict(zip(bits, ([Agreement(d)] for d in digits)))


NOT_SMOOTH = "not smooth here, or cancelled beyond {} bits: differences do not converge"


@pytest.mark.parametrize("digits, converged, by, tried, opened", [
    ([45], [], REFGRAD, 1, False), ([44.9, 45], [], REFGRAD, 2, False),
    ([30, 30], [800], REFGRAD, 2, False), ([30, 30], [800], BY_DIFFERENCES, 2, True),
    ([30, 42], [800], BY_DIFFERENCES, 2, False), ([30] * 4, [], REFGRAD, 4, True),
    ([30] * 3 + [39.9], [], REFGRAD, 4, True), ([30] * 3 + [40], [], REFGRAD, 4, False),
    ([np.nan] * 4, [], REFGRAD, 4, True), ([np.nan, 46], [], REFGRAD, 2, False)])
def test_more_bits_are_taken_until_they_tell_nothing_new(
        monkeypatch, digits, converged, by, tried, opened):
    bits, (found,), _ = differentiated(monkeypatch, of_digits(*digits), converged, by)
    assert bits == list(BITS[:tried])
    assert found.open == (NOT_SMOOTH.format(bits[-1]) if opened else "")


def test_a_kink_is_looked_at_with_all_bits_at_once(monkeypatch):
    kink = [Agreement(np.nan, "a kink")]
    tried, (found,), _ = differentiated(monkeypatch, {400: kink, 3200: kink})
    assert tried == [400, 3200] and found.open == ""


def test_what_is_undecided_with_few_bits_may_be_decided_with_more(monkeypatch):
    tried, _, why = differentiated(monkeypatch, {400: "open", **of_digits(45, bits=[800])})
    assert tried == [400, 800] and why == ""
    tried, _, why = differentiated(monkeypatch, dict.fromkeys(BITS, "open"))
    assert tried == list(BITS) and why == "open"


def test_where_the_first_order_is_open_so_is_the_second(monkeypatch):
    def last(first, second):
        return differentiated(monkeypatch, dict.fromkeys(BITS, [first, second]))[1]

    opened = last(Agreement(50.0, open="it ends"), Agreement(50.0))
    assert [a.open for a in opened] == ["it ends", "it ends"]
    assert [a.open for a in last(Agreement(50.0), Agreement(50.0, open="so"))] == ["", "so"]
    kinked = last(Agreement(50.0, open="it ends"), Agreement(np.nan, "a kink"))
    assert [a.open for a in kinked] == ["it ends", ""]
    apart = last(Agreement(39.9), Agreement(50.0))
    assert [a.open for a in apart] == [NOT_SMOOTH.format(3200)] * 2


def test_differences_of_the_values_alone_hold_in_all_modes():
    assert all(map(Truth(by=BY_DIFFERENCES).holds, Mode))
