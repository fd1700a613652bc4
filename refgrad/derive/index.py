"""Expressions in index notation: sums of products of factors, summed over the indices that are
bound.

    (X' (X W - Y))_ij  is  X_ki (X W - Y)_kj,  summed over k

Matrix notation is for people; here a product is a set of factors, a transpose is an order of
indices, a trace is an index that stands twice, and a column of ones is an index that no factor has.
So (X')' = X, tr(A B) = tr(B A) and all their kin need no rules: equal expressions have equal keys
once they are multiplied out.

An expression (`Sum`) says which indices are free; all others are bound, and belong to it alone.
"""

from __future__ import annotations

import itertools
import operator
from fractions import Fraction
from typing import NamedTuple

_serial = itertools.count(1)
SERIAL = operator.attrgetter("serial")


class SizeMismatch(ValueError):
    """Two axes that have to be of one size are not."""

    def __init__(self, first, second):
        super().__init__(f"an axis of size {first} meets one of size {second}; expected the same "
                         "size. Give both the same name or number in the shapes of the arrays")
        self.sizes = first, second


def sum_of(size):
    """A size as an expression: an integer, or a number that knows how it came of sizes."""
    known = getattr(size, "expression", None)
    return Sum.number(int(size)) if known is None else known


class Index:
    """An axis on which factors meet."""

    __slots__ = ("size", "serial")

    def __init__(self, size):
        self.size = size
        self.serial = next(_serial)


# Atoms: what a factor is made of


class Leaf(NamedTuple):
    """Something with a name: a variable, an intermediate result, a differential, a size."""

    parts = ()  # the expressions inside an atom that have the factor's indices
    name: str
    sizes: tuple
    role: str = "variable"
    properties: frozenset = frozenset()

    def key(self, label):
        return self.name if self.role != "rows" else f"{self.name}of{int(self.sizes[1])}"


class Data(NamedTuple):
    """Given numbers: the entries of `array`; properties: "symmetric", and "truths" of 0 and 1."""

    parts = ()
    name: str
    array: object
    properties: frozenset = frozenset()

    def key(self, label):
        return (f"{self.name}{self.array.shape}{self.array.tobytes().hex()[:64]}"
                f"{hash(self.array.tobytes())}")

    def __eq__(self, other):
        return self is other


class Delta(NamedTuple):
    """1 where its two indices are equal, else 0: the identity matrix."""

    parts = ()

    def key(self, label):
        return "1="


class Group(NamedTuple):
    """An expression in parentheses."""

    sum: object

    @property
    def parts(self):
        return (self.sum,)

    def with_parts(self, function):
        """With a function of the expression in the place of it."""
        return Group(function(self.sum))

    def key(self, label):
        return f"({self.sum.key(label)})"


class Point(NamedTuple):
    """A function applied entry by entry; its indices are those of its arguments.

    function  a primitive, or one of the comparisons > >= < <= == != (then 1 where it holds, 0
              elsewhere)
    params    pairs (name, value)
    """

    function: object
    args: tuple
    params: tuple = ()

    @property
    def parts(self):
        return self.args

    def with_parts(self, function):
        """With a function of each argument in the place of it."""
        return self._replace(args=tuple(map(function, self.args)))

    def key(self, label):
        return (f"{name_of(self.function)}[{';'.join(a.key(label) for a in self.args)}"
                f"{self.params or ''}]")


class Call(NamedTuple):
    """A function of whole arrays; the factor has the result's indices.

    args        pairs (axes, expression), with indices of their own
    sizes       of the result's axes
    properties  "symmetric"
    ones        axes of the result along which (jointly) the entries sum to 1; empty for none
    """

    function: object
    args: tuple
    params: tuple = ()
    sizes: tuple = ()
    properties: frozenset = frozenset()
    ones: tuple = ()

    parts = ()

    def with_arguments(self, function):
        """With a function of each argument in the place of it."""
        return self._replace(args=tuple((axes, function(s)) for axes, s in self.args))

    def key(self, label):
        inside = ";".join(s.key(numbered(axes)) for axes, s in self.args)
        return f"{name_of(self.function)}{{{inside}{self.params or ''}}}"


def name_of(function):
    """The name of a function, which is a primitive or a name."""
    return function if isinstance(function, str) else function.name


def numbered(axes):
    """Labels for the indices of axes, by position."""
    return {i: f"@{n}.{k}" for n, axis in enumerate(axes) for k, i in enumerate(axis)}


class Factor(NamedTuple):
    """An atom to a power, with the indices of its axes, of which each may merge several."""

    atom: object
    slots: tuple = ()
    power: Fraction = Fraction(1)

    @property
    def base(self):
        """The factor to the power 1."""
        return self._replace(power=Fraction(1))

    @property
    def function(self):
        """The function that it is of something; None where it is none."""
        return getattr(self.atom, "function", None)

    @property
    def properties(self):
        """What is known of the entries."""
        return getattr(self.atom, "properties", ())

    @property
    def role(self):
        """The role of a name; None for other atoms."""
        return getattr(self.atom, "role", None)

    @property
    def indices(self):
        found = dict.fromkeys(i for slot in self.slots for i in slot)
        for s in self.atom.parts:
            found.update(dict.fromkeys(sorted(s.free, key=SERIAL)))
        return found

    def key(self, label):
        slots = [".".join(label.get(i, "?") for i in slot) for slot in self.slots]
        if "symmetric" in self.properties or type(self.atom) is Delta:
            slots.sort()
        return f"{self.atom.key(label)}_{','.join(slots)}^{self.power}"

    def substituted(self, new):
        slots = tuple(tuple(j for i in slot for j in new.get(i, (i,))) for slot in self.slots)
        atom = self.atom.with_parts(lambda s: s.substituted(new)) if self.atom.parts else self.atom
        return Factor(atom, slots, self.power)


class Term(NamedTuple):
    """A product: a rational number times factors."""

    coefficient: Fraction
    factors: tuple

    @property
    def indices(self):
        return {i: None for f in self.factors for i in f.indices}

    def key(self, label):
        """A text that is equal for equal products, whatever their bound indices are called."""
        return canonical(self.factors, label)[0]

    def substituted(self, new):
        return Term(self.coefficient, tuple(f.substituted(new) for f in self.factors))

    def times(self, *factors):
        """The product with more factors."""
        return Term(self.coefficient, self.factors + factors)

    def apart(self):
        """Pairs: a factor, and the term without it."""
        return [(f, Term(self.coefficient, self.factors[:n] + self.factors[n + 1:]))
                for n, f in enumerate(self.factors)]


class Sum(NamedTuple):
    """A sum of terms; `free` has its free indices, which need not all stand in every term."""

    terms: tuple
    free: frozenset

    @classmethod
    def number(cls, value, free=frozenset()):
        return cls((Term(Fraction(value), ()),) if value else (), frozenset(free))

    @classmethod
    def product(cls, factors, free=frozenset(), coefficient=1):
        return cls((Term(Fraction(coefficient), tuple(factors)),), frozenset(free))

    def key(self, label):
        label = {i: label[i] for i in self.free if i in label}
        return "+".join(sorted(f"{t.coefficient}*{t.key(label)}" for t in self.terms))

    def substituted(self, new):
        """With other free indices: `new` maps an index to a tuple.  Bound ones stay its own."""
        new = {i: to for i, to in new.items() if i in self.free}
        if not new:
            return self
        free = frozenset(j for i in self.free for j in new.get(i, (i,)))
        return Sum(tuple(t.substituted(new) for t in self.terms), free)

    def with_free(self, free):
        return Sum(self.terms, frozenset(free))


def labels(indices):
    """Labels that tell all free indices apart."""
    return {i: f"#{i.serial:09}" for i in indices}


def canonical(factors, label):
    """(text, bound indices in the order in which the text numbers them).

    Each bound index gets a colour: what it sees of the factors that it stands in; the colours are
    refined until they settle; where some are still equal, all orders of those are tried and the
    smallest text is taken.
    """
    bound = list(dict.fromkeys(i for f in factors for i in f.indices if i not in label))
    for f in factors:  # 1_ij A_i is 1_ij A_j
        if type(f.atom) is Delta and all(len(slot) == 1 and slot[0] in label for slot in f.slots):
            pair = sorted(label[slot[0]] for slot in f.slots)
            others = {i: pair[0] if text == pair[1] else text for i, text in label.items()}
            rest = [g for g in factors if g is not f]
            text, order = canonical(rest, others) if rest else ("", [])
            return f"1={','.join(pair)}*{text}", order
    if not bound:
        return "*".join(sorted(f.key(label) for f in factors)), []
    meets = {i: [f for f in factors if i in f.indices] for i in bound}
    colour = {i: f"~{i.size}" for i in bound}
    for _ in range(min(len(bound), 4)):
        seen = label | colour
        new = {i: "|".join(sorted(f.key(seen | {i: "*"}) for f in meets[i])) for i in bound}
        rank = {text: n for n, text in enumerate(sorted(set(new.values())))}
        refined = {i: f"~{rank[new[i]]}" for i in bound}
        settled = len(rank) == len(set(colour.values())) == len(bound)
        colour = refined
        if settled or len(rank) == len(bound):
            break
    by_colour = {}
    for i in sorted(bound, key=lambda i: (int(colour[i][1:]), i.serial)):
        by_colour.setdefault(colour[i], []).append(i)
    orders = itertools.product(*(itertools.permutations(group) if len(group) < 5 else [tuple(group)]
                                 for group in by_colour.values()))
    # An index of the sum around has the label that this one gave it.
    best, taken = None, {*label.values()}
    names = [name for n in range(len(bound) + len(taken)) if (name := f"b{n}") not in taken]
    for order in orders:
        order = [i for group in order for i in group]
        seen = label | dict(zip(order, names))
        text = "*".join(sorted(f.key(seen) for f in factors))
        if best is None or text < best[0]:
            best = text, order
    return best


# Arithmetic


def fresh(term, free):
    """The term with bound indices that nobody else has."""
    return term.substituted({i: (Index(i.size),) for i in term.indices if i not in free})


def as_term(s):
    """A sum as a single term: in parentheses, if it has several terms or none."""
    if len(s.terms) == 1:
        return fresh(s.terms[0], s.free)
    return Term(Fraction(1), (Factor(Group(s)),))


def product(a, b):
    """Entry by entry: free indices that both have are the same axis."""
    free = a.free | b.free
    if not a.terms or not b.terms:
        return Sum((), free)
    if is_number(a) or is_number(b):
        number, other = (a, b) if is_number(a) else (b, a)
        return scaled(other, number.terms[0].coefficient).with_free(free)
    s, t = as_term(a), as_term(b)
    return Sum((merged(s.coefficient * t.coefficient, s.factors + t.factors, free),), free)


def merged(coefficient, factors, free):
    """A term in which equal factors are one, with their powers added."""
    kept = with_powers(factors)
    lost = ({i for f in factors for i in f.indices} - {i for f in kept for i in f.indices}
            - set(free))
    return times_sizes(Term(Fraction(coefficient), kept), lost)


def as_factor(s):
    """An expression as one factor."""
    if len(s.terms) == 1:
        (t,) = s.terms
        if len(t.factors) == 1 and t.coefficient == 1 and set(t.indices) <= s.free:
            return t.factors[0]
    return Factor(Group(s))


def with_powers(factors):
    """Equal factors as one, their powers added; an indicator to any power is itself."""
    label = labels({i for f in factors for i in f.indices})
    powers, first = {}, {}
    for f in factors:
        k = f.base.key(label)
        powers[k] = powers.get(k, 0) + f.power
        first.setdefault(k, f)
    kept = [first[k]._replace(power=p) for k, p in powers.items() if p]
    return tuple(f.base if is_indicator(f.atom) and f.power > 0 else f
                 for f in kept)


def is_indicator(atom):
    """Whether an atom is 0 or 1 in each entry: a comparison, or given numbers that are."""
    return (type(atom) is Point and isinstance(atom.function, str)
            or "truths" in getattr(atom, "properties", ()))


def times_sizes(term, indices):
    """Summing over an index that no factor has multiplies by its size."""
    coefficient, factors = term
    for i in indices:
        size = as_term(sum_of(i.size))
        coefficient, factors = coefficient * size.coefficient, factors + size.factors
    return (Term(coefficient, with_powers(factors)) if len(factors) > len(term.factors)
            else Term(coefficient, factors))


def is_number(s):
    """Whether an expression is a number other than 0."""
    return len(s.terms) == 1 and not s.terms[0].factors


def scaled(s, c):
    """An expression times a number."""
    return Sum(tuple(Term(t.coefficient * c, t.factors) for t in s.terms) if c else (), s.free)


def add(a, b):
    """The sum of two expressions."""
    return collected(Sum(a.terms + b.terms, a.free | b.free))


def collected(s):
    """Like terms together."""
    label = labels(s.free)
    found = {}
    for t in s.terms:
        k = t.key(label)
        found[k] = Term(found[k].coefficient + t.coefficient, found[k].factors) if k in found else t
    return Sum(tuple(t for t in found.values() if t.coefficient), s.free)


def power(s, p):
    """Each entry to a rational power: of a product each part that is never negative by itself."""
    p = Fraction(p)
    if p == 0:
        return Sum.number(1, s.free)
    if p == 1 or not s.terms:
        return s
    root = exact_power(s.terms[0].coefficient, p) if len(s.terms) == 1 else None
    if root is None:
        return Sum.product([Factor(Group(s), (), p)], s.free)
    alone, rest, made = [], [], []
    for factors, bound in apart(s.terms[0].factors, s.free):
        if p.denominator == 1 or all(is_positive(f) or bound and f.power % 2 == 0
                                     for f in factors):
            alone.append(factors)
        else:
            rest += factors
    for factors in [*alone, rest] if rest else alone:
        f, inside = factors[0], Sum.product(factors)
        free = s.free & {*inside.terms[0].indices}
        single = len(factors) == 1 and {*f.indices} <= s.free and (
            p.denominator == 1 or is_positive(f) or f.power == 1)
        made.append(f._replace(power=f.power * p) if single
                    else Factor(Group(inside.with_free(free)), (), p))
    return Sum((merged(root, made, s.free),), s.free)


def apart(factors, free):
    """Factors in groups that share no index beside the free ones: (factors, other indices)."""
    groups = []
    for f in factors:
        mine, bound = [f], {*f.indices} - {*free}
        for g in [g for g in groups if g[1] & bound]:
            groups.remove(g)
            mine, bound = g[0] + mine, bound | g[1]
        groups.append((mine, bound))
    return groups


def is_positive(f):
    """Whether a factor is never negative: a size, or a root."""
    return f.power.denominator > 1 or f.role == "size"


def exact_power(c, p):
    """A rational power of a rational number, or None if it is not rational."""
    if p.denominator == 1:
        return c ** int(p)
    if c <= 0:
        return None
    n, d = (round(x ** (1 / p.denominator)) for x in (c.numerator, c.denominator))
    if (n ** p.denominator, d ** p.denominator) != (c.numerator, c.denominator):
        return None
    return Fraction(n, d) ** p.numerator


def summed(s, indices):
    """The sum over some of the free indices."""
    free = s.free - set(indices)
    terms = []
    for t in (s.terms if len(s.terms) == 1 else [as_term(s)] if s.terms else []):
        terms.append(times_sizes(t, [i for i in indices if i not in t.indices]))
    return Sum(tuple(t for t in terms if t.coefficient), free)
