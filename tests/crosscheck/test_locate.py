"""Finding the primitive at fault: every planted fault is pinned where it is, and right rules are
never accused."""

from itertools import product

import numpy as np
import pytest

import refgrad as rg
from crosscheck.locate import pinpoint, suspect
from refgrad import custom
from refgrad.primitive import CONSTANT, TABLE, Primitive
from refgrad.tracer import bare
from tests.rules import VARYING, derivatives as signs, negative, rule_named


def in_the_middle(rule, case):
    """sum(w * tanh(primitive(x + 0 sin x))): other operations before and behind."""
    core = case.program(rule.function or rule)

    def program(*arrays):
        y = core(*(x + 0 * np.sin(x) for x in arrays))
        weights = np.arange(1, np.size(y) + 1).reshape(np.shape(y)) / 4
        return np.sum(weights * np.tanh(y))
    return program


def plant(monkeypatch, name, which, argument, fault):
    """The rule becomes ``fault(rule, v, kept, *arrays, **params)``."""
    primitive = rule_named(name)
    found = list(getattr(primitive, which))
    rule = found[argument]
    right = lambda v, kept, *arrays, **params: rule(v, kept, arrays, params)
    found[argument] = lambda v, kept, arrays, params: fault(right, v, kept, *arrays, **params)
    monkeypatch.setattr(primitive, which, tuple(found))


# Right rules


@pytest.mark.parametrize("rule", dict(VARYING), ids=lambda rule: rule.name)
def test_right_rules_are_not_accused(rule, full):
    """At the first of its cases; with --full at all."""
    for case in rule.cases if full else rule.cases[:1]:
        assert pinpoint(case.program(rule.function or rule),
                        *case.draw(np.random.default_rng(1))) is None


@pytest.mark.parametrize("rule", [r for r in TABLE.values() if r.kinks], ids=lambda r: r.name)
def test_right_rules_are_not_accused_at_kinks(rule):
    for kink in rule.kinks:
        call = kink.call or (lambda *a, k=kink: (rule.function or rule)(*a, **k.params))
        assert pinpoint(call, *(np.array(a, float) for a in kink.at)) is None


@pytest.mark.parametrize("name, arrays", [
    ("np.maximum", ([1.0, 2.0, 0.0], [1.0, 1.0, 0.0])), ("relu", ([0.0, -1.0, 0.0, 3.0],)),
    ("np.sqrt", ([0.0, 4.0],)), ("np.cbrt", ([0.0, 8.0],)), ("np.hypot", ([0.0, 3.0], [0.0, 4.0])),
    ("np.arctan2", ([0.0, 1.0], [0.0, 2.0])), ("np.arccos", ([1.0, 0.5],)),
    ("np.tanh", ([800.0, 1e-170, 1e200],)), ("np.exp", ([-700.0, 700.0],)),
    ("np.square", ([1e200, 1e-200],)), ("kl_div", ([-1.0, -2.0], [0.0, 0.5]))])
def test_right_rules_are_not_accused_where_rules_break(name, arrays):
    rule = rule_named(name)
    assert pinpoint(rule.function or rule, *map(np.array, arrays)) is None


def test_a_right_custom_rule_may_hold_rounded_constants():
    """sqrt(2 pi) as a float is off by 1e-17: no fault of the rule."""
    @custom
    def gelu(x):
        return x * (1 + rg.erf(x / np.sqrt(2))) / 2

    slope = lambda x: (1 + rg.erf(x / np.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    gelu.def_vjp(lambda g, y, x: (g * slope(x),))
    gelu.def_jvp(lambda tangents, y, x: tangents[0] * slope(x))
    x = np.array([-2.0, -0.5, 0.25, 3.0])
    assert pinpoint(lambda x: np.sum(gelu(np.sin(x))), x) is None
    gelu.def_vjp(lambda g, y, x: (g * slope(x) * (1 + 1e-12),))
    culprit = pinpoint(lambda x: np.sum(gelu(np.sin(x))), x)
    assert ((culprit.primitive, culprit.rule) == ("gelu", "vjp")
            and culprit.factor - 1 == pytest.approx(1e-12, rel=1e-3))


def test_what_refgrad_lacks_is_not_wrong():
    only_reverse = custom(lambda x: x * x)
    only_reverse.def_vjp(lambda g, y, x: (2 * x * g,))
    assert pinpoint(only_reverse, np.array([1.0, 2.0])) is None


def test_a_rule_for_forward_mode_alone_is_held_to_all_digits():
    """There is no vjp that would give the exact derivative: the differences themselves do."""
    only_forward = custom(lambda x: x * x)
    factor = [2.0]
    only_forward.def_jvp(lambda tangents, y, x: factor[0] * x * tangents[0])
    assert pinpoint(only_forward, np.array([1.0, 2.0])) is None
    factor[0] = 2.0 + 2.0 ** -40
    culprit = pinpoint(only_forward, np.array([1.0, 2.0]))
    assert culprit.rule == "jvp" and culprit.factor - 1 == pytest.approx(2.0 ** -41)


# Wrong formulas


@pytest.mark.parametrize("rule, which, argument", list(signs()))
def test_every_turned_sign_is_pinned(rule, which, argument, monkeypatch):
    monkeypatch.setattr(rule, which, negative(getattr(rule, which), argument))
    for case in rule.cases:
        culprit = pinpoint(in_the_middle(rule, case), *case.draw(np.random.default_rng(1)))
        if culprit is not None:  # a case may pass the argument as None
            break
    assert culprit is not None
    assert (culprit.primitive, culprit.rule) == (rule.name, which)


@pytest.mark.parametrize("name, which, argument", [
    ("np.tanh", "vjp", 0), ("matmul", "vjp", 1), ("layer_norm", "jvp", 1), ("np.sum", "vjp", 0)])
def test_a_relative_fault_of_1e_9_is_measured(name, which, argument, monkeypatch):
    plant(monkeypatch, name, which, argument,
          lambda rule, *a, **k: rule(*a, **k) * (1 + 2.0 ** -30))
    rule = rule_named(name)
    culprit = pinpoint(in_the_middle(rule, rule.cases[0]),
                       *rule.cases[0].draw(np.random.default_rng(1)))
    assert (culprit.primitive, culprit.rule, culprit.argument) == (name, which, argument)
    assert culprit.factor - 1 == pytest.approx(2.0 ** -30, rel=1e-5) and 8 < culprit.digits < 10


def test_the_one_wrong_entry_is_named(monkeypatch):
    def fault(rule, g, y, x):
        right = rule(g, y, x)
        wrong = np.zeros((3, 4))
        wrong[1, 2] = 1
        return right + 2 * right * wrong

    plant(monkeypatch, "np.sin", "vjp", 0, fault)
    culprit = pinpoint(lambda x: np.exp(np.sin(x * 1.0)),
                       np.random.default_rng(0).standard_normal((3, 4)))
    assert (culprit.primitive, culprit.entry, culprit.position) == ("np.sin", (1, 2),
                                                                    "operation 2 of the program")
    assert culprit.factor == pytest.approx(3) and culprit.shapes == ((3, 4),)
    assert f"{__file__}:" in culprit.line
    assert all(part in str(culprit)
               for part in ("vjp of argument 0 of np.sin", "(1, 2)", "factor 3", culprit.line))


@pytest.mark.parametrize("x", [[5.0, 0.5], [0.5, 0.25]])
def test_a_branch_is_wrong_at_the_values_that_take_it(x, monkeypatch):
    plant(monkeypatch, "np.exp", "vjp", 0, lambda rule, g, y, x: g * np.where(x > 3, y / 2, y))
    culprit = pinpoint(lambda x: np.log(np.exp(x)), np.array(x))
    assert (culprit and culprit.primitive) == ("np.exp" if x[0] > 3 else None)


def test_a_tie_shared_otherwise_by_one_of_the_rules(monkeypatch):
    plant(monkeypatch, "np.maximum", "vjp", 0, lambda rule, g, y, a, b: np.where(a >= b, g, 0))
    a, b = np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 3.0])
    culprit = pinpoint(np.maximum, a, b)
    assert ((culprit.primitive, culprit.rule) == ("np.maximum", "vjp or jvp")
            and "kink" in str(culprit))
    assert pinpoint(np.maximum, a + 0.25, b) is None


def test_a_tie_that_both_rules_count_twice(monkeypatch):
    """They agree with each other; the slopes on both sides say otherwise."""
    for which, argument in product(("vjp", "jvp"), (0, 1)):
        plant(monkeypatch, "np.maximum", which, argument,
              lambda rule, v, y, a, b: rule(v, y, a, b) * np.where(a == b, 2, 1))
    a, b = np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 3.0])
    culprit = pinpoint(np.maximum, a, b)
    assert culprit.primitive == "np.maximum" and "kink" in str(culprit)
    assert pinpoint(np.maximum, a + 0.25, b) is None


def test_every_other_entry_at_a_kink_hides_no_fault(monkeypatch):
    plant(monkeypatch, "relu", "vjp", 0, lambda rule, g, y, x: 2 * rule(g, y, x))
    relu = rule_named("relu")
    culprit = pinpoint(relu, np.array([0.0, 1.5, 0.0, 2.0, 0.0]))
    assert (culprit.primitive, culprit.rule) == ("relu", "vjp") and culprit.entry in ((1,), (3,))


def test_a_fault_inside_the_rules_of_others(monkeypatch):
    """np.multiply is not in the program, but in the rules, which second derivatives
    differentiate."""
    plant(monkeypatch, "np.multiply", "jvp", 1, lambda rule, v, y, a, b: -rule(v, y, a, b))
    culprit = pinpoint(lambda x: np.exp(x), np.array([0.5, 1.0]))
    assert (culprit.primitive, culprit.rule, culprit.argument) == ("np.multiply", "jvp", 1)
    assert culprit.position == "inside the vjp of np.exp, operation 1 of the program"


def test_a_fault_inside_a_checkpoint(monkeypatch):
    plant(monkeypatch, "np.tanh", "vjp", 0, lambda rule, *a: -rule(*a))
    culprit = pinpoint(rg.checkpoint(lambda x: np.sum(np.tanh(np.sin(x)))), np.array([0.5, 1.0]))
    assert culprit.primitive == "np.tanh" and "checkpoint" in culprit.position


def test_a_wrong_custom_primitive():
    square = custom(lambda x: x * x)
    square.__name__ = square.name = "square"
    square.def_vjp(lambda g, y, x: (g * x,))
    square.def_jvp(lambda tangents, y, x: 2 * x * tangents[0])
    culprit = pinpoint(lambda x: np.sum(square(np.sin(x))), np.array([0.5, 1.0]))
    assert ((culprit.primitive, culprit.rule) == ("square", "vjp")
            and culprit.factor == pytest.approx(0.5))


# Right to first order


@pytest.mark.parametrize("which", ["vjp", "jvp"])
def test_a_rule_that_is_detached(which, monkeypatch):
    """The logistic function's slope taken out of the trace: first derivatives are right, second
    ones are not."""
    plant(monkeypatch, "sigmoid", which, 0, lambda rule, v, y, x: v * bare(y * (1 - y)))
    culprit = pinpoint(lambda x: np.sum(rg.nn.sigmoid(np.sin(x))), np.array([0.5, 1.0]))
    assert (culprit.primitive, culprit.rule) == ("sigmoid", f"{which} differentiated again")
    assert "to first order the rule is right" in str(culprit)


# Right in exact arithmetic


def test_float32_inside_float64(monkeypatch):
    plant(monkeypatch, "np.tanh", "vjp", 0,
          lambda rule, g, y, x: g * (1 - y * y).astype(np.float32).astype(x.dtype))
    culprit = pinpoint(lambda x: np.sum(np.tanh(np.sin(x))), np.array([0.5, 1.0, -2.0]))
    assert (culprit.primitive, culprit.rule, culprit.dtype) == ("np.tanh", "vjp", "float64")
    assert 6 < culprit.digits < 9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_branch_that_one_dtype_takes(dtype, monkeypatch):
    plant(monkeypatch, "np.exp", "jvp", 0,
          lambda rule, v, y, x: v * y if x.dtype != dtype else v * (y + 0.25))
    culprit = pinpoint(lambda x: np.exp(x), np.array([0.5, 1.0]))
    assert (culprit.primitive, culprit.rule, culprit.dtype) == ("np.exp", "jvp", dtype)


def test_another_formula_is_no_fault_but_a_dropped_entry_is(monkeypatch):
    plant(monkeypatch, "np.tanh", "vjp", 0,
          lambda rule, g, y, x: 4 * g * np.exp(2 * x) / (np.exp(2 * x) + 1) ** 2)
    assert pinpoint(np.tanh, np.array([0.5, 3.0])) is None
    plant(monkeypatch, "np.tanh", "vjp", 0,
          lambda rule, g, y, x: g * (1 - y * y) * np.where(x == 3, x - x, x) / x)
    culprit = pinpoint(np.tanh, np.array([0.5, 3.0]))
    assert (culprit.primitive, culprit.entry) == ("np.tanh", (1,)) and culprit.gives == 0


def test_more_rounding_than_need_be_is_not_wrong(monkeypatch):
    plant(monkeypatch, "np.exp", "vjp", 0, lambda rule, g, y, x: g * ((1e6 + y) - 1e6))
    assert pinpoint(lambda x: np.exp(x), np.array([0.5, 1.0])) is None


def test_a_rule_that_keeps_state(monkeypatch):
    calls = []

    def fault(rule, g, y, x):
        if isinstance(bare(x), np.ndarray):  # a buffer of floats
            calls.append(0)
        return rule(g, y, x) * (1 + len(calls) % 2 * 0.5)

    plant(monkeypatch, "np.sin", "vjp", 0, fault)
    assert pinpoint(lambda x: np.sum(np.sin(x)), np.array([0.5, 1.0])).primitive == "np.sin"


@pytest.mark.parametrize("overwrites", ["cotangent", "argument", "result"])
def test_a_rule_that_overwrites_what_it_is_handed(overwrites, monkeypatch):
    def fault(rule, g, y, x):
        right = rule(g, y, x)
        handed = {"cotangent": g, "argument": x, "result": y}[overwrites]
        if isinstance(handed, np.ndarray):
            handed *= 2
        return right

    plant(monkeypatch, "np.sin", "vjp", 0, fault)
    culprit = pinpoint(lambda x: np.exp(np.sin(x)), np.array([0.5, 1.0]))
    assert (culprit.primitive, culprit.rule) == ("np.sin", "vjp") and overwrites in str(culprit)


def test_a_rule_that_writes_in_place_whatever_it_is_handed(monkeypatch):
    def fault(rule, g, y, x):
        g *= np.cos(x)  # which balls refuse
        return g

    plant(monkeypatch, "np.sin", "vjp", 0, fault)
    culprit = pinpoint(lambda x: np.exp(np.sin(x)), np.array([0.5, 1.0]))
    assert (culprit.primitive, culprit.rule) == ("np.sin", "vjp") and "cotangent" in str(culprit)


def test_a_rule_that_does_not_run_on_balls_is_measured_in_floats():
    """Compiled code, for example: the function's own differences are exact nevertheless."""
    cube = custom(lambda x: x * x * x)
    cube.name = "cube"
    factor = [3.0]
    cube.def_vjp(
        lambda g, y, x: (factor[0] * np.frombuffer((g * x * x).tobytes()).reshape(x.shape),))
    cube.def_jvp(lambda tangents, y, x: 3 * x * x * tangents[0])
    x = np.array([0.5, 1.0, -2.0])
    program = lambda x: np.sum(np.tanh(cube(np.sin(x))))
    assert pinpoint(program, x) is None
    factor[0] = 3.0 * (1 + 1e-7)
    culprit = pinpoint(program, x)
    assert ((culprit.primitive, culprit.rule) == ("cube", "vjp")
            and culprit.factor - 1 == pytest.approx(1e-7, rel=1e-3))


def test_a_rule_that_raises(monkeypatch):
    # The transpose is missing.
    plant(monkeypatch, "matmul", "vjp", 0, lambda rule, G, Y, A, B: G @ B)
    culprit = pinpoint(lambda a, b: np.sum(np.tanh(a @ b)), np.ones((2, 3)), np.ones((3, 4)) / 4)
    assert ((culprit.primitive, culprit.rule) == ("matmul", "vjp")
            and "raises ValueError" in str(culprit))


def test_an_error_of_the_checker_s_own_is_raised(monkeypatch):
    plant(monkeypatch, "np.sin", "vjp", 0,
          lambda right, v, *rest, **params: 2 * right(v, *rest, **params))
    assert pinpoint(np.sin, np.array([0.5, 2.0])) is not None
    monkeypatch.setattr(suspect, "ByBalls", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pinpoint(np.sin, np.array([0.5, 2.0]))


def test_the_same_seed_says_the_same(monkeypatch):
    plant(monkeypatch, "softmax", "vjp", 0, lambda rule, *a, **k: 2 * rule(*a, **k))
    x = np.random.default_rng(0).standard_normal((3, 4))
    say = lambda seed: str(pinpoint(lambda x: rg.nn.softmax(x, dim=-1), x, seed=seed))
    assert say(1) == say(1) != say(2)


def test_every_primitive_has_a_sign_to_turn():
    """The table above leaves out no primitive that has rules."""
    turned = {p.values[0].name for p in signs()}
    assert all(r.name in turned or r.vjp is None for r in TABLE.values()
               if isinstance(r, Primitive) and r.kind is not CONSTANT)
