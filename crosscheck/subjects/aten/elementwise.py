"""Functions of one entry, or of the entries at the same place of several tensors."""

from __future__ import annotations

import numpy as np
import scipy.special

from refgrad import nn
from refgrad.rules.constants import number
from refgrad.rules.special import erf, erfc
from refgrad.special import polygamma

from .table import NoLine, operation

# One argument: torch's name where it is NumPy's too, and those with another name.
for _name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan",
              "sinh", "cosh", "tanh", "reciprocal", "square", "abs", "sign", "floor", "ceil",
              "trunc", "sinc", "positive"):
    operation(_name, getattr(np, _name))
for _name, _compute in {
        "neg": np.negative, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
        "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "deg2rad": np.deg2rad,
        "rad2deg": np.rad2deg, "fabs": np.abs,
        "erf": erf, "erfc": erfc, "erfinv": scipy.special.erfinv, "sigmoid": nn.sigmoid,
        "sgn": np.sign, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
        "logical_not": np.logical_not, "signbit": np.signbit}.items():
    operation(_name, _compute)
operation("rsqrt", lambda x: 1 / np.sqrt(x))
operation("frac", lambda x: x - np.trunc(x))


operation("nan_to_num", lambda x, nan=None, posinf=None, neginf=None: np.nan_to_num(
    x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf))


@operation("round")
def _(x, *, decimals=0):
    unit = 10.0 ** abs(decimals)
    return np.rint(x * unit) / unit if decimals > 0 else np.rint(x / unit) * unit


# Two arguments.
for _name, _compute in {
        "mul": np.multiply, "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot,
        "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
        "remainder": np.remainder, "fmod": np.fmod,
        "copysign": np.copysign, "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2,
        "xlogy": scipy.special.xlogy, "special_xlog1py": scipy.special.xlog1py,
        "floor_divide": np.floor_divide, "lt": np.less, "le": np.less_equal, "gt": np.greater,
        "ge": np.greater_equal, "eq": np.equal,
        "ne": np.not_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
        "logical_xor": np.logical_xor, "heaviside": np.heaviside,
        "nextafter": np.nextafter}.items():
    operation(_name, _compute)


@operation("add")
def _(x, y, *, alpha=1):
    return x + (y if alpha == 1 else alpha * y)


@operation("sub")
def _(x, y, *, alpha=1):
    return x - (y if alpha == 1 else alpha * y)


@operation("rsub")
def _(x, y, alpha=1):
    return y - (x if alpha == 1 else alpha * x)


@operation("div")
def _(x, y, *, rounding_mode=None):
    rounded = {None: lambda a: a, "trunc": np.trunc, "floor": np.floor}[rounding_mode]
    return rounded(x / y)


operation("addcmul", lambda x, a, b, *, value=1: x + value * a * b)
operation("addcdiv", lambda x, a, b, *, value=1: x + value * a / b)
operation("ldexp", lambda x, n: x * np.exp2(n))
operation("lerp", lambda x, y, weight: x + weight * (y - x))
operation("where", np.where)
operation("masked_fill", lambda x, mask, value: np.where(mask, value, x))


@operation("clamp")
def _(x, least=None, most=None):
    x = x if least is None else np.maximum(x, least)
    return x if most is None else np.minimum(x, most)


operation("clamp_min", np.maximum)
operation("clamp_max", np.minimum)


operation("angle", lambda x: np.where(np.isnan(x), x, np.where(x < 0, number("pi", x), 0)))
operation("frexp.Tensor", lambda x: tuple(np.frexp(x)))
operation("native_dropout_backward", lambda g, kept, scale: g * kept * scale)
operation("_softmax_backward_data",
          lambda g, y, axis, dtype: y * (g - np.sum(g * y, axis=axis, keepdims=True)))

# Special functions, by SciPy's rules.
for _name, _compute in {
        "polygamma": polygamma, "special_erfcx": scipy.special.erfcx,
        "igamma": scipy.special.gammainc,
        "igammac": scipy.special.gammaincc, "special_zeta": scipy.special.zeta,
        "lgamma": scipy.special.gammaln, "digamma": scipy.special.digamma,
        "special_ndtri": scipy.special.ndtri, "special_log_ndtr": scipy.special.log_ndtr,
        "special_i0e": scipy.special.i0e, "i0": scipy.special.i0, "special_i1": scipy.special.i1,
        "special_i1e": scipy.special.i1e, "special_entr": scipy.special.entr,
        "special_bessel_j0": scipy.special.j0, "special_bessel_j1": scipy.special.j1,
        "special_bessel_y0": scipy.special.y0, "special_bessel_y1": scipy.special.y1}.items():
    operation(_name, _compute)


@operation("logit")
def _(x, eps=None):
    x = x if eps is None else np.minimum(np.maximum(x, eps), 1 - eps)
    return scipy.special.logit(x)


@operation("mvlgamma")
def _(x, p):
    shifts = np.arange(p) / 2
    return (p * (p - 1) / 4 * np.log(number("pi", x))
            + np.sum(scipy.special.gammaln(x[..., None] - shifts), axis=-1))


@operation("_conj", "conj_physical", "resolve_conj")
def _(x):
    return x


@operation("complex", "polar", "view_as_complex")
def _(*_, **__):
    raise NoLine("an operation with complex numbers")
