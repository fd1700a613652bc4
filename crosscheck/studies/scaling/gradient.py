"""The cost of a whole gradient against the number of parameters, by every way there is to one.

Reverse mode takes one pass; the other ways take passes in proportion to the number of parameters,
and each pass costs in proportion to it as well.  Where that takes too long, a few passes are
measured and multiplied: a projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from . import refgrad_programs, torch_programs
from ..slope import fit
from ..timing import DIFFERENCES, ROUNDING, agree, spread, take_turns

# Numbers in and out for each sample; samples.  A unit of width has 2 * FEATURES parameters.
FEATURES, BATCH = 32, 128
TANGENTS = 256             # at most so many in one batched pass
STACK = 2 ** 21            # and at most so many numbers in all of them together: 16 MiB
# Slopes are fitted to sizes within this factor of the largest: overheads matter least there.
ASYMPTOTIC = 16
MODULES = {"refgrad": refgrad_programs, "torch": torch_programs}


@dataclass(frozen=True)
class Method:
    """A way to a gradient in passes; `name` is both the column's entry and, with underscores, the
    nets' method."""

    name: str
    batched: bool = False
    limit: float = ROUNDING

    def chunk(self, parameters):
        """How many entries of the gradient one pass gives."""
        return max(1, min(TANGENTS, STACK // parameters)) if self.batched else 1


REVERSE = Method("reverse")
IN_PASSES = (Method("forward"), Method("forward batched", batched=True),
             Method("differences", limit=DIFFERENCES))


class InPasses:
    """The gradient of a net by passes over `chunk` entries at a time."""

    def __init__(self, net, method):
        self.one = getattr(net, method.name.replace(" ", "_"))
        self.sizes = net.sizes
        self.chunk = method.chunk(sum(self.sizes))
        self.passes = sum(ceil(n / self.chunk) for n in self.sizes)

    def whole(self):
        """Every pass: the gradient, one flat array for each leaf."""
        leaves = [np.empty(n) for n in self.sizes]
        for k, n in enumerate(self.sizes):
            for start in range(0, n, self.chunk):
                part = self._part(k, start)
                leaves[k][part] = self.one(k, part.start, part.stop)
        return leaves

    def sample(self):
        """One pass over the middle of each leaf: (leaf, part, derivatives) of each."""
        parts = [(k, self._part(k, n // 2 // self.chunk * self.chunk))
                 for k, n in enumerate(self.sizes)]
        return [(k, part, self.one(k, part.start, part.stop)) for k, part in parts]

    def _part(self, k, start):
        return slice(start, min(start + self.chunk, self.sizes[k]))

    def projected(self, sample_seconds):
        """Seconds of `whole`, from those of `sample`, which has one pass for each leaf."""
        return sample_seconds * self.passes / len(self.sizes)

    def peak_bytes(self, module):
        """The memory of a pass, and that of the gradient which the passes fill."""
        return module.peak_bytes(self.sample) + sum(self.sizes) * np.dtype(float).itemsize


def sizes(quick):
    """Widths of the hidden layer; a hundred parameters to two million, in the quick study to ten
    thousand."""
    return [2 ** k for k in ((1, 4, 7) if quick else (1, 3, 5, 7, *range(8, 16)))]


def nets(seed, width):
    """The same net for each library."""
    rng = np.random.default_rng([seed, width])
    x, y = rng.standard_normal((2, BATCH, FEATURES))
    weights = [rng.standard_normal((width, FEATURES)) / np.sqrt(FEATURES),
               rng.standard_normal((FEATURES, width)) / np.sqrt(width)]
    return [module.WideNet(x, y, weights) for module in MODULES.values()]


def warm_up(seed):
    """Each library's first call of its kind loads and compiles: not to be timed."""
    both = nets(seed, 1)
    check(both, ways_of(both))


def ways_of(nets):
    return {(net.library, method): InPasses(net, method) for net in nets for method in IN_PASSES}


def check(nets, ways):
    """All ways must lead to refgrad's gradient by reverse mode, wherever a sample of their passes
    looks."""
    expected = [np.ravel(g) for g in nets[0].reverse()]
    for net in nets:
        for k, g in enumerate(net.reverse()):
            agree(f"{net.library}, reverse, weight {k}", np.ravel(g), expected[k])
    for (library, method), way in ways.items():
        for k, part, found in way.sample():
            # Measured by the largest entry of the leaf: a difference of values can be no better
            # than that allows.
            whole = expected[k].copy()
            whole[part] = found
            agree(f"{library}, {method.name}, weight {k}, entries {part.start} to {part.stop}",
                  whole, expected[k], method.limit)


def measure(seed, width, quick):
    """Rows for one width.  What can be measured in full has two, so that its projection can be
    checked against it."""
    budget, affordable = (0.06, 0.02) if quick else (1.0, 0.1)
    both = nets(seed, width)
    ways = ways_of(both)
    check(both, ways)
    runs = {(net.library, REVERSE, False): net.reverse for net in both}
    runs |= {(*key, True): way.sample for key, way in ways.items()}
    once = take_turns(runs, 0, least=1)
    runs |= {(*key, False): way.whole for key, way in ways.items()
             if way.projected(once[*key, True][0]) <= affordable}
    peaks = {(net.library, REVERSE): MODULES[net.library].peak_bytes(net.reverse) for net in both}
    peaks |= {key: way.peak_bytes(MODULES[key[0]]) for key, way in ways.items()}
    parameters = sum(both[0].sizes)
    for (library, method, projected), seconds in take_turns(runs, budget).items():
        way = ways.get((library, method))
        yield {"study": "gradient", "library": library, "method": method.name,
               "parameters": parameters, "inputs": parameters, "outputs": 1, "width": width,
               "passes": way.passes if way else 1,
               **spread(way.projected(seconds) if projected else seconds),
               "peak_bytes": peaks[library, method], "projected": projected}


def curve(rows):
    """One row for each size: the measured one if there is one, else the projected.  `rows`: a frame
    of one method."""
    return rows.sort_values(["parameters", "projected"]).drop_duplicates("parameters")


def with_slopes(frame):
    """The frame with the slope of the curve that each gradient row belongs to."""
    for _, rows in frame[frame["study"] == "gradient"].groupby(["library", "method"]):
        points = curve(rows)
        upper = points[points["parameters"] * ASYMPTOTIC >= points["parameters"].max()]
        for column, value in fit(upper["parameters"], upper["seconds"]).columns().items():
            frame.loc[rows.index, column] = value
    return frame
