"""refgrad: the same programs on floats and on balls."""

from __future__ import annotations

import numpy as np

import refgrad
from refgrad import nn

from .interface import Library


class Refgrad(Library):
    """refgrad, whose own rules are tested."""

    name = "refgrad"
    exact = True
    imports = "import numpy as np; from refgrad import grad, jvp, nn"
    gradient, slope, array, dtype = "grad", "jvp", "np.array", "np."
    spaces = (("nn", nn), ("np", np))

    grad = staticmethod(refgrad.grad)
    jvp = staticmethod(refgrad.jvp)

    @staticmethod
    def inner(a, b):
        """<a, b> over all arrays of two dicts."""
        total = 0
        for k in a:
            total = total + np.sum(a[k] * b[k])
        return total

    def arrays(self, arrays, dtype):
        return {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()}

    def numpy(self, found):
        return found

    @staticmethod
    def _random(name, input, p, seed):
        return getattr(nn, name)(input, p, True, generator=np.random.default_rng(seed))

    @staticmethod
    def _l2_penalty(*parameters, weight_decay):
        return nn.l2_penalty(list(parameters), weight_decay)

    @staticmethod
    def _write_random(name, input, options, shape, dtype):
        generator = f"np.random.default_rng({options['seed']})"
        return f"nn.{name}({input}, {options['p']!r}, True, generator={generator})"

    @staticmethod
    def _write_l2_penalty(arguments, options, shape, dtype):
        return f"nn.l2_penalty([{', '.join(arguments)}], {options['weight_decay']!r})"


LIBRARY = Refgrad()
inner = LIBRARY.inner
