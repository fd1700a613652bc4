"""A random network on trial, as one library runs and differentiates it."""

from __future__ import annotations

import numpy as np

from ..ball import Ball
from ..networks.network import Network, interpret
from ..truth.by_balls import ByBalls
from .arguments import Arguments
from .libraries.interface import Library
from .libraries.refgrad_library import LIBRARY as REFGRAD
from .subject import Subject


class NetworkSubject(Subject):
    """A network of a library. Its result is a scalar, so it needs no weights.

    leaves, constants  what `Network.draw` gives
    """

    def __init__(self, network: Network, library: Library, leaves, constants, dtypes):
        arguments = Arguments(list(leaves), leaves.values(), range(len(leaves)))
        super().__init__(None, arguments, dtypes, name=network.id)
        self.network, self.library, self.given_constants = network, library, constants
        self.by_refgrad = library.exact

    def answer(self, mode, x, weights, u, v, dtype):
        constants, x, u, v = (self.library.arrays(d, dtype)
                              for d in (self.given_constants, x, u, v))

        def loss(x):
            return interpret(self.network, self.library.function, x, constants)

        return self.library.numpy(self.library.differentiate(mode, loss, x, u, v))

    def at_work(self):
        return self.library.at_work()


def known_of(network, leaves, constants, u, v, seed=None, **options):
    """What is known of a network, `ByBalls` that allow for nothing but rounding; `seed` is its size
    if it is None."""
    seed = network.size if seed is None else seed
    return ByBalls(on_balls(network, constants), leaves, None, u, v, seed, strict=True, **options)


def on_balls(network, constants):
    """The network as a function of a dict of Balls: its constants are exact, too."""
    balls = {k: Ball(a) if np.asarray(a).dtype.kind == "f" else a for k, a in constants.items()}
    return lambda x: interpret(network, REFGRAD.function, x, balls)
