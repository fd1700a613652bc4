"""Drawing networks, guided by coverage.

First each layer and each loss alone, then deeper and wider networks.  Every next layer is one whose pair with the layer
before it was met least often, so that all pairs occur long before chance alone would bring them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .layers import FITS, LAYERS, LOSSES, Builder, penalize


@dataclass
class Coverage:
    """How often each layer, and each pair of layers in sequence, was met."""

    layers: Counter = field(default_factory=Counter)
    pairs: Counter = field(default_factory=Counter)

    def meet(self, network):
        self.layers.update(network.layers)
        self.pairs.update(network.pairs)

    @staticmethod
    def possible():
        """(layers, pairs) that a full run meets."""
        layers = [*LAYERS, *LOSSES, "l2_penalty"]
        return layers, [(a, b) for a in LAYERS for b in [*LAYERS, *LOSSES]]

    def missing(self):
        layers, pairs = self.possible()
        return [a for a in layers if not self.layers[a]], [p for p in pairs if not self.pairs[p]]


@dataclass(frozen=True)
class Profile:
    """How large the drawn networks are.  `networks` is enough to meet every layer, and in full every pair of layers."""

    name: str
    networks: int
    widths: tuple
    batches: tuple
    depths: tuple
    layers: int       # how many layers for each unit of depth
    heads: tuple      # fewest and most losses on one network
    wide_every: int   # every so many networks, one of width up to 64 (0: never)
    thorough: bool    # whether the bounds of all modes are proven, or those of the gradient alone


PROFILES = {
    "full": Profile("full", 150, (1, 2, 3, 4, 5, 8), (1, 2, 3, 4, 5), (1, 2, 2, 3, 3, 4, 5, 6, 7, 8), 2, (1, 4), 20, True),
    "quick": Profile("quick", 60, (1, 2, 3), (1, 2, 3), (4, 5), 2, (5, 8), 0, False),
}


#: So many networks are drawn of a seed at most: each depends on those before it.
MOST = 1000


def draw_networks(seed, count, profile="full"):
    """(networks, coverage): the first `count` networks of a seed, each of which depends on those before it."""
    if not 1 <= count <= MOST:
        raise ValueError(f"networks: expected 1 to {MOST}, got {count}")
    coverage = Coverage()
    networks = []
    for index in range(count):
        network = _draw(np.random.default_rng([seed, index]), index, seed, PROFILES[profile], coverage)
        coverage.meet(network)
        networks.append(network)
    return networks, coverage


def network_of_id(id):
    """The network that an id names: ``full-SEED-INDEX`` or ``quick-SEED-INDEX``."""
    try:
        profile, seed, index = id.rsplit("-", 2)
        seed, index = int(seed), int(index)
        if profile not in PROFILES or seed < 0 or not 0 <= index < MOST:
            raise ValueError
    except ValueError:
        raise ValueError(f"network id {id!r}: expected PROFILE-SEED-INDEX with a profile of {', '.join(PROFILES)} "
                         f"and an index below {MOST}, for example full-0-17") from None
    return draw_networks(seed, index + 1, profile)[0][index]


def _draw(rng, index, seed, profile, coverage):
    id = f"{profile.name}-{seed}-{index}"
    names = [*LAYERS, *LOSSES]
    if index < len(names):
        return _alone(rng, id, names[index], profile)
    wide = profile.wide_every and index % profile.wide_every == 0
    widths = (16, 32, 64) if wide else profile.widths
    trailing = (int(rng.integers(1, 4)),) if rng.random() < 0.2 and not wide else ()
    scale = float(10.0 ** rng.uniform(-3, 3)) if rng.random() < 0.5 else 1.0
    b = Builder(rng, widths, int(rng.choice(profile.batches)), trailing, scale)
    depth = 2 if wide else int(rng.choice(profile.depths))
    previous, met = None, Counter(coverage.pairs)
    for left in reversed(range(depth * profile.layers)):
        name = _least_met(rng, b, previous, LAYERS, met) if left else _before_losses(rng, b, previous, met)
        LAYERS[name](b)
        met[previous, name] += 1
        previous = name
    _heads(rng, b, previous, int(rng.integers(profile.heads[0], profile.heads[1] + 1)), met)
    if rng.random() < 0.3:
        penalize(b)
    return b.network(id, depth)


def _heads(rng, b, previous, count, met):
    """Several losses on the same result, added up."""
    h, shape = b.h, b.shape
    total = None
    names = list(LOSSES)
    for _ in range(count):
        b.h, b.shape = h, shape
        name = _least_met(rng, b, previous, names, met)
        names.remove(name)
        LOSSES[name](b)
        if total:
            b.append("add", (total, b.h), None, shape=())
        total = b.h


def _alone(rng, id, name, profile):
    """One layer between the input and a smooth loss, or one loss behind one layer."""
    b = Builder(rng, (4,), 3, (), 1.0)
    if name in LAYERS:
        LAYERS[name](b)
        name = "mse_loss"
    else:
        LAYERS["linear"](b)
    LOSSES[name](b)
    if name == "mse_loss":
        penalize(b)
    return b.network(id, 1)


def _least_met(rng, b, previous, names, met):
    """The name least met after `previous`; among equals the one that itself has most followers to meet."""
    return _smallest(rng, b, names, lambda n: (met[previous, n], -_unmet(n, (*LAYERS, *LOSSES), met)))


def _before_losses(rng, b, previous, met):
    """The last layer: the one that has most losses to meet."""
    return _smallest(rng, b, LAYERS, lambda n: (-_unmet(n, LOSSES, met), met[previous, n]))


def _unmet(name, followers, met):
    return sum(not met[name, n] for n in followers)


def _smallest(rng, b, names, order):
    fitting = [n for n in names if FITS[n](b)]
    return min(fitting, key=lambda n: (*order(n), rng.random()))
