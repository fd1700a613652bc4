"""Layers and losses of torch on tensors that carry arrays: what torch's own samples do not show.

Each program is a function of one tensor. Its value and its gradient must be torch's.
"""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flint import arb, fmpq
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import refgrad
from crosscheck.ball import Ball, arithmetic
from crosscheck.subjects.aten import NoLine, carried

MASK = torch.tensor([[False, False, True], [False, True, True]])


def module(cls, *args, mode="eval", **kwargs):
    """A module whose parameters and buffers are drawn by a seed; each call has a fresh copy of
    it."""
    torch.manual_seed(1)
    made = getattr(cls(*args, **kwargs), mode)()
    return lambda *x, **more: copy.deepcopy(made).to(x[0].data.dtype)(*x, **more)


def packed(cell):
    """A recurrent network over sequences of the lengths 3 and 1."""
    return lambda x: pad_packed_sequence(cell(pack_padded_sequence(x, torch.tensor([3, 1])))[0])[0]


def seeded(function):
    def program(x):
        torch.manual_seed(2)
        return function(x)
    return program


def in_place(x):
    y = x.clone()
    y.t_().unsqueeze_(1)
    y.squeeze_(1)
    y.mul_(torch.tensor([1.0, 2.0], dtype=y.dtype))
    return y


@torch.library.custom_op("crosscheck_tests::doubled_into", mutates_args=("into",))
def doubled_into(x: torch.Tensor, into: torch.Tensor) -> torch.Tensor:
    """An operation in Python that writes to an argument, and to a tensor of its own."""
    into.copy_(2 * x)
    total = torch.zeros(x.shape[-1], dtype=x.dtype)
    total.add_(x.sum(0))
    return total.clone()


def by_a_custom_operation(x):
    into = torch.zeros(x.shape, dtype=x.dtype)
    return doubled_into(x, into) * into


def inferring(x):
    with torch.inference_mode():
        return F.layer_norm(x.narrow(1, 0, 2), (2,))


def noisy(x):
    """The slopes that are drawn are written to the noise."""
    noise = torch.empty_like(x)
    return torch._C._nn.rrelu_with_noise(x, noise, training=True) + noise


def attended_by_few_heads(x):
    q = x.reshape(1, 2, 3, 1)
    return F.scaled_dot_product_attention(q, q[:, :1], q[:, 1:], is_causal=True, enable_gqa=True)


encoder = module(nn.TransformerEncoderLayer, 4, 2, 5, batch_first=True)
attention = module(nn.MultiheadAttention, 4, 2, batch_first=True)

#: name -> (program, shape of its tensor)
PROGRAMS = {
    "an RNN": (lambda x: module(nn.RNN, 3, 2, 2, bidirectional=True, batch_first=True)(x)[0],
               (2, 3, 3)),
    "a GRU": (lambda x: module(nn.GRU, 3, 2, bidirectional=True)(x)[0], (2, 3, 3)),
    "an LSTM": (lambda x: module(nn.LSTM, 3, 2, 2, bidirectional=True, batch_first=True)(x)[0],
                (2, 3, 3)),
    "an LSTM's last states": (lambda x: torch.cat(module(nn.LSTM, 3, 2, bias=False)(x)[1]),
                              (2, 3, 3)),
    "an LSTM that projects": (lambda x: module(nn.LSTM, 3, 4, proj_size=2)(x)[0], (2, 2, 3)),
    "an LSTM on packed sequences": (packed(module(nn.LSTM, 2, 2)), (3, 2, 2)),
    "dropout between layers": (
        seeded(lambda x: module(nn.GRU, 3, 2, 2, dropout=0.5, mode="train")(x)[0]), (2, 3, 3)),
    "attention": (lambda x: attention(x, x, x)[0], (2, 3, 4)),
    "attention without the weights": (lambda x: attention(x, x, x, need_weights=False)[0],
                                      (2, 3, 4)),
    "attention with a mask": (lambda x: attention(x, x, x, key_padding_mask=MASK)[0], (2, 3, 4)),
    "attention with fewer heads": (attended_by_few_heads, (2, 3)),
    "a transformer's layer": (encoder, (2, 3, 4)),
    "a transformer's layer with a mask": (lambda x: encoder(x, src_key_padding_mask=MASK),
                                          (2, 3, 4)),
    "a transformer's layer in training": (seeded(module(
        nn.TransformerEncoderLayer, 4, 2, 5, batch_first=True, mode="train")), (2, 3, 4)),
    "dropout": (seeded(lambda x: torch.native_dropout(x, 0.4, True)[0]), (3, 4)),
    "alpha dropout": (seeded(lambda x: F.alpha_dropout(x, 0.4, True)), (3, 4)),
    "slopes that are drawn": (seeded(noisy), (3, 4)),
    "slopes that are drawn, in place": (
        seeded(lambda x: F.rrelu(x.clone(), training=True, inplace=True)), (3, 4)),
    "views in place": (in_place, (2, 3)),
    "an operation of one's own": (by_a_custom_operation, (2, 3)),
    "inference mode": (inferring, (2, 3)),
    "weights by length and direction": (module(
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))), (2, 3)),
    "a sampled softmax's loss": (lambda x: module(nn.AdaptiveLogSoftmaxWithLoss, 4, 6, [2, 4])(
        x, torch.tensor([0, 3, 5])).loss, (3, 4)),
    "positions of maxima": (lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2),
                            (1, 2, 4)),
    "a convolution over time": (lambda x: torch.conv_tbc(x, x[:2].mT, x[0, :, 0], 1), (3, 2, 2)),
    "an affine grid": (lambda x: F.affine_grid(x, (2, 1, 2, 3), align_corners=False), (2, 2, 3)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_value_and_gradient_are_those_of_torch(name, dtype):
    program, shape = PROGRAMS[name]
    x = torch.tensor(np.random.default_rng(3).normal(size=shape), dtype=dtype, requires_grad=True)
    tolerance = 1e3 * torch.finfo(dtype).eps
    value = program(x)
    found = on_arrays(program, dtype)(x.detach().double().numpy())
    np.testing.assert_allclose(found, value.detach(), rtol=tolerance, atol=tolerance)
    # Torch has no gradient of these.
    if name not in ("inference mode", "an operation of one's own"):
        value.square().sum().backward()
        gradient = refgrad.grad(lambda x: np.sum(np.square(on_arrays(program, dtype)(x))))(
            x.detach().double().numpy())
        np.testing.assert_allclose(gradient, x.grad, rtol=tolerance, atol=tolerance)


def on_arrays(program, dtype=torch.float64):
    return lambda x: carried(lambda tensors: [program(tensors["x"])], {"x": x}, dtype)[0]


@pytest.mark.parametrize("cls, shape", [(nn.BatchNorm1d, (4, 3)), (nn.BatchNorm2d, (2, 3, 2, 2)),
                                        (nn.InstanceNorm1d, (2, 3, 4))])
@pytest.mark.parametrize("momentum", [0.25, None])
def test_running_statistics_move_in_the_program_alone(cls, shape, momentum):
    made = cls(3, momentum=momentum, track_running_stats=True).double()
    before = copy.deepcopy(made.state_dict())

    def program(x):
        made.train()
        made(x)
        made(2 * x)
        made.eval()
        return made(x)

    x = np.random.default_rng(3).normal(size=shape)
    found = on_arrays(program)(x)
    for k in ("running_mean", "running_var"):
        assert torch.equal(made.state_dict()[k], before[k])
    made.load_state_dict(before)
    np.testing.assert_allclose(found, program(torch.tensor(x)).detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode, of_the_second",
                         [("linear", Fraction(2, 5)), ("nearest", Fraction(0))])
def test_weights_are_rational_numbers(mode, of_the_second):
    """Of 3 entries resampled to 5, the second lies at 2/5."""
    x = np.array([[[0.1, 0.7, -0.3]]])
    with arithmetic(300):
        y = on_arrays(lambda x: F.interpolate(x, size=5, mode=mode))(Ball(x)).cells[0, 0, 1]
        slope = refgrad.grad(lambda x: np.sum(on_arrays(
            lambda x: F.interpolate(x, size=5, mode=mode)[..., 1])(x)))(Ball(x)).cells[0, 0, 1]
        weight = arb(fmpq(of_the_second.numerator, of_the_second.denominator))
        wanted = (1 - weight) * arb(0.1) + weight * arb(0.7)
        assert y.overlaps(wanted) and y.rad() < 1e-80
        assert slope.overlaps(weight) and slope.rad() < 1e-80


@pytest.mark.parametrize("program", [
    lambda x: F.interpolate(x, size=2, mode="lanczos", antialias=True),
    lambda x: x.sum().sigmoid().to(torch.complex128)], ids=["lanczos", "complex"])
def test_what_is_no_line_says_so(program):
    with pytest.raises(NoLine):
        on_arrays(program)(np.ones((1, 1, 3, 3)))
