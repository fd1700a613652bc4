"""The arguments of a derivation: their names, shapes and properties, as a user gives them."""

from __future__ import annotations

import difflib
import inspect
import keyword
import math
import operator
from typing import NamedTuple

import numpy as np

from ..transforms import name_of
from .sizes import Size
from .symbol import PROPERTIES, STRUCTURES, Symbol

#: What arguments and dimensions cannot be called: the source of a formula uses these names.
RESERVED = "np", "nn", "rg", "pi"

#: Words for what is known of a matrix, which name no dimension: to the property that says it.
WORDS = {"psd": "positive definite", "spd": "positive definite", "pd": "positive definite",
         "posdef": "positive definite", "definite": "positive definite",
         "semidefinite": "positive definite",
         "hermitian": "symmetric", "stochastic": "probabilities", "simplex": "probabilities",
         "nonnegative": "positive", "nonneg": "positive",
         **dict.fromkeys(("orthogonal", "orthonormal", "unitary", "triangular", "lower", "upper",
                          "toeplitz", "sparse", "skew", "antisymmetric", "invertible", "identity",
                          "square", "scalar", "vector", "matrix"))}


class Variable(NamedTuple):
    """An argument of the function: its shape (integers, names of dimensions, products of them such
    as "k*q") and properties."""

    name: str
    shape: tuple
    properties: tuple


def argument_names(f):
    """The names of a function's arguments; TypeError for *args, **kwargs and keyword-only ones."""
    if not callable(f):
        raise TypeError(f"derive: expected a function of arrays first, got {type(f).__name__}")
    parameters = inspect.signature(f).parameters.values()
    for p in parameters:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"derive: the function takes {p}; expected named arguments, one for "
                            f"each array")
    return [p.name for p in parameters]


def with_signature(f, names):
    """A function that says which arguments it has."""
    f.__signature__ = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])
    return f


def variables_of(f, shapes):
    """A Variable for each argument of a function.

    Raises TypeError where shapes are missing or too many, ValueError for names that have another
    meaning.
    """
    arguments = argument_names(f)
    missing = [n for n in arguments if n not in shapes]
    unknown = [n for n in shapes if n not in arguments]
    if missing or unknown:
        wrong = f"{', '.join(unknown)} is none of them"
        if missing:
            x = missing[0]
            wrong = (f"no shape was given for {', '.join(missing)}: {x}=(\"m\", \"n\"), {x}=(3,) "
                     f"or {x}=() for a number")
        raise TypeError(f"derive: {name_of(f)} has the arguments {', '.join(arguments)}; {wrong}")
    variables = [variable(name, shapes[name]) for name in arguments]
    for v in variables:
        names = dimension_names(v.shape)
        clash = next((n for n in (v.name, *names) if n in RESERVED), None) or next(
            (n for n in names if n in arguments), None)
        if clash:
            raise ValueError(f"derive: {clash!r} names an argument and a dimension, or is a name "
                             f"that formulas need ({', '.join(RESERVED)}); rename it in the shape "
                             f"of {v.name}")
    shapes = {v.name: v.shape for v in variables}
    known = {n for shape in shapes.values() for n in shape} | {*hidden_sizes(shapes)}
    for name, shape in shapes.items():
        for n in dimension_names(shape):
            if n not in known:
                raise ValueError(f"derive: the size {n} in the shape of {name} stands in products "
                                 f"alone, and does not follow from them; expected an array that "
                                 f"has an axis of size {n}, or its number")
    return variables


def names_of(wrt, f, variables):
    """The names of the arguments to differentiate by; ValueError for others than there are."""
    arguments = [v.name for v in variables]
    names = arguments if wrt is None else [wrt] if isinstance(wrt, str) else wrt
    if not isinstance(names, (list, tuple)) or not names:
        raise ValueError(f"derive: wrt={wrt!r}; expected the name of an argument of {name_of(f)}, "
                         f"or a tuple of one or more of {', '.join(arguments)}")
    for name in names:
        if name not in arguments:
            raise ValueError(f"derive: wrt={name!r} is not an argument of {name_of(f)}; expected "
                             f"one of {', '.join(arguments)}")
        if "d" + name in arguments:
            raise ValueError(f"derive: the argument d{name} has the name of the differential of "
                             f"{name}; rename it")
    return tuple(dict.fromkeys(names))


def variable(name, shape):
    """A Variable from its name and its shape as `derive` takes it; ValueError for a wrong one."""
    if not isinstance(shape, (str, int, np.integer, tuple, list)):
        raise ValueError(f"derive: {name}={type(shape).__name__} is not a shape; expected a tuple "
                         f"of sizes, {name}=(\"m\", 3), or () for a number; {name}.shape for that "
                         "of an array")
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    sizes = tuple(_size(name, n) for n in shape if not (isinstance(n, str) and n in PROPERTIES))
    properties = tuple(n for n in shape if isinstance(n, str) and n in PROPERTIES)
    if set(properties) & set(STRUCTURES) and (len(sizes) != 2 or sizes[0] != sizes[1]):
        raise ValueError(f"derive: {name} is {properties[0]} and has the shape {sizes}; expected a "
                         f"square matrix")
    return Variable(name, sizes, properties)


def _size(name, n):
    """The name of a dimension, or an integer above 0."""
    if isinstance(n, str) and all(part.isidentifier() and not keyword.iskeyword(part)
                                  for part in n.split("*") if not part.isdigit()):
        meant = misspelt(n)
        if meant:
            raise ValueError(f"derive: {name} has {n!r} in its shape; {meant}. A dimension needs "
                             "another name")
        return n
    if isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1:
        return operator.index(n)
    raise ValueError(f"derive: {name} has {n!r} in its shape; expected a size (an integer above "
                     f"0), the name of a dimension, or one of {', '.join(PROPERTIES)}")


def misspelt(word):
    """What to say of a word for what is known of a matrix that is no property; else None."""
    plain = word.lower().replace("_", " ")
    close = difflib.get_close_matches(plain, PROPERTIES, 1, 0.7) or [
        p for p in PROPERTIES if len(plain) > 2 and p.startswith(plain)]
    meant = WORDS.get(plain) or (close[0] if close and len(plain) > 2 else None)
    if meant is None and plain not in WORDS:
        return None
    return f"did you mean {meant!r}?" if meant else f"known properties are {', '.join(PROPERTIES)}"


def dimension_names(shape):
    """The names of dimensions in a shape, those in products too."""
    return [part for n in shape if isinstance(n, str) for part in n.split("*")
            if not part.isdigit()]


def is_product(n):
    """Whether a size is a product of others, such as "k*q"."""
    return isinstance(n, str) and "*" in n


def hidden_sizes(shapes):
    """Sizes that stand in products alone, and what they follow from: {q: ("A", 0, "k")}, if it is
    the first of A divided by k.  `shapes` maps names to shapes."""
    whole = {n for shape in shapes.values() for n in shape}
    found = {}
    for name, shape in shapes.items():
        for axis, n in enumerate(shape):
            parts = n.split("*") if is_product(n) else ()
            unknown = [part for part in parts if part not in whole and not part.isdigit()]
            if len(unknown) == 1:
                rest = "*".join(part for part in parts if part not in unknown)
                found.setdefault(unknown[0], (name, axis, rest))
    return found


def size_at(n, sizes):
    """A size where `sizes` has what stands for each name; of "k*q" the product."""
    if is_product(n):
        return math.prod(int(part) if part.isdigit() else sizes[part] for part in n.split("*"))
    return sizes.get(n, n)


def dimensions(variables, first=5):
    """A size for each name of a dimension: all different, and none of those that are given."""
    given = {n for v in variables for n in v.shape if isinstance(n, int)}
    names = dict.fromkeys(n for v in variables for n in dimension_names(v.shape))
    # Primes: a reshape cannot cut them by accident.
    free = (n for n in range(first, 10000) if n not in given and all(n % p for p in range(2, n)))
    return {name: next(free) for name in names}


def symbols_of(variables, numbers):
    """A symbol for each variable; `numbers` has what stands for each name of a dimension."""
    sizes = {name: Size.named(name, n) for name, n in numbers.items()}
    shapes = [tuple(size_at(n, sizes) for n in v.shape) for v in variables]
    return [Symbol.leaf(v.name, shape, "variable", v.properties)
            for v, shape in zip(variables, shapes)]


def trial(f, shapes):
    """Run a program on symbols of these shapes, as for derive; SizeMismatch if they do not fit."""
    variables = [variable(name, shapes[name]) for name in argument_names(f)]
    return f(*symbols_of(variables, dimensions(variables))).shape
