"""The cheap gradient principle: value and gradient together cost a small constant times the value,
whatever the size.

For L affine layers the value takes a matrix product for each layer.  The gradient takes two more
for each, one for the weights and one for what flows on to the layer below; the first layer has none
below.  So the constant is (3 L - 1) / L in the limit of wide layers, where products are all that
counts.
"""

from __future__ import annotations

import numpy as np

from . import refgrad_programs, torch_programs
from ..timing import agree, spread, take_turns

LAYERS, BATCH = 3, 128
MOST = 3.2  # is the aim for wide layers
VALUE, BOTH = "value", "value and gradient"


def expected_constant(layers=LAYERS):
    """Matrix products of value and gradient over those of the value."""
    return (3 * layers - 1) / layers


def sizes(quick):
    """Widths."""
    return [2 ** k for k in (range(4, 8) if quick else range(4, 12))]


def nets(seed, width):
    """The same net for each library, and for refgrad with jit."""
    rng = np.random.default_rng([seed, width])
    x = rng.standard_normal((BATCH, width))
    weights = rng.standard_normal((LAYERS, width, width)) * np.sqrt(2 / width)
    kinds = refgrad_programs.DeepNet, refgrad_programs.WrittenDeepNet, torch_programs.DeepNet
    return [kind(x, list(weights)) for kind in kinds]


def check(nets):
    """All must give refgrad's value and gradient, and the value alone must be that value."""
    value, gradient = nets[0].value_and_gradient()
    for net in nets:
        agree(f"{net.library}, value", net.value(), value)
        found, leaves = net.value_and_gradient()
        agree(f"{net.library}, value with gradient", found, value)
        for k, g in enumerate(leaves):
            agree(f"{net.library}, reverse, weight {k}", g, gradient[k])


def measure(seed, width, quick):
    """Rows for one width.  `ratio`: over the value's time."""
    both = nets(seed, width)
    check(both)
    runs = {}
    for net in both:
        runs |= {(net.library, VALUE): net.value, (net.library, BOTH): net.value_and_gradient}
    seconds = take_turns(runs, 0.08 if quick else 0.8, least=5)
    for (library, method), turns in seconds.items():
        yield {"study": "cheap gradient", "library": library, "method": method,
               "parameters": LAYERS * width ** 2, "inputs": LAYERS * width ** 2, "outputs": 1,
               "width": width, **spread(turns), "projected": False,
               "ratio": np.median(turns / seconds[library, VALUE])}
