"""Floating formats as data: how many bits, how small, how large; NumPy knows all but bfloat16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FloatFormat:
    """A binary floating format.  `precision` counts the significand's bits, the hidden one
    included."""

    name: str
    precision: int
    smallest_normal: float
    largest: float

    @property
    def eps(self):
        """The distance from 1 to the next number."""
        return 2.0 ** (1 - self.precision)

    @property
    def subnormal(self):
        return self.smallest_normal * self.eps

    def spacing(self, size):
        """The unit in the last place of numbers of that size, as float64."""
        size = np.clip(np.abs(np.asarray(size, float)), self.smallest_normal, self.largest)
        return np.ldexp(1.0, np.frexp(size)[1] - self.precision)

    def round(self, x):
        """The nearest numbers of the format, ties to even, as float64; infinite beyond the
        largest."""
        x = np.asarray(x, float)
        with np.errstate(invalid="ignore", over="ignore"):
            unit = self.spacing(np.where(np.isfinite(x), x, 1.0))
            near = np.where(np.isfinite(x), np.rint(x / unit) * unit, x)
        return np.where(np.abs(near) > self.largest, np.copysign(np.inf, near), near)


def _of_numpy(dtype):
    limits = np.finfo(dtype)
    return FloatFormat(str(np.dtype(dtype)), int(limits.nmant) + 1, float(limits.smallest_normal),
                       float(limits.max))


FORMATS = {f.name: f for f in (
    _of_numpy(np.float64), _of_numpy(np.float32), _of_numpy(np.float16),
    FloatFormat("bfloat16", 8, float(np.finfo(np.float32).smallest_normal),
                float.fromhex("0x1.fep127")))}

#: TF32, to which tensor cores round the operands of a float32 product: not a dtype, but a precision
#: of functions.
TF32 = FloatFormat("TF32", 11, float(np.finfo(np.float32).smallest_normal),
                   float(np.finfo(np.float32).max))

#: Those that NumPy has by itself: other packages may add dtypes to it in the course of a process.
OF_NUMPY = ("float64", "float32", "float16")


def format_named(dtype) -> FloatFormat:
    """The format of a dtype, given as NumPy's, as a name or as any object whose text ends in one
    (torch's); a format is its own."""
    if isinstance(dtype, FloatFormat):
        return dtype
    name = (dtype if isinstance(dtype, str) else str(dtype) if not isinstance(dtype, type)
            else np.dtype(dtype).name)
    name = name.rsplit(".", 1)[-1]
    if name not in FORMATS:
        raise TypeError(f"dtype: {dtype!r} is not one of {', '.join(FORMATS)}")
    return FORMATS[name]


def finest(dtypes):
    """The dtype of the highest precision, as it is given; the first of several."""
    return max(dtypes, key=lambda d: format_named(d).precision)


def coarsest(dtypes) -> FloatFormat:
    """The format of the lowest precision among some dtypes."""
    return min(map(format_named, dtypes), key=lambda f: f.precision)
