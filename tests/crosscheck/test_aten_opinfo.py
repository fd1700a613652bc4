"""The lines of ATen's operations beside torch's own, on the samples of its op database: values, and
gradients against differences of the same values, which use no rule of anybody."""

import numpy as np
import pytest

from crosscheck.ball import Ball, Undecided, arithmetic, digits
from crosscheck.modes import Mode
from crosscheck.studies.checkers import opinfo
from crosscheck.subjects.aten import NoLine
from crosscheck.subjects.libraries.refgrad_library import LIBRARY
from crosscheck.subjects.subject import weighed
from crosscheck.subjects.torch_function import subject_of
from crosscheck.truth.differences import Difference, step_of_order

BITS = 400

#: What has no line: complex numbers, and what torch stores in other ways than entry by entry.
WITHOUT = ("complex", "sparse", "backward")

#: Entries that round on purpose.
ROUNDS = ("bfloat16", "half", "float")

ENTRIES = [name for name in opinfo.entries()] if opinfo.op_cases() else []


def sample(name):
    """(subject, inputs, program) of an entry's first small sample."""
    drawn = opinfo.realize(opinfo.OpCase(name, 0))
    if drawn is None:
        pytest.skip("it has no small sample")
    subject = subject_of(*drawn, ("float64",))
    return subject, subject.inputs(), subject.state.after(subject.program())


@pytest.mark.parametrize("name", ENTRIES)
def test_a_line_is_the_operation_and_its_gradient_that_of_the_line(name):
    with opinfo.seeded(0):
        subject, x, program = sample(name)
        expected = subject.value(x, "float64")
        balls = {k: Ball(a) for k, a in x.items()}
        with arithmetic(BITS):
            try:
                found = program(balls)
            except NoLine as why:
                assert any(word in f"{name} {why}" for word in WITHOUT), why
                return
            except Undecided:
                pytest.skip("balls leave a branch open at this sample")
            assert [np.shape(y) for y in found] == [y.shape for y in expected]
            for y, near in zip(found, expected):
                known = np.isfinite(near)
                error = np.abs(np.where(known, near - (y.mid() if isinstance(y, Ball) else y), 0.0))
                size = np.max(np.abs(near[known]), initial=1e-300)
                assert name in ROUNDS or np.max(error, initial=0.0) <= 1e-12 * size
            if any(isinstance(y, Ball) for y in found):
                agreed = gradient_beside_differences(program, balls, expected)
                assert agreed is None or agreed >= 40


def gradient_beside_differences(program, x, results):
    """The digits to which the gradient and a difference agree along a direction; None where it
    crosses a kink."""
    rng = np.random.default_rng(0)
    v, weights = ([rng.choice([-1.0, 1.0], a.shape) * rng.uniform(0.5, 2, a.shape) for a in arrays]
                  for arrays in (x.values(), results))
    scalar = weighed(program, [Ball(w) for w in weights])
    v = {k: Ball(d) for k, d in zip(x, v)}
    gradient = LIBRARY.differentiate(Mode.REVERSE, scalar, x, v, v)
    slope = sum(np.sum(gradient[k] * v[k]) for k in x)
    difference = Difference(scalar, x, v, h=step_of_order(1, BITS))
    defined = difference.quotient.finite().all() and np.isfinite(slope.mid()).all()
    if not (difference.smooth and defined):
        return None
    size = sum(np.sum(np.abs(gradient[k] * v[k])) for k in x) + np.abs(scalar(x))
    return float(digits(difference.quotient, slope, size if size.upper() > 0 else Ball(1.0)))


def test_nearly_all_entries_have_lines():
    with opinfo.seeded(0):
        lacking = set()
        for name in ENTRIES:
            drawn = opinfo.realize(opinfo.OpCase(name, 0))
            if drawn is not None:
                subject = subject_of(*drawn, ("float64",))
                try:
                    subject.program()({k: np.array(a) for k, a in subject.inputs().items()})
                except NoLine:
                    lacking.add(name)
    assert len(lacking) <= len(ENTRIES) / 10, sorted(lacking)
    assert not [n for n in lacking if n.startswith("nn.functional.")]
