"""Functions that NumPy lacks; arrays may override them as they override NumPy's."""

import math

import numpy as np

from ..primitive import declare
from .constants import number


def _each(function):
    """The forward pass of a function of single floats."""
    def forward(x):
        x = np.asarray(x)
        values = np.fromiter(map(function, x.ravel().tolist()), dtype=float,
                             count=x.size).reshape(x.shape)
        return values.astype(x.dtype) if x.dtype.kind == "f" else values
    return forward


def _bell(x):
    """2/sqrt(pi) e^(-x^2), the slope of erf."""
    return 2 / np.sqrt(number("pi", x)) * np.exp(-x * x)


erf = declare(
    None, "y = 2/sqrt(pi) int_0^x e^(-t^2) dt,  dy = 2/sqrt(pi) e^(-x^2) dx",
    lambda x: _bell(x), name="erf", forward=_each(math.erf))
erfc = declare(
    None, "y = 1 - erf x = 2/sqrt(pi) int_x^oo e^(-t^2) dt,  dy = -2/sqrt(pi) e^(-x^2) dx",
    lambda x: -_bell(x), name="erfc", forward=_each(math.erfc))
