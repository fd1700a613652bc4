"""Three real networks, trained by refgrad and by torch in lockstep."""

from ..options import OUT, QUICK, SEED
from ..study import Command, Study, Table

#: training.csv: a row for each net, step, dtype and library.
#: net             its name in `nets`
#: step            updates so far
#: loss            of the batch that comes next
#: gradient_error  |g - e| / |e|, 2-norms over all parameters, for that batch; nan where it is not
#:                 measured
#: reference       what e is: "ball", the exact gradient, at the first step, halfway and at the
#:                 last; in between, where balls would take too long, the gradient in the next wider
#:                 float, whose own errors are thousands of times smaller, if there is one
#: accuracy        the part of the test set that is answered rightly; nan where it is not measured
#: distance        |p - q| / |p| between the parameters p of refgrad and q of torch, 2-norms over
#:                 all of them
TABLE = Table("training.csv", ("net", "step", "dtype", "library", "loss", "gradient_error",
                               "reference", "accuracy", "distance"),
              ("step", "loss", "gradient_error", "accuracy", "distance"))

COMMAND = Command("training", """
Train two networks on handwritten digits and one on sums, by refgrad and by torch in lockstep.
Writes training.csv. It takes ten seconds.

Example: `python -m crosscheck training --quick --out /tmp/try`
""", (OUT, SEED, QUICK))

TRAINING = Study("training", COMMAND, (TABLE,), f"{__name__}.report", default=True)
