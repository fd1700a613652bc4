"""The differential of each NumPy function, a file for each family."""

from . import elementwise, linalg, positions, reductions, shape, special  # noqa: F401  (importing declares the rules)
