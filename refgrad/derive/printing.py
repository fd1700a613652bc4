"""Formulas as text: ``2/n X' (X W - Y)``, and as LaTeX and MathML.

Text knows no letters beyond ASCII.  ``X'`` is the transpose, ``A . B`` the product entry by entry,
``A / B`` the quotient entry by entry, ``X.^2`` the square of each entry of a matrix, ``X^2`` is X
X, ``1`` a column of ones, ``[X > 0]`` is 1 where the comparison holds and 0 elsewhere,
``A (x) B`` the Kronecker product, ``A[i,j]`` an entry.
"""

from __future__ import annotations

import re

from .form import MATRIX, SCALAR, Num, Plus, Times
from .layout import ATOM, ENTRYWISE, PRODUCT, TIGHT, Layout, Piece, reciprocal
from .typeset import Latex, MathML


def text(form) -> str:
    """A formula as plain text."""
    return Text().write(form)


def latex(form) -> str:
    """A formula in LaTeX's mathematical mode; needs amsmath."""
    return Latex().write(form)


def latex_words(words) -> str:
    """Words in LaTeX's mathematical mode; needs amsmath."""
    escaped = re.sub(r"([_&%#${}])", r"\\\1", words.replace("\\", "/"))
    escaped = re.sub(r"[<>]", lambda sign: f"${sign[0]}$", re.sub(r"\^", r"\\^{}", escaped))
    return rf"\text{{{escaped}}}"


def mathml(form) -> str:
    """A formula in Presentation MathML, to stand inside a <math> element."""
    return MathML().write(form)


class Text(Layout):
    """Formulas as plain text."""

    field = "text"
    ones, identity = "1", "I"

    digits = word = str
    group = "({})".format

    def symbol(self, name):
        return name.text

    def bracket(self, out, left, right):
        return left + out + right

    relation = " {} ".format
    side_by_side = " ".join
    dots = " . ".join
    over = "{}/{}".format
    divided = "{} / {}".format
    kron = "{} (x) {}".format

    def scaled(self, numerators, denominators, body):
        """X / n where nothing but a quotient by a name is meant; 2/n X, a b X, 1/2 X otherwise."""
        above = self.side_by_side([self.at(f, TIGHT) for f in numerators])
        below = self.side_by_side([self.at(f, TIGHT) for f in denominators])
        below = self.group(below) if len(denominators) > 1 else below
        if body is None:
            return (Piece(self.over(above or "1", below), PRODUCT) if below
                    else Piece(above or "1", PRODUCT))
        piece = self.piece(body)
        named = any(not isinstance(f, Num) for f in denominators)
        if named and not above and (piece.level >= TIGHT or isinstance(body, Plus)
                                    or body.kind == SCALAR):
            return Piece(self.divided(self.factor(body), below), ENTRYWISE)
        return Piece(
            self.side_by_side([*filter(None, [self.over(above or "1", below) if below else above]),
                               self.factor(body)]), PRODUCT)

    def factor(self, body):
        """What scalars multiply: without parentheses where it is a product of matrices."""
        return self.group(self.write(body)) if isinstance(body, Times) else self.at(body, PRODUCT)

    def transposed(self, out):
        return out + "'"

    def inverse(self, out, transposed):
        return out + ("^-T" if transposed else "^-1")

    matrix_power = "{}^{}".format

    def powered(self, out, exponent, form):
        exponent = exponent if exponent.isdigit() else self.group(exponent)
        return out + (".^" if form.kind == MATRIX else "^") + exponent

    def root(self, body):
        return Piece(f"sqrt({self.write(body)})", ATOM)

    def one_over(self, power):
        return Piece(self.divided("1", self.at(reciprocal(power), TIGHT)), ENTRYWISE)

    def call(self, name, outs):
        return f"{name}({', '.join(outs)})"

    applied = "{} {}".format
    pair = "<{}, {}>".format

    def subscripted(self, out, subscripts):
        return f"{out}[{','.join(map(self.subscript, subscripts))}]" if subscripts else out

    def subscript(self, s):
        return f"({','.join(map(self.subscript, s))})" if isinstance(s, tuple) else s

    def summed(self, letters, out):
        return f"sum_{''.join(letters)} {out}"
