"""What a primitive is, and the one table that maps a function to it.

A primitive is a function with its differential and its adjoint, together in one place:

    y = f(x)         forward
    dy = f'(x)[dx]   the differential; as a rule it is the jvp:  v -> f'(x)[v]
    <g, dy> = <f'(x)*[g], dx>   moving d to the right gives the adjoint, the vjp:  g -> f'(x)*[g]

Rules are one line of mathematics for each argument, written with NumPy functions.  They never ask
what the elements of their arrays are, so the same rule runs on floats, on traced arrays (any order
of derivative), and on any other array that speaks NumPy's protocols.  Broadcasting, accumulation,
dtypes and shape checks are not the rules' business: they happen once, in `Primitive.pull` and
`Primitive.push`.

A rule names what it reads, and nothing else is kept for it (see `rule`):

    declare(np.divide, "y = a / b,  dy = (da - y db) / b,  <g, dy> = <g / b, da> + <-g y / b, db>",
            pointwise=True, vjp=(lambda g, b: g / b, lambda g, y, b: -g * y / b))
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy import ndarray

from . import foreign
from .cases import Case
from .fitting import (  # noqa: F401  (rules take them from here)
    HALF, align, fit, in_dtype_of, ndim_of, shape_of, spread, total, widened)
from .hints import Nest
from .operands import ATOMS, PLAIN, is_foreign
from .rule import ALL, Each, Names

#: A function that a decorator gives back as it is.
F = TypeVar("F", bound=Callable[..., Any])


class Kind(enum.Enum):
    """What sort of function a primitive is.  Tests, documents and harness read it; the engine
    derives rules from it."""

    LINEAR = "linear"            # jointly linear in all its arrays: the jvp is the function itself
    # Linear in each array alone: the jvp is a sum of the function, one argument replaced.
    MULTILINEAR = "multilinear"
    SMOOTH = "smooth"            # differentiable wherever it is defined
    # Differentiable but for declared points, where a declared convention holds.
    KINKED = "kinked"
    CONSTANT = "constant"        # constant almost everywhere: the result carries no derivative


LINEAR, MULTILINEAR, SMOOTH, KINKED, CONSTANT = Kind

#: From a function (of NumPy, or a refgrad primitive) to the Primitive or Composition that
#: differentiates it.
TABLE: dict = {}


#: From a type of traced arrays to the function that takes over an operation on one of them, before
#: NumPy's protocol asks anyone else.
TRACING: dict = {}


def _on_foreign(primitive, arrays, params):
    """A primitive of which an argument is of another library; one that is traced goes first."""
    for a in (*arrays, *within(params)):
        if type(a) in TRACING and type(a) is not foreign.Foreign:
            return TRACING[type(a)](primitive, arrays, params)
    return foreign.operate(primitive, arrays, params)


TRACING[foreign.Foreign] = _on_foreign


def _in_pull(argument, g, kept, arrays, params):
    raise NotImplementedError("a primitive whose rules are EVERY must override pull")


#: The vjp of a primitive that overrides `pull`: any argument can have a cotangent.
EVERY = Each(_in_pull)


class Plan(NamedTuple):
    """What reverse mode does with an operation, which depends on its primitive and on which
    arguments are traced alone.

    wanted   positions of the arguments that want a cotangent
    numbers  positions of the other arguments whose numbers the rules read, and which the program
             may overwrite
    read     whether the rules read the numbers of what is kept, and of each array
    """

    wanted: tuple
    numbers: tuple
    read: tuple


class Primitive:
    """A function, its differential and its adjoint.

    function    the NumPy function that users call; None for a function of refgrad's own (the
                primitive is then called)
    derivation  the mathematics, as text: function, differential, adjoint
    vjp         a rule for each array argument, ``g -> contribution to the cotangent`` (broadcast
                dimensions left in); None for an argument on which the result depends piecewise
                constantly
    jvp         a rule for each array argument, ``v -> its term of the tangent``; not needed for
                linear kinds, nor for pointwise functions, whose derivative is its own adjoint
    partials    the partial derivatives of a function of each element, which multiply v and g: see
                `elementwise`
    takes       names for what rules read, where `forward` is a function of NumPy (see `rule`)
    forward     ``forward(*arrays, **params)``; not needed when it is `function` itself
    plain       a shorter way to `forward` for plain arrays alone
    keep        ``keep(*arrays, **params)``: what forward and rules share; then
                ``forward(kept, *arrays, **params)``
    call        maps a call in NumPy's signature to ``(arrays, params)``; not needed when all
                arguments are arrays
    cases       sample arguments: the test table
    kinks       for Kind.KINKED: `Kink` records, where it kinks and which convention holds there
    stacked     the jvp accepts tangents with one more leading axis (many tangents at once), as
                pointwise ones do
    multiple    forward returns a tuple of arrays; cotangents and tangents are then tuples too
    unused      of a multiple result: the vjp is given None, not zeros, for the cotangent of a part
                that nothing uses
    view        for a function whose result NumPy makes a view of its first argument:
                ``view(params)`` gives two functions, ``again(array)``, the view once more, and
                ``back(array, view)``, the array with the values of a view that was written to
                (None: the view is read-only)
    pointwise   each entry of the result depends on one entry of each (broadcast) argument alone
    chooses     ``chooses(params)``: whether the result may be a number though an entry of an
                argument is nan
    selects     pointwise, and where an argument's slope is 0 the result is another argument or a
                number, so that its tangent does not count there, be it infinite or nan
    square      of a root, |x| or sqrt(a^2 + b^2), which kinks where it is 0, its square as a
                function of the arguments, which is smooth there: even powers of the root are
                computed, and differentiated, by it
    formula     the function as a formula, where `forward` is written for floats, which round,
                under- and overflow: ``formula(*arrays, **params)``, for arrays of formulas or of
                exact numbers
    fresh       forward returns new arrays, whose memory nobody else holds: jit may overwrite them
    turns       jit may write down the operations inside it: its branches depend on numbers, but
                nearly always go the same way, and a replay checks that they do
    """

    def __init__(self, function, derivation, *, kind=Kind.SMOOTH, vjp=None, jvp=None, partials=None,
                 takes=None, forward=None, plain=None, keep=None, call=None, cases=(), kinks=(),
                 stacked=False, multiple=False, pointwise=False, view=None, chooses=None,
                 selects=False, square=None, formula=None, turns=False, unused=False, fresh=False,
                 name=None):
        self.name = name or f"np.{qualified(function)}"
        self.__name__ = self.name
        self.function = function
        self.__doc__ = self.derivation = derivation
        self.kind, self.cases, self.kinks = kind, tuple(cases), tuple(kinks)
        self.keep, self.multiple, self.pointwise, self.stacked = (keep, multiple, pointwise,
                                                                  stacked or pointwise)
        self.view, self.square, self.chooses = view, square, chooses
        # A traced result remembers its arguments.
        self.remembers = view is not None or square is not None
        self.forward, self.formula = forward or function, formula
        self.plain = plain or self.forward
        # What a level below is asked to compute: NumPy's functions dispatch by themselves, ours
        # through __call__.
        self.evaluate = self if function is None else self.forward
        self.is_shorter = function is None or plain is not None  # `plain` skips the dispatch
        self.direct = keep is None and not self.is_shorter  # `trace` only calls `evaluate`
        self.call = call or every_argument_is_an_array
        self.vjp, self.jvp, self.partials = vjp, jvp, partials
        rules = partials or vjp
        if rules is not None and rules is not EVERY:
            count = None if type(rules) is Each else len(rules)
            self.names = Names(self.name, self.forward, takes, keep is not None, count)
            self.vjp = self.named(rules)
            self.jvp = self.vjp if pointwise and jvp is None else jvp and self.named(jvp)
        if selects:
            self.jvp = tuple(functools.partial(_selected, rule) for rule in self.vjp)
        self.constant = kind is Kind.CONSTANT
        # Functions that are not defined everywhere may be infinitely steep at the edge, if it is no
        # kink with a slope.
        is_kink = self.kinks and all(len(k.slopes) == 1 and np.all(np.isfinite(k.slopes))
                                     for k in self.kinks)
        self.has_edges = pointwise and self.jvp is not None and not is_kink and any(
            d for case in self.cases for d in case.domains)
        self.is_product = pointwise and kind is Kind.MULTILINEAR
        self.plans, self.turns, self.unused, self.fresh = {}, turns, unused, fresh

    def __repr__(self):
        return f"<primitive {self.name}: {self.kind.value}>"

    def named(self, rules):
        """Rules that name what they read, in their common signature (see `rule`)."""
        if type(rules) is Each:
            return Each(self.names.rule(rules.rule, "i, g, "))
        made = self.names.product if self.partials else self.names.rule
        return tuple(r and made(r) for r in rules)

    def __call__(self, *arrays: Nest, **params: Any) -> Any:
        """Compute; an array type may override it through ``__array_function__``, as it overrides
        NumPy's functions."""
        for a in arrays if not params or consist_of(ATOMS, params) else (*arrays, *within(params)):
            kind = type(a)
            if kind is np.ndarray or kind is int:
                continue
            if kind in TRACING:
                return TRACING[kind](self, arrays, params)
            if is_foreign(kind):
                given = (foreign.wrapped(list(arrays)),
                         {k: foreign.wrapped(p) for k, p in params.items()})
                return foreign.handed_out(self(*given[0], **given[1]))
            if _overrides(kind):
                result = offer(self, arrays, params)
                if result is not NotImplemented:
                    return result
                break
        return self.plain(*arrays, **params) if self.keep is None else self.run(arrays, params)[0]

    def run(self, arrays, params):
        """The result and what the rules need of it."""
        if self.keep is not None:
            kept = self.keep(*arrays, **params)
            return self.forward(kept, *arrays, **params), kept
        result = self.forward(*arrays, **params)
        return result, result

    def trace(self, values, params):
        """`run` for a level above: arrays of lower levels see this primitive, not what it is made
        of."""
        if self.keep is not None:
            return self.run(values, params)
        compute = self.evaluate
        if self.is_shorter and PLAIN.issuperset(map(type, values)) and (
                not params or consist_of(PLAIN, params)):
            compute = self.plain  # no argument is of a type that could override the operation
        result = compute(*values, **params) if params else compute(*values)
        return result, result

    def differentiable(self, argument):
        return not self.constant and self.vjp[argument] is not None

    def read_by(self, wanted, count):
        """Whether the vjps of arguments `wanted` read the numbers of what is kept and of each of
        `count` arrays."""
        rules = [self.vjp.rule if type(self.vjp) is Each else self.vjp[i] for i in wanted]
        read = set().union(*(getattr(rule, "reads", {0, ALL}) for rule in rules))
        return 0 in read, *(ALL in read or 1 + k in read for k in range(count))

    def plan(self, which):
        """The `Plan` where a tape traces just the arguments for which there is a 1 after the first
        binary digit."""
        traced = [bit == "1" for bit in f"{which:b}"[1:]]
        wanted = tuple(i for i, t in enumerate(traced) if t and self.vjp[i] is not None)
        read = self.read_by(wanted, len(traced))
        numbers = tuple(i for i, t in enumerate(traced) if read[1 + i] and not t)
        self.plans[which] = plan = Plan(wanted, numbers, read)
        return plan

    def pull(self, g, kept, arrays, params, wanted):
        """The adjoint: for each argument in `wanted` its cotangent, in the argument's own shape and
        dtype."""
        if self.multiple or g.dtype is HALF:
            g = widened(g)
        rules, cotangents = self.vjp, []
        for i in wanted:
            c, x = rules[i](g, kept, arrays, params), arrays[i]
            if not (type(c) is ndarray is type(x) and c.shape == x.shape and c.dtype is x.dtype):
                c = fit(c, x, self, i)
            cotangents.append(c)
        return cotangents

    def pull_zeros(self, g, kept, arrays, params, wanted):
        """`pull` where 0 times infinity came up: an entry of the cotangent that is 0 contributes 0.

        So does a slope that is 0 under an infinite cotangent, as of sqrt(x^4) at 0; a cotangent
        that is nan still gives nan.  The zeros may vary under another transform, so `product` or
        `linear_in` computes them, which have derivatives.
        """
        if self.vjp is EVERY:
            return self.pull(g, kept, arrays, params, wanted)
        g, cotangents = widened(g), []
        with np.errstate(invalid="ignore"):
            for i in wanted:
                rule = self.vjp[i]
                c = rule(g, kept, arrays, params)
                if self.pointwise:
                    slope = rule(np.ones_like(g), kept, arrays, params)
                    c = np.where(np.isnan(c) | (g == 0) | (slope == 0), product(g, slope), c)
                elif not np.any(g != 0):
                    c = linear_in(g, c)
                cotangents.append(fit(c, arrays[i], self, i))
        return cotangents

    def push(self, tangents, kept, arrays, params, result):
        """The differential: the tangent of the result; `tangents` has None for arguments that do
        not vary."""
        t = self._tangent(tangents, kept, arrays, params)
        if (type(t) is np.ndarray is type(result) and t.shape == result.shape
                and t.dtype is result.dtype):
            return t
        return spread(t, result)

    def _tangent(self, tangents, kept, arrays, params):
        """The tangent, before it is spread over the result's shape."""
        scales = self.is_product and any(v is None for v in tangents)
        if not (self.has_edges or scales):
            return self._sum_of_terms(tangents, kept, arrays, params)
        try:
            with np.errstate(invalid="raise"):
                return self._sum_of_terms(tangents, kept, arrays, params)
        except FloatingPointError:
            # 0 times infinity, perhaps: an entry of a tangent that is 0 contributes 0
            terms = []
            with np.errstate(invalid="ignore"):
                for i, v in enumerate(tangents):
                    if v is not None:
                        v = widened(v)
                        t = self.jvp[i](v, kept, arrays, params)
                        slope = self.jvp[i](np.ones_like(v), kept, arrays, params)
                        zero = v == 0
                        if scales:  # a constant factor that is 0 leaves out the argument
                            zero = zero | (slope == 0)
                        terms.append(np.where(zero, product(v, slope), t))
                return total(terms)

    def _sum_of_terms(self, tangents, kept, arrays, params):
        varying = [i for i, v in enumerate(tangents) if v is not None]
        for i in varying:
            if tangents[i].dtype is HALF:
                tangents = [v if v is None else widened(v) for v in tangents]
        if self.jvp is not None:
            return total([self.jvp[i](tangents[i], kept, arrays, params) for i in varying])
        if self.kind is Kind.MULTILINEAR:
            return total([self.evaluate(*arrays[:i], tangents[i], *arrays[i + 1:], **params)
                          for i in varying])
        filled = [a if not self.differentiable(i) else np.zeros_like(a) if tangents[i] is None
                  else tangents[i]
                  for i, a in enumerate(arrays)]
        return self.evaluate(*filled, **params)

    def push_stack(self, tangents, kept, arrays, params, result, count):
        """`push` for `count` tangents at once, stacked on a new first axis."""
        if self.stacked:
            widest = max(ndim_of(a) for a in arrays)
            aligned = [v if v is None else align(v, widest) for v in tangents]
            return spread(self._tangent(aligned, kept, arrays, params), result, (count,))
        each = [self.push([v if v is None else v[n] for v in tangents], kept, arrays, params,
                          result)
                for n in range(count)]
        return tuple(np.stack(t) for t in zip(*each)) if self.multiple else np.stack(each)


class Composition:
    """A function written with other functions that have rules: it needs none of its own.

    name     by which tests and documents call it; NumPy's name of a function of NumPy
    shows    NumPy's result is a read-only view of the first argument, though the program makes a
             copy
    square   of a root its square, in the same signature (see `Primitive`)
    """

    def __init__(self, function, program, *, cases=(), kind=Kind.SMOOTH, kinks=(), shows=False,
                 square=None, name=None):
        self.name = name or f"np.{qualified(function)}"
        self.function, self.call, self.cases = function, program, tuple(cases)
        self.kind, self.kinks, self.shows, self.square = kind, tuple(kinks), shows, square
        self.__doc__ = program.__doc__

    def __repr__(self):
        return f"<composition {self.name}>"


def elementwise(function, derivation, *partials, domain=None, params=({},), near=(), scales=None,
                **traits):
    """A `Primitive` that is applied to each element (of broadcast arguments), by its partial
    derivatives.

    y_k = phi(x_k):  dY = phi'(X) . dX  and  <G, phi'(X) . dX> = <phi'(X) . G, dX>, so jvp and vjp
    are the same product.  `params` are the keyword arguments of the sample calls; for `domain`,
    `near` and `scales` see `Case`.
    """
    shapes = [(3, 4)] if len(partials) == 1 else [((3, 4), (4,)), ((2, 1), (1, 3)), ((), (2,))]
    cases = [Case(*((s,) if len(partials) == 1 else (s + s)[:len(partials)]), domain=domain,
                  near=near, scales=scales, **named)
             for s in shapes for named in params]
    return Primitive(function, derivation, partials=partials, cases=cases, pointwise=True, **traits)


def declare(function, derivation, *partials, **traits):
    """Put a function and its rules into TABLE: a `Primitive`, by its partial derivatives if it has
    them."""
    rule = (elementwise if partials else Primitive)(function, derivation, *partials, **traits)
    TABLE[function or rule] = rule
    if rule.call is not every_argument_is_an_array and rule.forward is function:
        foreign.CALLS[function] = rule.call
    return rule


def compose(function, program, **traits):
    """Put a function and the program that it is written with into TABLE: a `Composition`."""
    TABLE[function] = Composition(function, program, **traits)
    if program is not function:
        foreign.PROGRAMS[function] = program


def composed(**traits: Any) -> Callable[[F], F]:
    """Put a function of refgrad's own into TABLE that calls functions with rules: a decorator.

        @composed(kind=KINKED, cases=[Case((3, 4), lambd=0.5)], kinks=[...])
        def softshrink(input, lambd=0.5): ...
    """
    def put(function: F) -> F:
        function = foreign.speaks_for(function)
        compose(function, function, **{"name": function.__name__, **traits})
        return function
    return put


def within(params):
    """The parameters, and what is in tuples among them (an index)."""
    parts = []
    for p in params.values():
        if type(p) is tuple:
            parts += p
        else:
            parts.append(p)
    return parts


def consist_of(kinds, params):
    """Whether all parameters, and what is in tuples among them, are of these types."""
    for p in params.values():
        kind = type(p)
        if kind not in kinds and (kind is not tuple or not kinds.issuperset(map(type, p))):
            return False
    return True


def every_argument_is_an_array(*arrays):
    return arrays, {}


def _selected(rule, v, kept, arrays, params):
    """The jvp of a function that selects, by its vjp."""
    slope = rule(np.ones_like(v), kept, arrays, params)
    return rule(np.where(slope == 0, 0, v), kept, arrays, params)


@functools.cache
def _overrides(kind):
    """Whether a type has an ``__array_function__`` of its own; a subclass of ndarray need not."""
    plain = np.ndarray.__array_function__
    return getattr(kind, "__array_function__", plain) is not plain


def offer(function, arrays, params):
    """NumPy's override protocol for a function of our own: ask each type in order; NotImplemented
    if none can."""
    overriding = [a for a in (*arrays, *params.values()) if _overrides(type(a))]
    types = tuple({type(a): None for a in overriding})
    for a in overriding:
        result = type(a).__array_function__(a, function, types, arrays, params)
        if result is not NotImplemented:
            return result
    return NotImplemented


def qualified(function):
    """'linalg.inv' for np.linalg.inv, 'sin' for np.sin."""
    module = getattr(function, "__module__", None) or "numpy"
    inner = module.split(".")[1:] if module.startswith("numpy.") else []
    return ".".join([*inner, getattr(function, "__name__", repr(function))])


def _product(v, s):
    with np.errstate(invalid="ignore"):
        return np.where((v == 0) | (s == 0) & ~np.isnan(v), 0, v * s)


product = Primitive(
    None, """y = v s, but 0 where v is 0, whatever s is, and where s is 0, unless v is nan
    dy = dv s + v ds  in products of the same kind: where v is 0 but varies, dv s counts""",
    name="product", kind=MULTILINEAR, forward=_product, pointwise=True,
    vjp=(lambda g, s: product(g, s), lambda g, v: product(v, g)))
linear_in = Primitive(
    None, """y = c, an array that is linear in u, but 0 if u is 0 all over,
        whatever u was multiplied by
    dc is the sum of a term linear in du and of one linear in u, which is 0 as well:
        dy = linear_in(du, dc)""",
    name="linear_in", kind=LINEAR, forward=lambda u, c: c if np.any(u != 0) else np.zeros_like(c),
    vjp=(lambda g, u: np.zeros_like(u), lambda g: g))


def functions() -> list[tuple[str, str]]:
    """What can be differentiated: sorted pairs of a function's name and its kind, read from the
    table of rules."""
    return sorted((rule.name, rule.kind.value) for rule in TABLE.values())
