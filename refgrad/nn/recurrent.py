"""Cells of recurrent networks: one step, from the state h to the next one.

Each is a composition of the affine map and elementwise functions, for a batch of rows:

    A = X W_ih' + 1 b_ih' + H W_hh' + 1 b_hh'
    H_next = phi(A):  dH_next = phi'(A) . dA,  <G, dH_next> = <phi'(A) . G, dA>,
        and from there as of `linear`

A sequence is a Python loop; its gradient by reverse mode is backpropagation through time.
"""

import numpy as np

from ..cases import Case, Kink
from ..hints import Array
from ..primitive import KINKED, composed
from ..rules.elementwise import logistic
from .rectifiers import relu
from .arguments import shape_of
from .linear import linear


#: Scales of states and weights of which the gates can be multiplied with each other, three times
#: differentiated.
PRODUCTS = -30, 30


def _gates(function, input, hx, w_ih, w_hh, b_ih, b_hh, count):
    """X W_ih' + 1 b_ih' and H W_hh' + 1 b_hh', of so many gates, after checking the shapes."""
    x, h = shape_of(function, "input", input), shape_of(function, "hx", hx)
    if len(x) not in (1, 2):
        raise ValueError(f"{function}: input has shape {x}; expected (N, in) or (in,)")
    if len(h) != len(x) or h[:-1] != x[:-1]:
        raise ValueError(f"{function}: hx has shape {h} and input has shape {x}; expected (N, "
                         "hidden) and (N, in), or (hidden,) and (in,)")
    rows = count * h[-1]
    for argument, a, wanted in (("w_ih", w_ih, (rows, x[-1])), ("w_hh", w_hh, (rows, h[-1])),
                                ("b_ih", b_ih, (rows,)), ("b_hh", b_hh, (rows,))):
        if (a is not None or argument[0] == "w") and shape_of(function, argument, a) != wanted:
            raise ValueError(f"{function}: {argument} has shape {a.shape}; expected {wanted} for "
                             f"an input of shape {x} and a state of shape {h}")
    return linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh)


def _sum_of_gates(function, input, hx, w_ih, w_hh, b_ih, b_hh, count):
    """The sum of both, with one bias."""
    if b_ih is not None and b_hh is not None and shape_of(function, "b_ih", b_ih) == shape_of(
            function, "b_hh", b_hh):
        b_ih, b_hh = b_ih + b_hh, None
    a, b = _gates(function, input, hx, w_ih, w_hh, b_ih, b_hh, count)
    return a + b


def _parts(A, count):
    """The columns of so many gates."""
    n = A.shape[-1] // count
    return [A[..., k * n:(k + 1) * n] for k in range(count)]


@composed(cases=[Case((2, 2), (2, 1), (1, 2), (1, 1), (1,), (1,), scales=PRODUCTS),
                 Case((2,), (2,), (2, 2), (2, 2), scales=PRODUCTS)])
def rnn_tanh_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None) -> Array:
    """h_next = tanh(W_ih x + b_ih + W_hh h + b_hh).  Elman (1990).

    input       (N, in) or (in,)
    hx          (N, hidden) or (hidden,): the state
    w_ih, w_hh  (hidden, in) and (hidden, hidden)
    b_ih, b_hh  (hidden,), or None
    Returns the next state, in the shape of hx.
    Raises ValueError for shapes that do not match.  As torch.rnn_tanh_cell.
    """
    return np.tanh(_sum_of_gates("rnn_tanh_cell", input, hx, w_ih, w_hh, b_ih, b_hh, 1))


@composed(kind=KINKED, cases=[Case((2, 2), (2, 1), (1, 2), (1, 1), (1,), (1,), scales=PRODUCTS),
                              Case((2,), (2,), (2, 2), (2, 2), scales=PRODUCTS)],
          kinks=[Kink(([0.0], [0.0], [[1.0]], [[1.0]]), ([[0.0]], [[0.0]], [[[0.0]]], [[[0.0]]]),
                      "0 at 0, as relu")])
def rnn_relu_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
                  b_hh: Array | None = None) -> Array:
    """h_next = max(W_ih x + b_ih + W_hh h + b_hh, 0).

    Arguments, result and errors as those of rnn_tanh_cell.  As torch.rnn_relu_cell.
    """
    return relu(_sum_of_gates("rnn_relu_cell", input, hx, w_ih, w_hh, b_ih, b_hh, 1))


def _both(x, h, c, *parameters):
    return np.concatenate(lstm_cell(x, (h, c), *parameters), axis=-1)


@composed(cases=[Case((1,), (2,), (2,), (8, 1), (8, 2), call=_both, scales=PRODUCTS),
                 Case((2, 2), (2, 1), (2, 1), (4, 2), (4, 1), (4,), (4,), call=_both,
                      scales=PRODUCTS)])
def lstm_cell(input: Array, hx: tuple[Array, Array], w_ih: Array, w_hh: Array,
              b_ih: Array | None = None, b_hh: Array | None = None) -> tuple[Array, Array]:
    """c_next = sigma(f) c + sigma(i) tanh(g),  h_next = sigma(o) tanh(c_next).

    i, f, g and o are the four parts of W_ih x + b_ih + W_hh h + b_hh.
    Hochreiter and Schmidhuber (1997), with the forget gate of Gers, Schmidhuber and Cummins (2000).

    input       (N, in) or (in,)
    hx          the pair (h, c) of states, each (N, hidden) or (hidden,)
    w_ih, w_hh  (4 hidden, in) and (4 hidden, hidden)
    b_ih, b_hh  (4 hidden,), or None
    Returns the pair (h_next, c_next).
    Raises ValueError for shapes that do not match, TypeError for an hx that is no pair.  As
    torch.lstm_cell.
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise TypeError(f"lstm_cell: hx is {type(hx).__name__}; expected the pair (h, c) of states")
    h, c = hx
    A = _sum_of_gates("lstm_cell", input, h, w_ih, w_hh, b_ih, b_hh, 4)
    if shape_of("lstm_cell", "c", c) != h.shape:
        raise ValueError(f"lstm_cell: c has shape {c.shape}; expected that of h, {h.shape}")
    # One call for all gates, though the third has no use for it.
    i, f, _, o = _parts(logistic(A), 4)
    c = f * c + i * np.tanh(_parts(A, 4)[2])
    return o * np.tanh(c), c


@composed(cases=[Case((1,), (2,), (6, 1), (6, 2), scales=PRODUCTS),
                 Case((2, 2), (2, 1), (3, 2), (3, 1), (3,), (3,), scales=PRODUCTS)])
def gru_cell(input: Array, hx: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None,
             b_hh: Array | None = None) -> Array:
    """h_next = (1 - sigma(z)) n + sigma(z) h  with  n = tanh(a_n + sigma(r) b_n).

    a_r, a_z and a_n are the three parts of W_ih x + b_ih, b_r, b_z and b_n those of W_hh h + b_hh;
    r = a_r + b_r and z = a_z + b_z.  1 - sigma(z) is computed as sigma(-z), which does not cancel.
    Cho et al. (2014).

    Arguments, result and errors as those of rnn_tanh_cell, with (3 hidden) rows.  As
    torch.gru_cell.
    """
    a, b = _gates("gru_cell", input, hx, w_ih, w_hh, b_ih, b_hh, 3)
    (a_r, a_z, a_n), (b_r, b_z, b_n) = _parts(a, 3), _parts(b, 3)
    z = a_z + b_z
    n = np.tanh(a_n + logistic(a_r + b_r) * b_n)
    return logistic(-z) * n + logistic(z) * hx
