"""Expressions as text: what they compute, where a mistake is shown, and which shapes they need."""

import functools
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad as rg
from refgrad import nn
from refgrad.derive import trial
from refgrad.derive.arguments import size_at
from refgrad.derive.expression import FUNCTIONS, parse
from refgrad.derive.tokens import ExpressionError
from refgrad.derive.shapes import infer, shape_of
from refgrad.derive.symbol import PROPERTIES

RNG = np.random.default_rng(0)
A, B, X, Y = RNG.standard_normal((4, 3, 3))
x, y = RNG.standard_normal((2, 3))
ARRAYS = {"A": A, "B": B, "X": X, "Y": Y, "x": x, "y": y, "a": 0.5, "α": 2.0}

SAME = [
    ("tr(A.T @ X @ B @ X.T)", lambda A, X, B: np.trace(A.T @ X @ B @ X.T)),
    ("tr(A' @ X @ B @ X')", lambda A, X, B: np.trace(A.T @ X @ B @ X.T)),
    ("0.5*norm(X @ A - Y)**2", lambda X, A, Y: 0.5 * np.linalg.norm(X @ A - Y) ** 2),
    ("log(1 + exp(-y * (X @ x)))", lambda y, X, x: np.log(1 + np.exp(-y * (X @ x)))),
    ("cross_entropy(X @ A + y, Y)", lambda X, A, y, Y: nn.cross_entropy(X @ A + y, Y)),
    ("softmax(X)", lambda X: nn.softmax(X, dim=-1)),
    ("softmax(X, dim=0)", lambda X: nn.softmax(X, dim=0)),
    ("log_softmax(X', -2)", lambda X: nn.log_softmax(X.T, dim=-2)),
    ("layer_norm(X)", lambda X: nn.layer_norm(X, (3,))),
    ("layer_norm(X, (3,), x, y)", lambda X, x, y: nn.layer_norm(X, (3,), x, y)),
    ("batch_norm(X, None, None, x, y, training=True)",
     lambda X, x, y: nn.batch_norm(X, None, None, x, y, training=True)),
    ("mse_loss(X, Y, reduction='sum')", lambda X, Y: np.sum((X - Y) ** 2)),
    ('norm(X, "fro", (0, 1))', lambda X: np.linalg.norm(X, "fro", (0, 1))),
    ("logdet(A @ A') + vec(X) @ vec(Y)",
     lambda A, X, Y: np.linalg.slogdet(A @ A.T)[1] + X.ravel() @ Y.ravel()),
    ("where(X > 0, X, -a)", lambda X, a: np.where(X > 0, X, -a)),
    ("X[0] + X[:, -1] - X[None, 1:, 2][0, 0]", lambda X: X[0] + X[:, -1] - X[1, 2]),
    ("(X + Y)'[0] / 2e-1 + +x", lambda X, Y, x: (X + Y).T[0] / 0.2 + x),
    ("erf(x)*pi", lambda x: rg.erf(x) * np.pi),
    ("solve(A, y) + inv(B)@x", lambda A, y, B, x: np.linalg.solve(A, y) + np.linalg.inv(B) @ x),
    ("sum(X,\n    axis=0) ** α", lambda X, α: np.sum(X, axis=0) ** α),
]


@pytest.mark.parametrize("text, program", SAME, ids=[text for text, _ in SAME])
def test_an_expression_is_the_program_that_it_says(text, program):
    expression = parse(text)
    values = [ARRAYS[name] for name in expression.names]
    np.testing.assert_array_equal(expression(*values), program(*values))
    np.testing.assert_array_equal(expression(**dict(zip(expression.names, values))),
                                  program(*values))


def test_the_signature_has_the_names_in_order():
    expression = parse("y @ X @ x + tr(A) * x @ y")
    assert expression.names == ("y", "X", "x", "A")
    assert tuple(inspect.signature(expression).parameters) == expression.names
    with pytest.raises(TypeError, match="'A'"):
        expression(y, X, x)


def test_it_runs_on_traced_arrays():
    expression = parse("0.5*norm(X @ A - Y)**2")
    np.testing.assert_allclose(rg.grad(expression, 1)(X, A, Y), X.T @ (X @ A - Y), rtol=1e-13)


def test_all_of_refgrad_nn_is_known():
    public = {name for name in dir(nn) if inspect.isfunction(getattr(nn, name))}
    assert {"softmax", "cross_entropy", "gelu", "softplus"} <= public <= set(FUNCTIONS)
    for name in public:
        assert (inspect.signature(FUNCTIONS[name]).parameters.get("dim", inspect.Parameter).default
                is not None), name


# Random expressions

LEAVES = st.sampled_from(["A", "B", "X", "Y", "2", "0.25", "(x @ y)", "pi"])


def grown(smaller):
    binary = st.tuples(smaller, st.sampled_from(["+", "-", "*", " @ ", "  *"]),
                       smaller).map("".join)
    return st.one_of(binary.map("({})".format),
                     binary.map("tanh({})".format), smaller.map("-{}".format),
                     smaller.map("sum( {}, axis =0, keepdims=True)".format),
                     smaller.map("({} + X)'".format))


@settings(max_examples=60, deadline=None)
@given(st.recursive(LEAVES, grown, max_leaves=8))
def test_python_computes_the_same(text):
    space = {"tanh": np.tanh, "sum": np.sum, "pi": np.pi, **ARRAYS}
    try:
        expected = eval(text.replace("'", ".T"), space)
    except (ValueError, TypeError):
        expected = None
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert "no array" in error.message
        return
    values = [ARRAYS[name] for name in expression.names]
    if expected is None:
        with pytest.raises(ExpressionError), expression.pointing():
            expression(*values)
    else:
        np.testing.assert_array_equal(expression(*values), expected)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=12), st.lists(st.sampled_from(
    "A x 2 .5 + - * / @ ** ( ) [ ] , . : "
    "= ' \" sum( exp( .T lambda if _ ² α ^ < == None axis= \\ # \n".split(" ")),
    max_size=9).map("".join)))
def test_any_text_is_read_or_refused_at_a_character(text):
    try:
        parse(text)
    except ExpressionError as error:
        assert 0 <= error.column <= len(error.text)


# Mistakes: the caret stands in a line of its own under the text

WRONG = [
    ("", "", "empty"),
    ("A @ softmx(X)", "    ^", "no function softmx; did you mean softmax"),
    ("zzz(X)", "^", "Known are abs, .*arctan"),
    ("tr(A @", "  ^", "never closed"),
    ("A) @ B", " ^", "nothing is open"),
    ("(A]", "  ^", "nothing is open"),
    ("A @ @ B", "    ^", "operand is missing before this @"),
    ("A @", "   ^", "operand is missing at the end"),
    ("A B", "  ^", "operator is missing"),
    ("2X", " ^", "operator is missing"),
    ("X' (X @ W)", "   ^", "operator is missing"),
    ("X (X @ W)", "^", "X is an array and cannot be called"),
    ("(A)(B)", "   ^", "operator is missing"),
    ("X.T (A)", "    ^", "operator is missing"),
    ("A + lambda x: x", "    ^", "lambda is a word of Python's"),
    ("A if x else y", "  ^", "if is a word"),
    ("y = A", "  ^", "assignment"),
    ("(y := A)", "    ^", "operand is missing before this ="),
    ("A.I @ x", " ^", r"only \.T is; write inv"),
    ("X.mean()", " ^", r"write mean\(...\)"),
    ("A + np.sum(X)", "      ^", r"write sum\(...\)"),
    ("A + __import__('os')", "    ^", "starts with a letter"),
    ("A^2", " ^", r"\*\* for a power"),
    ("A²", " ^", r"write \*\*2"),
    ("Aᵀ @ x", " ^", r"' or \.T"),
    ("α % A", "  ^", "% has no meaning"),
    ("exp + exp(x)", "^", "exp is a function"),
    ("exp(x) + exp", "         ^", "exp is a function"),
    ("x + f(A) + f", "    ^", "f is an array and cannot be called"),
    ("A + exp(X, Y)", "    ^", "expected 1 argument"),
    ("A + norm()", "    ^", "missing a required argument"),
    ("norm(A, axes=0)", "^", "unexpected keyword argument 'axes'"),
    ("sum(A, axis=x)[0.5]", "               ^", "integer"),
    ("A[x]", "  ^", "integer"),
    ("0 < A < 1", "      ^", "one comparison"),
    ("sum([A, B])", "    ^", "a list cannot stand here"),
    ("A + (B, X)", "    ^", "a tuple cannot stand here"),
    ("A + 'word'", "    ^", "'word' cannot stand here"),
    ("sum(*A)", "    ^", r"operand is missing before this \*"),
    ("sum(A, axis=)", "            ^", "cannot be read"),
    ("sum(A,, 2)", "      ^", "cannot be read"),
    (r"norm(A, 'f\n')", "          ^", "has no meaning"),
    ("' @ A", "^", "prime stands behind"),
    ("2 + 3", "^", "no array"),
    ("A' + α' @ 3 .T", "            ^", "a number has no axes"),
    ("A''' @ (B' + foo(x'))'", "             ^", "no function foo"),
    ("  A\n  +\n\tfoo(x)", "       ^", "no function foo"),
    ("-" * 4000 + "x", "^", "nested"),
]


@pytest.mark.parametrize("text, caret, says", WRONG, ids=[text[:30] for text, *_ in WRONG])
def test_a_mistake_is_shown_where_it_is(text, caret, says):
    with pytest.raises(ExpressionError, match=says) as caught:
        parse(text)
    message, shown, under, *_ = str(caught.value).split("\n")
    assert len(shown.strip()) == len(text.strip()) and under == "    " + (caret or "^")


@pytest.mark.parametrize("text, caret", [
    ("A' @ (X + B[:, :2] @ y) * 3", "                   ^"), ("A + X'[7]", "      ^"),
    ("a + sum(X, axis=5)", "    ^"),
    ("A - (B) @ ((X)[:2])", "        ^"), ("inv(A) @ inv(x)", "         ^")])
def test_what_does_not_run_is_shown_where_it_is(text, caret):
    expression = parse(text)
    with pytest.raises(ExpressionError) as caught, expression.pointing():
        expression(*(ARRAYS[name] for name in expression.names))
    assert str(caught.value).split("\n")[-1] == "    " + caret


def test_errors_of_others_are_left_alone():
    with pytest.raises(ValueError) as caught, parse("x + y").pointing():
        raise ValueError("elsewhere")
    assert type(caught.value) is ValueError


# Shapes


def shapes_of(text, *given):
    expression = parse(text)
    return infer(expression, dict(map(shape_of, given)), functools.partial(trial, expression))


def written(shapes):
    return " ".join(f"{name}={','.join(map(str, shape))}" for name, shape in shapes.items())


SHAPES = [
    ("tr(A.T @ X @ B @ X.T)", (), "A=m,m X=m,n B=n,n"),
    ("0.5*norm(X @ W - Y)**2", (), "X=m,n W=n,k Y=m,k"),
    ("log(1 + exp(-y * (X @ w)))", (), "y=m X=m,n w=n"),
    ("x' @ A @ y", (), "x=m A=m,n y=n"),
    ("x' @ A @ x", (), "x=n A=n,n"),
    ("logdet(X' @ A @ X)", (), "X=m,n A=m,m"),
    ("tr(inv(A) @ B)", (), "A=n,n B=n,n"),
    ("sum(solve(A, B))", (), "A=m,m B=m,n"),
    ("norm(x) + norm(y) + norm(z)", (), "x=m y=n z=k"),
    ("vec(X) + y", (), "X=m,n y=m*n"),
    ("x' @ A @ kron(x, x)", (), "x=n A=n,n*n"),
    ("tr(A @ kron(X, Y))", (), "A=m*n,k*p X=k,m Y=p,n"),
    ("tr(A @ kron(I, F)' + kron(I, F) @ A)", (), "A=m*n,m*n I=n,n F=m,m"),
    ("sum(X * x + y)", (), "X=m,n x=n y=n"),
    ("x @ m + n @ z", (), "x=k m=k n=p z=p"),  # sizes are called by letters that name no array
    ("mse_loss(X @ W, Y) + lam*norm(W)**2 + sigma2 + eps*α", (),
     "X=m,n W=n,k Y=m,k lam= sigma2= eps= α="),
    ("cross_entropy(X @ W + b, Y)", (), "X=m,n W=n,k b=k Y=m,k"),
    ("cross_entropy(X @ W, Y, weight=w)", (), "X=m,n W=n,k Y=m,k w=k"),
    ("cross_entropy(relu(X @ W1 + b1) @ W2 + b2, Y)", (), "X=m,n W1=n,k b1=k W2=k,p b2=p Y=m,p"),
    ("linear(X, W, b)", (), "X=m,n W=k,n b=k"),
    ("sum(layer_norm(X, weight=w, bias=b)**2)", (), "X=m,n w=n b=n"),
    ("sum(softmax(Q @ K') @ V)", (), "Q=m,n K=k,n V=k,p"),
    ("a * X", ("a=",), "a= X=m,n"),
    ("a * X", ("a=scalar", "X=d,2"), "a= X=d,2"),
    ("X @ W", ("X=4,3",), "X=4,3 W=3,n"),
    ("X @ W", ("X=m,n", "W=3,k"), "X=m,3 W=3,k"),
    ("X @ W + Y", ("Y=n,k",), "X=n,m W=m,k Y=n,k"),
    ("tr(A @ X)", ("A=symmetric",), "A=n,n,symmetric X=n,n"),
    ("norm(A)", ("A = positive  definite",), "A=n,n,positive definite"),
    ("cross_entropy(X, P)", ("P=probabilities",), "X=m,n P=m,n,probabilities"),
    ("A @ x", ("A=d,d,diagonal",), "A=d,d,diagonal x=d"),
    ("vec(X) @ y", ("X=2,3",), "X=2,3 y=6"),
    ("x[1:] @ y", ("x=4",), "x=4 y=3"),
    ("norm(y) + x @ z", ("x=31",), "y=n x=31 z=31"),
    ("norm(y) + X[:31] @ x + z", ("X=40,n",), "y=m X=40,n x=n z=31"),
    ("X[2:5] @ x + y", ("X=8,n",), "X=8,n x=n y=3"),
]


@pytest.mark.parametrize("text, given, expected", SHAPES,
                         ids=[" ".join([text, *more]) for text, more, _ in SHAPES])
def test_shapes_are_what_makes_it_run(text, given, expected):
    shapes = shapes_of(text, *given)
    assert written(shapes) == expected
    sizes = dict.fromkeys(n for shape in shapes.values() for n in shape if n not in PROPERTIES)
    sizes = {n: n if isinstance(n, int) else 5 + k for k, n in enumerate(sizes)}
    parse(text)(*(RNG.standard_normal([size_at(n, sizes) for n in shape if n in sizes])
                  for shape in shapes.values()))


UNFIT = [
    ("X @ Y", ("X=2,3", "Y=4,5"), "  ^", "two sizes meet that have to be equal: 3 and 4"),
    ("tr(A) + tr(X)", ("X=3,4",), "        ^", r"shape \(3, 4\); expected a square matrix"),
    ("tr(A @ X)", ("A=m,n", "X=p,m"), "     ^", "equal: n and p"),
    ("logdet(x)", (), "^", r"(?s)x is taken for a vector of n.*--shape x=scalar or --shape x=m,n"),
    ("x + alpha @ y", (), "          ^",
     r"(?s)no axes.*alpha is taken for a scalar.*--shape alpha=n"),
    ("cross_entropy(X, y)", (), "^", r"(?s)target is .*\(m, n\).*--shape y=scalar"),
    ("vec(X) + y[1:]", (), "       ^", "equal: .*one computed from others.* as numbers"),
    ("y @ x[1:]", ("y=m", "x=n"), "  ^", "equal: .*one computed from others.* as numbers"),
    ("cumsum(x)[1:] @ y", ("x=n",), "              ^",
     "equal: .*one computed from others.* as numbers"),
    ("X[5] @ y", ("X=3,n",), " ^", "out of bounds"),
    ("norm(A)", ("A=m,n,symmetric",), "^", "expected a square matrix"),
    ("norm(A)", ("B=3",), "^", "given for B, which is not among the arrays A"),
]


@pytest.mark.parametrize("text, given, caret, says", UNFIT,
                         ids=[" ".join([text, *more]) for text, more, *_ in UNFIT])
def test_shapes_that_do_not_fit_are_shown_where_they_meet(text, given, caret, says):
    with pytest.raises(ExpressionError, match=says) as caught:
        shapes_of(text, *given)
    assert str(caught.value).split("\n")[2] == "    " + caret
    assert "size_" not in str(caught.value)


@pytest.mark.parametrize("text, column",
                         [("X", 0), ("=3", 0), ("X=3,-4", 4), ("X=3,,4", 4), ("X=0", 2),
                          ("X=3, a b", 5)])
def test_a_wrong_shape_is_shown_where_it_is(text, column):
    with pytest.raises(ExpressionError, match="--shape: expected") as caught:
        shape_of(text)
    assert caught.value.column == column
