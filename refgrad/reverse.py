"""Reverse mode: a tape in program order, and the sweep that walks it backwards.

For y = f_n(... f_1(x)) the adjoint is f_1* ... f_n*[g].  The tape lists the operations as they ran,
so each one's result is complete before any later one uses it; walking it in reverse, every
cotangent is complete when it is used. No sorting and no recursion: the length of the program is
bounded by memory alone.
"""

from __future__ import annotations

import itertools
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .errors import encloses_itself
from .operands import ATOMS, has_nan
from .primitive import Primitive, consist_of
from .snapshots import LARGE, REUSED, Snapshots, is_only_holder, owner_of
from .tracer import Level, Tracer

#: Below this many entries a sum in a new array takes no longer than one in the place of a summand.
SMALL = 2048

#: Whether a sweep is running: invalid operations then raise FloatingPointError, which it catches.
WALKING = ContextVar("walking", default=False)


class RunsOutside(Exception):
    """A rule calls a function of the user's, which has to run under the user's own np.errstate."""


class Node(NamedTuple):
    """One operation.  A tape lists them as plain tuples of these fields, which are made and taken
    apart sooner.

    wanted   positions of the arguments that want a cotangent
    parents  their slots
    slots    of the result, or the list of those of several results
    results  None for a single result, else the tuple of results
    """

    primitive: Primitive
    kept: Any
    arrays: list
    params: dict
    wanted: list
    parents: list
    slots: Any
    results: tuple | None


class Tape(Level):
    """The level of reverse mode.  A tracer's mark is its slot: the name of its cotangent in the
    sweep."""

    def __init__(self):
        super().__init__()
        self.nodes = []
        self.snapshots = Snapshots()
        self.hides = False  # whether an operation may have left out entries that are nan
        self.borrowed = set()  # ids of arrays that own the memory of large arguments
        self.slots = itertools.count()  # counting is atomic, so threads may share a tape

    def variable(self, value):
        """A new traced array."""
        return Tracer(value, self, next(self.slots))

    constant = variable

    def borrow(self, x):
        """An argument of the caller's as it is now; a large one is not copied, but watched once a
        rule will read it."""
        if x.size < LARGE:
            return self.snapshots.of(x, "reverse mode: an argument")
        self.borrowed.add(id(owner_of(x)))
        return x

    def process(self, primitive, arrays, params):
        # The bits of `which` say which arguments are this tape's.
        values, parents, which = [], [], 1
        for a in arrays:
            which += which
            if type(a) is Tracer:
                if a.level is self:
                    which += 1
                    parents.append(a.mark)
                    a = a.value
                else:
                    a = a.apart()
            values.append(a)
        wanted, numbers, _ = plan = primitive.plans.get(which) or primitive.plan(which)
        for i in numbers:
            x = values[i]
            if type(x) is ndarray:
                values[i] = x.copy("K") if x.size < REUSED else self.snapshots.of(x, (primitive, i))
        if params and wanted and not consist_of(ATOMS, params):
            params = {k: self.snapshots.within(p, (primitive, k)) for k, p in params.items()}
        if primitive.chooses is not None and not self.hides:
            self.hides = primitive.chooses(params)
        if primitive.direct:
            result = kept = (primitive.evaluate(*values, **params) if params
                             else primitive.evaluate(*values))
        else:
            result, kept = primitive.trace(values, params)
        if type(result) is Tracer and result.level.number >= self.number:
            raise encloses_itself(primitive.name)
        if not wanted:
            return result
        if len(parents) > len(wanted):
            parents = [arrays[i].mark for i in wanted]
        if primitive.multiple:
            traced = tuple(map(self.variable, result))
            slots, results = [y.mark for y in traced], result
        else:
            slots, results = next(self.slots), None
            traced = Tracer(result, self, slots)
        if type(result) is ndarray and result.size >= LARGE or (
                not primitive.pointwise and _is_large(values[0])):
            kept, values = self.worth_keeping(primitive, kept, values, plan.read)
        self.nodes.append((primitive, kept, values, params, wanted, parents, slots, results))
        return traced

    def worth_keeping(self, primitive, kept, arrays, read):
        """The residuals: large arrays that no rule reads are replaced by placeholders of the same
        shape and dtype."""
        for i, x in enumerate(arrays):
            if read[1 + i] and _is_large(x) and id(owner_of(x)) in self.borrowed:
                self.snapshots.watch(x, (primitive, i))
        kept, *arrays = [x if r or not _is_large(x) else _outline(x)
                         for x, r in zip((kept, *arrays), read)]
        return kept, arrays

    def sweep(self, seeds, targets, once=False):
        """Cotangents of the slots `targets`, given pairs (slot, cotangent); None for those that get
        none.

        With `once` the tape is used up: the residuals of an operation are freed as soon as the
        sweep has passed it.
        """
        cotangents = [None] * next(self.slots)
        for slot, g in seeds:
            old = cotangents[slot]
            cotangents[slot] = g if old is None else old + g
        nodes = self.nodes if once else self.nodes.copy()
        self.snapshots.verify()
        while nodes:
            walking = WALKING.set(True)
            try:
                with np.errstate(invalid="raise"):
                    failed = self.walk(nodes, cotangents)
            finally:
                WALKING.reset(walking)
            if failed is not None:  # 0 times infinity, perhaps
                node, g = Node(*failed[0]), failed[1]
                pulled = node.primitive.pull_zeros(g, node.kept, node.arrays, node.params,
                                                   node.wanted)
                self.walk([], cotangents, (node.parents, pulled))
        if self.hides:
            for slot in targets:
                _ask_for_nan(cotangents[slot])
        return [_handed_out(cotangents, slot) for slot in targets]

    def walk(self, nodes, cotangents, pulled=None):
        """Pull the cotangents through the nodes, last one first, and add them up.

        pulled  slots and what is to be added to their cotangents before, or None
        Returns the node, and its result's cotangent, where an operation is invalid or a rule runs
        outside.
        """
        while nodes or pulled:
            if pulled:
                (parents, contributions), pulled = pulled, None
            else:
                node = nodes.pop()
                primitive, kept, arrays, params, wanted, parents, slots, results = node
                if results is None:
                    g, cotangents[slots] = cotangents[slots], None
                else:
                    g = _collected(cotangents, slots, results, primitive.unused)
                if g is None:
                    continue
                try:
                    contributions = primitive.pull(g, kept, arrays, params, wanted)
                    if self.hides and _have_nan(contributions):
                        return node, g
                except (FloatingPointError, RunsOutside):
                    return node, g
            for slot, c in zip(parents, contributions):
                if c is None:
                    continue
                if cotangents[slot] is None:
                    cotangents[slot] = c
                else:
                    cotangents[slot] = _added(cotangents, slot, c)
        return None


def _collected(cotangents, slots, results, unused):
    """Take the cotangents of several results, which no other node wants: a tuple, or None if there
    is none.

    For the unused it has zeros, or None if the primitive asks for that.
    """
    gs = [cotangents[slot] for slot in slots]
    for slot in slots:
        cotangents[slot] = None
    if all(g is None for g in gs):
        return None
    return tuple(gs if unused
                 else [np.zeros_like(y) if g is None else g for g, y in zip(gs, results)])


def outside_the_walk():
    """A `pull` that calls a function of the user's starts with this, and is called again
    outside."""
    if WALKING.get():
        raise RunsOutside


def _have_nan(cotangents):
    """Whether one of the arrays, plain or traced, has an entry that is nan."""
    for c in cotangents:
        while type(c) is Tracer:
            c = c.value
        if has_nan(c):
            return True
    return False


def _ask_for_nan(c):
    """Under jit, record a check of whether a cotangent has nan.

    The sweep treats nan in a way of its own, and the traced program has these steps only if there
    was a nan during the trace.  With the check, the function is traced again where the answer
    differs.
    """
    while type(c) is Tracer:
        if c.level.records:
            bool(np.any(np.isnan(c)))
        c = c.value


def _added(cotangents, slot, c):
    """The sum of a cotangent and another, in the memory of the first if nothing else holds that.

    Infinity minus infinity is nan here, whatever the sweep does about invalid operations.
    """
    out = None
    if type(c) is ndarray and c.size >= SMALL and is_only_holder(cotangents, slot):
        out = cotangents[slot]
    try:
        return cotangents[slot] + c if out is None else np.add(out, c, out=out)
    except FloatingPointError:
        if out is not None:
            return out  # NumPy looks for errors when its loop is over: the sum is complete
        with np.errstate(invalid="ignore"):
            return cotangents[slot] + c


def _is_large(x):
    return type(x) is np.ndarray and x.size >= LARGE


def _outline(x):
    """An array of this shape and dtype that takes no memory; nan shows if a rule reads it."""
    return np.broadcast_to(np.asarray(np.nan if x.dtype.kind == "f" else 0, x.dtype), x.shape)


def _handed_out(cotangents, slot):
    """A cotangent that its receiver may overwrite: what somebody else may hold is copied."""
    if is_only_holder(cotangents, slot):
        return cotangents[slot]
    c = cotangents[slot]
    if type(c) is ndarray:
        return c.copy("K")
    return c if c is None or type(c) is Tracer else np.copy(c)
