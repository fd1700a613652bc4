"""The level on which a derivation runs: the engine's own rules, forward and backward, on symbols.

As in forward and reverse mode, a primitive's `push` gives the differential of an operation, and its
`pull` the adjoint.  Intermediate results that a person would name on paper get names: the argument
of a nonlinear function, and an activation or a sum that enters a product.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..errors import NoRule
from ..nn import softmax
from ..primitive import LINEAR, MULTILINEAR, TABLE
from ..reverse import Node
from ..tracer import Level, Tracer
from .index import Call, Point, as_factor
from .names import Defined, abbreviated, inlined, is_simple, is_symmetric, named, names_in
from .notation import traits
from .simplify import flat, simplified
from .symbol import NoFormula, Symbol, as_symbol, axes_of, fresh_axes, size_of


class Mark:
    """What the level keeps with an array: its slot, its differential, and how it came about.

    made    the primitives that made it since the last name, with the positions of the arguments
            that vary
    value   the array as a symbol: its name, once it has one
    """

    __slots__ = ("slot", "tangent", "made", "name", "value")

    def __init__(self, slot, tangent, made, value):
        self.slot, self.tangent, self.made, self.name, self.value = slot, tangent, made, None, value


class Deriving(Level):
    """Forward and reverse mode at once, on symbols, with names for intermediate results."""

    def __init__(self, taken, lettering, early):
        """Of a run before: how often each letter is used, and which slots get names early."""
        super().__init__()
        self.slots = itertools.count()
        self.nodes, self.names, self.differentials, self.by_slot = [], [], {}, {}
        self.taken, self.lettering, self.counts, self.early = set(taken), lettering, {}, early
        self.whole = []  # primitives whose rules have no formula, and are left whole
        self.known = {}  # what has been computed, by its primitive and arguments
        self.operations = {}  # from slots to the primitive, arguments and parameters that made them

    def variable(self, value, tangent, made=()):
        return Tracer(value, self, Mark(next(self.slots), tangent, made, value))

    def constant(self, value):
        return self.variable(as_symbol(value), as_symbol(np.zeros_like(value)))

    def process(self, primitive, arrays, params):
        """Compute an operation, or find it computed: equal parts of a program have one name."""
        for a in arrays:
            if self.traces(a):
                a.value = a.mark.value
        stable = self.made_stable(primitive, arrays)
        if stable is not None:
            return stable
        key = self.key_of(primitive, arrays, params)
        if key is None:
            return self.compute(primitive, arrays, params)
        if key not in self.known:
            self.known[key] = self.compute(primitive, arrays, params)
        found = self.known[key]
        if not self.traces(found):
            return found
        self.operations[found.mark.slot] = primitive, arrays, params
        return found.apart()

    def key_of(self, primitive, arrays, params):
        """A key that is equal for equal operations; None where there is none."""
        parts = []
        for a in arrays:
            if self.traces(a):
                parts.append(a.mark.slot)
            elif isinstance(a, Symbol):
                parts.append((a.shape, a.key()))
            elif (type(a) is np.ndarray and a.dtype != object
                  or np.ndim(a) == 0 and not isinstance(a, Tracer)):
                parts.append((np.shape(a), np.asarray(a).tobytes(), str(a)))
            else:
                return None
        return primitive, tuple(parts), repr(params)

    def compute(self, primitive, arrays, params):
        mine = [self.traces(a) for a in arrays]
        for i, a in enumerate(arrays):
            if mine[i] and not a.mark.name and self.deserves_name(primitive, i, a.value):
                self.give_name(a)
        values = [a.value if own else self.define(a, primitive)
                  if isinstance(a, Symbol) and not primitive.pointwise
                  and self.deserves_name(primitive, i, a) else a
                  for i, (a, own) in enumerate(zip(arrays, mine))]
        result, kept = primitive.trace(values, params)
        if not isinstance(result, Symbol):
            raise NoFormula(primitive.name)
        wanted = [i for i, own in enumerate(mine) if own and primitive.differentiable(i)]
        if not wanted:
            return result
        if primitive.keep is not None:
            kept = self.names_for(kept, primitive)
            result = primitive.forward(kept, *values, **params)
        for x in (kept, result):
            if isinstance(x, Symbol):
                self.define_softmax(x)
        tangents = [a.mark.tangent if i in wanted else None for i, a in enumerate(arrays)]
        try:
            if traits(primitive).program:
                raise NoFormula(primitive.name)
            tangent = primitive.push(tangents, kept, values, params, result)
        except (NoFormula, NoRule):
            tangent = sum(self.left_whole("jvp", primitive, [tangents[i], *values], i, params,
                                          result) for i in wanted)
        linear = len(wanted) == 1 and (primitive.kind is MULTILINEAR
                                       or traits(primitive).linear_in == wanted[0])
        mine = [] if linear else [(primitive, tuple(wanted))]
        made = tuple(dict.fromkeys([*(p for i in wanted for p in arrays[i].mark.made), *mine]))
        traced = self.variable(result, as_symbol(tangent), made)
        if traced.mark.slot in self.early:
            self.give_name(traced)
        self.nodes.append(Node(primitive, kept, values, params, wanted,
                               [arrays[i].mark.slot for i in wanted], traced.mark.slot, None))
        return traced

    def made_by(self, x):
        """The primitive, arguments and parameters that made a traced array; Nones for others."""
        return self.operations.get(x.mark.slot if self.traces(x) else None, (None, (None,), {}))

    def made_stable(self, primitive, arrays):
        """A result that is computed by hand in a stable way, as the function that it is; None for
        others.

        exp(z - c) / sum(exp(z - c)) is softmax(z),
            and log(sum(exp(z - c))) is log(sum(exp(z))) - c, where c is the
        same along the axis of the sum, as its maximum is.
        """
        made, (e, *_), how = self.made_by(arrays[-1])
        if (made is not TABLE[np.sum] or self.made_by(e)[0] is not TABLE[np.exp]
                or len(how["axis"]) != 1):
            return None
        (z,), c, axis, kept = (self.made_by(e)[1], None, how["axis"][0] % e.ndim - e.ndim,
                               how["keepdims"])
        made, parts, _ = self.made_by(z)
        if made is TABLE[np.subtract] and self.traces(parts[0]) and parts[0].shape == z.shape and (
                np.ndim(parts[1]) < -axis or np.shape(parts[1])[axis] == 1):
            z, c = parts
        if primitive is TABLE[np.log] and c is not None:
            return np.log(np.sum(np.exp(z), axis, keepdims=kept)) - (
                c if kept or np.ndim(c) < -axis else np.squeeze(c, axis))
        if (primitive is TABLE[np.divide] and self.traces(arrays[0])
                and arrays[0].mark.slot == e.mark.slot and (kept or z.ndim == 1)):
            return softmax(z, dim=axis)
        return None

    # names

    def deserves_name(self, primitive, i, value):
        """Whether a value gets a name as argument i of a primitive."""
        if is_simple(value) or any(len(axis) > 1 for axis in value.axes) or is_root(value):
            return False
        if primitive.kind is LINEAR or traits(primitive).linear_in == i:
            return False
        if primitive.kind is MULTILINEAR or traits(primitive).bilinear:
            several = len(value.expression.terms) > 1
            factors = [f for t in value.expression.terms for f in t.factors]
            return several or any(type(f.atom) in (Point, Call) and self.uses_names(f)
                                  for f in factors)
        return True

    def uses_names(self, f):
        inside = f.atom.args if type(f.atom) is Point else [s for _, s in f.atom.args]
        return any(n.role == "intermediate" for s in inside for n in names_in(s).values())

    def give_name(self, a):
        """Call the value of a traced array by a name from now on; its differential too.

        A transpose is called by the name of what it transposes.
        """
        made, (of, *_), params = self.made_by(a)
        if made is TABLE[np.transpose] and self.traces(of):
            if not of.mark.name:
                self.give_name(of)
            a.mark.name, a.mark.made = of.mark.name, ()
            a.value = a.mark.value = np.transpose(of.mark.value, **params)
            a.mark.tangent = np.transpose(of.mark.tangent, **params)
            return
        definition = self.tidy(a.value)
        known = next((d for d in self.names
                      if d.name not in self.differentials and same(d.symbol, definition)), None)
        known = known or self.introduce(definition, a.mark.made, self.is_symmetric(definition))
        name = a.mark.name = known.name
        a.value = a.mark.value = known.symbol
        differential = named("d" + name, a.value, "differential")
        self.differentials[name] = Defined(name, differential, self.tidy(a.mark.tangent),
                                           a.mark.made)
        a.mark.tangent = differential
        a.mark.made = ()
        self.by_slot[a.mark.slot] = name

    def is_symmetric(self, definition):
        """Whether what names stand for makes it symmetric, as squares of differences are."""
        if definition.ndim != 2 or definition.shape[0] != definition.shape[1]:
            return False
        names = {d.name: d.definition for d in self.names}
        whole = flat(inlined(definition, names).expression)
        return is_symmetric(tidied(Symbol(definition.axes, whole)))

    def names_for(self, kept, primitive):
        """What forward and rules share, with names where it is more than a name."""
        if isinstance(kept, tuple):
            return tuple(reversed([self.names_for(k, primitive) for k in reversed(kept)]))
        if not isinstance(kept, Symbol) or is_simple(kept) or any(
                type(f.atom) in (Point, Call) for t in kept.expression.terms for f in t.factors):
            return kept
        return self.define(kept, primitive)

    def define(self, symbol, primitive):
        """A name for an expression, or the one that it has, as a symbol."""
        definition = self.tidy(symbol)
        return (definition if is_simple(definition)
                else self.introduce(definition, ((primitive, (0,)),)).symbol)

    def introduce(self, definition, made, symmetric=False):
        """A new name for an expression."""
        name = self.new_name(definition)
        self.names.append(Defined(name, named(name, definition, symmetric=symmetric), definition,
                                  made))
        return self.names[-1]

    def define_softmax(self, x):
        """S for the softmax that has just been computed, or its logarithm."""
        for f in (f for t in x.expression.terms for f in t.factors if type(f.atom) is Call):
            known = traits(f.atom.function)
            if known.sums_to_one or known.log_of:
                computed = Symbol.of_atom(f.atom, axes_of(n for n in f.atom.sizes if n != 1))
                self.define(np.exp(computed) if known.log_of else computed, f.function)

    def tidy(self, symbol):
        """A symbol in its simplest form, with the names that there are."""
        simple = tidied(symbol)
        short = abbreviated(simple, self.names)
        return simple if short is simple else tidied(short)

    def forget_unused(self, symbols):
        """Keep the names that these symbols use, and those that stand in their definitions."""
        used = {n for x in symbols for n in names_in(x.expression)}
        for d in reversed(self.names):
            if {d.name, "d" + d.name} & used:
                mine = [x for x in (d, self.differentials.get(d.name)) if x]
                used |= {d.name, *(n for x in mine for n in names_in(x.definition.expression))}
        self.names = [d for d in self.names if d.name in used]
        self.differentials = {n: d for n, d in self.differentials.items() if n in used}

    def new_name(self, symbol):
        letter = letter_for(symbol)
        single = self.lettering.get(letter) == 1 and letter not in self.taken
        name = None
        while name is None or name in self.taken:
            self.counts[letter] = self.counts.get(letter, 0) + 1
            name = letter if single else f"{letter}{self.counts[letter]}"
        return name

    # the way back

    def left_whole(self, rule, primitive, arrays, argument, params, like):
        """A jvp or vjp rule that has no formula, as a function, in the shape of `like`."""
        self.whole.append((rule, primitive))
        symbols = [as_symbol(a) for a in arrays]
        axes = fresh_axes(as_symbol(like).axes)
        about = ("primitive", primitive), ("argument", argument), ("params", tuple(params.items()))
        atom = Call(rule, tuple((a.axes, a.expression) for a in symbols), about,
                    tuple(size_of(axis) for axis in axes))
        return Symbol.of_atom(atom, axes)

    def sweep(self, slot, seed):
        """(cotangents of all slots, definitions of those with names), walking the operations
        backwards."""
        cotangents, defined = {slot: seed}, {}
        for node in reversed(self.nodes):
            if node.slots not in cotangents:
                continue
            g = self.cotangent(node.slots, cotangents, defined)
            for s, c in zip(node.parents, self.pulled(node, g)):
                c = as_symbol(c)
                cotangents[s] = cotangents[s] + c if s in cotangents else c
        return cotangents, defined

    def cotangent(self, slot, cotangents, defined):
        """The cotangent of a slot, complete by now; by a name, if the slot has one."""
        g = self.tidy(cotangents[slot])
        name = self.by_slot.get(slot)
        if name and not is_simple(g):
            defined[name] = Defined(name, named("G_" + name, g, "cotangent"), g)
            g = defined[name].symbol
        cotangents[slot] = g
        return g

    def pulled(self, node, g):
        try:
            if traits(node.primitive).program:
                raise NoFormula(node.primitive.name)
            return node.primitive.pull(g, node.kept, node.arrays, node.params, node.wanted)
        except (NoFormula, NoRule):
            return [self.left_whole("vjp", node.primitive, [g, *node.arrays], i, node.params,
                                    node.arrays[i])
                    for i in node.wanted]


def tidied(symbol, whole=False):
    """A symbol in its simplest form, with sums in parentheses `whole` or not."""
    label = {i: f"{n}.{k}" for n, axis in enumerate(symbol.axes) for k, i in enumerate(axis)}
    return Symbol(symbol.axes, simplified(symbol.expression, label, whole))


def same(a, b):
    """Whether two symbols are equal, also in their axes of size 1."""
    return a.shape == b.shape and a.key() == b.key()


def is_root(symbol):
    """Whether it is the root of something, which its own powers undo."""
    return as_factor(symbol.expression).power.denominator > 1


def letter_for(symbol):
    """Z for what a layer computes, A for an activation, R for a residual; in lower case for
    vectors, s for numbers, T for arrays of more axes."""
    terms, n = symbol.expression.terms, sum(1 for axis in symbol.axes if axis)
    if n == 0 or n > 2:
        return "T" if n else "s"
    factors = terms[0].factors if len(terms) == 1 else ()
    if any(type(f.atom) is Call and traits(f.atom.function).sums_to_one for f in factors):
        letter = "S"
    elif len(factors) == 1 and factors[0].power < 0:
        letter = "R"
    elif any(type(f.atom) in (Point, Call) for f in factors):
        letter = "A"
    elif any(t.coefficient < 0 for t in terms) and len(terms) > 1:
        letter = "R"
    else:
        letter = "Z"
    return letter if n > 1 else letter.lower()
