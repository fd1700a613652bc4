"""Dropout and weight decay."""

from __future__ import annotations

import numpy as np

from ..cases import Case
from ..errors import describe
from ..hints import Array, Nest
from ..primitive import HALF, LINEAR, Each, composed, declare, widened
from ..rules.constants import number
from ..rules.reductions import total
from ..tree import flatten
from .arguments import expected, generator_of, not_in_place, plain, shape_of

_dropout = declare(
    None, "y = m . x / (1 - p) with a mask m of zeros and ones;  <g, m . "
          "dx / (1 - p)> = <m . g / (1 - p), dx>",
    name="dropout", kind=LINEAR, forward=lambda x, mask, p: x * mask / (1 - p * number(1, x)),
    vjp=(lambda g, mask, p: _dropout(g, mask=mask, p=p),), pointwise=True,
    cases=[Case((2, 3), mask=np.array([[True, False, True], [False, True, True]]), p=0.25),
           Case((), mask=np.array(True), p=0.5)])


def dropout(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *,
            generator: np.random.Generator | None = None) -> Array:
    """Each entry 0 with probability p, else divided by 1 - p, so that the expected value is the
    input.

    generator  a numpy.random.Generator, from which one uniform number is drawn for each entry;
               needed when training with 0 < p < 1, since refgrad has no hidden state
    Returns the input's shape; the input itself when not training or for p = 0.
    Raises ValueError for p outside [0, 1], TypeError without a generator.
    Srivastava et al. (2014); as torch.nn.functional.dropout, but for the generator.
    """
    shape = shape_of("dropout", "input", input)
    return _dropped("dropout", input, shape, p, training, inplace, generator)


def _dropped(function, input, shape, p, training, inplace, generator):
    """The input times a mask of that shape, which broadcasts, divided by 1 - p."""
    p = _probability(function, p, inplace)
    mask = _kept(function, shape, p, training, generator)
    return input if mask is None else _dropout(input, mask=mask, p=p if p < 1 else 0)


def _probability(function, p, inplace):
    not_in_place(function, inplace)
    p = plain(function, "p", p)
    if not 0 <= p <= 1:
        raise expected(function, "p", p, "a probability, 0 <= p <= 1")
    return p


def _kept(function, shape, p, training, generator):
    """What is kept, an array of truth values; None if nothing is to be done."""
    if not training or p == 0:
        return None
    if p == 1:
        return np.zeros(shape, bool)
    generator_of(function, generator, "training with 0 < p < 1")
    return generator.random(shape) >= p


def _of_channels(function, input, batched, spatial):
    """A mask's shape with an entry for each channel, of an input of one of these numbers of
    axes."""
    shape = shape_of(function, "input", input)
    if len(shape) not in batched + spatial:
        forms = ["(N, C" + ", *" * (n - 2) + ")" for n in batched] + ["(C" + ", *" * (n - 1) + ")"
                                                                      for n in spatial]
        raise ValueError(f"{function}: input has shape {shape}; expected {' or '.join(forms)}")
    channels = 2 if len(shape) in batched else 1
    return shape[:channels] + (1,) * (len(shape) - channels)


_SEEDED = lambda: np.random.default_rng(5)


def _channels(function, *shape):
    return [Case(shape, call=lambda x: function()(x, 0.25, generator=_SEEDED()))]


@composed(kind=LINEAR, cases=_channels(lambda: dropout1d, 2, 3, 2))
def dropout1d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: np.random.Generator | None = None) -> Array:
    """Each channel 0 as a whole with probability p, else divided by 1 - p.

    input      (N, C, L) or (C, L)
    generator  as of dropout; one uniform number is drawn for each channel of each sample
    Result and errors as those of dropout.  Raises ValueError for an input of another number of
    axes.
    Tompson et al. (2015); as torch.nn.functional.dropout1d, but for the generator.
    """
    shape = _of_channels("dropout1d", input, (3,), (2,))
    return _dropped("dropout1d", input, shape, p, training, inplace, generator)


@composed(kind=LINEAR, cases=_channels(lambda: dropout2d, 1, 4, 1, 2))
def dropout2d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: np.random.Generator | None = None) -> Array:
    """Each channel 0 as a whole with probability p, else divided by 1 - p.

    input  (N, C, H, W); three axes are (N, C, L), as torch has them
    All else as of dropout1d.  As torch.nn.functional.dropout2d, but for the generator.
    """
    shape = _of_channels("dropout2d", input, (3, 4), ())
    return _dropped("dropout2d", input, shape, p, training, inplace, generator)


@composed(kind=LINEAR, cases=_channels(lambda: dropout3d, 1, 4, 1, 1, 2))
def dropout3d(input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *,
              generator: np.random.Generator | None = None) -> Array:
    """Each channel 0 as a whole with probability p, else divided by 1 - p.

    input  (N, C, D, H, W) or (C, D, H, W)
    All else as of dropout1d.  As torch.nn.functional.dropout3d, but for the generator.
    """
    shape = _of_channels("dropout3d", input, (5,), (4,))
    return _dropped("dropout3d", input, shape, p, training, inplace, generator)


#: To which number selu tends at -infinity, with the sign turned: its scale times its alpha.
SELU_LIMIT = 1.7580993408473766


def _alpha_dropped(function, input, shape, p, training, inplace, generator):
    """a (m x - (1 - m) s + s p)  with the mask m, which broadcasts, and  a^-2 = (1 - p) (1 + s^2
    p)."""
    p = _probability(function, p, inplace)
    mask = _kept(function, shape, p, training, generator)
    if mask is None:
        return input
    if p == 1:
        return np.where(mask, input, 0)
    a = ((1 - p) * (1 + p * SELU_LIMIT ** 2)) ** -0.5
    shift = a * p * SELU_LIMIT
    return np.where(mask, a * input + shift, shift - a * SELU_LIMIT)


@composed(cases=[Case((2, 3), call=lambda x: alpha_dropout(x, 0.25, True, generator=_SEEDED())),
                 Case((3,), call=lambda x: alpha_dropout(x, 1.0, True)), Case((), p=0.5)])
def alpha_dropout(input: Array, p: float = 0.5, training: bool = False, inplace: bool = False, *,
                  generator: np.random.Generator | None = None) -> Array:
    """Each entry with probability p the least value of selu, -1.758; then scaled and shifted.

    A mean of 0 and a variance of 1 are kept.

    generator  as of dropout
    Returns the input's shape: the input itself when not training (the default) or for p = 0, and 0
    for p = 1. Errors as those of dropout.
    Klambauer et al. (2017); as torch.nn.functional.alpha_dropout, but for the generator.
    """
    shape = shape_of("alpha_dropout", "input", input)
    return _alpha_dropped("alpha_dropout", input, shape, p, training, inplace, generator)


@composed(cases=[Case((2, 3, 2),
                      call=lambda x: feature_alpha_dropout(x, 0.25, True, generator=_SEEDED())),
                 Case((2, 3), p=0.5)])
def feature_alpha_dropout(input: Array, p: float = 0.5, training: bool = False,
                          inplace: bool = False, *,
                          generator: np.random.Generator | None = None) -> Array:
    """alpha_dropout of each channel as a whole.

    input      (N, C, *); any shape when not training
    generator  as of dropout; one uniform number is drawn for each channel of each sample
    Result and errors as those of alpha_dropout.  Raises ValueError for too few axes.
    As torch.nn.functional.feature_alpha_dropout, but for the generator.
    """
    shape = shape_of("feature_alpha_dropout", "input", input)
    if training and len(shape) < 2:
        raise ValueError(f"feature_alpha_dropout: input has shape {shape}; expected (N, C, *)")
    shape = shape[:2] + (1,) * (len(shape) - 2)
    return _alpha_dropped("feature_alpha_dropout", input, shape, p, training, inplace, generator)


def _half_squares(*arrays, weight_decay):
    squares = [total(np.square(widened(x))) * weight_decay / 2 for x in arrays]
    y = sum(squares[1:], start=squares[0])
    return y.astype(HALF) if all([getattr(x, "dtype", None) is HALF for x in arrays]) else y


_l2_penalty = declare(
    None, "y = k/2 (<W_1, W_1> + <W_2, W_2> + ...),  dy = k (<W_1, dW_1> + ...);  "
          "<g, k <W, dW>> = <g k W, dW>", name="l2_penalty", forward=_half_squares,
    jvp=Each(lambda i, v, arrays, weight_decay: weight_decay * np.sum(arrays[i] * v)),
    vjp=Each(lambda i, g, arrays, weight_decay: (g * weight_decay) * arrays[i]),
    cases=[Case((2, 3), (3,), weight_decay=0.25), Case((), weight_decay=1.0)])


def l2_penalty(parameters: Nest, weight_decay: float) -> Array:
    """weight_decay / 2 times the sum of the squares of all entries: its gradient is weight_decay
    times the parameters.

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
        raise ValueError(f"l2_penalty: parameters, a {describe(parameters)}, holds no arrays; "
                         "expected at least one")
    return _l2_penalty(*leaves, weight_decay=weight_decay)
