"""Derivations: the formulas are those of the textbooks, right, and the same whatever way leads to
them."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.derive import NoFormula, SizeMismatch, derive
from refgrad.primitive import TABLE

MATRICES = {"X": ("m", "n"), "W": ("n", "k"), "Y": ("m", "k"), "A": ("n", "n"), "B": ("n", "n"),
            "S": ("n", "n", "symmetric"),
            "P": ("m", "k", "probabilities"), "D": ("n", "n", "diagonal"),
            "x": ("n",), "y": ("n",), "b": ("k",), "c": (), "p": ("n", "positive")}


def of(program, wrt):
    """Derive a program whose arguments are named as in MATRICES."""
    names = program.__code__.co_varnames[:program.__code__.co_argcount]
    return derive(program, wrt, **{name: MATRICES[name] for name in names})


TEXTBOOK = [
    (lambda X, W, Y: 0.5 * np.linalg.norm(X @ W - Y) ** 2, "W", "X' (X W - Y)"),
    (lambda X, W, Y: 0.5 * np.sum((X @ W - Y) ** 2), "X", "(X W - Y) W'"),
    (lambda x, A: x @ A @ x, "x", "(A + A') x"),
    (lambda x, S: x @ S @ x, "x", "2 S x"),
    (lambda x, A: x @ A @ x, "A", "x x'"),
    (lambda A, B: np.trace(A.T @ B), "B", "A"),
    (lambda A, B: np.trace(A @ B), "B", "A'"),
    (lambda A, B: np.trace(np.linalg.inv(A) @ B), "A", "-A^-T B' A^-T"),
    (lambda A: np.linalg.slogdet(A)[1], "A", "A^-T"),
    (lambda A: np.linalg.det(A), "A", "det(A) A^-T"),
    (lambda x, S: x @ S @ x / (x @ x), "x", "2/(x' x) (S x - (x' S x)/(x' x) x)"),
    (lambda X, W, b, P: nn.cross_entropy(X @ W + b, P), "W", "1/m X' (softmax(X W + 1 b') - P)"),
    (lambda x, y: np.linalg.norm(x - y), "x", "(x - y) / |x - y|"),
    (lambda p: -np.sum(p * np.log(p)), "p", "-log(p) - 1"),
    (lambda x: np.var(x), "x", "2/n (x - sum(x) / n)"),
    (lambda A, B: np.trace(np.kron(A, B)), "A", "tr(B) I"),
    (lambda A, B: np.sum(A * B * B), "B", "2 (A . B)"),
    (lambda x, A: np.trace(A @ np.diag(x)), "x", "diag(A)"),
    (lambda A, D: np.trace(A @ D), "D", "diag(diag(A))"),
    (lambda A, S: np.trace(A @ S), "S", "1/2 (A + A')"),
    (lambda x, y, c: c * (x @ y), "c", "x' y"),
    (lambda A: np.sum(nn.relu(A)), "A", "[A > 0]"),
]


@pytest.mark.parametrize("program, wrt, gradient", TEXTBOOK, ids=[g for _, _, g in TEXTBOOK])
def test_the_gradient_reads_as_in_a_textbook_and_is_right(program, wrt, gradient):
    d = of(program, wrt)
    assert str(d.gradient) == gradient
    assert d.verify().ok and d.fallback is None
    assert set(d.proof().values()) == {True}


EQUAL = [
    (lambda A, B: (A + B) @ A, lambda A, B: A @ A + B @ A),
    (lambda A, B: (A @ B).T, lambda A, B: B.T @ A.T),
    (lambda A, B: A.T.T - B + A - A, lambda A, B: A - B),
    (lambda A, B: np.linalg.inv(A) @ A @ B, lambda A, B: B),
    (lambda A, B: np.linalg.inv(A.T).T, lambda A, B: np.linalg.inv(A)),
    (lambda A, B: A * B, lambda A, B: B * A),
    (lambda A, B: np.einsum("ij,jk->ik", A, B), lambda A, B: A @ B),
    (lambda A, B: np.sum(A[:, :, None] * B[None], axis=1), lambda A, B: A @ B),
    (lambda A, B: np.diag(np.diagonal(A)) @ B, lambda A, B: np.diagonal(A)[:, None] * B),
    (lambda A, B: np.trace(A @ B) * A, lambda A, B: np.sum(B.T * A) * A),
    (lambda A, B: np.exp(np.log(A)) + 2 * (B / 2), lambda A, B: A + B),
    (lambda A, B: np.sqrt(A) ** 2 - (A - B) * (A + B) / (A + B), lambda A, B: B),
    (lambda A, B: nn.softmax(A, -1) + B, lambda A, B: np.exp(nn.log_softmax(A, -1)) + B),
    (lambda A, B: np.reshape(np.reshape(A, -1), A.shape) + B[::-1][::-1], lambda A, B: B + A),
]


@pytest.mark.parametrize("first, second", EQUAL)
def test_equal_programs_have_equal_formulas(first, second):
    for wrt in ("A", "B"):
        assert str(of(first, wrt).gradient) == str(of(second, wrt).gradient)
    assert str(of(first, "A").value_formula) == str(of(second, "A").value_formula)


def network(X, W, b, B, P):
    hidden = np.tanh(X @ B + 1)
    return nn.cross_entropy(nn.linear(hidden, W.T, b), P)


def test_a_network_is_derived_layer_by_layer():
    d = of(network, ("W", "b", "B"))
    Z2 = "tanh(X B + 1) W + 1 b'"
    assert [str(g) for g in d.gradients.values()] == [
        f"1/m tanh(X B + 1)' (softmax({Z2}) - P)", f"1/m (softmax({Z2}) - P)' 1",
        f"1/m X' ((softmax({Z2}) - P) W' . (1 - tanh(X B + 1).^2))"]
    text = d.text()
    assert "<G_Z2, A dW> = tr(G_Z2' A dW) = <A' G_Z2, dW>" in text
    assert set(d.proof().values()) == {True} and d.verify().ok


@pytest.mark.parametrize("layer", [
    lambda X, w, b: nn.batch_norm(X, None, None, w, b, training=True),
    lambda X, w, b: nn.layer_norm(X, X.shape[-1], w, b)], ids=["batch_norm", "layer_norm"])
def test_norm_layers_have_their_three_terms(layer):
    d = derive(layer, X=("m", "n"), w=("n",), b=("n",))
    assert str(d.gradients["X"]).count("G") == 3
    assert set(d.proof().values()) == {True} and d.verify().ok


def test_a_turned_sign_in_a_rule_is_noticed(monkeypatch):
    rule = TABLE[np.linalg.inv]
    monkeypatch.setattr(rule, "vjp", rule.named((lambda G, Y: Y.T @ G @ Y.T,)))
    d = of(lambda A, B: np.trace(np.linalg.inv(A) @ B), "A")
    assert False in d.proof().values()


def test_the_source_is_a_program_of_the_same_arguments():
    d = of(lambda X, W, Y: 0.5 * np.sum((X @ W - Y) ** 2), ("X", "W"))
    rng = np.random.default_rng(0)
    X, W, Y = (rng.standard_normal(s) for s in ((4, 3), (3, 2), (4, 2)))
    found = d.numpy()(X, W, Y)
    expected = rg.grad(lambda p: 0.5 * np.sum((p["X"] @ p["W"] - Y) ** 2))({"X": X, "W": W})
    for name in ("X", "W"):
        np.testing.assert_allclose(found[name], expected[name])
    assert "X.T @ (X @ W - Y)" in d.source


HESSIANS = [
    (lambda x, A: x @ A @ x, "A + A'"), (lambda x: np.sum(np.exp(x)), "diag(exp(x))"),
    (lambda x: x @ x, "2 I"), (lambda x: np.linalg.norm(x), "I / |x| - 1/|x|^3 x x'"),
    (lambda x, A: np.linalg.norm(A @ x) ** 2 / 2, "A' A")]


@pytest.mark.parametrize("program, second", HESSIANS, ids=[h for _, h in HESSIANS])
def test_the_hessian_of_a_vector_is_a_matrix(program, second):
    assert str(of(program, "x").hessian) == second


def test_second_derivatives_by_a_matrix_are_a_map():
    d = of(lambda X, W: np.sum((X @ W) ** 2), "W")
    assert str(d.hessian) == "2 X' X dW"


def test_an_array_has_a_vjp_and_a_differential():
    d = of(lambda A, B: A @ B, ("A", "B"))
    assert str(d.gradients["A"]) == "G B'" and str(d.differential) == "A dB + dA B"
    assert (str(of(lambda x: nn.softmax(x, -1), "x").jacobian)
            == "diag(softmax(x)) - softmax(x) softmax(x)'")


def test_given_arrays_of_two_lengths_have_two_names():
    d = derive(lambda a: np.poly(a), "a", a=(2,))
    assert str(d.gradient) == "(e3' g) ((a' e2) e1 + (a' e1) e2) - (e2_2' g) (e1 + e2)"
    assert d.verify().ok
    assert {"e2 = [0, 1]", "e2_2 = [0, 1, 0]"} <= set(d.notes)


def test_the_exponent_of_a_number_is_a_function_of_entries():
    d = derive(lambda x: np.sum(np.frexp(x)[0]), "x", x=("n",))
    assert "exponent(x)" in str(d.gradient) and "np.frexp(x)[1]" in d.source and d.verify().ok


def test_what_has_no_matrix_form_says_so():
    d = of(lambda x, y: np.prod(x) * (x @ y), "x")
    assert "vjp of np.prod" in d.fallback and "np.prod" in d.text() and d.verify().ok
    batched = derive(lambda T, W: np.sum(np.tanh(T @ W)), "T", T=("b", "m", "n"), W=("n", "k"))
    assert "index notation" in batched.fallback and batched.verify().ok
    with pytest.raises(NoFormula):
        of(lambda x: np.sum(np.sort(x)), "x")


def test_chosen_entries_are_noted():
    d = of(lambda x: np.sum(x[::2] ** 2), "x")
    assert any("n = 5" in note for note in d.notes) and d.verify().ok


@pytest.mark.parametrize("arguments, error, says", [
    (dict(wrt="Z", x=("n",), A=("n", "n")), ValueError, "wrt='Z'"),
    (dict(x=("n",)), TypeError, "no shape was given for A"),
    (dict(x=("n",), A=("n", "n"), C=(3,)), TypeError, "C is none of them"),
    (dict(x=("m",), A=("n", "n")), SizeMismatch, "size"),
    (dict(x=("n",), A=("n", "m", "symmetric")), ValueError, "expected a square matrix"),
    (dict(x=("n",), A=("n", 0)), ValueError, "expected a size"),
])
def test_errors_name_what_is_wrong(arguments, error, says):
    with pytest.raises(error, match=says):
        derive(lambda x, A: x @ A @ x, **arguments)


def test_a_program_is_derived_the_same_each_time():
    assert of(network, "W").text() == of(network, "W").text()
