"""The pytest plugin: a fixture `crosscheck` that checks gradients, and an option
``--crosscheck-seed``.

    def test_my_gradient(crosscheck):
        crosscheck(f, x, gradient=df)              # fails with the report's table
        report = crosscheck.check(f, x)            # or look at the report yourself
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser):
    parser.getgroup("crosscheck").addoption(
        "--crosscheck-seed", type=int, default=0, metavar="SEED",
        help="The seed of the points and directions at which the fixture `crosscheck` checks "
             "gradients (default: 0).")


class Fixture:
    """`assert_gradient` with the run's seed; `check` beside it."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, f, *inputs, **options):
        __tracebackhide__ = True
        from . import assert_gradient
        return assert_gradient(f, *inputs, **{"seed": self.seed, **options})

    def check(self, f, *inputs, **options):
        from . import check
        return check(f, *inputs, **{"seed": self.seed, **options})


@pytest.fixture
def crosscheck(request):
    """Check a gradient: ``crosscheck(f, *inputs, ...)`` fails the test with a table of what is
    wrong."""
    return Fixture(request.config.getoption("--crosscheck-seed"))
