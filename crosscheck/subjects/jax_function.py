"""A JAX function on trial, custom rules included, as jax.vjp and jax.jvp differentiate it.

Operation by operation JAX compiles each of them for each shape, and a loop at each call; so values
and derivatives are compiled as a whole, with jax.jit, where that gives what the function gives.
"""

from __future__ import annotations

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from ..formats import finest
from ..modes import Mode
from .libraries.jax_library import LIBRARY
from .subject import Subject, Unanswered, Untouched, cotangents, results

#: A compiled function is the same if its values are the same to this.
ALIKE = 1e-3


class JaxFunction(Subject):
    """A function of JAX arrays. The inputs that are checked are NumPy arrays, converted to JAX
    arrays.

    programs  (what, ids of the constants) -> (the compiled function, the constants that it holds)
    """

    unproved = ("it is a JAX function, checked through jax.vjp and jax.jvp. The same in NumPy "
                "would be proved: give it as reference=, or check it itself with JAX's rule "
                "as vjp=")

    def __init__(self, f, arguments, dtypes):
        super().__init__(f, arguments, dtypes)
        self.programs = {}

    def arrays(self, x, dtype):
        return {k: jnp.asarray(a, dtype) for k, a in x.items()}

    def cast(self, a, dtype):
        return jnp.asarray(a, dtype)

    @cached_property
    def compiles(self):
        """Does f give the same when it is called again, and when it is compiled?  Not if it keeps
        state, or looks at the numbers in Python."""
        with jax.enable_x64():
            x = self.arrays(self.inputs(), finest(self.dtypes))
            try:
                first, second = (self._value(x) for _ in range(2))
                compiled = jax.jit(self._value)(x)
            except Exception:
                return False
            finally:
                self.state.put_back()
            return all(np.array_equal(a, b, equal_nan=True)
                       and np.allclose(a, c, rtol=ALIKE, atol=ALIKE, equal_nan=True)
                       for a, b, c in zip(first, second, compiled))

    def _run(self, what, function, *args):
        """``function(*args)``, compiled where that works; `what` says which function it is."""
        if not self.compiles:
            return function(*args)
        # A compiled function holds the inputs that are not differentiated as they were.
        held = tuple(self.constants.values())
        key = what, tuple(map(id, held))
        if key not in self.programs:
            self.programs[key] = jax.jit(function), held
        try:
            return self.programs[key][0](*args)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            # At other shapes it looks at the numbers in Python.
            return function(*args)

    def _value(self, x):
        return results(self.call(x))

    def value(self, x, dtype, layout=None):
        """The layout is ignored: JAX does not let one choose it."""
        with jax.enable_x64():
            return [np.asarray(y) for y in self._run("value", self._value, self.arrays(x, dtype))]

    def program(self):
        return None

    def reference(self, function):
        return lambda x: results(self.arguments.call(function, self.arguments.filled(x, {
            n: np.asarray(a) if isinstance(a, jax.Array) else a
            for n, a in self.constants.items()})))

    def overwrites(self, dtype):
        return []  # JAX's arrays cannot be

    def may_decline(self, mode, error):
        """A function with a custom_vjp has no forward mode."""
        return mode != Mode.REVERSE

    def answer(self, mode, x, weights, u, v, dtype, layout=None):
        with jax.enable_x64():
            x, u, v = (self.arrays(d, dtype) for d in (x, u, v))
            weights = [jnp.asarray(w, dtype) for w in weights]

            def derivative(x, weights, u, v):
                def scalar(x):
                    return sum(jnp.sum(y * w) for y, w in zip(self._value(x), weights))
                return LIBRARY.differentiate(mode, scalar, x, u, v)

            return LIBRARY.numpy(self._run(mode, derivative, x, weights, u, v))

    def pull(self, x, weights, dtype, layout):
        with jax.enable_x64():
            ys, pull = jax.vjp(self._value, self.arrays(x, dtype))
            if len(ys) != len(weights):
                raise Unanswered("another number of results")
            weights = [jnp.asarray(w, dtype) for w in weights]
            given = Untouched(cotangents([np.asarray(w) for w in weights]))
            first, second = (LIBRARY.numpy(pull(weights)[0]) for _ in range(2))
            return first, second, given.touched()
