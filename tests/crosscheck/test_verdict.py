"""Verdicts: each can be reached, and no planted fault is called right."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck.ball import Ball
from crosscheck.formats import format_named
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.truth import exact
from crosscheck.truth.exact import Agreement, Bound, Truth
from crosscheck.verdict import KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, UNDECIDED, WRONG
from crosscheck.verdict import figures, judge, telling

X = {"a": np.array([[0.5, -2.0, 1.25], [3.0, 0.75, -0.5]]), "b": np.array([1.5, -0.25, 2.0])}
U, V = ({k: np.random.default_rng(i).standard_normal(a.shape).astype(np.float32).astype(float)
         for k, a in X.items()}
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


def judged(result, truth, dtype="float64", mode="reverse", name="a", other=None, **beside):
    """The verdict about a result, beside the one in the other dtype if there is one."""
    twin_dtype = beside.pop("twin_dtype", "float32" if dtype == "float64" else "float64")
    context = truth.context(mode, name, dtype, twin=other, twin_dtype=twin_dtype, **beside)
    return judge(result, truth.derivatives[mode][name],
                 lambda: truth.bound(mode, dtype, name), context)


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
        found = verdict(case, lambda y: np.nextafter(y, np.asarray(towards, y.dtype)), mode,
                        name, dtype)
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
    """As of an algorithm that cancels: a thousand times the rounding error, in each precision its
    own."""
    truth, exact_value = case.truth, case.truth.derivatives["reverse"]["a"].mid()
    results = {d: (exact_value * (1 + 1000 * np.finfo(d).eps)).astype(d)
               for d in ("float64", "float32")}
    for dtype, twin in (("float64", "float32"), ("float32", "float64")):
        found = judged(results[dtype], truth, dtype, other=results[twin])
        assert found.verdict == LESS_ACCURATE and "times the bound" in found.note
        alone = judged(results[dtype], truth, dtype)
        assert alone.verdict == WRONG  # nothing says that it would shrink


def test_a_formula_wrong_by_much_is_not_less_accurate_however_wide_the_bound(case):
    """In an ill-conditioned network float32's rounding could explain anything, but the error does
    not shrink."""
    truth = hand_made([1.0, 2.0], limit=1e-9)
    found = judged(np.array([1.01, 2.0]), truth, other=np.array([1.5, 2.0], np.float32))
    assert (found.verdict == WRONG
            and found.note == "entry (0,) is 1.01, exact 1 (by the factor 1.01)")


def hand_made(value, limit, scale=None, dtype="float64", digits=50.0, kink="", slopes=(),
              magnitude=1.0, how="proven", why_open=""):
    value = np.asarray(value, float)
    limit = np.broadcast_to(np.asarray(limit, float), value.shape)
    truth = Truth(bits=400, value=magnitude)
    for mode in (Mode.REVERSE, Mode.FORWARD):
        truth.derivatives[mode] = {"a": Ball(value)}
        truth.bounds[mode, dtype] = {"a": Bound(limit, how)}
    truth.agreement[1, "a"] = Agreement(digits, kink, slopes, open=why_open)
    truth.scale[1] = float(np.max(np.abs(value), initial=0)) if scale is None else scale
    return truth


def test_what_is_lost_beside_the_largest_entry_is_less_accurate():
    truth = hand_made([1.0, 1e-20], limit=1e-16, scale=1.0)
    truth.bounds["reverse", "float64"]["a"] = Bound(np.array([1e-16, 1e-36]), "proven")
    assert judged([1.0, 0.0], truth).verdict == LESS_ACCURATE
    assert judged([1.0, 1e-10], truth).verdict == WRONG


def test_a_kink_has_its_slopes_and_says_whether_the_answer_is_between():
    truth = hand_made(0.0, limit=1e-16, scale=1.0, kink="left slope 0, right slope 3",
                      slopes=(3.0, 0.0))
    assert judged(0.5, truth).verdict == KINK
    assert (judged(0.5, truth, mode="forward").note
            == "left slope 0, right slope 3, the answer is between them")
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
    assert (judged(np.zeros((3, 0)), hand_made(np.zeros((0, 3)), limit=0.0, scale=1.0)).verdict
            == WRONG)


def test_derivatives_that_are_zero_by_structure():
    truth = exact.differentiate(lambda x: np.sum(x["a"] * 2.0), X, U, V, 0)
    for mode in Mode:
        for dtype in ("float64", "float32"):
            for name, found in REFGRAD.differentiate(mode, lambda x: np.sum(x["a"] * 2.0), X, U,
                                                     V).items():
                assert (judged(np.asarray(found, dtype), truth, dtype, mode, name).verdict
                        == RIGHT), (mode, name, dtype)
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


# Each limit, from both sides.  The numbers are sums of few powers of two, and every error is exact.

EPS = 2.0 ** -52
EPS32 = 2.0 ** -23
TINY, SMALL, LARGE = (float(np.spacing(size)) for size in (1e-200, 1.1e-100, 1e300))


@pytest.mark.parametrize("own", [0, 2])
def test_typical_is_eight_times_the_references_error_and_one_rounding(own):
    truth = hand_made([1.0, 2.0], limit=0.0)
    limit = 8 * (own + 1)
    for units, bound in ((limit, "typical"), (limit + 1, "proven")):
        found = judged([1 + units * EPS, 2.0], truth,
                       typical=lambda: np.array([1 + own * EPS, 2.0]))
        assert found.bound == bound and found.verdict == (RIGHT if bound == "typical" else WRONG)
        assert found.ulp_max == units


def test_the_reference_is_not_asked_about_an_error_of_eight_roundings():
    asked, truth = [], hand_made([1.0], limit=0.0)
    for units in (8, 9):
        judged([1 + units * EPS], truth, typical=lambda: asked.append(units) or np.array([1.0]))
    assert asked == [9]


def test_no_number_is_typical_of_no_number():
    truth = hand_made([1.0], limit=EPS)
    assert judged([np.nan], truth, typical=lambda: np.array([np.nan])).verdict == NOT_FINITE


def test_nothing_is_typical_where_no_derivative_is_known():
    kink = hand_made([1.0], limit=EPS, kink="left slope 0, right slope 3")
    assert judged([1.0], kink, typical=lambda: np.array([1.0])).verdict == KINK
    ends = hand_made([1.0], limit=EPS, why_open="it ends here")
    found = judged([1.0], ends, typical=lambda: np.array([1.0]))
    assert (found.verdict, found.note) == (UNDECIDED, "it ends here")


def test_what_came_in_another_dtype_is_noted_with_every_verdict():
    single, truth = np.array([1.0], np.float32), hand_made([1.0], limit=EPS)
    assert judged(single, truth, typical=lambda: np.array([1.0])).note == "came as float32"
    found = judged(np.zeros(0, np.float32), hand_made([], limit=EPS, scale=1.0))
    assert (found.note, found.bound) == ("came as float32", "proven")
    assert found.ulp_max == found.ulp_median == found.rel_error == found.error_over_bound == 0
    assert judged(np.array([1]), truth).note == ""  # an integer is as good
    coarse = hand_made([1.0], limit=EPS, dtype="bfloat16")  # of which NumPy has none
    assert judged(single, coarse, "bfloat16").note == ""


def test_the_error_over_the_bound_is_of_the_worst_entry_and_a_bound_of_zero_holds_for_no_error():
    found = judged([1.0, 1 + EPS], hand_made([1.0, 1.0], limit=[0.0, 4 * EPS]))
    assert (found.verdict, found.error_over_bound) == (RIGHT, 0.25)
    assert judged([1.0, 1 + 4 * EPS], hand_made([1.0, 1.0], limit=[0.0, 4 * EPS])).verdict == RIGHT
    found = judged([3.0, 1 + 5 * EPS], hand_made([3.0, 1.0], limit=[EPS, 4 * EPS]))
    assert (found.verdict, found.error_over_bound) == (WRONG, 1.25)


def test_an_entry_is_wrong_by_what_it_is_and_should_be():
    found = judged([[1.0, 2.0], [3.0, 4.5]], hand_made([[1.0, 2.0], [3.0, 4.0]], limit=EPS))
    assert (found.verdict, found.note) == (WRONG,
                                           "entry (1, 1) is 4.5, exact 4 (by the factor 1.125)")
    assert judged([1.0], hand_made([[1.0]], limit=EPS)).note == "shape (1,), expected (1, 1)"


def test_a_bound_tells_something_below_the_scale_or_below_the_value_that_hides_the_scale():
    assert telling(2 * EPS, 1.0, "float64") == 2 * EPS
    assert telling(EPS, 1.0, "float64") == 1.0
    assert telling(2 * EPS, 1.0, "float32") == 1.0
    truth = hand_made([2.0, 1.0], limit=[EPS, 2.0])
    assert judged([2.0, 1.0], truth).note == "rounding alone could explain any value"
    assert judged([2.0, 1.0], hand_made([2.0, 1.0], limit=[EPS, 1.75])).verdict == RIGHT


def test_an_infinity_is_undecided_only_if_each_may_overflow():
    truth = hand_made([1.0, 2.0], limit=[np.inf, 1e-10])
    assert judged([np.inf, 2.0], truth).note == "float64 may overflow here"
    found = judged([np.inf, np.inf], truth)
    assert (found.verdict, found.note) == (NOT_FINITE, "nan or inf where a finite value exists")
    largest = float(np.finfo(np.float32).max)
    for exact_value, verdict in ((largest, NOT_FINITE), (1.5 * largest, UNDECIDED)):
        truth = hand_made([exact_value], limit=1.0, dtype="float32")
        assert judged(np.float32([np.inf]), truth, "float32").verdict == verdict


@pytest.mark.parametrize("scale, value, natural", [(1.0, 2.0 ** -90, 0.0), (2.0 ** -80, 1.0, 0.0),
                                                   (2.0 ** -80, 2.0 ** -80, 0.125)])
def test_an_error_of_one_rounding_of_what_is_largest_is_lost_beside_it(scale, value, natural):
    truth = hand_made([0.0], limit=2.0 ** -140, scale=scale, magnitude=value)
    assert judged([EPS], truth, natural=natural).verdict == LESS_ACCURATE
    assert judged([np.nextafter(EPS, 1)], truth, natural=natural).verdict == WRONG


def test_one_entry_that_is_lost_excuses_no_other():
    truth = hand_made([0.0, 1.0], limit=2.0 ** -140)
    assert judged([EPS, 1.0], truth).verdict == LESS_ACCURATE
    assert judged([EPS, 1.5], truth).verdict == WRONG


@pytest.mark.parametrize("twin, least", [
    (1 + 2.0 ** -10, 2.0 ** -25),  # halfway from 2^-10 in float32 is 2^-10 2^-14.5 in float64
    (1.0, 2.0 ** -38),             # an error below float32's last place may be luck
    (np.inf, 2.0 ** -38),          # what overflowed tells nothing
    (2.0, 2.0 ** -15)])            # all digits wrong are no more than that
def test_an_error_that_shrinks_halfway_in_powers_of_two_is_rounding(twin, least):
    truth = hand_made([1.0], limit=2.0 ** -51)
    assert judged([1 + least], truth, other=np.array([twin])).verdict == LESS_ACCURATE
    assert judged([1 + 2 * least], truth, other=np.array([twin])).verdict == WRONG


def test_where_the_coarser_result_vanished_five_right_bits_are_more_than_none():
    truth, twin = hand_made([1.0], limit=2.0 ** -51), np.array([0.0])
    for error, verdict in ((1 / 32, LESS_ACCURATE), (1 / 31.9, WRONG)):
        assert judged([1 + error], truth, other=twin).verdict == verdict


def test_halfway_is_near_enough():
    truth = hand_made([1.0], limit=2.0 ** -51, dtype="float32")
    twin = np.array([1 + 2.0 ** -4])  # bfloat16's eps is 2^16 times as large as float32's
    result = np.float32([1 + 2.0 ** -12])
    found = judged(result, truth, "float32", other=twin, twin_dtype="bfloat16")
    assert found.verdict == LESS_ACCURATE


@pytest.mark.parametrize("dtype, twin_dtype, twin, scale, most, more", [
    ("float32", "float64", [1.0, 1.0], 1.0, 2.0 ** -13, EPS32),          # 2^10 times one rounding
    ("float32", "float64", [1.0, 1 + 2 * EPS], 1.0, 2.0 ** -12, EPS32),  # the finer one's error
    ("float32", "float64", [1.0, 1.0], 4.0, 2.0 ** -11, EPS32),          # one rounding of the scale
    ("float16", "float32", [1.0, 1.0], 1.0, 2.0 ** -5, 2.0 ** -10)])     # half of all digits
def test_an_error_out_of_proportion_to_the_finer_ones_is_wrong(
        dtype, twin_dtype, twin, scale, most, more):
    for error, verdicts in ((most, (LESS_ACCURATE, LESS_ACCURATE)),
                            (most + more, (WRONG, UNDECIDED))):
        for how, verdict in zip(("proven", "first order"), verdicts):
            truth = hand_made([1.0, 1.0], limit=2.0 ** -22, scale=scale, dtype=dtype,
                              magnitude=2.0 ** -30, how=how)
            result = np.array([1 + error, 1.0], dtype)
            found = judged(result, truth, dtype, other=np.array(twin), twin_dtype=twin_dtype)
            assert found.verdict == verdict
    assert found.note == f"so ill-conditioned that in {dtype} a bound to first order tells nothing"


def test_to_first_order_a_formula_is_wrong_too():
    truth = hand_made([1.0, 1.0], limit=2.0 ** -22, dtype="float32", how="first order")
    twin = np.array([1.25, 1.0])
    assert judged([1.25, 1 + 2.0 ** -12], truth, "float32", other=twin).verdict == WRONG


def test_a_twin_of_another_shape_tells_nothing():
    truth = hand_made([1.0], limit=EPS)
    assert judged([1 + 2.0 ** -30], truth, other=np.array([1.5])).verdict == LESS_ACCURATE
    assert judged([1 + 2.0 ** -30], truth, other=np.array([1.5, 1.5])).verdict == WRONG
    assert judged(1 + 2.0 ** -45, hand_made(1.0, limit=EPS)).verdict == WRONG  # nor does none


def test_how_much_less_accurate():
    beside = {"other": np.array([1 + 2.0 ** -10])}
    truth = hand_made([1.0], limit=2.0 ** -50)
    assert judged([1 + 2.0 ** -48], truth, **beside).note == (
        "12 ulps worse than attainable (4 times the bound)")
    truth.program = (lambda x: x,)
    truth.condition = 3.5
    assert judged([1 + 2.0 ** -48], truth, **beside).note == (
        "12 ulps worse than attainable (4 times the bound), condition number 3.5")
    assert judged([1 + 2.0 ** -48], hand_made([1.0], limit=0.0), **beside).note == (
        "16 ulps worse than attainable (where the reference rounds nothing)")


def test_between_the_slopes_includes_them():
    truth = hand_made(0.0, limit=EPS, scale=1.0, kink="a kink", slopes=(3.0, -1.0))
    for answer, words in ((3.0, "between"), (-1.0, "between"), (-1.5, "not between")):
        assert judged(answer, truth, mode="forward").note == f"a kink, the answer is {words} them"
        assert judged(answer, truth).note == "a kink"
    truth = hand_made(0.0, limit=EPS, scale=1.0, kink="a kink")
    assert judged(1.0, truth, mode="forward").note == "a kink"


@pytest.mark.parametrize("error, size, scale, largest, median, relative", [
    # A zero has the last place of the largest entry; where all are zero, it is the gradient's; and
    # what is below 1e-100 of the gradient is as good as zero.
    ([3 * EPS, 8 * EPS, 20 * EPS], [1.0, 4.0, 0.0], 1.0, 5, 3, np.sqrt(473 / 33) * EPS),
    ([2 * EPS, 0.0], [0.0, 0.0], 2.0, 1, 0.5, EPS / np.sqrt(2)),
    ([EPS, EPS], [1.0, 0.9e-100], 1.0, 1, 1, EPS),
    ([EPS, 7 * SMALL], [1.0, 1.1e-100], 1.0, 7, 4, EPS),
    ([3 * SMALL, 2 * SMALL], [1.1e-100, 0.0], 1.0, 3, 2.5, np.sqrt(13 / 2) * SMALL / 1.1e-100),
    ([EPS, 0.0], [0.9e-100, 0.0], 1.0, 1, 0.5, EPS / np.sqrt(2)),
    ([0.0, 0.0], [0.0, 0.0], 0.0, 0, 0, 0), ([2.0 ** -1073, 0.0], [0.0, 0.0], 0.0, 2, 1, np.inf),
    ([2 * LARGE, 4 * LARGE, 0.0], [1e300, 1e300, 1.0], 1.0, 4, 2, np.sqrt(10) * LARGE / 1e300),
    ([TINY, 3 * TINY], [1e-200, 1e-200], 1e-200, 3, 2, np.sqrt(5) * TINY / 1e-200),
    ([], [], 1.0, 0, 0, 0)])
def test_figures(error, size, scale, largest, median, relative):
    found = figures(np.array(error), np.array(size), scale, format_named("float64"))
    assert found == pytest.approx((largest, median, relative), rel=1e-12, abs=0)
