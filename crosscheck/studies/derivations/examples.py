"""Worked examples, from the first differential to normalized layers, as data: programs as a user
writes them.

Where a section has several examples they build on each other; the order is that of a lecture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refgrad import nn


class Example(NamedTuple):
    """What to derive, and what it is for.

    section   the part of the lecture
    title     in words
    teaches   one sentence: what to look at
    function  a NumPy program; its parameters are named as in `shapes`
    wrt       names of the variables
    shapes    name -> (*dimensions, property), as `refgrad.derive.derive` takes them
    """

    section: str
    title: str
    teaches: str
    function: Callable
    wrt: tuple
    shapes: dict


def squared_error(X, W, Y):
    return 0.5 * np.linalg.norm(X @ W - Y) ** 2


def weighted_sum_of(phi):
    return lambda X, G: np.sum(G * phi(X))


def chain(X, A, B):
    Z = A @ X
    return np.sum(np.tanh(Z) @ B)


def softmax_cross_entropy(Z, Y):
    return nn.cross_entropy(Z, Y)


def softmax_regression(X, W, b, Y):
    return nn.cross_entropy(X @ W + b, Y)


def tanh_network(X, W1, b1, W2, b2, Y):
    A1 = np.tanh(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    return nn.cross_entropy(Z2, Y)


def relu_network(X, W1, b1, W2, b2, Y):
    A1 = nn.relu(X @ W1 + b1)
    Z2 = A1 @ W2 + b2
    return nn.cross_entropy(Z2, Y)


def linear_layers(X, W1, b1, W2, b2, Y):
    A1 = nn.sigmoid(nn.linear(X, W1, b1))
    return nn.cross_entropy(nn.linear(A1, W2, b2), Y)


def ridge_regression(X, w, y, lam):
    return nn.mse_loss(X @ w, y) + lam * np.sum(w ** 2)


def normalized_by_hand(X, gamma, beta, G):
    C = X - np.mean(X, axis=0)
    Z = C / np.sqrt(np.mean(C ** 2, axis=0) + 1)
    return np.sum(G * (gamma * Z + beta))


def batch_norm(X, gamma, beta, G):
    return np.sum(G * nn.batch_norm(X, None, None, gamma, beta, training=True))


def layer_norm(X, gamma, beta, G):
    return np.sum(G * nn.layer_norm(X, X.shape[1], gamma, beta))


ACTIVATIONS = {
    "tanh": np.tanh, "sigmoid": nn.sigmoid, "exp": np.exp, "relu": nn.relu, "softplus": nn.softplus,
    "gelu": nn.gelu, "silu": nn.silu,
}

_LAYERS = {"X": ("m", "n"), "W1": ("n", "p"), "b1": ("p",), "W2": ("p", "k"), "b2": ("k",),
           "Y": ("m", "k", "probabilities")}
_NORM = {"X": ("m", "n"), "gamma": ("n",), "beta": ("n",), "G": ("m", "n")}

EXAMPLES = [
    Example("Differentials", "A linear function",
            "The differential of a linear function is the function itself; what stands before dx "
            "is the gradient.", lambda a, x: a @ x, ("x",), {"a": ("n",), "x": ("n",)}),
    Example("Differentials", "The product rule",
            "d(AB) = dA B + A dB, in this order, since matrices do not commute.",
            lambda X: np.trace(X @ X), ("X",), {"X": ("n", "n")}),
    Example("Differentials", "The differential of an inverse",
            "From X X^-1 = I follows dX X^-1 + X d(X^-1) = 0, without a single entry written out.",
            lambda a, X, b: a @ np.linalg.inv(X) @ b, ("X",),
            {"a": ("n",), "X": ("n", "n"), "b": ("n",)}),
    Example("Differentials", "The logarithm of a determinant",
            "d log det X = tr(X^-1 dX): "
            "the trace comes by itself, and the gradient is the transposed inverse.",
            lambda X: np.linalg.slogdet(X)[1], ("X",), {"X": ("n", "n")}),
    Example("The trace trick", "tr(A' X)",
            "tr(A' dX) = <A, dX>: a scalar differential in this form has the gradient A.",
            lambda A, X: np.trace(A.T @ X), ("X",), {"A": ("m", "n"), "X": ("m", "n")}),
    Example("The trace trick", "tr(A X B)",
            "The cyclic property turns the product until dX stands last.",
            lambda A, X, B: np.trace(A @ X @ B), ("X",),
            {"A": ("k", "m"), "X": ("m", "n"), "B": ("n", "k")}),
    Example("The trace trick", "tr(X' A X B)",
            "Each occurrence of X has its term; a transpose of the whole brings dX' into the form "
            "of dX.", lambda X, A, B: np.trace(X.T @ A @ X @ B), ("X",),
            {"X": ("m", "n"), "A": ("m", "m"), "B": ("n", "n")}),
    Example("Quadratic forms", "x' A y",
            "A bilinear form is linear in each argument: three gradients of one function.",
            lambda x, A, y: x @ A @ y, ("x", "A", "y"),
            {"x": ("m",), "A": ("m", "n"), "y": ("n",)}),
    Example("Quadratic forms", "x' A x",
            "Both places of x count: (A + A') x.",
            lambda x, A: x @ A @ x, ("x",), {"x": ("n",), "A": ("n", "n")}),
    Example("Quadratic forms", "x' A x with symmetric A",
            "Where A = A', the two terms are one: 2 A x.",
            lambda x, A: x @ A @ x, ("x",), {"x": ("n",), "A": ("n", "n", "symmetric")}),
    Example("Quadratic forms", "The squared norm of a residual",
            "|A x - b|^2 is <r, r>, and its differential 2 <r, dr>.",
            lambda A, x, b: np.linalg.norm(A @ x - b) ** 2, ("x",),
            {"A": ("m", "n"), "x": ("n",), "b": ("m",)}),
    Example("Least squares", "1/2 |X W - Y|^2",
            "One residual, and three gradients: of the parameters, of the input, of the target.",
            squared_error, ("X", "W", "Y"), {"X": ("m", "n"), "W": ("n", "k"), "Y": ("m", "k")}),
    Example("Least squares", "Mean squared error with an L2 penalty",
            "Gradients add: that of the loss, with its mean, and that of the penalty.",
            ridge_regression, ("w",), {"X": ("m", "n"), "w": ("n",), "y": ("m",), "lam": ()}),
    *(Example("Elementwise functions", f"{name}, entry by entry",
              "dA = phi'(Z) . dZ, and the same product takes a cotangent back: "
              "no Jacobian matrix is formed.",
              weighted_sum_of(phi), ("X",), {"X": ("m", "n"), "G": ("m", "n")})
      for name, phi in ACTIVATIONS.items()),
    Example("Chain rule", "A matrix product inside tanh",
            "Each intermediate result has a cotangent; the rule of each step takes it one step "
            "back.", chain, ("X", "A", "B"), {"X": ("n", "p"), "A": ("m", "n"), "B": ("p", "k")}),
    Example("Chain rule", "The vjp without the Jacobian",
            "The Jacobian of A X B is the Kronecker product of A and B'; the vjp is two matrix "
            "products.", lambda A, X, B, G: np.sum(G * (A @ X @ B)), ("X",),
            {"A": ("k", "m"), "X": ("m", "n"), "B": ("n", "p"), "G": ("k", "p")}),
    Example("Softmax and cross-entropy", "The vjp of softmax",
            "The Jacobian is diag(s) - s s', symmetric; its product with g needs s and one inner "
            "product.", lambda x, g: g @ nn.softmax(x, 0), ("x",), {"x": ("n",), "g": ("n",)}),
    Example("Softmax and cross-entropy", "Log sum exp",
            "The gradient of log sum exp is softmax.",
            lambda x: np.log(np.sum(np.exp(x))), ("x",), {"x": ("n",)}),
    Example("Softmax and cross-entropy", "Cross-entropy of one sample",
            "What softmax and the logarithm do to each other: s - y remains.",
            lambda z, y: -(y @ nn.log_softmax(z, 0)), ("z",),
            {"z": ("k",), "y": ("k", "probabilities")}),
    Example("Softmax and cross-entropy", "Cross-entropy of the rows of a batch",
            "The same for each row, divided by their number: (S - Y) / m.",
            softmax_cross_entropy, ("Z",), {"Z": ("m", "k"), "Y": ("m", "k", "probabilities")}),
    Example("Softmax and cross-entropy", "Softmax regression",
            "An affine layer below: X' takes the cotangent to W, the sum of its rows to b.",
            softmax_regression, ("W", "b"),
            {"X": ("m", "n"), "W": ("n", "k"), "b": ("k",), "Y": ("m", "k", "probabilities")}),
    Example("Networks", "Affine, tanh, affine, softmax cross-entropy",
            "Backpropagation is the chain rule from the loss to each W and b, layer by layer.",
            tanh_network, ("W1", "b1", "W2", "b2"), _LAYERS),
    Example("Networks", "Affine, relu, affine, softmax cross-entropy",
            "Another activation changes one factor: relu'(Z) is 1 where Z > 0, else 0.",
            relu_network, ("W1", "b1", "W2", "b2"), _LAYERS),
    Example("Networks", "Linear layers with their weights as (out, in)",
            "With Y = X W' + 1 b' the transposes change sides: G_W = G' X.",
            linear_layers, ("X", "W1", "b1", "W2", "b2"),
            _LAYERS | {"W1": ("p", "n"), "W2": ("k", "p")}),
    Example("Normalization", "Batch norm written out",
            "Mean and variance depend on every sample of the batch: the gradient has three terms.",
            normalized_by_hand, ("X", "gamma", "beta"), _NORM),
    Example("Normalization", "Batch norm",
            "The same as one rule: the cotangent, less its mean, less what changes the variance.",
            batch_norm, ("X", "gamma", "beta"), _NORM),
    Example("Normalization", "Layer norm",
            "The same along rows: each sample has a mean and a variance of its own.",
            layer_norm, ("X", "gamma", "beta"), _NORM),
]
