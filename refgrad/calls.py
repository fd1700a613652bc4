"""Calls in NumPy's signatures: arguments that a rule does not list, and the arguments and methods
of ufuncs.

A rule's `call` takes NumPy's arguments under NumPy's names, but need not list them all.  A user may
pass an argument that it does not list, by position or by name, as long as its value is NumPy's
default; otherwise an error names that argument.
"""

import functools
import inspect
import itertools
import sys

import numpy as np

from .elsewhere import name_of
from .errors import NoRule, Refused, describe
from .primitive import TABLE, every_argument_is_an_array, ndim_of, shape_of


@functools.cache
def signature_of(function):
    """A function's signature; None where it does not tell (functions of C, before NumPy 2.4)."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def fitted(rule, args, kwargs):
    """The call as the rule's own signature takes it, (args, kwargs, out); None if it does already.

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
        elif p.kind is p.POSITIONAL_ONLY or rule.call is every_argument_is_an_array:
            positional.append(value)
        elif name in ours.parameters or value is not p.default and value is not np._NoValue:
            named[name] = value
    _know(rule.name, named.keys() - ours.parameters.keys())
    return positional, named, out


def _know(name, unknown):
    """Refuse arguments that a function does not know."""
    if unknown:
        raise NoRule(name, f"with {', '.join(f'{argument}=' for argument in sorted(unknown))}")


def as_called(function):
    """The call of a function without a derivative: all arguments as NumPy takes them, but `out`."""
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


#: Functions of SciPy's that are not ufuncs, and that refgrad.special replaces.
OWN = "logsumexp", "softmax", "log_softmax", "polygamma"


def caller_in_library(x):
    """The function of NumPy or SciPy whose own code has met x, and what to write instead: (None,
    "") if none.

    As in 'np.full_like(fill_value=float64[])': NumPy asks for overrides by some arguments alone;
    its own code gets to see the others.
    """
    frame, outermost = sys._getframe(1), None
    while _package(frame) == "refgrad":
        frame = frame.f_back
    while _package(frame) in ("numpy", "scipy"):
        name = frame.f_code.co_name
        if name in OWN and _package(frame) == "scipy":
            return (f"scipy.special.{name}",
                    f"Use refgrad.special.{name}, which has the same arguments.")
        frame, outermost = frame.f_back, frame
    if _package(outermost) != "numpy":
        return None, ""
    given = {**outermost.f_locals.get("kwargs", {}), **outermost.f_locals}
    names = [name for name, value in given.items() if value is x]
    what = f"{names[0]}={describe(x)}" if names else "..."
    return f"np.{_name_in_numpy(outermost)}({what})", ""


def _name_in_numpy(frame):
    """'full_like', 'polynomial.polynomial.polyval', or 'r_' of an object that is called."""
    name, owner = frame.f_code.co_name, frame.f_locals.get("self")
    if name.startswith("__") and owner is not None:
        return next((k for k, v in vars(np).items() if v is owner), type(owner).__name__)
    module = frame.f_globals["__name__"].split(".")[1:]
    is_private = any(part.startswith("_") for part in module)
    return ".".join([*([] if is_private else module), name.lstrip("_")])


def _package(frame):
    return frame and frame.f_globals.get("__name__", "").partition(".")[0]


# Keyword arguments of ufuncs


def with_options(rule, ufunc, inputs, options):
    """A ufunc's call with keyword arguments as one without: (inputs, the rule's own arguments).

    The conversions that dtype=, signature= and casting= ask for are NumPy's own; order= and subok=
    do not change what is computed.  Raises NoRule for where=: what it leaves out has no value.
    """
    inputs = [x if hasattr(x, "dtype") or type(x) in (int, float) else np.asarray(x)
              for x in inputs]
    small = [np.ones((1,) * ndim_of(x), x.dtype) if hasattr(x, "dtype") else type(x)(1)
             for x in inputs]
    ufunc(*small, **options)  # raises for what NumPy does not take
    if options.get("where", True) is not True:
        raise NoRule(rule.name, "with where=", f"Write np.where(where, {rule.name}(...), other), "
                     "which says what stands in the other places.")
    how = {name: options[name] for name in ("dtype", "signature", "casting")
           if options.get(name) is not None}
    if how:
        inputs = _converted(rule, ufunc, inputs, **how)
    ours = {"where", "order", "subok", "dtype", "signature", "casting"}
    return inputs, {name: value for name, value in options.items() if name not in ours}


def _converted(rule, ufunc, inputs, dtype=None, **how):
    """The inputs in the dtypes that NumPy would compute with."""
    if dtype is not None:
        how["signature"] = (None,) * ufunc.nin + (np.dtype(dtype),) * ufunc.nout
    types = tuple(getattr(x, "dtype", type(x)) for x in inputs)
    try:
        wanted = ufunc.resolve_dtypes(types + (None,) * ufunc.nout, **how)
    except TypeError as error:
        names = ", ".join(f"{name}=" for name in how)
        raise TypeError(f"{rule.name} with {names}: {error}") from None
    if any(want.kind == "c" for want in wanted):
        raise NoRule(rule.name, "with dtype=complex")
    return [x if t == want else (x if hasattr(x, "dtype") else np.asarray(x)).astype(want)
            for x, t, want in zip(inputs, types, wanted)]


# Methods of ufuncs

_REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
               np.logical_and: np.all, np.logical_or: np.any}
_RUNNING = {np.add: np.cumsum, np.multiply: np.cumprod}
_FOLDED = {np.subtract, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.hypot,
           np.logaddexp, np.logaddexp2}


def ufunc_method(ufunc, method, inputs, options):
    """ufunc.reduce, reduceat, accumulate and outer by functions that have rules."""
    name = f"{name_of(ufunc)}.{method}"
    if ufunc not in TABLE:
        raise NoRule(name)
    try:
        if method == "outer":
            a, b = inputs
            return ufunc(np.reshape(a, shape_of(a) + (1,) * ndim_of(b)), b, **options)
        if method == "reduceat":
            return _reduced_between(ufunc, name, *inputs[:1], **{"indices": inputs[-1], **options})
        return _along_axis(ufunc, method, name, *inputs, **options)
    except Refused as error:
        if not str(error).startswith(name):
            error.args = f"{name}: {error}",
        raise


def _reduced_between(ufunc, name, x, indices, axis=0, dtype=None):
    """A reduction from each index to the next one, or the entry there if the next is not above."""
    indices = np.asarray(indices)
    if TABLE[ufunc].constant or ufunc not in _REDUCTIONS and ufunc not in _FOLDED:
        raise NoRule(name)
    if dtype is not None:
        raise NoRule(name, "with dtype=")
    if indices.ndim != 1 or indices.dtype.kind not in "biu" and indices.size:
        raise TypeError(f"{name}: indices={indices!r}; expected integers along one axis")
    if type(axis) is tuple and len(axis) == 1:
        axis, = axis
    x, starts = np.moveaxis(x, axis, 0), indices.astype(int).tolist()
    n = shape_of(x)[0]
    if not all(0 <= i < n for i in starts):
        raise IndexError(f"{name}: indices={starts} of {n} entries")
    parts = [ufunc.reduce(x[i:j]) if i + 1 < j else x[i] for i, j in zip(starts, [*starts[1:], n])]
    return np.moveaxis(np.stack(parts) if parts else x[:0], 0, axis)


def _along_axis(ufunc, method, name, x, axis=0, **options):
    """A reduction, or all its steps."""
    if method == "accumulate":
        axis = tuple(range(ndim_of(x))) if axis is None else axis
        if not ndim_of(x) or type(axis) is tuple and len(axis) != 1:
            raise ValueError(f"{name}: axis={axis!r} of {describe(x)}; expected one axis")
    if type(axis) is tuple and len(axis) == 1 and ndim_of(x):
        axis, = axis
    function = {"reduce": _REDUCTIONS, "accumulate": _RUNNING}[method].get(ufunc)
    options = {k: v for k, v in options.items()
               if v is not None and v is not np._NoValue and v is not (k == "where")}
    if function in (np.max, np.min) and "dtype" in options:
        x = x.astype(options.pop("dtype"))
    if function is None and ufunc not in _FOLDED:
        raise NoRule(name)
    _know(name, options.keys() - signature_of(function or _folded).parameters.keys())
    if function is None:
        return _folded(ufunc, name, x, axis, **options)
    return function(x, axis=axis, **options)


def _folded(ufunc, name, x, axis, keepdims=False, initial=None):
    """f(f(f(x_1, x_2), x_3), ...) along one axis, all the steps for accumulate."""
    if type(axis) is tuple or axis is None:
        raise NoRule(name, f"with axis={axis!r}")
    if name.endswith("accumulate"):
        steps = list(itertools.accumulate(np.unstack(x, axis=axis), ufunc))
        return np.stack(steps, axis=axis) if steps else np.copy(x)
    if hasattr(initial, "dtype"):
        initial = initial.astype(x.dtype)
    elif initial is None:
        initial = ufunc.identity
    parts = np.unstack(x, axis=axis) if ndim_of(x) or axis not in (0, -1) else (x,)
    if initial is None and not parts:
        raise ValueError(f"{name}: nothing to reduce, and no identity")
    if initial is None:
        result = functools.reduce(ufunc, parts[1:], +parts[0])
    elif parts:
        result = functools.reduce(ufunc, parts, initial)
    else:
        result = np.sum(x, axis=axis) + initial
    return np.expand_dims(result, axis) if keepdims and ndim_of(x) else result
