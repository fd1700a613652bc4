"""torch's gradcheck and gradgradcheck on a network as torch has it: every number that is
differentiated, in float64."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from ....networks import interpret
from ....subjects.libraries.torch_library import LIBRARY as TORCH
from ...checkers.answer import Refused
from ...checkers.torch_peer import CHECKS

#: The step of gradcheck's differences, its default.
STEP = 1e-6


class Subject:
    """A network as a function of tensors, and the tensors at which it is checked."""

    def __init__(self, network, leaves, constants):
        held = TORCH.arrays(constants, "float64")
        self.inputs = [t.requires_grad_() for t in TORCH.arrays(leaves, "float64").values()]
        self.function = lambda *inputs: interpret(network, TORCH.function,
                                                  dict(zip(leaves, inputs)), held)

    def check(self, name):
        """Raise Refused if torch's checker of that name, slow as it is by default, calls a
        derivative wrong."""
        try:
            CHECKS[name](self.function, self.inputs)
        except GradcheckError as error:
            raise Refused(str(error)) from error

    def digits(self, sizes):
        """To how many digits gradcheck's differences and torch's gradient agree, relative to
        `sizes`, one for each input: the fewest, and none if they agree in nothing; nan where the
        sizes are not known."""
        if not sizes:
            return np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gradients = torch.autograd.grad(self.function(*self.inputs), self.inputs,
                                            materialize_grads=True)
            apart = [float(torch.max(torch.abs(self._differences(x) - g)))
                     for x, g in zip(self.inputs, gradients)]
        return max(0.0, min(-np.log10(a / size) if a else np.inf for a, size in zip(apart, sizes)))

    @torch.no_grad()
    def _differences(self, x):
        """Central differences along each entry of one of the inputs, which is put back."""
        entries = x.detach().view(-1)  # the same memory
        slopes = torch.empty_like(entries)
        for i, here in enumerate(entries.tolist()):
            entries[i] = here + STEP
            above = self.function(*self.inputs)
            entries[i] = here - STEP
            slopes[i] = (above - self.function(*self.inputs)) / (2 * STEP)
            entries[i] = here
        return slopes.view_as(x)


@contextmanager
def generator(seed):
    """gradgradcheck draws from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
