"""The op table as tests read it: rules with their cases, derivative rules, and faults in these."""

import numpy as np
import pytest

import refgrad  # noqa: F401  (declares the rules)
from refgrad.elsewhere import declared
from refgrad.primitive import TABLE, Each, Kind, Primitive
from refgrad.tree import tree_map

try:
    import scipy.special
except ImportError:
    pass
else:
    declared(scipy.special.gamma)

RULES = sorted(TABLE.values(), key=lambda rule: rule.name)
CASES = [(rule, case) for rule in RULES for case in rule.cases]
VARYING = [(rule, case) for rule, case in CASES if rule.kind is not Kind.CONSTANT]


def params(table):
    """Pairs of a rule and one of its cases as parameters of a test."""
    return [pytest.param(rule, case, id=f"{rule.name}{case!r}") for rule, case in table]


def each(table):
    """Let a test run for each of these pairs."""
    return pytest.mark.parametrize("rule, case", params(table))


def callable_of(rule):
    """What a program calls to use the rule."""
    return rule.function or rule


def drawn(rule, case, seed=7):
    """The program of a case, arrays for it, and a generator of further numbers."""
    rng = np.random.default_rng(seed)
    return case.program(callable_of(rule)), case.draw(rng), rng


def rule_named(name):
    """The rule of that name."""
    found = [rule for rule in RULES if rule.name == name]
    if not found:
        raise LookupError(f"no rule is named {name!r}; refgrad.functions() lists them")
    return found[0]


def derivatives(*modes):
    """Parameters (primitive, "vjp" or "jvp", argument) of all rules that are written.

    `modes` are both by default.  Of one rule for every argument, the first two stand for all.
    """
    found = []
    for rule in RULES:
        if isinstance(rule, Primitive) and rule.kind is not Kind.CONSTANT:
            for mode in modes or ("vjp", "jvp"):
                rules = getattr(rule, mode) or ()
                for i in range(2 if isinstance(rules, Each) else len(rules)):
                    if isinstance(rules, Each) or rules[i] is not None:
                        found.append(pytest.param(rule, mode, i, id=f"{rule.name}-{mode}-{i}"))
    return found


# Faults


def faulty(rules, argument, fault):
    """The rules of all arguments; that of one gives ``fault(rule, v, y, *arrays, **params)``."""
    def right(v, y, *arrays, **params):
        return rules[argument](v, y, arrays, params)

    def wrong(v, y, arrays, params):
        return fault(right, v, y, *arrays, **params)

    if isinstance(rules, Each):
        return Each(lambda i, *call: (wrong if i == argument else rules[i])(*call))
    return tuple(wrong if i == argument else rule for i, rule in enumerate(rules))


def negative(rules, argument):
    """The rules of all arguments, with the sign of one turned."""
    return faulty(rules, argument, lambda rule, *args, **params: tree_map(
        np.negative, rule(*args, **params)))


def plant(monkeypatch, name, mode, argument, fault):
    """Until the test ends, make the rule that is named wrong as in `faulty`; `mode`: vjp or jvp."""
    rule = rule_named(name)
    monkeypatch.setattr(rule, mode, faulty(getattr(rule, mode), argument, fault))
