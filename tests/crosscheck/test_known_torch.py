"""Derivatives of torch that are wrong, each in a mode of its own, and right ones beside them."""

import pytest

from crosscheck import check
from crosscheck.modes import Mode
from crosscheck.points import AS_GIVEN

torch = pytest.importorskip("torch")
F = torch.nn.functional
L = torch.linalg

REVERSE, FORWARD = Mode.REVERSE, Mode.FORWARD
TWICE, FORWARD_REVERSE = Mode.REVERSE_OVER_REVERSE, Mode.FORWARD_OVER_REVERSE
REVERSE_FORWARD, FORWARD_TWICE = Mode.REVERSE_OVER_FORWARD, Mode.FORWARD_OVER_FORWARD

AT = torch.tensor([0, 0, 1])
MATRIX, OTHER = [[1.3, 0.4], [-0.7, 0.9]], [[0.5, -1.0], [0.3, 0.8]]
ROWS = [[0.3, -1.2, 0.7], [1.1, 0.4, -0.5]]
TRIANGLE = [[1.7, 0.0], [1.0, 2.0]]


def root_or_zero(x):
    return torch.where(x > 0, torch.sqrt(x), torch.zeros_like(x))


def product_scattered(s, x):
    return s.scatter_reduce(0, AT, x, "prod")


def polar(r, t):
    return torch.view_as_real(torch.polar(r, t))


#: name -> (function, its inputs, the modes in which torch's derivative is wrong there)
WRONG = {
    "a lost tail of sigmoid": (torch.sigmoid, ([40.0],), (REVERSE, FORWARD, TWICE)),
    "a lost tail of tanh": (torch.tanh, ([-20.0],), (REVERSE, FORWARD_TWICE)),
    "a lost tail of expm1": (torch.expm1, ([-40.0],), (REVERSE, FORWARD)),
    "a lost curvature of logsigmoid": (F.logsigmoid, ([40.0],), (TWICE, FORWARD_REVERSE)),
    "a lost gradient of tanhshrink": (F.tanhshrink, ([1e-9],), (REVERSE, FORWARD)),
    "a lost entry of softmax": (lambda x: F.softmax(x, 0), ([0.0, 40.0],), (REVERSE,)),
    "sinc at 0": (torch.sinc, ([0.0],), (TWICE, FORWARD_REVERSE, FORWARD_TWICE)),
    "hardsigmoid's sixth": (F.hardsigmoid, ([1.0],), (REVERSE, FORWARD)),
    "logaddexp far apart": (torch.logaddexp, ([800.0], [-800.0]), (TWICE, FORWARD_TWICE)),
    "powers of an exponent 0": (torch.pow, ([2.0], [0.0]), (TWICE, FORWARD_REVERSE, FORWARD_TWICE)),
    "an unused root": (root_or_zero, ([-1.0, 4.0],), (REVERSE, TWICE, REVERSE_FORWARD)),
    "an unused overflow": (lambda x: torch.where(x > 0, x, torch.exp(x)), ([-1.0, 800.0],),
                           (REVERSE, TWICE)),
    "cumprod at zeros": (lambda x: torch.cumprod(x, 0), ([2.0, 0.0, 3.0],),
                         (REVERSE_FORWARD, FORWARD_TWICE)),
    "layer_norm": (lambda x: F.layer_norm(x, (3,)), (ROWS,), (REVERSE_FORWARD, FORWARD_TWICE)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), (ROWS,),
                   (REVERSE_FORWARD, FORWARD_TWICE)),
    "instance_norm": (F.instance_norm, ([ROWS],), (REVERSE_FORWARD, FORWARD_TWICE)),
    "det": (L.det, (MATRIX,), (REVERSE_FORWARD, FORWARD_TWICE)),
    "det of a singular matrix": (L.det, ([[1.0, 2.0], [2.0, 4.0]],), (REVERSE, FORWARD)),
    "slogdet": (lambda a: L.slogdet(a)[1], (MATRIX,), (REVERSE_FORWARD, FORWARD_TWICE)),
    "solve from the right": (lambda a, b: L.solve(a, b, left=False), (MATRIX, OTHER),
                             (REVERSE_FORWARD, FORWARD_TWICE)),
    "cholesky_inverse": (torch.cholesky_inverse, (TRIANGLE,),
                         (FORWARD, REVERSE_FORWARD, FORWARD_TWICE)),
    "the nuclear norm of equal singular values": (
        lambda a: L.matrix_norm(a, "nuc"), ([[1.0, 0.0], [0.0, 1.0]],), (TWICE, FORWARD_TWICE)),
    "cosine_similarity below eps": (
        lambda a, b: F.cosine_similarity(a, b, 0), ([1e-9, 2e-9], [0.5, -1.0]), (REVERSE, TWICE)),
    "polar at 0": (polar, ([0.0], [0.5]), (REVERSE, FORWARD_REVERSE)),
    "scatter_reduce of products": (
        product_scattered, ([1.5, 2.0], [0.5, -1.0, 3.0]), (FORWARD, REVERSE_FORWARD)),
    "as_strided_scatter": (lambda a, s: torch.as_strided_scatter(a, s, (1,), (1,), 1),
                           ([1.0, 2.0], [3.0]), (REVERSE,)),
}

#: name -> (function, its inputs), where torch is right in all modes and at the points around
RIGHT = {
    "sigmoid": (torch.sigmoid, ([1.3, -0.7],)),
    "tanh": (torch.tanh, ([0.3, 12.0],)),
    "copysign": (torch.copysign, ([2.5], [-3.0])),
    "clamp at its bounds": (lambda x: x.clamp(-1.0, 2.0), ([-1.0, 0.5, 2.0],)),
    "amax of a tie": (lambda x: torch.amax(x, 0), ([2.0, 2.0, -1.0],)),
    "abs at 0": (torch.abs, ([0.0, 2.0],)),
    "a norm of zeros": (L.vector_norm, ([0.0, 0.0],)),
    "acosh near 1": (torch.acosh, ([1 + 1e-12],)),
    "prod at two zeros": (lambda x: torch.prod(x, 0), ([2.0, 0.0, 0.0],)),
    "log_softmax": (lambda x: F.log_softmax(x, 0), ([1.0, 2.0, 3.0],)),
    "tanh's gelu": (lambda x: F.gelu(x, approximate="tanh"), ([-5.0, 0.7],)),
    "an unused logarithm": (lambda x: torch.where(x > 0, torch.log(x), x), ([-1.0, 4.0],)),
    "inv": (L.inv, (MATRIX,)),
    "lu_solve": (lambda b, a: L.lu_solve(*L.lu_factor(a), b), (OTHER, MATRIX)),
    "rms_norm": (lambda x: F.rms_norm(x, (3,)), (ROWS,)),
}


def tensors(inputs):
    return [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_torch_is_found_in_its_own_mode(name):
    f, inputs, modes = WRONG[name]
    report = check(f, *tensors(inputs), dtypes="float64")
    assert set(modes) <= {v.check for v in report.failures if v.point == AS_GIVEN}, report


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_in_torch_is_not_called_wrong(name):
    f, inputs = RIGHT[name]
    report = check(f, *tensors(inputs))
    assert report.how == "balls" and report.ok, report


def test_a_right_mode_of_a_function_is_not_called_wrong_beside_a_wrong_one():
    report = check(L.det, *tensors([MATRIX]))
    assert {v.check for v in report.failures} == {REVERSE_FORWARD, FORWARD_TWICE}, report
