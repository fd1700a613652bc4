"""One call of refgrad.nn against torch's: value, gradient, second derivatives; who is right.

With weights w for the results and a direction v, what is compared is the gradient of
F(x) = <w, f(x)> and its second derivative H v.  Where the two differ, the entry that differs most,
of the value, of the gradient or of H v, is computed in ball arithmetic by differences of f alone:
neither's rules take part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

import refgrad as rg

from ...ball import Ball, arithmetic
from .samples import leaves, waves

#: What may differ, relative to the largest entry: in values and gradients; in second derivatives.
NEAR, NEAR_TWICE = 1e-10, 1e-9

#: Bits of the exact values, and the step of their differences, whose own error is its square.
BITS, STEP = 800, 2.0 ** -100

REFGRAD, TORCH, BOTH, NEITHER = "refgrad", "torch", "both: a kink", "neither"


@dataclass(frozen=True)
class Found:
    """What came out of one sample.

    stage    where it differs, "refused", or "" if nothing does
    reason   of a refusal
    how_far  relative to the largest entry; nan for shapes, nan and inf
    right    who is right
    """

    stage: str = ""
    reason: str = ""
    how_far: float = np.nan
    right: str = ""


def compare(op, function, call):
    """The `Found` of one call of torch's entry and of refgrad's function."""
    tensors, theirs = call.of_torch(op)
    arrays, mine = call.of_arrays(function)
    try:
        with np.errstate(all="ignore"):
            leaves(mine(*arrays))
    except (TypeError, ValueError, NotImplementedError) as error:
        return Found("refused", f"{type(error).__name__}: {error}")
    try:
        with np.errstate(all="ignore"):
            return Comparison(op, tensors, theirs, arrays, mine).found()
    except Exception as error:  # an error of refgrad's derivatives is a finding
        first = (str(error).splitlines() or [""])[0]
        return Found("error", right=f"{type(error).__name__}: {first}")


class Comparison:
    def __init__(self, op, tensors, theirs, arrays, mine):
        self.op, self.tensors, self.arrays = op, tensors, arrays
        self.f = lambda *values: leaves(mine(*values))
        with torch.enable_grad():
            self.ys = leaves(theirs(*tensors))
        self.v = waves([a.shape for a in arrays], 1)
        self.w = waves([tuple(y.shape) for y in self.ys])

    def scalar(self, *values):
        """<w, f>, of the results that are no integers."""
        return sum(np.sum(w * y) for w, y in zip(self.w, self.f(*values)) if _is_float(y))

    def found(self):
        for stage in (self.value, self.gradient, self.second):
            if found := stage():
                return found
        return Found()

    def value(self):
        values = self.f(*self.arrays)
        if len(values) != len(self.ys):
            return Found("results", right=f"{len(values)} instead of {len(self.ys)}")
        for mine, theirs in zip(values, map(_numbers, self.ys)):
            if not (how_far := far(mine, theirs)) <= NEAR:
                n = [y is mine for y in values].index(True)
                return Found("value", "", how_far, self.judge(0, mine, theirs, n))
        return None

    def differentiable(self):
        some = any(y.requires_grad for y in self.ys)
        return bool(self.tensors) and self.op.supports_autograd and some

    def gradient(self):
        """Reverse mode against torch's, and forward mode against reverse mode."""
        if not self.differentiable():
            return None
        total = sum((torch.from_numpy(w) * y).sum() for w, y in zip(self.w, self.ys)
                    if y.requires_grad)
        self.slopes = torch.autograd.grad(
            total, self.tensors, create_graph=self.op.supports_gradgrad, allow_unused=True)
        theirs = self.filled(self.slopes)
        every = tuple(range(len(self.arrays)))
        mine = rg.grad(self.scalar, every)(*self.arrays)
        for n, (m, t) in enumerate(zip(mine, theirs)):
            if not (how_far := far(m, t)) <= NEAR:
                return Found("gradient", "", how_far, self.judge(1, m, t, n))
        tangent = rg.jvp(self.scalar, self.arrays, self.v)[1]
        terms = [np.sum(m * d) for m, d in zip(mine, self.v)]
        if np.all(np.isfinite(terms)):
            size = sum(np.sum(np.abs(m * d)) for m, d in zip(mine, self.v)) + 1e-30
            if not (how_far := abs(tangent - sum(terms)) / size) <= NEAR:
                # whose gradient refgrad's reverse mode gave, too
                return Found("forward", "", how_far, TORCH)
        return None

    def second(self):
        """H v in three ways, against torch's; where it has none, against the first of them."""
        if not self.differentiable():
            return None
        every, scalar, v = tuple(range(len(self.arrays))), self.scalar, self.v
        slope = rg.grad(scalar, every)
        ways = {
            "reverse over reverse": lambda: rg.grad(
                lambda *x: sum(np.sum(p * d) for p, d in zip(slope(*x), v)), every)(*self.arrays),
            "forward over reverse": lambda: rg.jvp(slope, self.arrays, v)[1],
            "reverse over forward": lambda: rg.grad(
                lambda *x: rg.jvp(scalar, x, v)[1], every)(*self.arrays)}
        theirs = self.torch_second()
        for name, way in ways.items():
            mine = list(map(np.asarray, way()))
            theirs = theirs or mine
            size = max([np.max(np.abs(t[np.isfinite(t)]), initial=1e-30) for t in theirs])
            for n, (m, t) in enumerate(zip(mine, theirs)):
                if not (how_far := far(m, t, size)) <= NEAR_TWICE:
                    return Found(name, "", how_far, self.judge(2, m, t, n, size))
        return None

    def torch_second(self):
        if not self.op.supports_gradgrad:
            return None
        along = sum((d * torch.from_numpy(v)).sum() for d, v in zip(self.slopes, self.v)
                    if d is not None and d.requires_grad)
        if not torch.is_tensor(along):
            return self.filled([None] * len(self.arrays))
        return self.filled(torch.autograd.grad(along, self.tensors, allow_unused=True))

    def filled(self, slopes):
        """torch's derivatives as arrays, zeros where it has None."""
        return [np.zeros(a.shape) if d is None else _numbers(d)
                for a, d in zip(self.arrays, slopes)]

    # Who is right

    def judge(self, order, mine, theirs, n, size=None):
        """Which of the two is right where they differ most, as far as balls can tell.

        n  which result, or of derivatives which argument
        """
        mine, theirs = np.asarray(mine, float), np.asarray(theirs, float)
        if mine.shape != theirs.shape:
            return "undecided: shapes"
        if not all(np.all(np.isfinite(a)) for a in (*self.arrays, mine, theirs)):
            return "undecided: nan or inf"
        place = np.unravel_index(np.argmax(np.abs(mine - theirs)), mine.shape)
        try:
            with arithmetic(BITS):
                exact = self.exact_value, self.exact_slopes, self.exact_seconds
                low, high = exact[order](n, place)
        except Exception as error:  # whatever balls cannot do
            return f"undecided: {type(error).__name__} on balls"
        size = max(size or np.max(np.abs(theirs), initial=1e-30), abs(low), abs(high))
        near = (NEAR if order < 2 else NEAR_TWICE) * size
        if abs(low - high) > near:
            return BOTH
        close = [bool(abs(a[place] - low) <= near) for a in (mine, theirs)]
        return {(True, False): REFGRAD, (False, True): TORCH, (False, False): NEITHER}.get(
            tuple(close), "undecided: too near")

    def exact_value(self, n, place):
        exact = float(self.f(*map(Ball, self.arrays))[n][place].mid())
        return exact, exact

    def moved(self, n, place, unit, along):
        """F where the entry has moved by some steps, and all of it along v by some."""
        arrays = []
        for k, (a, d) in enumerate(zip(self.arrays, self.v)):
            e = np.zeros(a.shape)
            if k == n:
                e[place] = unit
            arrays.append(Ball(a) + STEP * (Ball(e) + along * Ball(d)))
        return self.scalar(*arrays)

    def exact_slopes(self, n, place):
        """The partial derivative to the left and to the right; they are not the same at a kink."""
        F = lambda s: self.moved(n, place, s, 0)
        return [float(((F(0) - F(-s)) / (s * STEP)).mid()) for s in (1, -1)]

    def exact_seconds(self, n, place):
        """The same of the derivative of the slope along v."""
        F = lambda s, t: self.moved(n, place, s, t)
        return [float(((F(s, s) - F(s, 0) - F(0, s) + F(0, 0)) / (STEP * STEP)).mid())
                for s in (-1, 1)]


def far(a, b, size=None):
    """How far the arrays are apart, relative to the largest entry of both.

    nan if their shapes differ, or the places where they are nan or inf.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return np.nan
    finite = np.isfinite(b)
    same = np.array_equal(a[~finite], b[~finite], equal_nan=True)
    if not same or not np.isfinite(a[finite]).all():
        return np.nan
    size = size or np.max(np.abs([a[finite], b[finite]]), initial=1e-30)
    return float(np.max(np.abs(a - b)[finite], initial=0) / size)


def _is_float(y):
    return getattr(y, "dtype", None) is None or np.dtype(y.dtype).kind in "fO"


def _numbers(x):
    return x.detach().numpy(force=True)
