"""Text means what paper means, and formulas are as short as on paper."""

import re
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.derive import derive
from refgrad.derive.__main__ import main
from refgrad.derive.expression import parse
from refgrad.derive.index import Factor, Group, Index, Leaf, Sum, Term

RNG = np.random.default_rng(0)
A, B, S = RNG.standard_normal((3, 4, 4))
X, w, x, y, z = RNG.standard_normal((3, 4)), *RNG.standard_normal((4, 4))
ARRAYS = {"A": A, "B": B, "S": S + S.T, "X": X, "w": w, "x": x, "y": y, "z": z, "a": 0.5}

READ = [
    ("x @ x'", lambda x: np.outer(x, x)), ("x' @ x", lambda x: x @ x),
    ("x'' @ x'", lambda x: np.outer(x, x)),
    ("x' @ A @ y", lambda x, A, y: x @ A @ y), ("x.T @ A", lambda x, A: x @ A),
    ("(x' @ A)'", lambda x, A: x @ A),
    ("norm(S - x @ x')**2", lambda S, x: np.sum((S - np.outer(x, x)) ** 2)),
    ("tr(w @ w' @ A) + x' @ w @ w' @ x", lambda w, A, x: w @ A @ w + (x @ w) ** 2),
    ("exp(x')**2 @ y", lambda x, y: np.exp(x) ** 2 @ y),
    ("sum(x' / 2) + norm(x')", lambda x: np.sum(x) / 2 + np.linalg.norm(x)),
    ("(2*x' - y') @ A @ z", lambda x, y, A, z: (2 * x - y) @ A @ z),
    ("a*x' @ y", lambda a, x, y: a * (x @ y)),
    ("-x' @ y + (x' @ y) * 3", lambda x, y: 2 * (x @ y)),
    ("softmax(x') @ y", lambda x, y: nn.softmax(x, -1) @ y),
    ("where(x' > 0, x', 0) @ y", lambda x, y: np.maximum(x, 0) @ y),
    ("x @ y' @ z", lambda x, y, z: x * (y @ z)),
    ("transpose(x) @ y + tr(transpose(A) @ B)", lambda x, y, A, B: x @ y + np.sum(A * B)),
    ("softplus(x)", lambda x: np.log(1 + np.exp(x)))]


@pytest.mark.parametrize("text, program", READ, ids=[text for text, _ in READ])
def test_a_vector_is_a_column_and_its_transpose_a_row(text, program):
    expression = parse(text)
    values = [ARRAYS[name] for name in expression.names]
    np.testing.assert_allclose(expression(*values), program(*values), rtol=1e-14)
    if np.ndim(program(*values)) == 0:
        inputs, places = [np.asarray(v, float) for v in values], tuple(range(len(values)))
        both = (rg.grad(f, places)(*inputs) for f in (expression, program))
        for ours, theirs in zip(*both):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("text, says", [
    ("x'*A*x", "@ for a product of matrices"), ("tr(X'*A*X)", "X' stands beside X"),
    ("x' * A", "a matrix and a row"),
    ("b + c'", "a row and a column"), ("norm(A - b - c')**2", r"x\[:, None\] beside each column"),
    ("A @ x'", "a matrix times a row"), ("x' @ y'", "a row times a row"),
    ("x'[0]", "a subscript of a row"),
    ("outer(x', y)", "outer of a row"), ("sum(x', axis=0)", "sum of a row"),
    ("kron(x', y)", "kron of a row"),
    ("x^T @ A @ x", "x' or x.T of a vector"), ("X^-1 @ b", r"inv\(X\)"),
    ("X^{-T} @ b", r"inv\(X\)'"), ("X^2", r"\*\* for a power"),
    ("tr(expm(X))", "the function of a matrix"), ("tr(sqrtm(X @ X'))", "entry by entry")])
def test_what_has_two_readings_or_none_is_refused(text, says, capsys):
    assert main([text]) == 2
    message = capsys.readouterr().err
    assert re.search(says, message) and "^" in message.split("\n")[2]


@pytest.mark.parametrize("text, note", [
    ("norm(A*x - y)**2",
     "A * x is entry by entry, the vector beside each row of the matrix; the product of matrices "
     "is written A @ x"),
    ("sum(A' * B)", "A' * B is entry by entry; the product of matrices is written A' @ B"),
    ("sum((y - X @ w)**2)/n", "n is taken for a vector; for a number write --shape n=scalar")])
def test_what_may_be_meant_otherwise_is_said(text, note, capsys):
    for form in ([], ["--no-steps"], ["--numpy"], ["--latex"]):
        main([text, *form])
        assert note.split("'")[-1] in capsys.readouterr().out


def test_products_that_are_meant_entry_by_entry_have_no_note(capsys):
    main(["sum(A * B) + sum(x * y) + a*tr(A)", "--shape", "a=", "--no-steps"])
    assert "Note" not in capsys.readouterr().out


def test_i_is_the_identity(capsys):
    assert main(["tr((I - K @ H) @ P @ (I - K @ H)')", "--wrt", "K", "--no-steps"]) == 0
    assert capsys.readouterr().out.strip() in ("dL/dK = (K H - I) (P + P') H'",
                                               "dL/dK = (K H (P + P') - P - P') H'")
    assert main(["logdet(I + x @ x')", "--wrt", "x", "--numpy"]) == 0
    space = {}
    exec(capsys.readouterr().out, space)
    np.testing.assert_allclose(space["gradient"](x), 2 * x / (1 + x @ x))
    assert main(["tr(I @ A)", "--wrt", "I",
                 "--no-steps"]) == 0 and "dL/dI = A'" in capsys.readouterr().out
    assert main(["tr(I)"]) == 2 and "I is the identity" in capsys.readouterr().err
    assert main(["tr(A @ kron(X, I))", "--wrt", "X", "--shape", "A=6,6", "--shape", "X=2,2",
                 "--shape", "I=3,3"]) == 0


def test_a_misspelt_property_is_refused(capsys):
    assert main(["x' @ A @ x", "--shape", "A=symetric"]) == 2
    assert "did you mean 'symmetric'" in capsys.readouterr().err


def test_the_jacobian_is_shown(capsys):
    assert main(["(A @ x) * b", "--wrt", "x", "--no-steps"]) == 0
    assert "dy = diag(b) A dx" in capsys.readouterr().out


def test_latex_stands_in_text_and_in_mathematics():
    written = derive(lambda x_1, A: np.sum(np.tanh(A @ x_1)[1:]), "x_1", x_1=("n",),
                     A=("m", "n")).latex()
    assert written.startswith(r"\ensuremath{\begin{aligned}")
    assert written.endswith("\\end{aligned}}")
    assert "\n\n" not in written and not re.search(r"\\text\{[^}]*(?<!\\)[_&%#]", written)
    assert written.count("{") == written.count("}")


# Texts

n, m, k = "nmk"
LOGISTIC = dict(w=(n,), X=(m, n), y=(m,))
SOFTMAX = dict(W=(n, k), X=(m, n), Y=(m, k, "probabilities"))


def stable(Z, axis=1):
    E = np.exp(Z - np.max(Z, axis=axis, keepdims=True))
    return E / np.sum(E, axis=axis, keepdims=True)


def log_sum_exp(Z):
    largest = np.max(Z, axis=1, keepdims=True)
    return largest + np.log(np.sum(np.exp(Z - largest), axis=1, keepdims=True))


inv = np.linalg.inv


def m_log_det(S, X):
    return len(X) * np.linalg.slogdet(S)[1]


SHORT = [
    (lambda W, X, Y: -np.sum(Y * np.log(stable(X @ W))), "W", SOFTMAX, "X' (softmax(X W) - Y)"),
    (lambda W, X, Y: np.sum(log_sum_exp(X @ W)) - np.sum(Y * (X @ W)), "W", SOFTMAX,
     "X' (softmax(X W) - Y)"),
    (lambda w, X, y: np.sum(np.log(1 + np.exp(X @ w)) - y * (X @ w)), "w", LOGISTIC,
     "X' (sigma(X w) - y)"),
    (lambda w, X, y: np.sum(np.log(1 + np.exp(-y * (X @ w)))), "w", LOGISTIC,
     "-X' (sigma(-X w . y) . y)"),
    (lambda w, X, y: np.sum((1 / (1 + np.exp(-X @ w)) - y) ** 2) / 2, "w", LOGISTIC,
     "X' (sigma(X w) . (1 - sigma(X w)) . (sigma(X w) - y))"),
    (lambda x: np.sum((np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))), "x", dict(x=(n,)),
     "1 - tanh(x)^2"),
    (lambda X, A: np.sum(np.sinh(A @ X) / np.cosh(A @ X)), "X", dict(A=(k, m), X=(m, n)),
     "A' (1 - tanh(A X).^2)"),
    (lambda X, W, V: np.sum((X @ W) * nn.sigmoid(X @ V)), "V",
     dict(X=(m, n), W=(n, k), V=(n, k)), "X' (sigma(X V) . (1 - sigma(X V)) . X W)"),
    (lambda A, x, y: np.linalg.norm(A - np.outer(x, y)), "x", dict(A=(m, n), x=(m,), y=(n,)),
     "1/|A - x y'| (x y' - A) y"),
    (lambda X, mu, S: np.trace((X - mu) @ np.linalg.inv(S) @ (X - mu).T) / 2, "mu",
     dict(X=(m, n), mu=(n,), S=(n, n, "positive definite")), "S^-1 (1 mu' - X)' 1"),
    (lambda M, R, U, V: np.sum((M * (R - U @ V.T)) ** 2) / 2, "V",
     dict(M=(m, n), R=(m, n), U=(m, k), V=(n, k)), "((U V' - R) . M.^2)' U"),
    (lambda x: np.sum(np.diff(x) ** 2), "x", dict(x=(n,)), "2 D' D x"),
    (lambda x, D: np.sum((x[1:] - x[:-1]) ** 2) + np.trace(D), "x", dict(x=(n,), D=(m, m)),
     "2 D_2' D_2 x"),
    (lambda w, X, y: np.sum(np.maximum(0, 1 - y * (X @ w)) ** 2), "w", LOGISTIC,
     "-2 X' (max(0, 1 - X w . y) . y)"),
    (lambda w, X, y: nn.binary_cross_entropy_with_logits(X @ w, y, reduction="sum"), "w", LOGISTIC,
     "X' (sigma(X w) - y)"),
    (lambda w, X, y: -np.sum(y * np.log(nn.sigmoid(X @ w))
                             + (1 - y) * np.log(1 - nn.sigmoid(X @ w))),
     "w", LOGISTIC, "X' (sigma(X w) - y)"),
    (lambda w, X, y: -np.sum(y * np.log(1 / (1 + np.exp(-X @ w)))
                             + (1 - y) * np.log(1 - 1 / (1 + np.exp(-X @ w)))),
     "w", LOGISTIC, "X' (sigma(X w) - y)"),
    (lambda W, X, Y: -np.sum(Y * np.log(
        np.exp(X @ W) / np.sum(np.exp(X @ W), axis=1, keepdims=True))),
     "W", dict(W=(n, k), X=(m, n), Y=(m, k, "probabilities")), "X' (softmax(X W) - Y)"),
    (lambda w, X, y: np.sum(np.logaddexp(0, -y * (X @ w))), "w", LOGISTIC,
     "-X' (sigma(-X w . y) . y)"),
    (lambda X, A: np.sum(np.log(np.cosh(A @ X))), "X", dict(A=(k, m), X=(m, n)), "A' tanh(A X)"),
    (lambda X: np.sum(np.tril(X) ** 2), "X", dict(X=(4, 4)), "2 (X . Lower)"),
    (lambda a, X, b: a @ np.linalg.inv(X) @ b, "X", dict(a=(n,), X=(n, n, "symmetric"), b=(n,)),
     "-1/2 (X^-1 a b' X^-1 + X^-1 b a' X^-1)"),
    (lambda x: 1 / np.mean(1 / x), "x", dict(x=(n,)), "n/sum(1 / x)^2 (1 / x^2)"),
    (lambda x: np.sum(x / (1 + x)), "x", dict(x=(n,)), "1 / (x + 1)^2"),
    (lambda x, A: x @ x, "A", dict(x=(n,), A=(n, n)), "0"),
    (lambda T: 3.0, "T", dict(T=(n, m, k)), "0"),
    (lambda A, B, t: np.trace(np.linalg.inv(A + t * B)), "t", dict(A=(n, n), B=(n, n), t=()),
     "-tr((A + t B)^-2 B)"),
    (lambda x, y, s: np.exp(-np.sum((x - y) ** 2) / (2 * s ** 2)), ("x", "s"),
     dict(x=(n,), y=(n,), s=()),
     "exp(-(x - y)' (x - y) / (2 s^2))/s^2 (y - x)"),
    (lambda S, X, mu: m_log_det(S, X) + np.trace((X - mu) @ np.linalg.inv(S) @ (X - mu).T), "S",
     dict(X=(m, n), mu=(n,), S=(n, n, "positive definite")),
     "m S^-1 - S^-1 (X - 1 mu')' (X - 1 mu') S^-1"),
    (lambda s, K, y: y @ inv(K + s * np.eye(len(y))) @ y + m_log_det(K + s * np.eye(len(y)), y[:1]),
     "s", dict(s=(), K=(n, n, "symmetric"), y=(n,)), "tr((K + s I)^-1) - y' (K + s I)^-2 y"),
    (lambda A, B: np.sum((A @ B - B @ A) ** 2) / 2, "A", dict(A=(n, n), B=(n, n)),
     "(A B - B A) B' - B' (A B - B A)"),
    (lambda A: np.trace(A @ A @ A), "A", dict(A=(n, n)), "3 (A^2)'"),
    (lambda X: m_log_det((X - np.mean(X, axis=0)).T @ (X - np.mean(X, axis=0)), X[:1]), "X",
     dict(X=(m, n)), "2 (X - 1/m 1 1' X) (X' (X - 1/m 1 1' X))^-1"),
    (lambda X, D: np.sum((np.sum((X[:, None] - X[None]) ** 2, axis=2) - D) ** 2), "X",
     dict(X=(m, n), D=(m, m, "symmetric")),
     "8 (diag(R 1) - R) X where R = 1 1' (X.^2)' + X.^2 1 1' - 2 X X' - D"),
    (lambda z: -np.sum(stable(z, 0) * np.log(stable(z, 0))), "z", dict(z=(n,)),
     "softmax(z) . (log(softmax(z))' softmax(z) - log(softmax(z)))"),
    (lambda w, b, X, y: np.sum(np.maximum(0, 1 - y * (X @ w + b))), "b", dict(LOGISTIC, b=()),
     "-[1 - y . (X w + b) >= 0]' y")]


@pytest.mark.parametrize("program, wrt, shapes, says", SHORT, ids=[says for *_, says in SHORT])
def test_formulas_are_as_short_as_on_paper(program, wrt, shapes, says):
    d = derive(program, wrt, **shapes)
    assert str(d.gradient) == says and d.unconfirmed is None


def test_steps_tell_of_what_varies_and_of_no_maximum_that_cancels():
    text = derive(lambda x: np.max(x) + np.log(np.sum(np.exp(x - np.max(x)))), x=(n,)).text()
    assert "max(" not in text.replace("softmax(", "") and "s = sum(exp(x))" in text
    assert "log(x) dp" not in derive(lambda x: np.sum(x ** 3), x=(n,)).text()


def test_a_column_does_not_have_the_name_of_a_vector():
    f = parse("sum(outer(softmax(softmax(x)), 3 * a))")
    assert derive(f, "x", x=(n,), a=(k,)).unconfirmed is None


def test_a_sum_within_a_sum_is_not_a_diagonal():
    def summed(diagonal):
        i, k = Index(5), Index(5)
        A = Factor(Leaf("A", (5, 5)), ((i,), (i if diagonal else k,)), Fraction(1))
        u = [Factor(Leaf("u", (5,)), ((j,),), Fraction(1)) for j in (i if diagonal else k, i)]
        inside = Sum((Term(Fraction(1), (A, u[0])),), frozenset({i}))
        group = Factor(Group(inside), (), Fraction(3, 2))
        return Sum((Term(Fraction(1), (group, u[1])),), frozenset())
    assert summed(True).key({}) != summed(False).key({})


def test_a_number_in_a_matrix_is_a_matrix_of_ones():
    assert str(derive(lambda x: np.var(x), x=(n,)).hessian) == "2/n (I - 1/n 1 1')"


RATIONAL = ["x / (1 + x)", "1 - 1 / (1 + x**2)", "(x**2 - 1) / (x + 1)",
            "x**3 / (x + y)**2 + x / (x + y)",
            "exp(x) / (1 + exp(x))", "1 / (1 + exp(-x)) - exp(x) / (1 + exp(x))",
            "sin(x) / cos(x) + sinh(x) / cosh(x)",
            "sigmoid(x) * (1 - sigmoid(x)) + sigmoid(-x)", "exp(x) / sum(exp(x)) * y",
            "exp(2*x) / sum(exp(x))**2",
            "exp(A) / sum(exp(A), axis=0)", "exp(y - log(exp(x) + exp(y)))",
            "x / (y * (1 + x)) - 1 / y"]


@pytest.mark.parametrize("text", RATIONAL)
def test_what_is_made_shorter_stays_the_same(text):
    f = parse(f"sum(tanh({text}))")
    shapes = {name: (n, n) if name.isupper() else (n,) for name in f.names}
    d = derive(f, **shapes)  # which compares gradients and differentials
    assert d.unconfirmed is None
    if len(f.names) == 1:
        assert derive(f, f.names[0], **shapes).hessian is not None


@pytest.mark.parametrize("program, wrt, shapes, says", [
    (lambda w, X, y: -np.sum(y * np.log(1 / (1 + np.exp(-X @ w)))
                             + (1 - y) * np.log(1 - 1 / (1 + np.exp(-X @ w)))),
     "w", LOGISTIC, "X' diag(sigma(X w) . (1 - sigma(X w))) X"),
    (lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x), "x", dict(x=(n,)),
     "diag(softmax(x)) - softmax(x) softmax(x)'"),
    (lambda w, b, X, y: -np.mean(y * np.log(nn.sigmoid(X @ w + b))
                                + (1 - y) * np.log(1 - nn.sigmoid(X @ w + b))),
     "w", dict(LOGISTIC, b=()), "1/m X' diag(sigma(X w + b) . (1 - sigma(X w + b))) X"),
    (lambda w, X, y: np.sum(np.sqrt(1 + (X @ w - y) ** 2)), "w", LOGISTIC,
     "X' diag(1 / ((X w - y)^2 + 1)^(3/2)) X"),
    (lambda b, x: np.sum(np.log(1 + np.exp(b * x))), "b", dict(b=(), x=(n,)),
     "sum(sigma(b x) . (1 - sigma(b x)) . x^2)"),
    (lambda x: np.sum((x[1:] - x[:-1]) ** 2), "x", dict(x=(n,)), "2 D' D")])
def test_second_derivatives_are_as_short_as_on_paper(program, wrt, shapes, says):
    assert str(derive(program, wrt, **shapes).hessian) == says


@pytest.mark.parametrize("program, kinks", [
    (lambda x: np.linalg.norm(x) ** 2, False), (lambda x: np.linalg.norm(x), True),
    (lambda x: np.sum(np.abs(x)), True), (lambda x: np.sum(nn.relu(x) ** 2), False),
    (lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x), False)])
def test_kinks_are_noted_where_the_gradient_has_one(program, kinks):
    assert any("kink" in note for note in derive(program, x=(n,)).notes) == kinks


def test_slices_hold_for_every_size():
    d = derive(lambda x: np.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 2), x=(n,))
    assert not d.fixed and "n >= 2" in d.notes[0]
    x = RNG.standard_normal(9)
    second = np.diff(np.eye(9), 2, axis=0)
    np.testing.assert_allclose(d.numpy()(x), 2 * second.T @ second @ x)


LONG = derive(lambda W, V, X, Y: np.sum((np.tanh(np.tanh(X @ W) @ V) @ V - Y) ** 2 * np.exp(X @ W)),
              X=(m, n), W=(n, n), V=(n, n), Y=(m, n))


def test_the_package_can_be_called():
    assert str(rg.derive(lambda x, A: x @ A @ x, "x", x=(n,), A=(n, n)).gradient) == "(A + A') x"


def test_every_name_that_is_shown_is_defined():
    shown = repr(LONG), LONG._repr_latex_(), LONG._repr_html_(), str(LONG.gradient)
    for text, equals in zip(shown, (" = ", " &= ", "<mo>=</mo>", " = ")):
        for name in ("A1", "R"):
            written = {" &= ": {"A1": "A_{1}"}, "<mo>=</mo>": {
                "A1": "<msub><mi>A</mi><mn>1</mn></msub>", "R": "<mi>R</mi>"}}.get(equals, {})
            assert written.get(name, name) + equals in text
    for words in ("because", "product rule: d(A B) = dA B + A dB", "3. From dA3 back"):
        assert words in LONG._repr_html_() and words in LONG.latex()


#: The commands that amsmath and LaTeX know, of those that formulas use.
MACROS = {*"""ensuremath begin end text quad displaystyle mathrm mathbf mathit operatorname frac
    tfrac
    sqrt sum left right langle rangle lvert rvert odot oslash otimes top le ge ne hat exp log sin
    cos
    tan tanh sinh cosh det max min alpha beta gamma sigma lambda mu pi theta""".split()}


@pytest.mark.parametrize("d", [LONG, *(derive(program, wrt, **shapes)
                                       for program, wrt, shapes, _ in SHORT[:6])],
                         ids=lambda d: str(d.gradient)[:20])
def test_latex_compiles_as_it_stands(d, tmp_path):
    for body in (d.latex(), d._repr_latex_().strip("$").join(["$"] * 2)):
        if shutil.which("pdflatex"):
            (tmp_path / "shown.tex").write_text(
                "\\documentclass{article}\\usepackage{amsmath}\\begin{document}" + body
                + "\\end{document}")
            done = subprocess.run(["pdflatex",
                                   "-interaction=nonstopmode", "-halt-on-error", "shown.tex"],
                                  cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout[-2000:]
        bare = re.sub(r"\\[_&%#${}\\]", "", body)
        assert body.isascii() and bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
        assert set(re.findall(r"\\([A-Za-z]+)", bare)) <= MACROS
