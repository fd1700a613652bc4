"""Planted faults: mistakes that people make in derivatives, put into every rule to see whether the
checker notices."""

from ..options import CLUSTER, OUT, QUICK, SEED, WORKERS
from ..study import Command, Study, Table

#: faults.csv.gz: a row for each fault.
TABLE = Table("faults.csv.gz", (
    "primitive", "family", "operator", "rule", "argument", "caught", "by", "point", "pinned",
    "pinned_on", "seconds", "note"), ("seconds",))

#: The checker on trial: by planted faults, and beside other checkers.
COMMAND = Command("faults", """
Test the checker: does it notice mistakes planted in the rules, does it accept right gradients, and
do other checkers?

Writes faults.csv.gz (is each mistake noticed, and pinned on its primitive?), checkers.csv,
false_alarms.csv.gz and checker_seconds.csv. JAX and HIPS autograd take part if they are installed.
It takes three quarters of an hour of processor time, --quick two minutes, which the processes
share.

Example: `python -m crosscheck faults --quick --out /tmp/try`
""", (OUT, SEED, QUICK, WORKERS, CLUSTER))

FAULTS = Study("faults", COMMAND, (TABLE,), f"{__name__}.report")
