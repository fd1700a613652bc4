"""Reverse against forward for whole Jacobians: a sweep for each output against a tangent for each
input.

Which wins depends on the shape; the map over (inputs, outputs) shows where they break even.
"""

from __future__ import annotations

import numpy as np

from . import refgrad_programs, torch_programs
from ..timing import agree, spread, take_turns

HIDDEN = 64
RIVAL = {"forward": "reverse", "forward batched": "reverse batched"}


def sizes(quick):
    """(inputs, outputs) of every cell of the map."""
    side = [4 ** k for k in range(4 if quick else 6)]
    return [(n, m) for n in side for m in side]


def nets(seed, inputs, outputs):
    """The same net for each library."""
    rng = np.random.default_rng([seed, inputs, outputs])
    x = rng.standard_normal((1, inputs))
    W1 = rng.standard_normal((HIDDEN, inputs)) / np.sqrt(inputs)
    W2 = rng.standard_normal((outputs, HIDDEN)) / np.sqrt(HIDDEN)
    return [module.VectorNet(x, W1, W2) for module in (refgrad_programs, torch_programs)]


def warm_up(seed):
    """The first call of its kind is not to be timed."""
    for net in nets(seed, 1, 1):
        for method in net.methods:
            net.jacobian(method)


def measure(seed, inputs, outputs, quick):
    """Rows for one cell.  `ratio`: forward over reverse, batched over batched where the library has
    it."""
    runs = {(net.library, method): lambda net=net, method=method: net.jacobian(method)
            for net in nets(seed, inputs, outputs) for method in net.methods}
    expected = runs["refgrad", "reverse"]()

    def check(who, found):
        agree(f"{who[0]}, Jacobian by {who[1]}, {inputs} inputs and {outputs} outputs", found,
              expected)

    seconds = take_turns(runs, 0.02 if quick else 0.15, least=1 if quick else 2, most=15,
                         check=check)
    for (library, method), turns in seconds.items():
        rival = seconds.get((library, RIVAL.get(method, method)), seconds[library, "reverse"])
        yield {"study": "jacobian", "library": library, "method": method,
               "parameters": HIDDEN * (inputs + outputs), "inputs": inputs, "outputs": outputs,
               "width": HIDDEN, **spread(turns), "projected": False,
               "ratio": np.median(turns) / np.median(rival)}


def crossover(rows):
    """(c, p): forward and reverse break even near outputs / inputs = c; the ratio falls as (outputs
    / inputs)^-p.

    `rows`: a frame of one forward method.  Least squares on log ratio = p (log c - log(outputs /
    inputs)).
    """
    slope, at_one = np.polyfit(np.log(rows["outputs"] / rows["inputs"]), np.log(rows["ratio"]), 1)
    return float(np.exp(-at_one / slope)), float(-slope)
