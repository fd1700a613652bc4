"""JAX's check_grads on a NumPy program."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad
from jax.test_util import check_grads

from .answer import Refused
from .program import Program


def check(program, arrays, order=2):
    """Raise Refused if JAX's checker calls a derivative of the program wrong, in either mode, up to
    `order`."""
    with jax.enable_x64():
        try:
            check_grads(function(program, arrays), tuple(map(jnp.asarray, arrays)), order=order)
        except AssertionError as error:
            raise Refused(str(error)) from error


def function(program, example):
    """The program as a JAX function, for arrays like those of the example; derivatives of every
    order by refgrad."""
    whole = Program.of(program, len(example), np.asarray(program(*example)))
    return lambda *arrays: _numpy.bind(*arrays, program=whole)[0]


#: Evaluates a `Program`.  Nothing is compiled, so NumPy runs where JAX would run it: no callbacks.
_numpy = Primitive("numpy")
_numpy.multiple_results = True


@_numpy.def_impl
def _run(*arrays, program):
    return [jnp.asarray(y) for y in program(*map(np.asarray, arrays))]


@_numpy.def_abstract_eval
def _shapes(*like, program):
    return [jax.core.ShapedArray(a.shape, a.dtype) for a in program.shapes(*like)]


def _jvp(x, v, *, program):
    return (_numpy.bind(*x, program=program),
            _numpy.bind(*x, *map(ad.instantiate_zeros, v), program=program.tangent))


def _transpose(g, *arguments, program):
    """f'(x)[.] turned into f'(x)*[.]; only tangents are unknown in what is transposed."""
    n = program.base.arguments
    found = _numpy.bind(*arguments[:n], *map(ad.instantiate_zeros, g), program=program.base.adjoint)
    return [None] * n + [c if ad.is_undefined_primal(v) else None
                         for v, c in zip(arguments[n:], found)]


ad.primitive_jvps[_numpy] = _jvp
ad.primitive_transposes[_numpy] = _transpose
