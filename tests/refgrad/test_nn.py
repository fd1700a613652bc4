"""Layers and losses: against torch, against the same layer composed of small functions."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refgrad as rg
from refgrad import nn
from refgrad.nn import (activations, attention, losses, normalization, rectifiers, recurrent,
                        regularization)
from refgrad.primitive import TABLE, Primitive
from tests.refgrad.layers import (CLASSES, CLASSES3, LOGS, POSITIVE3, PROBABILITIES, SOME_IGNORED,
                                  SPATIAL, UNIT, Constant, X, X3, X4, drawn)
from tests.refgrad.window_calls import window_calls
from tests.rules import drawn as drawn_case

from . import sequences
from .checks import ROUNDING, close, curved
from .torchs import agrees_with_torch, has_the_signature_of_torch

# Some modules are hidden by a function of the same name.
MODULES = (activations, attention, losses, normalization, rectifiers, recurrent, regularization,
           *(inspect.getmodule(f) for f in (nn.embedding, nn.linear, nn.softmax)))
LAYERS = {p.name: p for module in MODULES for p in vars(module).values()
          if isinstance(p, Primitive) and p in TABLE}
@pytest.fixture
def rng():
    return np.random.default_rng(7)


# The table's cases are tested in test_rules


def test_every_layer_has_a_primitive_with_cases_and_a_derivation():
    assert len(LAYERS) > 20
    for p in LAYERS.values():
        assert TABLE[p] is p and p.cases and "d" in p.derivation, p


@pytest.mark.parametrize("p", [p for p in LAYERS.values() if not p.constant], ids=lambda p: p.name)
def test_float32_gives_float32(p):
    for case in p.cases:
        program, arrays, _ = drawn_case(p, case)
        assert program(*(x.astype(np.float32) for x in arrays)).dtype == np.float32


# Where layers have kinks


@pytest.mark.parametrize("name, options, at", [
    ("relu", {}, 0.0), ("leaky_relu", {"negative_slope": 0.25}, 0.0), ("elu", {"alpha": 0.5}, 0.0),
    ("softplus", {}, 20.0), ("softplus", {"beta": 0.5, "threshold": 1}, 2.0)])
def test_conventions_at_kinks_are_those_of_torch(name, options, at):
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    slope, = torch.autograd.grad(getattr(F, name)(x, **options), x)
    close(rg.grad(lambda x: getattr(nn, name)(x, **options))(np.array(at)), slope.item(),
          rtol=ROUNDING / 32)


@pytest.mark.parametrize("distance", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("name, options", [("l1_loss", {}), ("huber_loss", {"delta": 0.5})])
def test_regression_losses_where_their_pieces_meet(name, options, distance):
    x, t = np.array([1.0 + distance]), np.array([1.0])
    X = torch.tensor(x, requires_grad=True)
    first, = torch.autograd.grad(getattr(F, name)(X, torch.tensor(t), **options), X,
                                 create_graph=True)
    second, = torch.autograd.grad(first.sum(), X) if first.requires_grad else (torch.zeros(1),)
    f = lambda x: getattr(nn, name)(x, t, **options)
    assert rg.grad(f)(x) == first.item()
    assert rg.hvp(f, (x,), (np.ones(1),))[0] == second.item()


# Against torch, in its own signatures


CALLS = [
    ("linear", (X, drawn((5, 3)))), ("linear", (X, drawn((5, 3)), drawn((5,)))),
    ("linear", (X3, drawn((5, 4)), drawn((5,)))), ("linear", (X4, drawn((1, 2)))),
    ("linear", (drawn((3,)), drawn((5, 3)), drawn((5,)))), ("linear", (X3, drawn((4,)))),
    ("linear", (drawn((1, 3)), drawn((1, 3)), drawn((1,)))),
    *((name, (x,)) for x in (X, drawn(()), X3)
      for name in ("relu", "sigmoid", "tanh", "silu", "gelu", "elu", "leaky_relu", "softplus")),
    ("leaky_relu", (X,), {"negative_slope": -0.5}), ("leaky_relu", (X, 0.3)), ("elu", (X, 0.3)),
    ("elu", (X,), {"alpha": -1.5}), ("softplus", (X, 2.5, 1.25)),
    ("softplus", (3 * X,), {"beta": 0.5, "threshold": 1}), ("softplus", (X, -2.0)),
    ("gelu", (X,), {"approximate": "tanh"}), ("gelu", (X3,), {"approximate": "none"}),
    *((name, (x, dim)) for name in ("softmax", "log_softmax") for x, dim in
      ((X, 0), (X, 1), (X, -1), (X3, 1), (X4, -4), (drawn((3,)), 0), (drawn((2, 1)), 1))),
    ("cross_entropy", (X, CLASSES)), ("cross_entropy", (X, CLASSES), {"label_smoothing": 0.3}),
    ("cross_entropy", (X, CLASSES, Constant(POSITIVE3))),
    ("cross_entropy", (X, CLASSES, Constant(POSITIVE3)), {"label_smoothing": 0.3}),
    ("cross_entropy", (X, SOME_IGNORED)),
    ("cross_entropy", (X, SOME_IGNORED), {"label_smoothing": 0.3}),
    ("cross_entropy", (X, SOME_IGNORED, Constant(POSITIVE3)), {"label_smoothing": 0.3}),
    ("cross_entropy", (X, CLASSES, Constant(POSITIVE3)), {"ignore_index": 1}),
    ("cross_entropy", (X, CLASSES), {"ignore_index": 7}),
    ("cross_entropy", (drawn((3,)), np.array(1))),
    ("cross_entropy", (drawn((3,)), drawn((3,), "probabilities", seed=1))),
    ("cross_entropy", (X3, CLASSES3)),
    ("cross_entropy", (X3, CLASSES3, Constant(POSITIVE3)), {"label_smoothing": 0.5}),
    ("cross_entropy", (X3, CLASSES3), {"ignore_index": 2}),
    ("cross_entropy", (X4, CLASSES3.reshape(2, 2, 2))),
    ("cross_entropy", (drawn((1, 3)), np.array([0]))),
    ("cross_entropy", (X, PROBABILITIES)),
    ("cross_entropy", (X, PROBABILITIES), {"label_smoothing": 0.3}),
    ("cross_entropy", (X, PROBABILITIES, POSITIVE3)),
    ("cross_entropy", (X, PROBABILITIES, POSITIVE3), {"label_smoothing": 0.3}),
    ("cross_entropy", (X3, drawn((2, 3, 4), seed=1), POSITIVE3)),
    ("nll_loss", (LOGS, CLASSES)), ("nll_loss", (X, SOME_IGNORED, Constant(POSITIVE3))),
    ("nll_loss", (X3, CLASSES3), {"ignore_index": 2}),
    ("nll_loss", (drawn((3,)), np.array(1), Constant(POSITIVE3))),
    ("mse_loss", (X, UNIT)), ("mse_loss", (X, UNIT), {"weight": drawn((4, 3), "positive")}),
    ("mse_loss", (drawn(()), drawn((), seed=1))),
    ("l1_loss", (X, UNIT)), ("l1_loss", (X, UNIT), {"weight": drawn((4, 3), "positive")}),
    ("huber_loss", (X, UNIT)), ("huber_loss", (X, UNIT), {"delta": 0.5}),
    ("huber_loss", (X, UNIT), {"delta": 0.5, "weight": drawn((4, 3), "positive")}),
    ("binary_cross_entropy_with_logits", (X, UNIT)),
    ("binary_cross_entropy_with_logits", (X, UNIT, Constant(POSITIVE3))),
    ("binary_cross_entropy_with_logits", (X, UNIT), {"pos_weight": Constant(POSITIVE3)}),
    ("binary_cross_entropy_with_logits", (X, UNIT, Constant(drawn((4, 1), "positive"))),
     {"pos_weight": Constant(drawn((), "positive"))}),
    ("kl_div", (LOGS, drawn((4, 3), "probabilities", seed=1))),
    ("kl_div", (LOGS, np.log(UNIT)), {"log_target": True}),
    ("kl_div", (X3, drawn((2, 3, 4), "probabilities"))),
    ("batch_norm", (X, None, None), {"training": True}),
    ("batch_norm", (X, None, None, drawn((3,)), drawn((3,), seed=1)), {"training": True}),
    ("batch_norm", (X3, None, None, drawn((3,))), {"training": True, "eps": 0.5}),
    ("batch_norm", (X4, None, None, None, drawn((3,), seed=1), True, 0.3)),
    ("batch_norm", (X, Constant(drawn((3,))), Constant(POSITIVE3))),
    ("batch_norm", (X4, Constant(drawn((3,))), Constant(POSITIVE3), drawn((3,)),
                    drawn((3,), seed=1), False, 0.1, 0.5)),
    ("layer_norm", (X, (3,))), ("layer_norm", (X, [3], drawn((3,)), drawn((3,), seed=1))),
    ("layer_norm", (X3, (3, 4), drawn((3, 4)), drawn((3, 4), seed=1), 0.5)),
    ("layer_norm", (X3, (4,), None, drawn((4,)))), ("layer_norm", (X3, X3.shape)),
    ("dropout", (X, 0.0)), ("dropout", (X, 1.0)), ("dropout", (X, 0.5, False)),
    *window_calls(Constant), *sequences.CALLS, *SPATIAL,
]
REDUCED = ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "huber_loss",
           "binary_cross_entropy_with_logits", "kl_div")


def calls():
    """Every call, and of losses every reduction."""
    for i, (name, args, *options) in enumerate(CALLS):
        options = options[0] if options else {}
        reductions = {"mean", "sum", "none"} if name in REDUCED else {None}
        for reduction in sorted(reductions | ({"batchmean"} if name == "kl_div" else set()),
                                key=str):
            extra = {} if reduction is None else {"reduction": reduction}
            yield pytest.param(name, args, {**options, **extra}, id=f"{name}-{i}-{reduction}")


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides", "ignore:dropout2d. Received a 3D",
                            "ignore:.nn.functional.upsample",
                            "ignore:Since version 1.3.0, affine_grid")
@pytest.mark.parametrize("name, args, options", list(calls()))
def test_value_gradients_and_second_derivatives_are_those_of_torch(name, args, options, rng):
    agrees_with_torch(name, args, options, rng)


def test_every_public_function_is_in_the_table_by_its_name():
    """tanh is NumPy's; one_hot is of integers; running_statistics is no function of a loss."""
    public = {name.removesuffix("_with_indices") for name, f in vars(nn).items()
              if inspect.isfunction(f)}
    assert public - {rule.name for rule in TABLE.values()} == {"tanh", "one_hot",
                                                               "running_statistics"}
    assert np.tanh in TABLE


@pytest.mark.parametrize("name", sorted({name for name, *_ in CALLS}))
def test_signatures_are_those_of_torch(name):
    has_the_signature_of_torch(name)


def test_the_weight_of_class_indices_has_a_derivative_too(rng):
    """torch has none; the weighted mean depends on the weight above and below the fraction."""
    w, t, p = POSITIVE3, SOME_IGNORED, np.exp(X) / np.sum(np.exp(X), axis=1, keepdims=True)
    valid = t >= 0
    by_hand = lambda w: np.sum(-np.log(p[valid, t[valid]]) * w[t[valid]]) / np.sum(w[t[valid]])
    for loss in (lambda w: nn.cross_entropy(X, t, w), lambda w: nn.nll_loss(np.log(p), t, w)):
        close(loss(w), by_hand(w))
        close(rg.grad(loss)(w), rg.grad(by_hand)(w))


# Against the same layer, composed of small functions

MASK = np.random.default_rng(5).random((4, 3)) >= 0.25
ROWS = np.arange(4)
standard = lambda x, axis: (x - np.mean(x, axis, keepdims=True)) / np.sqrt(
    np.var(x, axis, keepdims=True) + 1e-5)
ratio = lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)
COMPOSED = {
    "linear": (nn.linear, lambda x, W, b: np.einsum("ni,oi->no", x, W) + b, X, drawn((5, 3)),
               drawn((5,))),
    "relu": (nn.relu, lambda x: np.maximum(x, 0), X),
    "leaky_relu": (nn.leaky_relu, lambda x: np.maximum(x, 0) + 0.01 * np.minimum(x, 0), X),
    "elu": (nn.elu, lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)), X),
    "sigmoid": (nn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), X),
    "softplus": (nn.softplus, lambda x: np.log(1 + np.exp(x)), X),
    "silu": (nn.silu, lambda x: x / (1 + np.exp(-x)), X),
    "gelu": (nn.gelu, lambda x: x * (1 + rg.erf(x / np.sqrt(2))) / 2, X),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"),
                  lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))), X),
    "softmax": (lambda x: nn.softmax(x, -1), ratio, X),
    "log_softmax": (lambda x: nn.log_softmax(x, -1), lambda x: np.log(ratio(x)), X),
    "cross_entropy": (lambda x: nn.cross_entropy(x, CLASSES),
                      lambda x: -np.mean(np.log(ratio(x))[ROWS, CLASSES]), X),
    "cross_entropy of probabilities": (nn.cross_entropy,
                                       lambda x, q: -np.sum(q * np.log(ratio(x))) / 4, X, UNIT),
    "mse_loss": (nn.mse_loss, lambda x, t: np.mean((x - t) ** 2), X, UNIT),
    "l1_loss": (nn.l1_loss, lambda x, t: np.mean(np.abs(x - t)), X, UNIT),
    "huber_loss": (nn.huber_loss, lambda x, t: np.mean(
        np.where(np.abs(x - t) < 1, (x - t) ** 2 / 2, np.abs(x - t) - 0.5)), X, UNIT),
    "binary_cross_entropy": (nn.binary_cross_entropy_with_logits, lambda x, t: np.mean(
        t * np.log(1 + np.exp(-x)) + (1 - t) * np.log(1 + np.exp(x))), X, UNIT),
    "kl_div": (nn.kl_div, lambda x, t: np.mean(t * (np.log(t) - x)), LOGS, UNIT),
    "batch_norm": (lambda x, w, b: nn.batch_norm(x, None, None, w, b, True),
                   lambda x, w, b: standard(x, (0, 2)) * w[:, None] + b[:, None], X3, drawn((3,)),
                   POSITIVE3),
    "batch_norm in use": (nn.batch_norm, lambda x, m, v: (x - m) / np.sqrt(v + 1e-5), X,
                          drawn((3,)), POSITIVE3),
    "layer_norm": (lambda x, w, b: nn.layer_norm(x, (3,), w, b),
                   lambda x, w, b: standard(x, -1) * w + b, X, drawn((3,)), POSITIVE3),
    "dropout": (lambda x: nn.dropout(x, 0.25, generator=np.random.default_rng(5)),
                lambda x: x * MASK / 0.75, X),
    "l2_penalty": (lambda *xs: nn.l2_penalty(list(xs), 0.3),
                   lambda *xs: sum(np.sum(x * x) for x in xs) * 0.15, X, UNIT),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_closed_form_is_that_of_the_composed_layer(name, rng):
    closed, composed, *xs = COMPOSED[name]
    close(closed(*xs), composed(*xs))
    g = rng.standard_normal(np.shape(closed(*xs)))
    vs = [rng.standard_normal(x.shape) for x in xs]
    for a, b in zip(rg.vjp(closed, *xs)[1](g), rg.vjp(composed, *xs)[1](g)):
        close(a, b, rtol=4 * ROUNDING)
    close(rg.jvp(closed, xs, vs)[1], rg.jvp(composed, xs, vs)[1], rtol=4 * ROUNDING)
    for a, b in zip(rg.hvp(curved(closed), xs, vs), rg.hvp(curved(composed), xs, vs)):
        close(a, b, rtol=16 * ROUNDING)


# Parameters and dtypes of the public functions


@pytest.mark.parametrize("call", [
    lambda x: nn.leaky_relu(x, np.float64(0.1)), lambda x: nn.elu(x, np.float64(0.1)),
    lambda x: nn.softplus(x, np.float64(0.5), np.float64(3)),
    lambda x: nn.huber_loss(x, x * 2, delta=np.float64(0.5)),
    lambda x: nn.layer_norm(x, x.shape[1:], eps=np.float64(1e-3)),
    lambda x: nn.l2_penalty(x, np.float64(0.1)),
    lambda x: nn.batch_norm(x, None, None, training=True, eps=np.float64(1e-3)),
    lambda x: nn.dropout(x, np.float64(0.5), generator=np.random.default_rng(0)),
    lambda x: nn.batch_norm(x, np.zeros(3, np.float32), np.ones(3, np.float32)),
    lambda x: nn.cross_entropy(x, CLASSES, np.ones(3, np.float32), label_smoothing=np.float64(0.1)),
    lambda x: nn.cross_entropy(x, SOME_IGNORED),
    lambda x: nn.nll_loss(x, SOME_IGNORED, reduction="sum"),
    lambda x: nn.cross_entropy(x, np.abs(x), label_smoothing=0.1),
    lambda x: nn.kl_div(x, np.abs(x), reduction="batchmean"),
    lambda x: nn.running_statistics(x, np.zeros(3, np.float32), np.ones(3, np.float32),
                                    np.float64(0.1))[1]])
def test_numpy_scalars_as_parameters_do_not_promote(call):
    x = X.astype(np.float32)
    value, gradient = rg.value_and_grad(lambda x: np.sum(call(x)))(x)
    assert value.dtype == gradient.dtype == np.float32


def test_class_indices_of_any_integer_type():
    for target in (CLASSES.astype(np.uint8), CLASSES.astype(np.int32), CLASSES.tolist()):
        assert nn.cross_entropy(X, target) == nn.cross_entropy(X, CLASSES)
    assert nn.cross_entropy(X[0], 2) == nn.cross_entropy(X[0], np.array(2))


def test_no_valid_target_gives_nan_as_in_torch():
    with np.errstate(invalid="ignore"):
        assert np.isnan(nn.cross_entropy(X, np.full(4, -100)))
    assert nn.cross_entropy(X, np.full(4, -100), reduction="sum") == 0


# Regularisation and running statistics


def test_dropout_follows_its_generator():
    draw = lambda seed, dtype=float: nn.dropout(np.ones((50, 40), dtype), 0.25,
                                                generator=np.random.default_rng(seed))
    np.testing.assert_array_equal(draw(3), draw(3))
    # The mask does not depend on the dtype.
    np.testing.assert_array_equal(draw(3) == 0, draw(3, np.float32) == 0)
    assert np.any(draw(3) != draw(4))
    assert set(np.unique(draw(3))) == {0, 1 / 0.75}
    state = np.random.default_rng(3)
    first, second = (nn.dropout(np.ones(100), 0.5, generator=state) for _ in range(2))
    assert np.any(first != second)


def test_dropout_keeps_the_expected_value():
    ones = np.ones(200_000)
    for p in (0.1, 0.5, 0.9):
        kept = nn.dropout(ones, p, generator=np.random.default_rng(0))
        deviation = np.sqrt(p / (1 - p) / ones.size)
        assert abs(np.mean(kept) - 1) < 4 * deviation


def test_dropout_differentiates_with_the_same_mask():
    f = lambda x: nn.dropout(x, 0.25, generator=np.random.default_rng(5))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x)))(X), f(np.ones_like(X)))


def test_weight_decay_is_the_gradient_of_the_penalty():
    W, b, decay, rate = drawn((2, 3)), drawn((2,)), 0.3, 0.1
    loss = lambda p: nn.mse_loss(nn.linear(X, p["W"], p["b"]), np.ones((4, 2)))
    p = {"W": W, "b": b}
    g = rg.grad(lambda p: loss(p) + nn.l2_penalty(p, decay))(p)
    tensors = [torch.tensor(a, requires_grad=True) for a in (W, b)]
    optimizer = torch.optim.SGD(tensors, lr=rate, weight_decay=decay)
    F.mse_loss(F.linear(torch.tensor(X), *tensors),
               torch.ones(4, 2, dtype=torch.float64)).backward()
    optimizer.step()
    for k, t in zip(("W", "b"), tensors):
        close(p[k] - rate * g[k], t.detach().numpy())
        close(g[k], rg.grad(loss)(p)[k] + decay * p[k])


@pytest.mark.parametrize("x", [X, X3, X4], ids=["2d", "3d", "4d"])
@pytest.mark.parametrize("momentum", [0.1, 0.75, 1])
def test_running_statistics_are_those_that_torch_writes(x, momentum):
    mean, var = drawn((3,)), POSITIVE3
    M, V = torch.tensor(mean), torch.tensor(var)
    F.batch_norm(torch.tensor(x), M, V, training=True, momentum=momentum)
    new_mean, new_var = nn.running_statistics(x, mean, var, momentum)
    close(new_mean, M.numpy())
    close(new_var, V.numpy())
    np.testing.assert_array_equal(mean, drawn((3,)))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, dim", [((3, 0), 1), ((0, 3), 0), ((0,), 0), ((0, 3), 1)])
def test_softmax_of_no_entries(name, shape, dim):
    x = np.zeros(shape)
    value, pull = rg.vjp(lambda x: getattr(nn, name)(x, dim), x)
    assert value.shape == shape == pull(value)[0].shape
    assert getattr(F, name)(torch.tensor(x), dim).shape == shape
