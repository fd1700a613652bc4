"""Nested containers of arrays: dict, list, tuple, namedtuple and dataclass, to any depth.

`flatten` takes a nest apart into its leaves and a `Structure` that puts other leaves into the same
nest.
None is an empty container: it has no leaves.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .hints import Nest


class Structure(NamedTuple):
    """How to rebuild a nest: the container (a type, or LEAF or EMPTY), the keys of its children,
    their structures."""

    kind: Any
    keys: tuple = ()
    children: tuple = ()

    def __repr__(self):
        if self.kind is LEAF:
            return "*"
        if self.kind is EMPTY:
            return "None"
        inside = ", ".join(f"{k}: {c!r}" for k, c in zip(self.keys, self.children))
        return f"{self.kind.__name__}({inside})"


LEAF, EMPTY = "leaf", "empty"
_new = tuple.__new__  # Structure(...) without the Python call
_leaf, _empty = Structure(LEAF), Structure(EMPTY)


def children(x):
    """(kind, keys, values) of a container, or None for a leaf."""
    if isinstance(x, dict):
        return type(x), tuple(x), tuple(x.values())
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x), x._fields, tuple(x)
    if isinstance(x, (list, tuple)):
        return type(x), tuple(range(len(x))), tuple(x)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        names = tuple(f.name for f in dataclasses.fields(x))
        return type(x), names, tuple(getattr(x, n) for n in names)
    return None


def rebuild(kind, keys, values):
    if kind is tuple or kind is list:
        return kind(values)
    if issubclass(kind, dict):
        new = kind()  # by its own update, since a subclass may want other arguments (defaultdict)
        new.update(zip(keys, values))
        return new
    if dataclasses.is_dataclass(kind):
        # Without __init__, since a __post_init__ may convert what should stay traced.
        new = object.__new__(kind)
        for k, v in zip(keys, values):
            object.__setattr__(new, k, v)
        return new
    return kind(*values) if hasattr(kind, "_fields") else kind(values)


# The recursions are functions of the module: a nested function that calls itself is a reference
# cycle, and would keep all that its call saw, tapes included, until the garbage collector runs.


def flatten(x):
    """(leaves, structure)."""
    leaves = []
    return leaves, _flatten(x, leaves)


def _flatten(x, leaves):
    kind = type(x)
    if kind is tuple or kind is list:
        inner = []
        for v in x:
            if type(v) is np.ndarray:  # most are
                leaves.append(v)
                inner.append(_leaf)
            else:
                inner.append(_flatten(v, leaves))
        return _new(Structure, (kind, _positions(len(x)), tuple(inner)))
    if x is None:
        return _empty
    if kind is dict:
        return _new(Structure, (kind, tuple(x), tuple([_flatten(v, leaves) for v in x.values()])))
    parts = None if hasattr(x, "dtype") else children(x)
    if parts is None:
        leaves.append(x)
        return _leaf
    kind, keys, values = parts
    return Structure(kind, keys, tuple([_flatten(v, leaves) for v in values]))


@functools.cache
def _positions(n):
    return tuple(range(n))


def unflatten(structure, leaves):
    """The nest again, with other leaves."""
    return _unflatten(structure, iter(leaves))


def _unflatten(s, leaves):
    kind, keys, inner = s
    if kind is LEAF:
        return next(leaves)
    if kind is EMPTY:
        return None
    values = [next(leaves) if c is _leaf else _unflatten(c, leaves) for c in inner]
    return values if kind is list else rebuild(kind, keys, values)


def paths(structure, prefix=""):
    """The leaves' names in order: "['W'][0].bias"."""
    if structure.kind is LEAF:
        return [prefix]
    return [p for k, c in zip(structure.keys, structure.children)
            for p in paths(c, prefix + _step(structure.kind, k))]


def _step(kind, key):
    dotted = kind is not EMPTY and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"))
    return f".{key}" if dotted else f"[{key!r}]"


def flatten_like(structure, x, name):
    """The leaves of `x`, which must have that structure; a dict may list its keys in another order.

    Raises ValueError that says where in `name` the structure is another.
    """
    leaves, same = flatten(x)
    if same != structure:
        _flatten_like(structure, x, name, leaves := [])
    return leaves


def _flatten_like(s, x, name, leaves):
    kind, keys, values = (EMPTY, (), ()) if x is None else children(x) or (LEAF, (), (x,))
    if kind is not s.kind or set(keys) != set(s.keys):
        raise ValueError(f"{name} has the structure {flatten(x)[1]}; expected {s}")
    if kind is LEAF:
        leaves.append(x)
    named = dict(zip(keys, values))
    for k, c in zip(s.keys, s.children):
        _flatten_like(c, named[k], name + _step(kind, k), leaves)


def tree_map(function: Callable[..., Any], x: Nest, *others: Nest) -> Nest:
    """Apply a function to the corresponding leaves of nests of one structure."""
    leaves, structure = flatten(x)
    columns = [leaves]
    for i, other in enumerate(others, 2):
        columns.append(flatten_like(structure, other, f"tree_map: argument {i}"))
    return unflatten(structure, [function(*row) for row in zip(*columns)])
