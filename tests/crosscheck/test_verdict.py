"""Verdicts: each can be reached, and no planted fault is called right."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.ball import Ball
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth import exact
from crosscheck.truth.exact import Agreement, Bound, Truth
from crosscheck.verdict import KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, UNDECIDED, WRONG, judge

X = {"a": np.array([[0.5, -2.0, 1.25], [3.0, 0.75, -0.5]]), "b": np.array([1.5, -0.25, 2.0])}
U, V = ({k: np.random.default_rng(i).standard_normal(a.shape).astype(np.float32).astype(float) for k, a in X.items()}
        for i in (1, 2))


def smooth(x):
    return np.sum(np.sin(x["a"]) * x["b"] ** 2)


@pytest.fixture(scope="module")
def case():
    truth = exact.differentiate(smooth, X, U, V, 0)
    found = {}
    for dtype in ("float64", "float32"):
        x, u, v = ({k: a.astype(dtype) for k, a in d.items()} for d in (X, U, V))
        found[dtype] = {mode: REFGRAD.differentiate(mode, smooth, x, u, v) for mode in Mode}
    return SimpleNamespace(truth=truth, found=found)


def verdict(case, fault=lambda y: y, mode="reverse", name="a", dtype="float64"):
    """The verdict about refgrad's own result with a fault planted, in both dtypes."""
    twin = "float32" if dtype == "float64" else "float64"
    result, other = (fault(case.found[d][mode][name]) for d in (dtype, twin))
    return judged(result, case.truth, dtype, mode, name, other)


def judged(result, truth, dtype="float64", mode="reverse", name="a", other=None):
    """The verdict about a result, beside the one in the other dtype if there is one."""
    context = truth.context(mode, name, dtype, twin=other, twin_dtype="float32" if dtype == "float64" else "float64")
    return judge(result, truth.derivatives[mode][name], lambda: truth.bound(mode, dtype, name), context)


MODES_AND_NAMES = [(mode, name) for mode in Mode for name in mode.names(X)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode, name", MODES_AND_NAMES)
def test_right_results_are_right(case, mode, name, dtype):
    found = verdict(case, mode=mode, name=name, dtype=dtype)
    assert found.verdict == RIGHT and found.error_over_bound <= 1 and found.note == ""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode, name", MODES_AND_NAMES)
def test_one_ulp_more_or_less_is_still_right(case, mode, name, dtype):
    for towards in (np.inf, -np.inf):
        found = verdict(case, lambda y: np.nextafter(y, np.asarray(towards, y.dtype)), mode, name, dtype)
        assert found.verdict == RIGHT


def dropped(y):
    y = np.array(y)
    y[(-1,) * y.ndim] = 0
    return y


FAULTS = {
    "sign": lambda y: -y,
    "twice": lambda y: 2 * y,
    "one entry dropped": dropped,
    "all zero": lambda y: np.zeros_like(y),
    "nan": lambda y: np.where(np.arange(y.size).reshape(y.shape) == 0, np.nan, y).astype(y.dtype),
    "inf": lambda y: np.full_like(y, np.inf),
    "another shape": lambda y: y[None],
    "too few entries": lambda y: y[..., :-1] if y.ndim else y[None],
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("mode, name", MODES_AND_NAMES)
def test_faults_are_wrong(case, fault, mode, name, dtype):
    found = verdict(case, FAULTS[fault], mode, name, dtype)
    assert found.verdict == (NOT_FINITE if fault in ("nan", "inf") else WRONG)
    assert found.note


@pytest.mark.parametrize("factor", [1e-6, 1e-9])
@pytest.mark.parametrize("mode, name", MODES_AND_NAMES)
def test_a_small_factor_is_wrong_in_float64(case, mode, name, factor):
    assert verdict(case, lambda y: y * y.dtype.type(1 + factor), mode, name).verdict == WRONG


def test_two_entries_exchanged_are_wrong(case):
    assert verdict(case, lambda y: y[:, ::-1]).verdict == WRONG


def test_an_error_that_shrinks_with_the_precision_is_less_accurate(case):
    """As of an algorithm that cancels: a thousand times the rounding error, in each precision its own."""
    truth, exact_value = case.truth, case.truth.derivatives["reverse"]["a"].mid()
    results = {d: (exact_value * (1 + 1000 * np.finfo(d).eps)).astype(d) for d in ("float64", "float32")}
    for dtype, twin in (("float64", "float32"), ("float32", "float64")):
        found = judged(results[dtype], truth, dtype, other=results[twin])
        assert found.verdict == LESS_ACCURATE and "times the bound" in found.note
        alone = judged(results[dtype], truth, dtype)
        assert alone.verdict == WRONG  # nothing says that it would shrink


def test_a_formula_wrong_by_much_is_not_less_accurate_however_wide_the_bound(case):
    """In an ill-conditioned network float32's rounding could explain anything, but the error does not shrink."""
    truth = hand_made([1.0, 2.0], limit=1e-9)
    found = judged(np.array([1.01, 2.0]), truth, other=np.array([1.5, 2.0], np.float32))
    assert found.verdict == WRONG and found.note == "entry (0,) is 1.01, exact 1"


def hand_made(value, limit, scale=None, dtype="float64", digits=50.0, kink="", slopes=(), magnitude=1.0):
    value = np.asarray(value, float)
    truth = Truth(bits=400, value=magnitude)
    for mode in (Mode.REVERSE, Mode.FORWARD):
        truth.derivatives[mode] = {"a": Ball(value)}
        truth.bounds[mode, dtype] = {"a": Bound(np.broadcast_to(float(limit), value.shape), "proven")}
    truth.agreement[1, "a"] = Agreement(digits, kink, slopes)
    truth.scale[1] = float(np.max(np.abs(value), initial=0)) if scale is None else scale
    return truth


def test_what_is_lost_beside_the_largest_entry_is_less_accurate():
    truth = hand_made([1.0, 1e-20], limit=1e-16, scale=1.0)
    truth.bounds["reverse", "float64"]["a"] = Bound(np.array([1e-16, 1e-36]), "proven")
    assert judged([1.0, 0.0], truth).verdict == LESS_ACCURATE
    assert judged([1.0, 1e-10], truth).verdict == WRONG


def test_a_kink_has_its_slopes_and_says_whether_the_answer_is_between():
    truth = hand_made(0.0, limit=1e-16, scale=1.0, kink="left slope 0, right slope 3", slopes=(3.0, 0.0))
    assert judged(0.5, truth).verdict == KINK
    assert judged(0.5, truth, mode="forward").note == "left slope 0, right slope 3, the answer is between them"
    assert judged(3.5, truth, mode="forward").note.endswith("the answer is not between them")
    assert judged(np.nan, truth, mode="forward").verdict == NOT_FINITE


def test_a_bound_as_large_as_the_derivative_decides_nothing():
    found = judged([1.0, 2.0], hand_made([1.0, 2.0], limit=5.0))
    assert found.verdict == UNDECIDED and found.note == "rounding alone could explain any value"


def test_an_infinity_is_undecided_only_where_overflow_is_possible():
    assert judged([1.0, np.inf], hand_made([1.0, 2.0], limit=np.inf)).verdict == UNDECIDED
    assert judged([1.0, np.inf], hand_made([1.0, 2.0], limit=1e-10)).verdict == NOT_FINITE
    assert judged([1.0, np.nan], hand_made([1.0, 2.0], limit=1e-10)).verdict == NOT_FINITE


def test_arrays_without_entries_are_right():
    found = judged(np.zeros((0, 3)), hand_made(np.zeros((0, 3)), limit=0.0, scale=1.0))
    assert (found.verdict, found.ulp_max, found.rel_error) == (RIGHT, 0.0, 0.0)
    assert judged(np.zeros((3, 0)), hand_made(np.zeros((0, 3)), limit=0.0, scale=1.0)).verdict == WRONG


def test_derivatives_that_are_zero_by_structure():
    truth = exact.differentiate(lambda x: np.sum(x["a"] * 2.0), X, U, V, 0)
    for mode in Mode:
        for dtype in ("float64", "float32"):
            for name, found in REFGRAD.differentiate(mode, lambda x: np.sum(x["a"] * 2.0), X, U, V).items():
                assert judged(np.asarray(found, dtype), truth, dtype, mode, name).verdict == RIGHT, (mode, name, dtype)
    off = np.array([0.0, 1e-3, 0.0])
    assert judged(off, truth, name="b", other=off).verdict == WRONG


def test_another_dtype_is_noted_and_judged_as_the_one_that_was_asked_for(case):
    result = case.found["float32"]["reverse"]["a"].astype(float)
    found = judged(result, case.truth, "float32")
    assert (found.verdict, found.note) == (RIGHT, "came as float64")
    wrong = judged(-result, case.truth, "float32")
    assert wrong.verdict == WRONG and wrong.note.endswith("; came as float64")


def test_ulps_and_relative_errors():
    truth = hand_made([1.0, 4.0], limit=1e-10)
    found = judged([1.0 + 2.0 ** -52, 4.0], truth)
    assert found.ulp_max == pytest.approx(1.0) and found.ulp_median == pytest.approx(0.5)
    assert found.rel_error == pytest.approx(2.0 ** -52 / np.sqrt(17))
    assert found.error_over_bound == pytest.approx(2.0 ** -52 / 1e-10)
