"""Which primitives a layer of the random networks is made of, and so how large torch's error in
them is."""

from __future__ import annotations

import numpy as np

from refgrad.primitive import TABLE

from ...locate.trace import Recorder
from ...networks import interpret
from ...networks.builder import LAYERS, LOSSES
from ...networks.draw import stand_alone
from ...subjects.libraries.refgrad_library import LIBRARY as REFGRAD


def primitives_of(layer):
    """The names of the primitives that the layer's own calls run."""
    network = stand_alone(layer, np.random.default_rng(0), (4,), 3).network(layer, 1)
    leaves, constants = network.draw()
    calls = {c.function for c in network.calls if c.layer == layer}
    found = set()
    with Recorder() as recorder:
        def function(name):
            def run(*arguments, **named):
                before = len(recorder.seen)
                result = REFGRAD.function(name)(*arguments, **named)
                if name in calls:
                    found.update(o.primitive.name for o in recorder.seen[before:])
                return result
            return run
        interpret(network, function, {k: recorder.watch(x) for k, x in leaves.items()}, constants)
    return found


def ulps_of_primitives(layers):
    """{(primitive, dtype): torch's error in ulps} from layers.csv: the median over networks with
    the layer.

    A layer tells of a primitive if it has its name, or is made of it alone (beside NumPy's); where
    several do, the first.
    """
    own = {r.name for r in TABLE.values() if r.function is None}
    found = {}
    of_torch = layers[layers["differentiator"] == "torch"]
    for layer in [*LAYERS, *LOSSES]:
        rows = of_torch[of_torch["layer"] == layer]
        if not len(rows):
            continue
        names = {layer} & own or primitives_of(layer)
        names = names & own or names
        if len(names) == 1:
            for row in rows.itertuples():
                found.setdefault((*names, row.dtype), row.ulp_median)
    return found
