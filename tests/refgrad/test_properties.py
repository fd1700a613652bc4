"""Random programs, drawn from the table of rules: what holds for each function must hold for what
is made of them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import refgrad as rg
from refgrad.cases import DOMAINS, Fixed
from refgrad.tree import flatten
from tests.rules import VARYING, plant

from . import checks

INPUTS = ((3, 2), (4,))

# derandomize: the same programs in every run
run = settings(max_examples=50, deadline=None, derandomize=True, database=None,
               suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def shaped(x, shape, domain):
    """The entries of x, as often as needed, in another shape and a domain of cases.py: plain NumPy
    on traced arrays."""
    size = int(np.prod(shape, dtype=int))
    entries = np.ravel(x)[np.arange(size) % np.size(x)]
    return DOMAINS[domain](np.reshape(1.5 * np.sin(entries + np.linspace(0, 2, size)), shape))


class Program:
    """A sequence of calls; each takes its arguments from what the earlier ones gave, and all of it
    is the result."""

    def __init__(self, steps):
        self.steps = steps

    def __repr__(self):
        return " ; ".join(f"{VARYING[k][0].name}{VARYING[k][1]}<-{sources}"
                          for k, sources in self.steps)

    def __call__(self, *inputs):
        pool = list(inputs)
        for k, sources in self.steps:
            rule, case = VARYING[k]
            wanted = [(a, d) for a, d in zip(case.arrays, case.domains) if not isinstance(a, Fixed)]
            arrays = [shaped(pool[s % len(pool)], a, d) for s, (a, d) in zip(sources, wanted)]
            result = flatten(case.program(rule.function or rule)(*arrays))[0][-1]
            if np.size(result):
                pool.append(result)
        return [pool[-1], sum(np.sum(np.sin(x)) for x in pool)]


#: So many arrays has the case with most of them.
MOST = max(len(case.arrays) for _, case in VARYING)
programs = st.builds(Program, st.lists(
    st.tuples(st.integers(0, len(VARYING) - 1), st.tuples(*[st.integers(0, 7)] * MOST)), min_size=1,
    max_size=6))
numbers = st.integers(0, 2 ** 32 - 1)


def point(seed):
    rng = np.random.default_rng(seed)
    return rng, [rng.standard_normal(shape) for shape in INPUTS]


@run
@given(programs, numbers)
def test_reverse_and_forward_agree(program, seed):
    rng, x = point(seed)
    checks.agrees_with_numpy(program, x, 1e-12)
    checks.is_dual(program, x, rng, 1e-8)
    checks.owns_its_results(program, x, rng)


@run
@given(programs, numbers)
def test_jvp_is_linear_in_its_tangent(program, seed):
    rng, x = point(seed)
    u, v = [[checks.like(rng, a) for a in x] for _ in range(2)]
    push = lambda v: flatten(rg.jvp(program, x, v)[1])[0]
    for a, b, c in zip(push(u), push(v), push([2 * a - 3 * b for a, b in zip(u, v)])):
        checks.close(2 * a - 3 * b, c, "jvp of 2 u - 3 v", 1e-7)


@run
@given(programs, numbers)
def test_pull_is_linear_in_its_cotangent(program, seed):
    rng, x = point(seed)
    value, pull = rg.vjp(program, *x)
    g, h = [[checks.like(rng, y) for y in value] for _ in range(2)]
    for a, b, c in zip(pull(g), pull(h), pull([2 * a - 3 * b for a, b in zip(g, h)])):
        checks.close(2 * a - 3 * b, c, "pull of 2 g - 3 h", 1e-7)


@run
@given(programs, numbers)
def test_second_derivatives_agree_in_all_modes(program, seed):
    rng, x = point(seed)
    u, v = [[checks.like(rng, a) for a in x] for _ in range(2)]
    f = lambda *x: program(*x)[1]
    hv = rg.hvp(f, x, v)
    for a, b in zip(rg.grad(lambda *x: rg.jvp(f, x, v)[1], (0, 1))(*x), hv):
        checks.close(a, b, "reverse over forward", 1e-7)
    checks.close(checks.inner(rg.hvp(f, x, u), v), checks.inner(hv, u),
                 "symmetry of the Hessian", 1e-6)


@run
@given(programs, numbers)
def test_checkpoint_changes_nothing(program, seed):
    _, x = point(seed)
    f = lambda *x: program(*x)[1]
    for a, b in zip(rg.grad(rg.checkpoint(f), (0, 1))(*x), rg.grad(f, (0, 1))(*x)):
        np.testing.assert_array_equal(a, b)


def test_the_programs_reach_a_large_part_of_the_table():
    seen = set()

    @settings(run, max_examples=1000)
    @given(programs)
    def collect(program):
        seen.update(VARYING[k][0].name for k, _ in program.steps)

    collect()
    assert len(seen) > len({rule.name for rule, _ in VARYING}) / 2


def test_a_fault_in_one_rule_is_found(monkeypatch):
    """The search itself, attacked: a wrong factor in the vjp of one of many functions."""
    plant(monkeypatch, "np.sum", "vjp", 0,
          lambda rule, *args, **params: 1.001 * rule(*args, **params))
    search = given(programs, numbers)(test_reverse_and_forward_agree.hypothesis.inner_test)
    with pytest.raises(AssertionError):
        settings(run, phases=[Phase.generate])(search)()  # the first program that shows it will do
