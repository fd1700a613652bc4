"""How the cost of derivatives grows; see `run`."""

from ..options import OUT, QUICK, SEED
from ..study import Command, Study, Table

#: scaling.csv: a row for each measurement.
#: seconds     processor time of all `passes`: the median of `repeats` turns; seconds_low,
#:             seconds_high: the quartiles
#: peak_bytes  the most memory held at a time, beyond what was held before
#: projected   whether only a few of the passes were run, and the rest reckoned
#: slope       of the curve to which the row belongs (library and method), repeated on each of its
#:             rows;
#:             slope_low, slope_high: its 95 % confidence interval
#: ratio       forward over reverse time for Jacobians, over the value's time for cheap gradients
#: threads     of NumPy's BLAS and of torch, each
NUMBERS = ("seconds", "seconds_low", "seconds_high", "peak_bytes", "slope", "slope_low",
           "slope_high", "ratio", "passes", "repeats", "threads")
TABLE = Table("scaling.csv", (
    "study", "library", "method", "parameters", "inputs", "outputs", "width", *NUMBERS[:4],
    "projected", *NUMBERS[4:]), NUMBERS)

COMMAND = Command("scaling", """
Measure reverse against forward mode: time and memory against size, and where they cross. Writes
scaling.csv. It takes most of a minute, --quick ten seconds.

Example: `python -m crosscheck scaling --quick --out /tmp/try`
""", (OUT, SEED, QUICK))

SCALING = Study("scaling", COMMAND, (TABLE,), f"{__name__}.report", default=True)
