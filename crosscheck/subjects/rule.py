"""Tests one rule: a single operation of a traced program, at the values that it was given there.

In floats its own vjp and jvp run directly on plain arrays.  On balls refgrad's transforms
differentiate it, to second order between curved functions with rules of their own (see `curved`).
In neither does another rule of the table take part, so that a fault in np.multiply does not show in
the rules that multiply.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from refgrad.tracer import dispatch
from refgrad.tree import flatten

from ..ball import Ball, arithmetic
from ..formats import format_named
from ..modes import Mode
from ..truth.differences import BITS, tupled
from .arguments import Arguments, is_floating
from .curved import OUTSIDE_THE_TABLE, bent, symmetric
from .subject import Misconduct, Subject, Untouched, shared_as_given, weighed

#: The dtypes in which a rule is tried.
DTYPES = ("float64", "float32")


class Rule(Subject):
    """The rules of one operation.  Its inputs are the arguments that carry a derivative, named by
    their positions.

    operation  what has `primitive`, `values`, `params` and `wanted`: a `locate.trace.Operation`
    curved     whether it stands between curved functions, which second order asks for

    An argument that is a symmetric matrix, of which the function reads one half, is made symmetric
    first.
    """

    by_refgrad, resizable = True, ()

    def __init__(self, operation, curved=False):
        names = [str(i) for i in range(len(operation.values))]
        arguments = Arguments(names, operation.values, operation.wanted)
        super().__init__(None, arguments, DTYPES, operation.primitive.name)
        self.operation, self.curved = operation, curved
        self.primitive, self.params = operation.primitive, operation.params
        self.values = operation.values
        self.results = tupled(self.primitive.evaluate(*self.values, **self.params))
        self.symmetric = {str(i) for i in operation.wanted if self._reads_one_triangle(i)}

    def value(self, x, dtype, layout=np.asarray):
        return [np.asarray(y) for y in tupled(self._run(x, dtype, layout)[1])]

    def keeps(self, dtype):
        """Are the results floats of at least that dtype if all arguments have it?"""
        least = format_named(dtype).precision
        return all(format_named(y.dtype).precision >= least
                   for y in self.value(self.inputs(), dtype) if is_floating(y))

    def program(self):
        """The operation on balls, between curved functions if it is to be."""
        def program(x):
            balls, near = self._balls
            x = {n: bent(b, balls[int(n)]) for n, b in x.items()} if self.curved else x
            arrays = [self._admitted(n, x[n]) if n in x else a
                      for n, a in zip(self.arguments.names, balls)]
            ys = tupled(dispatch(self.primitive, arrays, self.params))
            return [bent(y, at, 0.75) for y, at in zip(ys, near)] if self.curved else list(ys)
        return program

    @cached_property
    def _balls(self):
        """The arguments, and floats near the results, which are exact, too."""
        balls = [Ball(a) if is_floating(a) else a for a in self.values]
        with arithmetic(BITS[0]):
            results = tupled(self.primitive.evaluate(*balls, **self.params))
        return balls, [Ball(y.mid() if isinstance(y, Ball) else y) for y in results]

    def on_balls(self, mode, x, weights, u, v):
        return mode.differentiate(OUTSIDE_THE_TABLE, weighed(self.program(), weights), x, u, v)

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        if mode.order == 2:
            x, u, v = ({k: np.array(a, dtype) for k, a in d.items()} for d in (x, u, v))
            scalar = weighed(self._on_floats, weights)
            return mode.differentiate(OUTSIDE_THE_TABLE, scalar, x, u, v)
        values, result, kept = self._run(x, dtype, layout)
        weights = self._cotangent(weights, result, layout)
        if mode == Mode.REVERSE:
            return {k: self._pulled(k, weights, kept, values) for k in x}
        return {k: self._slope(k, layout(np.array(v[k], dtype)), weights, result, kept, values)
                for k in x}

    def pull(self, x, weights, dtype, layout):
        values, result, kept = self._run(x, dtype, layout)
        weights = self._cotangent(weights, result, layout)
        first, second = ({k: np.copy(self._pulled(k, weights, kept, values)) for k in x}
                         for _ in range(2))
        return first, second, []  # an overwritten array has raised an error already

    def may_decline(self, mode, error):
        return isinstance(error, NotImplementedError)  # it may have a rule for one mode alone

    # In floats

    def _on_floats(self, x):
        arrays = [x.get(n, a) for n, a in zip(self.arguments.names, self.values)]
        return tupled(dispatch(self.primitive, arrays, self.params))

    def _run(self, x, dtype, layout):
        """(all arguments, the result, the residuals) of a forward pass."""
        given = shared_as_given(x, lambda a: layout(np.array(a, dtype)))
        values = [self._admitted(n, given[n]) if n in x else
                  layout(np.array(a, dtype)) if is_floating(a) else a
                  for n, a in zip(self.arguments.names, self.values)]
        return values, *self.primitive.trace(values, self.params)

    def _cotangent(self, weights, result, layout):
        made = [layout(np.array(w, np.asarray(y).dtype)) for w, y in zip(weights, tupled(result))]
        return tuple(made) if self.primitive.multiple else made[0]

    def _pulled(self, name, weights, kept, values):
        i = int(name)
        with self._unharmed(weights, kept, values):
            c = self.primitive.pull(weights, kept, values, self.params, [i])[0]
        return np.zeros_like(values[i]) if c is None else self._admitted(name, c)

    def _slope(self, name, v, weights, result, kept, values):
        tangents = [None] * len(values)
        tangents[int(name)] = v = self._admitted(name, v)
        with self._unharmed(v, kept, values):
            t = self.primitive.push(tangents, kept, values, self.params, result)
        return sum(np.sum(w * t) for w, t in zip(tupled(weights), tupled(t)))

    def _unharmed(self, direction, kept, values):
        named = [("its cotangent or tangent", direction), ("the result of the forward pass", kept),
                 *((f"its argument {i}", a) for i, a in enumerate(values))]
        return Unharmed({f"{name} ({n})" if n else name: a for name, part in named
                         for n, a in enumerate(flatten(part)[0]) if isinstance(a, np.ndarray)})

    # Symmetric matrices

    def _admitted(self, name, x):
        return symmetric(x) if name in self.symmetric else x

    def _reads_one_triangle(self, i):
        x = self.values[i]
        if np.ndim(x) < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] < 2:
            return False
        size = np.max(np.abs(x), initial=0.0)
        apart = np.max(np.abs(x - np.swapaxes(x, -1, -2)), initial=0.0)
        if not apart <= x.shape[-1] * np.finfo(x.dtype).eps * size:
            return False
        for half in (np.triu(np.ones_like(x), 1), np.tril(np.ones_like(x), -1)):
            values = [*self.values[:i], x + half * size, *self.values[i + 1:]]
            moved = tupled(self.primitive.evaluate(*values, **self.params))
            if all(np.array_equal(a, b) for a, b in zip(moved, self.results)):
                return True
        return False


class Unharmed(Untouched):
    """A block that must not change the arrays; raises `Misconduct` if it does."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        touched = self.touched()
        if touched and (error is None or isinstance(error, Exception)):
            names = ", ".join(touched)
            raise Misconduct(f"it overwrites its arguments: {names}") from error
