"""Layers and losses: what they refuse, and the messages that say so."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from tests.refgrad.layers import CLASSES, POSITIVE3, X3, X, drawn

WRONG = [
    (lambda: nn.linear(X, drawn((5, 4))), ValueError,
     r"linear: input has shape \(4, 3\) and weight \(5, 4\)"),
    (lambda: nn.linear(X, X3), ValueError,
     r"linear: weight has shape \(2, 3, 4\); expected \(out, in\)"),
    (lambda: nn.linear(X, drawn((5, 3)), drawn((3,))), ValueError,
     r"linear: bias has shape \(3,\); expected \(5,\)"),
    (lambda: nn.linear(X.tolist(), X), TypeError,
     "linear: input is list; expected an array. .*np.asarray"),
    (lambda: nn.linear(np.array(1.0), X), ValueError, r"linear: input has shape \(\)"),
    *((lambda f=f: f(X, inplace=True), TypeError,
       r"inplace=True is not supported; nothing is overwritten")
      for f in (nn.relu, nn.leaky_relu, nn.elu, nn.silu, nn.dropout)),
    (lambda: nn.leaky_relu(X, "steep"), TypeError,
     "leaky_relu: negative_slope is str; expected a number"),
    (lambda: rg.grad(lambda s: np.sum(nn.elu(X, s)))(0.5), TypeError,
     "elu: alpha is float64.*no derivative"),
    (lambda: nn.softplus(X, 0), ValueError, "softplus: beta is 0; expected a number other than 0"),
    (lambda: nn.gelu(X, "erf"), ValueError,
     "gelu: approximate is 'erf'; expected 'none' or 'tanh'"),
    *((lambda f=f: f(X), ValueError, "softmax: dim is None; expected the axis")
      for f in (nn.softmax, nn.log_softmax)),
    (lambda: nn.softmax(X, 2), ValueError,
     r"softmax: dim is 2; expected one of the axes .*\(4, 3\)"),
    (lambda: nn.log_softmax(X, -3), ValueError, "log_softmax: dim is -3"),
    (lambda: nn.softmax(X, 1.0), TypeError, "softmax: dim is float; expected an integer"),
    (lambda: nn.softmax(X, 1, dtype=int), TypeError,
     "softmax: dtype is <class 'int'>; expected a float dtype"),
    (lambda: nn.cross_entropy(X, CLASSES[:3]), ValueError,
     r"target has shape \(3,\); expected \(4,\), a class"),
    (lambda: nn.cross_entropy(X, np.array([0, 3, 1, 1])), ValueError,
     "the class 3; expected 0 <= class < 3"),
    (lambda: nn.nll_loss(X, np.array([0, -1, 1, 1])), ValueError,
     "nll_loss: target holds the class -1"),
    (lambda: nn.cross_entropy(X, X[:, :2]), ValueError,
     r"target is float64\[4,2\]; expected probabilities"),
    (lambda: nn.cross_entropy(X, X > 0), TypeError, r"target is bool\[4,3\]; expected integers"),
    (lambda: nn.nll_loss(X, X), TypeError,
     r"nll_loss: target is float64\[4,3\]; .*use cross_entropy"),
    (lambda: nn.cross_entropy(X, CLASSES, drawn((4,))), ValueError,
     r"weight has shape \(4,\); expected \(3,\)"),
    (lambda: nn.cross_entropy(np.array(1.0), 0), ValueError,
     "cross_entropy: input is an array without axes"),
    (lambda: nn.cross_entropy(X, CLASSES, label_smoothing=1.5), ValueError,
     "label_smoothing is 1.5; expected a"),
    *((lambda f=f: f(X, X, reduction="average"), ValueError,
       "reduction is 'average'; expected one of 'mean', 'sum'")
      for f in (nn.mse_loss, nn.l1_loss, nn.huber_loss, nn.cross_entropy,
                nn.binary_cross_entropy_with_logits)),
    (lambda: nn.kl_div(X, X, reduction="batch"), ValueError,
     "kl_div: reduction is 'batch'; .*'batchmean'"),
    (lambda: nn.mse_loss(X, X, reduction="batchmean"), ValueError,
     "mse_loss: reduction is 'batchmean'"),
    (lambda: nn.mse_loss(X, X, size_average=True), TypeError,
     "size_average=True is not supported; .*reduction="),
    (lambda: nn.nll_loss(X, CLASSES, reduce=False), TypeError,
     "nll_loss: reduce=False is not supported; .*deprecated"),
    *((lambda f=f: f(X, X[:, :1]), ValueError,
       r"target has shape \(4, 1\) and input has shape \(4, 3\).*broadcast_to")
      for f in (nn.mse_loss, nn.l1_loss, nn.huber_loss, nn.kl_div,
                nn.binary_cross_entropy_with_logits)),
    (lambda: nn.mse_loss(X, X, weight=X[0]), ValueError, r"mse_loss: weight has shape \(3,\)"),
    (lambda: nn.huber_loss(X, X, delta=0), ValueError,
     "huber_loss: delta is 0; expected a positive number"),
    (lambda: nn.binary_cross_entropy_with_logits(X, X, pos_weight=drawn((4,))), ValueError,
     r"pos_weight has shape \(4,\), which does not broadcast"),
    (lambda: nn.batch_norm(X[0], None, None, training=True), ValueError,
     r"batch_norm: input has shape \(3,\)"),
    (lambda: nn.batch_norm(X, None, None, drawn((4,)), training=True), ValueError,
     r"batch_norm: weight has shape \(4,\); expected \(3,\)"),
    (lambda: nn.batch_norm(X, X[0], POSITIVE3, training=True), ValueError,
     "Pass None for both, .*running_statistics"),
    (lambda: nn.batch_norm(X, None, POSITIVE3), ValueError,
     "batch_norm: running_mean is None; .*training=False"),
    (lambda: nn.batch_norm(X[:1], None, None, training=True), ValueError,
     r"\(1, 3\), a single value in each channel"),
    (lambda: nn.running_statistics(X[:1], X[0], X[0]), ValueError,
     "running_statistics: .* a single value"),
    (lambda: nn.running_statistics(X, None, X[0]), ValueError,
     "running_statistics: running_mean is None"),
    (lambda: nn.layer_norm(X, (4,)), ValueError,
     r"layer_norm: normalized_shape is \(4,\); expected the last axes"),
    (lambda: nn.layer_norm(X, ()), ValueError, "layer_norm: normalized_shape"),
    (lambda: nn.layer_norm(X, (3,), drawn((4,))), ValueError,
     r"layer_norm: weight has shape \(4,\)"),
    (lambda: nn.dropout(X, -0.5), ValueError, "dropout: p is -0.5; expected a probability"),
    (lambda: nn.dropout(X, 1.5), ValueError, "dropout: p is 1.5"),
    (lambda: nn.dropout(X), TypeError, "dropout: generator is NoneType; .*np.random.default_rng"),
    (lambda: nn.l2_penalty(X, -1), ValueError,
     "l2_penalty: weight_decay is -1; expected .* not negative"),
    (lambda: nn.l2_penalty({}, 1), ValueError, "l2_penalty: parameters, a dict, holds no arrays"),
]


@pytest.mark.parametrize("call, error, match", WRONG, ids=range(len(WRONG)))
def test_errors_name_the_argument_and_the_way_out(call, error, match):
    with pytest.raises(error, match=match):
        call()
