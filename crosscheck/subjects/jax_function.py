"""A JAX function on trial, custom rules included, as jax.vjp and jax.jvp differentiate it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..modes import Mode
from .libraries.jax_library import LIBRARY
from .subject import Subject, Unanswered, Untouched, cotangents, results


class JaxFunction(Subject):
    """A function of JAX arrays. The inputs that are checked are NumPy arrays, converted to JAX
    arrays."""

    unproved = ("it is a JAX function, checked through jax.vjp and jax.jvp. The same in NumPy "
                "would be proved: give it as reference=, or check it itself with JAX's rule "
                "as vjp=")

    def arrays(self, x, dtype):
        return {k: jnp.asarray(a, dtype) for k, a in x.items()}

    def cast(self, a, dtype):
        return jnp.asarray(a, dtype)

    def value(self, x, dtype, layout=None):
        """The layout is ignored: JAX does not let one choose it."""
        with jax.enable_x64():
            return [np.asarray(y) for y in results(self.call(self.arrays(x, dtype)))]

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

            def scalar(x):
                return sum(jnp.sum(y * w) for y, w in zip(results(self.call(x)), weights))

            return LIBRARY.numpy(LIBRARY.differentiate(mode, scalar, x, u, v))

    def pull(self, x, weights, dtype, layout):
        with jax.enable_x64():
            ys, pull = jax.vjp(lambda x: results(self.call(x)), self.arrays(x, dtype))
            if len(ys) != len(weights):
                raise Unanswered("another number of results")
            weights = [jnp.asarray(w, dtype) for w in weights]
            given = Untouched(cotangents([np.asarray(w) for w in weights]))
            first, second = (LIBRARY.numpy(pull(weights)[0]) for _ in range(2))
            return first, second, given.touched()
