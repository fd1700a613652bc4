"""The truth: digits of differences, precision that rises, kinks, planted faults, and bounds that
hold."""

import numpy as np
import pytest

from crosscheck.ball import Ball, arithmetic, working_bits
from crosscheck.truth import exact
from crosscheck.truth.exact import Agreement, Truth
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth.differences import BITS, ENOUGH
from refgrad import custom


def truth_of(f, x, dtypes=(), seed=0, v=None, **options):
    x = {k: np.asarray(a, float) for k, a in x.items()}
    rng = np.random.default_rng(seed)
    u, drawn = ({k: rng.standard_normal(a.shape).astype(np.float32).astype(float)
                 for k, a in x.items()}
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


def test_digits_are_those_that_the_steps_leave():
    """Of a^4 the truncation is the relative 2^-250 to first order, 2^-200 to second."""
    agreement = truth_of(lambda x: x["a"] ** 4, {"a": 1.0}, v={"a": np.array(1.0)}).agreement
    assert 74 < agreement[1, "a"].digits < 77 and 58 < agreement[2, "a"].digits < 62


def test_without_differences_a_formula_is_taken_to_hold():
    truth = truth_of(*SMOOTH["product"], coordinates=None)
    assert [(key, a.digits) for key, a in truth.agreement.items()] == [
        ((1, "a"), np.inf), ((1, "b"), np.inf)]


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
    "tie": (lambda x: np.max(x["a"]) + np.max(x["b"]), {"a": [2.0, 2.0, 1.0], "b": [1.0, 3.0]},
            None),
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


def evaluations(f, x, **options):
    """(how often differences evaluate f, the `Truth`)."""
    count = [0]

    def counted(x):
        count[0] += 1
        return f(x)
    truth = truth_of(counted, x, modes=("reverse",), **options)
    return count[0] - 2, truth  # once in reverse mode, once for the value


def test_one_difference_proves_all_arrays_and_single_entries():
    f, x = SMOOTH["product"]
    assert evaluations(f, x)[0] == 2
    assert evaluations(lambda x: f(x) + np.sum(x["c"] ** 3), x | {"c": [1.0, 3.0]})[0] == 2


def test_errors_of_two_arrays_do_not_cancel():
    """The rule adds to one array's gradient what it takes from the other's; along (1, 1) the sum is
    right."""
    along = {k: np.array(1.0) for k in "ab"}
    for size, right in ((1.0, True), (1.25, False)):
        f = custom(np.subtract)
        f.def_vjp(lambda g, y, a, b, size=size: (g * size, -g * size))
        found = truth_of(lambda x: f(x["a"], x["b"]), {"a": 2.0, "b": 5.0}, v=along,
                         modes=("reverse",), coordinates=0)
        assert all((a.digits >= ENOUGH) == right and a.refuted != right
                   for a in found.agreement.values())


def test_a_wrong_array_is_told_from_right_ones_however_small_it_is():
    """b's gradient is 1e-30 of a's, and wrong in its last digit of float64."""
    f = custom(np.multiply)
    f.def_vjp(lambda g, y, a, b: (g * b, g * a * (1 + 2.0 ** -52)))
    for seed in range(5):
        count, truth = evaluations(lambda x: x["a"] * 2 + f(Ball(1e-30), x["b"]),
                                   {"a": 3.0, "b": 2.0}, seed=seed)
        assert count > 2 and truth.agreement[1, "b"].refuted
        assert truth.agreement[1, "a"].digits >= ENOUGH


def test_a_tie_along_equal_directions_is_crossed():
    ones = {k: np.array(1.0) for k in "ab"}
    f = lambda x: np.maximum(x["a"] - x["b"], 0)
    agreement = truth_of(f, {"a": 2.0, "b": 2.0}, v=ones, coordinates=0).agreement
    assert agreement[1, "a"].kink and agreement[1, "b"].kink


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


def test_a_bound_that_excludes_nothing_is_the_lesser_of_both_kinds(monkeypatch):
    """The derivative's scale is 2 units: a proven bound must be below it, for each array by itself.
    """
    unit = 2.0 ** -10
    proven = {"float64": {"a": [1e-15, 1e-14], "b": [1e-13]},
              "float32": {"a": [2.0, 0.25], "b": [1.75]}}
    linear = {"a": [0.5, 0.5], "b": [1.0]}
    asked = []

    def farthest(truth, mode, dtype, finer):
        asked.append((dtype, finer))
        return {k: unit * np.array(b) for k, b in (linear if finer else proven[dtype]).items()}

    def bounds(*arguments):
        asked.clear()
        return {dtype: {k: ((b.limit / unit).tolist(), b.how) for k, b in by_name.items()}
                for (_, dtype), by_name in exact._bounds(truth, "reverse", *arguments).items()}

    monkeypatch.setattr(exact, "_farthest", farthest)
    truth = Truth(derivatives={"reverse": linear}, scale={1: 2 * unit}, value=1.0)
    assert bounds(("float32", "float64"), True) == {
        "float64": {"a": ([1e-15, 1e-14], "proven"), "b": ([1e-13], "proven")},
        "float32": {"a": ([0.5, 0.25], "first order"), "b": ([1.75], "proven")}}
    assert asked == [("float64", 0), ("float32", 0), ("float32", exact.FINER)]
    assert bounds(("float64",), True) == {
        "float64": {"a": ([1e-15, 1e-14], "proven"), "b": ([1e-13], "proven")}}
    assert asked == [("float64", 0)]
    assert bounds(("float32", "float64"), False) == {
        "float64": {"a": ([2.0 ** -30] * 2, "first order"), "b": ([2.0 ** -29], "first order")},
        "float32": {"a": ([0.5, 0.5], "first order"), "b": ([1.0], "first order")}}
    assert asked == [("float32", exact.FINER)]
    proven["float64"] = {"a": [2.0, 1e-14], "b": [1e-13]}
    assert bounds(("float32", "float64"), True)["float32"]["a"] == ([0.5, 0.5], "first order")
    assert asked == [("float64", 0), ("float32", exact.FINER)]


def test_a_bound_is_computed_once_when_it_is_first_asked_for():
    truth = truth_of(*SMOOTH["product"], modes=("reverse",))
    assert not truth.bounds
    assert truth.bound("reverse", "float32", "a").how == "proven"
    assert truth.bound("reverse", "float32", "a") is truth.bounds["reverse", "float32"]["a"]


# Figures of the truth


def test_a_program_that_takes_no_roundings_has_no_bound_and_an_error_of_the_checker_is_raised(
        monkeypatch):
    def exact_alone(x):
        if working_bits() < BITS[0]:
            raise ValueError("rounded")
        return np.sum(x["a"] * x["a"])

    x, mode = {"a": [0.5, 2.0]}, Mode.REVERSE
    assert np.isinf(truth_of(exact_alone, x).bound(mode, "float32", "a").limit).all()
    truth = truth_of(exact_alone, x)
    monkeypatch.setattr(exact, "enclosures", lambda *arguments: {}["a"])
    with pytest.raises(KeyError):
        truth.bound(mode, "float32", "a")


def test_scale_value_and_curvature_are_those_on_paper():
    x, v = {"a": [2.0, 0.0], "b": [-1.0]}, {"a": np.array([1.0, -1.0]), "b": np.array([3.0])}
    truth = exact.differentiate(lambda x: np.sum(x["a"] ** 2 * x["b"]) - x["b"][0] ** 3,
                                {k: np.array(a) for k, a in x.items()}, v, v, 0, dtypes=())
    assert truth.value == 3.0 and truth.scale == {1: 4.0, 2: 22.0}  # b: 4 v + 18
    assert [d.mid().tolist() for d in truth.product.values()] == [[10.0, 2.0], [22.0]]
    assert float(truth.curvature.mid()) == 74.0
    assert truth.telling("reverse", "float32") == 4.0
    assert truth.telling("forward over forward", "float64") == 22.0
    assert truth.context("forward", "a", "float64").scale == 4.0


@pytest.mark.parametrize("f, condition", [
    (lambda a: a ** 3, 2.0), (lambda a: (a - 2) ** 2, np.inf), (lambda a: 3 * a, 0.0)])
def test_the_condition_number(f, condition):
    """|f'' a| / |f'|"""
    truth = truth_of(lambda x: np.sum(f(x["a"])), {"a": np.full(8, 2.0)})
    assert truth.condition == pytest.approx(condition)
    assert truth.context("reverse", "a", "float64").condition() == truth.condition
    hand_made = Truth(agreement=truth.agreement, scale={1: 1.0})
    assert hand_made.context("reverse", "a", "float64").condition is None


def test_nothing_of_second_order_is_computed_unless_it_is_wanted():
    f, x = SMOOTH["product"]
    first, second = (truth_of(f, x, modes=(mode,)) for mode in ("forward", "forward over forward"))
    assert not first.product and set(first.agreement) == {(1, "a"), (1, "b")}
    assert second.product and (2, "*") in second.agreement


def test_the_rules_hold_in_a_mode_that_says_what_is_exact():
    f, x = SMOOTH["product"]
    truth = truth_of(f, x, modes=("reverse", "forward"))
    assert truth.holds(Mode.FORWARD)
    truth = truth_of(f, x, modes=("reverse", "forward"))
    with arithmetic(truth.bits):
        truth.derivatives[Mode.FORWARD]["b"] = truth.derivatives[Mode.FORWARD]["b"] + 1e-60
    assert not truth.holds(Mode.FORWARD) and truth.held[Mode.FORWARD] is False
    truth.program = None
    assert truth.holds(Mode.REVERSE) and not truth.holds(Mode.FORWARD)  # neither is computed


@pytest.mark.parametrize("a, b, norm", [
    ([3.0, 0.0], [[-4.0]], 5.0), ([3e200], [4e200], 5e200), ([0.0], [0.0], 0.0),
    ([np.inf], [1.0], np.inf)])
def test_the_norm_over_all_arrays(a, b, norm):
    assert exact._norm({"a": Ball(a), "b": Ball(b)}) == pytest.approx(norm, rel=1e-15)


def test_the_largest_entry_is_one_that_is_certainly_not_zero():
    balls = {"a": Ball([-3.0, 8.0, 1.0], [1.0, 8.0, 0.0]), "b": Ball([2.0])}
    assert float(exact._largest(balls).mid()) == pytest.approx(4.0)
    assert float(exact._largest({"a": Ball([1.0], [1.0])}).mid()) == 0.0
    assert float(exact._largest({}).mid()) == 0.0
    sizes = [Ball(1.0, 1.0), Ball(0.5), Ball(2.0)]
    assert exact._certain(*sizes) is sizes[1] and float(exact._certain(sizes[0]).mid()) == 1.0


@pytest.mark.parametrize("agreement, refuted", [
    (Agreement(39.9), True), (Agreement(40.0), False), (Agreement(np.inf), False),
    (Agreement(np.nan), True), (Agreement(3.0, "a kink"), False),
    (Agreement(3.0, open="it ends"), False)])
def test_fewer_than_40_digits_refute_a_rule(agreement, refuted):
    assert agreement.refuted == refuted


def test_of_two_agreements_the_worse_counts():
    kink, ends = Agreement(np.nan, "a kink"), Agreement(np.nan, open="it ends")
    few, many = Agreement(3.0), Agreement(50.0)
    for k, worse in enumerate((kink, ends, few)):
        for better in (kink, ends, few, many)[k + 1:]:
            assert worse & better is worse and better & worse is worse


def test_a_difference_and_a_rule_are_known_when_40_digits_of_both_are():
    """Of the difference, as two precisions tell; of the rule, beside itself or the difference."""
    def known(off, rule, bits=800):
        with arithmetic(400):
            agreements = (Agreement(0.0, quotient=q, rule=rule) for q in (Ball(1.0), 1 + Ball(off)))
        found, earlier = (Truth(bits=bits, agreement={1: a}) for a in agreements)
        return exact._converged(found, earlier, 1)

    close, apart = 0.9e-40, 1.1e-40
    assert known(close, Ball(3.0)) and not known(apart, Ball(3.0))
    assert known(close, Ball(1e9, 0.4e-31)) and not known(close, Ball(1e9, 0.6e-31))
    assert known(close, Ball(0.0, 0.4e-40)) and not known(close, Ball(0.0, 0.6e-40))
    assert known(close, Ball(np.nan), BITS[-1]) and not known(close, Ball(np.nan), BITS[-2])
    some, none = (Truth(agreement={1: Agreement(50.0, quotient=q)}) for q in (Ball(1.0), None))
    assert not any(exact._converged(some, earlier, 1) for earlier in (none, None))
    assert not exact._converged(none, some, 1)
