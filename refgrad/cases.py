"""Sample arguments for primitives, as data: the op table is the test table.

A case names shapes, not numbers; `draw` turns it into arrays.  The numbers are exactly
representable in float32, so that every arithmetic sees the same point, and lie in the domain that
the case names.
"""

from __future__ import annotations

from typing import NamedTuple
from collections.abc import Callable

import numpy as np

#: From a domain's name to a function of standard normal numbers.
DOMAINS = {
    None: lambda z: z,
    "positive": lambda z: np.abs(z) + 0.25,
    "nonzero": lambda z: z + 0.25 * np.sign(z),
    "above one": lambda z: np.abs(z) + 1.25,
    "inside one": lambda z: np.tanh(z) * 0.9,
    "above minus one": lambda z: np.abs(z) - 0.5,
    "symmetric": lambda z: z + np.swapaxes(z, -1, -2),
    "positive definite": lambda z: z @ np.swapaxes(z, -1, -2) + np.eye(z.shape[-1]),
    "singular": lambda z: np.concatenate([z[..., :-1, :], z[..., :1, :]], axis=-2),
    "probabilities": lambda z: np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True),
    "unit interval": lambda z: 1 / (1 + np.exp(-z)),
}

#: From a domain's name to the powers of ten, smallest and largest, times which its numbers stay in
#: it (in float64; the same share of the range of any other format).
REACH = {
    None: (-300, 300), "positive": (-300, 300), "nonzero": (-300, 300), "above one": (0, 300),
    "inside one": (-300, 0), "above minus one": (-300, 0), "symmetric": (-300, 300),
    "positive definite": (-300, 300), "singular": (-300, 300),
    "probabilities": (0, 0), "unit interval": (-300, 0),
}

#: Scales of which a third derivative takes the fourth power on its way, without under- or overflow.
FOURTH = -75, 75


class Kink(NamedTuple):
    """A point where a function is not differentiable.

    at          the arguments, as nested lists of numbers
    slopes      for each argument the convention: the Jacobian that the rule gives
    says        the convention in words
    params      further parameters of the call
    call        how to call, where it is not ``function(*at, **params)``
    """

    at: tuple
    slopes: tuple
    says: str
    params: dict = {}
    call: Callable | None = None


class Fixed:
    """An argument that is not drawn: integers, masks, None."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return repr(self.value)


class Case:
    """``Case((3, 4), axis=1)``: the function called on one drawn array, with a parameter.

    arrays  shapes to draw, or `Fixed` values
    domain  one name of DOMAINS, or one for each array
    call    how to call, where it is not ``function(*arrays, **params)``: a function of the arrays
    near    numbers near which a formula might cancel although the function is smooth there: digits
            are counted there, as they are at all scales; each is one number for all arrays, or a
            tuple with one for each
    scales  the powers of ten, smallest and largest, by which all arrays may be scaled, where it is
            not their domain's
    """

    def __init__(self, *arrays, domain=None, call=None, near=(), scales=None, **params):
        self.arrays, self.params, self.call, self.near, self.scales = (arrays, params, call,
                                                                       near, scales)
        self.domains = domain if isinstance(domain, tuple) else (domain,) * len(arrays)
        unknown = set(self.domains) - set(DOMAINS)
        if unknown:
            raise ValueError(f"case: unknown domain {unknown}; known: {sorted(map(str, DOMAINS))}")

    def __repr__(self):
        parts = [str(a) for a in self.arrays]
        parts += [f"{k}={getattr(v, '__name__', None) or repr(v)}" for k, v in self.params.items()]
        return f"({', '.join(parts)})"

    def program(self, function):
        """The case as a function of its drawn arrays alone."""
        fixed = [a.value if isinstance(a, Fixed) else None for a in self.arrays]
        drawn = [i for i, a in enumerate(self.arrays) if not isinstance(a, Fixed)]
        target = self.call or (lambda *arrays: function(*arrays, **self.params))

        def program(*arrays):
            full = list(fixed)
            for i, a in zip(drawn, arrays):
                full[i] = a
            return target(*full)

        return program

    def draw(self, rng):
        """The drawn arrays: float64 with float32-representable entries."""
        return tuple(sample(rng, a, d) for a, d in zip(self.arrays, self.domains)
                     if not isinstance(a, Fixed))

    def reaches(self):
        """For each drawn array the powers of ten, smallest and largest, by which it may be
        scaled."""
        return [self.scales or REACH[d] for a, d in zip(self.arrays, self.domains)
                if not isinstance(a, Fixed)]


def sample(rng, shape, domain=None):
    """An array of that shape in that domain, every entry exactly representable in float32."""
    return DOMAINS[domain](rng.standard_normal(shape)).astype(np.float32).astype(np.float64)
