"""One operation alone, at the values that it saw, in ball arithmetic: its function, and its own rules on plain balls.

No other rule is involved then, and a fault in np.multiply does not show in the rules that multiply.
"""

from __future__ import annotations

import numpy as np

from ..ball import Ball
from ..truth.differences import Difference, tupled
from .trace import is_floating


class Local:
    """An operation on balls, with a random cotangent and random directions, all exact."""

    def __init__(self, operation, seed):
        self.operation, self.primitive, self.params = operation, operation.primitive, operation.params
        self.values = [Ball(a) if is_floating(a) else a for a in operation.values]
        self.wanted = operation.wanted
        rng = np.random.default_rng(seed)
        results = tupled(self.primitive.evaluate(*operation.values, **self.params))
        self.symmetric = {i: _reads_one_triangle(operation, i, results) for i in self.wanted}
        self.v, self.u = ({i: self.within(i, _along(rng, operation.values[i])) for i in self.wanted} for _ in range(2))
        self.g = tuple(Ball(_normal(rng, np.shape(y))) for y in results)

    def within(self, i, v):
        """The direction, confined to symmetric matrices where the function is one of those."""
        return (v + np.swapaxes(v, -1, -2)) / 2 if self.symmetric[i] else v

    def function(self, moved=()):
        """The results with some arguments replaced."""
        values = list(self.values)
        for i, x in dict(moved).items():
            values[i] = x
        return tupled(self.primitive.evaluate(*values, **self.params))

    def rules(self):
        """(vjp, jvp): functions that run this operation's own rules on balls, and what the forward pass says."""
        result, kept = self.primitive.trace(self.values, self.params)
        g = self.g if self.primitive.multiple else self.g[0]

        def vjp(i):
            c = self.primitive.pull(g, kept, self.values, self.params, [i])[0]
            return Ball(np.zeros(self.values[i].shape)) if c is None else as_ball(c)

        def jvp(i, v):
            tangents = [v if k == i else None for k in range(len(self.values))]
            return tuple(map(as_ball, tupled(self.primitive.push(tangents, kept, self.values, self.params, result))))
        return vjp, jvp

    def along(self, i, v, h, here=None):
        """The `Difference` along v; `here` is the operation's `Place` where it is known."""
        return Difference(self.function, {i: self.values[i]}, {i: v}, h=h, here=here)

    def difference(self, i, v, h, here):
        """The central difference along v, of each result; None if it crosses a kink."""
        difference = self.along(i, v, h, here)
        return difference.quotient if difference.smooth else None


def as_ball(x):
    return x if isinstance(x, Ball) else Ball(x)


def _normal(rng, shape):
    return np.asarray(rng.standard_normal(shape))


def _along(rng, x):
    """A random direction, each entry no larger than x's own or 1: a step must not leave the domain, nor a period."""
    size = np.abs(np.asarray(x, np.float64))
    size = np.minimum(np.where(size > 0, size, np.max(size, initial=0.0) or 1.0), 1.0)
    return _normal(rng, size.shape) * size


def _reads_one_triangle(operation, i, results):
    """Whether argument i is a symmetric matrix of which the function reads one half, as Cholesky's does."""
    x = operation.values[i]
    if np.ndim(x) < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
        return False
    size = np.max(np.abs(x), initial=0.0)
    if not np.max(np.abs(x - np.swapaxes(x, -1, -2)), initial=0.0) <= x.shape[-1] * np.finfo(x.dtype).eps * size:
        return False
    for half in (np.triu(np.ones_like(x), 1), np.tril(np.ones_like(x), -1)):
        values = [*operation.values[:i], x + half * size, *operation.values[i + 1:]]
        moved = tupled(operation.primitive.evaluate(*values, **operation.params))
        if all(np.array_equal(a, b) for a, b in zip(moved, results)):
            return True
    return False


def is_finite(balls):
    return all(np.all(np.isfinite(b.abs_upper())) for b in balls)
