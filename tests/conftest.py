"""Options of the test command."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true",
                     help="run the generic tests over the whole op table, not a sample")


@pytest.fixture(scope="session")
def full(request):
    """Whether the generic tests run over the whole op table."""
    return request.config.getoption("--full")
