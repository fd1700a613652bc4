"""A real network, trained on real data by refgrad and by torch in lockstep."""

from ..options import OUT, QUICK, SEED
from ..study import Command, Study, Table

#: training.csv: a row for each step, dtype and library.
#: step            updates so far
#: loss            of the batch that comes next
#: gradient_error  |g - e| / |e|, 2-norms over all parameters, for that batch
#: reference       what e is: "ball", the exact gradient, at every twentieth step; in between, where balls would take
#:                 too long, the gradient in the next wider float, whose own errors are thousands of times smaller;
#:                 without a wider one the error is nan
#: accuracy        the part of the test set that is classified rightly; nan where it is not measured
#: distance        |p - q| / |p| between the parameters p of refgrad and q of torch, 2-norms over all of them
TABLE = Table("training.csv", (
    "net", "step", "dtype", "library", "loss", "gradient_error", "reference", "accuracy", "distance"),
    ("step", "loss", "gradient_error", "accuracy", "distance"))

COMMAND = Command("training", """
Train a network on the handwritten digits, by refgrad and by torch in lockstep. Writes training.csv.

Example: `python -m crosscheck training --quick --out /tmp/try`
""", (OUT, SEED, QUICK))

TRAINING = Study("training", COMMAND, (TABLE,), f"{__name__}.report", default=True)
