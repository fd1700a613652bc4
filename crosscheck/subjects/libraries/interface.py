"""The interface of a library that differentiates networks."""

from __future__ import annotations

import contextlib
from functools import partial

import numpy as np

from refgrad import nn

from ...modes import Mode


#: Functions that draw random numbers.  A network names the seed, and all libraries get the numbers
#: that refgrad draws.
RANDOM = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
          "feature_alpha_dropout")


class Library:
    """A library: its functions, its arrays, its derivatives, and how a program of it is written.

    name     as tables have it
    exact    whether the exact derivatives are those of its rules, which are then on trial
             themselves
    space    name -> the expression under which a program has the function, of those that it does
             not find in `spaces`
    """

    name = ""
    exact = False

    #: The first line of a program, and how it writes gradient, slope, and an array's dtype.
    imports = gradient = slope = array = dtype = ""

    #: (what a program calls a namespace, the namespace), where functions are looked up in turn.
    spaces: tuple = ()

    def function(self, name):
        """The function that a network calls `name`, on this library's arrays.

        Raises NotImplementedError where it has none.
        """
        if name in RANDOM:
            return partial(self._random, name)
        found = self._found(name)
        if found is None:
            raise NotImplementedError(f"{self.name} has no function {name}")
        return found

    def _found(self, name):
        own = getattr(self, f"_{name}", None)
        return own or next((f for _, s in self.spaces if (f := getattr(s, name, None))), None)

    def lacks(self, network):
        """The names of the network's functions that this library does not have."""
        return [c.function for c in network.calls
                if c.function not in RANDOM and self._found(c.function) is None]

    def arrays(self, arrays: dict, dtype: str) -> dict:
        """NumPy arrays as this library's own, floats in that dtype; integers stay integers."""
        raise NotImplementedError

    def numpy(self, found: dict) -> dict:
        """Derivatives of this library as NumPy arrays."""
        return {k: np.asarray(a) for k, a in found.items()}

    def differentiate(self, mode: Mode, f, x, u, v) -> dict:
        """The derivatives of f, a scalar function of a dict of its arrays, at x along u and v: see
        `modes`."""
        return mode.differentiate(self, f, x, u, v)

    def at_work(self):
        """A context for its work. It uses one thread, since the networks are small."""
        return contextlib.nullcontext()

    # Programs as text

    def written(self, x, dtype):
        """An array, written in a program."""
        numbers, kind = repr(np.asarray(x).tolist()), np.asarray(x).dtype.kind
        return f"{self.array}({numbers}{f', {self.dtype}{dtype}' if kind == 'f' else ''})"

    def call(self, call, name, shapes, dtype):
        """A `Call`, written; ``name(a)`` is what its argument a is called, ``shapes[a]`` its
        shape."""
        arguments = [name(a) for a in call.arguments]
        options = dict(call.options)
        if call.function in RANDOM:
            return self._write_random(call.function, arguments[0], options,
                                      shapes[call.arguments[0]], dtype)
        special = getattr(self, f"_write_{call.function}", None)
        if special is not None:
            return special(arguments, options, shapes[call.arguments[0]], dtype)
        space = next(text for text, space in self.spaces if hasattr(space, call.function))
        named = [f"{k}={name(a)}" for k, a in call.named.items()] + [
            f"{k}={o!r}" for k, o in options.items()]
        return f"{space}.{call.function}({', '.join([*arguments, *named])})"

    # Functions that a library lacks, or has under another name

    @staticmethod
    def _item(x, index):
        return x[index]

    @staticmethod
    def _write_item(arguments, options, shape, dtype):
        return f"{arguments[0]}[{options['index']}]"

    @staticmethod
    def _pair(*arrays):
        return arrays

    @staticmethod
    def _write_pair(arguments, options, shape, dtype):
        return f"({', '.join(arguments)})"

    def _concatenate(self, *arrays, axis=-1):
        return self.spaces[-1][1].concatenate(arrays, axis=axis)

    def _write_concatenate(self, arguments, options, shape, dtype):
        joined = f"[{', '.join(arguments)}], axis={options.get('axis', -1)}"
        return f"{self.spaces[-1][0]}.concatenate({joined})"

    def _stack(self, *arrays):
        return self.spaces[-1][1].stack(arrays)

    def _write_stack(self, arguments, options, shape, dtype):
        return f"{self.spaces[-1][0]}.stack([{', '.join(arguments)}])"

    @staticmethod
    def _l2_penalty(*parameters, weight_decay):
        return sum((p * p).sum() for p in parameters) * weight_decay / 2

    def _write_l2_penalty(self, arguments, options, shape, dtype):
        squares = f"(p * p).sum() for p in [{', '.join(arguments)}]"
        return f"sum({squares}) * {options['weight_decay']!r} / 2"

    # Random functions

    def like(self, a, x):
        """A NumPy array as one of this library's, of the dtype of x."""
        raise NotImplementedError

    def _random(self, name, input, p, seed):
        factor, offset = drawn_by(name, tuple(input.shape), p, seed)
        scaled = input * self.like(factor, input)
        return scaled + self.like(offset, input) if offset.any() else scaled

    def _write_random(self, name, input, options, shape, dtype):
        factor, offset = drawn_by(name, shape, **options)
        scaled = f"{input} * {self.written(factor, dtype)}"
        return f"({scaled} + {self.written(offset, dtype)})" if offset.any() else scaled


def drawn_by(name, shape, p, seed):
    """(factor, offset) of a random function of refgrad, for libraries with another generator.

    With the numbers drawn, each of `RANDOM` is ``factor * x + offset``, entry by entry.
    """
    offset, total = (getattr(nn, name)(np.full(shape, x), p, True,
                                       generator=np.random.default_rng(seed))
                     for x in (0.0, 1.0))
    return total - offset, offset
