"""crosscheck: checks gradients without tolerances, in ball arithmetic or by differences.

    report = crosscheck.check(f, *inputs)        print(report); report.ok
    crosscheck.assert_gradient(f, *inputs)       raises GradientError, for use in a test
    crosscheck.derive(f, "w", w=("n",), ...)     the gradient of a torch function as a formula
"""

__all__ = ["GradientError", "Report", "assert_gradient", "check", "derive"]

# Which static checkers take for true; see `__main__` for why nothing is imported here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .checker import GradientError, Report, assert_gradient, check
    from .derivation import derive
else:
    def __getattr__(name):
        # On first use: pytest imports this package for its plugin wherever refgrad is installed,
        # with flint or without.
        if name not in __all__:
            raise AttributeError(f"module 'crosscheck' has no attribute {name!r}")
        from .entry import packages
        with packages():
            if name == "derive":
                from .derivation import derive
                return derive
            from . import checker
        return getattr(checker, name)
