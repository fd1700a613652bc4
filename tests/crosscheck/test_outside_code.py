"""Programs as other people write them: right ones are not called wrong, and faults are found."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import Function

from crosscheck import check
from tests.crosscheck.scenarios import function

D = torch.float64
SPD = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 5.0]])


def normal(*shape):
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(0))


def of_float32(x):
    return (np.sin(x.astype(np.float32)) ** 2).astype(x.dtype)


def normal_density(covariance):
    return torch.distributions.MultivariateNormal(
        torch.zeros(3, dtype=D), covariance).log_prob(torch.ones(3, dtype=D))


def series(x):
    near, divisor = x.abs() < 1e-3, torch.where(x == 0, 1, x)
    return torch.where(near, 1 - x * x / 6, torch.sin(x) / divisor)


def slope_of_series(g, x):
    near, divisor = x.abs() < 1e-3, torch.where(x == 0, 1, x)
    return g * torch.where(near, -x / 3, (torch.cos(x) - torch.sin(x) / divisor) / divisor)


class Turned(Function):
    """A rotary embedding: the entries of both halves are pairs."""

    @staticmethod
    def forward(ctx, q, cosine, sine):
        ctx.save_for_backward(cosine, sine)
        first, second = q.chunk(2, -1)
        return q * cosine + torch.cat([-second, first], -1) * sine

    @staticmethod
    def backward(ctx, g):
        cosine, sine = ctx.saved_tensors
        first, second = (g * sine).chunk(2, -1)
        return g * cosine + torch.cat([second, -first], -1), None, None


def divergence(mean, log_scale):
    normal_at = torch.distributions.Normal
    return torch.distributions.kl_divergence(
        normal_at(mean, log_scale.exp()), normal_at(torch.zeros_like(mean), 1.0)).sum()


def similarity(a, b):
    """Of images, as SSIM measures it: 1 for the same."""
    def mean(x):
        return nn.functional.conv2d(x, torch.full((1, 1, 3, 3), 1 / 9, dtype=x.dtype))
    m, n = mean(a), mean(b)
    of_a, of_b, of_both = mean(a * a) - m * m, mean(b * b) - n * n, mean(a * b) - m * n
    return ((2 * m * n + 0.01) * (2 * of_both + 0.03)
            / ((m * m + n * n + 0.01) * (of_a + of_b + 0.03))).mean()


def mixture(mean, scale, weight):
    weight = np.exp(weight - np.log(np.sum(np.exp(weight))))
    apart = (np.array([[0.3], [1.0], [-2.0]]) - mean) / scale
    return np.sum(np.log(np.sum(weight * np.exp(-apart ** 2 / 2) / scale, -1)))


RIGHT = {
    "float32 inside a NumPy function": (of_float32, np.array([0.3, -1.2, 2.0])),
    "exponentials whose squares leave the range of float32 at points of the check": (
        lambda x: torch.log(torch.exp(x).sum(-1)), normal(3, 4)),
    "attention that chooses, so that its scores hardly matter": (
        lambda q, k, v: torch.softmax(q @ k.T, -1) @ v,
        7 * normal(2, 2), 7 * normal(3, 2), normal(3, 2)),
    "rows that tie, each of which chooses for itself": (
        lambda x: x.kthvalue(3)[0], torch.ones(3, 5, dtype=D)),
    "NumPy's Cholesky factor": (np.linalg.cholesky, SPD),
    "a function that asks for a symmetric matrix": (normal_density, torch.tensor(SPD)),
    "a rotary embedding, whose entries come in pairs": (
        Turned, normal(2, 3, 4).requires_grad_(), normal(3, 4).cos(), normal(3, 4).sin()),
    "gradients that cancel where both inputs are one array": (
        similarity, normal(1, 1, 5, 5).sigmoid(), normal(1, 1, 5, 5).cos()),
    "squares of exponentials, which in float32 one mode alone can do without": (
        divergence, normal(3), normal(3)),
    "a NumPy function that itself is infinite in float32 at points of the check": (
        mixture, np.array([1.1, 1.8]), np.array([0.8, 1.4]), np.array([-2.5, -0.14])),
    "inputs of two dtypes, which the function does not take in one of them": (
        lambda x, w: x.float() @ w, normal(3, 4).bfloat16(), normal(4, 2).float()),
    "a series near 0": (
        function(series, slope_of_series), torch.tensor([-1.0, 1e-4, 0.0, 0.5], dtype=D)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_is_not_called_wrong(name):
    f, *inputs = RIGHT[name]
    report = check(f, *inputs)
    assert report.ok, report


class LaterCos(Function):
    """The second derivative of sin is right, its own derivative is 0 to torch."""

    forward = staticmethod(lambda ctx, x: ctx.save_for_backward(x) or torch.exp(x))
    backward = staticmethod(lambda ctx, g: g * torch.exp(ctx.saved_tensors[0].detach()))


class OfTheFirst(Function):
    """A product whose rule for vmap takes the first of the batch for all."""

    forward = staticmethod(lambda a, b: a @ b)
    setup_context = staticmethod(lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    backward = staticmethod(lambda ctx, g: (g @ ctx.saved_tensors[1].T, ctx.saved_tensors[0].T @ g))

    @staticmethod
    def vmap(info, dims, a, b):
        a, b = (t.movedim(d, 0) if d is not None else t.expand(info.batch_size, *t.shape)
                for t, d in zip((a, b), dims))
        return a @ b[:1], 0


class Product(Function):
    forward = staticmethod(lambda x, w: x @ w)
    setup_context = staticmethod(lambda ctx, inputs, output: ctx.save_for_backward(*inputs))

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return OfTheFirst.apply(g, w.T), OfTheFirst.apply(x.T, g)


class OfTheFirstCall(Function):
    """The backward reads what the first of all forwards has left."""

    met = []
    forward = staticmethod(lambda ctx, x: OfTheFirstCall.met.append(x) or x * x)
    backward = staticmethod(lambda ctx, g: 2 * g * OfTheFirstCall.met[0])


WRONG = {
    "what is kept of the first call": (OfTheFirstCall, [normal(4)], "earlier calls"),
    "a mean over one row": (
        function(torch.mean, lambda g, x: g / x.shape[-1] + 0 * x), [normal(1, 5)], "reverse"),
    "a size that is a number in the code": (
        function(lambda x: x.var(-1, unbiased=False),
                 lambda g, x: g[..., None] * 2 * (x - x.mean(-1, keepdim=True)) / 5),
        [normal(3, 5)], "reverse"),
    "a third derivative that is silently 0": (
        function(torch.exp, lambda g, x: g * LaterCos.apply(x)), [normal(4)], "third order"),
    "a rule for vmap": (Product, [normal(4, 3), normal(3, 3)], "many at once, reverse"),
    "half a second derivative at large inputs": (
        function(lambda x: x ** 3, lambda g, x: 3 * g * x * x.detach()),
        [torch.tensor([1e6, 3e7, 2.5e4], dtype=D)], "reverse over reverse"),
    "a fifth of a second derivative beside which the value is larger by far": (
        function(lambda x: x ** 3, lambda g, x: g * (2.4 * x ** 2 + 0.6 * x.detach() ** 2)),
        [torch.tensor([3e8, 2e8], dtype=D)], "reverse over reverse"),
}


@pytest.mark.parametrize("name", WRONG)
def test_faults_are_found(name):
    f, inputs, where = WRONG[name]
    report = check(f, *inputs)
    assert report.outcome == "wrong" and where in {v.check for v in report.failures}, report


def test_a_modules_parameters_keep_their_layout():
    """torch's batch_norm reads strided parameters as if they were contiguous."""
    module = nn.BatchNorm1d(4).double()
    report = check(module, normal(6, 4), order=1)
    assert report.ok, report


def test_what_has_no_derivative_is_undecided_and_the_first_line_says_why():
    report = check(lambda x: torch.heaviside(x, x.new_tensor(0.5)), normal(3))
    assert report.outcome == "undecided" and "heaviside is not implemented" in report.sentence()


def test_a_gradient_that_is_none_is_called_that():
    class Rotate(Function):
        forward = staticmethod(lambda ctx, x, cos: ctx.save_for_backward(cos) or x * cos)
        backward = staticmethod(lambda ctx, g: (g * ctx.saved_tensors[0], None))
    report = check(Rotate, normal(3), normal(3), order=1)
    said = " ".join(report.lines())
    assert "its backward returns None for cos: leave it out with argnums" in said


def test_a_value_that_is_0_but_for_rounding_tells_no_precision():
    report = check(lambda a, b: torch.det(a[:, None] * b), normal(3), normal(3), quick=True)
    assert "works in" not in str(report) and "as accurate as" not in str(report)


def test_what_is_wrong_elsewhere_alone_says_so():
    hinge = function(lambda x: torch.clamp(1 - x, min=0.0), lambda g, x: -g)
    report = check(hinge, 0.1 * normal(3), order=1)
    assert report.outcome == "wrong" and "At the inputs as given nothing is wrong" in str(report)


@pytest.mark.parametrize("name, says", [
    ("each input alone", "ctx.needs_input_grad"), ("each result alone", "set_materialize_grads")])
def test_what_a_check_asks_for(name, says):
    class Product(Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x, w)
            return x * w, x + w

        @staticmethod
        def backward(ctx, g, h):
            x, w = ctx.saved_tensors
            if name == "each result alone":
                return g * w + h, g * x + h
            g, h = (torch.zeros_like(x) if a is None else a for a in (g, h))
            return g * w + h if ctx.needs_input_grad[1] else None, g * x + h
    report = check(Product, normal(3), normal(3), order=1)
    assert {v.check for v in report.failures} == {name} and says in " ".join(report.lines())


def test_a_single_number_is_called_it():
    report = check(function(torch.exp, lambda g, x: 2 * g * torch.exp(x)), normal(1)[0],
                   order=1)
    assert "; it is " in " ".join(report.lines()) and "entry ()" not in str(report)


def test_a_loop_of_jax_is_compiled_once_for_each_shape():
    jax = pytest.importorskip("jax")
    traced = itertools.count()

    def decay(a, y):
        next(traced)
        return jax.lax.scan(lambda y, _: (y - a * y / 8, y), y, None, length=4)[1]

    report = check(decay, np.array([0.5, 1.5]), np.array([1.0, -2.0]), order=1)
    assert report.ok and next(traced) < 200, report


def test_a_jax_function_that_keeps_state_is_not_compiled():
    jax = pytest.importorskip("jax")
    calls = []

    def counting(x):
        calls.append(0)
        return len(calls) * jax.numpy.sin(x)

    report = check(counting, np.array([0.5, 1.5]))
    assert "another value when it is called again" in " ".join(report.lines())
