"""No checker is trusted until it has been attacked: faults are planted, and each must be seen."""

import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad import reverse, tracer, transforms
from refgrad.cases import Case
from refgrad.primitive import TABLE, Composition, Each, Kind, Primitive, elementwise

from . import checks
from .test_rules import RULES, callable_of, test_conventions_at_kinks

PRIMITIVES = [r for r in RULES if isinstance(r, Primitive) and r.kind is not Kind.CONSTANT]


def off_by_a_factor(c):
    return c * 1.00001


def off_in_one_entry(c):
    d = np.array(c)
    d[(0,) * d.ndim] += 1e-4 * np.max(np.abs(c), initial=1e-3)
    return d


def spoiled(rules, argument, fault):
    """The same rules with a fault in that of one argument."""
    def wrong(rule):
        def faulty(v, *rest, **params):
            c = rule(v, *rest, **params)
            return tuple(map(fault, c)) if isinstance(c, tuple) else fault(c)
        return faulty

    if isinstance(rules, Each):
        return Each(lambda i, *rest, **params: (wrong(rules[i]) if i == argument else rules[i])(*rest, **params))
    return tuple(wrong(rule) if i == argument else rule for i, rule in enumerate(rules))


def noticed(rule, check):
    """Whether a check fails on one of the rule's cases."""
    for case in rule.cases:
        rng = np.random.default_rng(5)
        try:
            check(case.program(callable_of(rule)), case.draw(rng), rng)
        except AssertionError:
            return True
    return False


def rules_of(which):
    for primitive in PRIMITIVES:
        rules = getattr(primitive, which)
        if rules is not None:
            many = range(2) if isinstance(rules, Each) else [i for i, rule in enumerate(rules) if rule is not None]
            yield from ((primitive, i) for i in many)


def each(pairs):
    pairs = list(pairs)
    return pytest.mark.parametrize("primitive, argument", pairs, ids=[f"{p.name}-{i}" for p, i in pairs])


@each(rules_of("vjp"))
@pytest.mark.parametrize("fault", [off_by_a_factor, off_in_one_entry], ids=lambda f: f.__name__)
def test_a_fault_in_a_vjp_is_seen(primitive, argument, fault, monkeypatch):
    assert not noticed(primitive, checks.is_dual)
    monkeypatch.setattr(primitive, "vjp", spoiled(primitive.vjp, argument, fault))
    assert noticed(primitive, checks.is_dual)


@each(rules_of("jvp"))
@pytest.mark.parametrize("fault", [off_by_a_factor, off_in_one_entry], ids=lambda f: f.__name__)
def test_a_fault_in_a_jvp_is_seen(primitive, argument, fault, monkeypatch):
    monkeypatch.setattr(primitive, "jvp", spoiled(primitive.jvp, argument, fault))
    assert noticed(primitive, checks.is_dual)


@each(rules_of("jvp"))
def test_a_fault_in_both_modes_is_seen_by_differences(primitive, argument, monkeypatch):
    for mode in ("vjp", "jvp"):
        monkeypatch.setattr(primitive, mode, spoiled(getattr(primitive, mode), argument, lambda c: c * 1.001))
    assert noticed(primitive, checks.matches_differences)


@pytest.mark.parametrize("composition", [r for r in RULES if isinstance(r, Composition)], ids=lambda r: r.name)
def test_a_fault_in_a_composition_is_seen(composition, monkeypatch):
    program = composition.call
    monkeypatch.setattr(composition, "call", lambda *args, **kwargs: rg.tree_map(
        lambda y: y * 1.00001, program(*args, **kwargs)))
    assert noticed(composition, lambda program, arrays, rng: checks.agrees_with_numpy(program, arrays))


# Faults of other kinds, each in a primitive made for it

X = np.array([0.5, -1.5, 2.0])


def square(vjp=None, jvp=None, forward=np.square):
    right = lambda v, y, x: v * 2 * x
    return Primitive(None, "y = x^2", name="square", forward=forward, jvp=(jvp or right,), vjp=(vjp or right,),
                     listed=False, cases=[Case((3,))])


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("check", [checks.is_dual, checks.second_derivatives_agree, checks.owns_its_results,
                                   checks.stays_in_float32])
def test_the_right_primitive_passes(check):
    check(square(), [X.copy()], rng())


def overwrites_its_cotangent(g, y, x):
    g *= 2
    return g * x


def overwrites_its_argument(g, y, x):
    x *= 2
    return g * x


def overwrites_the_result(g, y, x):
    y *= 2
    return g * 2 * x


@pytest.mark.parametrize("vjp", [overwrites_its_cotangent, overwrites_its_argument, overwrites_the_result])
def test_a_rule_that_overwrites_is_seen(vjp):
    with pytest.raises(AssertionError, match="written to|changed the next"):
        checks.owns_its_results(square(vjp=vjp), [X.copy()], rng())


def test_an_engine_that_hands_out_what_it_keeps_is_seen(monkeypatch):
    keeps = Primitive(None, "y = x", name="keeps", forward=np.copy, vjp=(lambda g, y, x: y,), jvp=(lambda v, y, x: v,),
                      listed=False)
    checks.owns_its_results(keeps, [X.copy()], rng())
    with monkeypatch.context() as patch:
        patch.setattr(reverse, "_is_new", lambda *args: True)
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
    wide = lambda v, y, x: v * np.full(3, 2.0) * x
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(square(vjp=wide), [X], rng())
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(square(jvp=wide), [X], rng())
    with pytest.raises(AssertionError, match="float64"):
        checks.stays_in_float32(lambda x: np.sum(x, dtype=float), [X], rng())


def test_a_wrong_second_derivative_is_seen():
    cut = lambda v, y, x: v * 2 * tracer.bare(x)
    for faulty in (square(vjp=cut), square(jvp=cut), square(vjp=cut, jvp=cut)):
        checks.is_dual(faulty, [X], rng())
        with pytest.raises(AssertionError):
            checks.second_derivatives_agree(faulty, [X], rng())


def test_a_wrong_value_shape_dtype_or_nest_is_seen():
    plain = lambda x: x if type(x) is np.ndarray else None
    for wrong in (lambda x: x * 1.0001, lambda x: x[:, None], lambda x: x.astype(np.float32), lambda x: [x]):
        with pytest.raises(AssertionError):
            checks.agrees_with_numpy(lambda x: wrong(x) if plain(x) is None else x, [X])


def test_a_jacobian_with_a_wrong_row_is_seen():
    faulty = square(jvp=lambda v, y, x: v * 2 * x * np.array([1, 1, 1.001]))
    with pytest.raises(AssertionError, match="forward against reverse"):
        checks.jacobians_agree(faulty, [X])


def test_a_wrong_stack_of_tangents_is_seen():
    faulty = elementwise(None, "", lambda y, x: 2 * x, name="faulty", forward=np.square)
    del TABLE[faulty]
    checks.jacobians_agree(faulty, [X])
    faulty.push_stack = lambda tangents, kept, arrays, params, result, count: 2 * arrays[0] * tangents[0][::-1]
    with pytest.raises(AssertionError, match="forward against reverse"):
        checks.jacobians_agree(faulty, [X])


@pytest.mark.parametrize("mode", ["vjp", "jvp"])
def test_a_wrong_convention_at_a_kink_is_seen(mode, monkeypatch):
    rule = TABLE[np.absolute]
    monkeypatch.setattr(rule, mode, (lambda v, y, x: v * np.where(x >= 0, 1, -1),))
    with pytest.raises(AssertionError, match="0 at 0"):
        test_conventions_at_kinks(rule, rule.kinks[0], {"vjp": "reverse", "jvp": "forward"}[mode])


def test_levels_that_are_not_told_apart_are_seen(monkeypatch):
    confusing = lambda x: x * rg.grad(lambda y: x + y)(1.0)
    assert rg.grad(confusing)(1.0) == 1
    monkeypatch.setattr(tracer, "_numbers", itertools.repeat(1))
    with pytest.raises(TypeError, match="closes over a traced array"):
        rg.jvp(confusing, (1.0,), (1.0,))
