"""One operation alone, its rules differentiated again: second derivatives in all four compositions, on balls.

Where every rule is right to first order, one that is right itself but not rightly differentiable shows here: one that
takes an array out of the trace, or keeps what belongs to another point.
"""

from __future__ import annotations

import numpy as np

from refgrad.tracer import dispatch

from ..ball import Ball, Undecided, arithmetic, digits
from ..modes import ALL, Mode
from ..subjects.libraries.refgrad_library import inner
from ..truth.differences import BITS, ENOUGH, REQUIRED, Difference, step_of_order
from .around import COMPOSITIONS, OUTSIDE_THE_TABLE, bent, inner_product
from .culprit import accuse
from .first import agree, is_rounding_of_constants
from .local import Local, as_ball, is_finite, tupled


def second_order(operation, seed, smooth):
    """The `Culprit`, or None.  `smooth` says which entries of each argument are not at a kink."""
    if not any(s.any() for s in smooth.values()):
        return None
    try:
        with np.errstate(all="ignore"):
            return _second_order(Local(operation, seed), smooth)
    except (Undecided, NotImplementedError, TypeError):  # the function itself does not run on balls
        return None


def _second_order(local, smooth):
    x = {i: local.values[i] for i in local.wanted}
    u, v = ({i: Ball(np.where(smooth[i], d[i], 0.0)) for i in local.wanted} for d in (local.u, local.v))
    f = _scalar(local)
    quotient, partial = None, not all(s.all() for s in smooth.values())
    for bits in BITS:
        with arithmetic(bits):
            before, found = quotient, {}
            quotient, slope, size = _differences(f, x, u, v, bits)
            if quotient is None or not is_finite((quotient,)):
                return None
            for mode in COMPOSITIONS:
                try:
                    product = _derivative(mode, f, x, u, v)
                except (Undecided, NotImplementedError):
                    continue
                except Exception as error:  # judged by what floats make of it
                    found[mode] = -np.inf, np.nan, np.nan, error
                    continue
                if partial and not is_finite(product.values()):  # 0 times a slope that is infinite at a kink
                    continue
                found[mode] = *_compared(mode, product, u, quotient, slope, size), None
                again = lambda: _along(mode, _derivative(mode, f, x, u, v), u)
                if found[mode][0] < REQUIRED and is_rounding_of_constants(local, quotient - again(), again):
                    del found[mode]
        if all(d >= ENOUGH for d, *_ in found.values()):
            return None
    with arithmetic(bits):
        if not agree(before, quotient, float(slope.lower())):  # the second difference does not settle: a singularity
            return None
    return _accused(local, {mode: f for mode, f in found.items() if f[0] < REQUIRED})


def _scalar(local):
    """A function of a dict of arguments: the operation between curved functions, in the inner product with g."""
    results = [Ball(as_ball(y).mid()) for y in local.function()]  # floats near them, which are exact

    def f(x):
        arrays = [bent(x[i], local.values[i]) if i in x else a for i, a in enumerate(local.values)]
        ys = tupled(dispatch(local.primitive, arrays, local.params))
        return inner_product([bent(y, at, 0.75) for y, at in zip(ys, results)], local.g)
    return f


def _derivative(mode, f, x, u, v):
    return {k: as_ball(d) for k, d in mode.differentiate(OUTSIDE_THE_TABLE, f, x, u, v).items()}


def _differences(f, x, u, v, bits):
    """(u' H v, the slope along u, |f|) by values of f alone; (None, ...) across a kink."""
    h = step_of_order(2, bits)
    difference = Difference(f, x, u, v, h=h)
    if not difference.smooth:
        return None, None, None
    first = (difference.at[1, 1].value - difference.at[-1, 1].value) / (2 * h)
    return difference.quotient, np.abs(first), np.abs(difference.here.value)


def _along(mode, product, u):
    return product[ALL] if mode == Mode.FORWARD_OVER_FORWARD else inner(product, u)


def _compared(mode, product, u, quotient, slope, size):
    along = _along(mode, product, u)
    terms = np.abs(along) if mode == Mode.FORWARD_OVER_FORWARD else inner(
        {k: np.abs(p) for k, p in product.items()}, {k: np.abs(d) for k, d in u.items()})
    scale = next((s for s in (terms, slope, size) if float(s.lower()) > 0), Ball(1.0))
    return float(digits(quotient, along, scale)), float(along.mid()), float(quotient.mid())


def _accused(local, wrong):
    """The first composition that fails; the note names all of them."""
    raised = {mode: found[3] for mode, found in wrong.items() if found[3] is not None}
    wrong = {mode: found for mode, found in wrong.items()
             if mode not in raised or _raises_in_floats(local, mode, raised[mode])}
    if not wrong:
        return None
    mode, (agree, gives, exact, error) = next(iter(wrong.items()))
    rules = list(dict.fromkeys(COMPOSITIONS[m] for m in wrong))
    note = f"the second derivative is wrong by {', '.join(wrong)}; to first order the rule is right"
    if error is not None:
        note = f"the rule cannot be differentiated again ({mode}): {type(error).__name__}: {error}"
    return accuse(local.operation, f"{' and '.join(rules)} differentiated again", None, gives=gives, exact=exact,
                  digits=agree, note=note)


def _raises_in_floats(local, mode, error):
    """Whether the rule raises the same error without balls, and so because of what it is."""
    values = local.operation.values
    x = {i: values[i] for i in local.wanted}

    def f(x):
        results = tupled(dispatch(local.primitive, [x.get(i, a) for i, a in enumerate(values)], local.params))
        return inner_product(results, [g.mid() for g in local.g])

    try:
        mode.differentiate(OUTSIDE_THE_TABLE, f, x, *({i: d[i].astype(x[i].dtype) for i in x} for d in (local.u, local.v)))
    except Exception as found:
        return type(found) is type(error)
    return False
