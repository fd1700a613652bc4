"""Primitives of the user's own: a function with its jvp and vjp.

    @custom
    def swish(x, beta):
        return x / (1 + np.exp(-beta * x))

    @swish.def_jvp                       # f'(x)[v]: one tangent for each argument, zeros where it does not vary
    def _(tangents, y, x, beta):
        dx, dbeta = tangents
        s = y / x
        return ...

    @swish.def_vjp                       # f'(x)*[g]: one cotangent for each argument, None for zero
    def _(g, y, x, beta):
        return g_x, g_beta

Rules written with NumPy functions can be differentiated again.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .errors import describe
from .hints import Function
from .primitive import EVERY, Primitive, fit, in_dtype_of, shape_of
from .reverse import outside_the_walk
from .tracer import Tracer
from .transforms import own
from .writing import on_arguments


class Custom(Primitive):
    """A function whose derivative the user declares.  Positional arguments are arrays, keyword arguments parameters."""

    def __init__(self, function):
        if not callable(function):
            raise TypeError(f"custom: expected a function, got {describe(function)}")
        super().__init__(None, function.__doc__ or "", name=getattr(function, "__name__", "custom"),
                         forward=partial(self._checked, function), vjp=EVERY)
        self.user_jvp = self.user_vjp = None

    def def_jvp(self, rule: Function) -> Function:
        """Declare ``rule(tangents, y, *arrays, **params) -> tangent of y``; returns the rule."""
        self.user_jvp = rule
        return rule

    def def_vjp(self, rule: Function) -> Function:
        """Declare ``rule(g, y, *arrays, **params) -> a cotangent (or None) for each array``; returns the rule."""
        self.user_vjp = rule
        return rule

    def _checked(self, function, *arrays, **params):
        result = on_arguments(f"custom {self.name}", function, arrays, params)
        if isinstance(result, (tuple, list, dict)):
            raise TypeError(f"custom {self.name}: the function returned {describe(result)}; expected one array. "
                            f"Declare a primitive for each result, or stack them.")
        return own(self._floats(result, "the function"))

    def _floats(self, x, who):
        """What the user's function or rule returned, as an array of floats."""
        if not hasattr(x, "dtype"):
            x = np.asarray(x)
        kind = getattr(x.dtype, "kind", None)
        if kind in "biu" and type(x) is not Tracer:
            x = x.astype(float)
        elif kind not in "fO":
            raise TypeError(f"custom {self.name}: {who} returned {describe(x)}; expected an array of real numbers")
        return x

    def pull(self, g, kept, arrays, params, wanted):
        outside_the_walk()
        if self.user_vjp is None:
            raise NotImplementedError(f"custom {self.name}: reverse mode needs its vjp, a function that gives "
                                      f"a cotangent for each array argument; declare it with @{self.name}.def_vjp")
        given = on_arguments(f"custom {self.name}: its vjp", self.user_vjp, (own(g), kept, *arrays), params)
        if not isinstance(given, (tuple, list)):
            given = (given,)
        if len(given) != len(arrays):
            raise ValueError(f"custom {self.name}: its vjp returned {len(given)} cotangents; expected {len(arrays)}, "
                             f"one for each array argument (None for zero)")
        # A user's rule may hand out an array that it keeps, so what it returns is copied.
        return [None if given[i] is None else own(fit(self._floats(given[i], "its vjp"), arrays[i], self, i))
                for i in wanted]

    def push(self, tangents, kept, arrays, params, result):
        if self.user_jvp is None:
            raise NotImplementedError(f"custom {self.name}: forward mode needs its jvp; declare it with "
                                      f"@{self.name}.def_jvp")
        filled = tuple(np.zeros_like(a) if v is None else own(v) for v, a in zip(tangents, arrays))
        tangent = on_arguments(f"custom {self.name}: its jvp", partial(self.user_jvp, filled), (kept, *arrays), params)
        tangent = self._floats(tangent, "its jvp")
        if shape_of(tangent) != shape_of(result):
            raise ValueError(f"custom {self.name}: its jvp returned shape {shape_of(tangent)}; expected "
                             f"{shape_of(result)}, the shape of the result")
        return in_dtype_of(result, own(tangent))


def custom(function: Function) -> Custom:
    """Declare a function as a primitive; then give it its rules with ``.def_jvp`` and ``.def_vjp``.

    Reverse mode raises NotImplementedError without a vjp, forward mode without a jvp.
    """
    return Custom(function)
