"""Rules name what they read, as tests name their fixtures.

    declare(np.exp, "y = e^x,  dy = y dx", jvp=(lambda v, y: v * y,), vjp=(lambda g, y: g * y,))

A rule's first parameter is the tangent or the cotangent.  Each of the others is the name of
something that the rule reads:

    x, axis    an array or parameter of `forward`, by its name there; of *arrays it is a tuple
    y          the result; with `keep`, the first argument of `forward` instead
    x_shape    the shape alone, of an array or of the result; arrays_shape is a tuple of shapes

A parameter with a default value and none of these names belongs to the rule alone.  A function of
NumPy has no signature to take names from: its argument is called x, or its arguments a, b, ...,
unless the primitive's `takes` lists other names, as in "x axis", or in "A -> Y", which names the
result as well.

The names are looked up once, when the primitive is made.  From then on every rule has the same
signature, ``rule(g, kept, arrays, params)``, and its attribute `reads` says what reverse mode has
to keep for it.
"""

from __future__ import annotations

import functools
import inspect

from .fitting import shape_of

#: In `reads`, 0 stands for what the forward pass kept, 1 + k for array k, ALL for every array.
ALL = -1


class Each:
    """One rule for any number of arguments: ``Each(rule)[i](...)`` calls ``rule(i, ...)``."""

    __slots__ = ("rule",)

    def __init__(self, rule):
        self.rule = rule

    def __getitem__(self, argument):
        return functools.partial(self.rule, argument)


class Names:
    """What the rules of a primitive may name; `count`: how many arrays it has, None if any."""

    def __init__(self, primitive, forward, takes, keeps, count):
        self.primitive, self.known, self.defaults, kept = primitive, {}, {}, "y"
        if takes is None and inspect.isfunction(forward):
            parameters = inspect.signature(forward).parameters.values()
            names = [p.name for p in parameters]
            self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
            if keeps:
                kept, *names = names
        else:
            takes = takes or ("x" if count == 1 else " ".join("abcdefgh"[:count]))
            names, _, result = takes.partition(" -> ")
            names, kept = names.split(), result or kept
        self.arrays = [] if count is None else names[:count]
        if count is None:
            self._know(names[0], "arrays", ALL, "tuple(map(shape_of, arrays))")
        for k, name in enumerate(self.arrays):
            self._know(name, f"arrays[{k}]", 1 + k, f"shape_of(arrays[{k}])")
        for name in names[1 if count is None else count:]:
            optional = f".get({name!r}, defaults[{name!r}])"
            self.known[name] = ("params" + (optional if name in self.defaults else f"[{name!r}]"),
                                None)
        self._know(kept, "kept", 0, "shape_of(kept)")

    def _know(self, name, value, reads, shape):
        if name in self.known:
            raise TypeError(f"{self.primitive}: two things that a rule may read are called {name}")
        self.known |= {name: (value, reads), f"{name}_shape": (shape, None)}

    def rule(self, rule, before="g, "):
        """A rule in the common signature; `before` are its leading parameters, which read
        nothing."""
        return self._made(rule, before, f"rule({before}", before.count(","))

    def product(self, slope):
        """The rule that multiplies by a partial derivative, its attribute `partial`."""
        rule = self._made(slope, "g, ", "g * rule(")
        rule.partial = self._made(slope, "", "rule(")
        return rule

    def _made(self, rule, before, call, skip=0):
        given, reads = [], set()
        for p in list(inspect.signature(rule).parameters.values())[skip:]:
            is_known, is_own = p.name in self.known, p.default is not p.empty
            if is_known is is_own or p.kind is not p.POSITIONAL_OR_KEYWORD:
                raise TypeError(f"{self.primitive}: a rule reads {p}; expected one of the names "
                                f"{', '.join(self.known)}")
            if is_known:
                value, read = self.known[p.name]
                given.append(value)
                reads.add(read)
        made = _compiled(f"lambda {before}kept, arrays, params: {call}{', '.join(given)})")(
            rule, self.defaults)
        made.reads, made.__module__ = reads - {None}, rule.__module__
        return made


@functools.cache
def _compiled(source):
    here = "\n" * (inspect.currentframe().f_lineno - 1)  # the line that warnings will name
    code = compile(f"{here}lambda rule, defaults: {source}", __file__, "eval")
    return eval(code, {"shape_of": shape_of})
