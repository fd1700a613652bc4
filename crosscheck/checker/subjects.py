"""Which subject a user's function is: NumPy's, torch's or JAX's, with whose gradient."""

from __future__ import annotations

import sys

import numpy as np

from refgrad.errors import describe
from refgrad.tree import flatten

from ..source import place
from ..state import State
from ..subjects.arguments import arguments_of, plain
from ..subjects.numpy_function import Differentiated, HandWritten

DTYPES = ("float64", "float32")

#: Libraries whose functions and arrays are recognised by the modules that they come from, and only
#: if these are loaded.
TORCH, JAX = "torch", "jax"


def subject_of(f, inputs, gradient=None, vjp=None, jvp=None, argnums=None, dtypes=None,
               kwargs=None):
    """The `Subject` that `check` puts on trial; see there.

    Raises TypeError or ValueError for what cannot be checked, also where f itself raises an error
    at the inputs.
    """
    state = State(f, inputs, kwargs, gradient, vjp, jvp)
    try:
        subject = _made(f, inputs, gradient, vjp, jvp, argnums, dtypes, kwargs)
    finally:
        state.put_back()
    subject.state = state
    return subject


def _made(f, inputs, gradient, vjp, jvp, argnums, dtypes, kwargs):
    if not callable(f):
        raise TypeError(f"check: f is {describe(f)}; expected a function, a torch Module or an "
                        "autograd.Function")
    if not (inputs or kwargs):
        raise TypeError("check: there are no inputs; expected example arrays behind the function, "
                        "as in check(f, x, y)")
    own = {"gradient": gradient, "vjp": vjp, "jvp": jvp}
    given = [name for name, how in own.items() if how is not None and how is not False]
    library = _library_of(f, inputs, kwargs)
    if library is None and not given:
        library = _library_of_results(f, inputs, kwargs)
    if library == TORCH:
        if given:
            raise TypeError("check: gradient=, vjp= and jvp= belong to a NumPy function; "
                            "torch's bring their own")
        from ..subjects.torch_function import subject_of as torch_subject_of
        subject = _first_call(lambda: torch_subject_of(f, inputs, dtypes, argnums, kwargs), f,
                              inputs)
    else:
        inputs, kwargs = ([plain(a) for a in inputs],
                          {k: plain(a) for k, a in (kwargs or {}).items()})
        arguments = arguments_of(f, inputs, kwargs, argnums)
        for name, a in zip(arguments.names, arguments.values):
            if getattr(getattr(a, "dtype", None), "kind", "") == "c":
                raise TypeError(f"check: {name} is {describe(a)}; expected real numbers (real and "
                                "imaginary parts)")
        dtypes = DTYPES if dtypes is None else dtypes
        if gradient is True:
            found = _first_call(lambda: f(*inputs, **kwargs), f, inputs)
            if not isinstance(found, (tuple, list)) or len(found) < 2:
                raise TypeError("check: gradient=True is for a function that returns (value, "
                                f"gradient); {f.__name__} returns {describe(found)}")
            f, gradient = _first_of(f), _rest_of(f)
        if library == JAX and not given:
            from ..subjects.jax_function import JaxFunction
            subject = JaxFunction(f, arguments, dtypes)
        elif given:
            subject = HandWritten(f, arguments, dtypes, gradient or None, vjp, jvp)
        else:
            subject = Differentiated(f, arguments, dtypes)
    if not subject.arguments.chosen:
        came = ", ".join(map(describe, inputs)) or "keyword arguments alone"
        integers = any(getattr(getattr(a, "dtype", None), "kind", "") in ("i", "u")
                       for a in flatten(list(inputs))[0])
        raise TypeError(f"check: no input of {subject.name} is an array of floats ({came}); "
                        "expected at least one to differentiate" + "; integers are passed on as "
                        "they are: give floats as 1.0, not 1" * integers)
    return subject


def _first_of(f):
    def value(*args, **kwargs):
        return f(*args, **kwargs)[0]
    value.__name__ = getattr(f, "__name__", type(f).__name__)
    return value


def _rest_of(f):
    """The gradient that a function returns beside its value, as scipy's ``jac=True`` has it."""
    def gradient(*args, **kwargs):
        found = f(*args, **kwargs)
        return found[1] if len(found) == 2 else tuple(found[1:])
    return gradient


def _library_of(f, inputs, kwargs):
    """TORCH or JAX by where the function and its inputs come from; None if that does not say."""
    kinds = [*(f.__mro__ if isinstance(f, type) else type(f).__mro__),
             *(type(a) for a in flatten([list(inputs), dict(kwargs or {})])[0])]
    modules = {m.split(".")[0]
               for m in (*(k.__module__ for k in kinds), getattr(f, "__module__", "") or "")}
    return TORCH if TORCH in modules else JAX if modules & {JAX, "jaxlib"} else None


def _library_of_results(f, inputs, kwargs):
    """The same of a plain function, by what it returns of arrays, or by what it asks for in their
    place."""
    if not {TORCH, JAX} & set(sys.modules):
        return None
    try:
        with np.errstate(all="ignore"):
            found = f(*[plain(a) for a in inputs], **(kwargs or {}))
    except Exception as error:
        # torch's functions name the tensor that they expect, or its methods, which arrays have not.
        if TORCH not in sys.modules:
            return None
        # Where it names them, what it says of tensors is what its user understands, an error, too.
        asks, may = "Tensor" in str(error), isinstance(error, (TypeError, AttributeError))
        return TORCH if asks or may and _takes_tensors(f, inputs, kwargs) else None
    return _library_of(lambda: None, flatten(found)[0], {})


def _takes_tensors(f, inputs, kwargs):
    import torch
    from ..subjects.torch_function import tensors
    try:
        args, named = tensors(tuple(inputs)), tensors(dict(kwargs or {}))
        return any(map(torch.is_tensor, flatten(f(*args, **named))[0]))
    except Exception:
        return False


def _first_call(make, f, inputs):
    """What ``make()`` returns; where the function itself raises an error, a ValueError that says so
    in a line."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        if str(error).startswith("check: "):
            raise
        raise cannot_call(f, error, inputs) from error
    except Exception as error:
        raise cannot_call(f, error, inputs) from error


def cannot_call(f, error, inputs):
    """The ValueError that says that f itself raises an error at the inputs."""
    name, said = getattr(f, "__name__", type(f).__name__), " ".join(str(error).split())[:200]
    nested = len(inputs) == 1 and isinstance(inputs[0], (tuple, list))
    return ValueError(
        f"check: {name} raises {type(error).__name__} at the inputs: {said}{place(error)}"
        + "; it was given one input, a tuple or list: for several write check(f, x, y)" * nested)
