"""Side effects and consistency of a derivative's code: does it keep state or write into its
arguments, does it depend on the memory layout of arrays, and do all ways to the same derivative
agree?"""

from __future__ import annotations

import numpy as np

from .formats import OF_NUMPY
from .modes import ALL, Mode
from .rounding import judged
from .shapes import resized
from .subjects.libraries.refgrad_library import inner
from .subjects.subject import Unanswered, raised_by_the_subject
from .truth import estimated
from .truth.nearby import rounded_at_random
from .verdict import MISCONDUCT, NO_ANSWER, NOT_FINITE, RIGHT, TYPICAL, WRONG, Verdict

#: Roundings by which two sums of the same terms may differ, in units of the largest entry.
LAST_BITS = 64

#: Inputs times these are others; times the second they are nearly always in the function's domain.
OTHERS = (-0.75, 0.75)

#: A third derivative that is wrong is off by more than this part of itself.  What is off by less is
#: a difference across a switch of f itself, from a series to what it approximates, say.
PERCENT = 0.01


def strided(a):
    """The same entries, with others between them along the last axis."""
    if not a.ndim:
        return a
    room = np.full((*a.shape[:-1], 2 * a.shape[-1]), 7, a.dtype)
    room[..., ::2] = a
    return room[..., ::2]


def contiguous(a):
    """A copy whose entries follow each other in memory."""
    return np.array(a, order="C")


def expanded(a):
    """An array of equal numbers expanded from a single one, as the cotangent of a sum is; other
    arrays are copied."""
    return (np.broadcast_to(a.flat[0], a.shape) if a.size > 1 and (a == a.flat[0]).all()
            else np.array(a))


LAYOUTS = {"contiguous": contiguous, "strided": strided,
           "transposed": lambda a: np.array(a, order="F")}


class Remembered:
    """A layout that remembers the arrays that it made, to see whether they are overwritten."""

    def __init__(self, layout):
        self.layout, self.made = layout, []

    def __call__(self, a):
        made = self.layout(a)
        self.made.append((made, np.copy(made)))
        return made

    def touched(self):
        """Was one of them overwritten?"""
        return any(not np.array_equal(a, before, equal_nan=True) for a, before in self.made)


def conduct(trial, dtype, wrong):
    """Yield findings on side effects of vjp and jvp at the point of a trial, and on other ways to
    the same derivatives.

    wrong  the modes whose own answer is wrong: other ways to that derivative are not judged
    """
    subject, point, known, answers = trial.subject, trial.point, trial.known, trial.answers
    if isinstance(answers[dtype].get(Mode.REVERSE), Exception):
        return  # the error is a finding already

    met = {}  # answers -> the verdict on them, since most ways give the same numbers

    def judge(mode, found, check):
        given = {dtype: {mode: found}, **{d: a for d, a in answers.items() if d != dtype}}
        for name in known.names(mode) if mode not in wrong else ():
            if not (known.on_trial and known.refuted(mode, name)):
                arrays = map(np.asarray, [found[name]] if name in found else found.values())
                key = mode, name, *((a.shape, a.dtype, a.tobytes()) for a in arrays)
                if key not in met:
                    met[key] = judged(trial, mode, name, dtype, given)
                yield check, name, met[key]

    for check, name, verdict in _behaviour(subject, point, known, dtype, judge, trial.varies):
        yield trial.finding(check, name, dtype, verdict)
    for check, (mode, way, promised) in subject.extra.items():
        if mode not in answers[dtype]:
            continue
        try:
            found = way(point.x, known.weights, known.u, known.v, dtype)
        except Exception as error:
            yield trial.finding(check, ALL, dtype, no_answer(error), failed=promised)
            continue
        for _, name, verdict in judge(mode, found, check):
            yield trial.finding(check, name, dtype, verdict)


def _behaviour(subject, point, known, dtype, judge, varies):
    """Yield (check, name, `Verdict`); ``judge(mode, answers_of_that_mode, check)`` does so for
    answers that were got in another way."""
    weights, u, v, eps = known.weights, known.u, known.v, known.eps(dtype)
    layouts = {name: laid_out for name, laid_out in LAYOUTS.items()
               if _takes(subject, point.x, dtype, laid_out, eps)}
    for layout, laid_out in layouts.items():
        if layout != "contiguous" and Mode.FORWARD in subject.modes:
            handed = Remembered(laid_out)
            try:
                found = subject.answer(Mode.FORWARD, point.x, weights, u, v, dtype, handed)
                yield from judge(Mode.FORWARD, found, f"{layout} arrays, forward")
            except Exception as error:
                if not subject.may_decline(Mode.FORWARD, error):
                    yield (f"{layout} arrays, forward", ALL,
                           Verdict(MISCONDUCT, note=f"raises {brief(error)}"))
            yield "mutation, forward", ALL, Verdict(RIGHT) if not handed.touched() else Verdict(
                MISCONDUCT, note="an input or a tangent is overwritten by the derivative")
    # Memory that is read in its own order does not show where all arrays share an order.
    ways = [(f"{layout} arrays", laid_out, weights) for layout, laid_out in layouts.items()]
    ways.append(("transposed cotangent", np.asarray, [LAYOUTS["transposed"](w) for w in weights]))
    for check, laid_out, cotangent in ways:
        try:
            first, second, touched = subject.pull(point.x, cotangent, dtype, laid_out)
        except (Unanswered, NotImplementedError):
            return
        except Exception as error:
            yield check, ALL, Verdict(MISCONDUCT, note=f"raises {brief(error)}")
            continue
        if laid_out is contiguous:
            yield from _repeated(first, second, eps, varies)
            yield from _after_others(subject, point, weights, dtype, first, eps)
            yield from _mutation(touched)
            yield from _shapes(first, point.x, dtype)
            if all(np.shape(first[k]) == a.shape for k, a in point.x.items()):
                yield from _linear(subject, point, weights, dtype, first, eps)
        else:
            yield from judge(Mode.REVERSE, first, check)
    yield from _expanded(subject, point, weights, dtype, eps)
    yield from _shared(subject, point, weights, dtype, eps)


def _expanded(subject, point, weights, dtype, eps):
    """The cotangent of a sum, which has one number in memory: the same gradients as for an array of
    ones."""
    ones = [np.ones(np.shape(w)) for w in weights]
    if all(w.size < 2 for w in ones):
        return
    try:
        plain, _, _ = subject.pull(point.x, ones, dtype, contiguous)
        found, _, _ = subject.pull(point.x, [expanded(w) for w in ones], dtype, np.asarray)
    except Exception as error:
        yield "expanded cotangent", ALL, Verdict(MISCONDUCT, note=f"raises {brief(error)}")
        return
    for k, a in plain.items():
        a, b = (np.asarray(g, float) for g in (a, found[k]))
        # Where the gradient cancels, the cotangent's size counts.
        slack = np.sqrt(eps) * float(np.max(np.abs(a), initial=1.0))
        with np.errstate(invalid="ignore"):
            off = a.shape != b.shape or not ((np.abs(a - b) <= slack) | ~np.isfinite(a)).all()
        yield "expanded cotangent", k, Verdict(RIGHT) if not off else Verdict(
            MISCONDUCT, note="another gradient for the cotangent of a sum, whose strides are 0, "
                             "than for one of ones")


def third_order(trial, dtype):
    """Yield a finding for the third derivative along v, compared with differences of the second,
    which was found right."""
    subject, known, x = trial.subject, trial.known, trial.point.x

    def bend(x):
        found = subject.answer(Mode.REVERSE_OVER_REVERSE, x, known.weights, known.v, known.v, dtype)
        return inner(found, known.v)

    try:
        given = subject.third(x, known.weights, known.v, dtype)
    except Exception as error:
        if not raised_by_the_subject(error):
            raise
        return  # nobody has promised it
    estimate = None if given is None else estimated.slope(bend, x, known.v, known.eps(dtype))
    if estimate is not None and not estimate.kink and not estimate.reason:
        size = abs(given) + abs(estimate.value) + abs(bend(x))
        gap = abs(given - estimate.value)
        off = gap > 2 * estimate.uncertainty + np.sqrt(known.eps(dtype)) * size
        off = off and gap > PERCENT * max(abs(given), abs(estimate.value))
        yield trial.finding("third order", ALL, dtype, Verdict(RIGHT) if not off else Verdict(
            WRONG, note=f"along a direction {given:.9g}, by differences of the second derivative "
                        f"{estimate.value:.9g}"))


def _takes(subject, x, dtype, layout, eps):
    """Does f take arrays in that layout, and is it the same function of them?"""
    if layout is contiguous:
        return True
    try:
        there = subject.value(x, dtype, layout)
    except Exception as error:
        if not raised_by_the_subject(error):
            raise
        return False
    part = eps ** 0.5
    return all(np.max(np.abs(a - b), initial=0.0) <= part * np.max(np.abs(b), initial=0.0)
               for a, b in zip(there, subject.value(x, dtype)))


def _shared(subject, point, weights, dtype, eps):
    """One array for two inputs: the same gradients as for two equal arrays, and their sum where
    inputs are leaves."""
    pairs = [(a, b) for a in point.x
             for b in point.x if a < b and point.x[a].shape == point.x[b].shape]
    for a, b in pairs[:1]:
        one = point.x[a]
        try:
            subject.value({**point.x, b: one}, dtype)
        except Exception as error:
            if not raised_by_the_subject(error):
                raise
            return  # it is not for equal inputs
        try:
            apart, _, _ = subject.pull({**point.x, b: one.copy()}, weights, dtype, contiguous)
            shared, _, _ = subject.pull({**point.x, b: one}, weights, dtype, contiguous)
        except Exception as error:
            yield "repeated inputs", a, Verdict(MISCONDUCT, note=f"raises {brief(error)}")
            return
        expected = ({a: apart[a] + apart[b], b: apart[a] + apart[b]} if subject.leaves_add_up
                    else apart)
        for k in (a, b):
            # Half of the digits, of the cotangent's size where the gradients cancel.
            slack = np.sqrt(eps) * max(np.max(np.abs(g), initial=0.0, where=np.isfinite(g))
                                       for g in (apart[a], apart[b], *weights))
            with np.errstate(invalid="ignore"):
                off = ~((np.abs(shared[k] - expected[k]) <= slack) | ~np.isfinite(expected[k]))
            yield "repeated inputs", k, Verdict(RIGHT) if not off.any() else Verdict(
                MISCONDUCT, note=f"another gradient when {a} and {b} are one array")


def _linear(subject, point, weights, dtype, whole, eps):
    """The vjp is linear in the cotangent: a thousand times as large, and in two parts with zeros in
    between."""
    halves = [[w * (np.arange(w.size).reshape(w.shape) % 2 == k) for w in weights] for k in (0, 1)]
    try:
        large = subject.pull(point.x, [1024 * w for w in weights], dtype, contiguous)[0]
        parts = [subject.pull(point.x, half, dtype, contiguous)[0] for half in halves]
    except Exception as error:
        yield ("linearity", ALL,
               Verdict(MISCONDUCT, note=f"raises {brief(error)} for another cotangent"))
        return

    def rounded():
        for seed in (1, 2, 3):
            x = rounded_at_random(point.x, eps, seed, alike=True)
            w = rounded_at_random(dict(enumerate(weights)), eps, seed)
            yield subject.pull(x, list(w.values()), dtype, contiguous)[0]

    for k, a in whole.items():
        a = np.asarray(a, float)
        size = max(np.max(np.abs(c), initial=0.0)
                   for c in (*(p[k] for p in (whole, *parts)), *weights))
        # Half of the digits: a cotangent that is clipped or taken for another loses all of them.
        slack = np.sqrt(eps) * float(size)
        with np.errstate(invalid="ignore"):
            gaps = [np.max(np.abs(b - a), initial=0.0) for b in (
                np.asarray(large[k], float) / 1024, np.asarray(parts[0][k], float) + parts[1][k])]
            # Fewer digits where a rounding of x and of the cotangent leaves fewer.
            if max(gaps) > slack:
                slack = max(slack,
                            TYPICAL * max(np.max(np.abs(np.asarray(r[k], float) - a), initial=0.0)
                                          for r in rounded()))
            off = [gap > slack for gap in gaps]
        what = ["of one that is 1024 times as large", "of its two halves, with zeros in between"]
        wrong = [w for w, o in zip(what, off) if o]
        yield "linearity", k, Verdict(RIGHT) if not wrong else Verdict(
            MISCONDUCT,
            note=f"not linear in the cotangent: it gives another gradient {' and '.join(wrong)}")


def _repeated(first, second, eps, varies):
    """The vjp of the same cotangent, once more from the same forward pass: the same to the last
    bit, unless f's own values vary, too."""
    for k, a in first.items():
        if np.array_equal(a, second[k], equal_nan=True):
            yield "repeated calls", k, Verdict(RIGHT)
        elif reordered := another_order([a], [second[k]], eps):
            yield "repeated calls", k, Verdict(RIGHT if varies else MISCONDUCT, note=(
                f"the second call gives the same gradient but for its last bits: they {reordered}"))
        else:
            yield "repeated calls", k, Verdict(MISCONDUCT, note=(
                f"the second call gives another gradient, {_example(a, second[k])}: is state kept, "
                f"or the cotangent overwritten?"))


def _after_others(subject, point, weights, dtype, first, eps):
    """The vjp where f was called with other inputs before, as in the second step of a training: the
    same but for rounding."""
    others = ({k: a * by for k, a in point.x.items()} for by in OTHERS)
    other = next((x for x in others if subject.finite(x, dtype)), None)
    if other is None:
        return
    try:
        subject.pull(other, weights, dtype, contiguous)
        found = subject.pull(point.x, weights, dtype, contiguous)[0]
    except Exception as error:
        if not raised_by_the_subject(error):
            raise
        return  # it may have other results there
    finally:
        subject.state.put_back()
    for k, a in first.items():
        b, size = found[k], np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
        slack = np.sqrt(eps) * max(size, *(np.max(np.abs(w), initial=0.0) for w in weights))
        if np.shape(a) == np.shape(b) and (np.abs(a - b) > slack).any():
            yield "earlier calls", k, Verdict(MISCONDUCT, note=(
                f"another gradient after a call with other inputs, {_example(a, b)}: is something "
                "kept from an earlier call?"))


def another_order(first, second, eps):
    """By how much arrays differ that are the same but for rounding, in words; "" where they differ
    by more."""
    ulps = 0.0
    for a, b in zip(first, second):
        a, b = np.asarray(a, float), np.asarray(b, float)
        if np.shape(a) != np.shape(b) or not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return ""
        size, gap = (np.max(np.abs(d), initial=0.0, where=np.isfinite(a)) for d in (a, a - b))
        ulps = max(ulps, float(gap / (eps * size)) if size else 0.0)
    if ulps > LAST_BITS:
        return ""
    return (f"differ by {ulps:.2g} ulps of the largest entry, as a sum in another order of its "
            "terms does")


def _mutation(touched):
    """Is something overwritten by the derivative?"""
    for name in touched:
        yield "mutation", name, Verdict(MISCONDUCT, note=f"{name} is overwritten by the derivative")
    if not touched:
        yield "mutation", ALL, Verdict(RIGHT)


def _shapes(found, x, dtype):
    """Has each gradient the shape of its input and the dtype that was asked for?"""
    for k, a in x.items():
        g = found[k]
        if np.shape(g) != np.shape(a):
            yield ("shape and dtype", k,
                   Verdict(MISCONDUCT, note=f"shape {np.shape(g)}, expected {np.shape(a)}"))
        elif dtype in OF_NUMPY and np.asarray(g).dtype != np.dtype(dtype):
            yield ("shape and dtype", k,
                   Verdict(MISCONDUCT, note=f"dtype {np.asarray(g).dtype}, expected {dtype}"))
        else:
            yield "shape and dtype", k, Verdict(RIGHT)


def no_entries(subject, x, dtype):
    """Yield (name, `Verdict`) for arrays without entries along the first axis: gradients without
    entries, or zeros."""
    cut = resized(0, x, subject.constants, subject.resizable)
    if cut is None:
        return
    with subject.given(cut[1]):
        try:
            values = subject.value(cut[0], dtype)
        except Exception as error:
            if not raised_by_the_subject(error):
                raise
            return  # not for empty arrays: then there is nothing to differentiate
        if not values or not all(np.isfinite(y).all() for y in values):
            return
        try:
            first, _, _ = subject.pull(cut[0], [np.ones(np.shape(y)) for y in values], dtype,
                                       contiguous)
        except Exception as error:
            yield ALL, no_answer(error)
            return
    for k, a in cut[0].items():
        if np.shape(first[k]) != a.shape:
            yield k, Verdict(NO_ANSWER, note=f"without entries: shape {np.shape(first[k])}, "
                                             f"expected {a.shape}")
        else:
            yield k, Verdict(RIGHT) if np.isfinite(first[k]).all() else Verdict(
                NOT_FINITE,
                note="nan or inf for arrays without entries, where the function is finite")


def _example(a, b):
    """The first entry in which two arrays differ, in words."""
    different = np.asarray(a != b)
    index = np.unravel_index(int(np.argmax(different)), np.shape(a)) if np.ndim(a) else ()
    where = f" at {tuple(map(int, index))}" if index else ""
    return f"{np.asarray(a)[index]:.9g} and then {np.asarray(b)[index]:.9g}{where}"


def brief(error):
    """The error's type and the first line of its message."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160] if text else ''}"


def no_answer(error):
    """The `Verdict` on an error in the place of a derivative."""
    return Verdict(NO_ANSWER, note=brief(error))
