"""Formulas as text: ``2/n X' (X W - Y)``, and as LaTeX and MathML.

Text knows no letters beyond ASCII.  ``X'`` is the transpose, ``A . B`` the product entry by entry,
``A / B`` the quotient entry by entry, ``X.^2`` the square of each entry of a matrix, ``X^2`` is X
X, ``1`` a column of ones, ``[X > 0]`` is 1 where the comparison holds and 0 elsewhere,
``A (x) B`` the Kronecker product, ``A[i,j]`` an entry.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from .form import MATRIX, SCALAR, Num, Plus
from .layout import ATOM, ENTRYWISE, PRODUCT, TIGHT, Layout, Piece, reciprocal

APPLIED = "<mo>\u2061</mo>"  # the invisible sign between a function and its argument
GREEK = dict(zip(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi pi rho sigma tau phi chi "
    "psi omega".split() + "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega lam".split(),
    "αβγδϵζηθικμνξπρστϕχψωΓΔΘΛΞΠΣΦΨΩλ"))


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

    comma, letter, with_index = ",", str, "{}[{}]".format

    def summed(self, letters, out):
        return f"sum_{''.join(letters)} {out}"


def parts(text, role=None):
    """What a name is made of: ("sub", "Z", "1") of Z1, ("d", "X") of dX, ("hat", "x") of x_hat."""
    if role == "differential" and len(text) > 1 and text.startswith("d"):
        return "d", parts(text[1:])
    head, _, tail = text.rpartition("_")
    if head and tail == "hat":
        return "hat", parts(head)
    head, _, tail = text.partition("_")
    if head and tail:
        return "sub", parts(head), parts(tail)
    numbered = re.fullmatch(r"([A-Za-z]+)(\d+)", text)
    return ("sub", parts(numbered[1]), ("word", numbered[2])) if numbered else ("word", text)


class Typeset(Layout):
    """What fractions, roots and raised exponents have in common."""

    def symbol(self, name):
        of, by, wrt = name.text.partition("/d")
        if by:  # dL/dX
            return self.over(*(self.assembled(*parts(part, "differential"))
                               for part in (of, "d" + wrt)))
        return self.assembled(*parts(name.text, name.role))

    def assembled(self, what, *inner):
        """What `parts` says of a name."""
        if what == "word":
            return self.letters(*inner)
        return getattr(self, "with_" + what)(*(self.assembled(*i) for i in inner))

    def scaled(self, numerators, denominators, body):
        above, below = self.product(numerators), self.product(denominators)
        if body is None:
            return Piece(self.over(above, below) if denominators else above, PRODUCT)
        if denominators and not numerators and body.kind == SCALAR:
            return Piece(self.over(self.write(body), below), PRODUCT)
        coefficient = ([self.over(above, below)] if denominators
                       else [self.at(f, TIGHT) for f in numerators])
        return Piece(self.side_by_side([*coefficient, self.factor(body)]), PRODUCT)

    def group(self, out):
        return self.bracket(out, "(", ")")

    def product(self, factors):
        if not factors:
            return self.digits(1)
        return (self.write(factors[0]) if len(factors) == 1
                else self.side_by_side([self.at(f, TIGHT) for f in factors]))

    def one_over(self, power):
        if power.kind == SCALAR:
            return Piece(self.over(self.digits(1), self.write(reciprocal(power))), PRODUCT)
        return Piece(self.powered(self.at(power.body, ATOM), self.write(Num(power.exponent)),
                                  power), TIGHT)


class Latex(Typeset):
    """Formulas as LaTeX."""

    field = "latex"
    ones, identity = r"\mathbf{1}", "I"

    digits = str

    with_d, with_hat = r"\mathrm{{d}}{}".format, r"\hat{{{}}}".format

    def with_sub(self, head, below):
        return f"{head if '_' not in head else f'{{{head}}}'}_{{{below}}}"

    def letters(self, word):
        if word in GREEK:
            return "\\" + ("lambda" if word == "lam" else word)
        return (word if len(word) == 1 or word.isdigit()
                else r"\mathit{{{}}}".format(word.replace("_", r"\_")))

    def word(self, text):
        return (r"\operatorname{{{}}}".format(re.sub(r"([_&%#$])", r"\\\1", text)) if len(text) > 1
                else text)

    def bracket(self, out, left, right):
        return (rf"\left{left} {out} \right{right}" if r"\frac" in out or r"\sum" in out
                else left + out + right)

    def relation(self, sign):
        return {">=": r" \ge ", "<=": r" \le ", "==": " = ", "!=": r" \ne "}.get(sign, f" {sign} ")

    def side_by_side(self, outs):
        return (r" \, " if any(r"\mathit" in out for out in outs) else " ").join(outs)

    dots = r" \odot ".join

    def over(self, above, below):
        return ((r"\tfrac{%s}{%s}" if above.isdigit() and below.isdigit() else r"\frac{%s}{%s}")
                % (above, below))

    divided = r"{} \oslash {}".format
    kron = r"{} \otimes {}".format

    def transposed(self, out):
        return self.raised(out, r"\top")

    def inverse(self, out, transposed):
        return self.raised(out, r"-\top" if transposed else "-1")

    matrix_power = raised = "{}^{{{}}}".format

    def powered(self, out, exponent, form):
        exponent = exponent.replace("tfrac", "frac")
        return self.raised(out, exponent if form.kind == SCALAR else rf"\odot {exponent}"
                           if exponent[0] != "-"
                           else rf"\odot ({exponent})")

    def root(self, body):
        return Piece(rf"\sqrt{{{self.write(body)}}}", ATOM)

    def call(self, name, outs):
        return name + self.group(", ".join(outs))

    applied = "{} {}".format

    def pair(self, left, right):
        return self.bracket(f"{left}, {right}", r"\langle ", r"\rangle ").strip()

    comma, letter, with_index = " ", str, "{{{}}}_{{{}}}".format

    def summed(self, letters, out):
        return rf"\sum_{{{self.index(letters)}}} {out}"


class MathML(Typeset):
    """Formulas as MathML."""

    field = "mathml"
    ones, identity = '<mn mathvariant="bold">𝟏</mn>', "<mi>I</mi>"

    digits = "<mn>{}</mn>".format

    with_d = '<mrow><mi mathvariant="normal">d</mi>{}</mrow>'.format
    with_hat = '<mover accent="true">{}<mo stretchy="false">^</mo></mover>'.format
    with_sub = "<msub>{}{}</msub>".format

    def letters(self, word):
        return (f"<mn>{word}</mn>" if word.isdigit()
                else f"<mi>{GREEK.get(word, escape(word))}</mi>")

    def word(self, text):
        return (f"<mi>{escape(text)}</mi>" if len(text) > 1
                else f'<mi mathvariant="normal">{escape(text)}</mi>')

    row = "<mrow>{}</mrow>".format

    def bracket(self, out, left, right):
        return self.row(f'<mo form="prefix">{left}</mo>{out}<mo form="postfix">{right}</mo>')

    def sign(self, text):
        return f'<mo form="infix">{escape(text)}</mo>'

    def relation(self, sign):
        return self.sign({">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}.get(sign, sign))

    def plus(self, outs):
        (negative, first), *rest = outs
        return ((self.minus(first) if negative else first)
                + "".join(self.sign("−" if n else "+") + o for n, o in rest))

    minus = '<mo form="prefix">−</mo>{}'.format
    side_by_side = '<mspace width="0.17em"/>'.join
    dots = '<mo form="infix">⊙</mo>'.join
    divided = '{}<mo form="infix">⊘</mo>{}'.format
    kron = '{}<mo form="infix">⊗</mo>{}'.format
    over = "<mfrac><mrow>{}</mrow><mrow>{}</mrow></mfrac>".format
    raised = "<msup><mrow>{}</mrow><mrow>{}</mrow></msup>".format
    applied = f'{{}}{APPLIED}<mspace width="0.17em"/>{{}}'.format

    def transposed(self, out):
        return self.raised(out, '<mo lspace="0" rspace="0">⊤</mo>')

    def inverse(self, out, transposed):
        return self.raised(out, self.minus("<mo>⊤</mo>" if transposed else "<mn>1</mn>"))

    def matrix_power(self, out, n):
        number = f"<mn>{abs(n)}</mn>"
        return self.raised(out, number if n > 0 else self.minus(number))

    def powered(self, out, exponent, form):
        return self.raised(out, exponent if form.kind == SCALAR
                           else '<mo lspace="0" rspace="0">⊙</mo>' + (
                               exponent if form.exponent > 0 else self.group(exponent)))

    def root(self, body):
        return Piece(f"<msqrt>{self.write(body)}</msqrt>", ATOM)

    def call(self, name, outs):
        return name + APPLIED + self.group(self.sign(",").join(outs))

    def pair(self, left, right):
        return self.bracket(left + '<mo separator="true">,</mo>' + right, "⟨", "⟩")

    comma, letter = "", "<mi>{}</mi>".format
    with_index = "<msub><mrow>{}</mrow><mrow>{}</mrow></msub>".format

    def summed(self, letters, out):
        return f"<munder><mo>∑</mo>{self.row(self.index(letters))}</munder>{self.row(out)}"
