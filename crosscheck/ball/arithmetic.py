"""The arithmetic in force: how many bits, which floating format is modelled, which branches.

A ball [m ± r] is the set of reals x with |x - m| <= r.  An operation on balls gives a ball that
contains the result for every choice of reals in its operands (containment), so a chain of
operations encloses the exact value of the chain whatever its rounding errors are.

Exact mode, ``arithmetic(400)``, is that and nothing else: the radius is what 400 bits leave open.

Bound mode, ``arithmetic(np.float32)``, encloses more: every value that a float32 computation of the
same program may produce.  By the standard model a float operation gives, for a result z in the
normal range,

    fl(z) = z (1 + d),  |d| <= u = 2^-p      and below the smallest normal number
    fl(z) = z + e,      |e| <= eta / 2

with p the precision and eta the smallest subnormal number.  So the ball of z is multiplied by
[1 ± u], widened by eta / 2 where z may be subnormal, and made unbounded where z may exceed the
largest number.  An unbounded ball is flint's indeterminate one: unlike [0 ± inf] it stays
indeterminate under tanh or multiplication by 0, as the NaN does that the overflow may lead to.
Exact numbers of the format stay exact, as they do in the format.

Flint's working precision belongs to the process, the mode to the thread.  Threads with different
arithmetics disturb each other's precision, hence the tightness of balls, never containment.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from functools import cache, lru_cache

import numpy as np
from flint import arb, ctx

from ..formats import format_named

#: What one operation may be off, in units in the last place.  IEEE 754 rounds +, -, *, / correctly:
#: half an ulp.  It does so for sqrt, too, but torch takes sqrt from MKL's vector library, where
#: every sixth float32 root comes out one of the two neighbours (0.72 ulp measured; roots of squares
#: are right).  Vectorised exp, log, tanh, sin, pow ... are documented at 1 to 4 ulps; the worst
#: that was measured, in NumPy and torch, is 2.6 (float32 arcsin in NumPy).
HALF, SQRT_ULPS, FUNCTION_ULPS = 0.5, 1, 4

#: Bits beyond the format's: the balls' own rounding shall not count next to what they model.
GUARD = 30

ZERO, ONE = arb(0), arb(1)


class Undecided(ArithmeticError):
    """A comparison that overlapping balls leave open.

    function    the name of the function that had to compare
    index       which element
    balls       the balls that overlap, as text
    """

    def __init__(self, function, index, balls):
        self.function, self.index = function, tuple(map(int, index))
        self.balls = tuple(map(show, balls))
        super().__init__(function, self.index, self.balls)

    def __str__(self):
        place = f" at index {self.index}" if self.index else ""
        return f"{self.function}{place}: open for {' and '.join(self.balls)}"


class Format:
    """A floating format: what the rounding model needs to know of it, as exact balls."""

    def __init__(self, format, finer=0):
        self.format, self.precision, self.finer = format, format.precision, finer
        self.unit = arb(2) ** -(self.precision + finer)
        self.normal, self.subnormal, self.largest = (
            arb(x) for x in (format.smallest_normal, format.subnormal, format.largest))
        self.underflow = self.subnormal * arb(2) ** -finer

    def __repr__(self):
        return f"<format {self.format.name}: {self.precision} bits>"

    @cache
    def factor(self, ulps):
        """[1 ± relative error]: an ulp of z is at most 2 u |z|."""
        return arb(1, 2 * ulps * self.unit)

    @lru_cache(maxsize=4096)
    def spread(self, n):
        """[0 ± gamma_n], gamma_n = n u / (1 - n u): what n roundings do, relatively."""
        total = n * self.unit
        return arb(0, total / (1 - total)) if total < 1 else unbounded()

    def holds(self, cell):
        """Is this exact ball a finite number of the format?"""
        return (cell.bits() <= self.precision and abs(cell) <= self.largest
                and (abs(cell) >= self.normal or (cell / self.subnormal).is_integer()))


_format: ContextVar[Format | None] = ContextVar("format", default=None)
_log: ContextVar[list | None] = ContextVar("branches", default=None)

format_of = lru_cache(maxsize=None)(Format)
current_format = _format.get


def working_bits():
    """The precision of the arithmetic in force."""
    return ctx.prec


@contextlib.contextmanager
def arithmetic(kind, finer=0):
    """Compute balls with `kind` bits (exact mode), or as a model of the dtype `kind` (bound mode).

    The dtype is NumPy's or a name of `FORMATS`.

    finer  bound mode only: every rounding is 2^finer times smaller than the format's.  Radii are
           proportional to the roundings as long as those are small; so radius times 2^finer is the
           format's own bound, to first order, where at the format's own roundings balls would
           swell out of proportion.

    Outside any such block the mode is exact, at flint's own precision.
    """
    if isinstance(kind, (int, np.integer)):
        form, bits = None, int(kind)
    else:
        form = format_of(format_named(kind), finer)
        bits = form.precision + finer + GUARD
    before, token = ctx.prec, _format.set(form)
    ctx.prec = bits
    try:
        yield form
    finally:
        ctx.prec = before
        _format.reset(token)


@contextlib.contextmanager
def branches():
    """A log of every decision that the program takes.

    Two runs with equal logs took the same branches.
    """
    outer, log = _log.get(), []
    token = _log.set(log)
    try:
        yield log
    finally:
        _log.reset(token)
        if outer is not None:
            outer.extend(log)


#: The name in the log of a choice that f may depend on or not, such as the sign of an eigenvector:
#: if it does, f jumps where the choice changes, and has no kink there in any case.
ANY_OF_SEVERAL = "any of several"


def record(name, outcome):
    """Add a decided outcome, an array or a function that makes one, to the active branch log."""
    log = _log.get()
    if log is not None:
        outcome = np.asarray(outcome() if callable(outcome) else outcome)
        log.append((name, outcome.shape, outcome.tobytes()))


def unbounded():
    """The indeterminate ball, a fresh one: two cells that are one object count as one number."""
    return ONE / ZERO


def show(cell):
    """A ball as text, short."""
    mid, rad = cell.mid().str(10, radius=False), cell.rad()
    if rad == 0:
        return mid
    return f"{mid} ± {float(rad):.1e}" if rad > 1e-300 else f"{mid} ± {rad.str(2, radius=False)}"


def as_cells(x):
    """An object array, also where NumPy has made a bare cell of a 0-d one."""
    if type(x) is np.ndarray:
        return x
    cells = np.empty((), object)
    cells[()] = x
    return cells


def each(function, operands=1):
    """The function of single balls, applied to each cell of object arrays."""
    return np.frompyfunc(function, operands, 1)


def rounded(cells, ulps=HALF):
    """In exact mode the cells, in bound mode widened by what rounding may do to each.

    Numbers of the format stay exact; of library functions (more than one ulp) only the values 0, 1
    and -1 do.  Those may also overflow early, as torch's sinh does, which takes e^x on the way:
    they are trusted up to a quarter of the largest number.
    """
    form = _format.get()
    if form is None:
        return as_cells(cells)
    shape, flat = np.shape(cells), as_cells(cells).reshape(-1)
    library = ulps > SQRT_ULPS
    wide, largest = flat * form.factor(ulps), form.largest / 4 if library else form.largest
    size = np.abs(wide)
    ordinary = (size >= form.normal) & (size <= largest)
    bits = 1 if library else form.precision
    exact = np.fromiter((c.is_exact() and c.bits() <= bits for c in flat), bool, flat.size)
    if library:
        exact &= np.abs(flat) == ONE
    result = np.where(exact, flat, wide)
    for i in np.flatnonzero(~ordinary):
        result[i] = _at_the_edge(flat[i], wide[i], form, ulps, largest)
    return result.reshape(shape)


def _at_the_edge(cell, wide, form, ulps, largest):
    """`rounded` for what may be zero, subnormal, too large or no number at all."""
    if cell.is_nan():
        return unbounded()
    if cell.is_exact() and (cell == ZERO or not cell.is_finite()
                            or ulps <= SQRT_ULPS and form.holds(cell)):
        return cell
    if not abs(wide) <= largest:
        return unbounded()
    return wide + arb(0, ulps * form.underflow)


def rounded_sums(values, magnitudes, counts, operands):
    """Sums of products, widened by what rounding may do.

    The order of summation may be any, with or without fused multiply-add.

    values      sum_k a_k b_k ..., shape S
    magnitudes  sum_k |a_k b_k ...|, shape S
    counts      how many of the terms are not exactly zero (adding those costs nothing), shape S
    operands    |a|, |b|, ...: the factors' cells, as many as a term has factors

    With n = count + factors - 2 roundings on the way of each term the error is at most gamma_n
    times the magnitude; n = 1 is a single rounding.  A product may also underflow, which costs eta,
    times the factors still to come.  Sums whose operands all lie on one grid, such as small
    integers, are exact in every order.
    """
    form = _format.get()
    values = as_cells(values)
    if form is None:
        return values
    magnitudes, counts = as_cells(magnitudes), np.asarray(counts)
    if _on_a_grid(magnitudes, operands, form):
        return values
    factors = len(operands)
    roundings = np.where(counts > 0, counts + (factors - 2), 0).astype(int)
    error = as_cells(magnitudes * _spreads(roundings, form))
    result = np.where(roundings == 0, values, as_cells(values + error))
    if np.any(roundings == 1):
        result = np.where(roundings == 1, rounded(values), result)
    growth = _growth(operands) if factors > 2 else ONE
    root = form.normal.root(factors)
    if factors > 1 and not all(np.all((m >= root) | (m == ZERO)) for m in operands):
        lost = counts.astype(int).astype(object) * arb(0, (factors - 1) * growth * form.underflow)
        result = as_cells(np.where(counts > 0, result + lost, result))
    largest = np.abs(magnitudes + error) if growth is ONE else counts.astype(object) * growth
    too_large = (counts > 0) & ~np.asarray(largest <= form.largest)
    for i in map(tuple, np.argwhere(too_large & ~_exactly_infinite(values))):
        result[i] = unbounded()
    return result


def _spreads(roundings, form):
    """[0 ± gamma_n] for an array of numbers n, which are mostly the same."""
    if roundings.size and np.all(roundings == roundings.flat[0]):
        return form.spread(int(roundings.flat[0]))
    return each(form.spread)(roundings.astype(object))


def _exactly_infinite(cells):
    return np.abs(cells) == arb(float("inf"))


def _growth(operands):
    """An upper bound of every product of some of the factors."""
    growth = ONE
    for m in operands:
        for cell in m.flat:
            if not cell <= growth:
                growth = growth.max(cell)
    return growth ** len(operands)


def _on_a_grid(magnitudes, operands, form):
    """Whether all terms are multiples of one power of two, and all partial sums in the format."""
    if len(operands) > 2:
        return False
    grid = 0
    for m in operands:
        lowest = highest = None
        for cell in m.flat:
            if not (cell.is_exact() and cell.is_finite()):
                return False
            if cell != ZERO:
                low = int(cell.man_exp()[1])
                high = low + cell.bits()
                lowest = low if lowest is None else min(low, lowest)
                highest = high if highest is None else max(high, highest)
                if highest - lowest > form.precision:
                    return False
        grid += lowest or 0
    top = arb(2) ** (grid + form.precision)
    return (arb(2) ** grid >= form.subnormal and top <= form.largest
            and bool(np.all(np.asarray(magnitudes <= top))))
