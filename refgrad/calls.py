"""Calls in NumPy's signatures: what a rule's own signature leaves out, and the keyword arguments and methods of ufuncs.

A rule's `call` takes NumPy's arguments under NumPy's names, but need not list them all.  What it leaves out may be
given all the same, by position or by name, as long as it has NumPy's default; else the call is refused by that name.
"""

import functools
import inspect
import itertools
import sys

import numpy as np

from .errors import NoRule, describe
from .primitive import TABLE, ndim_of, shape_of


@functools.cache
def signature_of(function):
    """The signature of a function, or None where it does not tell (functions of C, before NumPy 2.4)."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def fitted(rule, args, kwargs):
    """The call as the rule's own signature takes it, (args, kwargs, out); None if it takes it as it is.

    Raises NoRule for an argument that the rule does not know and that has not NumPy's default.
    """
    ours, theirs = signature_of(rule.call), signature_of(rule.function)
    try:
        ours.bind(*args, **kwargs)
        return None
    except TypeError as error:
        if theirs is None:
            raise NoRule(rule.name, f"called like this ({error})") from error
    given = theirs.bind(*args, **kwargs).arguments
    out = given.pop("out", None)
    positional, named = [], {}
    for name, value in given.items():
        p = theirs.parameters[name]
        if p.kind is p.VAR_POSITIONAL:
            positional += value
        elif p.kind is p.VAR_KEYWORD:
            named.update(value)
        elif p.kind is p.POSITIONAL_ONLY:
            positional.append(value)
        elif name in ours.parameters or value is not p.default and value is not np._NoValue:
            named[name] = value
    unknown = sorted(named.keys() - ours.parameters.keys())
    if unknown:
        raise NoRule(rule.name, f"with {', '.join(name + '=' for name in unknown)}")
    return positional, named, out


def as_called(function):
    """The call of a function without a derivative: all its arguments as NumPy takes them, but `out`."""
    theirs = signature_of(function)
    if theirs is None:
        return lambda *arrays, **params: (arrays, params)
    names = list(theirs.parameters)
    place = names.index("out") if "out" in names else sys.maxsize

    def call(*arrays, **params):
        if len(arrays) > place:
            raise TypeError(f"{function} takes out by position")
        return arrays, params

    after = [p if k < place or p.kind is p.VAR_KEYWORD else p.replace(kind=p.KEYWORD_ONLY)
             for k, p in enumerate(theirs.parameters.values()) if k != place]
    call.__signature__ = theirs.replace(parameters=after)
    return call


def caller_in_numpy(x):
    """'np.full_like(fill_value=float64[])': the NumPy function whose own code has met a traced array, or None.

    NumPy asks for overrides by some arguments alone; what is given for the others, its own code gets to see.
    """
    frame, outermost = sys._getframe(1), None
    while _package(frame) == "refgrad":
        frame = frame.f_back
    while _package(frame) == "numpy":
        frame, outermost = frame.f_back, frame
    if outermost is None:
        return None
    given = {**outermost.f_locals.get("kwargs", {}), **outermost.f_locals}
    names = [name for name, value in given.items() if value is x]
    what = f"{names[0]}={describe(x)}" if names else "..."
    return f"np.{outermost.f_code.co_name.lstrip('_')}({what})"


def _package(frame):
    return frame and frame.f_globals.get("__name__", "").partition(".")[0]


# Keyword arguments of ufuncs


def with_options(rule, ufunc, inputs, options):
    """A call of a ufunc with keyword arguments as one without: (inputs, keyword arguments of the rule).

    The conversions that dtype=, signature= and casting= ask for are NumPy's own; order= and subok= do not change
    what is computed.  Raises NoRule for where= (what it leaves out has no value) and for axes=.
    """
    inputs = [x if hasattr(x, "dtype") or type(x) in (int, float) else np.asarray(x) for x in inputs]
    small = [np.ones((1,) * ndim_of(x), getattr(x, "dtype", type(x))) for x in inputs]
    ufunc(*small, **options)  # raises for what NumPy does not take
    if options.pop("where", True) is not True:
        raise NoRule(rule.name, "with where=")
    options.pop("order", None), options.pop("subok", None)
    how = {name: options.pop(name) for name in ("dtype", "signature", "casting") if options.get(name) is not None}
    if how:
        if "dtype" in how:
            how["signature"] = (None,) * ufunc.nin + (np.dtype(how.pop("dtype")),) * ufunc.nout
        types = tuple(getattr(x, "dtype", type(x)) for x in inputs)
        wanted = ufunc.resolve_dtypes(types + (None,) * ufunc.nout, **how)
        if any(want.kind == "c" for want in wanted):
            raise NoRule(rule.name, "with dtype=complex")
        inputs = [x if t == want else (x if hasattr(x, "dtype") else np.asarray(x)).astype(want)
                  for x, t, want in zip(inputs, types, wanted)]
    return inputs, options


# Methods of ufuncs

_REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min, np.logical_and: np.all,
               np.logical_or: np.any}
_RUNNING = {np.add: np.cumsum, np.multiply: np.cumprod}


def ufunc_method(ufunc, method, inputs, options):
    """ufunc.reduce, accumulate and outer by the functions that have rules; NoRule for reduceat."""
    name = f"np.{ufunc.__name__}.{method}"
    if ufunc not in TABLE or method == "reduceat":
        raise NoRule(name)
    if method == "outer":
        a, b = inputs
        return ufunc(np.reshape(a, shape_of(a) + (1,) * ndim_of(b)), b, **options)
    x, axis = inputs[0], options.pop("axis", 0)
    function = {"reduce": _REDUCTIONS, "accumulate": _RUNNING}[method].get(ufunc)
    if function is None:
        return _folded(ufunc, method == "accumulate", name, x, axis, options)
    if options.get("dtype") is not None and function in (np.max, np.min):
        x = x.astype(options.pop("dtype"))
    return function(x, axis=axis, **options)


def _folded(ufunc, running, name, x, axis, options):
    """f(f(f(x_1, x_2), x_3), ...) along one axis: the last, or all of them."""
    refused = [k for k, v in options.items()
               if v is not None and v is not np._NoValue and v is not (k == "where")]
    if refused or TABLE[ufunc].constant or type(axis) is tuple or axis is None or not shape_of(x)[axis]:
        raise NoRule(name, f"with {refused[0]}=" if refused else f"with axis={axis!r}")
    steps = list(itertools.accumulate(np.unstack(x, axis=axis), ufunc))
    return np.stack(steps, axis=axis) if running else steps[-1]
