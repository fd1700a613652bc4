"""How the cost of derivatives grows: reverse mode against forward mode, by refgrad and by torch.

    gradient        time and memory of a whole gradient against the number of parameters, and the slope of the growth
    jacobian        reverse against forward over the shape of the Jacobian, and where they break even
    cheap gradient  value and gradient over value, against width

Contenders must agree before they are timed; `timing` says how, `gradient` what is a projection.
"""

from __future__ import annotations

import pandas as pd

from . import cheap_gradient, gradient, jacobian
from ..timing import equal_threads

#: One row for each measurement.
#: seconds     processor time of all `passes`: the median of `repeats` turns; seconds_low, seconds_high: the quartiles
#: peak_bytes  the most memory held at a time, beyond what was held before
#: projected   whether only a few of the passes were run, and the rest reckoned
#: slope       of the curve to which the row belongs (library and method), repeated on each of its rows;
#:             slope_low, slope_high: its 95 % confidence interval
#: ratio       forward over reverse time for Jacobians, over the value's time for cheap gradients
#: threads     of NumPy's BLAS and of torch, each
COLUMNS = ("study", "library", "method", "parameters", "inputs", "outputs", "width",
           "seconds", "seconds_low", "seconds_high", "peak_bytes", "projected",
           "slope", "slope_low", "slope_high", "ratio", "passes", "repeats", "threads")


def count(quick):
    """How many measurements there are: how often `run_scaling` calls `tick`."""
    return len(gradient.sizes(quick)) + len(jacobian.sizes(quick)) + len(cheap_gradient.sizes(quick))


def run_scaling(seed=0, quick=False, tick=lambda description: None):
    """Measure everything: a frame with COLUMNS.  Raises timing.Disagreement if contenders compute different things."""
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
    return gradient.with_slopes(frame).reindex(columns=COLUMNS)
