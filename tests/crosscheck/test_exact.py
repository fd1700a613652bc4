"""The truth: digits of differences, precision that rises, kinks, planted faults, and bounds that hold."""

import numpy as np
import pytest

from crosscheck.ball import Ball
from crosscheck.truth import exact
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth.differences import BITS, ENOUGH
from refgrad import custom


def truth_of(f, x, dtypes=(), seed=0, v=None, **options):
    x = {k: np.asarray(a, float) for k, a in x.items()}
    rng = np.random.default_rng(seed)
    u, drawn = ({k: rng.standard_normal(a.shape).astype(np.float32).astype(float) for k, a in x.items()}
                for _ in range(2))
    return exact.differentiate(f, x, u, v or drawn, seed, dtypes=dtypes, **options)


def digits(truth):
    return min(a.digits for a in truth.agreement.values())


SMOOTH = {
    "exp": (lambda x: np.sum(np.exp(x["a"])), {"a": [0.5, -2.0, 3.0]}),
    "product": (lambda x: np.sum(np.sin(x["a"]) * x["b"]), {"a": [1.0, 2.0], "b": [[0.5], [4.0]]}),
    "quotient": (lambda x: np.sum(x["a"] / (1 + x["a"] ** 2)), {"a": [0.25, 1e-6, 1e3]}),
    "logarithm": (lambda x: np.log(np.sum(np.exp(x["a"]))), {"a": [10.0, -10.0, 0.0]}),
    "matrix": (lambda x: np.sum((x["a"] @ x["a"].T) ** 2), {"a": [[1.0, 2.0], [3.0, -1.0]]}),
}


@pytest.mark.parametrize("f, x", SMOOTH.values(), ids=SMOOTH)
def test_smooth_functions_agree_to_more_than_40_digits(f, x):
    truth = truth_of(f, x)
    assert not truth.undecided and truth.bits == BITS[0]
    assert digits(truth) >= ENOUGH


def test_the_gradient_is_the_one_on_paper():
    truth = truth_of(lambda x: np.sum(np.exp(x["a"])), {"a": [0.5, -2.0]})
    assert np.array_equal(truth.derivatives["reverse"]["a"].mid(), np.exp([0.5, -2.0]))


def test_precision_rises_for_saturated_functions():
    truth = truth_of(lambda x: np.sum(np.tanh(x["a"])), {"a": [200.0]})
    assert truth.bits > BITS[0]
    assert digits(truth) >= ENOUGH


def scaled(size):
    """sin whose rule is wrong by the relative `size`."""
    sine = custom(np.sin)
    sine.def_jvp(lambda tangents, y, x: tangents[0] * np.cos(x) * (1 + size))
    sine.def_vjp(lambda g, y, x: (g * np.cos(x) * (1 + size),))
    return lambda x: np.sum(sine(x["a"]) * x["a"])


def test_a_rule_wrong_in_the_thirtieth_digit_is_noticed():
    x = {"a": [0.5, -2.0, 3.0]}
    assert digits(truth_of(scaled(Ball(0.0)), x)) >= ENOUGH
    found = truth_of(scaled(Ball(2.0) ** -100), x)  # 8e-31
    assert 29 < found.agreement[1, "a"].digits < 32
    assert 29 < found.agreement[2, "a"].digits < 32


KINKS = {
    "relu": (lambda x: np.sum(np.maximum(x["a"], 0) * 3), {"a": [0.0]}, (0, 3)),
    "abs": (lambda x: np.sum(np.abs(x["a"])), {"a": [0.0]}, (-1, 1)),
    "tie": (lambda x: np.max(x["a"]) + np.max(x["b"]), {"a": [2.0, 2.0, 1.0], "b": [1.0, 3.0]}, None),
}


@pytest.mark.parametrize("f, x, slopes", KINKS.values(), ids=KINKS)
def test_kinks_are_found_with_their_slopes(f, x, slopes):
    along = {k: np.array([2.0, *[1.0] * (len(a) - 1)]) for k, a in x.items()}
    found = truth_of(f, x, v=along).agreement[1, "a"]
    assert "left slope" in found.kink and np.isnan(found.digits)
    expected = (1, 2) if slopes is None else tuple(2 * s for s in slopes)
    assert found.slopes == expected


def test_only_the_argument_at_the_kink_is_said_to_be():
    f, x, _ = KINKS["tie"]
    agreement = truth_of(f, x).agreement
    assert agreement[1, "a"].kink and not agreement[1, "b"].kink
    assert agreement[1, "b"].digits >= ENOUGH


@pytest.mark.parametrize("distance", [1e-3, 1e-30, 1e-45, 1e-200])
def test_near_a_kink_is_smooth(distance):
    truth = truth_of(KINKS["relu"][0], {"a": [distance]})
    assert not any(a.kink for a in truth.agreement.values())
    assert digits(truth) >= ENOUGH


def test_what_cannot_be_decided_says_so():
    def f(x):
        return np.sum(np.where(np.sin(x["a"]) ** 2 + np.cos(x["a"]) ** 2 > 1, 1.0, 2.0) * x["a"])
    truth = truth_of(f, {"a": [0.5]})
    assert "greater" in truth.undecided and truth.bits == BITS[-1]


# Bounds


def test_bounds_are_proven_where_they_can_be_and_to_first_order_elsewhere():
    f, x = SMOOTH["product"]
    proven = truth_of(f, x, ("float64", "float32")).bounds
    linear = truth_of(f, x, ("float64", "float32"), proven=()).bounds
    assert {b.how for by_name in proven.values() for b in by_name.values()} == {"proven"}
    assert {b.how for by_name in linear.values() for b in by_name.values()} == {"first order"}
    for (mode, dtype), by_name in proven.items():
        for name, bound in by_name.items():
            ratio = bound.limit / linear[mode, dtype][name].limit
            assert np.all((0.9 < ratio) & (ratio < 1.1)), (mode, dtype, name)


def test_bounds_are_proportional_to_the_unit_of_rounding():
    f, x = SMOOTH["quotient"]
    bounds = truth_of(f, x, ("float64", "float32")).bounds
    ratio = bounds["reverse", "float32"]["a"].limit / bounds["reverse", "float64"]["a"].limit
    assert np.allclose(ratio, 2.0 ** 29, rtol=0.01)


def test_where_proven_bounds_say_nothing_first_order_stands_in():
    """y written as y^3 / y^2, ever again: balls forget that all of it is one number."""
    def f(x):
        y = x["a"]
        for _ in range(9):
            y = y * y * y / (y * y)
        return np.sum(y)
    bounds = truth_of(f, {"a": [3.0, 0.7]}, ("float64", "float32"), modes=("reverse",)).bounds
    assert bounds["reverse", "float64"]["a"].how == "proven"
    assert bounds["reverse", "float32"]["a"].how == "first order"
    assert np.all(np.isfinite(bounds["reverse", "float32"]["a"].limit))


FUNCTIONS = [np.sin, np.cos, np.exp, np.tanh, np.square, np.abs, lambda y: y / (1 + y * y),
             lambda y: np.sqrt(1 + y * y), lambda y: y - np.mean(y), lambda y: np.maximum(y, 0.25),
             lambda y: y @ y.T @ y / 4, lambda y: np.log1p(np.exp(-y))]


@pytest.mark.parametrize("seed", range(8))
def test_floats_stay_within_their_bounds(seed):
    rng = np.random.default_rng([seed, 5])
    chain = [FUNCTIONS[i] for i in rng.integers(len(FUNCTIONS), size=4)]
    x = {"a": rng.standard_normal((2, 3)).astype(np.float32)}
    u, v = ({"a": rng.standard_normal((2, 3)).astype(np.float32)} for _ in range(2))

    def f(x):
        y = x["a"]
        for g in chain:
            y = g(y)
        return np.sum(y)

    def wide(d):
        return {k: a.astype(float) for k, a in d.items()}

    truth = exact.differentiate(f, wide(x), wide(u), wide(v), seed, coordinates=1)
    assert not truth.undecided and digits(truth) >= ENOUGH
    for dtype in ("float64", "float32"):
        point, along, other = ({k: a.astype(dtype) for k, a in d.items()} for d in (x, v, u))
        for mode in Mode:
            for name, found in REFGRAD.differentiate(mode, f, point, other, along).items():
                error = np.abs(found.astype(float) - truth.derivatives[mode][name]).abs_upper()
                bound = truth.bounds[mode, dtype][name]
                assert np.all(error <= bound.limit), (mode, dtype)
                assert np.max(bound.limit) < truth.telling(mode, dtype)
