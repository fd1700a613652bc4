"""The most memory that value and gradient hold at a time."""

from ..speed import COMMAND
from ..study import Study, Table

#: memory.csv: a row for each problem, dtype, depth, and number of segments.
#: checkpoint      segments of the depth, each of which keeps its input alone and is computed again
#:                 in the sweep, or 0
#: peak_bytes      the most that was held at a time
#: kept_bytes      the limit, counted by hand: see `run.must_keep`
#: gradient_bytes  of the gradients returned
#: ratio           of peak_bytes to kept_bytes
#: evaluations     of layers, forward: what checkpoint costs
NUMBERS = ("depth", "checkpoint", "peak_bytes", "kept_bytes", "gradient_bytes", "ratio",
           "evaluations")
TABLE = Table("memory.csv", ("problem", "dtype", *NUMBERS), NUMBERS)

MEMORY = Study("memory", COMMAND, (TABLE,), f"{__name__}.report")
