"""crosscheck: gradients, proved.

    report = crosscheck.check(f, *inputs)        print(report); report.ok
    crosscheck.assert_gradient(f, *inputs)       raises GradientError, for use in a test
"""

from typing import TYPE_CHECKING

from .entry import packages

__all__ = ["GradientError", "Report", "assert_gradient", "check"]

if TYPE_CHECKING:
    from .checker import GradientError, Report, assert_gradient, check
else:
    def __getattr__(name):
        # On first use: pytest imports this package for its plugin wherever refgrad is installed,
        # with flint or without.
        if name not in __all__:
            raise AttributeError(f"module 'crosscheck' has no attribute {name!r}")
        with packages():
            from . import checker
        return getattr(checker, name)
