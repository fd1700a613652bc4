"""Where crosscheck is entered: what it needs and does not find is said in a line."""

import sys
from contextlib import contextmanager


class MissingPackage(ImportError):
    """A package that crosscheck needs is not installed; the message says how to install it."""


@contextmanager
def packages():
    """Raises `MissingPackage` where a package is imported that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package in ("refgrad", "crosscheck"):
            raise
        raise MissingPackage(f"crosscheck needs {package}, which is not installed: "
                             'pip install "refgrad[crosscheck]"', name=error.name) from None


def main() -> None:
    """The program of the command line; its exit status is 2 where a package is missing."""
    try:
        with packages():
            from .cli import main as run
            run()
    except MissingPackage as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
