"""Every formula is compared with the engine: that sees planted faults, and says where it failed."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.derive import Derivation, WrongFormula, derive
from refgrad.derive import derivation as derivation_module
from refgrad.derive import matrix, numpy_source, simplify
from refgrad.derive.__main__ import main
from refgrad.derive.formula import Formula
from refgrad.derive.notation import NOTATION
from refgrad.primitive import TABLE

SHAPES = {"X": ("m", "n"), "W": ("n", "k"), "Y": ("m", "k"), "A": ("n", "n"), "x": ("n",),
          "S": ("n", "n", "symmetric"), "D": ("n", "n", "diagonal"),
          "P": ("n", "n", "positive definite"), "Q": ("m", "k", "probabilities"),
          "y": ("n",), "b": ("k",), "c": (), "T": ("b", "m", "n")}

PROGRAMS = [
    lambda X, W, Y: np.sum((X @ W - Y) ** 2), lambda x, A: x @ A @ x,
    lambda A: np.linalg.det(A) * np.trace(A),
    lambda X: np.sum(np.exp(X - np.max(X, axis=0))), lambda P: np.linalg.slogdet(P)[1],
    lambda T: np.sum(np.mean(T, 1) ** 3),
    lambda X, W, Q: nn.cross_entropy(np.tanh(X) @ W, Q), lambda x, y: np.outer(x, y) + np.diag(x),
    lambda X: X.T @ X,
    lambda x: np.linalg.norm(x - np.mean(x)) / x.shape[0],
    lambda X: np.sqrt(np.sum(X ** 2, axis=0)), lambda x: x[::-1] * x]


def of(program, wrt=None, **options):
    names = program.__code__.co_varnames[:program.__code__.co_argcount]
    return derive(program, wrt, **{name: SHAPES[name] for name in names}, **options)


@pytest.mark.parametrize("program", PROGRAMS)
def test_right_formulas_stand_the_comparison(program):
    d = of(program)
    assert d.unconfirmed is None and not any("not compared" in note for note in d.notes)
    assert d.verify().ok and False not in d.proof().values()


def change(symbol, kind):
    """The expression with a fault."""
    square = symbol.ndim == 2 and symbol.shape[0] == symbol.shape[1]
    return {"sign": lambda: -symbol, "factor": lambda: 1.5 * symbol,
            "offset": lambda: symbol + 1e-6, "transpose": lambda: symbol.T if square else -symbol,
            "number": lambda: derivation_module.as_symbol(0.5)}[kind]()


@pytest.mark.parametrize("kind", ["sign", "factor", "offset", "transpose", "number"])
@pytest.mark.parametrize("of_what", ["gradient", "differential"])
def test_a_planted_fault_is_seen(kind, of_what, monkeypatch):
    def faulty(self):
        read(self)
        if of_what == "gradient":
            name = self.wrt[0]
            right = self.gradients[name]
            self.gradients[name] = Formula(change(right.symbol, kind), right.where)
        else:
            right = self.differential
            self.differential = Formula(change(right.symbol, kind), right.where)

    read = Derivation._read
    monkeypatch.setattr(Derivation, "_read", faulty)
    for program in (lambda A: np.sum(np.tanh(A) @ A), lambda x, A: np.tanh(A @ x)):
        with pytest.raises(WrongFormula, match="the (gradient|differential)"):
            of(program)
        assert "not compared with the engine: check=False" in of(program, check=False).notes


def test_a_fault_of_the_printer_of_programs_is_seen(monkeypatch):
    monkeypatch.setitem(numpy_source.WRITERS, "Diag", numpy_source.WRITERS["Vec"])
    with pytest.raises(WrongFormula):
        of(lambda x, A: np.trace(A @ np.diag(x)) + np.sum(np.diag(x) + A), ("x", "A")).hessian
        of(lambda x, y: np.diag(x) @ np.diag(y))


def test_a_fault_of_a_notation_is_seen(monkeypatch):
    tanh = TABLE[np.tanh]
    monkeypatch.setitem(NOTATION, tanh, NOTATION[TABLE[np.absolute]])
    with pytest.raises(WrongFormula):
        of(lambda x: np.tanh(x) ** 2)


def test_a_fault_of_the_simplification_is_seen(monkeypatch):
    def faulty(f, rest, free):  # sum_i 1_ii = 1
        found = rule(f, rest, free)
        return found if found is None else found._replace(factors=tuple(
            f for f in found.factors if f.role != "size"))

    rule = simplify.delta
    monkeypatch.setattr(simplify, "RULES", (faulty, *simplify.RULES[1:]))
    with pytest.raises(WrongFormula):
        of(lambda A, c: np.trace(c * np.eye(A.shape[0]) + A))


def test_a_fault_of_the_matrix_notation_is_seen(monkeypatch):
    monkeypatch.setattr(matrix, "transpose", lambda form: form)
    with pytest.raises(WrongFormula):
        of(lambda A, x: np.sum(A.T @ A @ x))


def test_a_wrong_hessian_is_seen(monkeypatch):
    monkeypatch.setattr(derivation_module, "jacobian_of", lambda dy, dx: -jacobian_of(dy, dx))
    jacobian_of = derivation_module.jacobian_of.__defaults__ or rg.derive.names.jacobian_of
    with pytest.raises(WrongFormula, match="Jacobian"):
        of(lambda x: np.sum(np.exp(x))).hessian


def test_the_command_ends_with_1_where_a_formula_is_wrong(monkeypatch, capsys):
    read = Derivation._read
    monkeypatch.setattr(Derivation, "_read", lambda self: (read(self), setattr(self, "gradients", {
        n: Formula(-g.symbol, g.where) for n, g in self.gradients.items()})))
    assert main(["x' @ A @ x", "--wrt", "x"]) == 1
    assert "the gradient by x is off" in capsys.readouterr().err


def test_arguments_have_the_methods_of_arrays_whether_differentiated_or_not():
    def program(X, W, A):
        A = A / A.sum(axis=-1, keepdims=True) - A.mean() + A.max(axis=0) * A.T.trace() / A.size
        return ((X @ W).reshape(A.shape) * A).sum()

    d = derive(program, "X", X=("m", "n"), W=("n", "m"), A=("m", "m"))
    assert d.unconfirmed is None and str(d.gradient).endswith("W'")


def test_what_cannot_be_compared_is_said():
    d = derive(lambda x: np.sqrt(-1 - x @ x), x=("n",))
    assert any("not defined at the random inputs" in note for note in d.notes)


@pytest.mark.parametrize("program, shape", [
    (lambda x: np.log(1 - x @ x), ("n",)), (lambda x: np.sum(np.arccosh(x)), ("n",)),
    (lambda x: np.sum(np.arcsin(x)), ("n",)),
    (lambda X: np.linalg.slogdet(X.T @ X)[1], ("m", "n")),
    (lambda X: np.linalg.slogdet(X @ X.T)[1], ("m", "n")),
    (lambda A: np.sum(np.linalg.cholesky(A) ** 2), (3, 3))])
def test_points_are_found_where_the_program_is_defined(program, shape):
    assert derive(program, **{program.__code__.co_varnames[0]: shape}).unconfirmed is None


# Structure: the Hessian is the differential of the gradient that is printed

STRUCTURED = [
    (lambda A, X: np.trace(A @ X @ A.T @ X), "symmetric"),
    (lambda A, X: np.trace(A @ X @ A @ X @ X), "symmetric"),
    (lambda A, X: np.linalg.slogdet(X + A @ A.T)[1], "positive definite"),
    (lambda A, X: np.linalg.slogdet(X + A @ A.T)[1], "diagonal"),
    (lambda A, X: np.sum(np.tanh(A @ X) ** 2), "diagonal"),
    (lambda A, X: np.sum(np.linalg.inv(X) * A), "positive definite"),
    (lambda A, X: np.trace(X @ A @ X), "diagonal")]


@pytest.mark.parametrize("program, structure", STRUCTURED)
def test_second_derivatives_differentiate_the_printed_gradient(program, structure):
    d = derive(program, "X", A=("n", "n"), X=("n", "n", structure))
    rng = np.random.default_rng(0)
    A, X, dX = rng.standard_normal((3, 3, 3))
    X, dX = X @ X.T + np.eye(3), dX + dX.T
    if structure == "diagonal":
        X, dX = np.diag(np.diagonal(X)), np.diag(np.diagonal(dX))
    h, gradient = 1e-5, lambda X: d.numpy()(A, X)
    second = d.hessian
    names = {"np": np, "A": A, "X": X, "dX": dX, "n": 3}
    for name, formula in second.where:
        names[name] = eval(numpy_source.source(formula.form), names)
    found = eval(numpy_source.source(second.form), names)
    differences = (gradient(X + h * dX) - gradient(X - h * dX)) / (2 * h)
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-7)
    g = gradient(X)
    np.testing.assert_allclose(g, np.diag(np.diagonal(g)) if structure == "diagonal" else g.T)


# Proofs

def late(X, W):
    Z = X @ W
    return np.sum(Z) + np.sum(np.exp(Z)) + np.sum(np.tanh(Z @ Z.T))


PROVED = [
    (lambda x, y: np.sum((x - np.mean(x)) * (y - np.mean(y))) / np.sqrt(
        np.sum((x - np.mean(x)) ** 2) * np.sum((y - np.mean(y)) ** 2)), "x"),
    (lambda X, c: np.sum((np.mean(X * c, axis=0) - X * c) ** 2), "c"), (late, ("X", "W")),
    (lambda X: np.linalg.slogdet(
        np.eye(X.shape[0]) + np.cumsum(X, axis=-1) @ np.cumsum(X, axis=-1).T)[1], "X"),
    (lambda X, W: np.sum(np.exp(X @ W) / np.sum(np.exp(X @ W), axis=1, keepdims=True)
                         * np.tanh(X @ W)), ("X", "W"))]


@pytest.mark.parametrize("program, wrt", PROVED)
def test_right_derivations_are_proved(program, wrt):
    assert set(of(program, wrt).proof().values()) == {True}


def test_a_wrong_rule_is_not_proved(monkeypatch):
    for function in (np.tanh, np.exp):
        rule = TABLE[function]
        monkeypatch.setattr(rule, "jvp", (lambda v, *rest: 2 * v,))
        assert False in of(late, ("X", "W"), check=False).proof().values()
        monkeypatch.undo()


def test_what_is_not_brought_to_one_form_is_inconclusive_and_not_wrong():
    found = of(lambda x: np.sum(np.sin(x) ** 2 + np.cos(x) ** 2)).proof()
    assert False not in found.values()


def test_the_hessian_of_a_long_quotient_is_found():
    assert of(PROVED[0][0], "x").hessian is not None


# Programs that write in place


def overwritten(X):
    Y = np.copy(X)
    Y[0] = 0
    Y[:, 1:] *= 2
    Z = np.zeros(X.shape, like=X)
    Z[...] = Y ** 2
    return np.sum(Z * Y)


def twice(X):
    Y, Z = X * 2, X * 2
    Y += np.tanh(Z)
    return np.sum(Y * Z)


@pytest.mark.parametrize("program", [overwritten, twice])
def test_in_place_writes_have_the_right_formula(program):
    X = np.random.default_rng(0).standard_normal((5, 7))
    for shape in (("m", "n"), (5, 7)):
        d = derive(program, X=shape)
        np.testing.assert_allclose(d.numpy()(X), rg.grad(program)(X), rtol=1e-12)


def test_a_write_to_an_argument_is_refused():
    def program(X):
        X[0] = 1
        return np.sum(X)

    with pytest.raises(rg.errors.InPlaceWrite, match="argument"):
        derive(program, X=("m", "n"))


# Arguments


@pytest.mark.parametrize("arguments, error, says", [
    (dict(X=("n", "n", "symetric")), ValueError, "did you mean 'symmetric'"),
    (dict(X=("n", "n", "Symmetric")), ValueError, "did you mean 'symmetric'"),
    (dict(X=("n", "n", "psd")), ValueError, "did you mean 'positive definite'"),
    (dict(X=("n", "n", "positive_definite")), ValueError, "did you mean 'positive definite'"),
    (dict(X=("n", "n", "diag")), ValueError, "did you mean 'diagonal'"),
    (dict(X=("n", "n", "orthogonal")), ValueError, "known properties are"),
    (dict(X=("m", "n"), wrt=()), ValueError, "wrt=.*one or more of X"),
    (dict(X=("m", "n"), wrt=0), ValueError, "wrt=0"),
    (dict(X=("m", 2.5)), ValueError, "expected a size"),
    (dict(X=("m", True)), ValueError, "expected a size"),
    (dict(X=np.ones((2, 3))), ValueError, "ndarray is not a shape"),
    (dict(X=None), ValueError, "not a shape"),
    (dict(X=("m", "lambda")), ValueError, "expected a size")])
def test_arguments_that_mean_nothing_are_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        derive(lambda X: np.sum(X ** 2), **arguments)


def test_names_and_sizes_of_all_kinds_are_taken():
    d = derive(lambda x: x @ x, x=(np.int64(3),))
    np.testing.assert_array_equal(d.numpy()(np.ones(3)), 2 * np.ones(3))
    assert str(derive(lambda T: np.sum(T), T=("batch", "time", "features")).value_formula)
    d = derive(lambda _, X: np.sum((_ @ X) ** 2) / X.shape[1], "_", _=("m", "n"), X=("n", "k"))
    np.testing.assert_array_equal(d.numpy()(np.ones((2, 3)), np.ones((3, 2))), 6 * np.ones((2, 3)))
    d = derive(lambda _: np.sum(np.prod(_, axis=0)), _=("m", "n"))
    np.testing.assert_allclose(d.numpy()(2 * np.ones((2, 3))), 2 * np.ones((2, 3)))
    d = derive(lambda x, y: x @ y, ["x", "y", "x"], x=("n",), y=("n",))
    assert list(d.gradients) == ["x", "y"]
    with pytest.raises(ValueError, match="the name of the differential of x"):
        derive(lambda x, dx: x @ dx, x=("n",), dx=("n",))
    with pytest.raises(TypeError, match="expected a function"):
        derive(np.ones(3), X=(3,))
