"""Random scalar expressions of matrices and vectors, as text, differentiable at almost every point.

A drawn expression is typed as it grows: a scalar, a column of a named size, a matrix of two.  What
could leave the domain of a function is kept inside it: logarithms and roots are of 1 + something
squared, inverses and determinants of a positive definite array plus E' E, norms are of the distance
to an array that occurs nowhere else.
"""

from __future__ import annotations

from typing import NamedTuple

NAMES = {0: "stpqz", 1: "abcdeghruvwy", 2: "ABCDEFGHKLMNQRSTUVWYZ"}
DIMENSIONS = ("k", "m", "n")
ELEMENTWISE = ("tanh({})", "sin({})", "cos({})", "exp(sin({}))", "sigmoid({})",
               "softplus({})", "{} ** 2", "{} ** 3",
               "log(1 + {} ** 2)", "sqrt(1 + {} ** 2)", "{} / (1 + {} ** 2)", "exp(-{} ** 2)")
NUMBERS = ("2", "3", "0.5", "-1.5", "4")


class RandomExpression(NamedTuple):
    """text in the language of `refgrad.derive.expression`; shapes: name -> (*dimensions,
    property)."""

    text: str
    wrt: str
    shapes: dict


def draw(rng) -> RandomExpression:
    """An expression that has the variable in it, of depth 2 to 5: the same for the same state of
    the generator."""
    while True:
        shape = tuple(map(str, rng.choice(DIMENSIONS, 1 if rng.random() < 0.3 else 2)))
        drawing = _Drawing(rng, shape)
        text = drawing.scalar(int(rng.integers(2, 6)))
        if drawing.variable in drawing.shapes:
            return RandomExpression(text, drawing.variable, drawing.shapes)


class _Drawing:
    """One expression as it grows; `shapes` has the arrays that it names."""

    def __init__(self, rng, shape):
        self.rng, self.shape = rng, shape
        self.variable = "x" if len(shape) == 1 else "X"
        self.shapes = {}

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    # Arrays

    def leaf(self, *shape):
        """The variable where it fits (half of the time), or a given array, old or new."""
        if self.rng.random() < 0.6:
            if self.shape == shape:
                self.shapes[self.variable] = shape
                return self.variable
            if self.shape == shape[::-1]:
                self.shapes[self.variable] = self.shape
                return f"{self.variable}.T"
        known = [name for name, s in self.shapes.items() if s == shape and name != self.variable]
        return self.one_of(*known) if known and self.rng.random() < 0.5 else self.fresh(*shape)

    def fresh(self, *shape):
        """An array that occurs nowhere else so far."""
        count = len([d for d in shape if d in DIMENSIONS])
        name = next((n for n in NAMES[count] if n not in self.shapes), None)
        if name is None:
            name = next(f"{NAMES[count][0]}{i}" for i in range(1, 1000)
                        if f"{NAMES[count][0]}{i}" not in self.shapes)
        self.shapes[name] = shape
        return name

    def safe(self, d, depth):
        """A positive definite matrix."""
        P = self.fresh(d, d, "positive definite")
        if self.rng.random() < 0.5:
            return f"{P} + diag({self.column(d, depth)} ** 2)"
        E = self.matrix(self.dimension(), d, depth)
        return f"{P} + {self.transposed(E)} @ {E}"

    def dimension(self):
        return str(self.rng.choice(DIMENSIONS))

    def transposed(self, E):
        return E[:-2] if E.endswith(".T") and E[:-2].isalnum() else f"{E}.T"

    # Expressions: everything that is returned binds as tightly as a call or a name

    def scalar(self, depth):
        d, e = self.dimension(), self.dimension()
        if depth <= 0:
            return f"({self.column(d, 0)} @ {self.column(d, 0)})"
        down = depth - 1
        match self.rng.integers(18):
            case 0 | 1:
                return f"tr({self.matrix(d, d, down)})"
            case 2:
                return f"tr({self.matrix(d, e, down)} @ {self.matrix(e, d, down)})"
            case 3:
                return f"sum({self.matrix(d, e, down)})"
            case 4:
                return f"sum({self.column(d, down)})"
            case 5:
                return f"mean({self.matrix(d, e, down)})"
            case 6:
                return f"(norm({self.matrix(d, e, down)} - {self.fresh(d, e)}) ** 2)"
            case 7:
                return f"norm({self.column(d, down)} - {self.fresh(d)})"
            case 8 | 9:
                return (f"({self.column(d, down)} @ {self.matrix(d, e, down)} @ "
                        f"{self.column(e, down)})")
            case 10:
                return f"({self.column(d, down)} @ {self.column(d, down)})"
            case 11:
                return f"logdet({self.safe(d, down)})"
            case 12:
                return f"det({self.safe(d, min(down, 1))})"
            case 13:
                return f"log(sum(exp({self.column(d, down)})))"
            case 14:
                f, g = self.dimension(), self.dimension()
                return (f"(vec({self.leaf(d, e)}) @ kron({self.matrix(d, f, min(down, 1))}, "
                        f"{self.leaf(e, g)}) @ vec({self.leaf(f, g)}))")
            case 15:
                return f"tr(kron({self.matrix(d, d, min(down, 1))}, {self.leaf(e, e)}))"
            case 16:
                return f"({self.scalar(down)} {self.one_of('+', '-', '*')} {self.scalar(down)})"
            case _:
                return self.entrywise(self.scalar(down))

    def column(self, d, depth):
        if depth <= 0 or self.rng.random() < 0.15:
            return self.leaf(d)
        down, e = depth - 1, self.dimension()
        match self.rng.integers(8):
            case 0 | 1:
                return f"({self.matrix(d, e, down)} @ {self.column(e, down)})"
            case 2:
                return self.sum_of(self.column(d, down), d)
            case 3:
                return f"({self.column(d, down)} * {self.column(d, down)})"
            case 4:
                return self.entrywise(self.column(d, down))
            case 5:
                return f"softmax({self.column(d, down)})"
            case 6:
                return f"diag({self.matrix(d, d, down)})"
            case _:
                return f"({self.one_of(*NUMBERS)} * {self.column(d, down)})"

    def matrix(self, d, e, depth):
        if depth <= 0 or self.rng.random() < 0.15:
            return self.leaf(d, e)
        down, f = depth - 1, self.dimension()
        match self.rng.integers(11):
            case 0 | 1:
                return f"({self.matrix(d, f, down)} @ {self.matrix(f, e, down)})"
            case 2:
                return self.sum_of(self.matrix(d, e, down), d, e)
            case 3:
                return f"({self.matrix(d, e, down)} * {self.matrix(d, e, down)})"
            case 4:
                return self.entrywise(self.matrix(d, e, down))
            case 5:
                return self.transposed(self.matrix(e, d, down))
            case 6:
                return f"outer({self.column(d, down)}, {self.column(e, down)})"
            case 7:
                return f"softmax({self.matrix(d, e, down)})"
            case 8:
                return f"(diag({self.column(d, down)}) @ {self.matrix(d, e, down)})"
            case 9:
                return f"(inv({self.safe(d, min(down, 1))}) @ {self.matrix(d, e, down)})"
            case _:
                return f"({self.one_of(*NUMBERS)} * {self.matrix(d, e, down)})"

    def sum_of(self, E, *shape):
        """E plus or minus an array of its own, so that it does not vanish."""
        return f"({E} {self.one_of('+', '-')} {self.fresh(*shape)})"

    def entrywise(self, E):
        form = str(self.rng.choice(ELEMENTWISE))
        return f"({form.replace('{}', E)})" if form[0] == "{" else form.replace("{}", E)
