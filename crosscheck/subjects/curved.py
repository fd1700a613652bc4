"""Curved functions, with rules of their own, that surround an operation whose second derivatives
are tested.

The derivative of a rule's result with respect to its cotangent, or tangent, is part of the second
derivative.  If it is wrong, that shows only where the cotangent or tangent depends on the inputs.
So the arguments go through a curved function first, and so do the results.  These functions use no
primitives of the table, whose faults would be taken for those of the operation.
"""

from __future__ import annotations

import numpy as np

from refgrad import grad, jvp
from refgrad.primitive import Each, Primitive


def _own(name, forward, **rules):
    return Primitive(None, "", name=name, forward=forward, **rules)


#: a . b, of one shape
_product = _own("product", lambda a, b: a * b,
                jvp=(lambda v, b: _product(v, b), lambda v, a: _product(a, v)),
                vjp=(lambda g, b: _product(g, b), lambda g, a: _product(a, g)))

#: 1 + k (x - c), the slope of the next
_slope = _own("slope", lambda x, c, k: 1 + k * (x - c),
              jvp=(lambda v, k: _scaled(v, k=k), None, None),
              vjp=(lambda g, k: _scaled(g, k=k), None, None))

#: k x
_scaled = _own("scaled", lambda x, k: k * x, jvp=(lambda v, k: _scaled(v, k=k),),
               vjp=(lambda g, k: _scaled(g, k=k),))

#: x + k (x - c)^2 / 2: at c it is x, with slope 1 and curvature k
_bent = _own("bent", lambda x, c, k: x + k * (x - c) * (x - c) / 2,
             jvp=(lambda v, x, c, k: _product(v, _slope(x, c, k)), None, None),
             vjp=(lambda g, x, c, k: _product(g, _slope(x, c, k)), None, None))

#: <w_1, y_1> + <w_2, y_2> + ..., and w h for a number h
_inner = _own("inner product", lambda *ys, ws: sum(np.sum(w * y) for w, y in zip(ws, ys)),
              jvp=Each(lambda i, v, ws: _inner(v, ws=(ws[i],))),
              vjp=Each(lambda i, h, ws: _times(h, w=ws[i])))
_times = _own("times", lambda h, w: h * w, jvp=(lambda v, w: _times(v, w=w),),
              vjp=(lambda g, w: _inner(g, ws=(w,)),))

#: (x + x') / 2
_symmetric = _own("symmetric", lambda x: (x + np.swapaxes(x, -1, -2)) / 2,
                  jvp=(lambda v: _symmetric(v),), vjp=(lambda g: _symmetric(g),))


def symmetric(x):
    """The symmetric part of matrices."""
    return _symmetric(x)


def bent(x, at, much=1.0):
    """x, with a curvature that suits the size of its entries, times `much`."""
    size = np.maximum(np.abs(at.mid()), np.max(np.abs(at.mid()), initial=0.0) / 2 ** 30)
    with np.errstate(divide="ignore", over="ignore"):
        return _bent(x, at, np.where((size > 0) & np.isfinite(1 / size), much / size, much))


def inner_product(ys, weights):
    """<weights, ys> over several arrays."""
    return _inner(*ys, ws=tuple(weights))


class OUTSIDE_THE_TABLE:
    """Gradient, slope and inner product for `Mode.differentiate`."""

    grad, jvp = staticmethod(grad), staticmethod(jvp)

    @staticmethod
    def inner(a, b):
        return _inner(*a.values(), ws=tuple(b.values()))
