"""Errors name the function, the argument, what came, and the way out."""

import math
import pickle
import re

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import ClosedLevel, InPlaceWrite, LostTrace, NoRule

X = np.array([0.5, -1.5, 2.0])
M = np.outer(X, X) + np.eye(3)

TRANSFORMS = {"grad": lambda f: rg.grad(f),
              "jvp": lambda f: lambda x: rg.jvp(f, (x,), (np.ones_like(x),)),
              "second": lambda f: rg.hessian(f)}


def raises(error, message, f, x=X):
    """The same error in every mode and at second order, with every part of the message."""
    for transform in TRANSFORMS.values():
        with pytest.raises(error) as caught:
            transform(f)(x)
        assert re.search(message, str(caught.value),
                         re.DOTALL), f"{caught.value}\nhas no\n{message}"


# No rule

WAY_OUT = r"has no differentiation rule.*refgrad\.functions\(\).*refgrad\.custom"


@pytest.mark.parametrize("f, name", [
    (lambda x: np.polydiv(x, x), "np.polydiv"),
    (lambda x: np.histogram(x, "auto"), "np.histogram with bins='auto'"),
    (lambda x: np.histogram2d(x, x), "np.histogram2d"),
    (lambda x: np.logaddexp.reduce(x, where=x > 0), r"np\.logaddexp\.reduce with where="),
    (lambda x: np.gcd(x, 1), "np.gcd"),
    (lambda x: np.pad(x, 1, mode="empty"), r"np\.pad with mode='empty'"),
    (lambda x: np.pad(x, 1, mode="reflect", reflect_type="odd"),
     r"np\.pad with reflect_type='odd'"),
    (lambda x: np.linalg.svd(np.diag(x)[:2]),
     r"np\.linalg\.svd with full_matrices=True and a= of 2 x 3 numbers"),
    (lambda x: np.reshape(x[:, None], (3, 1), order="A"),
     r"np\.reshape with order='A', which depends on the memory"),
    (lambda x: np.reshape(x, (3, 1), copy=False), r"np\.reshape with copy=False"),
    (lambda x: np.linalg.qr(np.diag(x), "raw"), r"np\.linalg\.qr with mode='raw'"),
    (lambda x: np.cross(x[:2], x[:2]), r"np\.cross with a= and b= of 2 and 2 entries"),
    (lambda x: x.astype(complex), r"np\.astype with dtype=complex128"),
    (lambda x: np.trace(np.diag(x), dtype=complex),
     r"np\.trace\(a=.*, dtype=type\): np\.astype with dtype=complex128"),
    (lambda x: np.mean(x, dtype=int),
     r"np\.mean\(a=float64\[3\], dtype=type\): a reduction with dtype=int64")])
def test_no_rule(f, name):
    raises(NoRule, f"{name}.*{WAY_OUT}", f)


@pytest.mark.parametrize("f, call", [
    (lambda x: np.exp(x, dtype=complex), r"np\.exp with dtype=complex"),
    (lambda x: np.clip(x, 0, 1, casting="no"), r"np\.clip with casting="),
    (lambda x: np.einsum("i,i", x, x, dtype=float, order="C"), r"np\.einsum with dtype=, order="),
    (lambda x: np.vecdot(x, x, axes=[0, 0, ()]), r"np\.vecdot with axes=")])
def test_unsupported_arguments(f, call):
    raises(NoRule, f"{call}.*{WAY_OUT}", f)


@pytest.mark.parametrize("f, message", [
    (lambda x: np.linalg.eig(np.diag(x)), r"np\.linalg\.eig .*use np\.linalg\.eigh"),
    (np.roots, r"np\.roots .*Roots may be complex.*np\.polyval\(p, r\)"),
    (np.fft.fft, r"np\.fft\.fft .*Complex numbers are not differentiated.*np\.cos\(a\) @ x"),
    (np.sort_complex, r"np\.sort_complex .*Write np\.sort\(x\)"),
    (np.lib.scimath.sqrt, r"np\.lib\.scimath\.sqrt .*write np\.sqrt"),
    (lambda x: np.add(x, 1, where=x > 0), r"np\.add with where=.*Write np\.where\(where, "),
    (lambda x: np.less.outer(x, x, where=x > 0), r"np\.less with where=.*Write np\.where\(where, "),
    (lambda x: np.full((2, 3), x[0]),
     r"np\.full\(fill_value=float64\[\]\).*np\.full\(shape, x, like=x\)"),
    (lambda x: np.full_like(np.zeros(3), x[0]),
     r"np\.full_like\(.*np\.full\(np\.shape\(a\), x, like=x\)"),
    (lambda x: np.r_[x, x], r"np\.r_\(.*Write np\.concatenate"),
    (lambda x: np.c_[x, x], r"np\.c_\(.*Write np\.column_stack"),
    (lambda x: np.vectorize(np.sin)(x), r"np\.vectorize\(.*Call the function itself on the array"),
    (lambda x: np.polynomial.polynomial.polyval(2.0, x),
     r"np\.polynomial\.polynomial\.polyval\(.*np\.polyval\(c\[::-1\], x\)")])
def test_what_to_write_instead(f, message):
    raises(TypeError, message, f)


def test_a_call_that_numpy_refuses_is_refused_by_numpy():
    for f, name in [(lambda x: np.sum(x, axs=1), "axs"), (lambda x: np.reshape(x), "shape")]:
        raises(TypeError, name, f)


def test_a_mistake_of_the_program_is_not_taken_for_a_missing_rule():
    def helper(a, b):
        return a + b

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'") as caught:
        rg.grad(lambda x: np.sum(helper(x)))(X)
    assert not isinstance(caught.value, NoRule)
    for f, error in [(lambda x: np.sum(x, axis=3), np.exceptions.AxisError),
                     (lambda x: x @ np.ones(4), ValueError), (lambda x: x + np.ones(4), ValueError),
                     (lambda x: np.reshape(x, (2, 2)), ValueError), (lambda x: x[7], IndexError),
                     (lambda x: np.concatenate([x, np.ones((2, 2))]), ValueError),
                     (lambda x: np.stack([x, x[:2]]), ValueError),
                     (lambda x: np.linalg.inv(x * 0 + np.zeros((3, 3))), np.linalg.LinAlgError)]:
        raises(error, "", f)


AXES = {
    "stack": lambda x: np.stack([x, x], axis=4), "moveaxis": lambda x: np.moveaxis(x, 0, 3),
    "swapaxes": lambda x: np.swapaxes(x, 0, 2),
    "transpose": lambda x: np.transpose(x, (0, 2)),
    "transpose twice": lambda x: np.transpose(x, (0, 0)),
    "transpose short": lambda x: np.transpose(x, (0,)), "squeeze": lambda x: np.squeeze(x, axis=2),
    "flip": lambda x: np.flip(x, 2),
    "squeeze wide": lambda x: np.squeeze(x, axis=0), "expand_dims": lambda x: np.expand_dims(x, 4),
    "sum": lambda x: np.sum(x, -3),
    "take": lambda x: np.take(x, [0], axis=2), "cumsum": lambda x: np.cumsum(x, 2),
    "repeat": lambda x: np.repeat(x, 2, axis=-3),
    "take_along_axis": lambda x: np.take_along_axis(x, np.zeros((3, 1), int), 2),
    "diff": lambda x: np.diff(x, axis=2),
    "rollaxis": lambda x: np.rollaxis(x, 2), "rollaxis start": lambda x: np.rollaxis(x, 0, 4),
    "roll": lambda x: np.roll(x, 1, 2),
    "moveaxis lengths": lambda x: np.moveaxis(x, (0, 1), 0),
    "concatenate": lambda x: np.concatenate([x, x], axis=2),
    "sort": lambda x: np.sort(x, axis=2), "split": lambda x: np.split(x, 3, axis=2),
    "norm": lambda x: np.linalg.norm(x, axis=2),
    "empty stack": lambda x: np.stack([]), "sum twice": lambda x: np.sum(x, (0, 0)),
}


@pytest.mark.parametrize("f", AXES.values(), ids=AXES)
def test_an_axis_that_is_not_there_is_the_same_error_as_numpys(f):
    with pytest.raises(Exception) as numpys:
        f(M)
    assert issubclass(numpys.type, (ValueError, IndexError))
    for transform in TRANSFORMS.values():
        with pytest.raises((ValueError, IndexError)):
            transform(lambda x: np.sum(f(x)))(M)


# In-place writes that are refused (see test_writing for those that work)


def add_to_plain(x):
    a = np.zeros(3)
    b = a
    a += x
    return b


@pytest.mark.parametrize("f, message", [
    (lambda x: np.add(x, 1, out=np.zeros(3)),
     r"np\.add writes in place \(the argument out=float64\[3\], which is not"),
    (lambda x: np.sum(x, out=np.zeros(())),
     r"np\.sum writes in place \(the argument out=float64\[\], which is not"),
    (lambda x: np.clip(x, 0, 1, out=np.zeros(3)), r"np\.clip writes in place \(the argument out="),
    (lambda x: np.add.at(np.zeros(3), [0], x[:1]), r"np\.add\.at writes in place"),
    (lambda x: np.copyto(np.zeros(3), x),
     r"np\.copyto writes in place \(into float64\[3\], which is not traced"),
    (lambda x: np.put(x * 1, 0, 1.0), r"np\.put writes in place"),
    (lambda x: np.fill_diagonal(np.diag(x), 0), r"np\.fill_diagonal writes in place"),
    (lambda x: np.nan_to_num(x, copy=False), r"np\.nan_to_num writes in place \(copy=False\)"),
    (lambda x: x.put(0, 1), r"x\.put\(\)"), (lambda x: x.resize(2), r"x\.resize\(\)"),
    (lambda x: x.partition(1), r"x\.partition\(\)"),
    (add_to_plain,
     r"np\.add writes in place \(the argument out=float64\[3\], which is not traced")])
def test_in_place_writes(f, message):
    raises(InPlaceWrite, f"{message}.*(Make a new array|Write x|np\\.zeros\\(shape, like=x\\))", f)


def test_a_traced_value_into_a_plain_array():
    def all_of_it(x):
        a = np.zeros(3)
        a[:] = x

    def by_mask(x):
        a = np.zeros(3)
        a[a == 0] = x

    def one_entry(x):  # NumPy raises an error of its own
        a = np.zeros(3)
        a[0] = x[0]

    def caught(x):
        try:
            one_entry(x)
        except ValueError:
            return np.sum(x)

    for f in (all_of_it, by_mask, one_entry, caught):
        raises(LostTrace, r"a\[index\] = x.*float64\[3?\].*np\.zeros\(shape, "
                          r"like=x\).*np\.where\(mask, x, a\)", f)


# Lost traces


@pytest.mark.parametrize("f, message", [
    (lambda x: float(x[0]), r"float\(\).*float64\[\].*NumPy's functions for math's.*has_aux=True"),
    (lambda x: math.sin(x[0]), r"float\(\).*float64\[\].*NumPy's functions for math's"),
    (lambda x: math.floor(x[0]), r"float\(\).*float64\[\]"),
    (lambda x: complex(x[0]), r"complex\(\) was given float64\[\]"),
    (lambda x: int(x[0]), r"int\(\) was given float64\[\].*np\.floor\(x\).*plain arrays"),
    (lambda x: round(x[0]), r"round\(\) was given float64\[\].*np\.round"),
    (lambda x: range(x[0]), r"an index or a size was given float64\[\].*x\.astype\(int\)"),
    (lambda x: [1, 2][x[0]], r"an index or a size was given float64\[\].*x\.astype\(int\)"),
    (lambda x: x[0].item(), r"\.item\(\) was given float64\[\]"),
    (lambda x: x.tolist(), r"\.tolist\(\) was given float64\[3\]"),
    (lambda x: np.array([x[0], x[1]]),
     r"np\.array.*float64\[\].*np\.stack\(\[x, y\]\).* for np\.array\(\[x, y\]\)"),
    (lambda x: np.asarray(x), r"np\.asarray.*float64\[3\]"),
    (lambda x: np.float64(x[0]), r"plain array.*float64\[\]"),
    (lambda x: np.sum([x[0], 1.0]), r"np\.array.*float64\[\].*np\.stack"),
    (lambda x: pickle.dumps(x), r"pickle was given float64\[3\]"),
    (lambda x: np.random.default_rng(0).normal(x), r"plain array.*float64\[3\]"),
    (lambda x: np.vectorize(math.sin)(x), r"plain array.*float64\[3\]"),
    (lambda x: np.full(3, x[0]), r"plain array.*float64\[\]")])
def test_lost_traces(f, message):
    raises(LostTrace, message, f)


@pytest.mark.parametrize("f, message", [
    (lambda x: x[x[0]], r"the parameter index= of getitem was given float64\[\].*x\.astype\(int\)"),
    (lambda x: M[x[0]], r"an index or a size was given float64\[\]|plain array.*float64\[\]"),
    (lambda x: x[:, None][0, x[1]], r"the parameter index= of getitem"),
    (lambda x: np.roll(x, x[0]), r"np\.roll\(a=float64\[3\], shift=float64\[\]\): "),
    (lambda x: np.take(x, x), r"np\.take\(a=float64\[3\], indices=float64\[3\]\): "),
    (lambda x: np.repeat(x, x[0]), r"np\.repeat\(repeats=float64\[\]\): "),
    (lambda x: np.reshape(x, (x[2], 1)),
     r"the parameter shape= of np\.reshape was given float64\[\]"),
    (lambda x: np.sum(x, axis=x[0]), r"the parameter axis= of np\.sum was given float64\[\]"),
    (lambda x: np.linalg.norm(x, ord=x[0]),
     r"np\.linalg\.norm\(x=float64\[3\], ord=float64\[\]\): the parameter p="),
    (lambda x: np.pad(x, x[0]), r"np\.pad\(array=float64\[3\], pad_width=float64\[\]\): "),
    (lambda x: np.pad(X, 1, constant_values=x[0]), r"np\.pad\(constant_values=float64\[\]\): "),
    (lambda x: np.full_like(X, x[0]), r"np\.full_like\(fill_value=float64\[\]\)"),
    (lambda x: np.select([X > 0], [X], x[0]), r"np\.select\(default=float64\[\]\): "),
    (lambda x: np.broadcast_to(x, x[0]), r"the parameter shape= of np\.broadcast_to")])
def test_a_traced_parameter(f, message):
    raises(LostTrace, message, f)


@pytest.mark.parametrize("name, way_out", [
    ("flat", r"np\.ravel"), ("data", "memory"), ("strides", "memory"), ("tobytes", "memory"),
    ("base", "memory")])
def test_attributes_that_a_trace_does_not_have(name, way_out):
    raises(AttributeError, rf"a traced array \(float64\[3\]\) has no \.{name}: .*{way_out}",
           lambda x: getattr(x, name))
    raises(AttributeError, r"a traced array \(float64\[3\]\) has no attribute 'nonsense'",
           lambda x: x.nonsense)


# Arguments


@pytest.mark.parametrize("x, message", [
    (np.arange(3), r"argument 0 is int64\[3\].*x\.astype\(float\), 3\.0 for 3"),
    (3, r"argument 0 is int64\[\].*3\.0 for 3"),
    (np.array([True]), r"argument 0 is bool\[1\]"),
    (True, "argument 0 is bool; expected an array or a float"),
    (np.ones(2, complex),
     r"argument 0 is complex128\[2\]; complex arrays are not supported.*real and imaginary"),
    (1j, r"argument 0 is complex128\[\]"),
    ("text", "argument 0 is str; expected an array or a float.*closure.*argnums"),
    (np.array(["a"]), r"argument 0 is <U1\[1\]; expected floating point"),
    (np.array([1.0, None], dtype=object), r"argument 0 is object\[2\]; expected floating point"),
    (np.array(["2020-01-01"], dtype="M8[D]"),
     r"argument 0 is datetime64\[D\]\[1\]; expected floating point"),
    (np.ma.masked_array([1.0]), "argument 0 is MaskedArray, whose operators are not"),
    (object(), "argument 0 is object"),
    ({"w": [1.0, np.arange(2)]}, r"argument 0\['w'\]\[1\] is int64\[2\]"),
    (lambda x: x, "argument 0 is function")])
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "vjp", "jvp"])
def test_arguments_that_cannot_be_differentiated(x, message, transform):
    f = lambda x: 1.0
    calls = {"vjp": lambda x: rg.vjp(f, x), "jvp": lambda x: rg.jvp(f, (x,), (x,))}
    call = calls.get(transform) or getattr(rg, transform)(f)
    with pytest.raises(TypeError, match=f"^{transform}: {message}"):
        call(x)


def test_the_argument_is_named_by_its_position():
    f = lambda a, b, c: a
    with pytest.raises(TypeError, match="^grad: argument 2 is str"):
        rg.grad(f, (0, 2))(1.0, "x", "y")
    with pytest.raises(TypeError, match="^jvp: argument 1 is str"):
        rg.jvp(f, (1.0, "x", 2.0), (1.0, "x", 2.0))


@pytest.mark.parametrize("argnums, message", [
    (2, r"argnums=2, but (grad\()?f\)? was called with 2 positional arguments"), (-3, "argnums=-3"),
    ((0, 5), r"argnums=\(0, 5\)"),
    ([0], r"argnums=\[0\]"), ("a", "argnums='a'"), (1.0, "argnums=1.0"), (True, "argnums=True"),
    ((0, 0), "names an argument twice"), ((0, -2), "names an argument twice")])
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_argnums(argnums, message, transform):
    def f(a, b):
        return a * b

    with pytest.raises(ValueError, match=f": .*{message}"):
        getattr(rg, transform)(f, argnums)(1.0, 2.0)


def test_argnums_with_an_argument_given_by_name():
    with pytest.raises(ValueError, match="argnums=0, but f was called with 0 positional "
                                         "arguments.*counts positional"):
        def f(a):
            return a
        rg.grad(f)(a=1.0)


# Results


def model(x):
    return x


@pytest.mark.parametrize("f, message", [
    (lambda x: x,
     r"returned float64\[3\]; expected a scalar.*np\.sum.*has_aux=True.*vjp or jacobian"),
    (lambda x: (np.sum(x), 1.0), "returned tuple; expected a scalar"),
    (lambda x: {"loss": np.sum(x)}, "returned dict; expected a scalar"),
    (lambda x: [np.sum(x)], "returned list; expected a scalar"),
    (lambda x: x[:1], r"returned float64\[1\]; expected a scalar"),
    (lambda x: None, "returned NoneType; expected a scalar")])
@pytest.mark.parametrize("transform", ["grad", "value_and_grad"])
def test_gradient_of_what_is_not_a_scalar(f, message, transform):
    f.__name__ = "model"
    with pytest.raises(TypeError, match=f"^{transform}: model {message}"):
        getattr(rg, transform)(f)(X)


@pytest.mark.parametrize("result, message", [
    ("text", "returned str; expected arrays"), (object(), "returned object; expected arrays"),
    (True, "returned bool; expected arrays"),
    (np.arange(3), r"returned int64\[3\]; expected floating point.*has_aux=True"),
    (np.bool_(True), r"returned bool\[\]; expected floating"),
    (np.ones(2, complex), r"returned complex128\[2\]; expected floating point"),
    (1j, "returned complex; expected arrays"),
    (np.array(["a"]), r"returned <U1\[1\]; expected floating point")])
def test_results_that_cannot_be_differentiated(result, message):
    def model(x):
        return {"a": x, "b": result}

    for call in (lambda: rg.vjp(model, X), lambda: rg.jvp(model, (X,), (X,)),
                 lambda: rg.jacobian(model)(X)):
        with pytest.raises(TypeError, match=f"model {message}"):
            call()


def test_has_aux_without_a_pair():
    for f in (lambda x: np.sum(x), lambda x: (np.sum(x), 1, 2), lambda x: [np.sum(x), 1]):
        f.__name__ = "model"
        for call in (lambda: rg.grad(f, has_aux=True)(X), lambda: rg.vjp(f, X, has_aux=True),
                     lambda: rg.jvp(f, (X,), (X,), has_aux=True)):
            with pytest.raises(TypeError, match=r"has_aux=True: model returned .*; expected a pair "
                                                r"\(value, aux\)"):
                call()


# Tangents and cotangents


@pytest.mark.parametrize("g, message", [
    (np.ones(2), r"the cotangent has shape \(2,\); expected \(3,\), the shape of what it belongs "
                 r"to, float64\[3\]"), (1.0, r"the cotangent has shape \(\); expected \(3,\)"),
    (np.ones((1, 3)), r"the cotangent has shape \(1, 3\)"),
    ([1.0, 1.0, 1.0], r"the cotangent has the structure list.*expected \*"),
    (None, "the cotangent has the structure None"),
    ({"y": np.ones(3)}, r"the cotangent has the structure dict\(y: \*\); expected \*")])
def test_wrong_cotangents(g, message):
    _, pull = rg.vjp(lambda x: x * 2, X)
    with pytest.raises(ValueError, match=f"^vjp: {message}"):
        pull(g)


@pytest.mark.parametrize("g, message", [
    (np.ones(3, complex), r"the cotangent is complex128\[3\]"),
    (np.array(["a", "b", "c"]), r"the cotangent is <U1\[3\]")])
def test_cotangents_of_a_wrong_type(g, message):
    with pytest.raises(TypeError, match=f"^vjp: {message}"):
        rg.vjp(lambda x: x * 2, X)[1](g)


def test_wrong_cotangents_in_a_nest():
    _, pull = rg.vjp(lambda x: {"a": [x, x], "b": x[0]}, X)
    with pytest.raises(ValueError,
                       match=r"the cotangent\['a'\]\[1\] has shape \(2,\); expected \(3,\)"):
        pull({"a": [X, X[:2]], "b": 1.0})
    with pytest.raises(ValueError, match=r"the cotangent\['a'\] has the structure tuple"):
        pull({"a": (X, X), "b": 1.0})
    with pytest.raises(ValueError, match=r"the cotangent has the structure dict\(a: "):
        pull({"a": [X, X]})


def test_wrong_tangents():
    f = lambda p, y: p["x"] * y
    with pytest.raises(ValueError,
                       match=r"^jvp: tangents\[0\]\['x'\] has shape \(2,\); expected \(3,\)"):
        rg.jvp(f, ({"x": X}, 1.0), ({"x": X[:2]}, 1.0))
    with pytest.raises(ValueError, match=r"^jvp: tangents has the structure tuple\(0: \*\); "
                                         r"expected tuple\(0: \*, "):
        rg.jvp(lambda x, y: x, (X, X), (X,))
    with pytest.raises(ValueError,
                       match=r"^jvp: tangents\[0\] has the structure \*; expected dict"):
        rg.jvp(f, ({"x": X}, 1.0), (X, 1.0))
    with pytest.raises(ValueError, match="^jvp: tangents"):
        rg.hvp(lambda x: np.sum(x), (X,), (X[:2],))


def test_an_unknown_mode():
    with pytest.raises(ValueError,
                       match="jacobian: mode is 'backward'; expected 'reverse' or 'forward'"):
        rg.jacobian(np.sin, mode="backward")


# Leaks


def test_a_leaked_array():
    kept = []
    keep = lambda x: (kept.append(x), np.sum(x))[1]
    for transform in TRANSFORMS.values():
        kept.clear()
        transform(keep)(X)
        for use in (lambda x: kept[0] + x, lambda x: kept[0][0], lambda x: np.sum(kept[0]) * x[0]):
            with pytest.raises(ClosedLevel,
                               match="of a transform that has already returned.*has_aux=True"):
                rg.grad(use)(X)
        with pytest.raises(ClosedLevel, match="the result of <lambda>.*already returned"):
            rg.grad(lambda x: kept[0])(X)
        with pytest.raises(ClosedLevel, match=r"np\.exp was given"):
            np.exp(kept[0])


def test_a_matmul_with_a_number():
    raises(ValueError, "np.matmul: an operand has no axes; multiply by a scalar with *",
           lambda x: x @ x[0])
