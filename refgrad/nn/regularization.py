"""Dropout and weight decay."""

import numpy as np

from ..cases import Case
from ..errors import describe
from ..primitive import HALF, LINEAR, Each, declare, widened
from ..rules.constants import number
from ..rules.reductions import total
from ..tree import flatten
from .arguments import expected, generator_of, not_in_place, plain, shape_of

_dropout = declare(
    None, "y = m . x / (1 - p) with a mask m of zeros and ones;  <g, m . dx / (1 - p)> = <m . g / (1 - p), dx>",
    name="dropout", kind=LINEAR, forward=lambda x, mask, p: x * mask / (1 - p * number(1, x)),
    vjp=(lambda g, mask, p: _dropout(g, mask=mask, p=p),), pointwise=True,
    cases=[Case((2, 3), mask=np.array([[True, False, True], [False, True, True]]), p=0.25),
           Case((), mask=np.array(True), p=0.5)])


def dropout(input, p=0.5, training=True, inplace=False, *, generator=None):
    """Each entry 0 with probability p, else divided by 1 - p, so that the expected value is the input.

    generator  a numpy.random.Generator, from which one uniform number is drawn for each entry; needed when training
               with 0 < p < 1, since refgrad has no hidden state
    Returns the input's shape; the input itself when not training or for p = 0.
    Raises ValueError for p outside [0, 1], TypeError without a generator.
    Srivastava et al. (2014); as torch.nn.functional.dropout, but for the generator.
    """
    not_in_place("dropout", inplace)
    p = plain("dropout", "p", p)
    if not 0 <= p <= 1:
        raise expected("dropout", "p", p, "a probability, 0 <= p <= 1")
    if not training or p == 0:
        return input
    if p == 1:
        return _dropout(input, mask=np.zeros(shape_of("dropout", "input", input), bool), p=0)
    generator_of("dropout", generator, "training with 0 < p < 1")
    return _dropout(input, mask=generator.random(shape_of("dropout", "input", input)) >= p, p=p)


def _half_squares(*arrays, weight_decay):
    squares = [total(np.square(widened(x))) * weight_decay / 2 for x in arrays]
    y = sum(squares[1:], start=squares[0])
    return y.astype(HALF) if all([getattr(x, "dtype", None) is HALF for x in arrays]) else y


_l2_penalty = declare(
    None, "y = k/2 (<W_1, W_1> + <W_2, W_2> + ...),  dy = k (<W_1, dW_1> + ...);  <g, k <W, dW>> = <g k W, dW>",
    name="l2_penalty", forward=_half_squares,
    jvp=Each(lambda i, v, arrays, weight_decay: weight_decay * np.sum(arrays[i] * v)),
    vjp=Each(lambda i, g, arrays, weight_decay: (g * weight_decay) * arrays[i]),
    cases=[Case((2, 3), (3,), weight_decay=0.25), Case((), weight_decay=1.0)])


def l2_penalty(parameters, weight_decay):
    """weight_decay / 2 times the sum of the squares of all entries: its gradient is weight_decay times the parameters.

    parameters    an array, or any nest of dict, list, tuple and dataclass of arrays
    weight_decay  a number, not negative
    Returns a scalar.  Raises ValueError for a negative weight_decay and for a nest without arrays.
    Added to a loss, this is the weight decay of torch.optim.SGD.
    """
    weight_decay = plain("l2_penalty", "weight_decay", weight_decay)
    if not weight_decay >= 0:
        raise expected("l2_penalty", "weight_decay", weight_decay, "a number that is not negative")
    leaves, _ = flatten(parameters)
    if not leaves:
        raise ValueError(f"l2_penalty: parameters, a {describe(parameters)}, holds no arrays; expected at least one")
    return _l2_penalty(*leaves, weight_decay=weight_decay)
