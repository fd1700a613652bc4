"""Balls against NumPy: what NumPy computes in a format must lie in the ball that models the format.

The samples are driven from the tables of the package: an entry without a sample fails.
"""

import threading

import numpy as np
import pytest
from flint import arb, ctx

from crosscheck import ball as package
from crosscheck.ball import (FUNCTIONS, UFUNCS, Ball, Undecided, arithmetic, ball_digamma, ball_erf, ball_erfc,
                             ball_lgamma, ball_log1pexp, ball_logistic, ball_polygamma, ball_sech_squared, branches,
                             digits, distance, register, scatter_add)
from crosscheck.ball.arithmetic import Format

FORMATS = [np.float64, np.float32]
BITS = 300


# Comparing

def as_balls(x):
    """The same arguments, with Balls for float arrays."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return Ball(x)
    if isinstance(x, (list, tuple)):
        return type(x)(map(as_balls, x))
    return {k: as_balls(v) for k, v in x.items()} if isinstance(x, dict) else x


def in_format(x, dtype):
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return x.astype(dtype)
    if isinstance(x, (list, tuple)):
        return type(x)(in_format(part, dtype) for part in x)
    return {k: in_format(v, dtype) for k, v in x.items()} if isinstance(x, dict) else x


def leaves(x):
    return [leaf for part in x for leaf in leaves(part)] if isinstance(x, (list, tuple)) else [x]


def encloses(balls, values):
    """Are the shapes the same, and every value in its ball (plain outcomes: equal)?"""
    balls, values = leaves(balls), leaves(values)
    if len(balls) != len(values) or any(np.shape(b) != np.shape(v) for b, v in zip(balls, values)):
        return False
    return all(np.all(b.contains(v) if isinstance(b, Ball) else np.asarray(b) == v) for b, v in zip(balls, values))


def radius(balls):
    return max((float(np.max(b.radius() / np.maximum(b.abs_upper(), 1), initial=0))
                for b in leaves(balls) if isinstance(b, Ball)), default=0)


def check(function, args, kwargs):
    """One call in every arithmetic: containment, tightness, the bookkeeping of Balls."""
    with np.errstate(all="ignore"):
        with arithmetic(BITS):
            exact = function(*as_balls(args), **as_balls(kwargs))
        assert radius(exact) < 1e-80
        for leaf in leaves(exact):
            assert not isinstance(leaf, Ball) or (leaf.cells.dtype == object and not leaf.cells.flags.writeable
                                                  and all(type(c) is arb for c in leaf.cells.flat))
        for dtype in FORMATS:
            floats = function(*in_format(args, dtype), **in_format(kwargs, dtype))
            with arithmetic(dtype):
                bound = function(*as_balls(args), **as_balls(kwargs))
                assert encloses(bound, floats), f"{bound} does not enclose {floats}"
                assert encloses(bound, exact)
                assert radius(bound) < 1e4 * np.finfo(dtype).eps
        with arithmetic(53):
            assert encloses(function(*as_balls(args), **as_balls(kwargs)), exact)


# Samples: float32 numbers, so that every format sees the same point

def draw(*shape, low=-2.0, high=2.0, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.uniform(low, high, shape).astype(np.float32).astype(np.float64)


ANY, POSITIVE, UNIT, ABOVE_ONE, SMALL = (-2, 2), (0.25, 3), (-0.9, 0.9), (1.25, 4), (-0.5, 3)
DOMAINS = {
    np.sqrt: [POSITIVE], np.reciprocal: [POSITIVE], np.log: [POSITIVE], np.log2: [POSITIVE], np.log10: [POSITIVE],
    np.log1p: [SMALL], np.arcsin: [UNIT], np.arccos: [UNIT], np.arctanh: [UNIT], np.arccosh: [ABOVE_ONE],
    np.divide: [ANY, POSITIVE], np.power: [POSITIVE, ANY], np.float_power: [POSITIVE, ANY],
    np.floor_divide: [ANY, POSITIVE], np.remainder: [ANY, POSITIVE], np.fmod: [ANY, POSITIVE],
    np.divmod: [ANY, POSITIVE], np.tan: [(-1, 1)],
}
ON_TRUTHS = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert}
PRODUCTS = {np.matmul: ((2, 3), (3, 4)), np.vecdot: ((2, 3), (3,)), np.matvec: ((2, 3), (3,)),
            np.vecmat: ((3,), (3, 2))}


def ufunc_operands(ufunc, shapes):
    domains = DOMAINS.get(ufunc, [ANY] * ufunc.nin)
    return [draw(*s, low=d[0], high=d[1], seed=i) for i, (s, d) in enumerate(zip(shapes, domains, strict=False))]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((), ()), ((2, 1), (1, 3)), ((0, 3), (3,))], ids=str)
def test_ufunc(ufunc, shapes):
    if ufunc in PRODUCTS:
        shapes = PRODUCTS[ufunc] if shapes[0] else ((0, *PRODUCTS[ufunc][0]), PRODUCTS[ufunc][1])
    if ufunc is np.ldexp:
        return check(ufunc, [draw(*shapes[0]), np.full(shapes[1], -3)], {})
    if ufunc in ON_TRUTHS:
        args = [np.asarray(x > 0) for x in ufunc_operands(ufunc, shapes)]
        for mode in (BITS, np.float32):
            with arithmetic(mode):
                assert encloses(ufunc(*[Ball(args[0]), *args[1:]]), ufunc(*args))
        return
    check(ufunc, ufunc_operands(ufunc, shapes), {})


class Sample:
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


A, B, V, W, P = draw(3, 4), draw(4, 5, seed=1), draw(4), draw(4, seed=2), draw(3, 4, low=0.25, high=3)
T, E, S0 = draw(2, 3, 4), draw(0, 3), draw()
SQUARE = draw(2, 3, 3) + 4 * np.eye(3)
SPD = np.array([[4.0, 1, 0.5], [1, 3, 0.25], [0.5, 0.25, 2]])
ONE_ARRAY = [Sample(A), Sample(T), Sample(E), Sample(S0)]
AXES = [Sample(A), Sample(T, axis=1), Sample(T, 0, keepdims=True), Sample(S0)]
REDUCED = AXES + [Sample(T, axis=(0, -1)), Sample(E, axis=0)]
JOINED = [Sample([A, A]), Sample((E, E)), Sample([V, W])]

SAMPLES = {
    np.sum: REDUCED, np.mean: AXES + [Sample(T, axis=(0, 2))],
    np.prod: REDUCED, np.cumsum: [Sample(A), Sample(T, axis=1), Sample(E, 0)],
    np.cumprod: [Sample(A), Sample(T, axis=1), Sample(E, 0)],
    np.var: AXES + [Sample(T, axis=(0, 2), ddof=1)], np.std: AXES + [Sample(T, axis=-1, ddof=1, keepdims=True)],
    np.max: AXES + [Sample(T, axis=(0, 1))], np.amax: AXES, np.min: AXES + [Sample(T, axis=(0, 1))], np.amin: AXES,
    np.argmax: AXES[:2] + [Sample(T, 0, keepdims=True)], np.argmin: AXES[:2],
    np.sort: [Sample(A), Sample(T, axis=0), Sample(A, axis=None), Sample(E)],
    np.argsort: [Sample(A), Sample(T, axis=0), Sample(A, axis=None), Sample(E)],
    np.clip: [Sample(A, -0.5, 0.5), Sample(A, None, V), Sample(A, a_min=0, a_max=None), Sample(A, min=-1, max=V)],
    np.all: [Sample(A), Sample(T, axis=1)], np.any: [Sample(A), Sample(T, axis=1, keepdims=True)],
    np.where: [Sample(A > 0, A, V), Sample(A > 0, A, 0), Sample(A > 0, 1.5, A), Sample(S0 > 0, S0, 1)],
    np.select: [Sample([A > 1, A > 0], [A, -A], 3)],
    np.einsum: [Sample("ij,jk->ik", A, B), Sample("ij,jk", A, B), Sample("ii", SQUARE[0]),
                Sample("...ii->...i", SQUARE), Sample("bij,jk->bik", T, B), Sample("...ij,...jk", T, B),
                Sample("ij,ij->", A, A), Sample("ij->ji", A),
                Sample("bhij,bhkj->bhik", draw(2, 3, 4, 5), draw(2, 3, 2, 5, seed=1)), Sample("i,j,k->kij", V, W, V),
                Sample("ij,jk,k->i", A, B, draw(5)), Sample("ij->", A), Sample("ij,kl->il", A, B), Sample(",i", S0, V),
                Sample(A, [0, 1], B, [1, 2], [0, 2]), Sample("ij,ij->ij", E, E), Sample("ij,ik->jk", E, E),
                Sample("ba", A), Sample("bij,bjk->bik", draw(2, 3, 4), draw(1, 4, 2)),
                Sample("iij,j->i", draw(3, 3, 4), V)],
    np.tensordot: [Sample(A, B, 1), Sample(T, A, axes=([1, 2], [0, 1])), Sample(V, W, 0), Sample(A, A, ([1], [1]))],
    np.dot: [Sample(A, B), Sample(V, W), Sample(T, B), Sample(S0, A), Sample(T, draw(2, 4, 5)), Sample(A, V),
             Sample(E.T, E)],
    np.inner: [Sample(A, T), Sample(V, W), Sample(S0, V)], np.outer: [Sample(A, V), Sample(V, E)],
    np.vdot: [Sample(A, A), Sample(V, W)], np.kron: [Sample(A, B), Sample(V, A)],
    np.trace: [Sample(A), Sample(T, 1, 1, 2)],
    np.linalg.solve: [Sample(SQUARE, draw(2, 3, 2)), Sample(SQUARE[0], draw(3)), Sample(SQUARE, draw(3)),
                      Sample(draw(0, 3, 3), draw(0, 3, 1))],
    np.linalg.inv: [Sample(SQUARE), Sample(SQUARE[0]), Sample(draw(0, 0))],
    np.linalg.det: [Sample(SQUARE), Sample(SQUARE[0]), Sample(draw(0, 0)), Sample(draw(1, 1))],
    np.linalg.slogdet: [Sample(SQUARE), Sample(-SQUARE[0]), Sample(draw(0, 0))],
    np.linalg.cholesky: [Sample(SPD), Sample(np.stack([SPD, SPD + 1])), Sample(SPD, upper=True)],
    np.linalg.norm: [Sample(A), Sample(T), Sample(A, "fro"), Sample(A, 1), Sample(A, -1), Sample(A, np.inf),
                     Sample(A, -np.inf), Sample(V, 1), Sample(V, 2), Sample(V, np.inf), Sample(V, -np.inf),
                     Sample(V, 0), Sample(V, 3), Sample(T, axis=1), Sample(T, 2, axis=-1, keepdims=True),
                     Sample(T, 1, axis=0),
                     Sample(T, 1, axis=(0, 2)), Sample(T, np.inf, axis=(2, 0), keepdims=True), Sample(T, axis=(1, 2)),
                     Sample(A, keepdims=True), Sample(0 * V), Sample(P, 1.5, axis=1)],
    np.reshape: [Sample(A, (4, 3)), Sample(T, -1), Sample(E, (3, 0)), Sample(S0, (1, 1))],
    np.ravel: ONE_ARRAY, np.transpose: ONE_ARRAY + [Sample(T, (1, 2, 0))], np.matrix_transpose: ONE_ARRAY[:3],
    np.swapaxes: [Sample(T, 0, 2)], np.moveaxis: [Sample(T, 0, -1), Sample(T, [0, 1], [1, 2])],
    np.rollaxis: [Sample(T, 2)], np.squeeze: [Sample(draw(1, 3, 1)), Sample(draw(1, 3, 1), axis=0), Sample(S0)],
    np.expand_dims: [Sample(A, 1), Sample(S0, (0, 1))], np.broadcast_to: [Sample(V, (3, 4)), Sample(S0, (0, 2))],
    np.broadcast_arrays: [Sample(A, V), Sample(S0, A)], np.meshgrid: [Sample(V, W)],
    np.concatenate: JOINED + [Sample([A, A], axis=1), Sample([A, np.arange(4)[None]], 0)],
    np.stack: JOINED + [Sample([A, A], axis=-1), Sample([S0, S0])], np.vstack: JOINED, np.hstack: JOINED,
    np.dstack: JOINED, np.column_stack: JOINED,
    np.split: [Sample(A, 2, axis=1), Sample(A, [1, 3], 1)], np.array_split: [Sample(A, 2), Sample(T, 3, -1)],
    np.hsplit: [Sample(A, 2)], np.vsplit: [Sample(A, 3)], np.dsplit: [Sample(T, 2)], np.unstack: [Sample(T, axis=1)],
    np.flip: ONE_ARRAY + [Sample(T, axis=(0, 1))], np.fliplr: [Sample(A)], np.flipud: [Sample(A)],
    np.roll: [Sample(A, 1), Sample(T, (1, 2), axis=(0, 1)), Sample(E, 1)], np.rot90: [Sample(A), Sample(T, 2, (1, 2))],
    np.tile: [Sample(A, 2), Sample(A, (2, 1, 3)), Sample(S0, 3)],
    np.repeat: [Sample(A, 2), Sample(A, [1, 0, 2], axis=0)],
    np.take: [Sample(A, [0, 5]), Sample(A, np.array([[1, 0]]), axis=1), Sample(A, 3)],
    np.take_along_axis: [Sample(A, np.argsort(A, 1), 1)], np.delete: [Sample(A, 1, axis=0)],
    np.diag: [Sample(V), Sample(A), Sample(V, 1)], np.diagflat: [Sample(A)],
    np.diagonal: [Sample(A), Sample(T, 1, 1, 2)],
    np.tril: [Sample(A), Sample(T, 1)], np.triu: [Sample(A), Sample(T, -1), Sample(E)],
    np.atleast_1d: [Sample(S0), Sample(S0, A)], np.atleast_2d: [Sample(V)], np.atleast_3d: [Sample(A)],
    np.pad: [Sample(A, 1), Sample(A, ((1, 0), (2, 1)), constant_values=0.5), Sample(A, 1, "edge"),
             Sample(A, 1, "reflect"), Sample(A, 2, mode="wrap"), Sample(A, 1, "symmetric"),
             Sample(E, ((1, 1), (0, 0)))],
    np.astype: [Sample(A, np.float32), Sample(A, int), Sample(A, bool)], np.sinc: [Sample(A), Sample(0 * A)],
    np.copy: ONE_ARRAY, np.shape: ONE_ARRAY, np.ndim: ONE_ARRAY, np.size: ONE_ARRAY + [Sample(A, 1)],
    np.zeros_like: ONE_ARRAY + [Sample(A, shape=(2,)), Sample(A, dtype=bool)],
    np.ones_like: ONE_ARRAY + [Sample(A, float, shape=(2, 0))],
    np.full_like: [Sample(A, 0.5), Sample(A, V), Sample(S0, 2)],
    np.empty_like: [Sample(E)], np.real: ONE_ARRAY, np.imag: ONE_ARRAY,
    np.isrealobj: ONE_ARRAY, np.iscomplexobj: ONE_ARRAY,
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: getattr(f, "__name__", str(f)))
def test_function(function):
    for sample in SAMPLES[function]:
        check(function, sample.args, sample.kwargs)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum])
def test_reduce(ufunc):
    check(lambda x: ufunc.reduce(x), [T], {})
    check(lambda x: ufunc.reduce(x, axis=(1, 2), keepdims=True), [T], {})


# Special functions

def reference(name):
    """In the precision of the argument: SciPy's function, or the textbook formula."""
    formulas = {"log1pexp": lambda x: np.logaddexp(x.dtype.type(0), x), "sech_squared": lambda x: 1 / np.cosh(x) ** 2}
    return formulas.get(name) or getattr(pytest.importorskip("scipy.special"), name)


SPECIAL = [(ball_erf, "erf", ANY), (ball_erfc, "erfc", (-2, 8)), (ball_lgamma, "gammaln", (-3.9, 4)),
           (ball_digamma, "digamma", (-3.9, 4)), (ball_logistic, "expit", (-20, 20)),
           (ball_log1pexp, "log1pexp", (-20, 20)), (ball_sech_squared, "sech_squared", (-20, 20))]


@pytest.mark.parametrize("ours,name,domain", SPECIAL, ids=[name for _, name, _ in SPECIAL])
def test_special(ours, name, domain):
    x = draw(200, low=domain[0], high=domain[1])
    theirs = reference(name)
    with arithmetic(BITS):
        exact = ours(Ball(x))
    assert exact.radius().max() < 1e-75
    for dtype in FORMATS:
        with arithmetic(dtype):
            assert encloses(ours(Ball(x)), theirs(x.astype(dtype))) and encloses(ours(Ball(x)), exact)


def test_polygamma():
    scipy_special = pytest.importorskip("scipy.special")
    x = draw(50, low=0.1, high=5)
    for n in range(4):
        with arithmetic(np.float64):
            assert encloses(ball_polygamma(n, Ball(x)), scipy_special.polygamma(n, x))
    with arithmetic(BITS):      # psi_n(x + 1) = psi_n(x) + (-1)^n n! / x^(n+1), left of zero too
        x = Ball([-2.75, -0.5, 0.25])
        step = ball_polygamma(2, x + 1) - ball_polygamma(2, x)
        assert np.all(step.overlaps(2 / x ** 3)) and step.radius().max() < 1e-80


def test_register():
    def cube(x):
        return x.__array_function__(cube, (Ball,), (x,), {})
    assert cube(Ball(2.0)) is NotImplemented
    try:
        register(cube, lambda x: x * x * x)
        assert cube(Ball(2.0)).mid() == 8
    finally:
        del FUNCTIONS[cube]


def test_scatter_add():
    values, index = draw(50, 3), np.random.default_rng(0).integers(0, 5, 50)

    def scatter(values):
        if isinstance(values, Ball):
            return scatter_add(values, index, (5, 3))
        result = np.zeros((5, 3), values.dtype)
        np.add.at(result, index, values)
        return result
    check(scatter, [values], {})
    assert scatter_add(Ball(1.0), ([0, 0],), (3,)).mid().tolist() == [2, 0, 0]
    assert scatter_add(Ball(E), np.empty(0, int), (4, 3)).shape == (4, 3)


# Accuracy of exact mode

EXTREMES = [1e-300, 1e-30, 1e-5, 0.3, 1 - 2.0 ** -40, 1 + 2.0 ** -40, 3.0, 40.0, 1e8]


@pytest.mark.parametrize("ufunc", [u for u in UFUNCS if u.nout == 1 and u.nin == 1 and u not in ON_TRUTHS],
                         ids=lambda u: u.__name__)
def test_tight_for_tiny_and_large(ufunc):
    x = np.array([v for v in EXTREMES if DOMAINS.get(ufunc) != [UNIT] or v < 1])
    x = x[x > 1] if ufunc is np.arccosh else x
    with arithmetic(BITS):
        y = ufunc(Ball(x))
        if isinstance(y, Ball):
            for cell in y.cells:
                assert cell.rad() <= abs(cell) * arb(2) ** (30 - BITS)


def test_sharp_where_it_matters():
    with arithmetic(400):
        x = Ball(1e-30)
        assert distance(np.tanh(x), x).upper() < 1e-89
        assert digits(np.expm1(np.log1p(x)), x, x) > 115
        assert digits(np.hypot(Ball(3e300), 4e300), 5e300, 1e300) > 15
        assert digits(np.hypot(Ball(3.0) * 2.0 ** 600 * 2.0 ** 600, Ball(4.0) * 2.0 ** 600 * 2.0 ** 600) / 2.0 ** 600,
                      Ball(5.0) * 2.0 ** 600, 2.0 ** 600) > 115
        assert ball_lgamma(Ball(1 + 2.0 ** -50)).radius() < 1e-130


def test_wide_balls_through_monotone_functions():
    x = Ball(0.0, 3.0)
    for f in (np.tanh, np.arcsinh, np.arctan, np.exp, np.expm1, np.cbrt, ball_erf, ball_erfc):
        y = f(x)
        ends = f(Ball([-3.0, 3.0])).mid()
        assert np.allclose([y.lower(), y.upper()], np.sort(ends), rtol=1e-6)


def test_power():
    with arithmetic(100):
        x = Ball([-2.0, 0.0, 3.0])
        assert (x ** 3).mid().tolist() == [-8, 0, 27] and (x ** 3.0).radius().max() == 0
        assert (x ** 0).mid().tolist() == [1, 1, 1] and (Ball(0.0) ** 0.5).mid() == 0
        assert (x ** Ball([2, 2, -1])).mid().tolist() == [4, 0, 1 / 3]
        assert (2 ** x).mid().tolist() == [0.25, 1, 8]
        assert np.isinf((Ball(0.0) ** -1).radius()) and np.isinf((Ball(-1.0) ** 0.5).radius())


def test_rint_ties_and_steps():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, -2.6, 7.0])
    for f in (np.rint, np.floor, np.ceil, np.trunc):
        assert f(Ball(x)).mid().tolist() == f(x).tolist()
    with arithmetic(np.float32):
        assert np.all(np.floor(Ball(1.0, 0.1)).contains([0, 1])) and np.floor(Ball(1.0, 0.1)).radius() < 0.501
        assert np.all(np.rint(Ball(2.55, 0.06)).contains([2, 3]))
    with pytest.raises(Undecided, match="floor"):
        np.floor(Ball(1.0, 0.1))
    with arithmetic(300):
        assert np.floor(Ball(7.0) / 7).mid() == 1


# Bound mode

def spread_out(rng, n, dtype, exponents):
    x = rng.standard_normal(n) * 2.0 ** rng.uniform(*exponents, n)
    x[rng.integers(0, n, n // 20)] = 0
    return np.clip(x, np.finfo(dtype).min, np.finfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype,exponents", [(np.float32, (-150, 128)), (np.float64, (-1075, 1020)),
                                             (np.float16, (-25, 16))])
@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.divide, np.sqrt, np.square, np.hypot, np.exp,
                                   np.exp2, np.tanh, np.arctan, np.log1p, np.logaddexp, np.cbrt, np.sinh, np.expm1])
def test_elementwise_over_the_whole_range(ufunc, dtype, exponents):
    """Every result that is not unbounded is enclosed, subnormal too; by half an ulp and no more (sqrt: one)."""
    rng = np.random.default_rng(1)
    args = [spread_out(rng, 500, dtype, exponents) for _ in range(ufunc.nin)]
    with np.errstate(all="ignore"):
        floats = ufunc(*args)
    with arithmetic(dtype):
        balls = ufunc(*map(Ball, args))
    assert np.all(balls.contains(floats) | np.isinf(balls.radius()))
    assert np.all(np.isinf(balls.radius()[np.isinf(floats) & np.all(np.array(args) != 0, axis=0)]))
    if ufunc in (np.add, np.multiply, np.divide, np.sqrt, np.square) and dtype != np.float16:
        fine = np.isfinite(floats) & (np.abs(floats) < np.finfo(dtype).max / 2)
        limits, ulps = np.finfo(dtype), 1.00001 if ufunc is np.sqrt else 0.50001
        room = ulps * limits.eps * np.abs(floats.astype(float)) + 2 * limits.smallest_subnormal
        assert np.all(balls.radius()[fine] <= room[fine])


def network(x, w, b, v):
    h = np.tanh(x @ w + b)
    h = h / np.sqrt(np.mean(h * h, axis=-1, keepdims=True) + 1e-5)
    z = np.maximum(h, 0) @ v
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    p = e / np.sum(e, axis=-1, keepdims=True)
    return p, np.log(p), np.mean(-np.log(p[:, 0]))


def bounded(program, args, dtype):
    """Does the ball model enclose what NumPy computes, and what is exact?"""
    floats = program(*in_format(args, dtype))
    with arithmetic(BITS):
        exact = program(*map(Ball, args))
    with arithmetic(dtype):
        balls = program(*map(Ball, args))
    return encloses(list(balls), list(floats)) and encloses(list(balls), list(exact))


def layers(seed):
    return [draw(5, 30, seed=seed), draw(30, 20, seed=seed + 1), draw(20, seed=seed + 2), draw(20, 7, seed=seed + 3)]


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_networks_are_bounded(dtype, seed):
    assert bounded(network, layers(10 * seed), dtype)


UNARY = [np.tanh, np.exp, np.sin, np.cos, np.arctan, np.negative, np.square, np.log1p, np.sqrt, np.abs]
BINARY = [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.hypot, np.logaddexp, np.arctan2]


@pytest.mark.parametrize("dtype", FORMATS)
def test_random_programs_are_bounded(dtype):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = [draw(4, 4, seed=s) for s in range(3)]
        floats = [v.astype(dtype) for v in values]
        with arithmetic(dtype), np.errstate(all="ignore"):
            balls = [Ball(v) for v in values]
            for _ in range(12):
                f = [*UNARY, *BINARY, np.matmul, lambda x: np.sum(x, axis=0, keepdims=True) * np.ones((4, 1), dtype)][
                    rng.integers(len(UNARY) + len(BINARY) + 2)]
                picks = rng.integers(0, len(floats), 2)[:1 if f in UNARY or not isinstance(f, np.ufunc) else 2]
                balls.append(f(*(balls[i] for i in picks)))
                floats.append(f(*(floats[i] for i in picks)))
                assert floats[-1].dtype == dtype
                assert np.all(balls[-1].contains(floats[-1]) | np.isinf(balls[-1].radius())), (seed, f)


@pytest.mark.parametrize("dtype", FORMATS)
def test_sums_in_any_order(dtype):
    x = (draw(5000) * 2.0 ** np.random.default_rng(0).integers(-20, 20, 5000)).astype(dtype)
    orders = [x, x[::-1], np.sort(x), x[np.argsort(np.abs(x))], x[np.argsort(-np.abs(x))]]
    with arithmetic(dtype):
        ball, dot = np.sum(Ball(x)), Ball(x) @ Ball(x)
    for y in orders:
        one_by_one = np.cumsum(y)[-1]
        assert ball.contains(np.sum(y)) and ball.contains(one_by_one) and ball.contains(np.sum(y.astype(float)))
        assert dot.contains(y @ y) and dot.contains(np.cumsum(y * y)[-1])
    with arithmetic(400):
        exact = np.sum(Ball(x))
    assert ball.contains(exact)
    gamma = 5000 * np.finfo(dtype).eps / 2
    assert ball.radius() <= 1.01 * gamma * np.sum(np.abs(x.astype(float)))


def test_matmul_bound_is_gamma_n():
    a, b = draw(6, 200).astype(np.float32), draw(200, 6, seed=1).astype(np.float32)
    with arithmetic(np.float32):
        balls = Ball(a) @ Ball(b)
    magnitude = np.abs(a.astype(float)) @ np.abs(b.astype(float))
    gamma = 200 * 2.0 ** -24 / (1 - 200 * 2.0 ** -24)
    assert np.all(balls.contains(a @ b))
    assert np.all(balls.radius() >= gamma * magnitude * (1 - 1e-9))
    assert np.all(balls.radius() <= gamma * magnitude * 1.001)


def test_exact_stays_exact():
    with arithmetic(np.float32):
        x = Ball(draw(3, 4))
        onehot = np.eye(3)[[2, 0]]
        for y in (x, 2 * x, x / 4, -x, x * (draw(3, 4) > 0), np.abs(x), np.maximum(x, 0), x + 0,
                  np.sum(Ball(np.ones(99))), np.exp(0 * x), x ** 0, x ** 1, np.square(Ball(3.0)),
                  np.arange(12) @ Ball(np.arange(12)), onehot @ x,
                  np.sqrt(Ball(9.0)), np.where(x > 0, x, 0), np.sum(x * np.eye(3, 4), axis=0),
                  np.prod(Ball([2.0, 3.0]) * 0)):
            assert np.all(y.radius() == 0)
        assert np.all((onehot @ x).mid() == x.mid()[[2, 0]])
        for y in (Ball(0.1), x * 3, np.exp(x), Ball(2 ** 24 + 1), x / 3, Ball(1.0) + 2.0 ** -30,
                  np.square(Ball(2 ** 13 + 1))):
            assert np.any(y.radius() > 0)


def test_operands_are_rounded_to_the_format():
    x = np.array([0.1, 1 / 3, 1.0, 2.0 ** -149, 2.0 ** -150, 1e-46])
    with arithmetic(300):
        exact = Ball(x)
    with arithmetic(np.float32):
        for ball in (Ball(x), exact * 1, Ball(x[:, None])[:, 0], np.concatenate([exact[:2], x[2:]])):
            assert np.all(ball.contains(x)) and np.all(ball.contains(x.astype(np.float32)))
            assert (ball.radius() == 0).tolist() == [False, False, True, True, False, False]
        with arithmetic(np.float64):
            inner = Ball(x)
            assert np.all(inner.radius() == 0)
        assert (inner * 1).radius()[0] > 0


def test_underflow():
    tiny = np.float32(1e-30)
    x = np.array([1e-38, 3e-39, 1e-45, 7e-42], np.float32)
    with arithmetic(np.float32):
        assert (Ball(tiny) * tiny).contains(0) and (Ball(tiny) * tiny).radius() >= 2.0 ** -150
        assert np.all((Ball(x) / 3).contains(x / np.float32(3)))
        assert np.all((Ball(x) * np.float32(0.3)).contains(x * np.float32(0.3)))
        low = np.float32([-88, -100, -104, -200])
        assert np.all(np.exp(Ball(low)).contains(np.exp(low)))
        assert (Ball(x) @ Ball(x)).contains(x @ x) and (Ball(x) @ Ball(x)).radius() > 0
        assert np.prod(Ball([1e-30, 1e-30, 1e30])).contains(0)
        assert np.einsum("i,i,i->", Ball([1e-30]), Ball([1e-30]), Ball([1e30])).contains(0)
        assert np.all((Ball(x) + Ball(x[::-1])).contains(x + x[::-1]))
        assert np.linalg.norm(Ball([1e-30, 1e-30])).contains(0)


def test_overflow_is_unbounded_and_stays_so():
    with arithmetic(np.float32):
        big = Ball(3e38)
        for y in (big + big, big * 2, big * 10, Ball(1e20) * 1e20, np.exp(Ball(90.0)), Ball([3e38, 3e38, -3e38]).sum(),
                  Ball([1e20]) @ Ball([1e20]), np.prod(Ball([1e30, 1e30, 1e-30])), Ball(1e39), np.square(Ball(1e20)),
                  np.mean(Ball([3e38, 3e38])), np.linalg.norm(Ball([1e20])), big / 0.5, Ball(1e-5) / 1e-45,
                  np.sinh(Ball(95.0)),
                  np.einsum("i,i,i->", Ball([1e30]), Ball([1e30]), Ball([1e-30])), np.sinh(Ball(89.0))):
            assert np.all(np.isinf(y.radius()))
            for after in (np.tanh(y), 0 * y, y - y, np.maximum(y, 0), np.where(y > 0, 1.0, 0.0) * y):
                assert np.all(np.isinf(after.radius()))
        assert np.all(np.isinf(np.sort(np.stack([big * 2, Ball(1.0)])).radius()))
        assert (big + 1).radius() < 1e32 and np.isfinite((big * 1).radius())
        assert np.exp(Ball(-np.inf)).mid() == 0 and np.max(Ball([-np.inf, 2.0])).mid() == 2
        assert (Ball(-np.inf) + 1).mid() == -np.inf


VALUED = [u for u in UFUNCS if u not in {*ON_TRUTHS, *PRODUCTS, np.ldexp} and not {"d->?", "dd->?"} & set(u.types)]


@pytest.mark.parametrize("ufunc", VALUED, ids=lambda u: u.__name__)
@pytest.mark.parametrize("dtype", FORMATS)
def test_indeterminate_operands_stay_so(ufunc, dtype):
    """Overflow may have made a NaN: no function may bring it back to a bounded ball."""
    with arithmetic(dtype):
        nan, one = Ball(np.full(2, np.finfo(dtype).max)) * 4, Ball([0.0, 0.5])
        assert np.all(np.isinf(nan.radius()))
        for args in ([nan, one], [one, nan])[:ufunc.nin]:
            where_one_decides = {np.power: args[1] is one, np.float_power: args[1] is one,          # NaN ** 0 = 1
                                 np.copysign: args[0] is one, np.heaviside: args[0] is one}
            if not where_one_decides.get(ufunc):
                for y in leaves(ufunc(*args[:ufunc.nin])):
                    assert np.all(np.isinf(y.radius()))


def test_zero_has_two_signs_in_floats():
    with arithmetic(np.float32):
        assert np.all(np.arctan2(Ball([0.0, 0.0]), -1).contains(np.arctan2(np.float32([0.0, -0.0]), np.float32(-1))))
        assert np.all(np.copysign(1.0, Ball([0.0, 0.0])).contains([1, -1])) and isinstance(np.signbit(Ball(0.0)), Ball)
    assert np.arctan2(Ball(0.0), -1).mid() == np.pi and not np.signbit(Ball(0.0))


def test_invalid_is_indeterminate():
    for y in (np.log(Ball(-1.0)), np.log(Ball(0.0)), np.sqrt(Ball(-1.0)), 1 / Ball(0.0), Ball(np.nan),
              np.arcsin(Ball(2.0))):
        assert np.isinf(y.radius()) and y.contains(np.nan) and y.contains(np.inf) and y.contains(1)
        assert y.lower() == -np.inf and y.upper() == np.inf


# Comparisons

def test_decided_comparisons_are_plain():
    x = draw(3, 4)
    for op in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
        outcome = op(Ball(x), 0.25)
        assert type(outcome) is np.ndarray and outcome.dtype == bool and np.all(outcome == op(x, 0.25))
    assert (Ball(x) == x).all() and not (Ball(x) != x).any() and type(Ball(1.0) < 2) is np.bool_


def test_undecided_raises_in_exact_mode():
    third = Ball(1.0) / 3
    one = np.stack([3 * third, Ball(1.0)])
    zero = 3 * third - 1
    cases = {"less": lambda: 3 * third < 1, "equal": lambda: 3 * third == 1,
             "maximum": lambda: np.maximum(3 * third, 1), "max": lambda: np.max(one),
             "argmax": lambda: np.argmax(one), "sort": lambda: np.sort(one),
             "argsort": lambda: np.argsort(one), "sign": lambda: np.sign(zero), "bool": lambda: bool(zero),
             "signbit": lambda: np.signbit(zero), "not": lambda: ~zero, "isnan": lambda: np.isnan(1 / Ball(0.0)),
             "where": lambda: np.where(zero, 1, 0), "and": lambda: np.logical_and(zero, True),
             "floor": lambda: np.floor(zero), "trunc": lambda: Ball(1.0, 0.5).astype(int)}
    for name, program in cases.items():
        with pytest.raises(Undecided, match=name):
            program()
    for program in (lambda: np.clip(zero, 0, 1), lambda: np.copysign(1.0, zero), lambda: np.heaviside(zero, 0.5)):
        with pytest.raises(Undecided):
            program()
    with pytest.raises(Undecided) as caught:
        Ball([0.0, 1.0]) < Ball([1.0, 1.0], [0.0, 0.5])
    assert caught.value.function == "less" and caught.value.index == (1,) and len(caught.value.balls) == 2
    assert "index (1,)" in str(caught.value)
    assert np.abs(zero).upper() < 1e-15         # continuous: nothing to decide


def test_indicators_in_bound_mode():
    with arithmetic(np.float32):
        x = Ball([0.0, -1.0, 1.0], [0.5, 0.5, 0.5])
        mask = x > 0
        assert isinstance(mask, Ball) and mask.lower().tolist() == [0, 0, 1] and mask.upper().tolist() == [1, 0, 1]
        assert (~mask).upper().tolist() == [1, 1, 0] and (mask & True).lower().tolist() == [0, 0, 1]
        assert type(mask & False) is np.ndarray and type(mask | True) is np.ndarray
        assert np.logical_or(mask, np.array([False, True, False])).lower().tolist() == [0, 1, 1]
        assert np.logical_xor(mask, True).upper().tolist() == [1, 1, 0]
        hull = np.where(mask, 2.0, -3.0)
        assert hull.lower() == pytest.approx([-3, -3, 2]) and hull.upper() == pytest.approx([2, -3, 2])
        relu = mask * x
        assert np.all(relu.contains([0.25, 0, 1])) and np.all(relu.contains([0, 0, 1.25]))
        assert np.all(np.maximum(x, 0).contains([0.5, 0, 1.5]))
        assert np.all(np.sign(x).contains([1, -1, 1])) and np.all(np.sign(x).contains([-1, -1, 1]))
        assert isinstance(np.any(mask[:2]), Ball) and np.any(mask) and not np.all(mask)
        assert np.max(x).upper() == pytest.approx(1.5) and np.max(x).lower() == pytest.approx(0.5)
        low, high = np.sort(x).lower(), np.sort(x).upper()
        assert low == pytest.approx([-1.5, -0.5, 0.5]) and high == pytest.approx([-0.5, 0.5, 1.5])
        assert np.all(np.heaviside(x, 0.5).contains([0.5, 0, 1])) and np.all(np.copysign(2.0, x).contains([-2, -2, 2]))
        overlapping = Ball([0.0, 0.25], [0.5, 0.5])
        assert np.all(np.sort(overlapping).contains([0.25, 0.5])) and isinstance(mask == mask[::-1], Ball)
        for open_index in (np.argmax, np.argsort):
            with pytest.raises(Undecided):
                open_index(overlapping)
        with pytest.raises(TypeError):
            x & x


def test_one_object_is_one_number():
    """A cell that was taken twice ties with itself; indicators never share cells."""
    x = Ball([1.0, 2.0]) / 3
    pair = np.stack([x[1], x[1], x[0]])
    assert np.max(pair).overlaps(x[1]) and np.argmax(pair) == 0 and np.argsort(pair).tolist() == [2, 0, 1]
    assert np.all(x == x) and np.all(x <= x) and not np.any(x < x) and np.maximum(x, x).shape == (2,)
    with arithmetic(np.float32):
        mask = Ball([0.0, 0.0], [1.0, 1.0]) > 0
        assert isinstance(mask[0] == mask[1], Ball)


def test_branch_logs():
    def program(x):
        y = np.where(x > 0, x, -x)
        return np.max(np.maximum(y, 0.5)) + np.abs(x).sum() + np.sort(x)[0] + x[np.argmax(x)] + np.floor(x)[0]

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
        assert np.isinf((Ball(0.0, 1.0) * Ball(2.0) ** 2000).radius()) and (Ball(2.0) ** 2000).upper() == np.inf
        assert (Ball(2.0) ** 2000).lower() == np.finfo(float).max


def test_to_float_rounds_once():
    with arithmetic(300):
        just_above_a_tie = Ball(1.0) + 2.0 ** -24 + Ball(2.0) ** -80        # through float64 it would go down
        assert just_above_a_tie.to_float(np.float32) == np.float32(1) + np.float32(2.0 ** -23)
        assert (Ball(1.0) + 2.0 ** -24).to_float(np.float32) == 1
        x = Ball(draw(500)) / 3
        assert np.all(x.to_float(np.float64) == x.mid()) and x.to_float(np.float32).dtype == np.float32
        assert np.all(np.abs(x.to_float(np.float16) - x.mid()) <= 2.0 ** -11 * np.abs(x.mid()))


def test_digits_and_distance():
    with arithmetic(300):
        third = Ball(1.0) / 3
        assert 16 < digits(third, 1 / 3) < 17 and distance(third, 1 / 3).mid() == pytest.approx(1.85e-17, rel=0.01)
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
    for y in (x + b, b + x, 2 * b, np.float64(2) * b, b * np.float64(2), x @ b, b @ x, x / b, 1 - b, b ** 2, 2 ** b, -b,
              +b, abs(b), b // 2, b % 2, x % b, np.float32(3) ** b):
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
    for y in (b + s, s * b if hasattr(Stranger, "__mul__") else np.multiply(s, b), np.maximum(b, s), np.where(s, b, 1),
              np.stack([b, s]), np.dot(b, s), b < s, b @ s, np.full_like(b, s), np.pad(b, 1, constant_values=s)):
        assert y == "mine"
    assert b.__array_ufunc__(np.add, "__call__", b, s) is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, 1j) is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, "x") is NotImplemented
    assert b.__array_ufunc__(np.add, "__call__", b, [1, s]) is NotImplemented
    assert b.__array_ufunc__(np.add, "outer", b, b) is NotImplemented
    assert b.__array_ufunc__(np.gcd, "__call__", b, b) is NotImplemented
    assert b.__array_function__(np.dot, (Ball, Stranger), (b, s), {}) is NotImplemented
    for program in (lambda: b + 1j, lambda: b + np.ones(2, complex), lambda: np.fft.fft(b), lambda: np.quantile(b, 0.5),
                    lambda: np.add.accumulate(b), lambda: b + None, lambda: np.percentile(b, 5), lambda: b + "x"):
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
    with pytest.raises(TypeError, match="immutable"):
        np.sum(b, where=np.array([True, False]))
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
    for convert in (float, int, np.asarray, np.array, complex, lambda b: np.array([b, b]), lambda b: [0, 1, 2][b],
                    lambda b: np.ones(3)[b]):
        with pytest.raises(TypeError, match="mid"):
            convert(Ball(1.0))
    assert Ball(1.0) and not Ball(0.0)
    with pytest.raises(ValueError):
        bool(Ball([1.0, 2.0]))


def test_the_face_of_an_ndarray():
    x = draw(2, 3, 4)
    b = Ball(x)
    assert (b.shape, b.ndim, b.size, len(b), b.dtype) == ((2, 3, 4), 3, 24, 2, np.dtype(object))
    for index in (0, (1, 2, 3), slice(None, None, -1), (..., 0), (None, 1), x > 0, (slice(None), [0, 2]),
                  (0, [[1], [2]], 3), ..., (), x[:, 0, 0] > 5):
        assert isinstance(b[index], Ball) and np.array_equal(b[index].mid(), x[index])
    for name, args in [("reshape", (4, 6)), ("reshape", ((4, -1),)), ("ravel", ()), ("flatten", ()), ("transpose", ()),
                       ("transpose", (1, 0, 2)), ("swapaxes", (0, 1)), ("squeeze", ()), ("sum", ()), ("max", ()),
                       ("min", (1,)), ("mean", (0,)), ("prod", ()), ("cumsum", (1,)), ("var", (-1,)), ("std", ()),
                       ("clip", (-1, 1)), ("repeat", (2,)), ("take", ([1, 2],)), ("copy", ()), ("item", (5,)),
                       ("item", (1, 2, 3))]:
        result, expected = getattr(b, name)(*args), getattr(x, name)(*args)
        assert isinstance(result, Ball) and result.shape == np.shape(expected) and np.allclose(result.mid(), expected)
    assert b.T.shape == (4, 3, 2) and b.mT.shape == (2, 4, 3)
    assert b.argmax() == x.argmax() and b.argmin(0).shape == (3, 4)
    assert [row.shape for row in b] == [(3, 4)] * 2 and b[0].dot(b[1].T).shape == (3, 3)
    with pytest.raises(TypeError):
        len(b[0, 0, 0])
    with pytest.raises(TypeError):
        iter(b[0, 0, 0])


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
    """LAPACK's own rounding, for matrices of any condition; NumPy's det is the exponential of a sum of logarithms."""
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
    for f in (np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2)), lambda a: np.linalg.cholesky(-a),
              lambda a: np.linalg.inv(a[:1])):
        with pytest.raises(np.linalg.LinAlgError):
            f(singular)
    with arithmetic(np.float32):
        assert np.all(np.isinf(np.linalg.inv(singular).radius()))
    with pytest.raises(Undecided, match="cholesky"):
        np.linalg.cholesky(Ball([[1.0, 1.0], [1.0, 1.0]], 1e-9))
    for f in (lambda: Ball(A) @ Ball(A), lambda: np.einsum("ij,jk", Ball(A), A), lambda: np.matmul(Ball(1.0), A),
              lambda: np.einsum("ij->ii", Ball(A)), lambda: np.einsum("ij,k", Ball(A)), lambda: np.dot(Ball(V), A),
              lambda: np.tensordot(Ball(A), B), lambda: np.max(Ball([]))):
        with pytest.raises(ValueError):
            f()
    with pytest.raises(NotImplementedError):
        np.linalg.norm(Ball(A), 2, axis=(0, 1))


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
        planted.setitem(UFUNCS, np.exp, lambda x: Ball.from_cells(np.array([c.exp().mid() for c in x.cells], object)))
        with pytest.raises(AssertionError):
            check(np.exp, [draw(50)], {})
    check(np.exp, [draw(50)], {})


def test_flint_stays_in_its_room():
    assert package.__name__ == "crosscheck.ball" and set(package.__all__) <= set(dir(package))
