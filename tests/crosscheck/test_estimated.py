"""Differences in float64: the truth lies within the uncertainty that they state, and it is
small."""

import numpy as np
import pytest

import refgrad  # noqa: F401  (declares the rules)
from crosscheck.ball import Ball, Undecided, arithmetic
from crosscheck.truth import estimated, lines, tableau
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth.estimated import blame, curvature, slope
from refgrad.primitive import CONSTANT, TABLE

CASES = [(rule, case) for rule in TABLE.values() if rule.kind is not CONSTANT
         for case in rule.cases]


def trials(scale, seed, order=1):
    """(estimate, exact) for each case of each rule, weighed at random, at points of that scale."""
    for n, (rule, case) in enumerate(CASES):
        rng = np.random.default_rng([seed, n])
        program = case.program(rule.function or rule)
        x = {str(i): a * scale for i, a in enumerate(case.draw(rng))}
        u, v = ({k: scale * rng.standard_normal(a.shape) for k, a in x.items()} for _ in range(2))
        if not has_numbers(n, scale, seed):
            continue
        weights = rng.standard_normal(np.shape(program(*x.values())))

        def f(x):
            return float(np.sum(weights * program(*x.values())))

        exact = derivative(lambda x: np.sum(Ball(weights) * program(*x.values())), x, u, v, order)
        if exact is not None:
            yield slope(f, x, v) if order == 1 else curvature(f, x, u, v), exact


def has_numbers(n, scale, seed):
    """Whether the function of a case is defined at its point of that scale, and does not
    overflow."""
    rule, case = CASES[n]
    with np.errstate(all="ignore"):
        x = [a * scale for a in case.draw(np.random.default_rng([seed, n]))]
        try:
            return np.all(np.isfinite(case.program(rule.function or rule)(*x)))
        except ValueError:  # it refuses what is outside its domain
            return False


def derivative(f, x, u, v, order):
    """In balls; None where a point is at a kink, or outside the domain."""
    x, u, v = ({k: Ball(a) for k, a in d.items()} for d in (x, u, v))
    try:
        with arithmetic(400):
            found = REFGRAD.differentiate(Mode.REVERSE if order == 1 else Mode.FORWARD_OVER_REVERSE,
                                          f, x, u, v)
            product = REFGRAD.inner(found, v if order == 1 else u)
    except (Undecided, ZeroDivisionError):
        return None
    product = product if isinstance(product, Ball) else Ball(product)
    return (product if np.isfinite(float(product.mid()))
            and float(product.radius()) < 1e-300 + 1e-30 * abs(float(product.mid())) else None)


def error(estimate, exact):
    with arithmetic(400):
        return float((np.abs(exact - Ball(estimate.value))).abs_upper())


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_the_exact_slope_lies_within_the_uncertainty(scale):
    known = [(e, exact) for e, exact in trials(scale, seed=1) if not e.reason]
    assert len(known) > 0.95 * sum(has_numbers(n, scale, seed=1) for n in range(len(CASES)))
    assert [(e, exact) for e, exact in known if not error(e, exact) <= e.uncertainty] == []


def test_the_uncertainty_is_small():
    found = list(trials(1.0, seed=2))
    relative = np.array([e.uncertainty / abs(float(exact.mid())) for e, exact in found
                         if float(exact.mid())])
    assert np.median(relative) < 1e-12
    assert np.quantile(relative, 0.95) < 1e-10
    assert np.mean(relative < 1e-7) > 0.99
    assert np.median([e.calls for e, _ in found]) <= 40


def test_the_exact_curvature_lies_within_the_uncertainty():
    found = [(e, exact) for e, exact in trials(1.0, seed=3, order=2) if not e.reason]
    assert len(found) > 0.95 * len(CASES)
    assert [(e, exact) for e, exact in found if not error(e, exact) <= e.uncertainty] == []
    relative = [e.uncertainty / abs(float(exact.mid())) for e, exact in found if float(exact.mid())]
    assert np.median(relative) < 1e-9


def misses(scale=1.0):
    return sum(not error(e, exact) <= e.uncertainty for e, exact in trials(scale, seed=1)
               if not e.reason)


def test_without_the_noise_it_would_be_too_sure(monkeypatch):
    monkeypatch.setattr(lines.Noise, "at", lambda self, value, t: 0.0)
    assert misses() > 0.1 * len(CASES)


def test_without_the_disagreement_it_would_be_too_sure(monkeypatch):
    monkeypatch.setattr(tableau.Tableau, "_apart", lambda self, row, k, spread: 0.0)
    assert misses() > 0.05 * len(CASES)


def at(x, g, v=None):
    x = np.array(x, float, ndmin=1)
    return slope(lambda x: float(np.sum(g(x["a"]))), {"a": x},
                 {"a": np.ones(x.shape) if v is None else np.array(v)})


def relu(a):
    return np.maximum(a, 0)


def huber(a):
    return np.where(np.abs(a) < 1, a * a / 2, np.abs(a) - 0.5)


def hardshrink(a):
    return np.where(np.abs(a) > 1e-3, a, 0.0)


@pytest.mark.parametrize("g, x, exact", [
    *((relu, sign * d, float(sign > 0)) for d in (0.1, 1e-3, 1e-6, 1e-9) for sign in (1, -1)),
    (np.abs, -2e-3, -1.0), (huber, 1 + 1e-3, 1.0), (huber, 1 - 1e-3, 1 - 1e-3), (huber, 1.0, 1.0),
    (hardshrink, 0.0, 0.0), (hardshrink, 9.9e-4, 0.0), (hardshrink, 1.1e-3, 1.0),
    (lambda a: a + relu(a - 1e-2) ** 3, 0.0, 1.0),
    (lambda a: a * (1 + np.exp(-1e6 * a * a)), 0.0, 2.0)])
def test_near_a_kink_it_is_right(g, x, exact):
    found = at(x, g)
    assert not found.kink and not found.reason
    assert abs(found.value - exact) <= found.uncertainty < 1e-6


def test_many_kinks_on_all_sides():
    rng = np.random.default_rng(0)
    x, v, w = rng.standard_normal((3, 1000))
    found = at(x, lambda a: w * relu(a), v)
    assert abs(found.value - np.sum(w * v * (x > 0))) <= found.uncertainty < 1e-8


@pytest.mark.parametrize("g, x, left, right", [
    (relu, 0.0, 0.0, 1.0), (np.abs, 0.0, -1.0, 1.0),
    (lambda a: np.maximum(2 * a, 5 * a - 6), 2.0, 2.0, 5.0)])
def test_at_a_kink_both_slopes_are_told(g, x, left, right):
    found = at(x, g)
    assert found.kink and not found.reason
    assert abs(found.left.value - left) <= found.left.uncertainty < 1e-6
    assert abs(found.right.value - right) <= found.right.uncertainty < 1e-6
    assert (found.value - found.uncertainty <= min(left, right) <= max(left, right)
            <= found.value + found.uncertainty)


def test_what_is_at_a_kink_is_not_known_at_a_jump():
    found = at(2.0, lambda a: np.floor(a) + a)
    assert found.kink and found.reason == "does not converge"


@pytest.mark.parametrize("sign", [1, -1])
def test_at_the_border_of_the_domain_one_side_tells(sign):
    found = at(0.0, lambda a: np.where(sign * a >= 0, np.exp(a), np.nan))
    assert not found.reason and abs(found.value - 1) <= found.uncertainty < 1e-9
    assert np.isinf((found.left if sign > 0 else found.right).uncertainty) and found.calls < 75


def test_an_infinite_slope_is_not_known():
    assert at(0.0, np.sqrt).reason and at(1.0, np.arcsin).reason and at(0.0, np.cbrt).reason


@pytest.mark.parametrize("g, x, reason", [
    (np.log, -1.0, "f is nan or inf at x"),
    (lambda a: np.where(a == 1, a, np.nan), 1.0, "f is not finite on either side")])
def test_the_reason_why_nothing_is_known(g, x, reason):
    assert at(x, g).reason == reason


def test_an_error_of_f_is_raised_at_x_and_is_no_value_elsewhere():
    def fails(a):
        if a[0] > 1.0:
            raise np.linalg.LinAlgError("not there")
        return a

    assert abs(at(1.0, fails).value - 1) <= at(1.0, fails).uncertainty < 1e-9
    with pytest.raises(np.linalg.LinAlgError):
        at(2.0, fails)


@pytest.mark.parametrize(
    "g, exact", [(lambda a: a, 1.0), (lambda a: 0 * a + 5.0, 0.0), (lambda a: a * a, 2.6),
                 (lambda a: 1e8 + a, 1.0), (lambda a: 1e12 + a, 1.0), (lambda a: 1e17 + a, 1.0),
                 (lambda a: (100 + 3e-14 + 1e-17 * a) - 100, 1e-17)])
def test_linear_constant_and_cancelling_functions(g, exact):
    found = at(1.3, g)
    assert abs(found.value - exact) <= found.uncertainty


def single(g):
    return lambda a: g(a.astype(np.float32)).astype(np.float32)


@pytest.mark.parametrize("g, exact", [(single(np.sin), np.cos(1.3)), (single(np.exp), np.exp(1.3)),
                                      (single(lambda a: np.float32(1e4) + a), 1.0)])
def test_float32_inside_widens_the_uncertainty(g, exact):
    found = at(1.3, g)
    assert abs(found.value - exact) <= found.uncertainty
    assert 1e-7 < found.uncertainty < 0.2


def test_random_noise_is_seen():
    rng = np.random.default_rng(0)
    for _ in range(100):
        found = at(1.3, lambda a: np.sin(a) + 1e-6 * rng.standard_normal())
        assert abs(found.value - np.cos(1.3)) <= found.uncertainty and found.uncertainty < 1e-2
        assert 1e-7 < found.noise < 1e-5
    assert at(1.3, lambda a: np.sin(a) + rng.standard_normal()).reason == "noise hides the slope"


@pytest.mark.parametrize("x", [1e-300, 1e-170, 1e-10, 1e100, 1e200])
def test_extreme_inputs(x):
    found = at(x, np.log, [x])
    assert abs(found.value - 1) <= found.uncertainty < 1e-8
    found = at(x, lambda a: a / x)
    assert abs(found.value * x - 1) <= found.uncertainty * x < 1e-8


def test_entries_of_very_different_size():
    found = at([1e200, 1.0, 1e-170], lambda a: a * np.array([1e-200, 1.0, 1e170]),
               [1e200, 1.0, 1e-170])
    assert abs(found.value - 3) <= found.uncertainty < 1e-8


def test_a_period_far_below_the_size_of_x():
    found = at(1e6, np.sin)
    assert abs(found.value - np.cos(1e6)) <= found.uncertainty < 1e-6


def test_integers_and_names_without_a_direction_stay():
    x = {"a": np.array([1.0, 2.0]), "i": np.array([0, 1]), "b": np.array(3.0)}

    def f(x):
        assert (x["i"].dtype.kind == "i" and x["b"] == 3.0
                and all(isinstance(a, np.ndarray) for a in x.values()))
        return np.sum(x["a"][x["i"]]) * x["b"]

    found = slope(f, x, {"a": np.array([1.0, 0.0]), "i": np.array([1, 1])})
    assert abs(found.value - 3) <= found.uncertainty < 1e-10
    assert slope(f, x, {}).value == slope(f, x, {}).uncertainty == 0


def bent(g, x):
    one = {"a": np.ones(1)}
    return curvature(lambda x: float(np.sum(g(x["a"]))), {"a": np.array([x])}, one, one)


def test_curvature_at_and_near_kinks():
    found = bent(lambda a: relu(a) ** 2, 0.0)
    assert found.kink and abs(found.left.value) < 1e-9 and abs(found.right.value - 2) < 1e-9
    assert bent(relu, 0.0).kink and bent(np.log, -1.0).reason == "f is nan or inf at x"
    for g, x, exact in ((relu, 1e-3, 0.0), (huber, 0.999, 1.0),
                        (lambda a: hardshrink(a) ** 2, 0.0, 0.0)):
        found = bent(g, x)
        assert not found.kink and abs(found.value - exact) <= found.uncertainty < 1e-5


@pytest.mark.parametrize("x", [0.5, 8.0])
def test_no_step_moves_an_entry_by_more_than_a_quarter_of_its_size_or_of_one(x):
    one, moves = {"a": np.ones(1)}, []

    def f(there):
        moves.append(abs(float(there["a"][0]) - x) / max(x, 1))
        return float(np.exp(there["a"][0]))

    at_x = {"a": np.array([x])}
    for estimate in (lambda: slope(f, at_x, one), lambda: curvature(f, at_x, one, one)):
        moves.clear()
        estimate()
        assert max(moves) == pytest.approx(0.25, rel=1e-3)


def network():
    rng = np.random.default_rng(0)
    x = {"a": rng.standard_normal(1000), "b": rng.standard_normal((3, 4)), "i": np.arange(3)}
    v = {k: rng.standard_normal(x[k].shape) for k in ("a", "b")}
    gradient = {"a": np.cos(x["a"]) * np.sum(x["b"] ** 2), "b": 2 * x["b"] * np.sum(np.sin(x["a"]))}
    return lambda x: float(np.sum(np.sin(x["a"])) * np.sum(x["b"] ** 2)), x, gradient, v


@pytest.mark.parametrize("name, entry, factor",
                         [("a", 517, 1 + 1e-6), ("a", 3, 1 + 1e-7), ("b", 7, -1.0),
                          ("a", 999, 0.0), ("b", 0, np.nan)])
def test_blame_falls_on_the_entry_that_is_wrong(name, entry, factor):
    f, x, gradient, v = network()
    exact = gradient[name].flat[entry]
    gradient[name].flat[entry] *= factor
    found = blame(f, x, gradient, v)
    assert ((found.name, found.index) == (name, np.unravel_index(entry, x[name].shape))
            and found.certain)
    assert abs(found.true.value - exact) <= found.true.uncertainty
    assert np.isnan(factor) or abs(found.factor - factor) < 1e-8


def test_a_fault_of_1e_7_in_all_entries_is_certain():
    f, x, gradient, v = network()
    found, told = slope(f, x, v), sum(np.sum(gradient[k] * v[k]) for k in v)
    assert abs(found.value - told) <= found.uncertainty < abs(found.value - told * (1 + 1e-7))


def test_blame_on_a_right_gradient_is_not_certain():
    assert not blame(*network()).certain


def test_the_same_call_gives_the_same_estimate():
    f, x, _, v = network()
    assert slope(f, x, v) == slope(f, x, v)
    assert estimated.curvature(f, x, v, v) == estimated.curvature(f, x, v, v)


@pytest.mark.parametrize("v", [{}, {"a": np.zeros(3)}, {"i": np.ones(3)}])
def test_blame_needs_a_direction(v):
    with pytest.raises(ValueError, match="v is zero in all arrays of floats"):
        blame(sum, {"a": np.ones(3), "i": np.arange(3)}, {"a": np.ones(3)}, v)


@pytest.mark.parametrize("seed", [35, 82, 106, 116, 147, 207, 225, 266])
def test_kinks_beside_small_entries_of_a_large_value_are_not_stepped_over(seed):
    # The grid of the noise is as coarse as what f does there, and its value a million times what it
    # changes by.
    rng = np.random.default_rng(seed)
    small, far, lean = (10 ** -rng.uniform(6, 8), rng.choice([-0.02, -0.005, 0.005, 0.02]),
                        rng.uniform(-1, 1))

    def f(x):
        t = x["a"][0] / small
        return float(100 + small * (lean * t + np.hypot(t - 1 + lean, 1) + np.maximum(t - far, 0)))

    found = slope(f, {"a": np.zeros(1)}, {"a": np.ones(1)})
    exact = lean - (1 - lean) / np.hypot(1 - lean, 1) + (far < 0)
    assert found.kink or found.reason or abs(found.value - exact) <= found.uncertainty


@pytest.mark.parametrize("deviation", [1e-12, 1e-9])
def test_noise_that_is_the_same_on_finer_grids_is_noise(deviation):
    rng = np.random.default_rng(0)
    line = lines.Line(lambda x: float(np.sin(x["a"][0]) + deviation * rng.standard_normal()),
                      {"a": np.ones(1)}, {"a": np.ones(1)})
    assert deviation / 4 < lines.noise_of(line, 0.25).deviation < 4 * deviation
