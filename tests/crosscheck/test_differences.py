"""One difference on balls by hand, and when more bits are asked for."""

import numpy as np
import pytest

from crosscheck.ball import ANY_OF_SEVERAL, Ball
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth import exact
from crosscheck.truth.differences import BITS, BY_DIFFERENCES, Difference, Place
from crosscheck.truth.exact import Agreement, Truth, _differentiate

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
    found = _differentiate(None, {}, {}, {}, 0, (), (), 1, (), by)
    return tried, list(found.agreement.values()), found.undecided


def of_digits(*digits, bits=BITS):
    return dict(zip(bits, ([Agreement(d)] for d in digits)))


NOT_SMOOTH = "not smooth here, or cancelled beyond {} bits: differences do not converge"


@pytest.mark.parametrize("digits, converged, by, tried, opened", [
    ([45], [], REFGRAD, 1, False), ([44, 45], [], REFGRAD, 2, False),
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


def test_differences_of_the_values_alone_hold_in_all_modes():
    assert all(map(Truth(by=BY_DIFFERENCES).holds, Mode))
