"""What layers with windows ask of their arguments: sizes for each axis, and inputs without a batch."""

import operator

from ..errors import describe
from .arguments import expected, shape_of


def sizes_of(function, argument, value, k, least=1):
    """An integer for each of k axes, of one for all of them or of k."""
    parts = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    wanted = f"an integer or {k} of them" if k > 1 else "an integer"
    try:
        sizes = tuple(map(operator.index, parts))
    except TypeError:
        raise TypeError(f"{function}: {argument} is {value!r}; expected {wanted}") from None
    if any(isinstance(p, bool) for p in parts):
        raise TypeError(f"{function}: {argument} is {value!r}; expected {wanted}")
    if len(sizes) == 1:
        sizes *= k
    if len(sizes) != k or min(sizes) < least:
        raise expected(function, argument, repr(value), f"{wanted}, not below {least}")
    return sizes


def images_of(function, input, k, channels=True):
    """The shape of an input with k spatial axes, and whether it has a batch axis in front.

    Every axis but that of the batch must have entries.
    """
    shape = shape_of(function, "input", input)
    axes = ", ".join("LHW"[0] if k == 1 else "DHW"[3 - k + i] for i in range(k))
    single = f"(C, {axes})" if channels else f"({axes})"
    batched = f"(N, {single[1:]}"
    if len(shape) - k - channels not in (0, 1):
        raise ValueError(f"{function}: input is {describe(input)}; expected {batched} or {single}")
    has_batch = len(shape) == k + channels + 1
    if 0 in shape[has_batch:]:
        raise ValueError(f"{function}: input has shape {shape}; expected {batched} or {single} "
                         f"with at least one entry along each axis but N")
    return shape, has_batch


def same_numbers(function, **arrays):
    """Check that arrays hold real numbers, and not integers some of them and floats the others."""
    kinds = {}
    for argument, x in arrays.items():
        shape_of(function, argument, x)
        kinds[argument] = x.dtype.kind
    integers = [a for a, kind in kinds.items() if kind in "biu"]
    if "c" in kinds.values() or "f" in kinds.values() and integers:
        came = " and ".join(f"{a} {describe(x)}" for a, x in arrays.items())
        raise TypeError(f"{function}: {came}; expected real numbers of one kind, all of them "
                        f"floats or all of them integers")
