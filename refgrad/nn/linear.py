"""The affine map and the bilinear map."""

import math

import numpy as np

from ..cases import Case, Fixed
from ..hints import Array
from ..primitive import composed, declare
from .arguments import shape_of


def _rows(X):
    """All axes but the last as the rows of one matrix."""
    return X if X.ndim == 2 else np.reshape(X, (math.prod(X.shape[:-1]), X.shape[-1]))


def _times(X, A):
    """X A, with all leading axes of X as rows of one product."""
    return X @ A if X.ndim == 2 else np.reshape(_rows(X) @ A, (*X.shape[:-1], A.shape[1]))


def _affine(X, W, b):
    Y = _rows(X) @ W.mT
    Y = Y if b is None else Y + b
    return Y if X.ndim == 2 else np.reshape(Y, (*X.shape[:-1], W.shape[0]))


_linear = declare(
    None, """Y = X W' + 1 b',  dY = dX W' + X dW' + 1 db'
        (rows of X are samples, 1 is a column of ones)
    <G, dX W'> = tr(G' dX W') = tr(W' G' dX) = <G W, dX>                       so  G_X = G W
    <G, X dW'> = tr(G' X dW') = tr(dW X' G) = tr(X' G dW) = <G' X, dW>         so  G_W = G' X
    <G, 1 db'> = tr(G' 1 db') = <G' 1, db>                                     so  G_b = G' 1,
        the sum of the rows of G
    Leading axes of X are rows too.""",
    name="linear", forward=_affine, stacked=True,
    jvp=(lambda dX, W: _times(dX, W.mT), lambda dW, X: X @ dW.mT, lambda db: db),
    vjp=(lambda G, W: _times(G, W), lambda G, X: _rows(G).mT @ _rows(X), lambda G: G),
    cases=[Case((3, 4), (2, 4), (2,)), Case((1, 4), (2, 4), Fixed(None)),
           Case((2, 3, 4), (5, 4), (5,)),
           Case((2, 1, 3, 2), (1, 2), Fixed(None)), Case((0, 3), (2, 3), (2,))])


def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x W' + b, in the last axis.

    input   (*, in): any number of leading axes
    weight  (out, in), or (in,) for a single output without an axis of its own
    bias    (out,), or () with a weight of shape (in,); None for none
    Returns (*, out), or (*) with a weight of shape (in,).
    Raises ValueError for shapes that do not match.
    As torch.nn.functional.linear.
    """
    shape = shape_of("linear", "input", input)
    wanted = shape_of("linear", "weight", weight)
    if len(wanted) not in (1, 2):
        raise ValueError(f"linear: weight has shape {wanted}; expected (out, in) or (in,)")
    if not shape or shape[-1] != wanted[-1]:
        raise ValueError(f"linear: input has shape {shape} and weight {wanted}; expected the same "
                         "last axis, the number of input features (is the weight transposed? its "
                         "shape is (out, in))")
    if bias is not None and shape_of("linear", "bias", bias) != wanted[:-1]:
        raise ValueError(f"linear: bias has shape {bias.shape}; expected {wanted[:-1]}, one for "
                         f"each output of the weight of shape {wanted}")
    if len(wanted) == 1:
        return linear(input, weight[None], None if bias is None else bias[None])[..., 0]
    if len(shape) == 1:
        return _linear(input[None], weight, bias)[0]
    return _linear(input, weight, bias)


@composed(cases=[Case((2, 3), (2, 2), (2, 3, 2), (2,)), Case((3,), (2,), (4, 3, 2)),
                 Case((2, 1, 2), (2, 1, 2), (1, 2, 2))])
def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """y_o = x1' W_o x2 + b_o, in the last axis, with a matrix W_o for each output.

    One product x1' [W_1 W_2 ...] for all outputs, then one with x2:  <g_o, x1' W_o x2> =
    g_o tr(W_o' x1 x2'), so that the gradients are those of the two products.

    input1  (*, in1)
    input2  (*, in2), with the same leading axes
    weight  (out, in1, in2)
    bias    (out,), or None
    Returns (*, out).
    Raises ValueError for shapes that do not match.  As torch.nn.functional.bilinear.
    """
    first, second = shape_of("bilinear", "input1", input1), shape_of("bilinear", "input2", input2)
    wanted = shape_of("bilinear", "weight", weight)
    if len(wanted) != 3:
        raise ValueError(f"bilinear: weight has shape {wanted}; expected (out, in1, in2)")
    if not first or first[:-1] != second[:-1] or len(first) != len(second):
        raise ValueError(f"bilinear: input1 has shape {first} and input2 {second}; "
                         "expected the same leading axes")
    if first[-1:] + second[-1:] != wanted[1:]:
        raise ValueError(f"bilinear: input1 has shape {first}, input2 {second} and weight "
                         f"{wanted}; expected (*, in1), (*, in2) and (out, in1, in2)")
    if bias is not None and shape_of("bilinear", "bias", bias) != wanted[:1]:
        raise ValueError(f"bilinear: bias has shape {bias.shape}; expected {wanted[:1]}, "
                         "one for each output")
    out, n, m = wanted
    matrices = np.reshape(np.transpose(weight, (1, 0, 2)), (n, out * m))
    left = np.reshape(_rows(input1) @ matrices, (math.prod(first[:-1]), out, m))
    y = np.reshape((left @ _rows(input2)[:, :, None])[..., 0], (*first[:-1], out))
    return y if bias is None else y + bias
