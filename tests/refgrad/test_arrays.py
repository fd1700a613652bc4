"""Arrays of other libraries: the op table on Dask's and on an array type that stands for CuPy's."""

import warnings
from collections import Counter

import numpy as np
import pytest

import refgrad as rg
from refgrad import foreign, nn
from refgrad.errors import Refused

from crosscheck.studies.arrays import table as arrays

from .. import recording
from ..recording import Recording

NUMPYS, OWN = arrays.rules(), arrays.rules(of_numpy=False)


def count(rules, give, take, own, tried=arrays.WAYS):
    """How often each way ends how, and what is wrong or converted."""
    ends, bad = Counter(), []
    for rule in rules:
        for case, way, what, _, _ in arrays.found(rule, give, take, own, tried=tried):
            ends[way, what] += 1
            if what in arrays.BAD:
                bad.append((rule.name, case, way, what))
    return ends, bad


@pytest.mark.parametrize("rules, share", [(NUMPYS, 0.98), (OWN, 0.88)], ids=["numpy", "own"])
def test_the_op_table_on_arrays_like_cupys(rules, share):
    ends, bad = count(rules, recording.give, recording.take, Recording)
    assert not bad
    for way in arrays.WAYS:
        works, refused = ends[way, "works"], ends[way, "refused"]
        assert works >= share * (works + refused), (way, works, refused)


def test_the_op_table_on_dask():
    dask = pytest.importorskip("dask")
    import dask.array as da

    def computed(*args, **kwargs):
        raise AssertionError("an array was computed before it was asked for")

    def give(x):
        return da.from_array(x, chunks=tuple(max(1, (n + 1) // 2) for n in x.shape))

    with dask.config.set(scheduler=computed), warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        ends, bad = count(NUMPYS, give, lambda x: x.compute(scheduler="synchronous"), da.Array,
                          arrays.WAYS[:-1])
    assert not bad
    for way in arrays.WAYS[:-1]:
        assert ends[way, "works"] >= 330, ends


@pytest.mark.parametrize("of", [
    lambda x: np.std(x), lambda x: np.std(x, axis=0), lambda x: np.linalg.norm(x, 3, axis=0),
    lambda x: np.linalg.norm(x, 1.5, axis=1)])
def test_a_number_in_the_arithmetic_of_an_array_has_no_axes(of):
    """CuPy's full_like ignores shape=(): std and p-norms had axes too many, and wrong slopes."""
    x = np.random.default_rng(3).standard_normal((3, 4))
    value, pull = rg.vjp(of, x)
    theirs, pull_theirs = rg.vjp(of, Recording(x))
    assert theirs.shape == value.shape
    np.testing.assert_allclose(theirs.data, value)
    np.testing.assert_allclose(pull_theirs(Recording(np.ones(value.shape)))[0].data,
                               pull(np.ones(value.shape))[0])


def test_results_and_what_comes_beside_are_the_librarys_arrays():
    x = Recording(np.arange(1.0, 4))
    assert type(rg.grad(lambda x: np.sum(x ** 3))(x)) is Recording
    g, aux = rg.grad(lambda x: (np.sum(x), {"mask": x > 2, "y": 2 * x}), has_aux=True)(x)
    assert {type(a) for a in (g, *aux.values())} == {Recording}
    assert type(nn.relu(x)) is type(rg.erf(x)) is Recording
    second = rg.hessian(lambda x: np.sum(x ** 3))(x)
    assert type(rg.jacobian(np.exp)(x)) is type(second) is Recording


def test_constants_of_numpys_meet_an_array_of_the_librarys():
    x, c = Recording([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_allclose(rg.grad(lambda x: np.sum(c * x))(x).data, c)
    np.testing.assert_allclose(rg.grad(lambda p: np.sum(x * p))(c).data, x.data)


def test_nothing_is_converted():
    with pytest.raises(TypeError, match="trace|NumPy's"):
        rg.grad(lambda x: np.sum(np.array([x[0], 1.0])))(Recording([1.0]))
    with pytest.raises(Refused, match="array of NumPy's"):
        np.asarray(foreign.wrapped(Recording([1.0])))


def test_a_library_is_declared_from_outside():
    class Mine(Recording):
        pass

    def never(*args, **kwargs):
        raise NotImplementedError("my arrays do not grow; use Yours")

    foreign.LIBRARIES[Mine] = foreign.Library("Mine", {np.exp: never}, give=Mine)
    try:
        with pytest.raises(Refused, match="exp on arrays of Mine: my arrays .* Yours"):
            rg.grad(lambda x: np.sum(np.exp(x)))(Mine([1.0]))
    finally:
        del foreign.LIBRARIES[Mine]


def test_an_array_of_dasks_beside_traced_ones():
    da = pytest.importorskip("dask.array")
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((8, 3)), rng.standard_normal(3)
    data = da.from_array(X, chunks=(4, 3))
    want = rg.grad(lambda w: np.mean(np.logaddexp(0, X @ w)))(w)
    for program in (lambda w: np.mean(np.logaddexp(0, data @ w)),
                    lambda w: np.mean(np.logaddexp(0, np.dot(data, w)))):
        got = rg.grad(program)(w)
        assert isinstance(got, da.Array)
        np.testing.assert_allclose(got.compute(), want, rtol=1e-12)


def test_what_dask_cannot_know_is_refused():
    da = pytest.importorskip("dask.array")
    x = da.from_array(np.arange(1.0, 5), chunks=2)
    with pytest.raises(Refused, match="np.where"):
        rg.grad(lambda x: np.sum(x[x > 2]))(x)


def test_jit_follows_what_depends_on_the_numbers():
    f = rg.jit(rg.grad(lambda x: np.sum(x ** 2) if x[0] > 0 else -np.sum(x)))
    for _ in range(2):
        assert f(Recording([1.0, 2.0])).data.tolist() == [2.0, 4.0]
        assert f(Recording([-1.0, 2.0])).data.tolist() == [-1.0, -1.0]


def test_jit_keeps_a_buffer_as_it_was_and_gives_results_away():
    def f(x):
        buffer = Recording([2.0, 2.0])
        y = x * buffer
        buffer[0] = 3.0
        return y + x * buffer, x

    jitted, x = rg.jit(f), Recording([1.0, 1.0])
    for _ in range(2):
        y, same = jitted(x)
        assert y.data.tolist() == [5.0, 4.0]
        same[0] = 7.0
        assert x.data.tolist() == [1.0, 1.0]


def test_jit_refuses_what_it_cannot_compare():
    w = Recording([1.0])
    with pytest.raises(Refused, match="w.*argument"):
        rg.jit(lambda x: x * w)(Recording([1.0]))
    da = pytest.importorskip("dask.array")
    with pytest.raises(Refused, match="lazy"):
        rg.jit(np.exp)(da.ones(3))


def test_jit_replays_programs_with_constants_of_numpys():
    """A replay that failed would be traced again, and be right, but slow."""
    traced, c = [], np.array([1.0, 2.0, 3.0])

    def f(x):
        traced.append(1)
        return np.sum(c * x + np.zeros_like(x) + np.where(x > 1, c, x))

    both, x = rg.jit(rg.value_and_grad(f)), Recording([0.5, 1.5, 2.5])
    for _ in range(3):
        value, gradient = both(x)
        assert value.data == 16.5 and gradient.data.tolist() == [2.0, 2.0, 3.0]
    assert len(traced) == 1
