"""First order: an operation's rules against differences of its function, and against each other.

With results y_k and cotangents g_k, and for one argument at a time along a direction v,

    jvp     v -> the tangent                against  (y(x + h v) - y(x - h v)) / 2h, each entry
    vjp     <f'(x)*[g], v>                  against  the same difference, in the inner product with g
    dual    <f'(x)*[g], v>                  against  <g, f'(x)[v]>

At a kink no difference tells the slope: the direction is then confined to the entries that may move without one, and
duality alone is asked of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refgrad.primitive import TABLE

from ..ball import Ball, Undecided, arithmetic, digits
from ..truth.differences import BITS, ENOUGH, REQUIRED, evaluated, step_of_order
from ..truth.exact import FINER
from .culprit import accuse
from .local import Local, is_finite
from .trace import is_floating

#: How many evaluations may be spent on finding the entries of one argument that are not at a kink.
TRIALS = 256


#: What is said where the two rules disagree and no difference tells which is wrong.
BOTH = "vjp or jvp"


class Unable(Exception):
    """A rule, or the function, that does not run on balls."""


@dataclass
class Found:
    """What was learned of one operation."""

    culprit: object = None
    smooth: dict | None = None    # argument -> which of its entries are not at a kink; None if nothing was differenced
    unable: Exception | None = None   # raised by a rule on balls


def first_order(operation, seed):
    """`Found` for the vjp and jvp of one operation."""
    if not all(np.all(np.isfinite(a)) for a in operation.values if is_floating(a)):
        return Found()
    try:
        with np.errstate(all="ignore"):
            local = Local(operation, seed)
        return _first_order(local)
    except Undecided:
        return Found()
    except Unable as error:
        return Found(unable=error.__cause__)


def _first_order(local):
    smooth, quotients, now = {}, {}, np.nan
    for bits in BITS:
        with arithmetic(bits):
            here = _run(evaluated, lambda x: local.function(), {})
            y = here.value
            if not is_finite(y):
                return Found()
            vjp, jvp = _run(local.rules)
            before, quotients = quotients, {}
            tests = [t for i in local.wanted for t in _tests(local, i, vjp, jvp, y, here, smooth, quotients, bits)]
        lowest, now = now, min((t.digits for t in tests), default=np.inf)
        if now >= ENOUGH or abs(now - lowest) < 1 and _same(before, quotients):
            break  # digits that do not rise with the precision are those of a wrong rule
    wrong = sorted((t for t in tests if t.digits < REQUIRED), key=lambda t: t.rule == BOTH)  # which one, if that shows
    with arithmetic(bits):
        for t in [t for t in wrong if not _is_settled(local, t, before, quotients, smooth, here, bits)]:
            wrong.remove(t)
            smooth[t.argument] = np.zeros_like(smooth[t.argument])
        blamed = next((t for t in wrong if not _is_rounding_of_constants(local, t)), None)
        return Found(blamed and blamed.accuse(), smooth)


def _run(function, *args):
    try:
        return function(*args)
    except (Undecided, NotImplementedError):
        raise
    except Exception as error:
        raise Unable from error


@dataclass
class Comparison:
    """One rule against differences, or against the other rule."""

    digits: float
    rule: str
    argument: int
    accuse: object      # () -> Culprit
    difference: object  # how far off, a Ball; with the rule's entries, to ask what rounding can do
    rerun: object = None   # (vjp, jvp) -> what the rule gives, computed again in the arithmetic in force


def _tests(local, i, vjp, jvp, y, here, smooth, quotients, bits):
    h = step_of_order(1, bits)
    v = local.v[i]
    if i not in smooth:
        smooth[i] = _smooth_part(local, i, v, h, here)
    size = max(float(np.max(b.abs_upper(), initial=0.0)) for b in y) or 1.0
    full, free = Ball(v), Ball(np.where(smooth[i], v, 0.0))
    pulled, pushed = _declared(vjp, i), _declared(jvp, i, full)
    if not smooth[i].all() and pulled is not None and pushed is not None:
        yield from _of_both(local, i, pulled, pushed, full, h, here)
    if smooth[i].any():
        quotient = quotients[i] = local.difference(i, free, h, here)
        if quotient is None or not is_finite(quotient):
            return
        if pushed is not None:
            if not smooth[i].all():  # a slope may be infinite where the direction is now zero
                along = tuple(np.where(np.isfinite(p.abs_upper()), p, q) for p, q in zip(_run(jvp, i, free), quotient))
            else:
                along = pushed
            yield _of_jvp(local, i, along, quotient, size, h, lambda j: j(i, free))
        if pulled is not None:
            pulled = np.where(smooth[i], pulled, 0)
            yield _of_vjp(local, i, pulled, free, quotient, size, h, here)


def _declared(rule, *args):
    """The rule's result; None if there is no such rule.  What it cannot decide is no question of the function's."""
    try:
        return _run(rule, *args)
    except NotImplementedError:
        return None
    except Undecided as error:
        raise Unable from error


def _smooth_part(local, i, v, h, here):
    """Which entries may move along v and cross no kink, nor leave the domain: all of them, or those halving finds."""
    smooth, left = np.zeros(v.size, bool), TRIALS
    parts = [np.arange(v.size)]
    while parts and left:
        part, left = parts.pop(), left - 1
        only = np.zeros(v.size)
        only[part] = v.reshape(-1)[part]
        try:
            quotient = local.difference(i, Ball(only.reshape(v.shape)), h, here)
            free = quotient is not None and is_finite(quotient)
        except Undecided:
            free = False
        if free:
            smooth[part] = True
        elif part.size > 1:
            parts += np.array_split(part, 2)[::-1]
    return smooth.reshape(v.shape)


def _scale(rule, quotient, size, h, everything):
    """What each entry's digits are counted against: its own size, if that is no remainder of the difference's error."""
    own = np.where(rule.lower() > 0, rule, np.where(quotient.lower() > h * size, quotient, Ball(0.0)))
    return np.where(own.lower() > 0, own, everything if float(everything.lower()) > 0 else Ball(size))


def _of_jvp(local, i, pushed, quotient, size, h, again):
    everything = Ball(max(float(np.max(p.lower(), initial=0.0)) for p in map(np.abs, pushed)))
    worst, at = np.inf, None
    for k, (p, q) in enumerate(zip(pushed, quotient)):
        found = np.nan_to_num(np.asarray(digits(q, p, _scale(np.abs(p), np.abs(q), size, h, everything))), nan=-np.inf)
        if p.size and np.min(found) < worst:
            worst, at = float(np.min(found)), (k, np.unravel_index(np.argmin(found), found.shape))
    if at is None:
        return Comparison(np.inf, "jvp", i, None, None)
    k, entry = at
    p, q = pushed[k][entry], quotient[k][entry]
    name = tuple(map(int, entry)) if len(pushed) == 1 else (k, *map(int, entry))
    return Comparison(worst, "jvp", i,
                lambda: accuse(local.operation, "jvp", i, entry=name, gives=float(p.mid()), exact=float(q.mid()),
                               digits=worst),
                np.abs(p - q), lambda rules: again(rules[1])[k][entry])


def _of_vjp(local, i, pulled, free, quotient, size, h, here):
    given, expected = np.sum(pulled * free), sum(np.sum(g * q) for g, q in zip(local.g, quotient))
    terms = np.sum(np.abs(pulled * free))
    weight = sum(np.sum(np.abs(g * q)) for g, q in zip(local.g, quotient))
    scale = terms if float(terms.lower()) > 0 else weight if float(weight.lower()) > h * size else Ball(size)
    found = float(digits(given, expected, scale))

    def accused():
        entry = _entry_of(local, i, pulled, free, h, here)
        size = float(abs(free[entry].mid())) or 1.0
        e = np.zeros(free.shape)
        e[entry] = 1.0
        e = local.within(i, Ball(e))
        exact = sum(np.sum(g * q) for g, q in zip(local.g, local.difference(i, e * size, h, here))) / size
        gives = np.sum(pulled * e)
        return accuse(local.operation, "vjp", i, entry=tuple(map(int, entry)), gives=float(gives.mid()),
                      exact=float(exact.mid()), digits=float(digits(gives, exact, np.abs(exact))))
    return Comparison(found, "vjp", i, accused, np.abs(given - expected), lambda rules: np.sum(rules[0](i) * free))


def _entry_of(local, i, pulled, free, h, here):
    """The entry of the cotangent that is off, by halving: of two parts of the direction the one that is farther off."""
    part = np.flatnonzero(free.mid())
    while part.size > 1:
        halves, far = np.array_split(part, 2), []
        for half in halves:
            mask = np.zeros(free.size)
            mask[half] = 1.0
            v = local.within(i, free * mask.reshape(free.shape))
            quotient = local.difference(i, v, h, here)
            expected = sum(np.sum(g * q) for g, q in zip(local.g, quotient))
            far.append(float(np.abs(np.sum(pulled * v) - expected).abs_upper()))
        part = halves[int(np.argmax(far))]
    return np.unravel_index(part[0], free.shape)


def _of_both(local, i, pulled, pushed, v, h, here):
    """Duality, along a direction that also moves what is at a kink: both rules must choose the same slopes, finite ones
    where those on either side are."""
    lost = [rule for rule, result in (("vjp", (pulled,)), ("jvp", pushed)) if not is_finite(result)]
    if lost and _is_finitely_steep(local, i, v, h, here):
        yield Comparison(-np.inf, lost[0], i, lambda: accuse(
            local.operation, lost[0], i, note="at a kink with finite slopes on both sides it gives nan or inf"), None)
    if lost:
        return
    one, other = np.sum(pulled * v), sum(np.sum(g * p) for g, p in zip(local.g, pushed))
    scale = np.sum(np.abs(pulled * v)) + sum(np.sum(np.abs(g * p)) for g, p in zip(local.g, pushed))
    found = float(digits(one, other, scale if float(scale.lower()) > 0 else Ball(1.0)))
    yield Comparison(found, BOTH, i, lambda: accuse(
        local.operation, BOTH, i, digits=found,
        note=f"at a kink the vjp takes the slope {float(one.mid()):.6g}, the jvp the slope {float(other.mid()):.6g}"),
        np.abs(one - other))


def _is_finitely_steep(local, i, v, h, here):
    """Whether the slopes on both sides of a kink are finite."""
    try:
        return not local.along(i, v, h, here).jump
    except Undecided:
        return False


def _is_settled(local, test, before, quotients, smooth, here, bits):
    """Whether differences tell the slope: finer steps do not change it, and it is the same on both sides.

    Not so at a singularity that no comparison gives away: at the origin of a norm, at 0 of a root.
    """
    i = test.argument
    if test.rule == BOTH or test.digits == -np.inf and test.difference is None:
        return True  # no difference was asked
    coarse, fine = before.get(i), quotients[i]
    if coarse is None or not is_finite(coarse):
        return False
    free, h = Ball(np.where(smooth[i], local.v[i], 0.0)), step_of_order(1, bits)
    left, right = local.along(i, free, h, here).sides
    return all(agree(a, b) for one, other in ((coarse, fine), (right, left)) for a, b in zip(one, other))


def _same(before, now):
    return all(before.get(i) is not None and all(map(agree, before[i], q)) for i, q in now.items() if q is not None)


def agree(a, b, scale=0.0):
    """Whether two results are the same to the digits that are required, beside the largest of them or the scale."""
    largest = float(np.max(np.maximum(a.abs_upper(), b.abs_upper()), initial=scale))
    return largest == 0 or bool(np.all(digits(a, b, largest) >= REQUIRED))


def _is_rounding_of_constants(local, test):
    return test.rerun is not None and is_rounding_of_constants(local, test.difference,
                                                               lambda: test.rerun(local.rules()))


def is_rounding_of_constants(local, off, again):
    """A user's rule may hold rounded constants, such as sqrt(2 pi) as a float: off by no more than rounding in float64.

    Rules of the table hold none: for them no such excuse is made.  `again` computes what is off in another arithmetic.
    """
    if local.primitive in TABLE.values():
        return False
    try:
        with arithmetic(np.float64, FINER):
            swollen = float(again().radius())
    except (Undecided, ArithmeticError):
        return False
    return float(off.abs_upper()) <= swollen * 2.0 ** FINER
