"""From index notation to matrix notation.

The factors of a product are drawn as a graph: an index is a node, a matrix an edge, a column a
weight on a node.  Bound nodes are then removed one by one, each by the piece of matrix notation
that sums over it:

    two matrices meet at k          A_ik B_kj            ->  A B
    with a column between them      A_ik v_k B_kj        ->  A diag(v) B
    one matrix ends at k            A_ik v_k             ->  A v
        (v = 1: the sums of the rows)
    nothing else is at k            u_k v_k              ->  u' v
    two matrices close a circle     A_ik B_ki            ->  tr(A B)
    two matrices side by side       A_ij B_ij            ->  A . B

A graph that cannot be removed so has no matrix notation, and is written with indices.
"""

from __future__ import annotations

from fractions import Fraction

from . import form as F
from .build import (d_last, hadamard, is_d, mm, norm_of, pair, plus, scalar_product, times, trace,
                    transpose, transposes)
from .index import SERIAL, Data, Delta, Group, Leaf, Point, Sum
from .notation import traits
from .numpy_source import source
from .simplify import flat
from .sizes import Size
from .symbol import Symbol, kronecker, size_of

HALF = Fraction(1, 2)


class NoMatrix(Exception):
    """A product that has no matrix notation."""


def matrix_form(symbol):
    """A symbol as a formula."""
    return to_form(symbol.expression, [axis for axis in symbol.axes if axis])


def to_form(s, axes, loose=False):
    """An expression as a formula; `loose`: a number may stand for an array of it."""
    if not s.terms:
        return (F.Num(Fraction(0)) if loose or not axes
                else F.Zeros(sizes_of(axes), kind_of(len(axes))))
    alone = (len(s.terms) == 1
             or len(axes) == 2 and any(type(f.atom) is Delta for t in s.terms for f in t.factors))
    terms = [term_form(t, axes, loose or not alone) for t in s.terms]
    return terms[0] if len(terms) == 1 else gathered(terms)


def gathered(terms):
    """A sum; R X - diag(R 1) X as (R - diag(R 1)) X and A' diag(s) A - A' s s' A as
    A' (diag(s) - s s') A, which index notation does not see."""
    split = [(t.scalars, t.body) if type(t) is F.Times else ((), t) for t in terms]
    if not all(type(x) is F.MatMul and x.kind == F.MATRIX for _, x in split):
        return plus(terms)
    factors = [x.factors for _, x in split]
    left, right = (len({x[end] for x in factors}) == 1 for end in (0, -1))
    first, second, last = (any(type(x[k]) is F.Diag for x in factors) for k in (0, 1, -1))
    both = left and right and second and min(map(len, factors)) > 2
    right = both or right and first
    left = both or left and last and not right
    if not (left or right):
        return plus(terms)
    scalars = [[s for s in front if type(s) is not F.Num] for front, _ in split]
    shared = scalars[0] if all(s == scalars[0] for s in scalars) else []
    rest = [times(Fraction(1), [s for s in front if s not in shared], mm(x[left:len(x) - right]))
            for (front, _), x in zip(split, factors)]
    return times(Fraction(1), shared, mm([*factors[0][:left], plus(rest),
                                          *factors[0][len(factors[0]) - right:]]))


def term_form(term, axes, loose=False):
    """A product as a formula: in matrix notation if there is one, else with indices."""
    if len(axes) <= 2 and all(len(a) == 1 for a in axes):
        try:
            return Graph(term, [a[0] for a in axes]).form(loose)
        except NoMatrix:
            pass
    return special(term, axes) or multiplied_out(term, axes) or indexed(term, axes)


def multiplied_out(term, axes):
    """The sum that a product is, multiplied out, where all of it has matrix notation; else None."""
    whole = flat(Sum((term,), frozenset(i for axis in axes for i in axis)))
    forms = [term_form(t, axes) for t in whole.terms] if len(whole.terms) > 1 else []
    return None if not forms or has_indices(forms) else plus(forms)


def has_indices(x):
    """Whether formulas, or parts of them, are written with indices."""
    return any(type(n) is F.Indexed for n in F.nodes(x))


def sizes_of(axes):
    """The sizes of axes, as they are written."""
    return tuple(size_name(size_of(axis)) for axis in axes)


def size_name(size):
    """A size as it is written: with names, if it has any, else an integer."""
    return source(to_form(size.expression, [])) if type(size) is Size else size


class Graph:
    """One product, whose bound indices are removed one by one."""

    def __init__(self, term, free):
        self.free = free
        self.numbers = term.coefficient
        self.scalars, self.columns, self.edges = [], {}, []
        for f in term.factors:
            order = natural_order(f)
            if len(order) > 2:
                raise NoMatrix
            if not order:
                self.scalars.append(atom_form(f, order))
            elif len(order) == 1:
                self.columns.setdefault(order[0], []).append(atom_form(f, order))
            else:
                self.edges.append((*order, *both_ways(f, order)))
        self.bound = [i for i in term.indices if i not in free]

    def at(self, k):
        return [e for e in self.edges if k in e[:2]]

    def column(self, k):
        """The column at an index, or None."""
        columns = self.columns.get(k)
        return hadamard(columns) if columns else None

    def oriented(self, e, first):
        return e[2] if e[0] is first else e[3]

    def form(self, loose):
        ways = (self.alone, self.chain, self.end, self.weighted, self.circle, self.lonely,
                self.parallel)
        while self.bound:
            if not any(remove() for remove in ways):
                raise NoMatrix
        return self.result(loose)

    def forget(self, *indices):
        for i in indices:
            self.bound.remove(i)
            self.columns.pop(i, None)

    def alone(self):
        """A matrix that meets nothing: the sum of its entries."""
        for e in self.edges:
            i, j, x, _ = e
            if i in self.bound and j in self.bound and len(self.at(i)) == len(self.at(j)) == 1 \
                    and i not in self.columns and j not in self.columns:
                two = pair(x)
                self.scalars.append(trace(*two) if two else F.Total(x))
                self.edges.remove(e)
                self.forget(i, j)
                return True

    def chain(self, weighted=False):
        def entrywise(k):
            return sum(is_entrywise(e[2]) for e in self.at(k))

        # What is a function of entries stays whole, to be multiplied entry by entry.
        for k in sorted(self.bound, key=entrywise):
            meet = self.at(k)
            if len(meet) != 2 or (k in self.columns) != weighted:
                continue
            a, b = (e[0] if e[1] is k else e[1] for e in meet)
            if a is b:
                continue
            middle = [F.Diag(self.column(k))] if weighted else []
            there = mm([self.oriented(meet[0], a), *middle, self.oriented(meet[1], k)])
            back = mm([self.oriented(meet[1], b), *middle, self.oriented(meet[0], k)])
            for e in meet:
                self.edges.remove(e)
            self.edges.append((a, b, there, back))
            self.forget(k)
            return True

    def weighted(self):
        return self.chain(weighted=True)

    def end(self):
        """One matrix ends here."""
        for k in sorted(self.bound, key=lambda k: k not in self.columns):
            meet = self.at(k)
            if len(meet) != 1:
                continue
            a = meet[0][0] if meet[0][1] is k else meet[0][1]
            column = self.column(k) or F.Ones(size_name(k.size))
            self.edges.remove(meet[0])
            self.columns.setdefault(a, []).append(mm([self.oriented(meet[0], a), column]))
            self.forget(k)
            return True

    def row_sums(self, d, e, a, k):
        """sum_k A_ak B_ak = (A . B) 1, and diag(A B') for products of matrices: the one with the
        fewer transposes."""
        there, back = (hadamard([self.oriented(d, end), self.oriented(e, end)]) for end in (a, k))
        sums = mm([min(transpose(back), there, key=transposes), F.Ones(size_name(k.size))])
        left, right = self.oriented(d, a), self.oriented(e, a)
        whole = min(mm([left, transpose(right)]), mm([right, transpose(left)]), key=transposes)
        entrywise = any(map(is_entrywise, (*d[2:], *e[2:]))) or len(whole.factors) < 3
        return min(sums, F.DiagOf(whole), key=lambda x: (transposes(x), x is sums)) \
            if not entrywise else sums

    def lonely(self):
        """Nothing but columns: their inner product."""
        for k in self.bound:
            if self.at(k):
                continue
            columns = sorted(self.columns.get(k, []), key=d_last)
            one = self.column(k)
            two = (columns[0], columns[1]) if len(columns) == 2 else pair(one)
            if len(columns) > 2 and is_d(columns[-1]):
                two = hadamard(columns[:-1]), columns[-1]
            self.scalars.append(scalar_product([transpose(two[0]), two[1]]) if two
                                else F.Trace(one.body) if type(one) is F.DiagOf else F.Total(one))
            self.forget(k)
            return True

    def circle(self):
        """Matrices between the same two indices."""
        for k in self.bound:
            meet = self.at(k)
            if len(meet) < 2 or k in self.columns:
                continue
            a = meet[0][0] if meet[0][1] is k else meet[0][1]
            if any(a not in e[:2] for e in meet):
                continue
            if a in self.bound and len(self.at(a)) == len(meet) and a not in self.columns:
                self.scalars.append(trace(*self.two_of(meet, a, k)))
                self.forget(a)
            elif len(meet) == 2:
                self.columns.setdefault(a, []).append(self.row_sums(*meet, a, k))
            else:
                continue
            for e in meet:
                self.edges.remove(e)
            self.forget(k)
            return True

    def two_of(self, meet, a, k):
        """Matrices side by side as two, a differential alone."""
        sides = [[self.oriented(e, end) for e in meet] for end in (a, k)]
        forms = min(sides, key=transposes)
        forms.sort(key=d_last)
        return hadamard(forms[:-1]), forms[-1]

    def parallel(self):
        """Matrices side by side are one."""
        for n, e in enumerate(self.edges):
            for d in self.edges[n + 1:]:
                if {*d[:2]} == {*e[:2]}:
                    self.edges.remove(d)
                    there, back = (hadamard([self.oriented(x, end) for x in (e, d)])
                                   for end in e[:2])
                    self.edges[n] = (*e[:2], *(min(x, transpose(y), key=transposes)
                                               for x, y in ((there, back), (back, there))))
                    return True

    def result(self, loose):
        while self.parallel():
            pass
        columns = [self.column(i) for i in self.free]
        if len(self.free) == 2:
            i, j = self.free
            matrices = [self.oriented(e, i) for e in self.edges]
            if matrices:
                left, right = ([F.Diag(c)] if c is not None else [] for c in columns)
                body = mm([*left, matrices[0], *right])
            elif loose and columns == [None, None]:
                body = None
            else:
                u, v = (c if c is not None else F.Ones(size_name(k.size))
                        for c, k in zip(columns, self.free))
                body = mm([u, transpose(v)])
        elif len(self.free) == 1:
            body = (columns[0] if columns[0] is not None or loose
                    else F.Ones(size_name(self.free[0].size)))
        else:
            body = None
        return times(self.numbers, self.scalars, body)


def is_entrywise(x):
    """Whether a formula is a function of entries, or a sum with such a term."""
    if type(x) in (F.Plus, F.Times):
        return any(map(is_entrywise, x.terms if type(x) is F.Plus else [x.body]))
    return type(x) in (F.Apply, F.Compare, F.Hadamard, F.Power)


# Factors


def natural_order(f):
    """The indices of a factor, in the order in which it reads without a transpose."""
    if not f.atom.parts:
        return list(dict.fromkeys(i for slot in f.slots for i in slot))
    # The order in which most of the matrices inside stand; the first of them decides a tie.
    votes = {}
    for t in (t for s in f.atom.parts for t in s.terms):
        for g in t.factors:
            order = tuple(i for i in natural_order(g) if i in f.indices)
            if len(order) == len(f.indices):
                votes[order] = votes.get(order, 0) + 1
        chain = tuple(chain_order(t, f.indices))
        if len(chain) == 2 and len(f.indices) == 2:
            votes[chain] = votes.get(chain, 0) + Fraction(1, 2)
    return list(max(votes, key=votes.get)) if votes else sorted(f.indices, key=SERIAL)


def both_ways(f, order):
    """A factor as a matrix from the first index to the second, and as one from the second to the
    first.

    What is in parentheses may be transposed as a whole, or part by part: as it reads with fewer
    transposes.
    """
    there, back = atom_form(f, order), transpose(atom_form(f, order))
    if f.atom.parts:
        other = atom_form(f, order[::-1])
        there = min(there, transpose(other), key=transposes)
        back = min(back, other, key=transposes)
    return there, back


def chain_order(term, wanted):
    """From which of two indices a product of matrices reads with fewer transposes."""
    first = [natural_order(g)[0] for g in term.factors if len(g.slots) == 2 and len(g.indices) == 2]
    starts = [i for i in first if i in wanted]
    ends = [i for i in wanted if i not in starts]
    return [*starts[:1], *ends] if len(starts) == 1 else []


def atom_form(f, order):
    """A factor as a formula with its indices in this order."""
    return raised(_base(f, order), f.power)


def raised(form, p):
    """A formula to a power, entry by entry."""
    if p == 1:
        return form
    length = norm_of(form) if p.denominator == 2 else None
    if length is not None:
        return length if p == HALF else F.Power(length, 2 * p, F.SCALAR)
    if type(form) is F.Power and (form.exponent * p).denominator == 1:
        return F.Power(form.body, form.exponent * p, form.kind)
    return F.Power(form, p, form.kind)


def _base(f, order):
    atom, axes = f.atom, [(i,) for i in order]
    if type(atom) is Group:
        return to_form(atom.sum, axes)
    if type(atom) is Point:
        args = tuple(to_form(a, axes, loose=True) for a in atom.args)
        kind = kind_of(len(axes))
        if isinstance(atom.function, str):
            return F.Compare(atom.function, *args, kind)
        return F.Apply(atom.function, args, atom.params, kind)
    if any(len(slot) != 1 for slot in f.slots):
        raise NoMatrix
    if len(order) == len(f.slots):
        return whole_form(f)
    if len(f.slots) == 2:
        return F.DiagOf(whole_form(f))
    raise NoMatrix


def whole_form(f):
    """A factor with axes of its own, without its subscripts."""
    atom, n = f.atom, len(f.slots)
    if type(atom) is Leaf and atom.role == "rows":
        return F.Rows(atom.name, size_name(atom.sizes[1]))
    if type(atom) is Leaf:
        return F.Name(atom.name, kind_of(n), atom.role, "symmetric" in atom.properties)
    if type(atom) is Data:
        return F.Name(atom.name, kind_of(n), "data", "symmetric" in atom.properties)
    if type(atom) is Delta:
        return F.Eye(size_name(size_of(f.slots[0])))
    args = tuple(with_all_axes(to_form(s, [axis for axis in axes if axis]), axes)
                 for axes, s in atom.args)
    if traits(atom.function).inverts and n == 2:
        return F.Inverse(*args, F.MATRIX, "symmetric" in atom.properties)
    made = F.Apply(atom.function, args, atom.params, kind_of(len(atom.sizes)))
    known = traits(atom.function)
    if (known.sums_to_one or known.log_of) and made.kind == F.MATRIX and 1 not in atom.sizes:
        columns = transpose(*args)
        if transposes(columns) < transposes(args[0]):  # softmax(W X, axis=0), not softmax(X' W')'
            return transpose(made._replace(args=(columns,), params=(("axis", 0),)))
    sizes = tuple(map(size_name, atom.sizes))
    return F.Reshaped(made, tuple(k for k in sizes if k != 1), kind_of(n)) if 1 in sizes else made


def with_all_axes(form, axes):
    """A formula with the axes of size 1 that a program needs."""
    return form if all(axes) else F.Reshaped(form, sizes_of(axes), kind_of(len(axes)))


def kind_of(n):
    """The kind of an array with n axes."""
    return (F.SCALAR, F.COLUMN, F.MATRIX)[n] if n < 3 else F.ARRAY


# What has no matrix notation


def special(term, axes):
    """Kronecker products and entries in a row, or None."""
    parts = kronecker(Symbol(axes, Sum((term,), frozenset())))
    if parts is not None:
        a, b = map(matrix_form, parts)
        front, a = (a.scalars, a.body) if type(a) is F.Times else ((), a)
        return None if has_indices((a, b)) else times(Fraction(1), front, F.Kron(a, b))
    if [len(axis) for axis in axes] == [2]:
        try:
            return F.Vec(Graph(term, axes[0]).form(False))
        except NoMatrix:
            return None
    return None


def indexed(term, axes):
    """Index notation."""
    everything = dict.fromkeys([*(i for axis in axes for i in axis), *term.indices])
    letters = dict(zip(everything, "ijklmnopqrstuvw"))

    def subscripts(slots):
        return tuple(letters[s[0]] if len(s) == 1 else tuple(letters[i] for i in s) for s in slots)

    factors = []
    for f in term.factors:
        order = natural_order(f)
        factors.append((atom_form(f, order), subscripts((i,) for i in order)) if f.atom.parts
                       else (raised(whole_form(f), f.power), subscripts(f.slots)))
    sizes = tuple((letter, size_name(i.size)) for i, letter in letters.items())
    body = F.Indexed(tuple(factors), subscripts(axes), sizes, kind_of(len(axes)))
    return times(term.coefficient, [], body)
