"""The modes of differentiation, each composed of gradients and jvps, whichever library computes
these.

Each mode takes f (a scalar function of a dict of arrays), the point x and two directions u, v of
the same structure, and returns a dict: derivatives by name of the array that they belong to, "*"
for one that belongs to all.

    reverse                 the gradient
    forward                 <gradient, v>, for each array along its own part of v
    A over B                the Hessian times v, by mode A applied to mode B; forward over forward
                            gives u' H v
"""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """A mode by its name, as tables have it."""

    REVERSE = "reverse"
    FORWARD = "forward"
    REVERSE_OVER_REVERSE = "reverse over reverse"
    FORWARD_OVER_REVERSE = "forward over reverse"
    REVERSE_OVER_FORWARD = "reverse over forward"
    FORWARD_OVER_FORWARD = "forward over forward"

    @property
    def order(self):
        """1 for the gradient's modes, 2 for those of the Hessian."""
        return 1 if self in FIRST_ORDER else 2

    def names(self, arrays):
        """The names under which its derivatives come, for arrays of these names."""
        return [ALL] if self is Mode.FORWARD_OVER_FORWARD else list(arrays)

    def differentiate(self, by, f, x, u, v):
        """The derivatives of f, as `by` computes them: what has ``grad(f)``,
        ``jvp(f, primals, tangents)`` and ``inner(a, b)``, the inner product over all arrays of two
        dicts."""
        return COMPOSED[self](by, f, x, u, v)


#: The name of a derivative that belongs to all arrays together.
ALL = "*"

FIRST_ORDER = (Mode.REVERSE, Mode.FORWARD)

#: mode -> function ``(by, f, x, u, v)``
COMPOSED = {
    Mode.REVERSE: lambda by, f, x, u, v: by.grad(f)(x),
    Mode.FORWARD: lambda by, f, x, u, v: {
        k: by.jvp(lambda part, k=k: f({**x, k: part}), (x[k],), (v[k],))[1] for k in x},
    Mode.REVERSE_OVER_REVERSE: lambda by, f, x, u, v:
        by.grad(lambda x: by.inner(by.grad(f)(x), v))(x),
    Mode.FORWARD_OVER_REVERSE: lambda by, f, x, u, v: by.jvp(by.grad(f), (x,), (v,))[1],
    Mode.REVERSE_OVER_FORWARD: lambda by, f, x, u, v:
        by.grad(lambda x: by.jvp(f, (x,), (v,))[1])(x),
    Mode.FORWARD_OVER_FORWARD: lambda by, f, x, u, v: {
        ALL: by.jvp(lambda x: by.jvp(f, (x,), (v,))[1], (x,), (u,))[1]},
}
