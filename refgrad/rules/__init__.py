"""The differential of each NumPy function, a file for each family."""

from . import decompositions, determinants, elementwise, linalg, positions, reductions, shape, special, windows  # noqa: F401  (importing declares the rules)
