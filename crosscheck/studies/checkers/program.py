"""A NumPy program with its derivatives by refgrad, for frameworks that know arrays alone.

    f: x -> y        tangent: (x, v) -> f'(x)[v]        adjoint: (x, g) -> f'(x)*[g]

Both are programs again, with tangents and adjoints of their own, so that a framework sees
derivatives of any order as refgrad computes them: a fault in one of refgrad's rules is a fault in
the framework's function.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from refgrad import jvp, vjp


class Program:
    """``program(*arrays)`` is a tuple of arrays.

    function   of arrays (traced ones too), returning a tuple of `results` of them
    arguments  how many arrays it takes
    shapes     of the arguments (or all that has shape and dtype) to those of the results
    base       the program whose tangent this is; it is linear in the latter half of its arguments
               then
    """

    def __init__(self, function, arguments, results, shapes, base=None):
        self.function, self.arguments, self.results = function, arguments, results
        self.shapes, self.base = shapes, base

    @classmethod
    def of(cls, function, arguments, result=None):
        """The program of a NumPy function that returns one array; `result` is one such, if shapes
        are asked for."""
        return cls(lambda *arrays: (function(*arrays),), arguments, 1, lambda *like: (result,))

    def __call__(self, *arrays):
        return tuple(map(np.asarray, self.function(*arrays)))

    def pull(self, *arrays):
        """g -> f'(x)*[g] at one x, which is recorded once."""
        return vjp(self.function, *arrays)[1]

    @cached_property
    def tangent(self):
        n = self.arguments
        return Program(lambda *xv: jvp(self.function, xv[:n], xv[n:])[1], 2 * n, self.results,
                       lambda *xv: self.shapes(*xv[:n]), base=self)

    @cached_property
    def adjoint(self):
        n = self.arguments
        return Program(lambda *xg: self.pull(*xg[:n])(xg[n:]), n + self.results, n,
                       lambda *xg: xg[:n])
