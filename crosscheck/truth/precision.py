"""The precision at which a function really works, whatever dtype it is called in, found in its
values.

Code that is called in float64 may compute in float32 or bfloat16 all the same: by a cast, by
autocast, by tensor cores that round their operands to eleven bits. Then its values are those of a
smooth function and rounding errors of the coarser format, and its derivatives can be no better than
that.

The rounding errors are found as noise is (Moré and Wild 2011; see `lines`): the fourth differences
of a smooth function on a grid vanish with the fourth power of the grid's distance, and those of a
kink with its first; those of roundings stay what they are as long as the grid's points are rounded
apart. So the noise is measured on grids from coarse to fine, each eight times finer than the one
before. What is as large on two grids in a row, relatively to the function's value and to what it
changes by, is rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..formats import TF32, FloatFormat, format_named
from ..subjects.subject import raised_by_the_subject

#: The grids: entries move by multiples of 2^-g of their size.
GRIDS = (6, 9, 12, 15, 18, 21, 24)

#: Points of a grid; and how many directions are tried.
POINTS, DIRECTIONS = 7, 2

#: With more entries than this one direction is tried, and these grids.
MANY, FEW = 1000, (6, 9, 18, 21)

#: On the finer of two grids roundings are at least this part of what they are on the coarser: kinks
#: are an eighth.
STAYS = 0.4

#: The standard deviation of the roundings in a format of p bits is about 2^-(p + 1.3); several of
#: them add up, and values that are summed may have fewer.  Noise up to `FINE` is float64's own, and
#: more of it, up to each of these bounds, stands for the format beside it.  What is larger is no
#: rounding: the function has steps.
FINE = 2.0 ** -30
COARSER = ((2.0 ** -18, format_named("float32")), (2.0 ** -11.6, TF32),
           (2.0 ** -6.5, format_named("bfloat16")))

#: Steps of 2^-n of an entry's size, at the finest; a function that is this much steeper over them
#: than over the coarsest grid has details that the grids are too coarse for, and no noise.
FINEST = {"float64": 44, "float32": 22}
STEEPER = 2

#: A value is at least so many times its noise.
SIGNAL = 8

#: Inputs that are scaled by this, no power of two, change the noise of steps by more than `GROWS`,
#: that of roundings by less.
SCALE, GROWS = 13, 5


@dataclass(frozen=True)
class Precision:
    """The precision at which a function works when it is called in some dtype.

    dtype  the dtype of the call
    form   the `FloatFormat` of which its roundings are
    how    by what it was recognised; "" if by the size of its roundings alone
    noise  their standard deviation, relatively to the value and to what it changes by; 0 where the
           dtype's own are all
    """

    dtype: str
    form: FloatFormat
    how: str = ""
    noise: float = 0.0

    @property
    def coarse(self):
        """Is it less than the dtype promises?"""
        return self.form.precision < format_named(self.dtype).precision

    @property
    def eps(self):
        """What one rounding may come to, relatively: the format's, or what was measured if that is
        more."""
        return max(self.form.eps, 4 * self.noise)

    @property
    def text(self):
        """What a report says of it; "" where it works in the dtype of the call."""
        if not self.coarse:
            return ""
        if self.how:
            return f"Called in {self.dtype} it works in {self.form.name} ({self.how})"
        return f"Called in {self.dtype} it is as accurate as {self.form.name}"


def nominal(dtype):
    """The `Precision` of a function that works in the dtype in which it is called."""
    return Precision(dtype, format_named(dtype))


def precision_of(values, x, dtype):
    """The `Precision` of a function called in `dtype`, found near x.

    values  ``values(x)``: the arrays of floats that the function gives in that dtype, for a dict of
            float64 arrays
    """
    own = format_named(dtype)
    if dtype not in FINEST:
        return nominal(dtype)
    with np.errstate(all="ignore"):
        noise = max(_noise(values, x, dtype, seed) for seed in range(1 if _many(x) else DIRECTIONS))
        form = next((form for most, form in ((FINE, own), *COARSER) if noise <= most), own)
        if form.precision >= own.precision:
            return nominal(dtype)
        form, how = _recognised(values, x, form, noise)
        if not how and _steps(values, x, dtype, noise):
            return nominal(dtype)
        return Precision(dtype, form, how, noise)


def _many(x):
    return sum(a.size for a in x.values()) > MANY


def _moved(x, rng):
    """t -> x with every entry moved by about t of its size; zeros by as much of what size the
    others typically have."""
    signs = {k: rng.uniform(0.5, 1, a.shape) * rng.choice([-1.0, 1.0], a.shape)
             for k, a in x.items()}
    sizes = {k: np.where(a == 0, np.median(np.abs(a)) if a.size else 0.0, np.abs(a))
             for k, a in x.items()}
    return lambda t: {k: a + t * sizes[k] * signs[k] for k, a in x.items()}


def _noise(values, x, dtype, seed, most=COARSER[-1][0]):
    """The noise that is the same on two grids in a row, the largest of the function's results; 0 if
    there is none.

    Noise of more than `most` is none.
    """
    moved = _moved(x, np.random.default_rng(seed))
    steps = [2.0 ** -g for g in (FEW if _many(x) else GRIDS) if g < FINEST[dtype]]
    grids = [(step, table) for step in steps if (table := _table(values, moved, step, POINTS))]
    finest = _table(values, moved, 2.0 ** -FINEST[dtype], 2)
    if len(grids) < 2:
        return 0.0
    found = [0.0]
    for k, near in enumerate(finest):
        change = _change(grids[0][1][k], grids[0][0])
        if _median(_change(near, 2.0 ** -FINEST[dtype]), change) > STEEPER:
            continue
        noise = [_noise_of(table[k], change) for _, table in grids]
        found += [max(pair) for pair in zip(noise, noise[1:]) if pair[1] >= STAYS * pair[0]]
    return max(n for n in found if n <= most)


def _steps(values, x, dtype, noise):
    """Is the noise that of steps of one size, as those of a function that rounds to three decimals?
    Relatively it is larger then where the inputs are smaller, or there are none in reach, and
    smaller where they are larger."""
    below, above = (_noise(values, {k: a * by for k, a in x.items()}, dtype, 0, 1.0)
                    for by in (1 / SCALE, SCALE))
    return above < noise / GROWS and not noise / GROWS <= below <= noise * GROWS


def _table(values, moved, step, points):
    """The values on a grid, an array (points, entries) for each result; [] where the function has
    none."""
    try:
        rows = [_flat(values(moved((t - points // 2) * step))) for t in range(points)]
    except Exception as error:
        if not raised_by_the_subject(error):
            raise
        return []
    return [np.array(result) for result in zip(*rows)]


def _flat(ys):
    return [np.ravel(np.asarray(y, float)) for y in ys]


def _change(table, step):
    """By how much each entry changes with the inputs' relative change."""
    return np.sqrt(np.mean(np.diff(table, axis=0) ** 2, axis=0)) / step


def _deviation(table):
    """The standard deviation of each entry's noise, by fourth differences, of which the variance is
    70 times its own."""
    return np.sqrt(np.mean(np.diff(table, 4, axis=0) ** 2, axis=0) / 70)


def _noise_of(table, change):
    """The typical entry's noise, relative to its value and its change together.  Entries that are
    noise alone, 0 but for rounding, do not count."""
    deviation, value = _deviation(table), np.max(np.abs(table), axis=0)
    return _median(deviation, np.where(deviation > value / SIGNAL, 0.0, value + change))


def _median(a, size):
    """The median of a / size over the entries that have a size."""
    told = np.isfinite(a) & np.isfinite(size) & (size > 0)
    return float(np.median(a[told] / size[told])) if told.any() else 0.0


def _recognised(values, x, form, noise):
    """(the format, how): are the values numbers of a format, or are they the same for inputs that
    are rounded to it?"""
    moved = _moved(x, np.random.default_rng(len(GRIDS)))
    points = [moved(t / 32) for t in (1, 2, 3)]
    try:
        ys = [np.concatenate(_flat(values(p))) for p in points]
        if not any(y.any() for y in ys):
            return form, ""  # zeros are numbers of every format
        for f in filter(lambda f: f.precision == form.precision, (format_named("float16"), form)):
            if noise < f.eps and all(np.array_equal(f.round(y), y) for y in ys):
                return f, "its values are numbers of that format"
        rounded = [np.concatenate(_flat(values({k: form.round(a) for k, a in p.items()})))
                   for p in points]
        if all(map(np.array_equal, rounded, ys)):
            return form, "inputs that are rounded to that format give the same values"
    except Exception as error:  # it leaves the function's domain
        if not raised_by_the_subject(error):
            raise
    return form, ""
