"""The arguments of a call: which of them are differentiated, what they are called, and how a call
gets them back."""

from __future__ import annotations

import inspect

import numpy as np

from refgrad.tree import children, flatten, paths, unflatten


class Arguments:
    """The arguments of a call: those that are differentiated, by name, and the others, which are
    constants.

    names, values  of all leaves: an array that is an argument has the argument's name, one in a
                   dict or a list of arrays has its place too, as in ``p['W1']``
    chosen         positions of those that are differentiated
    structure      how the leaves make ``(args, kwargs)``; None if every leaf is an argument by
                   position
    """

    def __init__(self, names, values, chosen, structure=None):
        self.names, self.values = names, list(values)
        self.chosen = [names[k] for k in chosen]
        self.structure = structure or flatten((tuple(range(len(names))), {}))[1]

    def add(self, more):
        """Add leaves by name to those of the call; `filled` gives them last."""
        self.names, self.values = [*self.names, *more], [*self.values, *more.values()]

    @property
    def constants(self):
        """name -> leaf, of those that are not differentiated."""
        return {n: a for n, a in zip(self.names, self.values) if n not in self.chosen}

    def filled(self, x, constants):
        """All leaves in their order: the chosen from the dict x, the others from `constants`."""
        return [x[n] if n in x else constants[n] for n in self.names]

    def call(self, f, leaves):
        """``f(*args, **kwargs)`` with these leaves."""
        args, kwargs = unflatten(self.structure, leaves)
        return f(*args, **kwargs)

    def like(self, given):
        """The gradients that a user's code returned, a list with one for each chosen leaf; None
        where there is none.

        given  one for each argument that has a chosen leaf (or that one alone), in the nest of the
               argument
        Raises ValueError if their number or their nesting differs from that of the arguments.
        """
        leaves, wanted = iter(self.names), []
        for nest in (nest for part in self.structure.children for nest in part.children):
            names = [next(leaves) for _ in paths(nest)]
            if chosen := [self.chosen.index(n) for n in names if n in self.chosen]:
                wanted.append((min(chosen), nest, names))
        wanted = [(nest, names) for _, nest, names in sorted(wanted, key=lambda w: w[0])]
        alone = (len(wanted) == 1 and isinstance(given, (tuple, list)) and len(given) != 1
                 and wanted[0][0].children)
        several = isinstance(given, (tuple, list)) and not alone
        given = list(given) if several else [given]
        if len(given) != len(wanted):
            raise ValueError(f"{len(given)} gradients came{' in a sequence' * several}, "
                             f"{len(wanted)} expected: one "
                             f"array for each of {', '.join(self.chosen)}")
        found = {n: a for g, (nest, names) in zip(given, wanted)
                 for n, a in zip(names, _leaves(g, nest))}
        return [found[n] for n in self.chosen]


def _leaves(given, nest):
    """The gradients at the positions of another nest's leaves; dicts are matched by their keys."""
    if not nest.children:
        return [given]
    if given is None:
        return [None] * len(paths(nest))
    parts = children(given)
    if parts is None or set(parts[1]) != set(nest.keys):
        raise ValueError(f"a gradient came as {type(given).__name__}"
                         f"{'' if parts is None else f' of {list(parts[1])}'}, expected {nest!r}")
    by_key = dict(zip(parts[1], parts[2]))
    return [leaf for key, child in zip(nest.keys, nest.children)
            for leaf in _leaves(by_key[key], child)]


def arguments_of(f, inputs, kwargs, argnums, skipped=0, floating=None):
    """The `Arguments` of ``f(*inputs, **kwargs)``: the floats among the leaves are chosen, or those
    of `argnums`.

    skipped   how many of f's parameters come before the inputs
    floating  whether a leaf can be differentiated; None for arrays of floats
    Raises ValueError for argnums that are not positions of inputs with floats.
    """
    floating = floating or is_floating
    tops = argument_names(f, skipped, len(inputs))
    names, values, at = [], [], []
    for k, (name, a) in enumerate([*zip(tops, inputs), *(kwargs or {}).items()]):
        leaves, structure = flatten(a)
        names += [name + path for path in paths(structure)]
        values += leaves
        at += [k if k < len(inputs) else name] * len(leaves)
    floats = [n for n, a in enumerate(values) if floating(a)]
    chosen = floats
    if argnums is not None:
        wanted = chosen_of(argnums, sorted({at[n] for n in floats if isinstance(at[n], int)}),
                           len(inputs))
        chosen = [n for k in wanted for n in floats if at[n] == k]
    return Arguments(names, values, chosen, flatten((tuple(inputs), dict(kwargs or {})))[1])


def is_floating(a):
    """Is it an array of floats?"""
    return getattr(getattr(a, "dtype", None), "kind", "") == "f"


def chosen_of(argnums, floats, count):
    """The positions that argnums names, in its order; for None all of `floats`, which can be
    differentiated."""
    if argnums is None:
        return floats
    argnums = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    for k in argnums:
        if k not in floats:
            raise ValueError(f"check: argnums={tuple(argnums)!r}: input {k} of {count} is not an "
                             f"array of floats; those are {floats}")
    if len(set(argnums)) != len(argnums):
        raise ValueError(f"check: argnums={tuple(argnums)!r} names an input twice")
    return argnums


def argument_names(f, skipped, count):
    """The names of a function's positional arguments after the first few; 'argument 0', ... where
    it has none."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    known = known[skipped:]
    return known[:count] if len(known) >= count else [f"argument {k}" for k in range(count)]


def plain(a):
    """A Python or NumPy number as an array; anything else is returned unchanged."""
    return np.asarray(a) if isinstance(a, (float, np.generic)) else a
