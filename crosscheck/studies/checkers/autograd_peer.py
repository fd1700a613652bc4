"""HIPS autograd's check_grads on a NumPy program."""

from __future__ import annotations

from functools import cache

import numpy as np
from autograd.extend import defjvp_argnums, defvjp_argnums, primitive
from autograd.test_util import check_grads

from .answer import Refused
from .program import Program


def check(program, arrays):
    """Raise Refused if HIPS autograd's checker calls a derivative of the program wrong, by any
    argument."""
    try:
        check_grads(function(program), tuple(range(len(arrays))))(*arrays)
    except AssertionError as error:
        raise Refused(str(error)) from error


def function(program):
    """The program as a function of HIPS autograd, its derivatives of every order by refgrad."""
    def call(*arrays):
        return _primitive(Program.of(program, len(arrays)))(*arrays)[0]
    return call


@cache
def _primitive(program):
    n = program.arguments

    @primitive
    def call(*arrays):
        return program(*arrays)

    def vjp(argnums, y, x, options):
        def pull(g):
            found = _primitive(program.adjoint)(*x, *g)
            return tuple(found[i] for i in argnums)
        return pull

    def jvp(argnums, tangents, y, x, options):
        v = dict(zip(argnums, tangents))
        return _primitive(program.tangent)(*x,
                                           *(v.get(i, np.zeros(np.shape(x[i]))) for i in range(n)))

    defvjp_argnums(call, vjp)
    defjvp_argnums(call, jvp)
    return call
