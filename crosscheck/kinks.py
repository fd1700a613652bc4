"""At a kink: is the derivative between the one-sided slopes, is it finite, and do all modes choose
the same one?"""

from __future__ import annotations

import numpy as np

from .modes import ALL, FIRST_ORDER, Mode
from .truth.nearby import is_gradient_nearby
from .verdict import KINK, NOT_FINITE, TYPICAL, WRONG, Verdict

#: Entries of an array that are tried one by one at a kink.
KINKED_ENTRIES = 6


def kinks(trial, dtype):
    """Yield a finding for what is wrong at a kink.

    Entry by entry: is the answer between the one-sided slopes?  Along smooth directions: is it the
    slope?  What is neither is still right if it is the gradient of points nearby.
    """
    point, known, answers = trial.point, trial.known, trial.answers
    kinked, reverse = known.kinked(), answers[dtype].get(Mode.REVERSE)
    yield from _lost_in_one_mode(trial)
    if not kinked and (point.extreme or not known.open()):
        return
    if kinked and isinstance(reverse, dict) and all(
            np.shape(reverse[k]) == a.shape and np.isfinite(reverse[k]).all()
            for k, a in point.x.items()):
        # Of refgrad's own rules the exact convention is known; what floats make of it is judged
        # elsewhere.
        gradient = {k: known.truth.gradient[k].mid() if known.on_trial else np.asarray(g, float)
                    for k, g in reverse.items()}
        yield from _against_slopes(trial, dtype, kinked, gradient)
    for name, note in _modes_agree(answers[dtype], point.x, known.v, known.eps(dtype)):
        yield trial.finding("kink", name, dtype, Verdict(
            KINK, note=f"two modes choose different subgradients: {note}"),
            failed=trial.subject.modes_agree)


def _against_slopes(trial, dtype, kinked, gradient):
    """Yield a finding for each entry and each direction in which the answer is not the slope."""
    known, x = trial.known, trial.point.x
    nearby = {}  # names of arrays -> what `is_gradient_nearby` says of them, asked once

    def row(cotangents):
        return trial.subject.answer(Mode.REVERSE, x, cotangents, known.u, known.v, dtype)

    def refuted(names):
        if names not in nearby:
            nearby[names] = is_gradient_nearby(known, x, list(names), gradient, row)
            # Bounds that meet come apart if they move, too.
            if nearby[names] is False and len(names) < len(x):
                nearby[names] = is_gradient_nearby(known, x, list(x), gradient, row)
        return nearby[names] is False

    for name in kinked:
        if not np.isfinite(sum(known.slopes({name: known.v[name]})[:2])):
            continue  # at a jump there is no derivative, even where single entries do not show it
        for index in _special_entries(x[name]):
            e = np.zeros(x[name].shape)
            e[index] = 1.0
            left, right, smooth, given, inside = _slopes(trial, dtype, {name: e}, gradient)
            if smooth and inside or not np.isfinite(left + right):
                continue
            failed = not inside and not trial.point.extreme and refuted((name,))
            where = ("between them" if inside else
                     "not between them, nor of points nearby" if failed else
                     "that of points nearby" if nearby.get((name,)) else
                     "not between them, and more than this is open")
            told = (f"entry {tuple(map(int, index))}: slopes {left:.6g} and {right:.6g}, "
                    f"the answer {given:.6g} is {where}")
            verdict = Verdict(WRONG if failed and smooth else KINK, note=told)
            yield trial.finding("kink", name, dtype, verdict, failed=failed)
    # Along these a tie stays a tie and a zero a zero, so here many kinked functions are smooth.
    ones = {k: np.ones(a.shape) for k, a in x.items()}
    own = {k: a for k, a in x.items() if a.any()}
    for label, d in (("all entries alike", ones), ("the input itself", own)):
        for names in filter(None, dict.fromkeys([*((k,) for k in kinked if k in d), tuple(d)])):
            part = {k: d[k] for k in names}
            left, right, smooth, given, inside = _slopes(trial, dtype, part, gradient)
            if (smooth and np.isfinite(left) and not inside and not trial.point.extreme
                    and refuted(names)):
                about = ALL if len(names) > 1 else names[0]
                yield trial.finding("kink", about, dtype, Verdict(WRONG, note=(
                    f"along {label} the function is smooth with slope {left:.9g}, "
                    f"the answer is {given:.9g}")))


def _slopes(trial, dtype, direction, gradient):
    """(left slope, right slope, is f smooth, the answer, is it between them) along a direction."""
    known = trial.known
    left, right, width, smooth = known.slopes(direction)
    terms = np.concatenate([np.ravel(gradient[k] * d) for k, d in direction.items()])
    reach = max(float(np.max(np.abs(d), initial=0.0)) for d in direction.values())
    given, slack = float(np.sum(terms)), width + TYPICAL * known.eps(dtype) * (
        float(np.sum(np.abs(terms))) + abs(left) + abs(right) + known.size * reach)
    inside = min(left, right) - slack <= given <= max(left, right) + slack
    return left, right, smooth, given, bool(inside)


def _lost_in_one_mode(trial):
    """Yield a finding where one mode gives nan or inf and another of its order a number, and the
    exact one fits the dtype."""
    # Where f jumps, say, neither is right; but one author chooses once.
    nowhere = trial.point.extreme or trial.known.open() and not trial.subject.modes_agree
    for dtype, answers in () if nowhere else trial.answers.items():
        if trial.leaves_range(dtype):
            continue
        lost = [*_lost_slopes(trial, dtype, answers), *_lost_products(trial, dtype, answers)]
        if lost and trial.subject.finite(trial.point.x, dtype):
            for mode, name, which in lost:
                yield trial.finding(mode, name, dtype, Verdict(
                    NOT_FINITE, note=f"nan or inf, where {which} mode gives a number"))


def _lost_slopes(trial, dtype, answers):
    """Yield (mode, name, which other mode) where one of reverse and forward mode alone gives no
    number."""
    first_order = [answers.get(mode) for mode in FIRST_ORDER]
    for k in trial.point.x if all(isinstance(found, dict) for found in first_order) else ():
        finite = [bool(np.isfinite(found[k]).all()) for found in first_order]
        mode = FIRST_ORDER[finite.index(False)] if finite.count(False) == 1 else None
        if mode and trial.known.fits(mode, k, dtype):
            yield mode, k, "the other"


def _lost_products(trial, dtype, answers):
    """Yield the same of second derivatives, where some composition of modes gives numbers."""
    second = {mode: found for mode, found in answers.items()
              if mode.order == 2 and isinstance(found, dict)}
    finite = {mode: all(np.isfinite(a).all() for a in found.values())
              for mode, found in second.items()}
    for mode in second if any(finite.values()) and not trial.known.open() else ():
        if not finite[mode] and trial.known.smooth(mode) and all(
                trial.known.fits(mode, k, dtype) for k in trial.known.names(mode)):
            yield mode, ALL, "another"


def _modes_agree(answers, x, v, eps):
    """Yield (name, words) where reverse and forward mode choose different subgradients."""
    reverse, forward = answers.get(Mode.REVERSE), answers.get(Mode.FORWARD)
    if not isinstance(reverse, dict) or not isinstance(forward, dict):
        return
    for k in x:
        terms = np.asarray(reverse[k], float) * v[k]
        given, other = float(np.sum(terms)), float(forward[k])
        slack = (TYPICAL * eps * (float(np.sum(np.abs(terms))) + abs(other))
                 * max(terms.size, 1) ** 0.5)
        if np.isfinite(given) != np.isfinite(other) or abs(given - other) > slack:
            yield k, f"reverse mode gives {given:.9g} along a direction, forward mode {other:.9g}"


def _special_entries(a):
    """Indices of zeros and of entries that occur twice, then others."""
    flat = np.ravel(a)
    _, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True)
    special = (flat == 0) | (counts[inverse] > 1)
    order = np.argsort(~special, kind="stable")[:KINKED_ENTRIES]
    return [np.unravel_index(i, a.shape) for i in order]
