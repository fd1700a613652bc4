"""Primitives of the user's own: a function with its jvp and vjp."""

from __future__ import annotations

import inspect
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
    """A function whose derivative the user declares.  Positional arguments are arrays, keyword
    arguments parameters."""

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
        """Declare ``rule(g, y, *arrays, **params) -> a cotangent (or None) for each array``;
        returns the rule."""
        self.user_vjp = rule
        return rule

    def _checked(self, function, *arrays, **params):
        result = on_arguments(f"custom {self.name}", function, arrays, params)
        if isinstance(result, (tuple, list, dict)):
            raise TypeError(f"custom {self.name}: the function returned {describe(result)}; "
                            "expected one array. Declare a primitive for each result, or stack "
                            "them.")
        return own(self._floats(result, "the function"))

    def _floats(self, x, who):
        """What the user's function or rule returned, as an array of floats."""
        if not hasattr(x, "dtype"):
            x = np.asarray(x)
        kind = getattr(x.dtype, "kind", None)
        if kind in "biu" and type(x) is not Tracer:
            x = x.astype(float)
        elif kind not in "fO":
            raise TypeError(f"custom {self.name}: {who} returned {describe(x)}; expected an array "
                            "of real numbers")
        return x

    def _given(self, form, rule, first, kept, arrays, params):
        """What a rule of the user returns; an error says the form of the call that the rule does
        not take."""
        try:
            return on_arguments(f"custom {self.name}: its {form[:3]}", partial(rule, first),
                                (kept, *arrays), params)
        except TypeError as error:
            if not _takes(rule, first, kept, *arrays, **params):
                raise TypeError(f"custom {self.name}: a rule is called as {form}, where y is the "
                                f"result and the arrays are the {len(arrays)} that the function "
                                f"was given; {error}") from None
            raise

    def pull(self, g, kept, arrays, params, wanted):
        outside_the_walk()
        if self.user_vjp is None:
            raise NotImplementedError(f"custom {self.name}: reverse mode needs its vjp, a function "
                                      "that gives a cotangent for each array argument; declare it "
                                      f"with @{self.name}.def_vjp")
        given = self._given("vjp(g, y, *arrays, **parameters)", self.user_vjp, own(g), kept,
                            arrays, params)
        if not isinstance(given, (tuple, list)):
            given = (given,)
        if len(given) != len(arrays):
            raise ValueError(f"custom {self.name}: its vjp returned {len(given)} cotangents; "
                             f"expected {len(arrays)}, one for each array argument (None for zero)")
        # A user's rule may hand out an array that it keeps, so what it returns is copied.
        return [None if given[i] is None
                else own(fit(self._floats(given[i], "its vjp"), arrays[i], self, i))
                for i in wanted]

    def push(self, tangents, kept, arrays, params, result):
        if self.user_jvp is None:
            raise NotImplementedError(f"custom {self.name}: forward mode needs its jvp; declare it "
                                      f"with @{self.name}.def_jvp")
        filled = tuple(np.zeros_like(a) if v is None else own(v) for v, a in zip(tangents, arrays))
        tangent = self._given("jvp(tangents, y, *arrays, **parameters)", self.user_jvp, filled,
                              kept, arrays, params)
        tangent = self._floats(tangent, "its jvp")
        if shape_of(tangent) != shape_of(result):
            raise ValueError(f"custom {self.name}: its jvp returned shape {shape_of(tangent)}; "
                             f"expected {shape_of(result)}, the shape of the result")
        return in_dtype_of(result, own(tangent))


def _takes(function, *args, **kwargs):
    """Whether a call with these arguments fits the function's signature, as far as it has one."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # no signature
        return True
    return True


def custom(function: Function) -> Custom:
    """Declare a function as a primitive; then give it its rules with ``.def_jvp`` and ``.def_vjp``.

        @custom
        def scaled_exp(x, k):
            return np.exp(k * x)

        @scaled_exp.def_jvp              # f'(x)[v]: a tangent for each argument, y is the result
        def _(tangents, y, x, k):
            dx, dk = tangents
            return y * (k * dx + x * dk)

        @scaled_exp.def_vjp              # f'(x)*[g]: a cotangent for each argument, None for zero
        def _(g, y, x, k):
            return g * y * k, g * y * x

        i0 = custom(np.i0)               # a function of NumPy or SciPy that has no rule

    Positional arguments are arrays; keyword arguments are parameters and have no derivative.
    Rules that are written with NumPy functions can be differentiated again.

    Reverse mode raises NotImplementedError without a vjp, forward mode without a jvp.
    """
    return Custom(function)
