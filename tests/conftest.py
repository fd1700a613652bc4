"""What all tests share."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true",
                     help="run the generic tests over the whole op table, not a sample")


@pytest.fixture
def full(request):
    """Whether the generic tests take all of their cases, or a sample."""
    return request.config.getoption("--full")
