"""The differential of each NumPy function, a file for each family."""

from . import (  # noqa: F401  (importing declares the rules)
    assembling, decompositions, determinants, elementwise, grids, linalg,
    matrix_functions, missing, order, polynomials, positions, reductions, sequences, shape, special,
    statistics, windows)
