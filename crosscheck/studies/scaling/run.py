"""How the cost of derivatives grows: reverse mode against forward mode, by refgrad and by torch.

    gradient        time and memory of a whole gradient against the number of parameters, and the
                    slope of the growth
    jacobian        reverse against forward over the shape of the Jacobian, and where they break
                    even
    cheap gradient  value and gradient over value, against width

Contenders must agree before they are timed; `timing` says how, `gradient` what is a projection.
"""

from __future__ import annotations

import pandas as pd

from . import cheap_gradient, gradient, jacobian
from ..timing import equal_threads
from . import TABLE


def count(quick):
    """How many measurements there are: how often `run_scaling` calls `tick`."""
    return (len(gradient.sizes(quick)) + len(jacobian.sizes(quick))
            + len(cheap_gradient.sizes(quick)))


def run_scaling(seed=0, quick=False, tick=lambda description: None):
    """Measure everything: the frame of scaling.csv.  Contenders that disagree raise
    `Disagreement`."""
    rows = []
    with equal_threads() as threads:
        gradient.warm_up(seed)
        for width in gradient.sizes(quick):
            rows += gradient.measure(seed, width, quick)
            tick(f"gradient, width {width}")
        jacobian.warm_up(seed)
        for inputs, outputs in jacobian.sizes(quick):
            rows += jacobian.measure(seed, inputs, outputs, quick)
            tick(f"Jacobian, {inputs} inputs, {outputs} outputs")
        for width in cheap_gradient.sizes(quick):
            rows += cheap_gradient.measure(seed, width, quick)
            tick(f"value and gradient, width {width}")
    frame = pd.DataFrame(rows).assign(threads=threads)
    return gradient.with_slopes(frame).reindex(columns=TABLE.columns)
