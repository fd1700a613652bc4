"""Balls: arrays that prove.  See `Ball` and `arithmetic`."""

# these fill the table of functions
from . import (  # noqa: F401
    contraction, decisions, decompositions, elementwise, integers, linear, order)
from . import reductions, structure  # noqa: F401
from . import refgrad_functions  # noqa: F401
from .arithmetic import ANY_OF_SEVERAL, Undecided, arithmetic, branches, working_bits
from .array import FUNCTIONS, Ball, register
from .gamma import ball_digamma, ball_lgamma, ball_polygamma
from .measure import digits, distance

__all__ = ["ANY_OF_SEVERAL", "FUNCTIONS", "Ball", "Undecided",
           "arithmetic", "ball_digamma", "ball_lgamma",
           "ball_polygamma", "branches", "digits", "distance", "register", "working_bits"]
