"""The gradient of a torch function as a formula: the function runs on tensors that carry
symbols."""

from __future__ import annotations

import inspect
from typing import Any
from collections.abc import Callable

import torch

import refgrad
from refgrad.derive import Derivation
from refgrad.tree import flatten

from .subjects.aten import carried


def derive(f: Callable[..., Any], wrt: str | tuple[str, ...] | None = None, check: bool = True,
           **shapes: Any) -> Derivation:
    """Derive the gradient of a torch function or Module, as `refgrad.derive` does of a NumPy
    program.

    f       a function of tensors with named arguments, or a Module, whose parameters are arguments
            too, with _ in the place of a dot
    wrt     the name of the argument to differentiate with respect to, or a tuple of names; all if
            None
    check   whether the formulas are compared with refgrad's gradient at random sizes and numbers
    shapes  for each argument its shape, with numbers or names for the sizes: ``x=("m", 4)``; a
            Module's parameters have their own

        >>> layer = torch.nn.Linear(3, 2)
        >>> print(crosscheck.derive(layer, "input", input=("m", 3)).gradient)
        G weight

    Raises what `refgrad.derive` raises, and NotImplementedError for an operation of torch that has
    no counterpart in NumPy.
    """
    if not callable(f):
        raise TypeError(f"derive: f is a {type(f).__name__}; expected a torch function or a Module")
    parameters, call = {}, f
    if isinstance(f, torch.nn.Module):
        parameters = {n.replace(".", "_"): (n, p) for n, p in f.named_parameters()}
        shapes = {k: tuple(p.shape) for k, (_, p) in parameters.items()} | shapes
        call = f.forward
    own = [p.name for p in inspect.signature(call).parameters.values() if p.name in shapes]
    names = [*own, *parameters]

    def result(tensors):
        given = {k: tensors[k] for k in own}
        if parameters:
            state = {n: tensors[k] for k, (n, _) in parameters.items()}
            found = torch.func.functional_call(f, state, (), given)
        else:
            found = f(**given)
        return [y for y in flatten(found)[0] if torch.is_tensor(y) and y.is_floating_point()][:1]

    def program(*arrays):
        return carried(result, dict(zip(names, arrays)), torch.float64)[0]

    program.__name__ = getattr(f, "__name__", type(f).__name__)
    program.__signature__ = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])
    return refgrad.derive(program, wrt, check=check, **shapes)
