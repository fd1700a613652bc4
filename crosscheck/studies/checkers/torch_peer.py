"""torch's gradcheck and gradgradcheck on a NumPy program."""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from ... import check as check_gradient
from ...formats import FORMATS
from ...networks import interpret
from ...subjects.libraries.torch_library import LIBRARY as TORCH
from .answer import Refused, ask, refuse_unless_ok
from .program import Program
from .right import generator, layer_drawn, realize

CHECKS = {"gradcheck": torch.autograd.gradcheck, "gradgradcheck": torch.autograd.gradgradcheck}


def check(name, program, arrays, seed, **options):
    """Raise Refused if torch's checker calls a derivative of the program wrong."""
    inputs = [_tensor(a).requires_grad_() for a in arrays]
    with torch.random.fork_rng(devices=[]):  # gradgradcheck draws from the global generator
        torch.manual_seed(seed)
        try:
            CHECKS[name](function(program), inputs, **options)
        except GradcheckError as error:
            raise Refused(str(error)) from error


def function(program):
    """The program as a torch function, its derivatives of every order by refgrad."""
    def call(*tensors):
        return _Function.apply(Program.of(program, len(tensors)), *tensors)[0]
    return call


def layer(case):
    """The layer of a `RightCase` as torch has it: a function of tensors in the place of the case's
    arrays."""
    network, leaves, constants = layer_drawn(case, generator(case))

    def call(*inputs):
        held = {k: torch.as_tensor(a).to(inputs[0].dtype) if a.dtype.kind == "f"
                else torch.as_tensor(a)
                for k, a in constants.items()}
        return interpret(network, TORCH.function, dict(zip(leaves, inputs)), held)

    return call


def check_layer(case):
    """crosscheck's `Answer` about torch's own derivatives of a layer, in all dtypes, by the case's
    NumPy program."""
    program, arrays = realize(case)
    tensors = [_tensor(a).requires_grad_() for a in arrays]
    return ask(lambda: refuse_unless_ok(check_gradient(
        layer(case), *tensors, reference=program, dtypes=tuple(FORMATS), seed=case.seed)))


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(program, *tensors):
        return tuple(map(_tensor, program(*map(_array, tensors))))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.program, *tensors = inputs
        ctx.pull = None
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx, *cotangents):
        if torch.is_grad_enabled():  # to be differentiated again
            return None, *_Function.apply(ctx.program.adjoint, *ctx.saved_tensors, *cotangents)
        if ctx.pull is None:
            ctx.pull = ctx.program.pull(*map(_array, ctx.saved_tensors))
        return None, *map(_tensor, ctx.pull(tuple(map(_array, cotangents))))

    @staticmethod
    def jvp(ctx, _, *tangents):
        x = ctx.saved_tensors
        v = [torch.zeros_like(a) if t is None else t for a, t in zip(x, tangents)]
        return _Function.apply(ctx.program.tangent, *x, *v)


def _tensor(array):
    """A tensor of its own; torch takes neither negative strides nor, of arrays without entries,
    strides of zero."""
    return torch.from_numpy(np.array(array, order="C")).clone(memory_format=torch.contiguous_format)


def _array(tensor):
    return tensor.detach().numpy()


