"""Checks of the arguments of layers and losses.

Every message names the function and the argument, what was given and what was expected.
"""

import numpy as np

from ..errors import describe

REDUCTIONS = "mean", "sum", "none"


def expected(function, argument, came, wanted):
    """The error for an argument that is not what it should be."""
    return ValueError(f"{function}: {argument} is {came}; expected {wanted}")


def shape_of(function, argument, x):
    """The shape of an argument that must be an array."""
    try:
        return x.shape
    except AttributeError:
        raise TypeError(f"{function}: {argument} is {describe(x)}; expected an array. Convert it "
                        f"with np.asarray({argument})") from None


def same_shape(function, input, called="input", **others):
    """Check that the other arguments (None excepted) have the input's shape: broadcasting would
    hide a mistake."""
    shape = shape_of(function, called, input)
    for argument, x in others.items():
        if x is not None and shape_of(function, argument, x) != shape:
            raise ValueError(f"{function}: {argument} has shape {x.shape} and {called} has shape "
                             f"{shape}; expected the same shape. Broadcast explicitly: "
                             f"np.broadcast_to({argument}, {called}.shape)")


def broadcasting(function, input, **others):
    """Check that the other arguments (None excepted) broadcast to the input's shape."""
    shape = shape_of(function, "input", input)
    for argument, x in others.items():
        if x is not None and not broadcasts(shape_of(function, argument, x), shape):
            raise ValueError(f"{function}: {argument} has shape {x.shape}, which does not "
                             f"broadcast to that of input, {shape}")


def broadcasts(shape, to):
    """Whether a shape broadcasts to another."""
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def plain(function, argument, value):
    """A parameter as a Python number: NumPy's scalars would promote float32 arrays to float64."""
    if type(value) is float or type(value) is int:
        return value
    # When it is recorded.
    stands_for_one = isinstance(value, (int, float)) and not hasattr(value, "dtype")
    if isinstance(value, (bool, np.bool_)) or not stands_for_one and not issubclass(
            type(value), (int, float, np.integer, np.floating)):
        raise TypeError(f"{function}: {argument} is {describe(value)}; expected a number (it has "
                        "no derivative)")
    return value.item() if isinstance(value, np.generic) else value


def refuse(function, argument, value, way_out):
    """Raise an error for an argument that is not supported, unless it has the value that has no
    effect."""
    if value is not None and value is not False:
        raise TypeError(f"{function}: {argument}={value!r} is not supported; {way_out}")


def not_in_place(function, inplace):
    if inplace is not False:
        refuse(function, "inplace", inplace,
               f"nothing is overwritten here: write x = {function}(x)")


def reduction_of(function, reduction, size_average=None, reduce=None, allowed=REDUCTIONS):
    """Check how a loss is to be reduced; torch's two deprecated arguments are refused."""
    way_out = "it is deprecated: say reduction='mean', 'sum' or 'none'"
    if size_average is not None or reduce is not None:
        argument, value = (("size_average", size_average) if size_average is not None
                           else ("reduce", reduce))
        raise TypeError(f"{function}: {argument}={value!r} is not supported; {way_out}")
    if reduction not in allowed:
        raise expected(function, "reduction", repr(reduction),
                       f"one of {', '.join(map(repr, allowed))}")


def reduced(losses, reduction):
    """All losses, their sum or their mean."""
    return (np.mean(losses) if reduction == "mean" else np.sum(losses) if reduction == "sum"
            else losses)


def axis_of(function, input, dim):
    """An axis as torch names it, counted from the end; an array without axes counts as one entry
    along one."""
    n = max(1, len(shape_of(function, "input", input)))
    if dim is None:
        raise expected(function, "dim", "None",
                       "the axis to normalise (torch guesses one and warns), such as dim=-1")
    if isinstance(dim, (bool, np.bool_)) or not issubclass(type(dim), (int, np.integer)):
        raise TypeError(f"{function}: dim is {describe(dim)}; expected an integer")
    if not -n <= dim < n:
        raise expected(function, "dim", dim,
                       f"one of the axes of input, which has shape {input.shape}")
    return int(dim) % n - n


def generator_of(function, generator, when):
    """The generator from which random numbers are drawn: refgrad has no hidden state."""
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"{function}: generator is {describe(generator)}; {when} draws random "
                        "numbers and needs one: pass generator=np.random.default_rng(seed)")
    return generator
