"""Losses: cross entropies, and functions of input and target entry by entry.

A loss is a primitive for the losses before they are reduced; sum, mean and weights are plain NumPy
on its result.
"""

import math

import numpy as np

from ..cases import Case, Fixed, Kink
from ..errors import describe
from ..hints import Array
from ..primitive import KINKED, composed, declare, in_dtype_of, widened
from ..rules.constants import number
from ..rules.shape import scatter_add
from .activations import log1pexp, logistic
from .arguments import (broadcasting, expected, plain, reduced, reduction_of, refuse, same_shape,
                        shape_of)
from .linear import linear
from .softmax import log_softmax_along, balance

# Cross entropies


def column(g, axis):
    """np.expand_dims, without its checks where the array is plain."""
    return (g[(..., None, *[slice(None)] * (-1 - axis))] if type(g) is np.ndarray
            else np.expand_dims(g, axis))


def _residual(logs, chosen, index):
    without, r = np.expm1(chosen), np.exp(logs)
    r[(..., *index)] = without
    return r


residual = declare(
    None, """r = e^y - e_t with the unit vector e_t,  dr = e^y . dy;
        entry t is e^y - 1, without cancellation
    That entry of y is given once more: it is in no derivative.""", name="residual",
    forward=_residual, stacked=True,
    formula=lambda logs, chosen, index: np.exp(logs) - scatter_add(
        np.ones_like(chosen), index=index, shape=logs.shape, distinct=True),
    jvp=(lambda v, logs: np.exp(logs) * v, None), vjp=(lambda g, logs: g * np.exp(logs), None),
    cases=[Case((3, 4),
                call=lambda x: residual(*_logs_and_chosen(x, _CLASSES, -1), index=_CLASSES))])
_CLASSES = np.arange(3), np.array([1, 0, 3])


def _logs_and_chosen(x, index, axis):
    logs = log_softmax_along(x, axis=axis)
    return logs, logs[(..., *index)]


_cross_entropy = declare(
    None, """y = -log p_t  with p = softmax x and the class t:
        the only entry of x that stands in y twice
    y = log <1, e^x> - x_t,  dy = <p, dx> - dx_t = <p - e_t, dx>  with the unit vector e_t
    <g, <p - e_t, dx>> = <g (p - e_t), dx>""",
    name="cross_entropy", keep=_logs_and_chosen, stacked=True,
    forward=lambda kept, x, index, axis: -kept[1],
    jvp=(lambda v, kept, index, axis: np.sum(residual(*kept, index=index) * v, axis=axis),),
    vjp=(lambda g, kept, index, axis: residual(*kept, index=index) * column(g, axis),),
    cases=[Case((3, 4), index=_CLASSES, axis=-1), Case((3,), index=(np.array(2),), axis=-1),
           # p = 1/2 is a zero of p''
           Case((1, 2), index=(np.array([0]), np.array([1])), axis=-1, scales=(-6, 300)),
           Case((2, 3, 2), index=(np.arange(2)[:, None], np.array([[0, 2], [1, 1]]),
                                  np.arange(2)[None]), axis=-2),
           Case((2, 3), call=lambda x: _cross_entropy(
               x + _SURE, index=(np.arange(2), np.array([1, 0])), axis=-1),
                scales=(-300, 1))])
# Logits by which the classes are nearly certain.
_SURE = np.array([[0, 24, 0], [24, 0, 0]], np.int8)

_cross_entropy_of_probabilities = declare(
    None, """y = -<q, log p>  with p = softmax x and weights q, probabilities for instance
    d log p = dx - 1 <p, dx>,  dy = -<dq, log p> - <q, dx> + <q, 1> <p, dx> = <<q, 1> p - q, dx>
        - <log p, dq>
    <g, dy> = <g (<q, 1> p - q), dx> + <-g log p, dq>""",
    name="cross_entropy_of_probabilities", keep=lambda x, q, axis: log_softmax_along(x, axis=axis),
    stacked=True, forward=lambda logs, x, q, axis: -np.sum(q * logs, axis=axis),
    jvp=(lambda v, logs, q, axis: -np.sum(balance(np.exp(logs), q, axis=axis) * v, axis=axis),
         lambda v, logs, axis: -np.sum(logs * v, axis=axis)),
    vjp=(lambda g, logs, q, axis: -balance(np.exp(logs), q, axis=axis) * column(g, axis),
         lambda g, logs, axis: -logs * column(g, axis)),
    cases=[Case((3, 4), (3, 4), axis=-1, domain=(None, "probabilities")), Case((3,), (3,), axis=-1),
           Case((2, 3, 2), (2, 3, 2), axis=-2), Case((1, 4), (1, 4), axis=-1)])


def cross_entropy(input: Array, target: Array, weight: Array | None = None,
                  size_average: None = None, ignore_index: int = -100, reduce: None = None,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Array:
    """-log softmax(input) at the target class, or its mean over a target distribution; in nats.

    input            logits: (C,), (N, C) or (N, C, d1, ...)
    target           class indices, integers of shape (), (N,) or (N, d1, ...); or probabilities in
                     the input's shape
    weight           (C,): a factor for each class, or None
    ignore_index     a target class that does not count (class indices only)
    reduction        'mean', 'sum' or 'none'.  The mean over class indices is weighted: the sum
                     divided by the sum of the targets' weights; the mean over probabilities is
                     divided by the number of positions
    label_smoothing  s in [0, 1]: the target becomes (1 - s) target + s / C
    Returns a scalar, or with 'none' a loss for each position.
    Raises ValueError for shapes that do not match, classes out of range and unknown reductions,
    TypeError for the deprecated size_average and reduce.  As torch.nn.functional.cross_entropy.
    """
    name = "cross_entropy"
    reduction_of(name, reduction, size_average, reduce)
    smoothing = plain(name, "label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise expected(name, "label_smoothing", smoothing, "a number between 0 and 1")
    shape, axis = _classes(name, input, weight)
    if not _are_indices(target):
        if shape_of(name, "target", target) != shape:
            raise ValueError(f"{name}: target is {describe(target)}; expected probabilities in the "
                             "shape of input, "
                             f"{shape}, or integers of shape {_without(shape, axis)}, the classes")
        q = target
        if smoothing:
            s = smoothing * number(1, input)
            q = (1 - s) * q + s / shape[axis]
        return reduced(_cross_entropy_of_probabilities(input, _weighted(q, weight, axis),
                                                       axis=axis), reduction)
    target, valid = _checked(name, target, shape, axis, ignore_index)
    factors = None if weight is None else weight[target]
    if smoothing:
        s = smoothing * number(1, input)
        low = s / shape[axis]
        classes = np.reshape(np.arange(shape[axis]), (-1,) + (1,) * (-axis - 1))
        q = np.where(np.expand_dims(target, axis) == classes, 1 - s + low, low)
        losses = _cross_entropy_of_probabilities(input, _weighted(q, weight, axis), axis=axis)
    else:
        losses = _cross_entropy(input, index=_entries(target, axis), axis=axis)
        if weight is not None:
            losses = losses * factors
    return _reduced_over(valid, losses, factors, reduction)


@composed(cases=[
    Case((4, 3), Fixed(np.array([1, 0, 2, 2]))),
    Case((2, 3, 2), Fixed(np.array([[0, 2], [1, -100]])), (3,), domain=(None, "positive"))])
def nll_loss(input: Array, target: Array, weight: Array | None = None, size_average: None = None,
             ignore_index: int = -100, reduce: None = None, reduction: str = "mean") -> Array:
    """-input at the target class, for an input that holds log-probabilities (see log_softmax); in
    nats.

    Arguments, result and errors as those of cross_entropy with class indices; y = -x_t is linear in
    the input.
    As torch.nn.functional.nll_loss.
    """
    reduction_of("nll_loss", reduction, size_average, reduce)
    shape, axis = _classes("nll_loss", input, weight)
    if not _are_indices(target):
        raise TypeError(f"nll_loss: target is {describe(target)}; expected integers of shape "
                        f"{_without(shape, axis)}, the classes. For probabilities use "
                        "cross_entropy")
    target, valid = _checked("nll_loss", target, shape, axis, ignore_index)
    losses = -input[_entries(target, axis)]
    factors = None if weight is None else weight[target]
    return _reduced_over(valid, losses if weight is None else losses * factors, factors, reduction)


@composed(cases=[
    Case((3, 2), (4, 2), call=lambda x, w: linear_cross_entropy(x, w, np.array([1, -100, 3])),
         scales=(-3, 3)),
    Case((2,), (3, 2), (3,),
         call=lambda x, w, b: linear_cross_entropy(x, w, np.array(2), linear_bias=b),
         scales=(-3, 3)),
    Case((2, 2), (3, 2, 2), (2, 3, 2), (3, 2), call=lambda x, w, q, b: linear_cross_entropy(
        x, w, q, linear_bias=b, label_smoothing=0.25, reduction="sum"), scales=(-3, 3))])
def linear_cross_entropy(input: Array, linear_weight: Array, target: Array, *,
                         linear_bias: Array | None = None, weight: Array | None = None,
                         reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options: None = None) -> Array:
    """cross_entropy(linear(input, linear_weight, linear_bias), target); in nats.

    input          (in,) or (N, in)
    linear_weight  (C, in), or for an input (N, in) of several positions (C, d1, ..., in)
    target         class indices of shape (), (N,) or (N, d1, ...); or probabilities of shape (C,),
                   (N, C) or
                   (N, C, d1, ...)
    linear_bias    (C,) or (C, d1, ...); None for none
    ignore_index   a target class that does not count (class indices only); None stands for -100
    Result, other arguments and errors as those of cross_entropy.
    Raises ValueError for shapes that do not match, TypeError for options (torch's ways to save
    memory).
    As torch.nn.functional.linear_cross_entropy.
    """
    name = "linear_cross_entropy"
    refuse(name, "options", options, "they save memory at the same result: leave them out")
    shape, wanted = shape_of(name, "input", input), shape_of(name, "linear_weight", linear_weight)
    if len(shape) not in (1, 2):
        raise ValueError(f"{name}: input has shape {shape}; expected (in,) or (N, in)")
    if len(wanted) < 2 or wanted[-1] != shape[-1] or len(wanted) > 2 and len(shape) == 1:
        raise ValueError(f"{name}: linear_weight has shape {wanted}; expected (C, {shape[-1]})"
                         f"{f' or (C, d1, ..., {shape[-1]})' if len(shape) == 2 else ''} for an "
                         f"input of shape {shape}")
    if linear_bias is not None and shape_of(name, "linear_bias", linear_bias) != wanted[:-1]:
        raise ValueError(f"{name}: linear_bias has shape {linear_bias.shape}; expected "
                         f"{wanted[:-1]}, one for each output of the linear_weight of shape "
                         f"{wanted}")
    if ignore_index is not None and not _are_indices(target):
        raise ValueError(f"{name}: ignore_index is {ignore_index} for a target of probabilities; "
                         "expected None")
    rows = np.reshape(linear_weight, (math.prod(wanted[:-1]), wanted[-1]))
    logits = linear(input, rows, None if linear_bias is None else np.ravel(linear_bias))
    return cross_entropy(np.reshape(logits, shape[:-1] + wanted[:-1]),
                         target, weight, reduction=reduction,
                         ignore_index=-100 if ignore_index is None else ignore_index,
                         label_smoothing=label_smoothing)


def _classes(function, input, weight):
    """The input's shape, and the axis of its classes counted from the end."""
    shape = shape_of(function, "input", input)
    if not shape:
        raise expected(function, "input", "an array without axes",
                       "(C,), (N, C) or (N, C, d1, ...)")
    axis = min(1 - len(shape), -1)
    if weight is not None and shape_of(function, "weight", weight) != shape[axis:][:1]:
        raise ValueError(f"{function}: weight has shape {weight.shape}; expected ({shape[axis]},), "
                         f"one number for each class of an input of shape {shape}")
    return shape, axis


def _are_indices(target):
    if not hasattr(target, "dtype"):
        target = np.asarray(target)
    return target.dtype.kind in "biu"


def _checked(function, target, shape, axis, ignore_index):
    """The target classes with 0 for those to ignore, and where they count (None: everywhere)."""
    target = target if hasattr(target, "dtype") else np.asarray(target)
    positions, classes = _without(shape, axis), shape[axis]
    ignore_index = plain(function, "ignore_index", ignore_index)
    if target.dtype.kind == "b":
        raise TypeError(f"{function}: target is {describe(target)}; expected integers, the classes")
    if target.shape != positions:
        raise ValueError(f"{function}: target has shape {target.shape}; expected {positions}, a "
                         f"class for each position of an input of shape {shape}")
    if not target.size or not 0 <= ignore_index < classes and _are_below(target, classes):
        return target, None
    valid = target != ignore_index
    wrong = valid & ((target < 0) | (target >= classes))
    if np.any(wrong):
        raise ValueError(f"{function}: target holds the class {target[wrong][0]}; expected 0 <= "
                         f"class < {classes}, the size of axis {axis} of an input of shape "
                         f"{shape}, or ignore_index, {ignore_index}")
    return np.where(valid, target, 0), valid


def _are_below(target, classes):
    """Whether 0 <= target < classes everywhere."""
    # As unsigned integers negative ones are large.
    if type(target) is np.ndarray and target.dtype.kind == "i":
        return np.maximum.reduce(target.view(f"u{target.itemsize}"), axis=None) < classes
    return target.min() >= 0 and target.max() < classes


def _without(shape, axis):
    return shape[:axis] + shape[axis:][1:]


def _entries(target, axis):
    """The index of each position's target class."""
    positions = ((np.arange(target.shape[0]),) if target.ndim == 1
                 else np.indices(target.shape, sparse=True))
    return (*positions[:1], target, *positions[1:])


def _weighted(q, weight, axis):
    """q times the weights of the classes."""
    return q if weight is None else q * np.reshape(weight, (-1,) + (1,) * (-axis - 1))


def _reduced_over(valid, losses, factors, reduction):
    """Reduce the losses of the valid positions; the mean is divided by the sum of their weights."""
    if valid is not None:
        losses = np.where(valid, losses, 0)
    if reduction != "mean" or valid is None and factors is None:
        return reduced(losses, reduction)
    if factors is None:
        return _ratio(losses, int(np.count_nonzero(valid)))
    return _ratio(losses,
                  np.sum(widened(factors if valid is None else np.where(valid, factors, 0))))


# Entry by entry

squared_error = declare(
    None, "y = (x - t)^2,  dy = 2 (x - t) (dx - dt)", lambda x, t: 2 * (x - t),
    lambda x, t: 2 * (t - x), name="mse_loss", forward=lambda x, t: np.square(x - t))

_absolute_error = declare(
    None, "y = |x - t|,  dy = sign(x - t) (dx - dt)", lambda x, t: np.sign(x - t),
    lambda x, t: np.sign(t - x), name="l1_loss", forward=lambda x, t: np.abs(x - t), kind=KINKED,
    kinks=[Kink((1.0, 1.0), (0.0, 0.0), "0 where input and target are equal")])


def _clipped(z, delta):
    """z between -delta and delta, or nan; of its own slope, 1 inside and 0 outside, the bounds take
    the 0."""
    return np.where(z >= delta, delta, np.where(z <= -delta, -delta, z))


def _huber_forward(x, t, delta):
    z = x - t
    c = _clipped(z, delta)
    return c * (z - c / 2)


_huber = declare(
    None, """z = x - t,  y = z^2 / 2 where |z| < d, else d (|z| - d/2):
        y = c (z - c/2)  with  c = min(max(z, -d), d)
    dy = c dz + (z - c) dc = c (dx - dt), because dc = 0 where z and c differ:
        continuous, also at |z| = d""",
    lambda x, t, delta: _clipped(x - t, delta), lambda x, t, delta: _clipped(t - x, delta),
    name="huber_loss", forward=_huber_forward, params=({"delta": 1.0}, {"delta": 0.25}))


def _binary_forward(x, t, p):
    s = np.log1p(np.exp(-np.abs(x)))
    negative, positive = np.maximum(x, 0) + s, np.maximum(-x, 0) + s
    with np.errstate(invalid="ignore"):
        y = (1 - t) * negative + p * t * positive
        # 0 times infinity, where a logit is infinitely sure of the class that it is
        if np.any(np.isnan(y)):
            y = _unless_zero(1 - t, negative) + _unless_zero(p * t, positive)
    return y


def _unless_zero(weight, loss):
    return np.where((weight == 0) & ~np.isnan(loss), 0, weight * loss)


def _difference(x, p):
    """Of p l(-x) and l(x), from which the larger part is taken first: l(x) = x + l(-x)."""
    return (p - 1) * np.log1p(np.exp(-np.abs(x))) - np.where(x < 0, p * x, x)


difference = declare(
    None, """y = p l(-x) - l(x)  with  l(x) = log(1 + e^x);
        dy = -(p sigma(-x) + sigma(x)) dx + l(-x) dp
    Computed as (p - 1) l(-|x|) - x, or p x for negative x, which does not cancel for p = 1.""",
    lambda x, p: -(p * logistic(-x) + logistic(x)), lambda x: log1pexp(-x),
    name="difference_of_log1pexp", forward=_difference,
    formula=lambda x, p: p * log1pexp(-x) - log1pexp(x), domain=(None, "positive"),
    scales=(-300, 10))

logistic_loss = declare(
    None, """y = -p t log sigma(x) - (1 - t) log sigma(-x) = p t l(-x) + (1 - t) l(x)
        with  l(x) = log(1 + e^x)
    dy = ((1 - t) sigma(x) - p t sigma(-x)) dx + (p l(-x) - l(x)) dt + t l(-x) dp,  for l' = sigma
    Computed with l(x) = max(x, 0) + log(1 + e^-|x|), which does not overflow.""",
    lambda x, t, p: (1 - t) * logistic(x) - p * t * logistic(-x), lambda x, p: difference(x, p),
    lambda x, t: t * log1pexp(-x), name="binary_cross_entropy_with_logits", forward=_binary_forward,
    scales=(-300, 10))

_divergence = declare(
    None, "y = t (log t - x), and 0 for t = 0;  dy = -t dx + (log t + 1 - x) dt", lambda t: -t,
    lambda x, t: np.log(t) + 1 - x, name="kl_div",
    forward=lambda x, t: t * (np.log(np.where(t == 0, 1, t)) - x), domain=(None, "positive"))

_log_divergence = declare(
    None, "y = e^s (s - x),  dy = -e^s dx + e^s (s - x + 1) ds", lambda s: -np.exp(s),
    lambda x, s: np.exp(s) * (s - x + 1), name="kl_div_log_target",
    forward=lambda x, s: np.exp(s) * (s - x))


def mse_loss(input: Array, target: Array, size_average: None = None, reduce: None = None,
             reduction: str = "mean", weight: Array | None = None) -> Array:
    """(input - target)^2.

    input, target, weight  arrays of one shape; with a weight the mean is divided by the sum of the
                           weights
    reduction              'mean', 'sum' or 'none'
    Raises ValueError for different shapes (torch warns and broadcasts) and unknown reductions,
    TypeError for the deprecated size_average and reduce.  As torch.nn.functional.mse_loss.
    """
    reduction_of("mse_loss", reduction, size_average, reduce)
    same_shape("mse_loss", input, target=target, weight=weight)
    return _weighted_mean(squared_error(input, target), weight, reduction)


def l1_loss(input: Array, target: Array, size_average: None = None, reduce: None = None,
            reduction: str = "mean", weight: Array | None = None) -> Array:
    """|input - target|, with slope 0 where they are equal.

    Arguments and errors as those of mse_loss.  As torch.nn.functional.l1_loss.
    """
    reduction_of("l1_loss", reduction, size_average, reduce)
    same_shape("l1_loss", input, target=target, weight=weight)
    return _weighted_mean(_absolute_error(input, target), weight, reduction)


def huber_loss(input: Array, target: Array, reduction: str = "mean", delta: float = 1.0,
               weight: Array | None = None) -> Array:
    """z^2 / 2 for |z| <= delta, else delta (|z| - delta/2), with z = input - target.  Huber (1964).

    Arguments and errors as those of mse_loss, but the mean is divided by the number of entries,
    weighted or not. Raises ValueError for a delta that is not positive.  As
    torch.nn.functional.huber_loss.
    """
    reduction_of("huber_loss", reduction)
    same_shape("huber_loss", input, target=target, weight=weight)
    delta = plain("huber_loss", "delta", delta)
    if not delta > 0:
        raise expected("huber_loss", "delta", delta, "a positive number")
    losses = _huber(input, target, delta=delta)
    return reduced(losses if weight is None else losses * weight, reduction)


@composed(cases=[Case((3, 4), (3, 4)), Case((5,), (5,), beta=0.25, reduction="none"),
                 Case((), (), beta=2.0)])
def smooth_l1_loss(input: Array, target: Array, size_average: None = None, reduce: None = None,
                   reduction: str = "mean", beta: float = 1.0) -> Array:
    """z^2 / (2 beta) for |z| < beta, else |z| - beta/2, with z = input - target: huber_loss / beta.
    Girshick (2015).

    With beta = 0 it is the l1_loss.  Arguments and errors as those of mse_loss.
    Raises ValueError for a negative beta.  As torch.nn.functional.smooth_l1_loss.
    """
    reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    same_shape("smooth_l1_loss", input, target=target)
    beta = plain("smooth_l1_loss", "beta", beta)
    if not beta >= 0:
        raise expected("smooth_l1_loss", "beta", beta, "a number that is not negative")
    return reduced(_huber(input, target, delta=beta) / beta if beta
                   else _absolute_error(input, target), reduction)


def binary_cross_entropy_with_logits(
        input: Array, target: Array, weight: Array | None = None, size_average: None = None,
        reduce: None = None, reduction: str = "mean", pos_weight: Array | None = None) -> Array:
    """-pos_weight target log sigma(input) - (1 - target) log(1 - sigma(input)); in nats.

    input       logits, any shape
    target      probabilities, of the same shape
    weight      a factor for each loss, or None; pos_weight a factor for the positive part; both
                broadcast to the input
    reduction   'mean' (over all entries), 'sum' or 'none'
    Raises ValueError for shapes that do not match and unknown reductions, TypeError for the
    deprecated size_average and reduce.  As torch.nn.functional.binary_cross_entropy_with_logits.
    """
    name = "binary_cross_entropy_with_logits"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input, target=target)
    broadcasting(name, input, weight=weight, pos_weight=pos_weight)
    losses = logistic_loss(input, target, 1 if pos_weight is None else pos_weight)
    return reduced(losses if weight is None else losses * weight, reduction)


def kl_div(input: Array, target: Array, size_average: None = None, reduce: None = None,
           reduction: str = "mean", log_target: bool = False) -> Array:
    """The pointwise Kullback-Leibler divergence target (log target - input), input being
    log-probabilities; in nats.

    input, target  arrays of one shape; with log_target=True the target holds log-probabilities too
    reduction      'batchmean' (the sum divided by the size of the first axis: the divergence),
                   'mean', 'sum' or 'none'
    Where target = 0 the loss is 0 and its slope in target is -inf.
    Raises ValueError for different shapes and unknown reductions, TypeError for the deprecated
    size_average and reduce. As torch.nn.functional.kl_div.
    """
    reduction_of("kl_div", reduction, size_average, reduce,
                 allowed=("batchmean", "mean", "sum", "none"))
    same_shape("kl_div", input, target=target)
    losses = _log_divergence(input, target) if log_target else _divergence(input, target)
    if reduction == "batchmean":
        return _ratio(losses, input.shape[0]) if input.shape else losses
    return reduced(losses, reduction)


def _ratio(losses, total):
    """The sum of the losses, divided by a sum or count, which may be beyond the largest number of
    float16."""
    return in_dtype_of(losses, np.sum(widened(losses)) / total)


def _weighted_mean(losses, weight, reduction):
    if weight is None:
        return reduced(losses, reduction)
    losses = losses * weight
    return (_ratio(losses, np.sum(widened(weight))) if reduction == "mean"
            else reduced(losses, reduction))
