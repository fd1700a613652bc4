"""Planted faults: mistakes that people make in derivatives, put into every rule to see whether the checker notices."""

from ..options import CLUSTER, OUT, QUICK, SEED, WORKERS
from ..study import Command, Study, Table

#: faults.csv.gz: a row for each fault.
TABLE = Table("faults.csv.gz", (
    "primitive", "family", "operator", "rule", "argument", "caught", "by", "point", "pinned", "pinned_on",
    "seconds", "note"), ("seconds",))

#: The checker on trial: by planted faults, and beside other checkers.
COMMAND = Command("faults", """
Put the checker on trial: mistakes planted in the rules, right gradients, and other checkers beside it.

Writes faults.csv.gz (is each mistake noticed, and pinned on its primitive?), checkers.csv, false_alarms.csv.gz and
checker_seconds.csv. JAX and HIPS autograd take part if they are installed.

Example: `python -m crosscheck faults --quick --out /tmp/try`
""", (OUT, SEED, QUICK, WORKERS, CLUSTER))

FAULTS = Study("faults", COMMAND, (TABLE,), f"{__name__}.report")
