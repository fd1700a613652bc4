"""Functions with right and with wrong derivatives, and what the checker must say of each.

`test_checker.py` sees that it does; `test_checker_on_trial.py` spoils the checker and sees that it
does not.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from crosscheck import check
from crosscheck.verdict import KINK, LESS_ACCURATE, MISCONDUCT, NOT_FINITE, WRONG
from refgrad import custom, nn

X = np.array([[0.5, -1.25, 2.0], [0.75, 3.5, -0.25]])
T = torch.tensor(X)


class Scenario:
    """A check, and what is expected of it.

    failing  pairs (check, verdict) that must be among the failures; without any, nothing may fail
    has      a text that some verdict must have
    lacks    a text that no verdict may have
    outcome  of the report, where nothing may fail
    """

    def __init__(self, run, *failing, has=None, lacks=None, outcome="ok"):
        self.run, self.failing, self.has, self.lacks, self.outcome = (run, failing, has,
                                                                      lacks, outcome)

    def holds(self):
        report = self.run()
        found = {(f.check, f.verdict) for f in report.failures}
        told = [f"{f.verdict} {f.bound} {f.note}" for f in report.verdicts]
        if self.has is not None and not any(self.has in words for words in told):
            return False
        if self.lacks is not None and any(self.lacks in words for words in told):
            return False
        return set(self.failing) <= found if self.failing else report.outcome == self.outcome


def measured(f):
    """f with a number that leaves torch on the way, so that it is measured by differences."""
    return lambda x: f(x) + 0 * float(x.sum())


def function(forward, backward):
    """An autograd.Function of one input, by its backward: ``backward(g, x)``."""
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Function


def gelu_slope(x):
    return (0.5 * (1 + torch.erf(x / math.sqrt(2)))
            + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def gelu_tanh_slope(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)
    t = torch.tanh(u)
    return (0.5 * (1 + t)
            + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x))


def gelu(slope):
    return function(F.gelu, lambda g, x: g * slope(x))


def mean_square(scale):
    return function(lambda x: (x * x).mean(), lambda g, x: g * 2 * x * scale(x))


def ramp(vjp_at_zero, jvp_at_zero):
    """max(x, 0) with these slopes at 0."""
    rectify = custom(lambda x: np.maximum(x, 0))
    rectify.def_vjp(lambda g, y, x: (g * np.where(x == 0, vjp_at_zero, x > 0),))
    rectify.def_jvp(lambda tangents, y, x: tangents[0] * np.where(x == 0, jvp_at_zero, x > 0))
    return rectify


def sine(factor):
    """sin whose rules are off by that factor."""
    f = custom(np.sin)
    f.def_vjp(lambda g, y, x: (g * np.cos(x) * factor,))
    f.def_jvp(lambda tangents, y, x: tangents[0] * np.cos(x) * factor)
    return f


def product():
    """a b, whose vjp takes one row where a broadcast row's cotangent is the sum of all."""
    f = custom(np.multiply)
    f.def_vjp(lambda g, y, a, b: ((g * b)[:len(a), :a.shape[1]], (g * a)[:len(b), :b.shape[1]]))
    f.def_jvp(lambda tangents, y, a, b: tangents[0] * b + a * tangents[1])
    return f


def softmax_vjp(g, x):
    y = nn.softmax(x, -1)
    return y * (g - np.sum(g * y, axis=-1, keepdims=True))


class Keeping:
    """A vjp that keeps something between calls: every second result is doubled."""

    def __init__(self):
        self.calls = 0

    def __call__(self, g, x):
        self.calls += 1
        return g * np.cos(x) * (2 - self.calls % 2)


class Remembering:
    """A vjp that computes what it needs at its first call, for good."""

    def __init__(self):
        self.slopes = None

    def __call__(self, g, x):
        self.slopes = np.cos(x) if self.slopes is None else self.slopes
        return g * self.slopes


class Reusing:
    """A vjp that hands out one buffer for all results of a shape."""

    def __init__(self):
        self.buffers = {}

    def __call__(self, g, x):
        if not isinstance(x, np.ndarray):
            return g * np.cos(x)
        buffer = self.buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
        buffer[...] = g * np.cos(x)
        return buffer


def summed(vjp):
    """A vjp of two arguments that sums over broadcast axes of size 1."""
    def whole(g, *arrays):
        return tuple(np.sum(c, axis=tuple(k for k in range(a.ndim) if a.shape[k] < g.shape[k]),
                            keepdims=True)
                     for c, a in zip(vjp(g, *arrays), arrays))
    return whole


def overwriting(g, x):
    g *= np.cos(x)
    return g


def overwriting_tangents(tangents, x):
    slope = tangents[0] * np.cos(x)
    if isinstance(tangents[0], np.ndarray):
        tangents[0][...] *= 2
    return slope


def in_the_order_of_memory(g, x):
    """Right for a cotangent that lies in memory as x does: it pairs the two as they lie there."""
    if not (isinstance(g, np.ndarray) and isinstance(x, np.ndarray)) or g.strides == x.strides:
        return g * np.cos(x)
    return np.reshape(np.ravel(g, order="K"), x.shape) * np.cos(x)


def angle(vjp_at_zero, jvp_at_zero):
    """The angle of (b, a), which jumps at (0, 0), with these derivatives by a there."""
    f = custom(lambda a, b: np.arctan2(a, b))
    origin = lambda a, b: (a == 0) & (b == 0)
    over = lambda a, b: a / np.where(origin(a, b), 1, a * a + b * b)
    slope = lambda a, b, at_zero: np.where(origin(a, b), at_zero, over(b, a))
    f.def_vjp(lambda g, y, a, b: (g * slope(a, b, vjp_at_zero), -g * over(a, b)))
    f.def_jvp(lambda tangents, y, a, b: tangents[0] * slope(a, b, jvp_at_zero)
              - tangents[1] * over(a, b))
    return f


def black_box(x):
    """Not for balls: it leaves NumPy's protocols."""
    return np.array([math.sin(float(a))
                     for a in np.ravel(x)]).reshape(np.shape(x)).astype(np.asarray(x).dtype)


def cos_of(x, factor=1.0):
    return np.array([math.cos(float(a)) * factor
                     for a in np.ravel(x)]).reshape(np.shape(x)).astype(x.dtype)


class Model:
    """loss(x) keeps what gradient() needs; a step is taken for good."""

    def __init__(self):
        self.steps = []

    def loss(self, x):
        self.x = x
        self.steps.append(x)
        return np.sum(np.sin(x)) * (1 + 0 * len(self.steps))

    def gradient(self, x):
        # What was left behind by another run, on balls say, is no array of numbers.
        return np.cos(self.x) * (1 if all(isinstance(s, type(x)) for s in self.steps) else 2)


class Bent(torch.autograd.Function):
    """cos, whose own derivative has twice its slope."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.cos(x)

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return -g * function(torch.sin, lambda g, x: 2 * g * torch.cos(x)).apply(x)


def in_a_sum(g, x):
    """Right for a cotangent with an own place for each entry."""
    single = 0 in g.stride() if torch.is_tensor(g) else isinstance(g, np.ndarray) and 0 in g.strides
    return 0 * x if single else g * (torch.cos(x) if torch.is_tensor(x) else np.cos(x))


REVERSE, FORWARD, TWICE = ("reverse", WRONG), ("forward", WRONG), ("reverse over reverse", WRONG)

SCENARIOS = {
    # right
    "refgrad": Scenario(lambda: check(lambda x: np.tanh(x) * x, X)),
    "refgrad's relu, with its kinks": Scenario(lambda: check(nn.relu, X), has=KINK),
    "refgrad's maximum": Scenario(lambda: check(np.maximum, X, X + 1), has=KINK),
    "hand-written vjp": Scenario(lambda: check(lambda x: nn.softmax(x, -1), X, vjp=softmax_vjp)),
    "hand-written gradient": Scenario(lambda: check(lambda x: np.sum(x ** 3), X,
                                                    gradient=lambda x: 3 * x ** 2)),
    "proven in float32": Scenario(lambda: check(np.sin, X, vjp=lambda g, x: g * np.cos(x)),
                                  has="proven", lacks=LESS_ACCURATE),
    "black box": Scenario(lambda: check(black_box, X, vjp=lambda g, x: g * cos_of(x)),
                          has="agrees"),
    "torch's gelu": Scenario(lambda: check(F.gelu, T, reference=nn.gelu)),
    "torch's relu alone, with its kinks": Scenario(lambda: check(F.relu, T), has=KINK),
    "torch's relu alone, by differences": Scenario(lambda: check(measured(F.relu), T), has=KINK),
    "torch's bfloat16": Scenario(lambda: check(torch.sigmoid, T, reference=nn.sigmoid,
                                               dtypes=("bfloat16", "float32"))),
    "gelu's Function": Scenario(lambda: check(gelu(gelu_slope), T), has="proven"),
    "gelu's Function in float32": Scenario(lambda: check(gelu(gelu_slope), T.float())),
    "the mean square's Function": Scenario(lambda: check(mean_square(lambda x: 1 / x.numel()), T)),
    "what balls cannot decide": Scenario(lambda: check(lambda x: np.maximum(np.sqrt(x) ** 2, x),
                                                       np.abs(X)),
                                         has="undecided  maximum at index", outcome="undecided"),
    "constants that are rounded": Scenario(lambda: check(
        lambda x: np.exp(x / 3) / math.sqrt(2 * math.pi), X,
        vjp=lambda g, x: g * np.exp(x * (1 / 3)) / (3 * math.sqrt(2 * math.pi))),
                                           has="float64 constants"),
    "a matrix so small that steps leave the domain": Scenario(lambda: check(
        lambda a: np.linalg.cholesky(a + a.T), np.eye(2) + 0.25)),
    "arrays without entries, and shapes around them": Scenario(
        lambda: check(np.add, np.zeros((0, 3)), np.zeros((0, 3))), outcome="ok"),
    "tensors without entries": Scenario(lambda: check(torch.sin, torch.zeros(0, 3)), outcome="ok"),
    "a function in float32 that saturates": Scenario(
        lambda: check(lambda x, w, b: torch.tanh(x @ w + b), T.float(), T.T.float(),
                      T[0, :2].float()), outcome="ok"),
    "bounds that meet, and part as they move": Scenario(
        lambda: check(np.clip, X, 0 * X - 0.5, 0 * X + 0.5)),
    "a jump of the second derivative": Scenario(lambda: check(function(
        lambda x: torch.where(x < 0, x * torch.rsqrt(1 + x * x), x),
        lambda g, x: g * torch.where(x < 0, torch.rsqrt(1 + x * x) ** 3, torch.ones_like(x))),
        torch.linspace(-2, 2, 6, dtype=torch.float64))),
    "nan for one of two inputs": Scenario(lambda: check(np.remainder, X, X + 1)),
    "one derivative at a jump": Scenario(lambda: check(angle(1, 1), X, X + 1)),
    "a model that keeps what it has seen": Scenario(
        lambda: (lambda m: check(m.loss, X, gradient=m.gradient))(Model())),
    # wrong
    "not for one row": Scenario(
        lambda: check(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (1 + (len(x) < 2))), REVERSE),
    "not for a sum": Scenario(lambda: check(np.sin, X, vjp=in_a_sum),
                              ("expanded cotangent", MISCONDUCT)),
    "not for torch's sum": Scenario(lambda: check(function(torch.sin, in_a_sum), T),
                                    ("expanded cotangent", MISCONDUCT)),
    "third order alone": Scenario(lambda: check(function(torch.sin, lambda g, x: g * Bent.apply(x)),
                                                T),
                                  ("third order", WRONG)),
    "tanh's slope for erf's": Scenario(lambda: check(gelu(gelu_tanh_slope), T), REVERSE, TWICE),
    "1/N is missing": Scenario(lambda: check(mean_square(lambda x: 1), T), REVERSE),
    "wrong above 3": Scenario(lambda: check(function(torch.sin, lambda g, x: g * torch.where(
        x > 3, torch.ones_like(x), torch.cos(x))), T / 4), REVERSE),
    "wrong by 1e-7": Scenario(lambda: check(gelu(lambda x: gelu_slope(x) * (1 + 1e-7)), T),
                              REVERSE),
    "one entry wrong by 1e-7": Scenario(
        lambda: check(function(torch.sin, lambda g, x: g * torch.cos(x) * (
            1 + 1e-7 * (torch.arange(x.numel()).reshape(x.shape) == 1))), T), REVERSE),
    "single precision inside": Scenario(
        lambda: check(function(torch.sin, lambda g, x: g * torch.cos(x.float()).to(
            g.dtype)), T, reference=np.sin), REVERSE),
    "wrong by 1e-12, on balls":
        Scenario(lambda: check(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (1 + 1e-12)),
                 REVERSE),
    "a primitive wrong by 1e-12": Scenario(lambda: check(sine(1 + 1e-12), X), REVERSE, FORWARD),
    "not seen by a cotangent of ones": Scenario(lambda: check(lambda x: nn.softmax(x, -1), X,
                                                              vjp=lambda g, x: 2
                                                              * softmax_vjp(g, x)), REVERSE),
    "jvp's sign": Scenario(lambda: check(np.sin, X, vjp=lambda g, x: g * np.cos(x),
                                         jvp=lambda v, x: -v[0] * np.cos(x)), FORWARD),
    "black box, wrong by 1e-7": Scenario(lambda: check(black_box, X,
                                                       vjp=lambda g, x: g * cos_of(x, 1 + 1e-7)),
                                         REVERSE),
    "second derivative lost":
        Scenario(lambda: check(function(torch.sin, lambda g, x: g * torch.cos(x.detach())), T),
                 TWICE),
    "another function than the reference": Scenario(lambda: check(F.gelu, T, reference=nn.silu),
                                                    ("value", WRONG)),
    "nan for zeros, in floats alone": Scenario(
        lambda: check(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (
            np.where(x == 0, np.nan, 1) if isinstance(x, np.ndarray) else 1)),
        ("reverse", NOT_FINITE)),
    "nan for zeros": Scenario(lambda: check(lambda x: np.sum(x * x), X,
                                            gradient=lambda x: 2 * x * x / x),
                              ("reverse", NOT_FINITE)),
    "twice the tie": Scenario(lambda: check(np.maximum, X, X + 1, vjp=summed(lambda g, a, b: (
        g * (a >= b), g * (b >= a)))), ("kink", WRONG)),
    "outside the slopes": Scenario(lambda: check(ramp(2.0, 2.0), X), ("kink", KINK)),
    "two subgradients": Scenario(lambda: check(ramp(0.0, 1.0), X), ("kink", KINK)),
    "state is kept": Scenario(lambda: check(np.sin, X, vjp=Keeping()),
                              ("repeated calls", MISCONDUCT)),
    "the first call is remembered": Scenario(lambda: check(np.sin, X, vjp=Remembering()),
                                             ("earlier calls", MISCONDUCT)),
    "the cotangent is overwritten": Scenario(lambda: check(np.sin, X, vjp=overwriting),
                                             ("mutation", MISCONDUCT)),
    "tangents are overwritten": Scenario(lambda: check(np.sin, X, jvp=overwriting_tangents),
                                         ("mutation, forward", MISCONDUCT)),
    "memory is read in its own order": Scenario(lambda: check(np.sin, X,
                                                              vjp=in_the_order_of_memory),
                                                ("transposed cotangent", WRONG)),
    "memory is read in its own order, above 4": Scenario(lambda: check(
        lambda x: nn.relu(x - 4), np.tile(X, (2, 2)),
        vjp=lambda g, x: in_the_order_of_memory(g, 0 * x) * (x > 4)),
        ("transposed cotangent", WRONG)),
    "nan in one mode at a jump": Scenario(lambda: check(angle(0, np.nan), X, X + 1),
                                          ("forward", NOT_FINITE)),
    "two derivatives at a jump": Scenario(lambda: check(angle(0, 1), X, X + 1), ("kink", KINK)),
    "shapes are squeezed": Scenario(lambda: check(np.sin, X,
                                                  vjp=lambda g, x: np.ravel(g * np.cos(x))),
                                    ("reverse", MISCONDUCT)),
    "float32 comes back": Scenario(lambda: check(np.sin, X,
                                                 vjp=lambda g, x: (g * np.cos(x)).astype(np.float32)
                                                 if x.dtype == np.float64 else g * np.cos(x)),
                                   ("shape and dtype", MISCONDUCT)),
    "one gradient too few": Scenario(lambda: check(np.multiply, X, X + 1,
                                                   vjp=lambda g, a, b: (g * b,)),
                                     ("reverse", MISCONDUCT)),
    "no gradient": Scenario(lambda: check(np.multiply, X, X + 1, vjp=lambda g, a, b: (g * b, None)),
                            REVERSE),
    "a cotangent is clipped": Scenario(lambda: check(np.sin, X, vjp=lambda g, x: np.cos(x) * (
        np.clip(g, -5, 5) if isinstance(g, np.ndarray) else g)), ("linearity", MISCONDUCT)),
    "a buffer is used again": Scenario(lambda: check(np.sin, X, vjp=Reusing()),
                                       ("mutation", MISCONDUCT)),
    "the function overwrites": Scenario(
        lambda: check(lambda x: np.multiply(x, 2, out=x) if isinstance(
            x, np.ndarray) else x * 2, X, vjp=lambda g, x: 2 * g), ("mutation", MISCONDUCT)),
    "no answer": Scenario(lambda: check(np.sin, X, vjp=lambda g, x: g.no_such_attribute),
                          ("reverse", "no answer")),
    "nondeterministic": Scenario(lambda: check(lambda x: F.dropout(x, 0.5), T.repeat(8, 8)),
                                 ("repeated calls", MISCONDUCT)),
    "only for contiguous cotangents": Scenario(lambda: check(
        np.sin, X,
        vjp=lambda g, x: (g if isinstance(g, np.ndarray) and g.flags.c_contiguous or not isinstance(
            g, np.ndarray) else 0 * g) * np.cos(x)), ("strided arrays", WRONG)),
    "not for empty arrays": Scenario(lambda: check(np.sin, X,
                                                   vjp=lambda g, x: g * np.cos(x) + 0 * np.max(x)),
                                     has="no answer  ValueError"),
    "one row for the broadcast sum": Scenario(lambda: check(product(), X, X + 1), REVERSE),
    "not for broadcasting at all": Scenario(lambda: check(np.multiply, X, X + 1,
                                                          vjp=lambda g, a, b: (g * b, g * a))),
    "no broadcast sum": Scenario(lambda: check(np.multiply, X, X[:1] + 1,
                                               vjp=lambda g, a, b: (g * b, (g * a)[:1])),
                                 REVERSE),
}
