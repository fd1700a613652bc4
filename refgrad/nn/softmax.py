"""Softmax and its logarithm, along one axis."""

from __future__ import annotations

import numpy as np

from ..cases import Case
from ..foreign import may_be
from ..hints import Array
from ..primitive import CONSTANT, LINEAR, Primitive, composed, declare, in_dtype_of, widened
from ..rules.reductions import largest, total
from .arguments import axis_of, expected, generator_of, plain

peak = declare(
    None, """m = max x, taken as a constant: softmax(x - m) = softmax(x) for every m,
        so m is in no derivative.
    It keeps e^x from overflowing, and any number near the maximum would do.""",
    name="peak", kind=CONSTANT, forward=lambda x, axis: np.max(x, axis=axis, keepdims=True),
    plain=lambda x, axis: np.maximum.reduce(x, axis=axis, keepdims=True),
    cases=[Case((3, 4), axis=-1)])


#: Below this many entries NumPy reduces along the last axis of memory slower than across it.
SHORT = 64


def _across(x, axis):
    """x itself, but with a short axis as the first one in memory; its results are laid out like
    it."""
    if type(x) is not np.ndarray or x.ndim < 2 or x.shape[axis] >= SHORT:
        return x
    return x.swapaxes(0, axis).copy().swapaxes(0, axis)


def _exponentials(x, axis):
    dtype, x = x.dtype, _across(widened(x), axis)
    e = np.exp(x - peak(x, axis=axis))
    return (e / sum_along(e, axis)).astype(dtype, copy=False)


def _logarithms(x, axis):
    dtype, x = x.dtype, _across(widened(x), axis)
    z = x - peak(x, axis=axis)
    return (z - log_total(sum_along(np.exp(z), axis), z, axis=axis)).astype(dtype, copy=False)


#: A sum of exponentials of which log has lost more than two digits.
FEW = 1.01


def _log_total(t, z, axis):
    """log t; log(1 + ...) with the sum over all but the maximum where it is so small that it
    counts."""
    y, are_few = np.log(t), t < FEW
    if may_be(np.count_nonzero(are_few)):
        y = np.where(are_few, np.log1p(sum_along(np.exp(z) * (z < 0), axis)), y)
    return y


#: A probability above which 1 - p has lost digits that count; at most one entry along an axis has
#: it.
CERTAIN = 0.9


def _deviation(p, v, axis):
    # v - v_t along the axis, with the entry t that is nearly certain
    if may_be(largest(p, 0) > CERTAIN):
        v = v - np.sum(np.where(p > CERTAIN, v, 0), axis=axis, keepdims=True)
    return v - sum_along(_across(p * v, axis), axis)


def _balance(p, v, axis):
    r = p * sum_along(v, axis)
    r = np.subtract(v, r, out=r) if type(r) is np.ndarray and r.dtype is v.dtype else v - r
    if may_be(largest(p, 0) > CERTAIN):
        t = p > CERTAIN
        r = np.where(t, -np.sum(np.where(t, 0, r), axis=axis, keepdims=True), r)
    return r


CASES = [Case((3, 4), axis=-1), Case((2, 3, 4), axis=-2), Case((3,), axis=-1),
         Case((2, 1), axis=-1)]
sum_along = lambda x, axis: total(x, axis, keepdims=True)


def _of_probabilities(function):
    """Cases with probabilities, one of them with nearly certain ones."""
    return [Case((3, 4), (3, 4),
                 call=lambda x, v: function()(softmax_along(x, axis=-1), v, axis=-1)),
            Case((2, 3), (2, 3),
                 call=lambda x, v: function()(softmax_along(16 * x, axis=-1), v, axis=-1))]



log_total = declare(
    None, """y = log t,  dy = dt / t;  t is <1, e^z> with the maximum 0 of z,
        and z is in no derivative
    Computed as log(1 + ...) from the other entries of z where t is close to 1.""",
    name="log_total", forward=_log_total, formula=lambda t, z, axis: np.log(t), stacked=True,
    jvp=(lambda v, t: v / t, None), vjp=(lambda g, t: g / t, None),
    cases=[Case((3, 4), call=lambda x: peak(x, axis=-1) + _log_sum(x - peak(x, axis=-1)),
                scales=(-300, 0))])
_log_sum = lambda z: log_total(sum_along(np.exp(z), -1), z, axis=-1)

# Of probabilities p, which sum to 1, the matrix I - 1 p' and its transpose.  Where an entry p_t is
# close to 1 its own row would be 1 - p_t; but the matrix maps 1 to 0, so v may be shifted until v_t
# is 0, and what its transpose gives sums to 0, so entry t follows from the others.
deviation = declare(
    None, """y = v - 1 <p, v>,  dy = dv - 1 <p, dv> - 1 <dp, v>;  the same for v - v_t 1
    <g, dv - 1 <p, dv>> = <g - p <1, g>, dv>,  <g, -1 <dp, v>> = <-<1, g> v, dp>""",
    name="deviation", forward=_deviation, formula=lambda p, v, axis: v - sum_along(p * v, axis),
    stacked=True, jvp=(lambda dp, v, axis: -sum_along(dp * v, axis),
                       lambda dv, p, axis: deviation(p, dv, axis=axis)),
    vjp=(lambda g, v, axis: -sum_along(g, axis) * v, lambda g, p, axis: balance(p, g, axis=axis)),
    cases=_of_probabilities(lambda: deviation))
balance = declare(
    None, """y = v - p <1, v>,  dy = dv - p <1, dv> - <1, v> dp;  its entries sum to 0
    <g, dv - p <1, dv>> = <g - 1 <p, g>, dv>,  <g, -<1, v> dp> = <-<1, v> g, dp>""",
    name="balance", forward=_balance, formula=lambda p, v, axis: v - p * sum_along(v, axis),
    stacked=True, jvp=(lambda dp, v, axis: -dp * sum_along(v, axis),
                       lambda dv, p, axis: balance(p, dv, axis=axis)),
    vjp=(lambda g, v, axis: -sum_along(v, axis) * g, lambda g, p, axis: deviation(p, g, axis=axis)),
    cases=_of_probabilities(lambda: balance))

_along = lambda v, y, axis: y * deviation(y, v, axis=axis)
softmax_along = declare(
    None, """y = e^x / <1, e^x>,  dy = y . dx - y <y, dx> = y . (dx - 1 <y, dx>)
        = (diag(y) - y y') dx
    The matrix is symmetric: <g, dy> = <(diag(y) - y y') g, dx>.
    Computed with x - max x, which leaves y as it is: numerator and denominator share a factor.""",
    name="softmax", forward=_exponentials, jvp=(_along,), vjp=(_along,), stacked=True, cases=CASES)



def _masked_exponentials(x, mask, axis):
    dtype, x = x.dtype, widened(x)
    lowest = -peak(-x, axis=axis)
    m = peak(np.where(mask, x, lowest), axis=axis)
    e = np.where(mask, np.exp(np.where(mask, x - m, 0)), 0)
    t = sum_along(e, axis)
    return (e / np.where(np.any(mask, axis=axis, keepdims=True), t, 1)).astype(dtype, copy=False)


masked_softmax = declare(
    None, """y = m . e^x / <m, e^x>  with a mask m of zeros and ones,
        and y = 0 where m is 0 along the whole axis
    dy = y . (dx - 1 <y, dx>), as of softmax: y is 0 where m is.""",
    name="masked_softmax", forward=_masked_exponentials, jvp=(_along,), vjp=(_along,), stacked=True,
    cases=[Case((3, 4), mask=np.array([[True, False, True, True], [False] * 4,
                                       [False, False, True, False]]), axis=-1),
           Case((2, 3), mask=np.array([[True], [False]]), axis=-1),
           Case((4, 2), mask=np.array([[True, True], [True, False], [False, True], [True, True]]),
                axis=-2)])

log_softmax_along = declare(
    None, """y = x - 1 log <1, e^x>,  dy = dx - 1 <p, dx> = (I - 1 p') dx  with  p = e^y
    <g, (I - 1 p') dx> = <(I - p 1') g, dx> = <g - p <1, g>, dx>
    Computed with x - max x, which leaves y as it is.""",
    name="log_softmax", forward=_logarithms, stacked=True, cases=CASES,
    jvp=(lambda v, y, axis: deviation(np.exp(y), v, axis=axis),),
    vjp=(lambda g, y, axis: balance(np.exp(y), g, axis=axis),))


def softmax(input: Array, dim: int | None = None, _stacklevel: int = 3,
            dtype: np.typing.DTypeLike | None = None) -> Array:
    """e^x / sum e^x along the axis `dim`: positive numbers with sum 1, in the shape of the input.

    input  any shape; an array without axes is a single entry, along dim 0 or -1
    dtype  a float dtype to which the input is converted first; None keeps its own
    An entry -inf has probability 0.  An axis without entries stays one.
    Raises ValueError for an axis that input does not have, and for dim=None, where torch guesses,
    TypeError for a dtype of other numbers than floats.  As torch.nn.functional.softmax.
    """
    return _along_axis("softmax", softmax_along, input, dim, dtype)


def log_softmax(input: Array, dim: int | None = None, _stacklevel: int = 3,
                dtype: np.typing.DTypeLike | None = None) -> Array:
    """x - log sum e^x along the axis `dim`, in nats and in the shape of the input, without
    overflow.

    Arguments and errors as those of softmax.  As torch.nn.functional.log_softmax.
    """
    return _along_axis("log_softmax", log_softmax_along, input, dim, dtype)


@composed(cases=[Case((2, 3), dim=-1), Case((3, 2), dim=0, dtype=np.dtype(float)), Case((), dim=0)])
def softmin(input: Array, dim: int | None = None, _stacklevel: int = 3,
            dtype: np.typing.DTypeLike | None = None) -> Array:
    """e^-x / sum e^-x along the axis `dim`: the softmax of -x, largest where the input is smallest.

    Arguments and errors as those of softmax.  As torch.nn.functional.softmin.
    """
    return _along_axis("softmin", lambda x, axis: softmax_along(-x, axis=axis), input, dim, dtype)


#: The entry of its second argument, with the derivative of the first.
straight_through = Primitive(
    None, """y = h, though dy = ds: h is constant almost everywhere, and s stands for it in
    derivatives
    Bengio, Leonard and Courville (2013).""", name="straight_through", kind=LINEAR, pointwise=True,
    forward=lambda s, h: h, vjp=(lambda g: g, None))


def _seeded(x, **options):
    return gumbel_softmax(x, generator=np.random.default_rng(0), **options)


@composed(cases=[Case((3, 4), call=_seeded),
                 Case((3, 2), call=lambda x: _seeded(x, tau=0.5, dim=0))])
def gumbel_softmax(logits: Array, tau: float = 1, hard: bool = False, eps: float = 1e-10,
                   dim: int = -1, *, generator: np.random.Generator | None = None) -> Array:
    """softmax((logits + g) / tau) with a number g of Gumbel's distribution, -log(-log u), drawn for
    each entry.

    tau        the temperature, not 0
    hard       the result is 1 at the largest of the probabilities and 0 elsewhere, but its
               derivative is theirs
    eps        has no effect; accepted for torch's signature
    generator  a numpy.random.Generator, from which one number of the exponential distribution is
               drawn for each entry
    Returns the input's shape.
    Raises ValueError for an axis that logits do not have and for tau = 0, TypeError without a
    generator.
    Jang, Gu and Poole (2017), Maddison, Mnih and Teh (2017); as torch.nn.functional.gumbel_softmax,
    but for the generator.
    """
    name = "gumbel_softmax"
    tau = plain(name, "tau", tau)
    if tau == 0:
        raise expected(name, "tau", tau, "a number other than 0, by which the logits are divided")
    axis_of(name, logits, dim)
    noise = -np.log(generator_of(name, generator, "it").exponential(size=logits.shape))
    soft = _along_axis(
        name, softmax_along, (logits + in_dtype_of(logits, np.asarray(noise))) / tau, dim, None)
    if not hard:
        return soft
    winner = np.expand_dims(np.argmax(soft, axis=dim), dim)
    places = np.arange(soft.shape[dim]).reshape((-1,) + (1,) * (-1 - axis_of(name, logits, dim)))
    return straight_through(soft, np.astype(winner == places, soft.dtype))


def _along_axis(name, function, input, dim, dtype):
    """The function along an axis; of no entries no entries, of an array without axes that of its
    one entry."""
    axis = axis_of(name, input, dim)
    if dtype is not None:
        dtype = _float(name, dtype)
        input = input if input.dtype == dtype else input.astype(dtype)
    if not input.shape:
        return np.reshape(function(np.reshape(input, (1,)), axis=axis), ())
    return function(input, axis=axis) if input.shape[axis] else np.copy(input)


def _float(name, dtype):
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise TypeError(f"{name}: dtype is {dtype!r}; expected a float dtype of NumPy, "
                        "such as np.float32")
    return found
