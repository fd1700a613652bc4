"""Classical identities of matrix calculus, as data: functions, and the gradients that books give.

Everything is text in the language of `refgrad.derive.expression`: ``X.T`` is the transpose, ``@``
the matrix product, ``*`` and ``**`` go entry by entry, `vec` stacks rows.  Formulas may also name
sizes: n is the size of that dimension, I_n the identity matrix, one_n a column of ones.

Gradients have the shape of the variable.  For a function that is no scalar the formula is that of
the vjp: the gradient of <G, F(X)> for a given G (or a column g).  A variable that is declared
symmetric or positive definite varies among symmetric matrices, and its gradient is symmetric: (G +
G')/2, where G is the gradient among all matrices.  (The Matrix Cookbook, section 2.8, has G + G' -
I * G instead: derivatives with respect to the entries of one triangle.)  The gradient among
diagonal matrices is the diagonal I * G.
"""

from __future__ import annotations

from typing import NamedTuple

COOKBOOK = "Petersen and Pedersen, The Matrix Cookbook (2012)"
MAGNUS = "Magnus and Neudecker, Matrix Differential Calculus (3rd ed., 2019)"
BOYD = "Boyd and Vandenberghe, Convex Optimization (2004)"
GOLUB = "Golub and Van Loan, Matrix Computations (4th ed., 2013)"
BISHOP = "Bishop, Pattern Recognition and Machine Learning (2006)"
GOODFELLOW = "Goodfellow, Bengio and Courville, Deep Learning (2016)"
HORN = "Horn and Johnson, Topics in Matrix Analysis (1991)"
ANDERSON = "Anderson, An Introduction to Multivariate Statistical Analysis (3rd ed., 2003)"
COVER = "Cover and Thomas, Elements of Information Theory (2nd ed., 2006)"


class Identity(NamedTuple):
    """One line of a book.

    id        what it is called, unique
    function  as text
    wrt       the variable
    shapes    as text: "X: m n, S: n n positive definite, a: n, c:" (names of dimensions, then the
              array's property)
    formula   the book's gradient as text; with G in it, the vjp of G
    source    the book, and where in it
    note      in what the book differs, or ""
    """

    id: str
    function: str
    wrt: str
    shapes: str
    formula: str
    source: str
    note: str = ""

    @property
    def arrays(self):
        """name -> (*dimensions, property), as `derive` takes them."""
        return shapes_of(self.shapes)


def shapes_of(text):
    """{"X": ("m", "n"), "S": ("n", "n", "positive definite")} for "X: m n, S: n n positive
    definite"."""
    shapes = {}
    for part in text.split(","):
        name, _, words = part.partition(":")
        words = words.split()
        count = next((k for k, word in enumerate(words) if len(word) > 1), len(words))
        shapes[name.strip()] = (*words[:count], *filter(None, [" ".join(words[count:])]))
    return shapes


def cookbook(equation):
    return f"{COOKBOOK}, eq. {equation}"


FAMILIES = {
    "traces": [
        Identity("trace", "tr(X)", "X", "X: n n", "I_n", cookbook(99)),
        Identity("trace of X A", "tr(X @ A)", "X", "X: m n, A: n m", "A.T", cookbook(100)),
        Identity("trace of A X B", "tr(A @ X @ B)", "X", "A: k m, X: m n, B: n k", "A.T @ B.T",
                 cookbook(101)),
        Identity("trace of A X' B", "tr(A @ X.T @ B)", "X", "A: k n, X: m n, B: m k", "B @ A",
                 cookbook(102)),
        Identity("trace of X' A", "tr(X.T @ A)", "X", "X: m n, A: m n", "A", cookbook(103)),
        Identity("trace of A X'", "tr(A @ X.T)", "X", "A: m n, X: m n", "A", cookbook(104)),
        Identity("trace of X^2", "tr(X @ X)", "X", "X: n n", "2 * X.T", cookbook(106)),
        Identity("trace of X^2 B", "tr(X @ X @ B)", "X", "X: n n, B: n n", "(X @ B + B @ X).T",
                 cookbook(107)),
        Identity("trace of X' B X", "tr(X.T @ B @ X)", "X", "X: m n, B: m m", "B @ X + B.T @ X",
                 cookbook(108)),
        Identity("trace of B X X'", "tr(B @ X @ X.T)", "X", "B: m m, X: m n", "B @ X + B.T @ X",
                 cookbook(109)),
        Identity("trace of X B X'", "tr(X @ B @ X.T)", "X", "X: m n, B: n n", "X @ B.T + X @ B",
                 cookbook(111)),
        Identity("trace of X' X B", "tr(X.T @ X @ B)", "X", "X: m n, B: n n", "X @ B.T + X @ B",
                 cookbook(113)),
        Identity("trace of A X B X", "tr(A @ X @ B @ X)", "X", "A: n m, X: m n, B: n m",
                 "A.T @ X.T @ B.T + B.T @ X.T @ A.T", cookbook(114)),
        Identity("trace of X' X", "tr(X.T @ X)", "X", "X: m n", "2 * X", cookbook(115)),
        Identity("trace of B' X' C X B", "tr(B.T @ X.T @ C @ X @ B)", "X", "B: n k, X: m n, C: m m",
                 "C.T @ X @ B @ B.T + C @ X @ B @ B.T", cookbook(116)),
        Identity("trace of X' B X C", "tr(X.T @ B @ X @ C)", "X", "X: m n, B: m m, C: n n",
                 "B @ X @ C + B.T @ X @ C.T", cookbook(117)),
        Identity("trace of A X B X' C", "tr(A @ X @ B @ X.T @ C)",
                 "X", "A: k m, X: m n, B: n n, C: m k",
                 "A.T @ C.T @ X @ B.T + C @ A @ X @ B", cookbook(118)),
        Identity("trace of (A X B + C)(A X B + C)'", "tr((A @ X @ B + C) @ (A @ X @ B + C).T)", "X",
                 "A: k m, X: m n, B: n p, C: k p", "2 * A.T @ (A @ X @ B + C) @ B.T",
                 cookbook(119)),
        Identity("trace of X^3", "tr(X @ X @ X)", "X", "X: n n", "3 * (X @ X).T",
                 cookbook("121, k = 3")),
        Identity("trace of A X^3", "tr(A @ X @ X @ X)", "X", "A: n n, X: n n",
                 "(X @ X @ A + X @ A @ X + A @ X @ X).T", cookbook("122, k = 3")),
        Identity("trace of four X", "tr(B.T @ X.T @ C @ X @ X.T @ C @ X @ B)",
                 "X", "B: n k, X: m n, C: m m",
                 "C @ X @ X.T @ C @ X @ B @ B.T + C.T @ X @ B @ B.T @ X.T @ C.T @ X + C @ X @ B @ "
                 "B.T @ X.T @ C @ X + C.T @ X @ X.T @ C.T @ X @ B @ B.T", cookbook(123)),
    ],
    "determinants": [
        Identity("det X", "det(X)", "X", "X: n n", "det(X) * inv(X).T", cookbook(49)),
        Identity("det A X B", "det(A @ X @ B)", "X", "A: n n, X: n n, B: n n",
                 "det(A @ X @ B) * inv(X).T", cookbook(51)),
        Identity("det X' A X, X square", "det(X.T @ A @ X)", "X", "X: n n, A: n n",
                 "2 * det(X.T @ A @ X) * inv(X).T", cookbook(52)),
        Identity("det X' A X, A symmetric", "det(X.T @ A @ X)", "X",
                 "X: n k, A: n n positive definite",
                 "2 * det(X.T @ A @ X) * A @ X @ inv(X.T @ A @ X)", cookbook(53)),
        Identity("det X' A X", "det(X.T @ A @ X)", "X", "X: n k, A: n n",
                 "det(X.T @ A @ X) * (A @ X @ inv(X.T @ A @ X) + A.T @ X @ inv(X.T @ A.T @ X))",
                 cookbook(54)),
        Identity("det X' X", "det(X.T @ X)", "X", "X: n k", "2 * det(X.T @ X) * X @ inv(X.T @ X)",
                 cookbook("53, A = I")),
        Identity("det X X'", "det(X @ X.T)", "X", "X: k n", "2 * det(X @ X.T) * inv(X @ X.T) @ X",
                 f"{MAGNUS}, chapter 9, on determinants"),
        Identity("det X cubed", "det(X @ X @ X)", "X", "X: n n", "3 * det(X) ** 3 * inv(X).T",
                 cookbook("58, k = 3")),
        Identity("det X squared", "det(X) ** 2", "X", "X: n n", "2 * det(X) ** 2 * inv(X).T",
                 cookbook("58, k = 2")),
        Identity("det of the inverse", "det(inv(X))", "X", "X: n n",
                 "-det(inv(X)) * inv(X).T", cookbook(62)),
    ],
    "log det": [
        Identity("logdet X", "logdet(X)", "X", "X: n n", "inv(X).T", cookbook(57)),
        Identity("logdet X' X", "logdet(X.T @ X)", "X", "X: n k", "2 * X @ inv(X.T @ X)",
                 cookbook(55), "the book writes X (X' X)^-1 as the transpose of the pseudoinverse"),
        Identity("logdet X' A X", "logdet(X.T @ A @ X)", "X", "X: n k, A: n n positive definite",
                 "2 * A @ X @ inv(X.T @ A @ X)", f"{MAGNUS}, chapter 9, on determinants"),
        Identity("logdet of a positive definite matrix", "logdet(X)", "X",
                 "X: n n positive definite", "inv(X)", f"{BOYD}, appendix A.4.1"),
        Identity("logdet of an affine matrix", "logdet(A + diag(x))", "x",
                 "A: n n positive definite, x: n positive",
                 "diag(inv(A + diag(x)))", f"{BOYD}, appendix A.4.1"),
        Identity("logdet with a low rank term", "logdet(A + X @ X.T)", "X",
                 "A: n n positive definite, X: n k",
                 "2 * inv(A + X @ X.T) @ X", f"{MAGNUS}, chapter 8, on determinants"),
        Identity("log barrier", "-logdet(X) + tr(C @ X)", "X",
                 "X: n n positive definite, C: n n symmetric",
                 "C - inv(X)", f"{BOYD}, section 11.6"),
    ],
    "inverses": [
        Identity("inverse", "inv(X)", "X", "X: n n, G: n n",
                 "-inv(X).T @ G @ inv(X).T", cookbook(40)),
        Identity("a' X^-1 b", "a @ inv(X) @ b", "X", "X: n n, a: n, b: n",
                 "-inv(X).T @ outer(a, b) @ inv(X).T", cookbook(61)),
        Identity("trace of A X^-1 B", "tr(A @ inv(X) @ B)", "X", "A: m n, X: n n, B: n m",
                 "-(inv(X) @ B @ A @ inv(X)).T", cookbook(124)),
        Identity("trace of (X + A)^-1", "tr(inv(X + A))", "X", "X: n n, A: n n",
                 "-(inv(X + A) @ inv(X + A)).T", cookbook(64)),
        Identity("trace of the inverse", "tr(inv(X))", "X", "X: n n positive definite",
                 "-inv(X) @ inv(X)", f"{BOYD}, section 7.5"),
        Identity("trace of (X' C X)^-1 A", "tr(inv(X.T @ C @ X) @ A)", "X",
                 "X: n k, C: n n positive definite, A: k k symmetric",
                 "-C @ X @ inv(X.T @ C @ X) @ (A + A.T) @ inv(X.T @ C @ X)", cookbook(125)),
        Identity("trace of (X' C X)^-1 X' B X", "tr(inv(X.T @ C @ X) @ (X.T @ B @ X))", "X",
                 "X: n k, C: n n positive definite, B: n n symmetric",
                 "-2 * C @ X @ inv(X.T @ C @ X) @ X.T @ B @ X @ inv(X.T @ C @ X) + 2 * B @ X @ "
                 "inv(X.T @ C @ X)", cookbook(126)),
        Identity("solution of A x = b, b", "g @ solve(A, b)", "b", "A: n n, b: n, g: n",
                 "inv(A).T @ g", f"{GOLUB}, section 2.6, on the sensitivity of square systems"),
        Identity("solution of A x = b, A", "g @ solve(A, b)", "A", "A: n n, b: n, g: n",
                 "-outer(inv(A).T @ g, inv(A) @ b)",
                 f"{GOLUB}, section 2.6, on the sensitivity of square systems"),
        Identity("matrix fractional function", "x @ inv(S) @ x",
                 "S", "x: n, S: n n positive definite",
                 "-outer(inv(S) @ x, inv(S) @ x)", f"{BOYD}, section 3.1.7"),
    ],
    "quadratic forms": [
        Identity("a' x", "a @ x", "x", "a: n, x: n", "a", cookbook(69)),
        Identity("a' X b", "a @ X @ b", "X", "a: m, X: m n, b: n", "outer(a, b)", cookbook(70)),
        Identity("a' X' b", "a @ X.T @ b", "X", "a: n, X: m n, b: m", "outer(b, a)", cookbook(71)),
        Identity("b' X' X c", "b @ X.T @ X @ c", "X", "b: n, X: m n, c: n",
                 "X @ (outer(b, c) + outer(c, b))", cookbook(77)),
        Identity("(B x + b)' C (D x + d)", "(B @ x + b) @ C @ (D @ x + d)", "x",
                 "B: m n, x: n, b: m, C: m k, D: k n, d: k",
                 "B.T @ C @ (D @ x + d) + D.T @ C.T @ (B @ x + b)", cookbook(78)),
        Identity("x' B x", "x @ B @ x", "x", "x: n, B: n n", "(B + B.T) @ x", cookbook(81)),
        Identity("x' B x, B", "x @ B @ x", "B", "x: n, B: n n", "outer(x, x)", cookbook(72)),
        Identity("x' S x", "x @ S @ x", "x", "x: n, S: n n symmetric", "2 * S @ x",
                 f"{BOYD}, appendix A.4.1"),
        Identity("x' A y, x", "x @ A @ y", "x", "x: m, A: m n, y: n", "A @ y",
                 f"{MAGNUS}, chapter 9, on vectors"),
        Identity("x' A y, y", "x @ A @ y", "y", "x: m, A: m n, y: n", "A.T @ x",
                 f"{MAGNUS}, chapter 9, on vectors"),
        Identity("b' X' D X c", "b @ X.T @ D @ X @ c", "X", "b: n, X: m n, D: m m, c: n",
                 "D.T @ X @ outer(b, c) + D @ X @ outer(c, b)", cookbook(82)),
        Identity("(X b + c)' D (X b + c)", "(X @ b + c) @ D @ (X @ b + c)", "X",
                 "X: m n, b: n, c: m, D: m m", "outer((D + D.T) @ (X @ b + c), b)", cookbook(83)),
        Identity("weighted least squares, s", "(x - A @ s) @ W @ (x - A @ s)", "s",
                 "x: m, A: m n, s: n, W: m m symmetric",
                 "-2 * A.T @ W @ (x - A @ s)", cookbook(84)),
        Identity("weighted distance, x", "(x - s) @ W @ (x - s)", "x",
                 "x: n, s: n, W: n n symmetric", "2 * W @ (x - s)", cookbook(85)),
        Identity("weighted distance, s", "(x - s) @ W @ (x - s)", "s",
                 "x: n, s: n, W: n n symmetric", "-2 * W @ (x - s)", cookbook(86)),
        Identity("weighted least squares, x", "(x - A @ s) @ W @ (x - A @ s)", "x",
                 "x: m, A: m n, s: n, W: m m symmetric", "2 * W @ (x - A @ s)", cookbook(87)),
        Identity("weighted least squares, A", "(x - A @ s) @ W @ (x - A @ s)", "A",
                 "x: m, A: m n, s: n, W: m m symmetric",
                 "-2 * outer(W @ (x - A @ s), s)", cookbook(88)),
        Identity("a' X^3 b", "a @ X @ X @ X @ b", "X", "a: n, X: n n, b: n",
                 "outer(a, X @ X @ b) + X.T @ outer(a, X @ b) + X.T @ X.T @ outer(a, b)",
                 cookbook("91, n = 3")),
        Identity("Rayleigh quotient", "(x @ A @ x) / (x @ x)", "x", "x: n, A: n n symmetric",
                 "2 * (A @ x - (x @ A @ x) / (x @ x) * x) / (x @ x)", f"{GOLUB}, section 8.2.3"),
        Identity("exponential of a quadratic form", "exp(-(x @ S @ x) / 2)",
                 "x", "x: n, S: n n positive definite",
                 "-exp(-(x @ S @ x) / 2) * (S @ x)", f"{BISHOP}, section 2.3"),
    ],
    "norms": [
        Identity("norm of x", "norm(x)", "x", "x: n", "x / norm(x)", cookbook("129, a = 0")),
        Identity("distance", "norm(x - a)", "x", "x: n, a: n", "(x - a) / norm(x - a)",
                 cookbook(129)),
        Identity("direction", "(x - a) / norm(x - a)", "x", "x: n, a: n, g: n",
                 "g / norm(x - a) - (x - a) * ((x - a) @ g) / norm(x - a) ** 3", cookbook(130)),
        Identity("squared norm of x", "norm(x) ** 2", "x", "x: n", "2 * x", cookbook(131)),
        Identity("squared Frobenius norm", "norm(X) ** 2", "X", "X: m n", "2 * X", cookbook(132)),
        Identity("Frobenius norm", "norm(X)", "X", "X: m n", "X / norm(X)",
                 f"{MAGNUS}, chapter 9, on traces"),
        Identity("norm of A x - b", "norm(A @ x - b)", "x", "A: m n, x: n, b: m",
                 "A.T @ (A @ x - b) / norm(A @ x - b)", cookbook("129, with the chain rule")),
        Identity("least squares, W", "norm(X @ W - Y) ** 2 / 2", "W", "X: m n, W: n k, Y: m k",
                 "X.T @ (X @ W - Y)", f"{BISHOP}, section 3.1.5"),
        Identity("least squares, X", "norm(X @ W - Y) ** 2 / 2", "X", "X: m n, W: n k, Y: m k",
                 "(X @ W - Y) @ W.T", cookbook("119, transposed")),
        Identity("least squares, Y", "norm(X @ W - Y) ** 2 / 2", "Y", "X: m n, W: n k, Y: m k",
                 "Y - X @ W", f"{MAGNUS}, chapter 9, on traces"),
        Identity("ridge regression", "norm(X @ w - y) ** 2 + c * norm(w) ** 2",
                 "w", "X: m n, w: n, y: m, c:",
                 "2 * X.T @ (X @ w - y) + 2 * c * w", f"{BISHOP}, section 3.1.4"),
        Identity("symmetry defect", "norm(X.T @ X - A) ** 2 / 4", "X", "X: m n, A: n n symmetric",
                 "X @ (X.T @ X - A)", f"{MAGNUS}, chapter 9, on traces"),
    ],
    "elementwise functions": [
        Identity("sum", "sum(X)", "X", "X: m n", "outer(one_m, one_n)",
                 f"{MAGNUS}, chapter 9, on traces"),
        Identity("sum of exp", "sum(exp(X))", "X", "X: m n", "exp(X)", cookbook(38)),
        Identity("sum of log", "sum(log(X))", "X", "X: m n positive", "1 / X",
                 f"{BOYD}, appendix A.4.2"),
        Identity("sum of tanh", "sum(tanh(A @ x))", "x", "A: m n, x: n",
                 "A.T @ (1 - tanh(A @ x) ** 2)", f"{BISHOP}, section 5.3.2"),
        Identity("weighted sines", "tr(A.T @ sin(X))", "X", "A: m n, X: m n", "A * cos(X)",
                 f"{MAGNUS}, chapter 8"),
        Identity("powers", "sum(A * X ** 3)", "X", "A: m n, X: m n", "3 * A * X ** 2",
                 cookbook(38)),
        Identity("entropy", "-sum(p * log(p))", "p", "p: n positive",
                 "-log(p) - 1", f"{COVER}, chapter 12"),
        Identity("relative entropy", "sum(p * log(p / q))", "p", "p: n positive, q: n positive",
                 "log(p / q) + 1", f"{COVER}, chapter 2"),
        Identity("mean", "c * mean(x)", "x", "x: n, c:", "c / n * one_n", f"{MAGNUS}, chapter 9"),
        Identity("variance", "mean((x - mean(x)) ** 2)", "x", "x: n", "2 * (x - mean(x)) / n",
                 f"{MAGNUS}, chapter 9"),
        Identity("activation, vjp", "tanh(X)", "X", "X: m n, G: m n", "G * (1 - tanh(X) ** 2)",
                 f"{GOODFELLOW}, section 6.5"),
    ],
    "Kronecker and Hadamard products": [
        Identity("trace of A kron X", "tr(kron(A, X))", "X", "A: m m, X: n n", "tr(A) * I_n",
                 cookbook(105)),
        Identity("trace of X kron X", "tr(kron(X, X))", "X", "X: n n", "2 * tr(X) * I_n",
                 cookbook(120)),
        Identity("norm of a Kronecker product", "norm(kron(A, X)) ** 2", "X", "A: m k, X: n p",
                 "2 * norm(A) ** 2 * X", f"{HORN}, section 4.2"),
        Identity("det of a Kronecker product", "logdet(kron(A, X))", "X",
                 "A: m m positive definite, X: n n positive definite", "m * inv(X)",
                 f"{HORN}, section 4.2"),
        Identity("vec and Kronecker, quadratic", "vec(X) @ kron(A, B) @ vec(X)", "X",
                 "X: m n, A: m m, B: n n", "A @ X @ B.T + A.T @ X @ B", f"{MAGNUS}, chapter 2",
                 "vec stacks rows here, columns in the book: A and B change places"),
        Identity("vec and Kronecker, linear", "vec(Y) @ kron(A, B) @ vec(X)", "X",
                 "Y: k p, A: k m, B: p n, X: m n", "A.T @ Y @ B", f"{MAGNUS}, chapter 2",
                 "vec stacks rows here, columns in the book"),
        Identity("inner product of vecs", "vec(A) @ vec(X)", "X", "A: m n, X: m n", "A",
                 f"{MAGNUS}, chapter 2"),
        Identity("trace of A (B * X)", "tr(A @ (B * X))", "X", "A: n m, B: m n, X: m n", "A.T * B",
                 f"{HORN}, section 5.1"),
        Identity("Hadamard square", "sum(A * X * X)", "X", "A: m n, X: m n", "2 * A * X",
                 cookbook(38)),
        Identity("quadratic form of a Hadamard product", "a @ (B * X) @ c", "X",
                 "a: m, B: m n, X: m n, c: n", "outer(a, c) * B", f"{HORN}, section 5.1"),
        Identity("trace of A X * X", "tr((A @ X) * X)", "X", "A: n n, X: n n",
                 "A.T @ diag(diag(X)) + diag(diag(A @ X))", f"{HORN}, section 5.1"),
        Identity("Hadamard product, vjp", "A * X", "X", "A: m n, X: m n, G: m n", "A * G",
                 cookbook(38)),
    ],
    "structured matrices": [
        Identity("trace of A X, X symmetric", "tr(A @ X)", "X", "A: n n, X: n n symmetric",
                 "(A + A.T) / 2", cookbook(139), "the book: A + A' - A * I"),
        Identity("det X, X symmetric", "det(X)", "X", "X: n n symmetric", "det(X) * inv(X)",
                 cookbook(140), "the book: det X (2 X^-1 - X^-1 * I)"),
        Identity("logdet X, X symmetric", "logdet(X)", "X", "X: n n symmetric", "inv(X)",
                 cookbook(141), "the book: 2 X^-1 - X^-1 * I"),
        Identity("trace of A X, X diagonal", "tr(A @ X)", "X", "A: n n, X: n n diagonal",
                 "diag(diag(A))", cookbook(142)),
        Identity("trace of A diag x", "tr(A @ diag(x))", "x", "A: n n, x: n", "diag(A)",
                 cookbook("142, with X = diag x")),
        Identity("diag x in a product", "a @ diag(x) @ b", "x", "a: n, x: n, b: n", "a * b",
                 f"{HORN}, section 5.1"),
        Identity("scaling of rows", "norm(diag(x) @ A) ** 2", "x", "x: m, A: m n",
                 "2 * x * diag(A @ A.T)", f"{HORN}, section 5.1"),
        Identity("a' X b, X symmetric", "a @ X @ b", "X", "a: n, X: n n symmetric, b: n",
                 "(outer(a, b) + outer(b, a)) / 2",
                 f"{MAGNUS}, chapter 3, on the duplication matrix"),
        Identity("trace of X A X, X symmetric", "tr(X @ A @ X)", "X",
                 "X: n n symmetric, A: n n symmetric",
                 "A @ X + X @ A", f"{MAGNUS}, chapter 3, on the duplication matrix"),
    ],
    "vector functions": [
        Identity("A x, vjp", "A @ x", "x", "A: m n, x: n, g: m", "A.T @ g",
                 f"{MAGNUS}, chapter 9, on vector functions"),
        Identity("A x, vjp to A", "A @ x", "A", "A: m n, x: n, g: m", "outer(g, x)",
                 f"{GOODFELLOW}, section 6.5"),
        Identity("A X B, vjp", "A @ X @ B", "X", "A: k m, X: m n, B: n p, G: k p", "A.T @ G @ B.T",
                 cookbook(37)),
        Identity("X' X, vjp", "X.T @ X", "X", "X: m n, G: n n", "X @ (G + G.T)",
                 f"{MAGNUS}, chapter 9, on matrix functions"),
        Identity("X^2, vjp", "X @ X", "X", "X: n n, G: n n", "G @ X.T + X.T @ G",
                 f"{MAGNUS}, chapter 9, on matrix functions"),
        Identity("transpose, vjp", "X.T", "X", "X: m n, G: n m", "G.T", cookbook(44)),
        Identity("outer product, vjp", "outer(x, y)", "x", "x: m, y: n, G: m n", "G @ y",
                 cookbook(37)),
        Identity("x x' x", "x * (x @ x)", "x", "x: n, g: n", "(x @ x) * g + 2 * x * (x @ g)",
                 f"{MAGNUS}, chapter 9, on vector functions"),
    ],
    "softmax and losses": [
        Identity("log sum exp", "log(sum(exp(x)))", "x", "x: n", "softmax(x)",
                 f"{BOYD}, appendix A.4.2"),
        Identity("log sum exp of an affine map", "log(sum(exp(A @ x + b)))", "x",
                 "A: m n, x: n, b: m", "A.T @ softmax(A @ x + b)", f"{BOYD}, appendix A.4.2"),
        Identity("softmax, vjp", "softmax(x)", "x", "x: n, g: n",
                 "softmax(x) * (g - g @ softmax(x))", f"{BISHOP}, section 4.3.4"),
        Identity("log softmax, vjp", "log(softmax(x))", "x", "x: n, g: n",
                 "g - sum(g) * softmax(x)", f"{GOODFELLOW}, section 6.2.2.3"),
        Identity("cross-entropy of one sample", "-(y @ log(softmax(x)))", "x",
                 "x: n, y: n probabilities", "softmax(x) - y", f"{BISHOP}, section 4.3.4"),
        Identity("cross-entropy of rows", "cross_entropy(Z, Y)",
                 "Z", "Z: m n, Y: m n probabilities",
                 "(softmax(Z) - Y) / m", f"{BISHOP}, section 4.3.4"),
        Identity("multiclass logistic regression", "cross_entropy(X @ W, Y)", "W",
                 "X: m n, W: n k, Y: m k probabilities", "X.T @ (softmax(X @ W) - Y) / m",
                 f"{BISHOP}, section 4.3.4"),
        Identity("logistic regression", "sum(softplus(X @ w) - y * (X @ w))", "w",
                 "X: m n, w: n, y: m unit interval",
                 "X.T @ (sigmoid(X @ w) - y)", f"{BISHOP}, section 4.3.2"),
        Identity("relative entropy to softmax", "sum(p * (log(p) - log(softmax(x))))", "x",
                 "x: n, p: n probabilities", "softmax(x) - p", f"{GOODFELLOW}, section 3.13"),
        Identity("softplus", "sum(softplus(x))", "x", "x: n", "sigmoid(x)",
                 f"{GOODFELLOW}, section 3.10"),
        Identity("mean squared error", "mean((X @ w - y) ** 2)", "w", "X: m n, w: n, y: m",
                 "2 * X.T @ (X @ w - y) / m", f"{GOODFELLOW}, section 5.1.4"),
        Identity("Gaussian likelihood, mean", "-(logdet(S) + (x - m) @ inv(S) @ (x - m)) / 2", "m",
                 "S: n n positive definite, x: n, m: n", "inv(S) @ (x - m)",
                 f"{BISHOP}, section 2.3.4"),
        Identity("Gaussian likelihood, covariance", "-(logdet(S) + (x - m) @ inv(S) @ (x - m)) / 2",
                 "S", "S: n n positive definite, x: n, m: n",
                 "(inv(S) @ outer(x - m, x - m) @ inv(S) - inv(S)) / 2",
                 f"{BISHOP}, section 2.3.4"),
        Identity("Gaussian likelihood, precision", "(logdet(P) - tr(P @ C)) / 2", "P",
                 "P: n n positive definite, C: n n symmetric", "(inv(P) - C) / 2",
                 f"{MAGNUS}, chapter 15"),
        Identity("Wishart density", "c * logdet(X) - tr(inv(S) @ X) / 2", "X",
                 "X: n n positive definite, S: n n positive definite, c:",
                 "c * inv(X) - inv(S) / 2", f"{ANDERSON}, chapter 7"),
    ],
}

IDENTITIES = [identity for family in FAMILIES.values() for identity in family]
