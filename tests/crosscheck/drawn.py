"""Networks for tests."""

import numpy as np

from crosscheck.networks import network_of_id
from crosscheck.networks.builder import LAYERS, LOSSES, Builder, named


def id_of(name, seed=0):
    """The id of the network in which a layer, or a loss, stands alone."""
    return f"full-{seed}-{[*LAYERS, *LOSSES].index(name)}"


def alone(name, seed=0):
    """The network in which a layer, or a loss, stands alone."""
    return network_of_id(id_of(name, seed))


def chain(*names, seed=0):
    """A network of these layers and, last, a loss, on three rows of four features."""
    b = Builder(np.random.default_rng(seed), (4,), 3)
    for name in names:
        named(name).build(b)
    return b.network(f"full-{seed}-0", len(names))
