"""Reverse mode: a tape in program order, and the sweep that walks it backwards.

For y = f_n(... f_1(x)) the adjoint is f_1* ... f_n*[g].  The tape lists the operations as they ran, so each one's
result is complete before any later one uses it; walking it in reverse, every cotangent is complete when it is used.
No sorting and no recursion: the length of the program is bounded by memory alone.
"""

from __future__ import annotations

import numpy as np

from .tracer import Level, Tracer


class Node:
    """One operation on the tape.  `parents` has each argument's slot, None for arguments that are not traced here."""

    __slots__ = ("primitive", "kept", "arrays", "params", "wanted", "parents", "slot", "results")

    def __init__(self, primitive, kept, arrays, params, wanted, parents, slot, results):
        self.primitive = primitive
        self.kept = kept
        self.arrays = arrays
        self.params = params
        self.wanted = wanted      # positions of the arguments that want a cotangent
        self.parents = parents    # their slots
        self.slot = slot          # of the (first) result
        self.results = results    # None for a single result, else the tuple of results


class Tape(Level):
    """The level of reverse mode.  A tracer's mark is its slot: the place of its cotangent in the sweep."""

    def __init__(self):
        super().__init__()
        self.nodes = []
        self.slots = 0

    def variable(self, value):
        """A new traced array."""
        slot = self.slots
        self.slots = slot + 1
        return Tracer(value, self, slot)

    def process(self, primitive, arrays, params):
        values, wanted, parents = [], [], []
        for i, a in enumerate(arrays):
            if type(a) is Tracer and a.level is self:
                values.append(a.value)
                if primitive.differentiable(i):
                    wanted.append(i)
                    parents.append(a.mark)
            else:
                values.append(a)
        result, kept = primitive.trace(values, params)
        if not wanted:
            return result
        results = result if primitive.multiple else None
        self.nodes.append(Node(primitive, kept, values, params, wanted, parents, self.slots, results))
        return self.variable(result) if results is None else tuple(map(self.variable, results))

    def sweep(self, seeds, targets):
        """Cotangents of the slots `targets`, given {slot: cotangent}; None where nothing flows."""
        cotangents = [None] * self.slots
        fresh = [False] * self.slots  # whether the sweep made the array itself and nobody else can hold it
        for slot, g in seeds:
            _accumulate(cotangents, fresh, slot, g, False)
        keep = set(targets)
        for node in reversed(self.nodes):
            g = _collect(node, cotangents)
            if g is None:
                continue
            contributions = node.primitive.pull(g, node.kept, node.arrays, node.params, node.wanted)
            for slot, c in zip(node.parents, contributions):
                _accumulate(cotangents, fresh, slot, c, slot in keep and _is_new(c, g, node, contributions))
        return [c if c is None or fresh[slot] else np.copy(c)
                for slot, c in ((slot, cotangents[slot]) for slot in targets)]


def _collect(node, cotangents):
    """The node's cotangent, which is not needed again; for several results a tuple with zeros for what is unused."""
    slot = node.slot
    if node.results is None:
        g = cotangents[slot]
        cotangents[slot] = None
        return g
    many = slice(slot, slot + len(node.results))
    gs = cotangents[many]
    cotangents[many] = [None] * len(gs)
    if all(g is None for g in gs):
        return None
    return tuple(np.zeros_like(y) if g is None else g for g, y in zip(gs, node.results))


def _accumulate(cotangents, fresh, slot, c, is_new):
    if c is None:
        return
    old = cotangents[slot]
    if old is None:
        cotangents[slot] = c
        fresh[slot] = is_new
    elif fresh[slot] and type(old) is np.ndarray and type(c) is np.ndarray:
        old += c
    else:
        cotangents[slot] = old + c
        fresh[slot] = True


def _is_new(c, g, node, contributions):
    """Whether a rule's result shares memory with nothing: not a view, and none of the arrays the rule was handed."""
    if type(c) is not np.ndarray or c.base is not None or sum(c is d for d in contributions) > 1:
        return False
    handed = [g, *node.arrays, node.kept]
    while handed:
        x = handed.pop()
        if x is c:
            return False
        if isinstance(x, tuple):
            handed.extend(x)
    return True
