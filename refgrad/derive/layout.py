"""From a formula's tree to signs on a line: precedence, parentheses and the order of factors, for
every notation.

What binds tighter, from loose to tight: sums and signs, entrywise products and divisions, products
written side by side, powers and transposes, single signs.  A part gets parentheses where it binds
less than its place asks for, and nowhere else.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..primitive import TABLE
from .build import times
from .form import MATRIX, SCALAR, Apply, Inverse, MatMul, Name, Num, Power, T, Times
from .notation import fill, is_pattern, notation

LOG = TABLE[np.log]
SUM, ENTRYWISE, PRODUCT, TIGHT, ATOM = range(5)


class Piece(NamedTuple):
    """What is written for a part of a formula, and how tightly it binds."""

    out: str
    level: int


class Layout:
    """The walk over a tree; a notation says how its signs look.

    Below, methods called of_... take a formula and return a Piece.  A notation adds what takes
    signs and returns signs: its numbers, names and brackets, and how sums, products, quotients,
    powers and calls are put together.
    """

    def write(self, form):
        return self.piece(form).out

    def piece(self, form):
        return getattr(self, "of_" + type(form).__name__.lower())(form)

    def at(self, form, level):
        """A part where everything that binds less than `level` needs parentheses."""
        piece = self.piece(form)
        return piece.out if piece.level >= level else self.group(piece.out)

    def factor(self, body):
        """What scalars multiply: without parentheses where it is a product of matrices."""
        return self.group(self.write(body)) if isinstance(body, Times) else self.at(body, PRODUCT)

    # signs, as text and LaTeX have them

    def plus(self, outs):
        (negative, first), *rest = outs
        return ("-" if negative else "") + first + "".join((" - " if n else " + ") + out
                                                           for n, out in rest)

    def minus(self, out):
        return "-" + out

    # leaves

    def of_num(self, form):
        value = Fraction(form.value)
        if value < 0:
            return Piece(self.minus(self.write(Num(-value))), SUM)
        if value.denominator == 1 or floating(value):
            return Piece(self.digits(floating(value) or value.numerator), ATOM)
        return Piece(self.over(self.digits(value.numerator), self.digits(value.denominator)),
                     PRODUCT)

    def of_name(self, form):
        return Piece(self.symbol(form), ATOM)

    def of_ones(self, form):
        return Piece(self.ones, ATOM)

    def of_eye(self, form):
        return Piece(self.identity, ATOM)

    def of_rows(self, form):
        if form.text.isidentifier():
            return self.of_name(Name(form.text, MATRIX))
        return Piece(self.subscripted(self.identity, (form.text,)), ATOM)

    def of_zeros(self, form):
        return Piece(self.digits(0), ATOM)

    def of_reshaped(self, form):
        return self.piece(form.body)

    # sums and products

    def of_plus(self, form):
        outs = []
        for term in form.terms:
            below = negated(term)
            outs.append((below is not None, self.at(term if below is None else below, ENTRYWISE)))
        return Piece(self.plus(outs), SUM)

    def of_times(self, form):
        below = negated(form)
        if below is not None:
            return Piece(self.minus(self.at(below, ENTRYWISE)), SUM)
        numerators, denominators = fraction(form.scalars)
        body = form.body
        if body is None and numerators and not isinstance(numerators[-1], Num) and not any(
                isinstance(f, MatMul) for f in numerators[:-1]):  # (x' x) (y' y), but c x' x
            body = numerators.pop()
        return self.scaled(numerators, denominators, body)

    def of_matmul(self, form):
        outs = []
        for f, same in itertools.groupby(form.factors):
            n = len(list(same))
            body, turned = (f.body, True) if isinstance(f, T) else (f, False)
            inverse = isinstance(body, Inverse) and not isinstance(body.body, T)
            if n > 1 and (inverse or isinstance(body, Name)):
                power = self.matrix_power(self.at(body.body if inverse else body, ATOM),
                                          -n if inverse else n)
                outs.append(self.transposed(self.group(power)) if turned else power)
            else:
                outs += [self.at(f, TIGHT)] * n
        return Piece(self.side_by_side(outs), PRODUCT if len(outs) > 1 else TIGHT)

    def of_hadamard(self, form):
        above, below = fraction(form.factors)
        out = self.dots([self.at(f, PRODUCT) for f in above]) if above else self.digits(1)
        if below:
            under = (self.at(below[0], TIGHT) if len(below) == 1
                     else self.group(self.dots([self.at(f, PRODUCT) for f in below])))
            out = self.divided(out, under)
        return Piece(out, ENTRYWISE)

    def of_kron(self, form):
        return Piece(self.kron(self.at(form.left, TIGHT), self.at(form.right, TIGHT)), ENTRYWISE)

    # powers and transposes

    def of_t(self, form):
        if isinstance(form.body, Inverse):
            return Piece(self.inverse(self.at(form.body.body, ATOM), True), TIGHT)
        return Piece(self.transposed(self.at(form.body, ATOM)), TIGHT)

    def of_inverse(self, form):
        if isinstance(form.body, T):
            return Piece(self.inverse(self.at(form.body.body, ATOM), True), TIGHT)
        return Piece(self.inverse(self.at(form.body, ATOM), False), TIGHT)

    def of_power(self, form):
        if form.exponent == Fraction(1, 2):
            return self.root(form.body)
        if form.exponent < 0:
            return self.one_over(form)
        return Piece(self.powered(self.at(form.body, ATOM), self.write(Num(form.exponent)), form),
                     TIGHT)

    # functions

    def function(word):
        """A function of one formula, by a word."""
        return lambda self, form: Piece(self.call(self.word(word), [self.write(form.body)]), ATOM)

    of_trace, of_total, of_vec, of_diag, of_diagof = map(function,
                                                         ("tr", "sum", "vec", "diag", "diag"))

    def of_inner(self, form):
        return Piece(self.pair(self.write(form.left), self.write(form.right)), ATOM)

    def of_compare(self, form):
        sides = self.write(form.left) + self.relation(form.relation) + self.write(form.right)
        return Piece(self.bracket(sides, "[", "]"), ATOM)

    def of_apply(self, form):
        params = dict(form.params)
        if form.function == "norm":
            return Piece(self.bracket(self.write(form.args[0]), "|", "|"), ATOM)
        if isinstance(form.function, str):  # a rule of the engine's: softmax.vjp[0](G, X)
            name = f"{params['primitive'].name}.{form.function}[{params['argument']}]"
            return Piece(self.call(self.word(name),
                                   self.arguments(form.args, params.get("params", ()))), ATOM)
        entry = notation(form.function)
        pattern = getattr(entry, self.field)
        level = PRODUCT if entry.loose else ATOM
        if is_pattern(pattern):
            outs, signs = [self.write(a) for a in form.args], [self.at(a, ATOM) for a in form.args]
            return Piece(fill(pattern, outs, signs, params), level)
        if form.function is LOG and isinstance(form.args[0], Apply) and form.args[0].kind == SCALAR:
            return Piece(self.applied(pattern, self.at(form.args[0], ATOM)), PRODUCT)  # log det(A)
        return Piece(self.call(pattern, self.arguments(form.args, form.params)), ATOM)

    def arguments(self, args, params):
        """Arguments and parameters, but not that a function works on the last axis or on all."""
        usual = [("axis", -1), ("keepdims", False),
                 ("axis", (-2, -1) if args[-1].kind == MATRIX else (-1,))]
        shown = [(k, v) for k, v in dict(params).items() if (k, v) not in usual]
        return [self.write(a) for a in args] + [self.word(f"{k}={v}") for k, v in shown]

    # index notation

    def subscripted(self, out, subscripts):
        return self.with_index(out, self.index(subscripts)) if subscripts else out

    def index(self, subscripts):
        return self.comma.join(self.group(self.index(s)) if isinstance(s, tuple) else self.letter(s)
                               for s in subscripts)

    def of_indexed(self, form):
        factors = [self.subscripted(self.at(f, TIGHT if not s else ATOM), s)
                   for f, s in form.factors]
        free = set(letters_of(form.free))
        used = dict.fromkeys(x for _, s in form.factors for x in letters_of(s))
        bound = [x for x in used if x not in free]
        product = self.side_by_side(factors)
        piece = Piece(self.summed(bound, product) if bound else product, SUM if bound else PRODUCT)
        return piece if not form.free else Piece(self.subscripted(self.group(piece.out), form.free),
                                                 TIGHT)


def letters_of(subscripts):
    """The letters of subscripts, those of merged axes one by one."""
    for s in subscripts:
        if isinstance(s, tuple):
            yield from letters_of(s)
        else:
            yield s


def negated(form):
    """What stands behind the minus sign of a formula that begins with one; None for all others."""
    if isinstance(form, Num) and form.value < 0:
        return Num(-form.value)
    if (isinstance(form, Times) and form.scalars and isinstance(form.scalars[0], Num)
            and form.scalars[0].value < 0):
        return times(-form.scalars[0].value, form.scalars[1:], form.body)
    return None


def reciprocal(power):
    """1 / power, for a power with a negative exponent."""
    return power.body if power.exponent == -1 else Power(power.body, -power.exponent, power.kind)


def floating(value):
    """The decimals of a number that is no simple fraction, but came of floats; else None."""
    simple = value.denominator < 1000 and abs(value.numerator) < 10 ** 9
    return None if simple else repr(float(value))


def fraction(factors):
    """A product as (numerators, denominators): lists of formulas."""
    numerators, denominators = [], []
    for s in factors:
        if isinstance(s, Num) and floating(s.value):
            numerators.append(s)
        elif isinstance(s, Num):
            value = Fraction(s.value)
            numerators += [Num(Fraction(value.numerator))] if value.numerator != 1 else []
            denominators += [Num(Fraction(value.denominator))] if value.denominator != 1 else []
        elif isinstance(s, Power) and s.exponent < 0:
            denominators.append(reciprocal(s))
        else:
            numerators.append(s)
    return numerators, denominators
