"""At a kink: is the answer one of the slopes around it, and do all modes choose the same one, and a number?"""

from __future__ import annotations

import numpy as np

from .formats import format_named
from .modes import ALL, FIRST_ORDER, Mode
from .verdict import KINK, NOT_FINITE, TYPICAL, WRONG, Verdict

#: Entries of an array that are tried one by one at a kink.
KINKED_ENTRIES = 6

#: Points nearby that are looked at where the slopes at a kink do not explain the answer.
PLACES = 64


def kinks(trial, dtype):
    """Yield a finding for what is wrong at a kink.

    Entry by entry: is the answer between the one-sided slopes?  Along smooth directions: is it the slope?
    """
    point, known, answers = trial.point, trial.known, trial.answers
    kinked, reverse = known.kinked(), answers[dtype].get(Mode.REVERSE)
    yield from _lost_in_one_mode(trial)
    if not kinked and (point.extreme or not known.open()):
        return
    if kinked and isinstance(reverse, dict) and all(
            np.shape(reverse[k]) == a.shape and np.isfinite(reverse[k]).all() for k, a in point.x.items()):
        # Of refgrad's own rules the exact convention is known; what floats make of it is judged elsewhere.
        gradient = {k: known.truth.gradient[k].mid() if known.on_trial else np.asarray(g, float)
                    for k, g in reverse.items()}
        for name in kinked:
            for index in _special_entries(point.x[name]):
                e = np.zeros(point.x[name].shape)
                e[index] = 1.0
                yield from _at_kink(trial, name, dtype, {name: e}, gradient, f"entry {tuple(map(int, index))}")
        # Along these a tie stays a tie and a zero a zero, so here many kinked functions are smooth.
        ones = {k: np.ones(a.shape) for k, a in point.x.items()}
        own = {k: a for k, a in point.x.items() if a.any()}
        for label, d in (("all entries alike", ones), ("the input itself", own)):
            for names in filter(None, dict.fromkeys([*((k,) for k in kinked if k in d), tuple(d)])):
                yield from _at_kink(trial, ALL if len(names) > 1 else names[0], dtype,
                                    {k: d[k] for k in names}, gradient, f"along {label}")
    for name, note in _modes_agree(answers[dtype], point.x, known.v, dtype):
        yield trial.finding("kink", name, dtype, Verdict(
            KINK, note=f"two modes choose different subgradients: {note}"), failed=True)


def _at_kink(trial, name, dtype, direction, gradient, where):
    known = trial.known
    left, right, width, smooth = known.slopes(direction)
    if not np.isfinite(left) or not np.isfinite(right):
        return
    terms = np.concatenate([np.ravel(gradient[k] * d) for k, d in direction.items()])
    reach = max(float(np.max(np.abs(d), initial=0.0)) for d in direction.values())
    given, slack = float(np.sum(terms)), width + TYPICAL * format_named(dtype).eps * (
        float(np.sum(np.abs(terms))) + abs(left) + abs(right) + known.size * reach)
    inside = min(left, right) - slack <= given <= max(left, right) + slack
    if smooth:
        if not inside and known.how == "differences":
            # Slopes that are the same on both sides are no proof of smoothness: of an odd number of ties, say.
            near = _slopes_nearby(trial, direction)[0] if len(direction) == 1 else [-np.inf, np.inf]
            inside = min([left, *near]) - slack <= given <= max([left, *near]) + slack
        if not inside:
            yield trial.finding("kink", name, dtype, Verdict(
                WRONG, note=f"{where} the function is smooth with slope {left:.9g}, the answer is {given:.9g}"))
    elif where.startswith("entry"):
        around = "" if inside else " them, nor those nearby"
        if not inside:
            near, all_of_them = _slopes_nearby(trial, direction)
            inside = min([left, right, *near]) - slack <= given <= max([left, right, *near]) + slack
            around = " those nearby" if inside else around if all_of_them else " those seen nearby"
        yield trial.finding("kink", name, dtype, Verdict(KINK, note=(
            f"{where}: slopes {left:.6g} and {right:.6g}, the answer {given:.6g} is "
            f"{'' if inside else 'not '}between{around or ' them'}")), failed=not inside and all_of_them)


def _slopes_nearby(trial, direction):
    """(slopes along the direction at points nearby, whether every order of the entries was met).

    Where several entries tie, the slope along one of them may be the same on both sides, and yet differ nearby: of
    three equal numbers each can be the median.  At points nearby, at which the entry in question takes each place
    among the others, f is smooth; its gradients there span what a subgradient may be.
    """
    (name, d), = direction.items()
    n, entry = d.size, int(np.argmax(np.ravel(d)))
    rng = np.random.default_rng(n)
    places, slopes = rng.permutation(n), []
    for turn in range(PLACES):
        aside = {k: rng.uniform(-1, 1, a.shape) for k, a in trial.point.x.items()}
        ranks = ((places + turn) % n).astype(float) - (n - 1) / 2
        ranks[entry] += 0.25  # never 0, where the entries that are 0 have their own kink
        aside[name] = ranks.reshape(d.shape) / n * rng.choice([-1.0, 1.0])
        left, right, _, _ = trial.known.slopes(direction, aside)
        slopes += [s for s in (left, right) if np.isfinite(s)]
    # Two pieces meet, or several of a kind that places tell apart; of richer sets of slopes corners may be missing.
    kinds = len(set(np.round(np.asarray(slopes) / (max(map(abs, slopes), default=0.0) or 1.0), 6)))
    return slopes, n <= PLACES // 2 and kinds <= n + 1


def _lost_in_one_mode(trial):
    """Yield a finding where a mode gives nan or inf, the other of first order does not, and the exact value fits."""
    for dtype, answers in trial.answers.items() if not trial.point.extreme else ():
        first_order = [answers.get(mode) for mode in FIRST_ORDER]
        for k in trial.point.x if all(isinstance(found, dict) for found in first_order) else ():
            finite = [bool(np.isfinite(found[k]).all()) for found in first_order]
            mode = FIRST_ORDER[finite.index(False)] if finite.count(False) == 1 else None
            if mode and trial.known.fits(mode, k, dtype):
                yield trial.finding(mode, k, dtype, Verdict(
                    NOT_FINITE, note="nan or inf, where the other mode gives a number"))


def _modes_agree(answers, x, v, dtype):
    """At a kink each mode may choose its subgradient, but all must choose the same one."""
    reverse, forward = answers.get(Mode.REVERSE), answers.get(Mode.FORWARD)
    if not isinstance(reverse, dict) or not isinstance(forward, dict):
        return
    eps = format_named(dtype).eps
    for k in x:
        terms = np.asarray(reverse[k], float) * v[k]
        gap = abs(float(np.sum(terms)) - float(forward[k]))
        if gap > TYPICAL * eps * (float(np.sum(np.abs(terms))) + abs(float(forward[k]))) * max(terms.size, 1) ** 0.5:
            yield k, (f"reverse mode gives {float(np.sum(terms)):.9g} along a direction, forward mode "
                      f"{float(forward[k]):.9g}")


def _special_entries(a):
    """Indices of zeros and of entries that occur twice, then others."""
    flat = np.ravel(a)
    _, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True)
    special = (flat == 0) | (counts[inverse] > 1)
    order = np.argsort(~special, kind="stable")[:KINKED_ENTRIES]
    return [np.unravel_index(i, a.shape) for i in order]
