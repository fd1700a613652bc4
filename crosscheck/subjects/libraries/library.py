"""What a library that differentiates networks is asked for."""

from __future__ import annotations

import contextlib

import numpy as np

from refgrad import nn

from ...modes import Mode


class Library:
    """A library: its functions, its arrays, its derivatives, and how a program of it is written.

    name     as tables have it
    exact    whether the exact derivatives are those of its rules, which are then on trial themselves
    space    name -> the expression under which a program has the function, of those that it does not find in `spaces`
    """

    name = ""
    exact = False

    #: The first line of a program, and how it writes gradient, slope, and an array's dtype.
    imports = gradient = slope = array = dtype = ""

    #: (what a program calls a namespace, the namespace), where functions are looked up in turn.
    spaces: tuple = ()

    def function(self, name):
        """The function that a network calls `name`, on this library's arrays."""
        own = getattr(self, f"_{name}", None)
        return own or next(found for _, space in self.spaces if (found := getattr(space, name, None)))

    def arrays(self, arrays: dict, dtype: str) -> dict:
        """NumPy arrays as this library's own, floats in that dtype; integers stay integers."""
        raise NotImplementedError

    def numpy(self, found: dict) -> dict:
        """Derivatives of this library as NumPy arrays."""
        return {k: np.asarray(a) for k, a in found.items()}

    def differentiate(self, mode: Mode, f, x, u, v) -> dict:
        """The derivatives of f, a scalar function of a dict of its arrays, at x along u and v: see `modes`."""
        return mode.differentiate(self, f, x, u, v)

    def at_work(self):
        """A context for its work: one thread, for networks are small."""
        return contextlib.nullcontext()

    # Programs as text

    def written(self, x, dtype):
        """An array, written in a program."""
        numbers, kind = repr(np.asarray(x).tolist()), np.asarray(x).dtype.kind
        return f"{self.array}({numbers}{f', {self.dtype}{dtype}' if kind == 'f' else ''})"

    def call(self, call, name, shapes, dtype):
        """A `Call`, written; ``name(a)`` is what its argument a is called, ``shapes[a]`` its shape."""
        arguments, options = [name(a) for a in call.arguments], dict(call.options)
        special = getattr(self, f"_write_{call.function}", None)
        if special is not None:
            return special(arguments, options, shapes[call.arguments[0]], dtype)
        space = next(text for text, space in self.spaces if hasattr(space, call.function))
        named = [f"{k}={name(a)}" for k, a in call.named.items()] + [f"{k}={o!r}" for k, o in options.items()]
        return f"{space}.{call.function}({', '.join([*arguments, *named])})"

    # What libraries do not have a function for

    @staticmethod
    def _l2_penalty(*parameters, weight_decay):
        return sum((p * p).sum() for p in parameters) * weight_decay / 2

    def _write_l2_penalty(self, arguments, options, shape, dtype):
        squares = f"(p * p).sum() for p in [{', '.join(arguments)}]"
        return f"sum({squares}) * {options['weight_decay']!r} / 2"

    def _write_dropout(self, arguments, options, shape, dtype):
        return f"{arguments[0]} * {self.written(kept_by_dropout(shape, **options), dtype)}"


def kept_by_dropout(shape, p, seed):
    """The mask of a dropout call, for libraries with another generator than refgrad's."""
    return nn.dropout(np.ones(shape), p, generator=np.random.default_rng(seed))
