"""Functions that NumPy lacks; arrays may override them as they override NumPy's."""

import math

import numpy as np

from ..primitive import elementwise
from .constants import number


def _erf(x):
    x = np.asarray(x)
    values = np.fromiter(map(math.erf, x.ravel().tolist()), dtype=float, count=x.size).reshape(x.shape)
    return values.astype(x.dtype) if x.dtype.kind == "f" else values


erf = elementwise(
    None, "y = 2/sqrt(pi) int_0^x e^(-t^2) dt,  dy = 2/sqrt(pi) e^(-x^2) dx",
    lambda y, x: 2 / np.sqrt(number("pi", x)) * np.exp(-x * x), name="erf", forward=_erf)
