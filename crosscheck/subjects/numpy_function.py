"""A NumPy function on trial: with refgrad's derivatives, or with those that somebody wrote."""

from __future__ import annotations

from functools import partial

import numpy as np

from refgrad import jacobian, vjp
from refgrad.errors import InPlaceWrite, LostTrace, NoRule
from refgrad.tree import flatten, unflatten

from ..modes import Mode
from .libraries.refgrad_library import LIBRARY as REFGRAD
from .subject import (Misconduct, Subject, Untouched, cotangents, is_real, results,
                      shared_as_given, weighed)


class Differentiated(Subject):
    """A NumPy function that refgrad differentiates; it may call primitives that the user
    declared."""

    by_refgrad = True

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.extra = {"many at once, forward": (Mode.FORWARD, self._stacked, False)}

    def pull(self, x, weights, dtype, layout):
        x = shared_as_given(x, lambda a: layout(np.array(a, dtype)))
        weights = [layout(np.asarray(w, dtype)) for w in weights]
        given = Untouched({**x, **cotangents(weights)})
        pull = vjp(lambda x: self.program()(x), x)[1]
        first, second = pull(weights)[0], pull(weights)[0]
        return first, second, given.touched()

    def may_decline(self, mode, error):
        """refgrad refuses loudly what it cannot trace, and a primitive may have a rule for one mode
        alone."""
        return isinstance(error, (NotImplementedError, NoRule, InPlaceWrite, LostTrace))

    def _stacked(self, x, weights, u, v, dtype):
        """Several tangents in one pass: the slopes along v and u as the Jacobian of t -> s(x + t_0
        v + t_1 u)."""
        x, u, v = ({k: np.array(a, dtype) for k, a in d.items()} for d in (x, u, v))
        s = weighed(self.program(), [np.asarray(w, dtype) for w in weights])
        return {k: jacobian(lambda t, k=k: s({**x, k: x[k] + t[0] * v[k] + t[1] * u[k]}),
                            mode="forward")(
                                np.zeros(2, dtype))[0] for k in x}

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        x, u, v = ({k: layout(np.array(a, dtype)) for k, a in d.items()} for d in (x, u, v))
        return self.on_balls(mode, x, [layout(np.array(w, dtype)) for w in weights], u, v)

    def on_balls(self, mode, x, weights, u, v):
        return REFGRAD.differentiate(mode, weighed(self.program(), weights), x, u, v)


class HandWritten(Subject):
    """A function with a gradient, a vjp or a jvp that somebody wrote.

    gradient  ``gradient(*inputs)``: for one number as the result; an array for each input that is
              differentiated
    vjp       ``vjp(g, *inputs)``: the same for any result, whose cotangent is g (in the result's
              nest)
    jvp       ``jvp(tangents, *inputs)``: the tangent of the result, given a tuple of tangents
    """

    def __init__(self, f, arguments, dtypes, gradient=None, vjp=None, jvp=None):
        super().__init__(f, arguments, dtypes)
        self.gradient, self.vjp, self.jvp = gradient, vjp, jvp
        backward = vjp is not None or gradient is not None
        self.modes = (Mode.REVERSE,) * backward + (Mode.FORWARD,) * (jvp is not None)

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        x, v = ({k: layout(np.array(a, dtype)) for k, a in d.items()} for d in (x, v))
        return self.on_balls(mode, x, [layout(np.array(w, dtype)) for w in weights], u, v)

    def on_balls(self, mode, x, weights, u, v):
        return self._reverse(x, weights) if mode == Mode.REVERSE else self._forward(x, weights, v)

    def pull(self, x, weights, dtype, layout):
        if Mode.REVERSE not in self.modes:
            return super().pull(x, weights, dtype, layout)
        x = shared_as_given(x, lambda a: layout(np.array(a, dtype)))
        weights = [layout(np.asarray(w, dtype)) for w in weights]
        given = Untouched({**x, **cotangents(weights)})
        handed_out = Untouched({f"the gradient of {k} that came before": g
                                for k, g in self._reverse(x, weights).items()})
        second = {k: np.copy(g) for k, g in self._reverse(x, weights).items()}
        # If a buffer was reused, its numbers have changed.
        self._reverse(x, [-2 * w for w in weights])
        return (dict(zip(x, handed_out.before.values())), second,
                given.touched() + handed_out.touched())

    def _reverse(self, x, weights):
        if self.vjp is not None:
            backward = partial(self.vjp, self._nest(self.call(x), weights))
        else:
            self.call(x)  # state that a method saves for its gradient
            backward = self.gradient
        given = self.arguments.call(backward, self.filled(x))
        try:
            given = dict(zip(x, self.arguments.like(given)))
        except ValueError as error:
            raise Misconduct(str(error)) from None
        for k in (k for k, g in given.items() if g is None):
            given[k] = np.zeros_like(x[k])
            self.remarks[k] = (f"its code returns None for {k}, taken for zeros: return an array, "
                               "or leave it out with argnums")
        given = self.projected(given)
        return given if self.vjp is not None else {k: g * weights[0] for k, g in given.items()}

    def _forward(self, x, weights, v):
        slopes, v = {}, self.projected(v)
        for k in x:
            tangents = tuple(v[n] if n == k else np.zeros_like(a) for n, a in x.items())
            parts = results(self.arguments.call(partial(self.jvp, tangents), self.filled(x)))
            if [np.shape(t) for t in parts] != [np.shape(w) for w in weights]:
                raise Misconduct(f"tangents of the shapes {[np.shape(t) for t in parts]} came, "
                                 f"{[np.shape(w) for w in weights]} were expected, as the results")
            slopes[k] = sum(np.sum(t * w) for t, w in zip(parts, weights))
        return slopes

    def _nest(self, y, weights):
        """The weights in the nest of the result; zeros for what is not made of floats."""
        leaves, structure = flatten(y)
        left = iter(weights)
        return unflatten(structure,
                         [next(left) if is_real(a) else np.zeros(np.shape(a)) for a in leaves])
