"""The table of functions is the table of tests: each case of each rule, in both modes and to second
order."""

import inspect
import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad.cases import sample
from refgrad.primitive import TABLE, Kind
from refgrad.tracer import Tracer
from refgrad.tree import flatten
from tests.rules import CASES, RULES, VARYING, drawn, each

from . import checks

KINKS = [(rule, kink) for rule in RULES for kink in rule.kinks]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_cases(rule):
    assert rule.cases, f"{rule.name} declares no sample calls, so nothing tests it"


@pytest.mark.parametrize("rule", [r for r in RULES if r.kind is Kind.KINKED],
                         ids=lambda rule: rule.name)
def test_every_kinked_rule_says_where(rule):
    assert rule.kinks, (f"{rule.name} is kinked, but declares no point where it is, "
                        "nor the convention there")


@each(VARYING)
def test_first_derivatives(rule, case):
    program, arrays, rng = drawn(rule, case)
    checks.agrees_with_numpy(program, arrays)
    checks.is_dual(program, arrays, rng)
    checks.jacobians_agree(program, arrays)
    checks.matches_differences(program, arrays, rng)


@each(VARYING)
def test_second_derivatives(rule, case):
    program, arrays, rng = drawn(rule, case)
    checks.second_derivatives_agree(program, arrays, rng)


@each(VARYING)
def test_ownership(rule, case):
    program, arrays, rng = drawn(rule, case)
    checks.owns_its_results(program, arrays, rng)


@each([(rule, case) for rule, case in CASES if getattr(rule, "fresh", False)])
def test_fresh_results_share_no_memory(rule, case, monkeypatch):
    program, arrays, _ = drawn(rule, case)
    forward, calls = rule.plain, []

    def spied(*arrays, **params):
        first, second = (forward(*arrays, **params) for _ in range(2))
        results = flatten((first, second))[0]
        for y, other in [*itertools.combinations(results, 2), *itertools.product(results, arrays)]:
            assert not np.shares_memory(y, other)
        calls.append(rule)
        return first

    monkeypatch.setattr(rule, "plain", spied)
    program(*arrays)
    assert calls


@each(VARYING)
def test_strided_read_only_arrays(rule, case):
    program, arrays, _ = drawn(rule, case)
    strided = [np.repeat(x[..., None], 2, axis=-1)[..., 0] for x in arrays]
    for x in strided:
        x.flags.writeable = False
    directions = [np.ones_like(x) for x in arrays]
    found, expected = (rg.hvp(checks.curved(program), xs, directions) for xs in (strided, arrays))
    for a, e in zip(found, expected, strict=True):
        checks.close(a, e, "strided against contiguous")


@each(VARYING)
def test_float32(rule, case):
    program, arrays, rng = drawn(rule, case)
    small = tuple(x.astype(np.float32) for x in arrays)
    results = flatten(program(*small))[0]
    if all(np.asarray(y).dtype == np.float32 for y in results):
        checks.stays_in_float32(program, small, rng)
    value, pull = rg.vjp(program, *small)
    for c in pull(rg.tree_map(np.ones_like, value)):
        assert c.dtype == np.float32
    for y, e in zip(flatten(value)[0], results, strict=True):
        assert y.dtype == np.asarray(e).dtype


@each([(rule, case) for rule, case in CASES if rule.kind is Kind.CONSTANT])
def test_constants_are_plain(rule, case):
    program, arrays, _ = drawn(rule, case)
    expected, found = flatten(program(*arrays))[0], []

    def spied(*traced):
        found.extend(flatten(program(*traced))[0])
        return np.sum(traced[0])

    for transform in (rg.grad(spied), rg.jacobian(rg.grad(spied))):
        found.clear()
        transform(*arrays)
        assert not any(type(y) is Tracer for y in found)
        for y, e in zip(found, expected, strict=True):
            if rule.function is not np.empty_like:
                np.testing.assert_array_equal(y, e)


@pytest.mark.parametrize("rule, kink", KINKS, ids=[f"{rule.name}{kink.at}" for rule, kink in KINKS])
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_conventions_at_kinks(rule, kink, mode):
    checks.follows_the_convention(rule, kink, mode)


# Shapes without entries and with one


def variants():
    for rule in RULES:
        if rule.kind is Kind.CONSTANT or not rule.cases:
            continue
        case = rule.cases[0]
        shapes = [a for a in case.arrays if isinstance(a, tuple)]
        if (len(shapes) == len(case.arrays) and case.call is None
                and isinstance(rule.function, np.ufunc) and rule.function.signature is None):
            for shape in [(0,), (0, 3), (1,), (1, 1), ()]:
                yield rule, {}, (shape,) * len(shapes), case.domains
    for function in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.ptp, np.cumsum,
                     np.cumprod, np.linalg.norm, np.sort, np.median):
        for shape, axis in itertools.product([(0, 3), (3, 0), (1,), (1, 1), (4, 1)], [0, -1]):
            plain = np.zeros(shape)
            if plain.size == 0 and (plain.shape[axis] == 0 or function is np.median):
                if function not in (np.sum, np.prod, np.cumsum, np.cumprod, np.linalg.norm,
                                    np.sort):
                    continue
            yield TABLE[function], {"axis": axis}, (shape,), (None,)


VARIANTS = list(variants())


@pytest.mark.parametrize("rule, params, shapes, domains", VARIANTS,
                         ids=[f"{rule.name}{shapes}{params}"
                              for rule, params, shapes, _ in VARIANTS])
def test_empty_and_single(rule, params, shapes, domains):
    rng = np.random.default_rng(3)
    arrays = tuple(sample(rng, shape, domain) for shape, domain in zip(shapes, domains))
    program = lambda *x: rule.function(*x, **params)
    checks.agrees_with_numpy(program, arrays)
    checks.is_dual(program, arrays, rng)
    checks.jacobians_agree(program, arrays)
    checks.owns_its_results(program, arrays, rng)
    kinked_here = rule.function in (np.std, np.ptp)  # where all entries are equal
    if all(np.size(x) for x in arrays) and not kinked_here:
        checks.matches_differences(program, arrays, rng)


# The signatures are NumPy's


def signed():
    for rule in RULES:
        call = rule.call
        if (rule.function is not None and rule.name.startswith("np.")
                and rule.kind is not Kind.CONSTANT):
            try:
                yield rule, inspect.signature(call), inspect.signature(rule.function)
            except ValueError:  # a ufunc of an older NumPy tells no signature
                continue


SIGNED = [s for s in signed()
          if not any(p.kind is p.VAR_POSITIONAL for p in s[1].parameters.values())]


@pytest.mark.parametrize("rule, ours, numpys", SIGNED, ids=[rule.name for rule, _, _ in SIGNED])
def test_argument_names_are_numpys(rule, ours, numpys):
    positional = [p.name for p in numpys.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    ours_positional = [p for p in ours.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if isinstance(rule.function, np.ufunc):
        assert len(ours_positional) <= len(positional)
        return
    assert [p.name for p in ours_positional] == positional[:len(ours_positional)]
    for p in ours.parameters.values():
        if p.name not in numpys.parameters:
            assert any(q.kind is q.VAR_KEYWORD
                       for q in numpys.parameters.values()), f"NumPy has no argument {p.name}"
            continue
        default = numpys.parameters[p.name].default
        if default is not inspect.Parameter.empty and not repr(default).startswith("<no value"):
            assert p.default == default, f"{p.name}={p.default!r}, NumPy's {default!r}"


def test_every_smooth_ufunc_has_a_rule():
    """What NumPy computes from floats to floats can be differentiated, or is declared constant."""
    for function in vars(np).values():
        if isinstance(function, np.ufunc) and any(t.replace("d", "") == "->"
                                                  for t in function.types):
            assert function in TABLE, f"np.{function.__name__} has no rule"
