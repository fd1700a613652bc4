"""Formulas as text, LaTeX, MathML and NumPy: random trees, evaluated from their source and entry by
entry."""

import itertools
import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.derive.form import (COLUMN, MATRIX, ROW, SCALAR, Apply, Compare, Diag, Hadamard,
                                 Indexed, Inner, Inverse, Kron, MatMul, Name, Ones, Plus, Times,
                                 Total, Trace, Vec)
from refgrad.derive.notation import NOTATION, TRAITS, is_pattern, notation
from refgrad.derive.numpy_source import NoSource, definition, source
from refgrad.derive.printing import latex, mathml, text

from .formulas import PRIMITIVES, SIZES, apply, drawn, evaluate, evaluated, minus, num, over, t

A, B, X, W, Y = (Name(s, MATRIX) for s in "ABXWY")
a, b = (Name(s, SCALAR) for s in "ab")
x, y, u, v = (Name(s, COLUMN) for s in "xyuv")
m, n = Name("m", SCALAR, "size"), Name("n", SCALAR, "size")
residual = Plus((MatMul((X, W), MATRIX), minus(Y)), MATRIX)
gradient = MatMul((t(X), residual), MATRIX)
softmax = apply("softmax", X, axis=-1)


# Examples, in every notation

@pytest.mark.parametrize("form, plain, numpy", [
    (gradient, "X' (X W - Y)", "X.T @ (X @ W - Y)"),
    (Times((num(2), over(n)), gradient, MATRIX), "2/n X' (X W - Y)", "2 * X.T @ (X @ W - Y) / n"),
    (Times((num(1, 2), over(n)), gradient, MATRIX), "1/(2 n) X' (X W - Y)",
     "X.T @ (X @ W - Y) / (2 * n)"),
    (Times((over(n),), X, MATRIX), "X / n", "X / n"),
    (Times((num(1, 3),), X, MATRIX), "1/3 X", "X / 3"),
    (Times((num(1, 2),), X, MATRIX), "1/2 X", "0.5 * X"),
    (Times((over(n),), Plus((softmax, minus(Y)), MATRIX), MATRIX), "(softmax(X) - Y) / n",
     "(nn.softmax(X, dim=-1) - Y) / n"),
    (Plus((minus(X), Y), MATRIX), "-X + Y", "Y - X"),
    (minus(Plus((X, Y), MATRIX)), "-(X + Y)", "-(X + Y)"),
    (minus(MatMul((X, Y), MATRIX)), "-X Y", "-X @ Y"),
    (Trace(MatMul((t(A), X), MATRIX)), "tr(A' X)", "np.trace(A.T @ X)"),
    (Inner(A, B), "<A, B>", "np.sum(A * B)"),
    (Inner(Hadamard((A, A), MATRIX), Plus((A, A), MATRIX)), "<A . A, A + A>",
     "np.sum(A * A * (A + A))"),
    (Inner(A, A), "<A, A>", "np.sum(A ** 2)"),
    (t(Inverse(A)), "A^-T", "np.linalg.inv(A).T"),
    (Inverse(A), "A^-1", "np.linalg.inv(A)"),
    (MatMul((t(x), A, y), SCALAR), "x' A y", "x @ A @ y"),
    (MatMul((A, B, y), COLUMN), "A B y", "A @ (B @ y)"),
    (MatMul((x, t(y), A), MATRIX), "x y' A", "np.outer(x, y @ A)"),
    (MatMul((t(Ones("m")), X), ROW), "1' X", "np.sum(X, axis=0)"),
    (MatMul((X, Ones("n")), COLUMN), "X 1", "np.sum(X, axis=1)"),
    (MatMul((t(Ones("m")), X, Ones("n")), SCALAR), "1' X 1", "np.sum(X)"),
    (MatMul((t(Ones("m")), Ones("m")), SCALAR), "1' 1", "m"),
    (Plus((MatMul((X, W), MATRIX), MatMul((Ones("m"), t(y)), MATRIX)), MATRIX), "X W + 1 y'",
     "X @ W + y"),
    (Plus((X, minus(MatMul((y, t(Ones("n"))), MATRIX))), MATRIX), "X - y 1'", "X - y[:, None]"),
    (Hadamard((apply("np.exp", X),
               over(MatMul((apply("np.exp", X), Ones("n"), t(Ones("n"))), MATRIX))), MATRIX),
     "exp(X) / (exp(X) 1 1')", "np.exp(X) / np.sum(np.exp(X), axis=1, keepdims=True)"),
    (MatMul((Diag(u), X), MATRIX), "diag(u) X", "u[:, None] * X"),
    (MatMul((X, Diag(v)), MATRIX), "X diag(v)", "X * v"),
    (MatMul((Diag(u), X, v), COLUMN), "diag(u) X v", "u * (X @ v)"),
    (Hadamard((Compare(">", X, num(0), MATRIX), Y), MATRIX), "[X > 0] . Y", "Y * (X > 0)"),
    (Compare(">", X, num(0), MATRIX), "[X > 0]", "np.where(X > 0, 1, 0)"),
    (minus(Compare(">", X, num(0), MATRIX)), "-[X > 0]", "-np.where(X > 0, 1, 0)"),
    (over(x, 2), "x^2", "x ** 2"),
    (over(X, 2), "X.^2", "X ** 2"),
    (over(x, Fraction(1, 2)), "sqrt(x)", "np.sqrt(x)"),
    (over(x, Fraction(-1, 2)), "1 / sqrt(x)", "1 / np.sqrt(x)"),
    (over(x, Fraction(2, 3)), "x^(2/3)", "np.cbrt(x) ** 2"),
    (Plus((x, num(1, 3)), COLUMN), "x + 1/3", "(3 * x + 1) / 3"),
    (Plus((X, Times((num(-1), over(n)), MatMul((Ones("m"), t(Ones("n"))), MATRIX), MATRIX)),
          MATRIX), "X - 1/n 1 1'",
     "(n * X - 1) / n"),
    (Times((over(MatMul((t(x), x), SCALAR)),), MatMul((t(x), A, x), SCALAR), SCALAR),
     "x' A x / (x' x)", "x @ A @ x / (x @ x)"),
    (apply("np.log", apply("np.linalg.det", A, kind=SCALAR)), "log det(A)",
     "np.log(np.linalg.det(A))"),
    (apply("log_abs_det", A, kind=SCALAR), "log |det A|", "np.linalg.slogdet(A)[1]"),
    (apply("sech_squared", X), "sech^2(X)", "1 / np.cosh(X) ** 2"),
    (apply("softmax", X, axis=-2), "softmax(X, axis=-2)", "nn.softmax(X, dim=-2)"),
    (Vec(X), "vec(X)", "np.ravel(X)"),
    (Kron(A, MatMul((A, B), MATRIX)), "A (x) (A B)", "np.kron(A, A @ B)"),
    (Indexed(((A, ("i", "j")), (B, ("j", "k")), (a, ())), ("i", "k"),
             (("i", 3), ("j", 3), ("k", 3)), MATRIX),
     "(sum_j A[i,j] B[j,k] a)[i,k]", 'a * np.einsum("ij,jk->ik", A, B)'),
    (Indexed(((X, (("i", "j"), "k")),), ("k", ("j", "i")), (("i", 3), ("j", "n"), ("k", 2)),
             MATRIX),
     "(X[(i,j),k])[k,(j,i)]",
     'np.reshape(np.einsum("ijk->kji", np.reshape(X, (3, n, 2))), (2, n * 3))'),
    (Apply("vjp", (Y, X), (("primitive", PRIMITIVES["softmax"]), ("argument", 0),
                           ("params", (("axis", -1),))), MATRIX),
     "softmax.vjp[0](Y, X)", "rg.vjp(lambda _: nn.softmax(_, dim=-1), X)[1](Y)[0]"),
])
def test_examples(form, plain, numpy):
    assert (text(form), source(form)) == (plain, numpy)
    well_formed(form)


@pytest.mark.parametrize("form, expected", [
    (gradient, r"X^{\top} (X W - Y)"), (Inner(A, B), r"\langle A, B\rangle"),
    (t(Inverse(A)), r"A^{-\top}"), (Hadamard((A, B), MATRIX), r"A \odot B"),
    (Kron(A, B), r"A \otimes B"), (over(X, 2), r"X^{\odot 2}"), (over(a, 2), r"a^{2}"),
    (num(1, 2), r"\tfrac{1}{2}"), (Times((num(2), over(n)), X, MATRIX), r"\frac{2}{n} X"),
    (Name("Z1", MATRIX), "Z_{1}"), (Name("G_Z1", MATRIX, "cotangent"), "G_{Z_{1}}"),
    (Name("x_hat", COLUMN), r"\hat{x}"),
    (Name("dX", MATRIX, "differential"), r"\mathrm{d}X"), (Name("lam", SCALAR), r"\lambda"),
    (Name("dX", MATRIX), r"\mathit{dX}"), (MatMul((t(Ones("m")), X), ROW), r"\mathbf{1}^{\top} X"),
    (Indexed(((A, ("i", "i")),), (), (("i", 3),), SCALAR), r"\sum_{i} {A}_{i i}"),
    (apply("np.absolute", X), r"\lvert X \rvert"), (apply("np.tanh", X), r"\tanh(X)"),
])
def test_latex(form, expected):
    assert latex(form) == expected


def well_formed(form):
    out = latex(form)
    depth = list(itertools.accumulate((ch == "{") - (ch == "}") for ch in out))
    assert depth[-1] == 0 and min(depth) >= 0, out
    assert out.count(r"\left") - out.count(r"\leftarrow") == out.count(r"\right"), out
    assert not re.search(r"[\^_]\{[^{}]*\}[\^]\{[^{}]*\}[\^]", out), out
    root = ET.fromstring(f"<math>{mathml(form)}</math>")
    arity = {"mfrac": 2, "msup": 2, "msub": 2, "mover": 2, "munder": 2}
    for element in root.iter():
        assert len(element) == arity.get(element.tag, len(element)), mathml(form)
        if element.tag in ("mi", "mo", "mn"):
            assert element.text and not len(element)
    assert text(form).isascii()


# Random formulas, evaluated twice

def arrays(env):
    """What a user passes: columns with one axis, scalars with none, sizes as integers."""
    return {k: SIZES[k] if k in SIZES else v[0, 0] if v.shape == (1, 1) else v[:, 0]
            if v.shape[1] == 1 else v
            for k, v in env.items()}


def run(code, env):
    return eval(code, {"np": np, "nn": nn, "rg": rg}, arrays(env))


def in_kind(matrix, kind):
    return matrix[0, 0] if kind == SCALAR else matrix.ravel() if kind in (COLUMN, ROW) else matrix


def agrees(got, want, magnitude):
    """To rounding: `magnitude` bounds what was added up on the way."""
    return (np.shape(got) == np.shape(want)
            and np.max(np.abs(got - want), initial=0) <= 1e-11 * magnitude)


def wrong_sources(seeds):
    """The seeds whose source computes another value (or none), and how many were tried."""
    wrong, tried = [], 0
    with np.errstate(all="ignore"):
        for seed in seeds:
            form, env = drawn(seed)
            want, magnitude = evaluated(form, env)
            if magnitude > 1e4:
                continue
            tried += 1
            code = source(form)
            try:
                if not agrees(run(code, env), in_kind(want, form.kind), magnitude ** 2):
                    wrong.append((seed, text(form), code))
            except (TypeError, ValueError, SyntaxError, IndexError) as error:
                wrong.append((seed, text(form), code, repr(error)))
    return wrong, tried


@pytest.mark.parametrize("block", range(8))
def test_random_sources(block):
    wrong, tried = wrong_sources(range(100 * block, 100 * block + 100))
    assert not wrong and tried > 60


@pytest.mark.parametrize("seed", range(0, 800, 5))
def test_random_formulas_are_well_formed(seed):
    well_formed(drawn(seed)[0])


def test_sources_run_on_balls_and_stay_exact():
    """A third is a division by 3, not a float: 80 digits of the formula from its source and from
    integers."""
    from crosscheck.ball import Ball, arithmetic
    form = Plus((Times((num(1, 3), over(n)), X, MATRIX), num(1, 7),
                 Times((num(2), over(m)), None, SCALAR)), MATRIX)
    with arithmetic(300):
        got = eval(source(form), {"np": np, "X": Ball([[1.0, 2.0]]), "n": 7, "m": 3})
        want = (Ball([[1.0, 2.0]]) + 3 + 14) / 21
        assert np.all(got.overlaps(want)) and np.all(got.radius() < 1e-80)


def test_sources_run_on_tracers():
    form = Times((num(1, 2),), Inner(residual, residual), SCALAR)
    rng = np.random.default_rng(0)
    env = {"X": rng.standard_normal((4, 3)), "Y": rng.standard_normal((4, 2))}
    got = rg.grad(lambda W: eval(source(form), {"np": np, **env, "W": W}))(
        w := rng.standard_normal((3, 2)))
    assert np.allclose(got, run_plain(source(gradient), W=w, **env))


def run_plain(code, **env):
    return eval(code, {"np": np, "nn": nn, "rg": rg, **env})


# Nothing is ambiguous: formulas that are written alike have the same value

def small_formulas(kind=MATRIX, depth=2):
    """All formulas of a few operations, of square matrices and scalars."""
    if depth == 0:
        return [A, B] if kind == MATRIX else [a, b]
    matrices, few = small_formulas(MATRIX, depth - 1), small_formulas(MATRIX, 0)
    pairs = [p for f in matrices for g in few for p in ((f, g), (g, f))]
    found = list(matrices)
    for f, g in pairs:
        found += [Plus((f, g), MATRIX), Plus((f, minus(g)), MATRIX),
                  MatMul((f, g), MATRIX), Hadamard((f, g), MATRIX),
                  Hadamard((f, over(g)), MATRIX), Kron(f, g), Compare(">", f, g, MATRIX)]
    for f in matrices:
        found += [minus(f), Times((num(2),), f, MATRIX), Times((num(1, 2),), f, MATRIX),
                  Times((a,), f, MATRIX), Times((over(a),), f, MATRIX),
                  Times((num(2), over(a)), f, MATRIX), t(f), Inverse(f), over(f, 2),
                  over(f), over(f, Fraction(-2)), over(apply("np.absolute", f), Fraction(1, 2)),
                  apply("np.tanh", f), apply("log1pexp", f), Times((Trace(f),), A, MATRIX),
                  Times((over(Trace(f)),), A, MATRIX),
                  Times((Inner(f, B), b), A, MATRIX), Times((Total(f),), B, MATRIX)]
    return found


def written_alike(printer, depth=2):
    """Pairs of formulas that `printer` writes alike though their values differ."""
    numbers = np.random.default_rng(1)
    env = {"A": numbers.uniform(0.5, 2, (2, 2)), "B": numbers.uniform(0.5, 2, (2, 2)),
           "a": np.array([[0.75]]), "b": np.array([[3.25]])}
    memo, first, pairs = {}, {}, []

    def known(form):
        if id(form) not in memo:
            memo[id(form)] = evaluate(form, known, env), form
        return memo[id(form)][0]

    with np.errstate(all="ignore"):
        for form in small_formulas(depth=depth):
            try:
                got = known(form)
            except (ValueError, AssertionError, np.linalg.LinAlgError):
                continue  # a Kronecker product is larger than its neighbours; a singular matrix
            other, shown = first.setdefault(printer(form), (got, form))
            if other.shape != got.shape or not np.allclose(other, got, equal_nan=True):
                pairs.append((printer(form), form, shown))
    return pairs, len(memo)


@pytest.mark.parametrize("printer", [text, latex, mathml])
def test_formulas_that_are_written_alike_are_equal(printer):
    pairs, tried = written_alike(printer)
    assert not pairs and tried > 2000


# Faults that the tests above must see

@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_missing_parenthesis_is_seen(monkeypatch):
    from refgrad.derive import numpy_code, printing
    with monkeypatch.context() as patch:
        patch.setattr(numpy_code.Code, "at", lambda self, level: self.text)
        assert wrong_sources(range(100))[0]
    for backend, printer in ((printing.Text, text), (printing.Latex, latex),
                             (printing.MathML, mathml)):
        with monkeypatch.context() as patch:
            patch.setattr(backend, "at", lambda self, form, level: self.write(form))
            assert written_alike(printer)[0]
        with monkeypatch.context() as patch:  # one step too loose
            at = backend.at
            patch.setattr(backend, "at", lambda self, form, level: at(self, form, level - 1))
            assert written_alike(printer)[0]


@pytest.mark.parametrize("fault", ["transpose", "outer", "axis", "divide"])
def test_a_planted_fault_is_seen(monkeypatch, fault):
    from refgrad.derive import numpy_code, numpy_source
    if fault == "transpose":
        monkeypatch.setitem(numpy_source.WRITERS, "T",
                            lambda form, need: numpy_source.spread(form.body, need))
    elif fault == "outer":
        outer = numpy_source.outer
        monkeypatch.setattr(numpy_source, "outer",
                            lambda column, row, need: outer(row, column, need))
    elif fault == "axis":
        call = numpy_code.call
        monkeypatch.setattr(numpy_code, "call",
                            lambda f, *args: call(f,
                                                  *(a.replace("axis=1", "axis=0") for a in args)))
    else:
        monkeypatch.setattr(numpy_source, "reciprocal", lambda power: power.body)
    assert wrong_sources(range(300))[0]


# The table of notation, and whole functions

@pytest.mark.parametrize("name", sorted(p.name for p in NOTATION))
def test_notation_computes_its_primitive(name):
    primitive, rng = PRIMITIVES[name], np.random.default_rng(0)
    square = name.startswith("np.linalg") or name == "log_abs_det"
    convolves = name.startswith("conv")
    z = rng.uniform(0.5, 1.5, (3, 3, 3) if convolves else (3, 3))
    z = z @ z.T if square else z
    params = {"axis": -1} if "softmax" in name else {
        "negative_slope": 0.25, "alpha": 0.5, "beta": 2, "threshold": 20, "low": 0.75, "high": 1.25}
    accepted = {k: v for k, v in params.items()
                if k in (primitive.cases[0].params if primitive.cases else {})}
    if convolves:
        accepted = {"form": nn.convolution.Form((2,), ((1, 1),), (1,))}
    of_two = convolves or name in ("np.maximum", "np.minimum", "np.power", "excess")
    args = (X, Y) if of_two else (X,)
    kind = SCALAR if name in ("np.linalg.det", "log_abs_det") else MATRIX
    form = Apply(primitive, args, tuple(accepted.items()), kind)
    want = primitive.evaluate(*(z, z + 0.25)[:len(args)], **accepted)
    found = run_plain(source(form), X=z, Y=z + 0.25)
    parts = zip(found, want, strict=True) if primitive.multiple else [(found, want)]
    for a, b in parts:
        assert np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-13, atol=0)
    well_formed(form)


@pytest.mark.parametrize("name", sorted(p.name for p in TRAITS))
def test_traits_hold(name):
    primitive, x = PRIMITIVES[name], np.random.default_rng(0).uniform(0.25, 1, (3, 3))
    known, params = TRAITS[primitive], {"axis": -1} if "softmax" in name else {}
    of = lambda p, *arrays: p.evaluate(*arrays, **params)
    same = lambda a, b: np.allclose(a, b, rtol=1e-12, atol=0)
    assert (not known.undoes or same(of(primitive, of(known.undoes, x)), x)
            and TRAITS[known.undoes].undoes is primitive)
    assert not known.log_of or same(np.exp(of(primitive, x)), of(known.log_of, x))
    assert not known.over or same(of(primitive, x) / of(known.over[0], x), of(known.over[1], x))
    assert not known.sums_to_one or same(np.sum(of(primitive, x), axis=-1), 1)
    assert not known.inverts or same(x @ of(primitive, x) + 1, np.eye(3) + 1)
    assert not known.rectifies or np.array_equal(of(primitive, x - 0.5) > 0, x > 0.5)
    assert known.linear_in is None or same(of(primitive, 2 * x, x + 1), 2 * of(primitive, x, x + 1))
    assert not known.bilinear or same(of(primitive, 2 * x, 3 * x, None),
                                      6 * of(primitive, x, x, None))


def test_functions_that_stay_whole():
    assert {p.name for p, entry in NOTATION.items() if entry.whole} == {
        "softmax", "log_softmax", "np.linalg.inv", "np.linalg.det", "log_abs_det",
        "np.linalg.cholesky", "expm", "conv", "conv_input", "conv_weight", "spectrum",
        "eigenvalues", "singular", "singular_values", "tall_qr", "pseudoinverse"}


def test_a_function_that_users_cannot_call_has_no_source():
    assert text(apply("sinc_derivative", x, order=2)) == "sinc_derivative(x, order=2)"
    with pytest.raises(NoSource, match="sinc_derivative is not a function that users"):
        source(apply("sinc_derivative", x, order=2))
    assert notation(PRIMITIVES["np.tanh"]).source == "np.tanh" and not is_pattern("np.tanh")


# Whole definitions

def test_definition():
    weights = Times((over(m),), MatMul((t(X), Name("R", MATRIX)), MATRIX), MATRIX)
    result = {"W": weights, "Y": apply("softmax", Y, axis=-1)}
    code = definition("gradient", ["X", "W", "Y"], result, [("R", residual)], ["m, n = X.shape"])
    assert code == '''from refgrad import nn


def gradient(X, W, Y):
    m, n = X.shape
    R = X @ W - Y
    return {"W": X.T @ R / m, "Y": nn.softmax(Y, dim=-1)}
'''
    module = {}
    exec(code, module)
    rng = np.random.default_rng(0)
    X_, W_, Y_ = (rng.standard_normal(shape) for shape in ((4, 3), (3, 2), (4, 2)))
    assert np.allclose(module["gradient"](X_, W_, Y_)["W"], X_.T @ (X_ @ W_ - Y_) / 4)
