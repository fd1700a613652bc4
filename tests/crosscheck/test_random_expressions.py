"""Random expressions: they are what they promise, and their gradients are proved."""

import re

import numpy as np
import pytest

from crosscheck.studies.derivations.proving import digits, drawn, own_gradient, program
from crosscheck.studies.derivations.random_expressions import draw
from refgrad.derive.expression import FUNCTIONS, parse


def drawn_expressions(count):
    return [draw(np.random.default_rng([0, n])) for n in range(count)]


@pytest.mark.parametrize("part", range(4))
def test_gradients_agree_with_differences(part):
    for n in range(part, 100, 4):
        rng = np.random.default_rng([0, n])
        expression = draw(rng)
        function = program(expression.text)
        found = digits(own_gradient(function, {expression.wrt: ""}), function,
                       drawn(expression.shapes, rng))
        assert found >= 40, expression


def test_the_same_state_gives_the_same_expression():
    assert drawn_expressions(50) == drawn_expressions(50)
    assert draw(np.random.default_rng(0)) != draw(np.random.default_rng(1))


def test_the_arrays_are_those_of_the_text():
    for text, wrt, shapes in drawn_expressions(300):
        assert set(parse(text).names) == set(shapes)
        assert wrt in shapes


def test_values_are_finite_scalars():
    for n, expression in enumerate(drawn_expressions(300)):
        value = program(expression.text)(drawn(expression.shapes, np.random.default_rng(n)))
        assert np.shape(value) == () and np.isfinite(value)


def test_they_are_various():
    expressions = drawn_expressions(1000)
    used = ({word for text, _, _ in expressions for word in re.findall(r"\w+", text)}
            & set(FUNCTIONS))
    assert used >= {"tr", "sum", "mean", "norm", "det", "logdet", "inv", "softmax", "kron", "vec",
                    "outer", "diag", "exp", "log", "sqrt", "tanh", "sin", "cos"}
    occurrences = [parse(text).text.count(wrt) for text, wrt, _ in expressions]
    assert min(occurrences) == 1 and max(occurrences) > 3
    assert {len(shapes[wrt]) for _, wrt, shapes in expressions} == {1, 2}
    assert len({text for text, _, _ in expressions}) > 900
