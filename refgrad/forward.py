"""Forward mode: every array carries its tangent along.

The tangent of y = f(x) is f'(x)[v], computed beside y: one pass gives one directional derivative.
With `count` directions the tangents are stacked on a first axis of their own and all go through in
one pass.
"""

from __future__ import annotations

import numpy as np

from .errors import encloses_itself
from .primitive import shape_of
from .tracer import Level, Tracer


class Tangents(Level):
    """The level of forward mode.  A tracer's mark is its tangent."""

    def __init__(self, count=None):
        super().__init__()
        self.count = count

    def variable(self, value, tangent):
        return Tracer(value, self, tangent)

    def constant(self, value):
        stack = () if self.count is None else (self.count,)
        return Tracer(value, self, np.zeros_like(value, shape=stack + shape_of(value)))

    def process(self, primitive, arrays, params):
        values, tangents, varies = [], [], False
        rules = primitive.vjp
        for i, a in enumerate(arrays):
            tangent = None
            if type(a) is Tracer and a.level is self:
                if rules[i] is not None:
                    tangent, varies = a.mark, True
                a = a.value
            values.append(a)
            tangents.append(tangent)
        result, kept = primitive.trace(values, params)
        if type(result) is Tracer and result.level.number >= self.number:
            raise encloses_itself(primitive.name)
        if not varies:
            return result
        if self.count is None:
            tangent = primitive.push(tangents, kept, values, params, result)
        else:
            tangent = primitive.push_stack(tangents, kept, values, params, result, self.count)
        if primitive.multiple:
            return tuple(map(self.variable, result, tangent))
        return self.variable(result, tangent)

    def tangent(self, x):
        """The tangent of a result; None if it does not depend on the inputs."""
        return x.mark if self.traces(x) else None
