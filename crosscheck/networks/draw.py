"""Drawing networks, guided by coverage.

First come networks of each layer and each loss alone, then deeper and wider ones.  The next layer
is always one that was met least often, and among those one whose family came least often after the
family of the layer before it.  So all pairs of families occur long before chance would bring them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .builder import KINDS, LAYERS, LOSSES, ROWS, TOKENS, Builder, named
from .layers.losses import penalize

#: How often a network starts from each of KINDS, where no layer asks for one.
SHARES = (0.35, 0.2, 0.1, 0.2, 0.05, 0.1)


def family_of(name):
    """The family of a layer or loss; of another call (the penalty) its own name."""
    return named(name).family if name in LAYERS or name in LOSSES else name


@dataclass
class Coverage:
    """How often each layer was met, and each pair of families of layers in sequence."""

    layers: Counter = field(default_factory=Counter)
    pairs: Counter = field(default_factory=Counter)

    def meet(self, network):
        self.layers.update(network.layers)
        self.pairs.update((family_of(a), family_of(b)) for a, b in network.pairs)

    @staticmethod
    def possible():
        """(layers, pairs of families) that a full run meets: nothing comes before an embedding."""
        first = list(dict.fromkeys(layer.family for layer in LAYERS.values()))
        second = [*first, *dict.fromkeys(loss.family for loss in LOSSES.values())]
        return [*LAYERS, *LOSSES, "l2_penalty"], [
            (a, b) for a in first for b in second if b != "embedding"]

    def missing(self):
        layers, pairs = self.possible()
        return [a for a in layers if not self.layers[a]], [p for p in pairs if not self.pairs[p]]


@dataclass(frozen=True)
class Profile:
    """How large the drawn networks are.

    `networks` is enough to meet every layer, and in full every pair of families.
    """

    name: str
    networks: int
    widths: tuple
    batches: tuple
    depths: tuple
    layers: int       # how many layers for each unit of depth
    heads: tuple      # fewest and most losses on one network
    wide_every: int   # every so many networks, one of width up to 64 (0: never)
    thorough: bool    # whether the bounds of all modes are proven, or those of the gradient alone
    alone: bool       # whether each layer and each loss has a network of its own at first


PROFILES = {
    "full": Profile("full", 240, (1, 2, 3, 4, 5, 8), (1, 2, 3, 4, 5),
                    (1, 2, 2, 3, 3, 4, 5, 6, 7, 8), 2, (1, 4), 20, True, True),
    "quick": Profile("quick", 60, (1, 2, 3), (1, 2, 3), (4, 5), 2, (5, 8), 0, False, False),
    "small": Profile("small", 240, (1, 2, 3), (1, 2, 3), (1, 2), 1, (1, 1), 0, False, False),
}


#: The id of a network, as it is written.
ID = re.compile(
    r"(?P<profile>"
    rf"{'|'.join(PROFILES)})-(?P<seed>0|[1-9][0-9]{{0,99}})-(?P<index>0|[1-9][0-9]{{0,99}})")

#: Each network depends on those before it in its block of so many.
BLOCK = 1000

#: How many networks a seed has.
MOST = 10 ** 12


def draw_networks(seed, count, profile="full"):
    """(networks, coverage): the first `count` networks of a seed."""
    if not 1 <= count <= MOST:
        raise ValueError(f"networks: expected 1 to {MOST}, got {count}")
    networks = list(networks_from(seed, 0, count, profile))
    coverage = Coverage()
    for network in networks:
        coverage.meet(network)
    return networks, coverage


def networks_from(seed, first, last, profile="full"):
    """The networks of a seed with an index from `first` up to `last`, one after the other.

    What was met counts from the start of a block: no network takes longer to draw than a block.
    """
    for index in range(first - first % BLOCK, last):
        if index % BLOCK == 0:
            coverage = Coverage()
        network = _draw(np.random.default_rng([seed, index]), index, seed, PROFILES[profile],
                        coverage)
        coverage.meet(network)
        if index >= first:
            yield network


def network_of_id(id):
    """The network that an id, ``PROFILE-SEED-INDEX``, names."""
    found = ID.fullmatch(id)
    if not found or int(found["index"]) >= MOST:
        raise ValueError(f"network id {id!r}: expected PROFILE-SEED-INDEX with a profile of "
                         f"{', '.join(PROFILES)}, whole numbers without leading zeros and an index "
                         f"below {MOST}, for example full-0-17")
    index = int(found["index"])
    return next(networks_from(int(found["seed"]), index, index + 1, found["profile"]))


def _draw(rng, index, seed, profile, coverage):
    id = f"{profile.name}-{seed}-{index}"
    names = [*LAYERS, *LOSSES]
    if index < profile.alone * len(names):
        return _alone(rng, id, names[index])
    wide = profile.wide_every and index % profile.wide_every == 0
    widths = (16, 32, 64) if wide else profile.widths
    scale = float(10.0 ** rng.uniform(-3, 3)) if rng.random() < 0.5 else 1.0
    kind = ROWS if wide else _kind(rng, coverage)
    b = Builder(rng, widths, int(rng.choice(profile.batches)), kind, scale)
    depth = 2 if wide else int(rng.choice(profile.depths))
    met = Coverage(Counter(coverage.layers), Counter(coverage.pairs))
    previous = ""
    count = 1 if kind == TOKENS and rng.random() < 0.3 else depth * profile.layers
    for _ in range(count):
        name = _least_met(rng, b, previous, LAYERS, met)
        named(name).build(b)
        previous = _meet(met, previous, name)
    _heads(rng, b, previous, int(rng.integers(profile.heads[0], profile.heads[1] + 1)), met)
    if rng.random() < 0.3:
        penalize(b)
    return b.network(id, depth)


def _kind(rng, coverage):
    """The input: for a layer met least often, for a family with unmet pairs, or any by its
    share."""
    if rng.random() < 0.8:
        layers, pairs = coverage.missing()
        unmet = Counter(a for a, _ in pairs)
        least = min(LAYERS, key=lambda name: (
            name not in layers, -unmet[LAYERS[name].family], rng.random()))
        fitting = [k for k in KINDS
                   if LAYERS[least].fits(Builder(np.random.default_rng(0), (4,), 3, k))]
        if fitting:
            return fitting[rng.integers(len(fitting))]
    return KINDS[rng.choice(len(KINDS), p=SHARES)]


def _meet(met, previous, name):
    """Count a layer, and the pair of the last layer's family and its own."""
    family = named(name).family
    met.layers[name] += 1
    met.pairs[previous, family] += 1
    return family


def _heads(rng, b, previous, count, met):
    """Several losses on the same result, added up."""
    state = b.state()
    total = None
    names = list(LOSSES)
    for _ in range(count):
        b.go_back(state)
        name = _least_met(rng, b, previous, names, met)
        names.remove(name)
        named(name).build(b)
        _meet(met, previous, name)
        if total:
            b.append("add", (total, b.h), None, shape=())
        total = b.h


def stand_alone(name, rng, widths, batch, kinds=KINDS):
    """A Builder with a layer, or a loss, as its one step: on the first kind of input that it
    fits."""
    for _ in range(100):  # sizes are drawn: few do not fit
        for kind in kinds:
            b = Builder(rng, widths, batch, kind)
            if named(name).fits(b):
                named(name).build(b)
                return b
    raise ValueError(f"{name} fits none of {', '.join(kinds)}")


def _alone(rng, id, name):
    """One layer between the input and a smooth loss, or one loss behind one layer."""
    if name in LAYERS:
        b = stand_alone(name, rng, (4,), 3)
        LOSSES["mse_loss"].build(b)
        penalize(b)
    else:
        b = stand_alone(name, rng, (4,), 3)
    return b.network(id, 1)


def _least_met(rng, b, previous, names, met):
    """The layer to come next: see above; among equals chance decides."""
    fitting = [n for n in names if named(n).fits(b)]
    return min(fitting, key=lambda n: (
        met.pairs[previous, named(n).family], met.layers[n], rng.random()))
