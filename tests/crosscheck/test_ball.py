"""Balls themselves: comparisons, the array, arithmetic contexts, and planted faults."""

import threading

import numpy as np
import pytest
from flint import arb, ctx

from crosscheck import ball as package
from crosscheck.ball import FUNCTIONS, Ball, Undecided, arithmetic, branches, digits, distance
from crosscheck.ball.arithmetic import Format
from tests.methods import METHODS, M
from tests.crosscheck.balls import BITS, FORMATS, SQUARE, A, B, V, bounded, check, draw


# Comparisons

def test_decided_comparisons_are_plain():
    x = draw(3, 4)
    for op in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
        outcome = op(Ball(x), 0.25)
        assert (type(outcome) is np.ndarray and outcome.dtype == bool
                and np.all(outcome == op(x, 0.25)))
    assert (Ball(x) == x).all() and not (Ball(x) != x).any() and type(Ball(1.0) < 2) is np.bool_


def test_undecided_raises_in_exact_mode():
    third = Ball(1.0) / 3
    one = np.stack([3 * third, Ball(1.0)])
    zero = 3 * third - 1
    cases = {"less": lambda: 3 * third < 1, "equal": lambda: 3 * third == 1,
             "maximum": lambda: np.maximum(3 * third, 1), "max": lambda: np.max(one),
             "argmax": lambda: np.argmax(one), "sort": lambda: np.sort(one),
             "argsort": lambda: np.argsort(one), "sign": lambda: np.sign(zero),
             "bool": lambda: bool(zero), "signbit": lambda: np.signbit(zero), "not": lambda: ~zero,
             "isnan": lambda: np.isnan(1 / Ball(0.0)),
             "where": lambda: np.where(zero, 1, 0), "and": lambda: np.logical_and(zero, True),
             "floor": lambda: np.floor(zero), "trunc": lambda: Ball(1.0, 0.5).astype(int)}
    for name, program in cases.items():
        with pytest.raises(Undecided, match=name):
            program()
    for program in (lambda: np.clip(zero, 0, 1), lambda: np.copysign(1.0, zero),
                    lambda: np.heaviside(zero, 0.5)):
        with pytest.raises(Undecided):
            program()
    with pytest.raises(Undecided) as caught:
        Ball([0.0, 1.0]) < Ball([1.0, 1.0], [0.0, 0.5])
    assert (caught.value.function == "less" and caught.value.index == (1,)
            and len(caught.value.balls) == 2)
    assert "index (1,)" in str(caught.value)
    assert np.abs(zero).upper() < 1e-15         # continuous: nothing to decide


def test_indicators_in_bound_mode():
    with arithmetic(np.float32):
        x = Ball([0.0, -1.0, 1.0], [0.5, 0.5, 0.5])
        mask = x > 0
        assert (isinstance(mask, Ball) and mask.lower().tolist() == [0, 0, 1]
                and mask.upper().tolist() == [1, 0, 1])
        assert (~mask).upper().tolist() == [1, 1, 0] and (mask & True).lower().tolist() == [0, 0, 1]
        assert type(mask & False) is np.ndarray and type(mask | True) is np.ndarray
        assert np.logical_or(mask, np.array([False, True, False])).lower().tolist() == [0, 1, 1]
        assert np.logical_xor(mask, True).upper().tolist() == [1, 1, 0]
        hull = np.where(mask, 2.0, -3.0)
        assert (hull.lower() == pytest.approx([-3, -3, 2])
                and hull.upper() == pytest.approx([2, -3, 2]))
        relu = mask * x
        assert np.all(relu.contains([0.25, 0, 1])) and np.all(relu.contains([0, 0, 1.25]))
        assert np.all(np.maximum(x, 0).contains([0.5, 0, 1.5]))
        assert np.all(np.sign(x).contains([1, -1, 1])) and np.all(np.sign(x).contains([-1, -1, 1]))
        assert isinstance(np.any(mask[:2]), Ball) and np.any(mask) and not np.all(mask)
        assert np.max(x).upper() == pytest.approx(1.5) and np.max(x).lower() == pytest.approx(0.5)
        low, high = np.sort(x).lower(), np.sort(x).upper()
        assert low == pytest.approx([-1.5, -0.5, 0.5]) and high == pytest.approx([-0.5, 0.5, 1.5])
        assert (np.all(np.heaviside(x, 0.5).contains([0.5, 0, 1]))
                and np.all(np.copysign(2.0, x).contains([-2, -2, 2])))
        overlapping = Ball([0.0, 0.25], [0.5, 0.5])
        assert (np.all(np.sort(overlapping).contains([0.25, 0.5]))
                and isinstance(mask == mask[::-1], Ball))
        for open_index in (np.argmax, np.argsort):
            with pytest.raises(Undecided):
                open_index(overlapping)
        with pytest.raises(TypeError):
            x & x


def test_one_object_is_one_number():
    """An entry that is taken twice is equal to itself, although its ball is wide; the indicators of
    two comparisons are different numbers."""
    x = Ball([1.0, 2.0]) / 3
    pair = np.stack([x[1], x[1], x[0]])
    assert (np.max(pair).overlaps(x[1]) and np.argmax(pair) == 0
            and np.argsort(pair).tolist() == [2, 0, 1])
    assert (np.all(x == x) and np.all(x <= x) and not np.any(x < x)
            and np.maximum(x, x).shape == (2,))
    with arithmetic(np.float32):
        mask = Ball([0.0, 0.0], [1.0, 1.0]) > 0
        assert isinstance(mask[0] == mask[1], Ball)


def test_branch_logs():
    def program(x):
        y = np.where(x > 0, x, -x)
        return (np.max(np.maximum(y, 0.5)) + np.abs(x).sum() + np.sort(x)[0] + x[np.argmax(x)]
                + np.floor(x)[0])

    def log_of(x):
        with arithmetic(BITS), branches() as log:
            program(Ball(x))
        return log
    x = draw(6)
    near, far = x + 1e-9, x.copy()
    far[2] = -far[2]
    assert log_of(x) == log_of(near) and log_of(x) != log_of(far)
    assert len(log_of(x)) == 7 and len(set(log_of(x))) > 5
    with branches() as outer:
        Ball(1.0) < 2
        with branches() as inner:
            Ball(1.0) < 2
        assert len(inner) == 1
    assert len(outer) == 2
    Ball(1.0) < 2
    assert len(outer) == 2
    with branches() as ties:
        np.maximum(Ball([0.0, 1.0]), 0)
    with branches() as no_ties:
        np.maximum(Ball([1e-9, 1.0]), 0)
    assert ties != no_ties


# The array

def test_conversion_and_reading():
    x = np.array([0.1, -2.5, 2.0 ** 70])
    with arithmetic(20):
        assert Ball(x).mid().tolist() == x.tolist() and Ball(x).radius().max() == 0
        assert Ball(2 ** 90 + 1).cells.item() == 2 ** 90 + 1
        assert Ball([1, True, 2.5]).mid().tolist() == [1, 1, 2.5]
        assert Ball([Ball(1.0), 2, Ball(3.0)]).mid().tolist() == [1, 2, 3]
        assert Ball([[Ball(1.0), 0.5]]).shape == (1, 2) and Ball([]).shape == (0,)
        for kind in (np.int8, np.uint64, np.float16, np.float32, bool):
            assert Ball(np.ones(2, kind)).mid().tolist() == [1, 1]
    with arithmetic(200):
        third = Ball(1.0) / 3
        assert third.lower() < third.upper() and third.mid() == 1 / 3
        assert arb(float(third.lower())) < third.cells.item() < arb(float(third.upper()))
        assert 0 < third.radius() < 1e-59 and third.abs_upper() >= third.mid()
        assert Ball(1.0, 0.5).contains([0.75, 2.0]).tolist() == [True, False]
        assert Ball(1.0, 0.5).overlaps(Ball(2.0, 0.5)) and not Ball(1.0, 0.5).overlaps(1.75)
        assert Ball(1.0).radius() == 0 and (Ball(2.0) ** -2000).radius() == 0
        assert (Ball(0.0, 1.0) * Ball(2.0) ** -2000).radius() == 5e-324
        assert (np.isinf((Ball(0.0, 1.0) * Ball(2.0) ** 2000).radius())
                and (Ball(2.0) ** 2000).upper() == np.inf)
        assert (Ball(2.0) ** 2000).lower() == np.finfo(float).max


def test_digits_and_distance():
    with arithmetic(300):
        third = Ball(1.0) / 3
        assert (16 < digits(third, 1 / 3) < 17
                and distance(third, 1 / 3).mid() == pytest.approx(1.85e-17, rel=0.01))
        assert digits(Ball(1.0), 1.0) == np.inf and digits(third, third) > 85
        assert digits(third, np.nan) == -np.inf and digits(third, 0, 0) == -np.inf
        tiny = Ball(2.0) ** -5000
        assert 80 < digits(tiny / 3, tiny / 3, tiny) < 95 and 1500 < digits(tiny, 2 * tiny) < 1510
        assert digits(Ball([1.0, 2.0]), [1.0, 2.5]).tolist()[0] == np.inf
    with arithmetic(np.float32):
        assert distance(Ball(1.0), 1 + 1e-12).mid() == pytest.approx(1e-12, rel=1e-3)


def test_operators_with_everything():
    b, x = Ball([1.0, 2.0]), np.array([3.0, 4.0])
    for y in (x, 2, 2.5, True, np.float64(2), np.float32(2), np.int64(2), [1, 2.5], [Ball(1.0), 3]):
        for op in (np.add, np.subtract, np.multiply, np.divide):
            assert isinstance(op(b, y), Ball) and isinstance(op(y, b), Ball)
    for y in (x + b, b + x, 2 * b, np.float64(2) * b, b * np.float64(2), x @ b, b @ x, x / b, 1 - b,
              b ** 2, 2 ** b, -b, +b, abs(b), b // 2, b % 2, x % b, np.float32(3) ** b):
        assert isinstance(y, Ball)
    assert (x - b).mid().tolist() == [2, 2] and (1 / b).mid().tolist() == [1, 0.5]
    assert [q.mid().tolist() for q in divmod(b, 1.5)] == [[0, 1], [1, 0.5]]
    assert ((b < x) & (x > b)).all() and isinstance(x > b, np.ndarray)


class Stranger:
    """Another array type that speaks both protocols."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "mine"

    def __array_function__(self, function, types, args, kwargs):
        return "mine"


def test_unknown_operands_are_left_to_others():
    b, s = Ball([1.0, 2.0]), Stranger()
    for y in (b + s, s * b if hasattr(Stranger, "__mul__") else np.multiply(s, b), np.maximum(b, s),
              np.where(s, b, 1), np.stack([b, s]), np.dot(b, s), b < s, b @ s, np.full_like(b, s),
              np.pad(b, 1, constant_values=s)):
        assert y == "mine"
    assert b.__array_ufunc__(np.add, "__call__", b, s) is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, 1j) is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, "x") is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, [1, s]) is NotImplemented
    assert b.__array_ufunc__(np.add, "outer", b, b) is NotImplemented
    assert b.__array_ufunc__(np.gcd, "__call__", b, b) is NotImplemented
    assert b.__array_function__(np.dot, (Ball, Stranger), (b, s), {}) is NotImplemented
    for program in (lambda: b + 1j, lambda: b + np.ones(2, complex), lambda: np.fft.fft(b),
                    lambda: np.roots(b), lambda: np.add.accumulate(b), lambda: b + None,
                    lambda: np.histogram2d(b, b), lambda: b + "x"):
        with pytest.raises(TypeError):
            program()


def test_immutable():
    b = Ball([1.0, 2.0])
    with pytest.raises(TypeError, match="immutable"):
        b[0] = 1
    with pytest.raises(TypeError, match="immutable"):
        b += 1
    with pytest.raises(TypeError, match="immutable"):
        np.add(b, b, out=np.empty(2, object))
    for call in (lambda: b.sum(0, None, np.empty(())), lambda: np.clip(b, 0, 1, np.empty(2)),
                 lambda: np.max(b, 0, np.empty(())),
                 lambda: np.sum(b, where=np.array([True, False]))):
        with pytest.raises(TypeError, match="immutable"):
            call()
    assert b.sum(0, None, None, True).shape == b.var(0, None, None, 1, True).shape == (1,)
    with pytest.raises(ValueError):
        b.cells[0] = arb(1)
    with pytest.raises(AttributeError):
        b.cells = None
    mine = np.array([arb(1), arb(2)], object)
    theirs = Ball.from_cells(mine)
    mine[0] = arb(5)
    assert theirs.mid().tolist() == [1, 2]
    with pytest.raises(TypeError):
        Ball.from_cells(np.array([1, arb(2)], object))
    assert b.copy() is b and b.astype(np.float32) is b
    assert b.astype(int).tolist() == [1, 2] and b.astype(bool).dtype == bool
    with pytest.raises(TypeError):
        b.astype(complex)
    with pytest.raises(Undecided):
        Ball(1.0, 0.5).astype(int)


def test_no_silent_conversion():
    for convert in (float, int, np.asarray, np.array, complex, lambda b: np.array([b, b]),
                    lambda b: [0, 1, 2][b], lambda b: np.ones(3)[b]):
        with pytest.raises(TypeError, match="mid"):
            convert(Ball(1.0))
    assert Ball(1.0) and not Ball(0.0)
    with pytest.raises(ValueError):
        bool(Ball([1.0, 2.0]))


def test_the_face_of_an_ndarray():
    x = draw(2, 3, 4)
    b = Ball(x)
    assert (b.shape, b.ndim, b.size, len(b), b.dtype) == ((2, 3, 4), 3, 24, 2, np.dtype(object))
    for index in (0, (1, 2, 3), slice(None, None, -1), (..., 0), (None, 1), x > 0,
                  (slice(None), [0, 2]), (0, [[1], [2]], 3), ..., (), x[:, 0, 0] > 5):
        assert isinstance(b[index], Ball) and np.array_equal(b[index].mid(), x[index])
    assert b.item(5).mid() == x.item(5) and b.item(1, 2, 3).mid() == x[1, 2, 3] and b.copy() is b
    assert [row.shape for row in b] == [(3, 4)] * 2 and b[0].dot(b[1].T).shape == (3, 3)
    with pytest.raises(TypeError):
        len(b[0, 0, 0])
    with pytest.raises(TypeError):
        iter(b[0, 0, 0])


#: Functions that balls do not implement.
WITHOUT = np.round,


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    if getattr(np, name.split()[0], None) in WITHOUT:
        with pytest.raises(TypeError, match=f"no implementation found for 'numpy.{name}'"):
            METHODS[name](Ball(M))
    else:
        check(METHODS[name], [M], {})


def test_repr():
    assert repr(Ball(1.5)) == "Ball(1.500000000)" and "±" in repr(Ball([1.0]) / 3)
    assert repr(Ball(np.zeros((0, 2)))) == "Ball([], shape=(0, 2))" and "nan" in repr(Ball(np.nan))
    assert "..." in repr(Ball(np.zeros(5000)))


# Arithmetic contexts

def test_contexts_nest_and_restore():
    before = ctx.prec
    with arithmetic(400):
        assert ctx.prec == 400
        with arithmetic(np.float32):
            assert Ball(0.1).radius() > 0
            with arithmetic("float64"):
                assert Ball(0.1).radius() == 0
        assert ctx.prec == 400 and Ball(0.1).radius() == 0
        with pytest.raises(ZeroDivisionError), arithmetic(np.float64):
            raise ZeroDivisionError
        assert ctx.prec == 400
    assert ctx.prec == before
    for kind in (int, np.longdouble, complex):
        with pytest.raises(TypeError), arithmetic(kind):
            pass


def test_the_mode_belongs_to_the_thread():
    seen = []
    with arithmetic(np.float32), branches() as log:
        thread = threading.Thread(target=lambda: seen.append((Ball(0.1).radius(), Ball(1.0) < 2)))
        thread.start()
        thread.join()
        assert Ball(0.1).radius() > 0
    assert seen[0][0] == 0 and not log


@pytest.mark.parametrize("dtype", FORMATS)
def test_linear_algebra_is_bounded(dtype):
    """LAPACK's own rounding, for matrices of any condition; NumPy's det is the exponential of a sum
    of logarithms."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = seed % 5 + 1
        a, b = rng.standard_normal((n, n)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)
        s = a @ a.T + np.eye(n, dtype=dtype) / 8
        s = (s + s.T) / 2
        with arithmetic(dtype):
            for f, args in ((np.linalg.inv, [a]), (np.linalg.solve, [a, b]), (np.linalg.det, [a]),
                            (np.linalg.cholesky, [s]), (lambda a: np.linalg.slogdet(a)[1], [s])):
                balls, floats = f(*map(Ball, args)), f(*args)
                assert np.all(balls.contains(floats) | np.isinf(balls.radius()))
    with arithmetic(dtype):
        assert np.linalg.inv(Ball(SQUARE)).radius().max() < 1e4 * np.finfo(dtype).eps


def test_finer_roundings_give_the_bound_to_first_order():
    x = draw(4, 20)

    def program(x):
        return np.exp(np.tanh(x @ x.T))
    with arithmetic(np.float32):
        bound = program(Ball(x)).radius()
    with arithmetic(np.float32, finer=30):
        finer = program(Ball(x)).radius()
    assert np.allclose(finer * 2.0 ** 30, bound, rtol=1e-2)


def test_linear_algebra_errors():
    singular = Ball([[1.0, 2.0], [2.0, 4.0]])
    for f in (np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2)),
              lambda a: np.linalg.cholesky(-a), lambda a: np.linalg.inv(a[:1])):
        with pytest.raises(np.linalg.LinAlgError):
            f(singular)
    with arithmetic(np.float32):
        assert np.all(np.isinf(np.linalg.inv(singular).radius()))
    with pytest.raises(Undecided, match="cholesky"):
        np.linalg.cholesky(Ball([[1.0, 1.0], [1.0, 1.0]], 1e-9))
    for f in (lambda: Ball(A) @ Ball(A), lambda: np.einsum("ij,jk", Ball(A), A),
              lambda: np.matmul(Ball(1.0), A), lambda: np.einsum("ij->ii", Ball(A)),
              lambda: np.einsum("ij,k", Ball(A)), lambda: np.dot(Ball(V), A),
              lambda: np.tensordot(Ball(A), B), lambda: np.max(Ball([]))):
        with pytest.raises(ValueError):
            f()
    with pytest.raises(NotImplementedError):
        np.linalg.svd(Ball(A))
    for f in (np.linalg.svdvals, np.linalg.pinv, np.linalg.qr):
        with pytest.raises(Undecided):
            f(Ball([[1.0, 1.0], [1.0, 1.0]]))
    with pytest.raises(Undecided):
        np.linalg.eigh(Ball(np.eye(2)))


# Would these tests notice?

def test_a_dropped_radius_is_noticed(monkeypatch):
    """Without the rounding model the balls no longer enclose what floats compute."""
    def elementwise(x):
        return [np.exp(x) * x / 3]

    def product(a, b):
        return [a @ b]
    for attribute, without, program, args in (
            ("factor", lambda self, ulps: arb(1), elementwise, [draw(50)]),
            ("spread", lambda self, n: arb(0), product, [draw(20, 300), draw(300, 20)])):
        assert bounded(program, args, np.float32)
        with monkeypatch.context() as planted:
            planted.setattr(Format, attribute, without)
            assert not bounded(program, args, np.float32)
    with monkeypatch.context() as planted:
        planted.setitem(FUNCTIONS, np.exp, lambda x: Ball.from_cells(
            np.array([c.exp().mid() for c in x.cells], object)))
        with pytest.raises(AssertionError):
            check(np.exp, [draw(50)], {})
    check(np.exp, [draw(50)], {})


def test_flint_stays_in_its_room():
    assert package.__name__ == "crosscheck.ball" and set(package.__all__) <= set(dir(package))
