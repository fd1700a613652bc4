"""No checker is trusted until it has been attacked: faults are planted, and each must be seen."""

import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad import reverse, tracer, transforms
from refgrad.cases import Case
from refgrad.primitive import TABLE, Composition, Primitive, elementwise
from tests.rules import RULES, derivatives, drawn, faulty

from . import checks

def off_by_a_factor(c):
    return c * 1.00001


def off_in_one_entry(c):
    d = np.array(c)
    d[(0,) * d.ndim] += 1e-4 * np.max(np.abs(c), initial=1e-3)
    return d


def noticed(rule, check):
    """Whether a check fails on one of the rule's cases."""
    for case in rule.cases:
        try:
            check(*drawn(rule, case, seed=5))
        except AssertionError:
            return True
    return False


def spoiled(monkeypatch, rule, mode, argument, fault):
    """Put a fault into what one derivative rule gives."""
    def wrong(rule, *args, **params):
        c = rule(*args, **params)
        return tuple(map(fault, c)) if isinstance(c, tuple) else fault(c)
    monkeypatch.setattr(rule, mode, faulty(getattr(rule, mode), argument, wrong))


@pytest.mark.parametrize("rule, mode, argument", derivatives())
@pytest.mark.parametrize("fault", [off_by_a_factor, off_in_one_entry], ids=lambda f: f.__name__)
def test_a_fault_in_one_rule_is_seen(rule, mode, argument, fault, monkeypatch):
    assert mode == "jvp" or not noticed(rule, checks.is_dual)
    spoiled(monkeypatch, rule, mode, argument, fault)
    assert noticed(rule, checks.is_dual)


@pytest.mark.parametrize("rule, mode, argument", derivatives("jvp"))
def test_a_fault_in_both_modes_is_seen_by_differences(rule, mode, argument, monkeypatch):
    for mode in ("vjp", "jvp"):
        spoiled(monkeypatch, rule, mode, argument, lambda c: c * 1.001)
    assert noticed(rule, checks.matches_differences)


@pytest.mark.parametrize("composition", [
    r for r in RULES if isinstance(r, Composition) and r.call is not r.function],
                         ids=lambda r: r.name)
def test_a_fault_in_a_composition_is_seen(composition, monkeypatch):
    program = composition.call
    monkeypatch.setattr(composition, "call", lambda *args, **kwargs: rg.tree_map(
        lambda y: y * 1.00001, program(*args, **kwargs)))
    assert noticed(composition,
                   lambda program, arrays, rng: checks.agrees_with_numpy(program, arrays))


# Faults of other kinds, each in a primitive made for it

X = np.array([0.5, -1.5, 2.0])


def square(vjp=None, jvp=None, forward=np.square):
    right = lambda v, x: v * 2 * x
    return Primitive(None, "y = x^2", name="square", forward=forward, jvp=(jvp or right,),
                     vjp=(vjp or right,), cases=[Case((3,))])


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("check",
                         [checks.is_dual, checks.second_derivatives_agree, checks.owns_its_results,
                          checks.stays_in_float32])
def test_the_right_primitive_passes(check):
    check(square(), [X.copy()], rng())


def overwrites_its_cotangent(g, x):
    g *= 2
    return g * x


def overwrites_its_argument(g, x):
    x *= 2
    return g * x


def overwrites_the_result(g, y, x):
    y *= 2
    return g * 2 * x


@pytest.mark.parametrize("vjp",
                         [overwrites_its_cotangent, overwrites_its_argument, overwrites_the_result])
def test_a_rule_that_overwrites_is_seen(vjp):
    with pytest.raises(AssertionError, match="written to|changed the next"):
        checks.owns_its_results(square(vjp=vjp), [X.copy()], rng())


def test_an_engine_that_hands_out_what_it_keeps_is_seen(monkeypatch):
    keeps = Primitive(None, "y = x", name="keeps", forward=np.copy, vjp=(lambda g, y: y,),
                      jvp=(lambda v: v,))
    checks.owns_its_results(keeps, [X.copy()], rng())
    with monkeypatch.context() as patch:
        patch.setattr(reverse, "is_only_holder", lambda cotangents, slot: True)
        for program in (keeps, lambda x: x + 1):
            with pytest.raises(AssertionError):
                checks.owns_its_results(program, [X.copy()], rng())
    for program in (keeps, np.exp, lambda x: x):
        checks.owns_its_results(program, [X.copy()], rng())
    monkeypatch.setattr(transforms, "own", lambda x: x)
    for program in (np.exp, lambda x: x):
        with pytest.raises(AssertionError):
            checks.owns_its_results(program, [X.copy()], rng())


def test_a_constant_in_another_precision_is_seen():
    wide = lambda v, x: v * np.full(3, 2.0) * x
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(square(vjp=wide), [X], rng())
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(square(jvp=wide), [X], rng())
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(lambda x: np.sum(x, dtype=float), [X], rng())


def test_a_wrong_second_derivative_is_seen():
    cut = lambda v, x: v * 2 * tracer.bare(x)
    for wrong in (square(vjp=cut), square(jvp=cut), square(vjp=cut, jvp=cut)):
        checks.is_dual(wrong, [X], rng())
        with pytest.raises(AssertionError):
            checks.second_derivatives_agree(wrong, [X], rng())


def test_a_wrong_value_shape_dtype_or_nest_is_seen():
    plain = lambda x: x if type(x) is np.ndarray else None
    for wrong in (lambda x: x * 1.0001, lambda x: x[:, None], lambda x: x.astype(np.float32),
                  lambda x: [x]):
        with pytest.raises(AssertionError):
            checks.agrees_with_numpy(lambda x: wrong(x) if plain(x) is None else x, [X])


def test_a_jacobian_with_a_wrong_row_is_seen():
    faulty = square(jvp=lambda v, x: v * 2 * x * np.array([1, 1, 1.001]))
    with pytest.raises(AssertionError, match="forward against reverse"):
        checks.jacobians_agree(faulty, [X])


def test_a_wrong_stack_of_tangents_is_seen():
    faulty = elementwise(None, "", lambda x: 2 * x, name="faulty", forward=np.square)
    checks.jacobians_agree(faulty, [X])
    faulty.push_stack = lambda tangents, kept, arrays, params, result, count: (
        2 * arrays[0] * tangents[0][::-1])
    with pytest.raises(AssertionError, match="forward against reverse"):
        checks.jacobians_agree(faulty, [X])


@pytest.mark.parametrize("mode", ["vjp", "jvp"])
def test_a_wrong_convention_at_a_kink_is_seen(mode, monkeypatch):
    rule = TABLE[np.absolute]
    monkeypatch.setattr(rule, mode, rule.named((lambda x: np.where(x >= 0, 1, -1),)))
    with pytest.raises(AssertionError, match="0 at 0"):
        checks.follows_the_convention(rule, rule.kinks[0],
                                      {"vjp": "reverse", "jvp": "forward"}[mode])


def test_levels_that_are_not_told_apart_are_seen(monkeypatch):
    confusing = lambda x: x * rg.grad(lambda y: x + y)(1.0)
    assert rg.grad(confusing)(1.0) == 1
    monkeypatch.setattr(tracer, "_numbers", itertools.repeat(1))
    with pytest.raises(TypeError, match="closes over a traced array"):
        rg.jvp(confusing, (1.0,), (1.0,))
