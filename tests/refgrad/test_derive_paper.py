"""Text means what paper means, and formulas are as short as on paper."""

import re

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.derive import derive
from refgrad.derive.__main__ import main
from refgrad.derive.expression import parse

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
SHORT = [
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
     "exp(-(x - y)' (x - y) / (2 s^2))/s^2 (y - x)")]


@pytest.mark.parametrize("program, wrt, shapes, says", SHORT, ids=[says for *_, says in SHORT])
def test_formulas_are_as_short_as_on_paper(program, wrt, shapes, says):
    d = derive(program, wrt, **shapes)
    assert str(d.gradient) == says and d.unconfirmed is None


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
