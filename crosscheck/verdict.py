"""Judges how a derivative differs from the exact one.  There are no tolerances: every limit is
computed.

    exact to rounding   the error is within what rounding alone can do to the computation: proven by
                        the ball at that precision, or typical, a small multiple of the error that
                        the reference makes in the same dtype
    agrees              the function runs in floats only: derivative and differences agree to as
                        many digits as the differences are good for
    less accurate       the error is larger than that, but shrinks with the precision as only
                        rounding errors do, or is lost beside the largest entry of the gradient or
                        the value of the function: the formula is right, its floating-point form
                        loses digits
    wrong               an error that more precision does not cure
    not finite          nan or inf where a finite value exists
    kink                the function is not differentiable here; the one-sided slopes are given
    misconduct          the derivative may be right, but its code has side effects: it keeps state,
                        writes into its arguments, or returns another shape or dtype
    no answer           the differentiator raised an error, which the note has
    undecided           inconclusive; the note has the reason
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ball import Ball, arithmetic
from .formats import FORMATS, OF_NUMPY, format_named
from .modes import Mode

RIGHT, AGREES, LESS_ACCURATE = "exact to rounding", "agrees", "less accurate"
WRONG, NOT_FINITE, KINK = "wrong", "not finite", "kink"
MISCONDUCT, NO_ANSWER, UNDECIDED = "misconduct", "no answer", "undecided"
#: The verdict on code that has no side effects; the others are on what it computes.
OK = "ok"
VERDICTS = (RIGHT, AGREES, LESS_ACCURATE, WRONG, NOT_FINITE, KINK, MISCONDUCT, NO_ANSWER, UNDECIDED)

#: An error up to this multiple of the reference's own in the same dtype is typical of that dtype:
#: three binary digits.
TYPICAL = 8

#: Rounding errors are proportional to eps.  The error in the coarser of two dtypes may exceed that
#: proportion by this factor, ten binary digits, since the finer one's error may be small by luck
#: (it may hold products of the coarser one's numbers exactly); but by no more than half of the
#: coarser dtype's digits.
LUCK = 2.0 ** 10


@dataclass
class Verdict:
    """The judgement of one result; ulp figures are in units in the last place of the exact value in
    that dtype."""

    verdict: str
    ulp_max: float = np.nan
    ulp_median: float = np.nan
    rel_error: float = np.nan
    error_over_bound: float = np.nan
    bound: str = ""
    note: str = ""
    known: float = np.nan   # digits to which the exact value is known, where it is not exact


@dataclass
class Context:
    """What is known when a result is judged.

    mode       of the derivative
    dtype      the name of the format in which it was asked for
    agreement  how the exact value compares with differences: a `truth.exact.Agreement`
    scale      the largest entry of the derivatives of that order, relative to which an error may be
               negligible
    value      the function's value, rounded up, relative to which the derivative itself may be
               negligible
    bits       the precision of the exact value
    natural    the function's usual size, relative to which an error may be negligible where the
               function is small
    typical    a function that gives the reference's result in the same dtype: an error of its size
               needs no bound, which costs more; asked where the error is more than a few roundings
               of the result itself; None where there is none
    twin       the result of the same computation in another dtype: it tells a rounding error from a
               wrong formula
    twin_dtype the name of that dtype
    bend       beside which a derivative of second order that is exactly 0 may be lost: the slopes
               over the entries of x
    usual      the function's size where the caller stands: what is far smaller than that may come
               as 0
    works      the formats in which the function works when it is called in `dtype` and in
               `twin_dtype`, where those are not the dtypes themselves: a function from dtype to
               `FloatFormat`
    condition  the condition number, asked for where it explains an error; None where it is not
               known
    """

    mode: Mode
    dtype: str
    agreement: object
    scale: float
    value: float
    bits: int
    natural: float = 0.0
    typical: object = None
    twin: object = None
    twin_dtype: str = ""
    condition: object = None
    bend: float = 0.0
    usual: float = 0.0
    works: object = format_named

    @property
    def form(self):
        """The format by which the result is judged."""
        return self.works(self.dtype)

    @property
    def telling(self):
        """A bound tells something below this: the derivative's scale, or the value's if that is
        lost beside it."""
        return telling(self.scale, self.value, self.form)


def telling(scale, value, dtype):
    """What a bound must be below to tell something of a derivative of that scale in a function of
    that value."""
    return scale if scale > format_named(dtype).eps * value else value


def judge(result, exact, bound, context):
    """The `Verdict` on a floating point `result` whose exact value is the Ball `exact`.

    bound  a function without arguments that computes what rounding can do, a `truth.exact.Bound`;
           called if needed
    """
    form, agreement, scale = context.form, context.agreement, context.scale
    result = np.asarray(result)
    if result.shape != exact.shape:
        return Verdict(WRONG, note=f"shape {result.shape}, expected {exact.shape}")
    other = (result.dtype.name != context.dtype and context.dtype in OF_NUMPY
             and result.dtype.name in FORMATS)
    came_as = f"came as {result.dtype}" if other else ""
    result = format_named(context.dtype).round(result)
    error, size = _error(result, exact, context.bits), exact.abs_upper()
    if context.typical is not None and not (agreement.kink or agreement.open):
        def typical(own):
            # A reference without a number excuses nothing.
            own = np.where(np.isfinite(own), own, 0.0)
            return (error <= TYPICAL * (own + form.eps * size)).all()

        if np.isfinite(error).all() and (
                typical(0.0)
                or typical(_error(form.round(context.typical()), exact, context.bits))):
            return Verdict(RIGHT, *figures(error, size, scale, form), bound="typical", note=came_as)
    bound = bound()
    if result.size == 0:
        return Verdict(RIGHT, 0.0, 0.0, 0.0, 0.0, bound.how, came_as)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(error == 0, 0.0, np.where(np.isinf(error), np.inf, error / bound.limit))
    found = Verdict(UNDECIDED, *figures(error, size, scale, form), float(np.max(ratio)), bound.how)
    beyond = ratio > 1
    if agreement.open:
        found.note = agreement.open
    elif agreement.kink and np.isfinite(result).all():
        found.verdict, found.note = KINK, agreement.kink + _between(result, agreement, context.mode)
    elif np.isinf(error).any():
        overflow = (np.isinf(bound.limit) | (size > form.largest))[np.isinf(error)].all()
        found.verdict = UNDECIDED if overflow else NOT_FINITE
        found.note = (f"{form.name} may overflow here" if overflow
                      else "nan or inf where a finite value exists")
    elif np.max(bound.limit) >= context.telling:
        found.note = "rounding alone could explain any value"
    elif beyond.any():
        lost = error <= max(scale, context.value, TYPICAL * context.natural) * form.eps
        lost |= (size == 0) & (error <= TYPICAL * context.bend * form.eps)
        lost |= (result == 0) & (size <= form.eps ** 2 * context.usual)
        shrinks, in_proportion = _behaves_as_rounding(error, exact, form, context)
        if (lost | shrinks & in_proportion)[beyond].all():
            found.verdict, found.note = LESS_ACCURATE, _how_much_worse(found, context.condition)
        elif bound.how == "first order" and (lost | shrinks)[beyond].all():
            found.note = (f"so ill-conditioned that in {form.name} a bound to first order tells "
                          "nothing")
        else:
            worst = np.where(ratio == np.max(ratio), error, -1.0)  # of no bound all ratios are inf
            worst = np.unravel_index(np.argmax(worst), ratio.shape)
            found.verdict = WRONG
            given, true = float(result[worst]), float(exact.mid()[worst])
            factor = by_the_factor(given / true if true else np.nan)
            found.note = f"{entry(worst)} is {given:.9g}, exact {true:.9g}{factor}"
    else:
        found.verdict = RIGHT
    found.note = "; ".join(filter(None, (found.note, came_as)))
    return found


def _error(result, exact, bits):
    """An upper bound of the error of each entry; inf where the entry is nan or inf."""
    finite = np.isfinite(result)
    with arithmetic(bits):
        return np.where(
            finite, (Ball(np.where(finite, result, 0).astype(float)) - exact).abs_upper(), np.inf)


def _behaves_as_rounding(error, exact, form, context):
    """Does the error change from one precision to the other as rounding errors do, which are
    proportional to eps?

    Two answers for each entry.  Does it shrink: the error of a wrong formula does not change at
    all; halfway, in powers of two, is the limit.  Is it in proportion: where the coarser precision
    alone is off, by a kernel of its own, its error is larger than the finer one's explains; by no
    more than `LUCK` it may be so by chance.
    """
    twin, nowhere = context.twin, np.zeros(error.shape, bool)
    if twin is None or np.shape(twin) != exact.shape:
        return nowhere, nowhere
    twin_form = context.works(context.twin_dtype)
    if twin_form.precision == form.precision:
        return nowhere, nowhere
    other = _error(format_named(context.twin_dtype).round(twin), exact, context.bits)
    (fine, fine_form), (coarse, coarse_form) = sorted(
        ((error, form), (other, twin_form)), key=lambda pair: pair[1].eps)
    ratio = coarse_form.eps / fine_form.eps
    # An error below the last place may be luck, and none at all, where the coarse one overflowed,
    # tells nothing.
    coarse, size = np.where(np.isinf(coarse), 0.0, coarse), exact.abs_upper()
    shrinks = fine * np.sqrt(ratio) <= np.maximum(coarse, size * coarse_form.eps)
    if form is fine_form:
        # A value that vanished shows no error larger than itself: then some right digits are more
        # than none.
        return shrinks | (np.asarray(twin) == 0) & (fine <= size / 32), ~nowhere
    expected = max(float(np.max(fine, initial=0.0)), context.scale * fine_form.eps) * ratio
    return shrinks, coarse <= min(LUCK, coarse_form.eps ** -0.5) * expected


def entry(index):
    """What messages call an entry: of a single number, "it"."""
    return f"entry {tuple(map(int, index))}" if len(index) else "it"


def by_the_factor(factor):
    """The words about the factor by which an entry is off."""
    if not np.isfinite(factor) or not factor:
        return ""
    return (f" (by the factor 1 {factor - 1:+.3g})"
            if abs(factor - 1) < 1e-3 else f" (by the factor {factor:.6g})")


def _how_much_worse(found, condition):
    """The note on a result that is less accurate than need be."""
    ratio = found.error_over_bound
    worse = found.ulp_max * (1 - 1 / ratio)
    multiple = (f"{ratio:.3g} times the bound" if np.isfinite(ratio)
                else "where the reference rounds nothing")
    number = "" if condition is None else f", condition number {condition():.2g}"
    return f"{worse:.3g} ulps worse than attainable ({multiple}){number}"


def _between(result, agreement, mode):
    """Whether a forward mode's answer at a kink lies between the one-sided slopes, in words."""
    if mode != Mode.FORWARD or not agreement.slopes:
        return ""
    low, high = sorted(agreement.slopes)
    return f", the answer is {'between' if low <= float(result) <= high else 'not between'} them"


def figures(error, size, scale, form):
    """(largest and median error in ulps, relative error in the norm)."""
    if not error.size:
        return 0.0, 0.0, 0.0
    largest = float(np.max(size))
    # Where the exact value is zero there is no last place of its own: the array's or the gradient's
    # largest stands in.
    reference = np.where(size > scale * 1e-100, size,
                         largest if largest > scale * 1e-100 else scale)
    unit = float(np.max(reference)) or 1.0  # the squares of the norms stay in the range of floats
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ulps = error / form.spacing(reference)
        norm, off = (float(np.linalg.norm(a.ravel() / unit)) for a in (reference, error))
    relative = off / norm if norm else np.inf if error.any() else 0.0
    return float(np.max(ulps)), float(np.median(ulps)), relative
