"""refgrad: derivatives of plain NumPy programs; the derivation of each rule is written beside
it."""

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
