"""Derivatives of functions: vjp, jvp, grad, value_and_grad, jacobian, hessian, hvp.

A function takes and returns arrays, or any nesting of dict, list, tuple, namedtuple and dataclass
of arrays; derivatives come back in the same nesting.  All transforms nest, in any order and to any
depth.

A function may use its buffers again: the numbers that an operation reads are those that its
derivative uses (see snapshots).  It may write into arrays that it has made itself, traced ones
included, but not into its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ClosedLevel, check_leaf, check_result, describe
from .foreign import handed_out, wrapped
from .forward import Tangents
from .hints import Function, Nest
from .primitive import in_dtype_of, shape_of
from .reverse import Tape
from .snapshots import REUSED, Snapshots
from .tracer import Tracer
from .tree import LEAF, flatten, flatten_like, paths, unflatten
from .writing import ARGUMENT


def vjp(f: Function, *primals: Nest, has_aux: bool = False) -> tuple[Any, ...]:
    """Reverse mode: the value, and the map from a cotangent of the result to cotangents of the
    arguments.

    Returns ``(value, pull)``; with has_aux (f then returns ``(value, aux)``)
    ``(value, pull, aux)``.
    ``pull(g)`` returns a tuple with a cotangent for each argument, and may be called any number of
    times; nothing that was passed in or handed out is shared with it.  (Arrays that f closes over
    are not copied: leave them alone between the calls.)
    Raises TypeError for arguments that are not floating point, ValueError for a cotangent of the
    wrong shape.
    """
    leaves, structure = _leaves(primals, "vjp", range(len(primals)))
    run = Recorded(f, [own(x) for x in leaves], structure, has_aux, "vjp")
    return (run.value, run.pull, run.aux) if has_aux else (run.value, run.pull)


def jvp(f: Function, primals: Sequence[Nest], tangents: Sequence[Nest],
        has_aux: bool = False) -> tuple[Any, ...]:
    """Forward mode: the value and the directional derivative f'(primals)[tangents].

    `primals` and `tangents` are sequences of the same structure and shapes.
    Returns ``(value, tangent)``; with has_aux (f then returns ``(value, aux)``)
    ``(value, tangent, aux)``.
    Raises TypeError for arguments that are not floating point, ValueError for tangents that do not
    match.
    """
    primals, tangents = _sequence(primals, "jvp: primals"), _sequence(tangents, "jvp: tangents")
    leaves, structure = _leaves(primals, "jvp", range(len(primals)))
    directions = flatten_like(structure, tangents, "jvp: tangents")
    directions = _matching(leaves, directions, structure, "tangents", "jvp")
    values, found, shape, aux = _push(f, leaves, structure, directions, has_aux, "jvp")
    result = handed_nest(shape, map(own, values)), handed_nest(shape, found)
    return (*result, aux) if has_aux else result


def grad(f: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function, as a function of the same arguments.

    `argnums` (an int or a tuple of them) chooses the arguments; the result has their nesting.  With
    has_aux, f returns ``(value, aux)`` and the new function ``(gradient, aux)``.
    Raises TypeError if f does not return a scalar, or if an argument is not floating point.
    """

    @named_after("grad", f)
    def gradient(*args, **kwargs):
        run, gradients = _gradient(f, args, kwargs, argnums, has_aux, "grad")
        return (gradients, run.aux) if has_aux else gradients

    return gradient


def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0,
                   has_aux: bool = False) -> Function:
    """Value and gradient of a scalar function in one pass: ``(value, gradient)``, or
    ``((value, aux), gradient)``."""

    @named_after("value_and_grad", f)
    def both(*args, **kwargs):
        run, gradients = _gradient(f, args, kwargs, argnums, has_aux, "value_and_grad")
        return ((run.value, run.aux) if has_aux else run.value), gradients

    return both


def jacobian(f: Function, argnums: int | tuple[int, ...] = 0, mode: str = "reverse",
             batched: bool = True) -> Function:
    """The matrix of all partial derivatives, of shape ``result.shape + argument.shape``.

    mode     "reverse": one backward sweep for each entry of the result (few outputs);
             "forward": one tangent for each entry of the arguments (few inputs)
    batched  forward mode only: all tangents in one pass, instead of one pass each
    With nested arguments or results, a nest of the result's structure that holds nests of the
    arguments' structure.
    """
    if mode not in ("reverse", "forward"):
        raise ValueError(f"jacobian: mode is {mode!r}; expected 'reverse' or 'forward'")

    @named_after("jacobian", f)
    def matrix(*args, **kwargs):
        g, chosen, positions = _choose(f, args, kwargs, argnums, "jacobian")
        leaves, structure = _leaves(chosen, "jacobian", positions)
        if mode == "reverse":
            rows, results = _rows_by_sweeps(g, leaves, structure)
        else:
            rows, results = _rows_by_tangents(g, leaves, structure, batched)
        inner = structure if isinstance(argnums, tuple) else structure.children[0]
        return unflatten(results, [handed_nest(inner, row) for row in rows])

    return matrix


def hessian(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """The matrix of second derivatives of a scalar function: forward over reverse."""
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Function, primals: Sequence[Nest], tangents: Sequence[Nest]) -> tuple[Nest, ...]:
    """Hessian-vector product: the derivative of the gradient along `tangents`, forward over
    reverse.

    Costs a small multiple of one gradient and never forms the Hessian.  Returns a tuple, one for
    each primal.
    """
    primals, tangents = _sequence(primals, "hvp: primals"), _sequence(tangents, "hvp: tangents")
    return jvp(grad(f, tuple(range(len(primals)))), primals, tangents)[1]


# How it is done


def own(x):
    """A copy that nobody else holds, so that no write reaches it."""
    if type(x) is Tracer:
        return x.apart()
    return np.copy(x) if issubclass(type(x), np.ndarray) else x


def handed_nest(structure, leaves):
    """The nest that a transform returns."""
    return unflatten(structure, map(handed_out, leaves))


def _arguments(variable, leaves, borrow):
    """Traced arrays for the arguments of a function: small ones are copied, others are what
    `borrow` makes of them."""
    arguments = []
    for x in leaves:
        if type(x) is np.ndarray:
            x = x.copy("K") if x.size < REUSED else borrow(x)
        elif type(x) is Tracer:
            x = x.apart()
        x = variable(x)
        x.shown = ARGUMENT
        arguments.append(x)
    return arguments


def _gradient(f, args, kwargs, argnums, has_aux, name):
    """The recording of f, and its gradient."""
    g, chosen, positions = _choose(f, args, kwargs, argnums, name)
    leaves, structure = _leaves(chosen, name, positions)
    run = Recorded(g, leaves, structure, has_aux, name)
    if run.shape.kind is not LEAF or shape_of(run.value) != ():
        raise TypeError(f"{name}: {name_of(f)} returned {describe(run.value)}; expected a scalar. "
                        "Reduce it (np.sum, np.mean), return what is not differentiated with "
                        "has_aux=True, or use vjp or jacobian for a function with many outputs.")
    value = run.values[0]
    one = type(value)(1) if issubclass(type(value), np.floating) else np.ones_like(value)
    gradients = handed_nest(structure, run.sweep([one], once=True))
    return run, gradients if isinstance(argnums, tuple) else gradients[0]


class Recorded:
    """A function run once on a tape: its value, and the sweep back from it."""

    def __init__(self, f, leaves, structure, has_aux, name):
        self.name, self.leaves, self.structure = name, leaves, structure
        with Tape() as self.tape:
            inputs = _arguments(self.tape.variable, leaves, self.tape.borrow)
            self.inputs = [x.mark for x in inputs]
            value, self.aux = _split(f(*unflatten(structure, inputs)), has_aux, f, self.tape)
            self.results, self.shape = flatten(value)
        self.values = _values(self.results, self.tape, f, name)
        self.value = handed_nest(self.shape, map(own, self.values))

    def sweep(self, cotangents, once=False):
        """Cotangents of the inputs, one leaf each, given those of the results."""
        seeds = [(r.mark, g) for r, g in zip(self.results, cotangents) if self.tape.traces(r)]
        found = self.tape.sweep(seeds, self.inputs, once)
        return [np.zeros_like(x) if g is None else g if type(g) is np.ndarray and g.dtype is x.dtype
                else
                in_dtype_of(x, g) for x, g in zip(self.leaves, found)]

    def pull(self, g):
        """The map that `vjp` returns."""
        cotangents = flatten_like(self.shape, g, f"{self.name}: the cotangent")
        cotangents = _matching(self.values, cotangents, self.shape, "the cotangent", self.name)
        return handed_nest(self.structure, self.sweep(cotangents))


def _push(f, leaves, structure, directions, has_aux, name, count=None):
    """(value leaves, tangent leaves, structure of the result, aux) of one forward pass."""
    snapshots, vectors, reader = (Snapshots(), iter(directions),
                                  f"{name}: an argument of {name_of(f)}")
    with Tangents(count) as level:
        inputs = _arguments(lambda x: level.variable(x, next(vectors)), leaves,
                            lambda x: snapshots.of(x, reader))
        value, aux = _split(f(*unflatten(structure, inputs)), has_aux, f, level)
        results, shape = flatten(value)
    snapshots.verify()
    values = _values(results, level, f, name)
    stack = () if count is None else (count,)
    tangents = [level.tangent(r) for r in results]
    tangents = [np.zeros_like(v, shape=stack + shape_of(v)) if t is None else own(t)
                for v, t in zip(values, tangents)]
    return values, tangents, shape, aux


def _rows_by_sweeps(f, leaves, structure):
    run = Recorded(f, leaves, structure, False, "jacobian")
    rows = []
    for k, v in enumerate(run.values):
        sweeps = []
        for i in range(np.size(v)):
            seeds = [np.zeros_like(u) for u in run.values]
            seeds[k] = in_dtype_of(v, _one_hot(i, shape_of(v)))
            sweeps.append(run.sweep(seeds))
        rows.append([_assemble([s[j] for s in sweeps], shape_of(v) + shape_of(x), x)
                     for j, x in enumerate(leaves)])
    return rows, run.shape


def _rows_by_tangents(f, leaves, structure, batched):
    sizes = [np.size(x) for x in leaves]
    total = sum(sizes)
    if batched and total:
        eye = np.split(np.eye(total), np.cumsum(sizes)[:-1], axis=1)
        directions = [in_dtype_of(x, e.reshape((total, *shape_of(x)))) for x, e in zip(leaves, eye)]
        values, columns, shape, _ = _push(f, leaves, structure, directions, False,
                                          "jacobian", total)
    else:
        columns = []
        for k, size in enumerate(sizes):
            for i in range(size):
                directions = [in_dtype_of(y, _one_hot(i if j == k else None, shape_of(y)))
                              for j, y in enumerate(leaves)]
                values, tangents, shape, _ = _push(f, leaves, structure, directions, False,
                                                   "jacobian")
                columns.append(tangents)
        if not total:
            values, _, shape, _ = _push(f, leaves, structure, leaves, False, "jacobian")
            columns = [[] for _ in values]
        else:
            columns = list(zip(*columns))
    ends = np.cumsum(sizes)
    rows = []
    for v, column in zip(values, columns):
        row = []
        for x, n, end in zip(leaves, sizes, ends):
            block = [np.reshape(column[i], (-1, 1)) for i in range(end - n, end)]
            full = shape_of(v) + shape_of(x)
            row.append(np.reshape(np.concatenate(block, axis=1), full) if block
                       else np.zeros_like(x, shape=full))
        rows.append(row)
    return rows, shape


def _assemble(parts, shape, like):
    return np.reshape(np.stack(parts), shape) if parts else np.zeros_like(like, shape=shape)


def _one_hot(i, shape):
    e = np.zeros(shape)
    if i is not None:
        e.flat[i] = 1
    return e


def _choose(f, args, kwargs, argnums, name):
    """f as a function of the arguments to differentiate alone, these arguments, and their
    positions."""
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    for k in chosen:
        if (not isinstance(k, (int, np.integer)) or isinstance(k, bool)
                or not -len(args) <= k < len(args)):
            raise ValueError(f"{name}: argnums={argnums!r}, but {name_of(f)} was called with "
                             f"{len(args)} positional argument{'s' * (len(args) != 1)}; argnums "
                             "counts positional arguments from 0")
    chosen = [k % len(args) for k in chosen]
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"{name}: argnums={argnums!r} names an argument twice")

    def of_chosen(*values):
        full = list(args)
        for k, x in zip(chosen, values):
            full[k] = x
        return f(*full, **kwargs)

    of_chosen.__name__ = name_of(f)
    return of_chosen, tuple([args[k] for k in chosen]), chosen


def _sequence(x, name):
    """The arguments of a function as a tuple."""
    if not isinstance(x, (tuple, list)):
        raise TypeError(f"{name} is {describe(x)}; expected a tuple with an entry for each "
                        "argument of the function: write (x,) for x")
    return tuple(x)


def _leaves(primals, name, positions):
    """Flatten arguments; every leaf must be something that can be differentiated."""
    leaves, structure = flatten(primals)
    for i, x in enumerate(leaves):
        if type(x) is not np.ndarray or x.dtype.kind != "f":
            names = [f"argument {k}{p}" for k, c in zip(positions, structure.children)
                     for p in paths(c)]
            leaves[i] = wrapped(check_leaf(x, name, names[i]))
    return leaves, structure


def _matching(leaves, vectors, structure, what, name):
    """Tangents or cotangents for the leaves: same shapes, and the leaves' dtypes."""
    matched = []
    for i, (x, v) in enumerate(zip(leaves, vectors)):
        if type(v) is np.ndarray is type(x) and v.shape == x.shape and v.dtype is x.dtype and (
                v.dtype.kind == "f"):
            matched.append(v)
            continue
        label = what + paths(structure)[i]
        if shape_of(v) != shape_of(x):
            raise ValueError(f"{name}: {label} has shape {shape_of(v)}; expected {shape_of(x)}, "
                             f"the shape of what it belongs to, {describe(x)}")
        if not hasattr(v, "dtype") or v.dtype.kind in "biu":
            v = np.asarray(v, dtype=float)
        matched.append(in_dtype_of(x, wrapped(check_leaf(v, name, label))))
    return matched


def _split(returned, has_aux, f, level):
    """(value, aux) of what f returned; aux is stripped of this level's traces."""
    if not has_aux:
        return returned, None
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"has_aux=True: {name_of(f)} returned {describe(returned)}; "
                        "expected a pair (value, aux)")
    leaves, structure = flatten(returned[1])
    return (returned[0],
            handed_nest(structure, [own(level.strip(x)) if level.traces(x) else x for x in leaves]))


def _values(results, level, f, name):
    """The leaves of what f returned, stripped of this level's traces."""
    values = [wrapped(check_result(level.strip(r), name, name_of(f))) for r in results]
    for v in values:
        if type(v) is Tracer and not v.level.open:
            raise ClosedLevel(f"{name}: the result of {name_of(f)}")
    return values


def name_of(f):
    return getattr(f, "__name__", type(f).__name__)


def named_after(transform, f):
    """Give a transformed function f's documentation and a name that says what it is."""
    def decorate(g):
        g.__name__ = g.__qualname__ = f"{transform}({name_of(f)})"
        g.__doc__ = getattr(f, "__doc__", None)
        return g
    return decorate
