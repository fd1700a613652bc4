"""Balls: arrays that prove.  See `Ball` and `arithmetic`."""

# these fill the table of functions
from . import contraction, decisions, decompositions, elementwise, integers, linear, order
from . import reductions, structure
from . import refgrad_functions
from .arithmetic import ANY_OF_SEVERAL, Undecided, arithmetic, branches, working_bits
from .array import FUNCTIONS, Ball, register
from .gamma import ball_digamma, ball_lgamma, ball_polygamma
from .measure import digits, distance

__all__ = ["ANY_OF_SEVERAL", "FUNCTIONS", "Ball", "Undecided", "arithmetic", "ball_digamma", "ball_lgamma",
           "ball_polygamma", "branches", "digits", "distance", "register", "working_bits"]
