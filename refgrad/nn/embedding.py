"""Embeddings: rows of a matrix, chosen by integers.

With the matrix P of unit rows e_t, one for each token t:

    Y = P W,  dY = P dW,  <G, P dW> = <P' G, dW>:
        each row of W receives the sum of what its tokens receive

Bags add rows up, or take their mean: Y = S P W with a matrix S of a row for each bag.
"""

import numpy as np

from ..cases import Case, Fixed
from ..errors import describe
from ..hints import Array
from ..primitive import composed, declare
from ..rules.shape import scatter_add
from .arguments import expected, plain, refuse, shape_of

MODES = "sum", "mean", "max"

eased = declare(
    None, """y = x, but dy = f . dx with given factors f;  <g, f . dx> = <f . g, dx>
    With f = 1 it is the identity; with f = 0 the entry counts as a constant.""",
    name="eased", forward=lambda x, factor: np.copy(x), pointwise=True,
    vjp=(lambda g, factor: g * factor,), cases=[Case((2, 3), factor=np.ones((2, 1), bool))])


@composed(cases=[Case(Fixed(np.array([[0, 2], [2, 1]])), (3, 2)), Case(Fixed(np.array(1)), (3, 2))])
def embedding(input: Array, weight: Array, padding_idx: int | None = None, max_norm: None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False,
              sparse: bool = False) -> Array:
    """The row of the weight for each token.

    input               integers of any shape, 0 <= token < V
    weight              (V, D)
    padding_idx         a token whose row counts as a constant; negative ones count from the end
    scale_grad_by_freq  divide what a row receives by the number of its tokens, in forward mode
                        likewise
    Returns (*, D) for an input of shape (*).
    Raises ValueError for shapes that do not match and tokens out of range, TypeError for an input
    of other numbers than integers, and for max_norm, which overwrites the weight, and sparse.
    As torch.nn.functional.embedding.
    """
    name = "embedding"
    tokens, rows = _tokens(name, input, weight, max_norm, norm_type, sparse)
    padding = _padding(name, padding_idx, rows)
    return _rows_of(weight, tokens, padding, scale_grad_by_freq)


def _rows_of(weight, tokens, padding, by_frequency):
    """The row of each token, with the factors by which what it receives is multiplied."""
    y = weight[tokens]
    if padding is None and not by_frequency:
        return y
    factor = np.ones(tokens.shape) if padding is None else np.where(tokens == padding, 0.0, 1.0)
    if by_frequency:
        factor = factor / np.bincount(np.ravel(tokens), minlength=1)[tokens]
    return eased(y, factor=factor[..., None].astype(y.dtype))


def _tokens(function, input, weight, max_norm, norm_type, sparse):
    """The tokens, an array of integers, and the number of rows to choose from."""
    refuse(function, "max_norm",
           max_norm, "torch overwrites the weight with it, and nothing is overwritten here: "
                     "scale the rows of weight before the call")
    plain(function, "norm_type", norm_type)
    refuse(function, "sparse", sparse, "gradients are dense arrays: leave it False")
    shape = shape_of(function, "weight", weight)
    if len(shape) != 2:
        raise ValueError(f"{function}: weight has shape {shape}; expected (V, D), a row for each "
                         "token")
    tokens = _integers(function, "input", input)
    _in_range(function, "input", "token", tokens, shape[0],
              f"the number of rows of a weight of shape {shape}")
    return tokens, shape[0]


def _integers(function, argument, x):
    x = x if hasattr(x, "dtype") else np.asarray(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{function}: {argument} is {describe(x)}; expected integers")
    return x


def _in_range(function, argument, what, x, count, which):
    wrong = (x < 0) | (x >= count)
    if np.any(wrong):
        raise ValueError(f"{function}: {argument} holds the {what} {x[wrong][0]}; expected 0 <= "
                         f"{what} < {count}, {which}")


def _padding(function, padding_idx, rows):
    if padding_idx is None:
        return None
    k = plain(function, "padding_idx", padding_idx)
    if k != int(k) or not -rows <= k < rows:
        raise expected(function, "padding_idx", k, f"one of the {rows} rows of weight")
    return int(k) % rows


_BAGS = np.array([0, 2, 2, 1, 0])
_OFFSETS = np.array([0, 2, 2, 3])


@composed(cases=[
    Case(Fixed(_BAGS), (3, 2), offsets=_OFFSETS),
    Case(Fixed(_BAGS), (3, 2), offsets=_OFFSETS, mode="max"),
    Case(Fixed(_BAGS), (3, 2), (5,), call=lambda t, W, w: embedding_bag(
        t, W, _OFFSETS, mode="sum", per_sample_weights=w, include_last_offset=True, padding_idx=1)),
    Case(Fixed(_BAGS[:4].reshape(2, 2)), (3, 2), mode="mean", padding_idx=2)])
def embedding_bag(input: Array, weight: Array, offsets: Array | None = None, max_norm: None = None,
                  norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
                  sparse: bool = False, per_sample_weights: Array | None = None,
                  include_last_offset: bool = False, padding_idx: int | None = None) -> Array:
    """The sum, mean or maximum of the weight's rows for each bag of tokens.

    input                integers: (B, N), B bags of N tokens; or (N,), bags one after the other
    weight               (V, D)
    offsets              (B,) with an input of shape (N,): where each bag begins, 0 first
    scale_grad_by_freq   divide what a row receives by the number of its tokens, in forward mode
                         likewise
    mode                 'sum', 'mean' or 'max'; of equal entries the first one is the maximum
    per_sample_weights   a factor for each token, with mode='sum'; or None
    include_last_offset  offsets hold one number more, where the last bag ends
    padding_idx          a token that is left out of its bag; negative ones count from the end
    Returns (B, D), with zeros for an empty bag.
    Raises ValueError for shapes and offsets that do not match and tokens out of range, TypeError
    for other numbers than integers, and for max_norm, which overwrites the weight, and sparse.
    As torch.nn.functional.embedding_bag.
    """
    name = "embedding_bag"
    if mode not in MODES:
        raise expected(name, "mode", repr(mode), f"one of {', '.join(map(repr, MODES))}")
    tokens, rows = _tokens(name, input, weight, max_norm, norm_type, sparse)
    padding = _padding(name, padding_idx, rows)
    if scale_grad_by_freq and mode == "max":
        raise expected(name, "scale_grad_by_freq", scale_grad_by_freq, "False with mode='max'")
    if per_sample_weights is not None:
        if mode != "sum":
            raise expected(name, "per_sample_weights", describe(per_sample_weights),
                           f"None with mode={mode!r}")
        if shape_of(name, "per_sample_weights", per_sample_weights) != tokens.shape:
            raise ValueError(f"{name}: per_sample_weights has shape {per_sample_weights.shape}; "
                             f"expected {tokens.shape}, that of input")
    bag, count = _bags(name, tokens, offsets, include_last_offset)
    tokens = np.ravel(tokens)
    kept = bag < count
    if padding is not None:
        kept = kept & (tokens != padding)
    bag, places = bag[kept], np.flatnonzero(kept)
    sizes = np.bincount(bag, minlength=count)[:, None]
    if mode == "max":
        return _largest(weight, tokens[places], bag, sizes)
    y = _rows_of(weight, tokens, None, scale_grad_by_freq)[places]
    if per_sample_weights is not None:
        y = y * np.reshape(per_sample_weights, (-1,))[places][:, None]
    y = scatter_add(y, index=bag, shape=(count, weight.shape[1]))
    return y / np.maximum(sizes, 1).astype(y.dtype) if mode == "mean" else y


def _bags(function, tokens, offsets, include_last_offset):
    """The bag of each token, and the number of bags; tokens behind the last bag have a higher
    number."""
    if tokens.ndim == 2:
        if offsets is not None:
            raise expected(function, "offsets", describe(offsets),
                           "None with an input of shape (B, N)")
        return np.repeat(np.arange(tokens.shape[0]), tokens.shape[1]), tokens.shape[0]
    if tokens.ndim != 1:
        raise ValueError(f"{function}: input has shape {tokens.shape}; expected (B, N) or (N,)")
    if offsets is None:
        raise expected(function, "offsets", "None",
                       "an array of integers with an input of shape (N,)")
    offsets = _integers(function, "offsets", offsets)
    if offsets.ndim != 1 or include_last_offset and not offsets.size:
        raise ValueError(f"{function}: offsets has shape {offsets.shape}; expected (B,)"
                         + (", and one number more for the end" if include_last_offset else ""))
    if (offsets.size and offsets[0] != 0 or np.any(np.diff(offsets) < 0)
            or np.any(offsets > tokens.size)):
        raise expected(function, "offsets", offsets.tolist(),
                       f"numbers from 0 to {tokens.size} that start with 0 and do not fall")
    bag = np.searchsorted(offsets, np.arange(tokens.size), side="right") - 1
    return bag, offsets.size - bool(include_last_offset)


def _largest(weight, tokens, bag, sizes):
    """The first largest entry of each column in each bag, and 0 for empty bags."""
    columns = np.arange(weight.shape[1])
    if not tokens.size:
        return np.zeros_like(weight, shape=(len(sizes), weight.shape[1]))
    begins = np.cumsum(sizes) - sizes[:, 0]
    # Its last token fills up a bag.
    within = np.minimum(np.arange(np.max(sizes)), np.maximum(sizes - 1, 0))
    table = tokens[np.minimum(begins[:, None] + within, tokens.size - 1)]
    winner = np.argmax(weight[table], axis=1)
    y = weight[np.take_along_axis(table, winner, axis=1), columns]
    return np.where(sizes > 0, y, 0)


def one_hot(tensor: Array, num_classes: int = -1) -> Array:
    """For each class index t the unit vector e_t, of integers.

    tensor       integers of any shape
    num_classes  how many entries a vector has; -1 for one more than the largest index
    Returns (*, num_classes), of the dtype int64, for a tensor of shape (*).  It has no derivative.
    Raises ValueError for indices out of range, and for no indices with num_classes=-1, TypeError
    for other numbers than integers.  As torch.nn.functional.one_hot.
    """
    t = _integers("one_hot", "tensor", tensor)
    n = plain("one_hot", "num_classes", num_classes)
    if n == -1 and t.size:
        n = int(np.max(t)) + 1
    if n != int(n) or n < 1:
        raise expected("one_hot", "num_classes", n, "a positive number" if t.size else "a positive "
                       "number where tensor holds no indices")
    _in_range("one_hot", "tensor", "class", t, n, "num_classes")
    return (t[..., None] == np.arange(int(n))).astype(np.int64)
