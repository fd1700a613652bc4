"""Layers and losses against exact values: derivatives up to the third, at the seam and far out;
extreme inputs."""

import flint
import numpy as np
import pytest
from flint import arb, arb_series

import refgrad as rg
from refgrad import nn


def exact_derivatives(f, x):
    """f and its first three derivatives, by its Taylor series at 3000 bits."""
    with flint.ctx.workprec(3000):
        series = f(arb_series([arb(float(x)), 1], 4))
        return np.array([float(series[n]) * (1, 1, 2, 6)[n] for n in range(4)])


def derivatives(f, x, mode):
    """The same by refgrad."""
    found = []
    for _ in range(4):
        found.append(f(x))
        f = rg.grad(f) if mode == "reverse" else lambda x, f=f: rg.jvp(f, (x,), (np.array(1.0),))[1]
    return np.array(found)


SMOOTH = {
    "sigmoid": (nn.sigmoid, lambda x: 1 / (1 + (-x).exp())),
    "tanh": (nn.tanh, lambda x: 1 - 2 / (1 + (2 * x).exp())),
    "softplus": (lambda x: nn.softplus(x, threshold=2000), lambda x: (1 + x.exp()).log()),
    "silu": (nn.silu, lambda x: x / (1 + (-x).exp())),
    "gelu": (nn.gelu, lambda x: x * (-x / arb(2).sqrt()).erfc() / 2),
    "gelu tanh": (lambda x: nn.gelu(x, "tanh"), lambda x: x / (1 + (
        -2 * (2 / arb.pi()).sqrt() * (x + arb(44715) / 1000000 * x * x * x)).exp())),
    "elu above": (lambda x: nn.elu(x + 2000), lambda x: x + 2000),
    "elu below": (lambda x: nn.elu(x - 2000, 0.5), lambda x: ((x - 2000).exp() - 1) / 2),
    **{f"binary_cross_entropy t={t} p={p}": (
        lambda x, t=t, p=p: nn.binary_cross_entropy_with_logits(
            x, np.array(t), pos_weight=None if p == 1 else np.array(p)),
        lambda x, t=t, p=p: p * t * (1 + (-x).exp()).log() + (1 - t) * (1 + x.exp()).log())
       for t in (0.0, 1.0, 0.25) for p in (1, 3.0)},
}
ROUND_ABOUT = [0.0, 1e3, -1e3, 40.0, -40.0, 3.75, -1.25, 1e-8]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("name", SMOOTH)
def test_exact_derivatives_up_to_the_third(name, mode):
    f, exact = SMOOTH[name]
    for x in ROUND_ABOUT:
        wanted = exact_derivatives(exact, x)
        # Each to its own digits, in the tails too; near a zero of a derivative to the digits of its
        # neighbours.
        size = np.abs(wanted) if abs(x) > 3 else np.maximum(np.abs(wanted), 0.1)
        np.testing.assert_array_less(np.abs(derivatives(f, np.array(x), mode) - wanted),
                                     1e-13 * size + 1e-300, err_msg=f"{name} at {x}")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("x", [[0.0, 0.0, 0.0], [1e3, 0.0, -1e3], [1e3, 1e3, 0.0],
                               [1.5, -0.25, 3.0]], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy",
                                  "cross_entropy of probabilities"])
def test_exact_derivatives_of_softmax_along_a_line(name, x, mode):
    x, v, w = np.array(x), np.array([1.0, -0.5, 0.25]), np.array([0.5, 0.25, 2.0])
    f = {"softmax": lambda z: np.sum(w * nn.softmax(z, 0)),
         "log_softmax": lambda z: np.sum(w * nn.log_softmax(z, 0)),
         "cross_entropy": lambda z: nn.cross_entropy(z, np.array(1)),
         "cross_entropy of probabilities": lambda z: nn.cross_entropy(z, w)}[name]

    def exact(s):
        powers = [(float(a) + s * float(b)).exp() for a, b in zip(x, v)]
        total = sum(powers)
        logs = [float(a) + s * float(b) - total.log() for a, b in zip(x, v)]
        weighted = sum(float(c) * a for c, a in zip(w, logs))
        return {"softmax": sum(float(c) * a for c, a in zip(w, powers)) / total,
                "log_softmax": weighted,
                "cross_entropy": -logs[1], "cross_entropy of probabilities": -weighted}[name]

    found = derivatives(lambda s: f(x + s * v), np.array(0.0), mode)
    np.testing.assert_allclose(found, exact_derivatives(exact, 0), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("alpha, x, wanted",
                         [(1.0, 0.0, 1.0), (0.5, 0.0, 0.5), (0.5, -1e3, 0.0), (0.5, 1e3, 0.0)])
def test_elu_keeps_to_one_side_at_its_kink(alpha, x, wanted):
    """At 0 all derivatives are those of alpha (e^x - 1)."""
    for mode in ("reverse", "forward"):
        assert (list(derivatives(lambda x: nn.elu(x, alpha), np.array(x), mode)[2:])
                == [wanted, wanted])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, f", [
    *((name, getattr(nn, name))
      for name in ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu")),
    ("gelu tanh", lambda x: nn.gelu(x, "tanh")), ("softmax", lambda x: nn.softmax(x, 0)),
    ("log_softmax", lambda x: nn.log_softmax(x, 0)),
    ("cross_entropy", lambda x: nn.cross_entropy(x, np.array(1))),
    ("binary_cross_entropy", lambda x: nn.binary_cross_entropy_with_logits(x, np.ones_like(x))),
    ("layer_norm", lambda x: nn.layer_norm(x, x.shape)),
    ("huber_loss", lambda x: nn.huber_loss(x, np.zeros_like(x)))])
def test_extreme_inputs(name, f, dtype):
    """No overflow on the way, no nan: values, gradients and second derivatives, and not a
    warning."""
    x = np.array([0.0, 1e3, -1e3, 1e4, -1e4, 1e-30, -90.0, 90.0], dtype)
    value, gradient = rg.value_and_grad(lambda x: np.sum(f(x)))(x)
    second, = rg.hvp(lambda x: np.sum(f(x)), (x,), (np.ones_like(x),))
    assert np.isfinite(value) and np.all(np.isfinite(gradient)) and np.all(np.isfinite(second))
    assert gradient.dtype == second.dtype == dtype


def test_a_masked_logit_has_probability_zero():
    x = np.array([[1.0, -np.inf, 2.0]])
    assert nn.softmax(x, -1)[0, 1] == 0
    gradient = rg.grad(lambda x: nn.cross_entropy(x, np.array([0])))(x)
    assert gradient[0, 1] == 0 and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("gap", [1.0, 20.0, 40.0, 300.0])
def test_certain_classes_keep_their_digits(gap):
    """1 - p cancels where p is the probability of a class that is nearly certain: value, gradient,
    Hessian times v."""
    x, v = np.array([gap, 0.0, -1.0]), np.array([0.5, -1.0, 2.0])
    programs = {
        "cross_entropy": lambda x: nn.cross_entropy(x, np.array(0)),
        "cross_entropy of probabilities": lambda x: nn.cross_entropy(x, np.array([1.0, 0.0, 0.0])),
        "nll_loss": lambda x: nn.nll_loss(nn.log_softmax(x, 0), np.array(0)),
        "softmax": lambda x: nn.softmax(x, 0)[1] + nn.softmax(x, 0)[2]}
    with flint.ctx.workprec(2000):
        rest = [arb(-gap).exp(), arb(-gap - 1).exp()]
        p = [1 / (1 + sum(rest)), *(r / (1 + sum(rest)) for r in rest)]
        slopes = [-(p[1] + p[2]), p[1], p[2]]
        mean = sum(a * float(b) for a, b in zip(p, v))
        curved = [float(a * (float(b) - mean)) for a, b in zip(p, v)]
        loss = (sum(rest) + 1).log()
        wanted = {name: (float(loss), [float(a) for a in slopes], curved)
                  for name in list(programs)[:3]}
        # d (1 - p_0) = -dp_0 = p_0 (p_1 + p_2, -p_1, -p_2) turned round
        scaled = [p[0] * a for a in slopes]
        wanted["softmax"] = float(p[1] + p[2]), [float(a) for a in scaled], None
    for name, f in programs.items():
        value, slope, curvature = wanted[name]
        np.testing.assert_allclose(f(x), value, rtol=1e-13, err_msg=name)
        np.testing.assert_allclose(rg.grad(f)(x), slope, rtol=1e-13, err_msg=name)
        if curvature:
            np.testing.assert_allclose(rg.hvp(f, (x,), (v,))[0], curvature, rtol=1e-13,
                                       err_msg=name)
            second = rg.grad(lambda x, f=f: rg.grad(f)(x) @ v)(x)
            np.testing.assert_allclose(second, curvature, rtol=1e-13, err_msg=name)


def test_nan_is_shown():
    x = np.array([np.nan, 1.0])
    assert rg.grad(lambda x: np.sum(nn.relu(x) * np.array([3.0, 1.0])))(x).tolist() == [3, 1]
    assert np.isnan(rg.grad(lambda x: nn.huber_loss(x, np.zeros(2)))(x)).tolist() == [True, False]


@pytest.mark.filterwarnings("error")
def test_infinite_logits_and_errors():
    x = np.array([np.inf, -np.inf])
    huber = rg.value_and_grad(lambda x: np.sum(nn.huber_loss(x, np.zeros(2), reduction="none",
                                                             delta=2.0)))(x)
    assert huber[0] == np.inf and huber[1].tolist() == [2, -2]
    sure, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    f = lambda t: (
        rg.value_and_grad(lambda x: nn.binary_cross_entropy_with_logits(x, t, reduction="sum"))(x))
    assert f(sure)[0] == 0 and f(sure)[1].tolist() == [0, 0]
    assert f(wrong)[0] == np.inf and f(wrong)[1].tolist() == [1, -1]
