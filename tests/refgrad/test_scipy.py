"""SciPy's special functions: how they are found, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import LostTrace, NoRule

from . import checks

sp = pytest.importorskip("scipy.special")
X = np.array([0.25, 0.5, 0.75])
ONES = np.ones(3)


def test_refgrad_does_not_import_scipy():
    program = ("import "
               "sys, numpy as np, refgrad as rg; rg.grad(lambda x: np.sum(np.sin(x)))(np.ones(3)); "
               "assert not any(name.partition('.')[0] == 'scipy' for name in sys.modules)")
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("how",
                         ["rg.grad(f)(x)", "rg.hvp(f, (x,), (x,))[0]", "rg.grad(rg.jit(f))(x)",
                          "rg.jit(rg.grad(f))(x)"])
def test_the_first_function_is_found(how):
    """In a process that has met none of them."""
    program = ("import numpy as np, refgrad as rg, scipy.special as sp; x = np.ones(3); "
               f"f = lambda x: np.sum(sp.gammaln(x) + sp.expit(x)); print({how}.tolist())")
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                           text=True).stdout
    slope = sp.psi(1) + sp.expit(1) * (1 - sp.expit(1))
    curvature = sp.polygamma(1, 1) + sp.expit(1) * (1 - sp.expit(1)) * (1 - 2 * sp.expit(1))
    np.testing.assert_allclose(eval(found), curvature if "hvp" in how else slope, rtol=1e-12)


@pytest.mark.parametrize("name, parameters", [
    ("gammainc", [1.5]), ("gammaincc", [1.5]), ("betainc", [1.5, 2.5])])
def test_parameters_are_refused(name, parameters):
    function = getattr(sp, name)
    arguments = [*(np.full(3, p) for p in parameters), X]
    for k in range(len(parameters)):
        def along(p, k=k):
            return np.sum(function(*arguments[:k], p, *arguments[k + 1:]))
        with pytest.raises(NoRule, match=rf"scipy.special.{name} by its parameter {'ab'[k]}="):
            rg.grad(along)(arguments[k])
        with pytest.raises(NoRule, match=f"scipy.special.{name}"):
            rg.jvp(along, (arguments[k],), (ONES,))
    by_x = rg.grad(lambda x: np.sum(function(*arguments[:-1], x)))(X)
    assert np.all(by_x != 0)


@pytest.mark.parametrize("name, count",
                         [("gammainc", 1), ("gammaincc", 1), ("betainc", 2), ("zeta", 1)])
def test_a_parameter_of_another_dtype_costs_no_digits(name, count):
    function = getattr(sp, name)
    a = [np.full(3, 2.5)] * count
    found, expected = (rg.grad(lambda x: np.sum(function(*a, x)))(X) for a in (
        [p.astype(np.float32) for p in a], a))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_parameters_broadcast_with_x():
    a = np.array([[1.5], [2.5]])
    for mode in ("forward", "reverse"):
        found = rg.jacobian(lambda x: sp.gammainc(a, x), mode=mode)(X)
        expected = X ** (a - 1) * np.exp(-X) / sp.gamma(a)
        checks.close(found, expected[..., None] * np.eye(3)[None], rtol=1e-12)


@pytest.mark.parametrize("name", ["jv", "dawsn", "spence"])
def test_others_are_refused_by_their_name(name):
    function = getattr(sp, name)
    with pytest.raises(NoRule, match=f"scipy.special.{name} has no differentiation rule"):
        rg.grad(lambda x: np.sum(function(*[x] * function.nin)))(X)


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax", "polygamma"])
def test_python_functions_point_at_refgrads(name):
    before = (2,) if name == "polygamma" else ()
    with pytest.raises(LostTrace, match=rf"scipy.special.{name}: .*Use refgrad.special.{name}"):
        rg.grad(lambda x: np.sum(getattr(sp, name)(*before, x)))(X)
    for args in [(X,), (np.arange(6.0).reshape(2, 3) + 0.5,), (np.float64(2.0),)]:
        checks.close(getattr(rg.special, name)(*before, *args), getattr(sp, name)(*before, *args),
                     rtol=1e-14)
    rg.grad(lambda x: np.sum(getattr(rg.special, name)(*before, x)))(X)


def test_logsumexp_is_scipys():
    a = np.array([[1.0, -2.0, 800.0], [-np.inf, 3.0, -800.0]])
    for kwargs in ({}, {"axis": 1}, {"axis": (0, 1)}, {"axis": 0, "keepdims": True},
                   {"axis": -1, "b": [1.0, 0.0, 2.0]}):
        with np.errstate(divide="ignore"):
            checks.close(rg.special.logsumexp(a, **kwargs), sp.logsumexp(a, **kwargs), rtol=1e-14)
    assert rg.special.logsumexp(np.full(2, -np.inf)) == -np.inf
    with pytest.raises(ValueError, match="return_sign"):
        rg.special.logsumexp(a, return_sign=True)


def test_polygamma_takes_a_number():
    with pytest.raises(ValueError, match="polygamma: n="):
        rg.special.polygamma(0.5, X)
    checks.close(rg.grad(lambda x: np.sum(rg.special.polygamma(0, x)))(X), sp.polygamma(1, X))


def test_zeta_by_its_second_argument():
    checks.close(rg.grad(lambda q: np.sum(sp.zeta(2.0, q)))(X), -2 * sp.zeta(3.0, X))


@pytest.mark.parametrize("function", [sp.expit, sp.gammaln, sp.j0])
def test_out_and_other_options_of_ufuncs(function):
    slope = rg.grad(lambda x: np.sum(function(x)))(X)
    checks.close(rg.grad(lambda x: np.sum(function(x, dtype=float)))(X), slope)
    checks.close(rg.grad(lambda x: np.sum(function(x, out=np.zeros(3, like=x))))(X), slope)
    with pytest.raises(NoRule, match=f"scipy.special.{function.__name__} with where="):
        rg.grad(lambda x: np.sum(function(x, where=x > 0.5)))(X)


def test_polygamma_takes_a_python_number_and_asks_for_scipy():
    assert rg.special.polygamma(1, 2.0) == sp.polygamma(1, 2.0)
    code = "import refgrad as rg; rg.special.polygamma(1, 2.0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: polygamma" in done.stderr and "import scipy.special first" in done.stderr


def test_a_ufunc_of_another_module_is_not_called_numpys():
    def of_a_user(x):
        return x

    with pytest.raises(NoRule, match=r"^of_a_user \(vectorized\) has no differentiation rule"):
        rg.grad(lambda x: np.sum(np.frompyfunc(of_a_user, 1, 1)(x)))(X)
