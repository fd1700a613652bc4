"""refgrad: derivatives of plain NumPy programs.

    grad(f)(x), value_and_grad(f)(x)     the gradient of a function with one number as its result
    vjp(f, *x), jvp(f, x, v)             reverse and forward mode of any function
    jacobian, hessian, hvp               all partial derivatives, second derivatives
    jit(f), checkpoint(f)                less time, less memory
    custom(f)                            a function with rules of your own
    derive(f, "W", X=("m", "n"), ...)    the gradient as a formula, with the steps to it
    nn, special                          layers and losses with torch's names; logsumexp
    functions()                          the functions of NumPy and refgrad that have a rule

The derivation of each rule is written beside it, in `refgrad.rules` and `refgrad.nn`.
"""

from . import nn as nn
from . import rules as rules
from . import libraries as libraries
from . import special as special
from .checkpoint import checkpoint as checkpoint
from .custom import custom as custom
from .primitive import functions as functions
from .rules.matrix_functions import expm as expm
from .rules.special import erf as erf
from .programs import jit as jit
from .transforms import grad as grad
from .transforms import hessian as hessian
from .transforms import hvp as hvp
from .transforms import jacobian as jacobian
from .transforms import jvp as jvp
from .transforms import value_and_grad as value_and_grad
from .transforms import vjp as vjp
from .tree import tree_map as tree_map
from . import derive as derive

__version__ = "1.0.0"

__all__ = ["nn", "special", *sorted(name for name, value in globals().items() if callable(value))]
