"""What refgrad's own functions mean on balls.

Arrays may override refgrad's functions as they override NumPy's.  Balls do so where flint knows the function itself,
which encloses it more tightly than its formula would.  What refgrad computes by more than its formula, since floats
round, runs as the formula; the functions that refgrad composes of others run as they are composed.
"""

import numpy as np

from refgrad.nn.activations import log1pexp, near
from refgrad.nn.softmax import peak
from refgrad.primitive import TABLE, Composition
from refgrad.rules.determinants import is_normal, weak_directions
from refgrad.rules.elementwise import logistic, sech_squared, sinc_derivative
from refgrad.rules.shape import scatter_add, setitem
from refgrad.rules.special import erf, erfc

from . import special
from .array import FUNCTIONS, Ball, register
from .reductions import scatter_add as scatter_add_balls
from .structure import with_item

register(erf, special.ball_erf)
register(erfc, special.ball_erfc)
register(logistic, special.ball_logistic)
register(log1pexp, special.ball_log1pexp)
register(sech_squared, special.ball_sech_squared)
register(sinc_derivative, special.ball_sinc_derivative)
register(scatter_add, scatter_add_balls)
register(setitem, with_item)


register(near, near.formula)  # it is not in the table: of its own it is no function that floats compute


@register(peak)
def _(x, axis):
    """A number near the maximum; which of overlapping balls is the largest need not be decided."""
    return Ball(np.max(x.mid(), axis=axis, keepdims=True))


register(is_normal, lambda y: bool(np.all(np.abs(y).lower() > 0)))  # both ways are exact: it need not be decided


@register(weak_directions)
def _(A):
    """Any scale and directions will do, so those of the midpoints."""
    shift, U, V = weak_directions(A.mid())
    return shift, Ball(U), Ball(V)


# A ball encloses a finite number; there is nothing to replace.
register(np.nan_to_num, lambda x, **replacements: x)

for _rule in TABLE.values():
    if isinstance(_rule, Composition):
        if _rule.function not in FUNCTIONS and not isinstance(_rule.function, np.ufunc):
            register(_rule.function, _rule.call)
    elif _rule.formula is not None and _rule not in FUNCTIONS:
        register(_rule, _rule.formula)
