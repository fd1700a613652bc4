"""A network under construction, and the registry of the layers and losses that can be appended to
it.

A layer is one function of a `Builder`: it draws options, declares the arrays that it needs and
appends a call in the names and signatures of torch.nn.functional.  The draw, the coverage tables
and the report read the registry, so that one function is all that a new layer needs.
"""

from __future__ import annotations

from typing import NamedTuple
from collections.abc import Callable

import numpy as np

from .network import Array, Call, Network

#: The inputs that a network can start from: its axes, and whether axis 1 holds channels.  Rows and
#: steps end with the features; tokens are integers below `VOCABULARY`.
ROWS, STEPS, SERIES, IMAGES, VOLUMES, TOKENS = (
    "rows (N, W)", "steps (T, N, W)", "series (N, C, L)", "images (N, C, H, W)",
    "volumes (N, C, D, H, W)", "tokens (N, T)")
KINDS = ROWS, STEPS, SERIES, IMAGES, VOLUMES, TOKENS

#: How many axes of space come after the channels.
SPACE = {SERIES: 1, IMAGES: 2, VOLUMES: 3}

#: How many different tokens there are.
VOCABULARY = 5


class Layer(NamedTuple):
    """What can be appended to a network.

    build   appends it to a Builder
    fits    whether it can be appended to the Builder's current result
    family  the layers that coverage counts together
    """

    build: Callable
    fits: Callable
    family: str


#: name -> `Layer`.  A loss makes a scalar of the current result.
LAYERS: dict = {}
LOSSES: dict = {}


def named(name) -> Layer:
    """The layer or loss of that name."""
    return LAYERS[name] if name in LAYERS else LOSSES[name]


def anywhere(b):
    """Fits any current result but tokens."""
    return not b.tokens


def features(b):
    """Fits where the last axis holds features."""
    return not b.tokens and not b.channels


def space(*dimensions):
    """Fits where so many axes of space come after the channels."""
    return lambda b: not b.tokens and b.channels and len(b.shape) - 2 in dimensions


def layer(name, family, fits=anywhere):
    """Register a function of a Builder as a layer."""
    def register(build):
        LAYERS[name] = Layer(build, fits, family)
        return build
    return register


def loss(name, family, fits=anywhere):
    """Register a function of a Builder as a loss."""
    def register(build):
        LOSSES[name] = Layer(build, fits, family)
        return build
    return register


class Builder:
    """A network under construction.

    h, shape  the name of the current result, and its shape
    channels  whether axis 1 of it holds channels, and those after it are space; else the last
              axis holds features
    tokens    whether it holds integers
    """

    def __init__(self, rng, widths, batch, kind=ROWS, input_scale=1.0):
        self.rng, self.widths = rng, widths
        self.arrays, self.calls, self.seen = {}, [], []
        self.channels, self.tokens = kind in SPACE, kind == TOKENS
        if kind == STEPS:
            shape = (int(rng.integers(2, 5)), batch, self.width())
        elif kind in SPACE:
            sizes = (2, 3, 4) if kind == IMAGES else (2, 2, 3) if kind == VOLUMES else (3, 4, 6)
            shape = (min(batch, 2), int(rng.choice([2, 2, 4])),
                     *(int(rng.choice(sizes)) for _ in range(SPACE[kind])))
        else:
            shape = (batch, int(rng.integers(1, 4)) if kind == TOKENS else self.width())
        if kind == TOKENS:
            self.h = self.constant("x", shape, law="classes", scale=float(VOCABULARY))
        else:
            self.h = self.array("x", shape, role="input", scale=input_scale)
        self.shape = shape

    def width(self):
        return int(self.rng.choice(self.widths))

    def chance(self, p):
        return bool(self.rng.random() < p)

    def one_of(self, *choices):
        """One of the choices, drawn."""
        return choices[self.rng.integers(len(choices))]

    def array(self, name, shape, role="parameter", **law):
        """Declare an array under a name of its own."""
        number = sum(a.split("_")[0] == name for a in self.arrays)
        name = f"{name}_{number}" if name != "x" else "x"
        self.arrays[name] = Array(tuple(int(n) for n in shape), role,
                                  seed=int(self.rng.integers(2**32)), **law)
        return name

    def parameter(self, name, shape, scale=1.0, law="normal"):
        """A trained array.

        Now and then it is a thousand times smaller or larger than usual, or shared with another
        layer.
        """
        like = [k for k, a in self.arrays.items() if k.split("_")[0] == name
                and (a.role, a.law, a.shape) == ("parameter", law, tuple(shape))]
        if like and self.chance(0.5):
            return str(self.rng.choice(like))
        usual = 0.9 > self.rng.random()
        factor = 1.0 if usual else float(10.0 ** self.rng.uniform(-3, 3))
        return self.array(name, shape, scale=float(scale) * factor, law=law)

    def constant(self, name, shape, **law):
        return self.array(name, shape, role="constant", **law)

    def call(self, function, *others, layer, shape=None, named=None, **options):
        """Append ``h = function(h, *others, ...)``; `shape` is that of the result, if it
        changes."""
        self.append(function, (self.h, *others), layer, shape, named, options)

    def append(self, function, arguments, layer=None, shape=None, named=None, options=None):
        """Append ``h = function(*arguments, **named, **options)``."""
        if not self.tokens:
            self.seen.append((self.h, self.shape, self.channels))
        result = f"h{len(self.calls) + 1}"
        self.calls.append(Call(function, tuple(arguments), result, options or {},
                               named or {}, layer))
        self.h, self.tokens = result, False
        self.shape = self.shape if shape is None else tuple(map(int, shape))
        return result

    def state(self):
        """Where the network is now, for `go_back`."""
        return self.h, self.shape, self.channels, list(self.seen)

    def go_back(self, state):
        """Make an earlier state the current one; the calls since then stay."""
        self.h, self.shape, self.channels, seen = state
        self.seen = list(seen)

    def beside(self, function, arguments, shape=None, named=None, options=None):
        """The name of a result that is no step of the way: the current one stays."""
        state = self.state()
        result = self.append(function, arguments, None, shape, named, options)
        self.go_back(state)
        return result

    def earlier(self, fits=lambda shape: True):
        """(name, shape) of an earlier result of this layout whose shape fits, or None."""
        found = [(name, shape) for name, shape, channels in self.seen
                 if channels == self.channels and fits(shape)]
        return found[self.rng.integers(len(found))] if found else None

    def other(self):
        """The name of a result of the current shape: an earlier one, or a linear map of this
        one."""
        found = self.earlier(lambda shape: shape == self.shape)
        if found:
            return found[0]
        n = self.shape[-1]
        weight = self.parameter("weight", (n, n), scale=1 / np.sqrt(n))
        return self.beside("linear", (self.h, weight))

    def network(self, id, depth):
        return Network(id, self.arrays, tuple(self.calls), depth)
