"""The precision at which a function works is found and named, and derivatives are judged by it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crosscheck import check, examination
from crosscheck.subjects.torch_function import subject_of
from crosscheck.subjects.torch_function import TorchSubject
from crosscheck.truth import by_differences, precision, switches
from crosscheck.truth.precision import nominal, precision_of
from crosscheck.verdict import LESS_ACCURATE, WRONG
from tests.crosscheck.scenarios import function

HALF, BRAIN = torch.float16, torch.bfloat16


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


A, B, SQUARE = normal(8, 4), normal(4, 5, seed=1), normal(4, 4, seed=2)
Q = [normal(5, 4, seed=k) for k in range(3)]
LONG, DEEP = normal(6, 64, seed=3), normal(64, 5, seed=4)


class Eleven(torch.autograd.Function):
    """Rounds to eleven bits, as tensor cores do with the operands of a product."""

    @staticmethod
    def forward(ctx, x):
        significand, exponent = torch.frexp(x)
        return torch.ldexp(torch.round(significand * 2.0 ** 11) / 2.0 ** 11, exponent)

    @staticmethod
    def backward(ctx, g):
        return g


eleven = Eleven.apply


def product(a, b):
    return (a.float() @ b.float()).to(a.dtype)


def rms_norm(x, w):
    return (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * w


def layer_norm(x, w):
    h = x.float() - x.float().mean(-1, keepdim=True)
    return (h * torch.rsqrt((h * h).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


def cast_once(x, w):
    with torch.autocast("cpu", dtype=BRAIN):
        return F.linear(x, w).tanh()


def attention(q, k, v):
    return torch.softmax(q @ k.T / 2, -1) @ v


def only(dtype, f):
    def restricted(*x):
        if x[0].dtype != dtype:
            raise TypeError(f"expected {dtype}")
        return f(*x)
    return restricted


# What is found


def found(f, inputs, dtype):
    subject = subject_of(f, inputs, (dtype,))
    return precision_of(lambda x: subject.value(x, dtype), subject.inputs(), dtype)


def brain(x):
    return (2 * x.to(BRAIN)).tanh().to(x.dtype)


@pytest.mark.parametrize("f, inputs, dtype, name, recognised", [
    (product, (A, B), "float64", "float32", True),
    (rms_norm, (A, B[:, 0]), "float64", "float32", False),
    (layer_norm, (A, B[:, 0]), "float64", "float32", False),
    (lambda x, w: (x @ w).float().softmax(-1).log().mean(), (A, B), "float64", "float32", True),
    (lambda x: x * x.sin().float(), (A,), "float64", "float32", False),
    (cast_once, (A, B.T), "float32", "bfloat16", True),
    (lambda x: (x.half().exp() * 2).to(x.dtype), (A,), "float32", "float16", True),
    (lambda x: (x.half() * 3).to(x.dtype), (A,), "float64", "float16", True),
    (lambda a, b: eleven(a) @ eleven(b), (A, B), "float32", "TF32", True),
    (lambda a, b: a + eleven(a.tanh()) @ eleven(b), (A, SQUARE), "float64", "TF32", False),
    (brain, (A,), "float64", "bfloat16", True),
    (lambda x: x + brain(x), (A,), "float64", "bfloat16", False),
    (lambda *q: attention(*(a.to(BRAIN) for a in q)).to(q[0].dtype), Q, "float64", "bfloat16",
     True)])
def test_the_precision_is_found_and_named(f, inputs, dtype, name, recognised):
    it = found(f, inputs, dtype)
    assert it.coarse and it.form.name == name and bool(it.how) == recognised
    verb = "works in" if recognised else "is as accurate as"
    assert f"Called in {dtype} it {verb} {name}" in it.text


@pytest.mark.parametrize("f", [
    torch.sin, torch.relu, torch.round, torch.floor, torch.sign, torch.linalg.svdvals,
    lambda x: x + torch.round(3 * x), lambda x: 1e6 + x.sin(), lambda x: x.amax(),
    lambda x: torch.round(x, decimals=3), lambda x: x + torch.round(500 * x) / 500,
    lambda x: torch.round(127 * x) / 127, lambda x: torch.fmod(x, 0.01),
    lambda x: torch.round(x, decimals=2) @ SQUARE.to(x.dtype),
    lambda x: torch.sin(1e6 * x), lambda x: torch.sin(3000 * x), lambda x: x.abs().sqrt(),
    lambda x: torch.relu(x @ SQUARE.to(x.dtype)) @ SQUARE.to(x.dtype), lambda x: x.sort(0)[0],
    lambda x: torch.softmax(40 * x, -1), lambda x: 1e-200 * x, lambda x: torch.exp(-40 * x * x),
    lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: (x - x).norm() + x.sum(),
    lambda x: torch.zeros_like(x) + x[0]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_works_in_its_dtype_is_said_to(f, dtype):
    assert not found(f, (A,), dtype).coarse


# What it is judged by


def summed(terms, dtype=BRAIN):
    """The sum over the first axis, one by one, in few bits."""
    total = torch.zeros_like(terms[0], dtype=dtype)
    for term in terms.to(dtype):
        total = total + term
    return total


def to_a(sums, forward=product):
    """A product whose gradient by a is ``sums(g, b)``."""
    return function2(forward, lambda g, a, b: (
        sums(g, b).to(a.dtype), (a.float().T @ g.float()).to(b.dtype)))


def function2(forward, backward):
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return forward(a, b)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Function


def in_brain(g, b):
    return summed(g.T[:, :, None] * b.T[:, None, :])


def in_single(g, b):
    return g.float() @ b.float().T


def few_terms(x):
    """exp, of small arguments by its first terms, as torch.matrix_exp computes it."""
    few = 1 + x * (1 + x * (1 / 2 + x * (1 / 6 + x / 24)))
    return torch.where(x.abs().sum() < 0.06, few, x.exp())


def square(factor):
    return function(lambda x: x * x, lambda g, x: factor * g * x)


RIGHT = {
    "float32 inside, given in bfloat16": lambda: check(product, A.to(BRAIN), B.to(BRAIN)),
    "float32 inside, against a reference": (lambda:
        check(product, A.to(BRAIN), B.to(BRAIN), reference=np.matmul)),
    "RMSNorm": lambda: check(rms_norm, normal(4, 6).to(BRAIN), normal(6).to(BRAIN)),
    "LayerNorm with statistics in float32": (lambda:
        check(layer_norm, normal(4, 6).double(), normal(6).double())),
    "autocast": lambda: check(cast_once, A, normal(3, 4)),
    "autocast in float32 alone": lambda: check(cast_once, A, normal(3, 4), dtypes=("float32",)),
    "TF32": lambda: check(lambda a, b: eleven(a) @ eleven(b), A, B),
    "TF32 beside what is exact": (lambda:
        check(lambda a, b: a + eleven(a.tanh()) @ eleven(b), A.double(), SQUARE.double())),
    "TF32 in float32 alone": (lambda:
        check(lambda a, b: a @ b if a.dtype == torch.float64 else eleven(a) @ eleven(b), A, B)),
    "float16 inside": lambda: check(lambda x: (x.half().exp() * 2).to(x.dtype), A.double()),
    "bfloat16 inside, beside what is exact": lambda: check(lambda x: x + brain(x), A.double()),
    "attention in bfloat16": (lambda:
        check(attention, *(q.to(BRAIN) for q in Q), dtypes=("bfloat16",))),
    "attention in bfloat16, called in more": lambda: check(
        lambda *q: attention(*(a.to(BRAIN) for a in q)).to(q[0].dtype), *Q),
    "float32 alone": lambda: check(only(torch.float32, lambda x: torch.tanh(x) * x), A),
    "bfloat16 alone": lambda: check(only(BRAIN, lambda x: torch.tanh(x) * x), A.to(BRAIN)),
    "float16 alone": (lambda:
        check(only(HALF, lambda x: torch.sin(x) + x), A.half(), dtypes=("float16",))),
    "the square in bfloat16": (lambda:
        check(square(2), torch.tensor([0.5, 1.0, 2.0]).to(BRAIN), dtypes=("bfloat16",))),
    "a backward in float32 as its forward": (lambda:
        check(to_a(in_single), LONG.to(BRAIN), DEEP.to(BRAIN))),
    "what underflows": lambda: check(lambda x: torch.exp(-40 * x * x), A),
    "products that underflow": lambda: check(lambda x: 1e-200 * x * x, A.double()),
    "what overflows": lambda: check(lambda x: torch.exp(40 * x * x), A),
    "large arguments": lambda: check(lambda x: torch.sin(x).sum(), 1e6 * A.double()),
    "sigmoid for softplus's slope": (lambda:
        check(function(F.softplus, lambda g, x: g * torch.sigmoid(x)), 10 * A[:2].double())),
    "a polynomial for small arguments": (lambda:
        check(function(few_terms, lambda g, x: g * x.exp()), A[:1].double() / 150)),
    "a large constant beside": lambda: check(lambda x: 1e6 + torch.sin(x), A),
    "tiny steps": (lambda:
        check(lambda x: torch.round(x, decimals=3), A[:2].double(), dtypes=("float64",))),
}

FAULTS = {
    "the square, wrong in bfloat16": (lambda:
        check(square(-7), torch.tensor([0.5, 1.0, 2.0]).to(BRAIN), dtypes=("bfloat16",))),
    "the square, wrong in float16": (lambda:
        check(square(2.2), torch.tensor([0.5, 1.0, 2.0]).half(), dtypes=("float16",))),
    "the square, wrong in bfloat16 alone": (lambda:
        check(only(BRAIN, square(-7).apply), A.to(BRAIN), dtypes=("bfloat16",))),
    "one per cent in float32 alone": lambda: check(only(torch.float32, square(2.02).apply), A),
    "sums in bfloat16 under float32": lambda: check(to_a(in_brain), LONG.to(BRAIN), DEEP.to(BRAIN)),
    "sums in bfloat16 under float32, in float32 alone": (lambda:
        check(only(torch.float32, to_a(in_brain).apply), LONG, DEEP)),
    "float32 under float64": (lambda:
        check(to_a(in_single, torch.matmul), LONG.double(), DEEP.double())),
    "a saved tensor in bfloat16": (lambda:
        check(to_a(lambda g, b: g.float() @ b.to(BRAIN).float().T), LONG, DEEP)),
    "one per cent under float32": (lambda:
        check(to_a(lambda g, b: 1.01 * in_single(g, b)), LONG, DEEP)),
    "detached by a cast": (lambda:
        check(lambda x: x + x.detach().float().tanh().to(x.dtype), A.double())),
    "detached in bfloat16": lambda: check(lambda x: x + brain(x.detach()), A.double()),
    "softplus, wrong by 1e-7": lambda: check(function(
        F.softplus, lambda g, x: g * torch.sigmoid(x) * (1 + 1e-7)), 10 * A[:2].double()),
    "a polynomial's slope for small arguments": lambda: check(function(torch.exp, lambda g, x: (
        g * torch.where(x.abs().sum() < 0.06, 1 + x * (1 + x * (1 / 2 + x / 6)), x.exp()))),
        A[:1].double() / 150, dtypes=("float64",)),
    "where the value is small": lambda: check(function(
        lambda x: x ** 4, lambda g, x: 4 * g * x ** 3 * torch.where(x.abs() < 0.01, 1 + 1e-6, 1.0)),
        A[:2].double(), dtypes=("float64",)),
}


@pytest.fixture(params=["balls", "differences"])
def measured_by(request, monkeypatch):
    """Both ways to know a torch function: on tensors that carry balls, or by its own values."""
    if request.param == "differences":
        monkeypatch.setattr(TorchSubject, "program", lambda self: None)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_at_its_precision_is_ok(name, measured_by):
    report = RIGHT[name]()
    assert report.ok, str(report)


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_at_its_precision_is_found(name, measured_by):
    report = FAULTS[name]()
    assert ("reverse", WRONG) in {(f.check, f.verdict) for f in report.failures}, str(report)


def test_a_report_says_in_what_a_function_works():
    report = check(product, A.double(), B.double(), dtypes=("float64",), quick=True, order=1)
    assert "Called in float64 it works in float32" in " ".join(str(report).split())
    assert not check(torch.sin, A).examination.works_in


def test_sums_in_the_dtype_itself_are_remarked(monkeypatch):
    monkeypatch.setattr(TorchSubject, "program", lambda self: None)

    def loop(g, b):
        return summed(g.T[:, :, None] * b.T[:, None, :], g.dtype)

    a, b = normal(6, 8).to(BRAIN), normal(8, 128).to(BRAIN)
    report = check(to_a(loop), a, b, dtypes=("bfloat16",))
    assert any(f.verdict == LESS_ACCURATE and "sum in more bits" in f.note for f in report.verdicts)


def test_the_switch_is_named():
    notes = {f.note for f in RIGHT["sigmoid for softplus's slope"]().verdicts}
    assert any("f's own switch: it jumps by" in note for note in notes)


# Rounding from call to call


def wandering(size, calls=[0]):
    """What another order of a sum may add."""
    calls[0] += 1
    return size * (calls[0] % 3 - 1) * 2.0 ** -52


def test_values_that_differ_in_the_last_bits_are_noise():
    report = check(lambda x: torch.sin(x) * (1 + wandering(1)), A.double(), dtypes=("float64",))
    assert report.ok and any("in another order" in f.note for f in report.verdicts)
    more = check(lambda x: torch.sin(x) * (1 + wandering(1e8)), A.double(), dtypes=("float64",))
    assert not more.ok


def test_a_gradient_that_differs_in_the_last_bits_is_said_to():
    wanders = function(torch.sin, lambda g, x: g * x.cos() * (1 + wandering(1)))
    failures = check(wanders, A.double()).failures
    assert {f.check for f in failures} == {"repeated calls"}
    assert all("differ by" in f.note and "in another order" in f.note for f in failures)


# The mechanism spoilt


@pytest.mark.parametrize("spoilt, noticed_by", [
    ((examination, "precision_of", lambda values, x, dtype: nominal(dtype)),
     (RIGHT, "float32 inside, against a reference")),
    ((precision, "_noise", lambda *arguments: 0.0),
     (RIGHT, "bfloat16 inside, beside what is exact")),
    ((precision, "_steps", lambda *arguments: False), (RIGHT, "tiny steps")),
    ((switches, "jump", lambda *arguments: 0.0), (RIGHT, "sigmoid for softplus's slope")),
    ((by_differences.ByDifferences, "_lost_to_rounding", lambda *arguments: 1.0),
     (FAULTS, "where the value is small")),
    ((by_differences, "SMALL", 0.0), (RIGHT, "sigmoid for softplus's slope"))])
def test_a_spoilt_mechanism_is_noticed(spoilt, noticed_by, monkeypatch):
    group, name = noticed_by
    monkeypatch.setattr(TorchSubject, "program", lambda self: None)
    monkeypatch.setattr(*spoilt)
    wrong = ("reverse", WRONG) in {(f.check, f.verdict) for f in group[name]().failures}
    assert wrong == (group is RIGHT)


# Whose error it is


@pytest.mark.parametrize("part", ["_flat", "_recognised"])
def test_an_error_of_the_checker_s_own_is_raised(part, monkeypatch):
    monkeypatch.setattr(precision, part, lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found(product, (A, B), "float64")


def test_where_the_function_has_no_value_nothing_is_found():
    def ends(x):
        if not torch.equal(x, A.to(x.dtype)):
            raise ValueError("outside of the domain")
        return x

    assert found(ends, (A,), "float64") == nominal("float64")
