"""Jitted functions: the same values and derivatives, on other numbers too, and nothing shared
with anybody."""

import itertools
import random
import weakref

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, programs, recording, straight_line
from refgrad.errors import LostTrace
from refgrad.primitive import Kind
from refgrad.tree import flatten

from tests.rules import CASES, VARYING, callable_of, each

from .checks import close, curved


def drawn(rule, case):
    """The program of a case, and numbers for it: those that it is traced with, and others."""
    return (case.program(callable_of(rule)),
            *(case.draw(np.random.default_rng(seed)) for seed in (1, 2)))


def floating(arrays):
    return tuple(i for i, a in enumerate(arrays) if np.asarray(a).dtype.kind == "f")


def agrees(f, *calls):
    """The jitted function gives what f gives, call by call; the results belong to the caller, the
    arguments stay."""
    fast = rg.jit(f)
    for args in (*calls, calls[-1]):
        before = rg.tree_map(np.copy, args)
        found, expected = flatten(fast(*args))[0], flatten(f(*args))[0]
        for a, e in zip(found, expected, strict=True):
            if isinstance(e, (np.ndarray, np.generic)):
                assert a.dtype == e.dtype
                close(a, e, "jit", 1e-12)
            else:
                assert repr(a) == repr(e)
        for a, b in zip(flatten(args)[0], flatten(before)[0]):
            np.testing.assert_array_equal(a, b)
        mine, theirs = ([a for a in leaves if isinstance(a, np.ndarray)]
                        for leaves in (found, flatten(args)[0]))
        for i, a in enumerate(mine):
            assert not any(np.shares_memory(a, b) for b in [*mine[i + 1:], *theirs])
            a[...] = 7  # the next call must not see it
    assert fast.program(*calls[-1]) is fast.program(*calls[-1])  # it is really replayed
    return fast


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each(
    [(r, c) for r, c in CASES if r.name not in ("np.array_str", "np.array_repr", "np.empty_like")])
def test_values(rule, case):
    agrees(*drawn(rule, case))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each(VARYING)
def test_derivatives(rule, case):
    program, *calls = drawn(rule, case)
    chosen = floating(calls[0])
    agrees(rg.value_and_grad(curved(program), chosen), *calls)

    def product(arrays, direction):
        def of_chosen(*xs):
            full = list(arrays)
            for i, x in zip(chosen, xs):
                full[i] = x
            return curved(program)(*full)
        return rg.hvp(of_chosen, tuple(arrays[i] for i in chosen), direction)

    direction = tuple(np.random.default_rng(3).standard_normal(np.shape(calls[0][i]))
                      for i in chosen)
    agrees(product, *((tuple(arrays), direction) for arrays in calls))


def test_computed_positions_may_repeat():
    """What is added at computed positions was assigned there, which took one of them."""
    places = np.array([0, 0, 1, 2, 2])

    def total(x):
        i = np.argsort(x)[places]
        return np.sum((x[i] * x[i + 1 - 1] + x[np.minimum(i + 1, 3)]) ** 2)

    x = np.random.default_rng(4).standard_normal((3, 4))
    agrees(lambda x, u: rg.hvp(total, (x,), (u,)), *((a, x[0]) for a in x))


def network(batch=128, width=8, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)
    return ([(draw(width, width), draw(width)), (draw(5, width), draw(5))], draw(batch, width),
            rng.integers(5, size=batch))


def loss(parameters, x, y):
    (V, a), (W, b) = parameters
    return nn.cross_entropy(nn.linear(nn.relu(nn.linear(x, V, a)), W, b), y)


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_whose_minibatches_change(dtype, width):
    f = rg.value_and_grad(loss)
    fast = rg.jit(f)
    for seed in range(3):
        args = network(dtype=dtype, width=width, seed=seed)
        (value, found), (expected, gradient) = fast(*args), f(*args)
        close(value, expected, "value", 1e-4 if dtype == np.float32 else 1e-12)
        for a, e in zip(flatten(found)[0], flatten(gradient)[0], strict=True):
            assert a.dtype == dtype
            close(a, e, "gradient", 1e-4 if dtype == np.float32 else 1e-11)


def test_the_source_is_backpropagation_as_one_writes_it():
    source = rg.jit(rg.grad(loss)).program(*network()).source
    for line in ("v0 = x4 @ x0.T", "v0 += x1", "maximum(v0, 0, out=v0)", "v1 = v0 @ x2.T"):
        assert line in source
    # Two layers forward, two weights, one input; ones for two biases.
    assert source.count("@") == 3 + 1 + 2 + 2 - 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_sizes_and_layouts(n, order):
    x = lambda seed: np.asarray(np.random.default_rng(seed).standard_normal((n, 40)), order=order)
    f = rg.value_and_grad(lambda a, b: np.sum(
        np.tanh(a + b) * (a @ b.T @ a) / (1 + np.sum(a * a, axis=1, keepdims=True))))
    agrees(f, (x(0), x(1)), (x(2), x(3)))
    y = x(4)
    y.flags.writeable = False
    agrees(f, (y, y), (y[::-1], y))


@pytest.mark.parametrize("left", range(3))
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_sums_over_all_axes_but_one(order, left):
    x = np.random.default_rng(0).standard_normal((20, 30, 40))
    f = lambda x: np.sum(np.exp(x.transpose(order)), axis=tuple({0, 1, 2} - {left}))
    fast = agrees(f, (x,), (x[::-1].copy(),))
    # A product with ones, if the axis is the first or the last in memory
    assert ("@" in fast.program(x).source) is (order[left] != 1)


def test_large_arrays_are_used_again():
    def f(x):
        for _ in range(10):
            x = np.tanh(x @ x.T) @ x
        return np.sum(x)

    x = np.random.default_rng(0).standard_normal((64, 64)) / 64
    fast = agrees(rg.value_and_grad(f), (x,), (x.T,))
    lines = fast.program(x).source.splitlines()
    made = [line for line in lines if " = " in line]
    assert len(made) < 45 < 80 < len(lines)


def test_branches_and_numbers_are_checked():
    ran = []

    def f(x):
        ran.append(1)
        n = int(np.argmax(x))
        return np.sum(x * x) * n if x[0] > 0 else np.sum(x) * float(np.floor(x[1]))

    fast = rg.jit(rg.value_and_grad(f))
    for x, times in (([1.0, 2.0, 0.5], 1), ([2.0, 3.0, 1.0], 1),
                     ([2.0, 1.0, 3.0], 2), ([-1.0, 1.5, 0.0], 3),
                     ([-2.0, 1.25, 0.0], 3), ([-1.0, 2.5, 0.0], 4), ([1.0, 2.0, 0.5], 4)):
        ran.clear()
        x = np.array(x)
        value, gradient = fast(x)
        count = len(ran)
        expected = rg.value_and_grad(f)(x)
        assert value == expected[0] and (gradient == expected[1]).all()
        assert count == (1 if times > getattr(test_branches_and_numbers_are_checked, "seen", 0)
                         else 0)
        test_branches_and_numbers_are_checked.seen = times
    test_branches_and_numbers_are_checked.seen = 0


def test_how_many_entries_there_are_may_depend_on_the_numbers():
    f = rg.value_and_grad(lambda x: np.mean(x[x > 0] ** 2))
    agrees(f, (np.array([1.0, -1.0, 2.0]),), (np.array([-3.0, -1.0, 2.0]),),
           (np.array([4.0, 1.0, 2.0]),))
    g = rg.value_and_grad(lambda x: np.mean(x[np.flatnonzero(x > 0)] ** 3))
    agrees(g, (np.array([1.0, -1.0, 2.0]),), (np.array([-3.0, -1.0, 2.0]),))


def test_nan_among_the_numbers_that_are_checked():
    fast = rg.jit(lambda x: x * float(x[0]))
    for _ in range(2):
        assert np.isnan(fast(np.array([np.nan, 1.0]))).all()


def test_other_shapes_dtypes_and_arguments_make_other_programs():
    f = lambda x, how, scale=1.0: np.sum(x) * scale if how == "sum" else np.max(x) * scale
    fast = rg.jit(f)
    x = np.arange(6.0)
    for y, how, kwargs in ((x, "sum", {}), (x, "max", {}), (x.reshape(2, 3), "sum", {"scale": 2.0}),
                           (x, "sum", {}), (x.astype(np.float32), "sum", {"scale": -0.0}),
                           (x.astype(np.float32), "sum", {"scale": 0.0})):
        found, expected = fast(y, how, **kwargs), f(y, how, **kwargs)
        assert repr(found) == repr(expected)


def test_inside_another_transform_it_is_the_function_itself():
    f = lambda x: np.sum(np.sin(x) * x)
    x = np.arange(3.0)
    np.testing.assert_array_equal(rg.grad(rg.jit(f))(x), rg.grad(f)(x))
    np.testing.assert_array_equal(rg.jit(rg.grad(rg.jit(f)))(x), rg.grad(f)(x))


@pytest.mark.parametrize("draw", [
    lambda generator: generator.standard_normal(3), lambda generator: np.random.standard_normal(3),
    lambda generator: random.random()])
def test_random_numbers_are_drawn_at_each_call(draw):
    generator = np.random.default_rng(0)
    fast = rg.jit(lambda x: x * draw(generator))
    assert (fast(np.ones(3)) != fast(np.ones(3))).all()


def test_results_that_are_no_arrays_of_the_program():
    constant = np.arange(3.0)
    fast = rg.jit(lambda x: {"x": x, "again": x, "constant": constant, "view": x[1:], "name": "f",
                             "none": None, "one": 1})
    x = np.ones(3)
    for _ in range(2):
        found = fast(x)
        assert found["name"] == "f" and found["none"] is None and found["one"] == 1
        arrays = [found[k] for k in ("x", "again", "constant", "view")]
        for i, a in enumerate(arrays):
            assert not any(np.shares_memory(a, b) for b in (*arrays[i + 1:], x, constant))
            a[...] = 5
    assert (constant == np.arange(3.0)).all() and (x == 1).all()


def test_a_turned_result_is_copied_only_if_something_else_shows_its_memory():
    x = np.arange(6.0).reshape(2, 3)
    alone = rg.jit(lambda x: (np.exp(x).T, x.T))
    assert alone.program(x).source.count(".copy") == 1 and alone(x)[0].base is not None
    both = rg.jit(lambda x: (lambda y: (y.T, np.reshape(y, (-1,))))(np.exp(x)))
    for _ in range(2):
        turned, flat = both(x)
        turned[...] = 0
        np.testing.assert_array_equal(flat, np.exp(x).ravel())


def test_what_cannot_be_written_down_says_so():
    with pytest.raises(LostTrace, match="may change from call to call of a jitted function"):
        rg.jit(lambda x: np.sum(np.asarray(x)))(np.ones(3))
    with pytest.raises(TypeError, match=r"jit: argument\[1\] of <lambda> is a MaskedArray; "
                                        r"expected a plain array"):
        rg.jit(lambda x, s: x)(np.ones(3), np.ma.ones(3))


def steps_of_one(x):
    e, total = np.zeros(3), 0
    for i in range(3):
        e[i] = 1
        total = total + (i + 1) * np.sum(np.exp(x * e)) * e[i]
        e[i] = 0
    return total


def factor_or_zero(x):
    try:
        return np.linalg.cholesky(np.outer(x, x) + np.diag(x))
    except np.linalg.LinAlgError:
        return np.zeros((3, 3))


def reciprocal_or_zero(x):
    with np.errstate(divide="raise"):
        try:
            return 1 / x
        except FloatingPointError:
            return 0 * x


@pytest.mark.parametrize("f", [
    steps_of_one, factor_or_zero, reciprocal_or_zero, lambda x: x[:np.argmax(x)] * 2,
    lambda x: x[np.argmax(x), None],
    lambda x: (-2.0) ** np.round(x), lambda x: np.mean(np.array([2**62] * 3) + x.astype(int)),
    lambda x: rg.jit(lambda y: x * y)(np.ones(3))])
def test_other_numbers_and_other_errors(f):
    agrees(f, *((np.array(x),)
                for x in ([1.0, 2.0, 3.0], [1.0, -2.0, 0.0], [0.0, 5.0, 1.0], [2.0, 1.0, 1.5])))


def test_arrays_it_closes_over_are_used_as_they_are():
    c = np.ones(3)
    fast = rg.jit(lambda x: x * c)
    assert (fast(np.ones(3)) == 1).all()
    c[0] = 5
    assert (fast(np.ones(3)) == c).all()


def test_a_closure_over_what_another_transform_traces():
    x, held = np.arange(3.0), []
    for inner, expected in ((lambda x: np.sum(held[-1] * x), x),
                            (lambda x: np.sum(x) * held[-1][0], [3, 0, 0])):
        inner = rg.jit(inner)

        def f(w):
            held.append(w)
            return inner(x)

        for _ in range(2):
            np.testing.assert_array_equal(rg.grad(f)(np.ones(3)), expected)


@pytest.mark.parametrize("name", ["repr", "slice", "Changed", "program", "float", "v0", "x0", "v"])
def test_any_name_of_a_primitive_will_do(name):
    def twice(x):
        return np.array([2 * float(v) for v in x])

    twice.__name__ = name
    double, again = rg.custom(twice), rg.custom(twice)
    agrees(lambda x: again(x)[0] * double(x)[:np.argmax(x)] * float(x[0]),
           *((np.array(x),) for x in ([1.0, 2.0], [3.0, 4.0], [3.0, 4.0])))


@pytest.mark.parametrize("f, x", [(lambda x: x.real, 1j), (lambda x: np.sqrt(x + 0j).imag, -1.0)])
def test_complex_arrays_are_refused(f, x):
    with pytest.raises(TypeError, match="complex128"):
        rg.jit(f)(np.array([x]))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_errors_do_is_up_to_the_caller():
    fast = rg.jit(lambda x: 1 / x)
    with np.errstate(divide="ignore"):
        assert np.isinf(fast(np.zeros(2))).all()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        fast(np.zeros(2))
    with pytest.warns(RuntimeWarning) as told:
        fast(np.zeros(3))
    assert len(told) == 1


@pytest.mark.filterwarnings("ignore:jit")
def test_forgotten_programs_leave_nothing_behind():
    class Part:
        pass

    fast = rg.jit(lambda x, part: x)
    parts = [Part() for _ in range(programs.MOST + 5)]
    for part in parts:
        fast(np.ones(2), part)
    kept = [weakref.ref(part) for part in parts]
    del part, parts
    assert sum(k() is not None for k in kept) == programs.MOST


@pytest.mark.parametrize("step",
                         [lambda x, k: np.where(x > k, x, 0.5 * x + 1), lambda x, k: x * 0.5 + 1,
                          lambda x, k: np.cumsum(x)[::-1] / 2])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_long_programs(step, shape):
    def f(x):
        for k in range(2000):
            x = step(x, k)
        return x

    x = np.ones(shape)[()]
    close(rg.jit(f)(x), f(x), "a long program", 1e-12)


def test_an_error_of_the_function_leaves_nothing_behind():
    def f(x):
        if np.sum(x) < 0:
            raise ValueError("negative")
        return np.sum(x)

    fast = rg.jit(f)
    assert fast(np.ones(2)) == 2
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            fast(-np.ones(2))
    assert fast(np.ones(2)) == 2


@pytest.mark.filterwarnings("ignore:jit")
def test_old_programs_make_room():
    fast = rg.jit(lambda x, k: x * int(k))
    x = np.ones(2)
    first = fast.program(x, "0")
    for k in range(programs.MOST + 1):
        assert (fast(x, str(k)) == k).all()
    assert fast.program(x, "0") is not first and fast.program(x, "5") is fast.program(x, "5")


def test_checkpoint_and_custom_primitives():
    @rg.custom
    def cube(x):
        # Not NumPy alone.
        return np.array([float(v) ** 3 for v in np.ravel(x)]).reshape(np.shape(x))

    cube.def_vjp(lambda g, y, x: g * 3 * x * x)
    cube.def_jvp(lambda v, y, x: 3 * x * x * v[0])
    f = rg.value_and_grad(lambda x: np.sum(rg.checkpoint(lambda x: np.sin(x) * cube(x))(x)))
    agrees(f, (np.array([1.0, 2.0]),), (np.array([-1.0, 0.5]),))


def test_an_overflow_that_does_no_harm_is_not_announced():
    fast = rg.jit(rg.grad(lambda x: np.sum(np.tanh(x))))
    for x in (np.array([1.0, 2.0]), np.array([1e4, -1e4])):
        with np.errstate(all="raise", under="ignore"):
            np.testing.assert_array_equal(fast(x), rg.grad(lambda x: np.sum(np.tanh(x)))(x))


# Each of these checks can fail


def spoilt(monkeypatch, name, instead):
    monkeypatch.setattr(straight_line.Writer, name, instead)


FAULTS = {
    "memory that is still needed is overwritten": ("is_done_with",
                                                   lambda self, n, position: n in self.owners),
    "a view does not keep its memory": ("memory_of", lambda self, n: {n}),
    "results are not copied": ("output", lambda self, x, seen: self.text(x)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_writer_is_seen(fault, monkeypatch):
    x, y = np.random.default_rng(0).standard_normal((2, 6, 6))
    programs = (lambda x, y: (x, np.sum(x)),
                rg.value_and_grad(lambda x, y: np.sum(np.tanh(x @ y) * (x - y) * np.sin(x))),
                lambda x, y: (lambda a: ((a * a + 1) @ a.T, a + 1))(x + y),
                lambda x, y: (lambda a: (lambda t: (np.exp(a) * 2, t @ y))(a[::-1]))(x + y))
    for f in programs:
        agrees(f, (x, y), (y, x))
    spoilt(monkeypatch, *FAULTS[fault])
    with pytest.raises(AssertionError):
        for f in programs:
            agrees(f, (x, y), (y, x))


def test_it_is_tried_once_what_a_primitive_is_made_of(monkeypatch):
    tried, written_out = [], recording.Recording.written_out
    monkeypatch.setattr(recording.Recording, "written_out", lambda self, primitive, program: (
        tried.append(primitive.name), written_out(self, primitive, program))[1])
    agrees(rg.grad(lambda x: sum(x[k] ** 2 for k in range(9))), (np.arange(9.0),))
    assert tried.count("scatter_add") == 1


def test_a_check_left_out_is_seen(monkeypatch):
    monkeypatch.setattr(recording.Recording, "check", lambda *args: None)
    with pytest.raises(AssertionError):
        agrees(lambda x: x if x[0] > 0 else -x, (np.ones(2),), (-np.ones(2),))


def test_the_kinds_of_all_rules_are_met():
    assert {rule.kind for rule, _ in CASES} == set(Kind)


def test_a_checkpoint_alone():
    agrees(rg.checkpoint(np.tanh), (np.array([1.0, 2.0]),), (np.array([-1.0, 0.5]),))
    agrees(np.std, (np.array([True, False, False]),), (np.array([True, True, False]),))
