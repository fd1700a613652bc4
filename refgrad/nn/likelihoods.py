"""Losses that are the negative log-likelihood of a distribution with given parameters; in nats."""

import math

import numpy as np

from ..cases import Case, Kink
from ..hints import Array
from ..primitive import KINKED, composed, declare
from ..rules.constants import number
from .arguments import broadcasting, expected, plain, reduced, reduction_of, same_shape, shape_of

# Of probabilities


def _is_certain(p):
    """Where the logarithm of a probability is less than -100."""
    return p < np.exp(-100.0)


def _log(p):
    """log p, but -100 where that is greater."""
    certain = _is_certain(p)
    return np.where(certain, -100, np.log(np.where(certain, 1, p)))


def _log_of_rest(p):
    """log(1 - p), but -100 where that is greater."""
    certain = _is_certain(1 - p)
    return np.where(certain, -100, np.log1p(-np.where(certain, 0, p)))


def _slope_of_probability(p, t):
    """(p - t) / (p (1 - p)), without the term whose logarithm is held at -100."""
    low, high = _is_certain(p), _is_certain(1 - p)
    inner = excess(np.where(low | high, 0.5, p), t)
    return np.where(low, (1 - t) / (1 - np.where(low, p, 0)),
                    np.where(high, -t / np.where(high, p, 1), inner))


excess = declare(
    None, """y = (p - t) / (p (1 - p)) = (1 - t) / (1 - p) - t / p
    dy = ((1 - t) / (1 - p)^2 + t / p^2) dp - dt / (p (1 - p))""",
    lambda p, t: (1 - t) / np.square(1 - p) + t / np.square(p), lambda p: -1 / (p * (1 - p)),
    name="excess", forward=lambda p, t: (p - t) / (p * (1 - p)), domain="unit interval",
    scales=(-45, 0))

_of_probabilities = declare(
    None, """y = -t log p - (1 - t) log(1 - p);  a logarithm less than -100 is replaced by -100
    dy = (p - t) / (p (1 - p)) dp + (log(1 - p) - log p) dt;  one that is replaced is constant""",
    _slope_of_probability, lambda p: _log_of_rest(p) - _log(p), name="binary_cross_entropy",
    kind=KINKED,
    forward=lambda p, t: -(t * _log(p) + (1 - t) * _log_of_rest(p)), domain="unit interval",
    scales=(-30, 0),
    kinks=[Kink((0.0, 0.25), (0.75, 100.0), "at 0 and 1 a logarithm is held, and its slope is 0")])


def binary_cross_entropy(input: Array, target: Array, weight: Array | None = None,
                         size_average: None = None, reduce: None = None,
                         reduction: str = "mean") -> Array:
    """-target log(input) - (1 - target) log(1 - input); in nats.

    input       probabilities, any shape; for logits use binary_cross_entropy_with_logits, which
                keeps more digits
    target      probabilities, of the same shape
    weight      a factor for each loss, which broadcasts to the input; or None
    reduction   'mean' (over all entries), 'sum' or 'none'
    A logarithm less than -100 is -100, with slope 0 (where torch divides by 1e-12 instead of 0).
    Raises ValueError for shapes that do not match, an input that is no probability and unknown
    reductions, TypeError for the deprecated size_average and reduce.  As
    torch.nn.functional.binary_cross_entropy.
    """
    name = "binary_cross_entropy"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input, target=target)
    broadcasting(name, input, weight=weight)
    if np.any((input < 0) | (input > 1)):
        raise ValueError(f"{name}: input holds a number that is not between 0 and 1; expected "
                         f"probabilities. For "
                         f"logits use binary_cross_entropy_with_logits")
    losses = _of_probabilities(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)

# Counts and normal numbers


@composed(kind=KINKED, cases=[
    Case((3, 4), (3, 4), scales=(-300, 0)),
    Case((3,), (3,), log_input=False, full=True, domain="positive", reduction="none",
         scales=(-6, 100))],
    kinks=[Kink((1.5, 1.0), (math.exp(1.5) - 1, -1.5),
                "Stirling's formula begins beyond 1", {"full": True})])
def poisson_nll_loss(input: Array, target: Array, log_input: bool = True, full: bool = False,
                     size_average: None = None, eps: float = 1e-08, reduce: None = None,
                     reduction: str = "mean") -> Array:
    """The negative log-likelihood of counts of a Poisson distribution, up to log target!; in nats.

    input       the logarithm x of the rate, e^x - target x; or with log_input=False the rate r,
                r - target log(r + eps)
    target      counts, of the same shape
    full        add Stirling's formula for log target! where target > 1:
                target log target - target + log(2 pi target) / 2
    reduction   'mean' (over all entries), 'sum' or 'none'
    Raises ValueError for shapes that do not match and unknown reductions, TypeError for the
    deprecated size_average and reduce.  As torch.nn.functional.poisson_nll_loss.
    """
    name = "poisson_nll_loss"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input, target=target)
    eps = plain(name, "eps", eps)
    losses = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        counted = target > 1
        t = np.where(counted, target, 1)
        log_of_2_pi = np.log(2 * number("pi", target))
        losses = losses + np.where(counted, t * np.log(t) - t + (log_of_2_pi + np.log(t)) / 2, 0)
    return reduced(losses, reduction)


@composed(kind=KINKED, cases=[
    Case((3, 4), (3, 4), (3, 1), domain=(None, None, "positive"), scales=(-3, 100)),
    Case((2, 3), (2, 3), (2,), domain=(None, None, "positive"), full=True, reduction="none",
         scales=(-3, 100)),
    Case((3,), (3,), var=0.5, eps=0.25, scales=(-100, 100))],
    kinks=[Kink((2.0, 1.0, 0.25), (4.0, -4.0, -6.0), "where var is eps, the slope above",
                {"eps": 0.25})])
def gaussian_nll_loss(input: Array, target: Array, var: Array | float, full: bool = False,
                      eps: float = 1e-06, reduction: str = "mean") -> Array:
    """(log var + (input - target)^2 / var) / 2: the negative log-likelihood of normal
    distributions; in nats.

    input   the means, any shape
    target  samples, in the input's shape or broadcasting to it
    var     variances: a number, or an array in the input's shape, without its last axis, or with
            one axis of size 1
    full    add log(2 pi) / 2
    eps     var is not taken less than this; where it is, its slope is 0 (torch's is that at eps)
    reduction   'mean' (over all entries), 'sum' or 'none'
    Raises ValueError for shapes that do not match, a negative var and unknown reductions.
    Nix and Weigend (1994); as torch.nn.functional.gaussian_nll_loss.
    """
    name = "gaussian_nll_loss"
    reduction_of(name, reduction)
    shape, eps = shape_of(name, "input", input), plain(name, "eps", eps)
    broadcasting(name, input, target=target)
    if not eps > 0:
        raise expected(name, "eps", eps, "a positive number")
    if not hasattr(var, "shape"):
        var = np.full_like(input, plain(name, "var", var))
    if np.any(var < 0):
        raise ValueError(f"{name}: var holds a negative number; expected variances")
    if var.shape != shape:
        if var.shape == shape[:-1]:
            var = np.expand_dims(var, -1)
        elif len(var.shape) != len(shape) or [m for n, m in zip(shape, var.shape) if n != m] != [1]:
            raise ValueError(f"{name}: var has shape {var.shape}; expected {shape}, the shape of "
                             f"input, without its "
                             f"last axis, or with one axis of size 1")
    var = np.clip(var, eps, None)
    losses = (np.log(var) + np.square(input - target) / var) / 2
    return reduced(losses + np.log(2 * number("pi", input)) / 2 if full else losses, reduction)
