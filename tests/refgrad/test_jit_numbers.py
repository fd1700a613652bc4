"""Numbers under jit: Python's are inputs, those that leave are checked, and so are failures."""

import decimal
import math
import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.errors import ClosedLevel, InPlaceWrite, LostTrace
from refgrad.tree import flatten

X = np.array([1.0, 2.0, 3.0])
X32 = X.astype(np.float32)


def outcome(f, args):
    """What a call gives, to the last bit and type; or its error's type."""
    with np.errstate(all="ignore"):
        try:
            return [(type(y), getattr(y, "dtype", None), repr(y)) for y in flatten(f(*args))[0]]
        except Exception as error:
            return type(error)


def agrees(f, *calls):
    """The jitted function gives what f gives, and replays it; returns how often f ran."""
    ran = []

    def counted(*args):
        ran.append(1)
        return f(*args)

    fast = rg.jit(counted)
    for args in calls:
        assert outcome(fast, args) == outcome(f, args), args
    written = len(ran)
    for args in calls:
        assert outcome(fast, args) == outcome(f, args), args
    failed = sum(type(outcome(f, args)) is type for args in calls)  # runs again each time
    assert len(ran) == written + failed
    return written - failed


@pytest.mark.parametrize("f, calls, programs", [
    (lambda x, c: x * c, [(X32, 0.1), (X32, 0.7), (X32, -0.0)], 1),  # float32 stays float32
    (lambda x, c: (x * c + 1, c * 2, -c, abs(c), c - 0.5), [(X32, k / 7) for k in range(9)], 1),
    (lambda x, n: (x * n, n * n, n + 1, n // 2, n % 3), [(X32, k) for k in range(9)], 1),
    (lambda x, n: n * n * n * x[0], [(X, 3), (X, 10**9), (X, -2)], 1),  # as many digits as needed
    (lambda x, n: x * n, [(X, 3), (X, 10**400)], 1),
    (lambda x, c: c / x, [(X, 2.0), (X, 0.0), (X, math.inf)], 1),
    (lambda x, c: x * (1 / c), [(X, 2.0), (X, 0.0), (X, 4.0)], 1),  # division by zero raises
    (lambda x, c: c**0.5 * 2, [(X, 4.0), (X, 9.0)], 1),
    (lambda x, c: c**0.5, [(X, 4.0), (X, -4.0), (X, 9.0)], 2),  # a complex number is another kind
    (lambda x, c: np.copysign(x, c), [(X, 0.0), (X, -0.0), (X, math.nan), (X, -3.0)], 1),
    (lambda x, c: x if c > 0.5 else -x, [(X, 1.0), (X, 0.0), (X, 2.0), (X, math.nan)], 2),
    (lambda x, c: {1.0: "a"}.get(c, "b"), [(X, 1.0), (X, 2.0), (X, 2.0)], 2),
    (lambda x, c: np.sum(x) * math.copysign(1, c), [(X, 0.0), (X, -0.0)], 2),
    (lambda x, c: math.sqrt(c) * x, [(X, 4.0), (X, 9.0), (X, -1.0)], 2),
    (lambda x, c: f"{c:.1f}", [(X, 0.11), (X, 0.12), (X, 0.2)], 2),
    (lambda x, c: (str(c), repr(c), c.hex(), c.is_integer()), [(X, 0.5), (X, 2.0)], 2),
    (lambda x, c: {"c": c, "x": x}, [(X, 0.5), (X, -0.0)], 1),
    (lambda x, c: (np.sin(c), np.maximum(c, 0), np.where(x > c, x, c)), [(X, 0.5), (X, 2.0)], 1),
    (lambda x, c: (np.clip(x, 0, c), np.linspace(0, c, 3), x**c), [(X, 0.5), (X, 2.0)], 1),
    (lambda x, c: (np.full(3, c) * x, np.array([c, 1.0])), [(X, 0.5), (X, 2.0), (X, 0.5)], 2),
    (lambda x, n: (range(n)[-1], [5, 6, 7][n], np.ones(n)), [(X, 1), (X, 2), (X, 1)], 2),
    (lambda x, n: x[n], [(X, 1), (X, 0), (X, -1)], 3),
    (lambda x, n: np.roll(x, n), [(X, 1), (X, 2), (X, 1)], 2),
    (lambda x, n: np.sum(np.outer(x, x), axis=n), [(X, 0), (X, 1), (X, 7)], 2),
    (lambda x, c: (isinstance(c, float), isinstance(c, int)), [(X, 1.0), (X, 1)], 2),
    (lambda x, c: np.isscalar(c), [(X, 1.0), (X, 1)], 2),
    (lambda x, c: type(c) is float, [(X, 1.0), (X, 1)], 2),
    (lambda x, c: float(decimal.Decimal(c)) * x, [(X, 1.0), (X, 2.0)], 3),  # takes a float alone
    (lambda x, n: x * np.random.default_rng(n).normal(), [(X, 1), (X, 2), (X, 1)], 3),
    (lambda x, c: nn.leaky_relu(-x, c) + nn.huber_loss(x, x * 0, delta=c), [(X, 0.5), (X, 2.0)], 1),
    (lambda x, flag: x if flag else -x, [(X, True), (X, False), (X, 1)], 3),
    (lambda x, z: x * np.copysign(1, z.imag), [(X, 1 + 0j), (X, complex(1, -0.0))], 2),
    (lambda x, s: (x * s, isinstance(s, float)), [(X, np.float64(0.5)), (X, np.float64(2))], 1)])
def test_a_number_of_pythons_is_an_input(f, calls, programs):
    assert agrees(f, *calls) <= programs


@pytest.mark.parametrize("transform", [
    rg.value_and_grad, lambda f: rg.value_and_grad(f, (0, 1)), rg.hessian,
    lambda f: lambda x, c: rg.jvp(f, (x, c), (x, 1.0)),
    lambda f: lambda x, c: rg.hvp(lambda x: f(x, c), (x,), (x,))])
def test_it_may_be_differentiated(transform):
    ran = []

    def f(x, c=0.5):
        ran.append(1)
        return np.sum(np.tanh(x * c) ** 2) / c

    fast, slow = rg.jit(transform(f)), transform(f)
    fast(X, 0.3)
    written = len(ran)
    for c in (0.3, 0.7, -2.0):
        found = flatten(fast(X, c))[0]
        assert len(ran) == written
        for a, e in zip(found, flatten(slow(X, c))[0], strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-12)
        written = len(ran)


LEAVING = {
    "bool": lambda x: x if x[0] > 0.5 else -x,
    "float": lambda x: x * float(x[0]),
    "int": lambda x: x[:int(x[1])],
    "complex": lambda x: x * complex(x[0]).real + complex(x[0]).imag,
    "format": lambda x: np.sum(x) * float(format(x[0], ".3f")),
    "a text": lambda x: np.sum(x) * (1 if f"{x[0]:.1f}" == "1.0" else -1),
    "texts": lambda x: (str(x), repr(x), f"{x}", f"{x[0]}", f"{x[0]:.2f}", np.array_str(x)),
    "lists": lambda x: (x.tolist(), x[0].item(), [*x][::-1], sorted(x), max(x), 2.0 in x),
    "round": lambda x: (round(x[0]), round(x[0], 1) * x, round(x[0], -1), np.round(x, 1)),
    "an index into a list": lambda x: [7.0, 8.0, 9.0][np.argmax(x)] * x,
    "an index into a plain array": lambda x: np.array([7.0, 8.0, 9.0])[np.argsort(x)] * x,
    "a mask of a plain array": lambda x: np.array([7.0, 8.0, 9.0])[x > 1.5],
    "how many entries": lambda x: len(np.flatnonzero(x > 1.5)) * x,
}


@pytest.mark.parametrize("what", LEAVING)
def test_a_number_that_leaves_is_checked(what):
    agrees(LEAVING[what], *((x,) for x in (X, X + 0.25, X[::-1].copy(), -X, X * 1.37, X)))


FAILING = {
    **{name: f"np.linalg.{name}" for name in (
        "inv(x)", "solve(x, np.ones(3))", "cholesky(x)", "eigh(x)", "svd(x)", "eigvals(x)",
        "matrix_power(x, -1)")},
    "an index": "np.ones(4)[x.astype(int)[0] - 1]", "np.take": "np.take(x, x.astype(int))",
    "np.bincount": "np.bincount(np.ravel(x).astype(int))",
    "an integer to a negative power": "np.arange(3) ** x.astype(int)",
    "an integer": "int(x[0, 0] / 0)", "math": "math.sqrt(x[1, 1] - 0.5)",
    "shapes": "x[x > 1.5] * np.ones(2)", "an empty maximum": "np.max(x[x > 2.5])",
    "a number of values": "a, b = np.ravel(x)[np.ravel(x) > 1.5]",
}
MATRICES = [np.diag([1.0, 2.0, 3.0]), np.diag([1.0, 0.0, -3.0]), np.zeros((3, 3)), np.eye(3) * 2,
            np.full((3, 3), 2.0)]


@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("what", FAILING)
def test_whether_it_fails_may_decide_a_branch(what, derivative):
    names = {"np": np, "math": math}
    exec(f"def f(x):\n try:\n  {FAILING[what]}\n  s = 1.0\n"
         f" except (ValueError, IndexError, ArithmeticError):\n"
         f"  s = -1.0\n return s * np.sum(x * x)", names)
    f = names["f"]
    if not derivative or what not in ("an integer", "math"):
        agrees(rg.value_and_grad(f) if derivative else f, *((a,) for a in MATRICES))


@pytest.mark.parametrize("how", ["errstate", "warnings"])
@pytest.mark.parametrize("operation", [
    "1 / x", "np.log(x)", "np.sqrt(x)", "np.exp(300 * x)", "x / x"])
def test_errors_that_numpy_is_told_to_raise(operation, how):
    around = {
        "errstate": "with np.errstate(divide='raise', invalid='raise', over='raise'):",
        "warnings": "with warnings.catch_warnings(action='error'), np.errstate(all='warn'):"}
    names = {"np": np, "warnings": __import__("warnings")}
    exec(f"def f(x):\n {around[how]}\n  try:\n   {operation}\n   s = 1.0\n"
         "  except (FloatingPointError, RuntimeWarning):\n   s = -1.0\n"
         " return s * np.sum(np.cos(x))",
         names)
    for f in (names["f"], rg.grad(names["f"])):
        agrees(f, *((x,) for x in (X, X - 1, -X, X - 4, X * 0.5)))


def test_errors_that_the_caller_tells_numpy_to_raise():
    def f(x):
        with np.errstate(invalid="ignore"):
            y = np.sqrt(x)
        try:
            np.log(x)
        except FloatingPointError:
            return -y
        return y

    fast = rg.jit(f)
    for how in ("ignore", "raise", "warn", "raise"):
        for x in (X, -X, X):
            with np.errstate(all=how), warnings.catch_warnings(action="ignore"):
                np.testing.assert_array_equal(fast(x), f(x))


@rg.custom
def looks(x):
    try:
        return x * (1 if float(x[0]) > 1 else 2)
    except Exception:
        return x * 0


@rg.custom
def looks_anyway(x):
    try:
        return x * (1 if float(x[0]) > 1 else 2)
    except:  # noqa: E722
        return x * 0


@pytest.mark.parametrize("primitive", [looks, looks_anyway])
def test_a_signal_is_not_swallowed(primitive):
    assert agrees(lambda x: primitive(x) + 1, (X,), (X + 1,), (X,)) == 1


def test_a_custom_primitive_that_closes_over_an_argument():
    f = lambda x: rg.custom(lambda z: z * x * (1 if x[0] > 1 else 2))(x + 1)
    agrees(f, (X,), (X + 1,), (X,))


@pytest.mark.parametrize("body, error", [
    ("np.asarray(x)", LostTrace), ("np.array([x[0], 1.0])", LostTrace), ("x.data", AttributeError),
    ("list(x.flat)", AttributeError), ("np.testing.assert_allclose(x, 1)", LostTrace)])
def test_an_error_of_jit_is_not_swallowed(body, error):
    names = {"np": np}
    exec(f"def f(x):\n try: {body}\n except: pass\n return x", names)
    with pytest.raises(error):
        rg.jit(names["f"])(X)


def test_an_argument_is_not_overwritten():
    def f(x):
        x[0] = 5.0
        return x

    with pytest.raises(InPlaceWrite, match="argument of the function"):
        rg.jit(f)(X)
    np.testing.assert_array_equal(X, [1, 2, 3])


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="target holds the class 7; expected 0 <= class < 3"):
        rg.jit(nn.cross_entropy)(np.zeros((2, 3)), np.array([0, 7]))
    with pytest.raises(TypeError, match=r"jit: np.fromfunction was given a function"):
        rg.jit(lambda x: np.fromfunction(np.add.outer, (2,), like=x))(X)
    with pytest.raises(TypeError, match="jit: expected real arrays, got complex128"):
        rg.jit(lambda x: np.fft.fft(x))(X)


WHOLE = [
    lambda x: np.percentile(x, 30), lambda x: np.unique(x, return_counts=True),
    lambda x: np.where(x > 1), lambda x: np.where(np.outer(x, x) > 1), np.gradient,
    lambda x: x[np.nonzero(x > 1.5)], lambda x: np.argwhere(x > 1), lambda x: np.partition(x, 1),
    lambda x: np.histogram(x, bins=3), lambda x: np.linalg.eigh(np.outer(x, x)),
    lambda x: np.linalg.lstsq(np.outer(x, x) + np.eye(3), x, rcond=None),
    lambda x: np.linalg.svd(np.outer(x, x) + np.eye(3)).S, lambda x: np.add.outer(x, x),
    lambda x: np.compress(x > 1.5, x), lambda x: np.extract(x > 1.5, x),
    lambda x: np.meshgrid(x, x), lambda x: np.delete(x, np.argmax(x)),
    lambda x: np.insert(x, np.argmax(x), 5.0), lambda x: np.cov(x, x),
    lambda x: np.repeat(x, np.abs(x).astype(int)), lambda x: np.add(x, 1, dtype=np.float32),
    lambda x: np.select([x > 2, x > 1], [x, 2 * x], 0), lambda x: np.trim_zeros(x - 1),
    lambda x: np.take(X, np.argsort(x)), lambda x: np.compress(x > 1.5, X)]


@pytest.mark.parametrize("f", WHOLE)
def test_functions_that_are_written_down_as_they_are(f):
    agrees(f, (X,), (X[::-1].copy(),), (X + 1,), (-X,))


SELECTING = {
    "sort": lambda x: np.sum(np.sort(x) ** 2 * np.arange(3.0)),
    "median": lambda x: np.median(x) ** 2,
    "index": lambda x: x[np.argmax(x)] ** 2, "mask": lambda x: np.sum(x[x > 1.5] ** 2),
    "nonzero": lambda x: np.sum(x[np.nonzero(x > 1.5)] ** 2),
    "compress": lambda x: np.sum(np.compress(x > 1.5, x) ** 2),
    "extract": lambda x: np.sum(np.extract(x > 1.5, x) ** 2),
    "delete": lambda x: np.sum(np.delete(x, np.argmax(x)) ** 2),
    "where": lambda x: np.sum(np.where(x > 1.5, x, 0) ** 2),
    "take_along_axis": lambda x: np.sum(np.take_along_axis(x, np.argsort(x), 0) * x),
    "cross_entropy": lambda x: nn.cross_entropy(x[None] * x[0], np.array([1])),
}
ORDERS = {
    "grad": rg.grad, "hessian": rg.hessian, "jacobian": lambda f: rg.jacobian(rg.grad(f)),
    "hvp": lambda f: lambda x: rg.hvp(f, (x,), (x,)),
    "jvp": lambda f: lambda x: rg.jvp(f, (x,), (x,)),
    "reverse twice": lambda f: rg.grad(lambda x: np.sum(rg.grad(f)(x) ** 2)),
    "forward": lambda f: rg.jacobian(rg.grad(f), mode="forward", batched=False)}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("what", SELECTING)
def test_recorded_indices_at_any_order(what, order):
    derivative = ORDERS[order](SELECTING[what])
    fast = rg.jit(derivative)
    first, second = np.array([3.0, 1.0, 2.0]), np.array([1.0, 5.0, 2.0])
    for x in (first, second, first):
        for a, e in zip(flatten(fast(x))[0], flatten(derivative(x))[0], strict=True):
            np.testing.assert_allclose(a, e, atol=1e-12)
    if what in ("sort", "median", "index", "where", "take_along_axis", "cross_entropy"):
        assert fast.program(first) is fast.program(second)  # whatever the order of the entries


def test_augmented_assignments():
    def f(x):
        m = x > 1
        other = m
        m |= x < -1
        m &= x < 3
        m ^= x > 0
        y = np.copy(x)
        z = y
        y += 1
        y **= 2
        y //= 0.3
        y %= 2.0
        return np.where(other, x, 0) * 2, z

    agrees(f, (X,), (-X,), (X / 3,))


def test_an_array_that_leaks_says_so():
    leaked = []
    with pytest.raises(TypeError, match="stores a traced array in leaked"):
        rg.jit(lambda x: leaked.append(x))(X)
    for use in (lambda y: y + 1, float, lambda y: y.tolist()):
        with pytest.raises(ClosedLevel):
            use(leaked[0])
