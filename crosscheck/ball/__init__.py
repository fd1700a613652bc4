"""Balls: arrays that prove.  See `Ball` and `arithmetic`."""

from . import contraction, decisions, elementwise, integers, linear, order, reductions, structure  # fill the tables
from . import refgrad_functions
from .arithmetic import FUNCTION_ULPS, Undecided, arithmetic, branches
from .array import FUNCTIONS, UFUNCS, Ball, register
from .measure import digits, distance
from .reductions import scatter_add
from .structure import with_item
from .special import (ball_digamma, ball_erf, ball_erfc, ball_lgamma, ball_log1pexp, ball_logistic, ball_polygamma,
                      ball_sech_squared, ball_sinc_derivative)

__all__ = ["FUNCTIONS", "FUNCTION_ULPS", "UFUNCS", "Ball", "Undecided", "arithmetic", "ball_digamma", "ball_erf",
           "ball_erfc", "ball_lgamma", "ball_log1pexp", "ball_logistic", "ball_polygamma", "ball_sech_squared",
           "ball_sinc_derivative", "branches", "digits", "distance", "register", "scatter_add", "with_item"]
