"""Plain NumPy on traced arrays: operators, indexing, methods and attributes mean what they mean on
an ndarray."""

import copy
import operator

import numpy as np
import pytest

import refgrad as rg
from refgrad.face import Face
from refgrad.tracer import Tracer
from tests.methods import METHODS, M, V

from . import checks

POSITIVE = np.abs(M) + 0.5


def check(program, *arrays):
    rng = np.random.default_rng(2)
    checks.agrees_with_numpy(program, arrays)
    checks.is_dual(program, arrays, rng)
    checks.jacobians_agree(program, arrays)
    checks.matches_differences(program, arrays, rng)


OPERANDS = {"array": V, "matrix": POSITIVE, "float": 2.5, "int": 2, "list": [1.5, 2.5, 0.5],
            "nested": [[1.5], [2]], "tuple": (1.0, 2.0, 3.0), "float64": np.float64(1.5),
            "float32": np.float32(1.5), "int64": np.int64(2), "0-d": np.array(1.5),
            "integers": np.array([1, 2, 3]), "row": V[None], "one": np.array([2.0]), "bool": True}
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod]


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("operand", OPERANDS)
@pytest.mark.parametrize("reflected", [False, True])
def test_binary_operators(op, operand, reflected):
    other = OPERANDS[operand]
    if operand == "bool" and op is operator.sub:
        other = 1.0  # NumPy has no subtraction of truth values
    check((lambda x: op(other, x)) if reflected else (lambda x: op(x, other)), POSITIVE + 0.263)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_binary_operators_on_two_traced_arrays(op):
    check(op, POSITIVE, V + 1.031)
    check(op, np.array(1.5), POSITIVE)


@pytest.mark.parametrize("op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq,
                                operator.ne, operator.floordiv], ids=lambda op: op.__name__)
@pytest.mark.parametrize("operand", ["array", "float", "list", "float64", "0-d"])
def test_operators_that_are_constant(op, operand):
    other = OPERANDS[operand]

    def f(x):
        for a, b in ((x, other), (other, x)):
            found = op(a, b)
            assert type(found) is np.ndarray
            np.testing.assert_array_equal(found, op(M, other) if a is x else op(other, M))
        return np.sum(x)

    rg.grad(f)(M)
    rg.hessian(f)(M)


def test_constant_functions_of_lists_and_parameters_that_are_traced():
    def f(x):
        assert np.array_equal(x, [x[0], x[1], x[2]]) and np.allclose(x, (x[0], x[1], x[2]))
        np.testing.assert_array_equal(np.isclose(x, V + 1, atol=x[0]), [True] * 3)
        np.testing.assert_array_equal(np.searchsorted(V[[1, 0, 2]], v=x), [1, 0, 2])
        return np.sum(x)

    rg.grad(f)(V)
    rg.hessian(f)(V)


def test_unary_operators_and_divmod():
    check(operator.neg, M)
    check(operator.pos, M)
    check(abs, M)
    check(lambda x: divmod(x, 0.7)[1], M)
    check(lambda x: divmod(5.0, x)[1], POSITIVE)
    check(lambda x: divmod(x, V)[1] + divmod(x, 2)[0], M)


def test_lists_among_the_arguments():
    square = [[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]
    check(lambda x: np.linalg.solve(square, x), V)
    check(lambda x: np.linalg.solve(x + np.eye(3), [1.0, 2.0, 3.0]), M.T @ M)
    check(lambda x: np.trapezoid([1.0, 2.0, 4.0], x), V)
    check(lambda x: np.trapezoid(x, [0.0, 1.0, 3.0]), V)
    check(lambda x: np.concatenate([x, [1.0, 2.0]]), V)
    check(lambda x: np.stack([x[0], 1.0, x[1]]), V)
    check(lambda x: np.hstack([x, 1.0, [2.0]]), V)
    check(lambda x: np.cross([1.0, 2.0, 3.0], x), V)
    check(lambda x: np.einsum("i,ij", [1, 2], x), M)
    check(lambda x: np.where([True, False, True], x, 0), V)
    check(lambda x: np.maximum(x, [1, 2, 3]), V)
    check(lambda x: np.kron([1.0, 2.0], x), V)
    check(lambda x: np.average([1.0, 2.0, 3.0], weights=x), V)
    check(lambda x: np.dot([1, 2, 3], x) * np.inner(x, [1, 2, 3]), V)


def test_matmul_with_arrays_and_lists():
    check(lambda x, y: x @ y, M, V)
    check(lambda x: [[1.0, 2.0]] @ x, M)
    check(lambda x: M @ x, V)
    check(lambda x: x @ [1.0, 2.0, 3.0], M)
    check(lambda x: V @ x @ V, M.T @ M)


INDICES = {
    "integer": 1, "negative": -1, "slice": slice(None, None, -1), "pair": (1, 2),
    "row of a column": (slice(None), 1),
    "newaxis": (None, slice(None), None), "ellipsis": (Ellipsis, 0), "only ellipsis": Ellipsis,
    "empty tuple": (), "ellipsis and newaxis": (Ellipsis, None, slice(1, 3)),
    "step": (slice(None), slice(None, None, 2)),
    "array": np.array([0, 1, 0, 0]), "list": [1, 1], "negative array": np.array([-1, -1]),
    "matrix": np.array([[0, 1], [1, 1]]),
    "pair of arrays": (np.array([0, 1, 1]), np.array([2, 0, 0])),
    "outer": (np.array([[0], [1]]), np.array([0, 0, 2])),
    "mask": M > 0, "row mask": np.array([True, False]), "list mask": [False, True],
    "no mask": np.zeros((2, 3), bool), "mask and integer": (np.array([True, True]), 1),
    "mask and array": (np.array([True, True]), np.array([0, 0])),
    "array after slice": (slice(None), np.array([2, 2, 0])),
    "integer and array": (0, np.array([0, 0, 1])), "array, newaxis": (np.array([1, 0, 1]), None),
    "empty slice": slice(0, 0), "empty list": [], "scalar": np.int64(1),
    "0-d array": np.array(1), "0-d mask": np.array(True), "true": True,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_indexing(index):
    check(lambda x: x[index], M)
    check(lambda x: x[index] * x[index], M)


def test_separated_advanced_indices_put_their_axis_first():
    x = np.arange(24.0).reshape(2, 3, 4)
    for index in [(0, slice(None), np.array([1, 1])),
                  (np.array([0, 1, 1]), slice(None), np.array([0, 3, 3])),
                  (slice(None), np.array([0, 0]), np.array([[1], [2]])),
                  (Ellipsis, np.array([True, False, True, True]))]:
        check(lambda x: x[index] * 2, x)


def test_repeated_indices_add_up():
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(x[[0, 2, 0, 0]]))(V), [3, 0, 1])
    np.testing.assert_array_equal(rg.grad(lambda x: x[0] + x[0] * x[-1])(V), [1 + V[2], 0, V[0]])


def test_iteration_length_and_unpacking():
    check(lambda x: sum(row * k for k, row in enumerate(x)), M)
    check(lambda x: (lambda a, b: a * b)(*x), M)
    check(lambda x: np.stack([max(x), min(x), sum(x), sorted(x)[1]]), V)
    lengths = []
    rg.grad(lambda x: (lengths.append(len(x)), np.sum(x))[1])(M)
    assert lengths == [2]
    with pytest.raises(TypeError, match="len.. of an array without axes"):
        rg.grad(lambda x: len(x))(1.0)
    with pytest.raises(TypeError, match="len.. of an array without axes"):
        rg.grad(lambda x: sum(x))(1.0)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_methods(method):
    check(method, M)


def test_every_method_has_a_sample():
    public = {name for name in vars(Face) if not name.startswith("_")}
    assert public == {name.split()[0] for name in METHODS} | {"itemsize", "nbytes"}


def test_bits_of_integers_are_shifted():
    n = np.array([1, 2, 5])
    np.testing.assert_array_equal(rg.jit(lambda n: (n << 2) + (16 >> n))(n), (n << 2) + (16 >> n))
    for shift in (lambda x: x << 1, lambda x: 1 >> x):
        with pytest.raises(TypeError, match="_shift"):
            rg.grad(lambda x: np.sum(shift(x)))(V)


def test_attributes():
    def f(x):
        assert (x.shape, x.ndim, x.size, x.dtype, x.itemsize, x.nbytes) == ((2, 3), 2, 6,
                                                                            np.dtype(float), 8, 48)
        assert ((np.shape(x), np.ndim(x), np.size(x), np.result_type(x, np.float32))
                == ((2, 3), 2, 6, np.dtype(float)))
        return np.sum(x)

    rg.grad(f)(M)
    rg.hessian(f)(M)


def test_converting_the_precision():
    def f(x):
        y = x.astype(np.float32)
        assert y.dtype == np.float32
        return np.sum(y * y)

    g = rg.grad(f)(M)
    assert g.dtype == np.float64
    np.testing.assert_array_equal(g, 2 * M.astype(np.float32))
    assert rg.jvp(lambda x: np.astype(x, np.float32), (M,), (M,))[1].dtype == np.float32


def test_converting_to_integers_gives_a_plain_array():
    def f(x):
        k = x.astype(int)
        assert type(k) is np.ndarray and type(x.astype(bool)) is np.ndarray
        return np.sum(x[k] * k)

    x = np.array([0.5, 1.5, 2.5])
    np.testing.assert_array_equal(rg.grad(f)(x), [0, 1, 2])
    np.testing.assert_array_equal(rg.hessian(f)(x), np.zeros((3, 3)))


def test_copies_of_a_traced_array_are_the_array():
    f = lambda x: np.sum(copy.deepcopy({"x": x})["x"] * copy.copy(x))
    np.testing.assert_array_equal(rg.grad(f)(V), 2 * V)
    np.testing.assert_array_equal(rg.jvp(f, (V,), (np.ones(3),))[1], np.sum(2 * V))


def test_printing():
    texts = []

    def f(x):
        texts.extend([repr(x), f"{x[0]:.2f}", f"{x}", str(x), np.array_str(x)])
        return np.sum(x)

    rg.grad(f)(V)
    assert texts[0].startswith("Tracer(float64[3], level ") and "0.513" in texts[0]
    assert texts[1] == "1.52" and texts[2] == texts[3] == texts[0]
    assert texts[4] == "[1.519 0.513 2.507]"


def test_branches_are_taken_on_the_value():
    f = lambda x: np.sum(x) if x[0] > 0 and bool(x[1] < 1) and not x[2] == 0 else -np.sum(x)
    np.testing.assert_array_equal(rg.grad(f)(V), [1, 1, 1])
    with pytest.raises(ValueError, match="ambiguous"):
        rg.grad(lambda x: np.sum(x) if x > 0 else 0.0)(V)


def test_ufunc_methods():
    check(lambda x: np.add.reduce(x), M)
    check(lambda x: np.multiply.reduce(x, axis=1), M)
    check(lambda x: np.maximum.reduce(x, axis=None), M)
    check(lambda x: np.minimum.reduce(x, axis=(0, 1)), M)
    check(lambda x: np.add.accumulate(x), M)
    check(lambda x: np.multiply.accumulate(x, axis=1), M)


def test_out_none_is_no_output():
    check(lambda x: np.sum(x, axis=0, out=None), M)
    check(lambda x: np.add(x, x, out=None), M)


def test_object_arrays_of_traced_arrays():
    def f(x):
        many = np.empty(3, dtype=object)
        many[0], many[1], many[2] = x[0], x[1] * x[2], 2.0
        return np.sum(many * many)

    np.testing.assert_allclose(rg.grad(f)(V),
                               [2 * V[0], 2 * V[1] * V[2] ** 2, 2 * V[2] * V[1] ** 2])


def test_functions_with_all_arguments_by_name():
    check(lambda x: np.linalg.det(a=x), M @ M.T)
    check(lambda x: np.sum(a=x, axis=0), M)
    check(lambda x: np.reshape(x, shape=(3, 2)), M)
    check(lambda x: np.clip(x, a_min=-1, a_max=None), M)
    check(lambda x: x[np.argmax(a=x, axis=0)], M.T @ M)
    check(lambda x: np.isclose(a=x, b=0, atol=1) * x, M)


def test_a_filled_array_depends_on_its_filling():
    check(lambda x: np.full_like(x, x[0, 0]), M)
    check(lambda x: np.full_like(x, x[0] * 2), M)
    check(lambda x: np.full_like(x, fill_value=3.0) * x, M)
    check(lambda x: np.full_like(x, x[0, 0], shape=(2,), dtype=float), M)
    assert (rg.jvp(lambda x: np.full_like(x, x[0], dtype=np.float32), (V,), (V,))[1].dtype
            == np.float32)


def test_levels_are_told_apart_in_the_text():
    seen = []
    rg.grad(rg.grad(lambda x: (seen.append(x), x * x)[1]))(1.0)
    assert type(seen[0]) is Tracer and type(seen[0].value) is Tracer
    assert seen[0].level.number > seen[0].value.level.number
