"""torch's own functions on trial: every differentiable operation, in every mode that torch has."""

from typing import Annotated

import typer

from ..options import CLUSTER, DEVICE, OUT, SEED, WORKERS, option, parameter
from ..study import Command, Study, Table

#: torch_operations.csv.gz: a row for each operation, mode (or what else was looked at) and dtype.
#: operation  an entry of torch's op database, with its variant
#: mode       "reverse", "forward over reverse", ..., or another look at a mode: "many at once,
#:            reverse"
#: dtype      of the computation; "exact" for ball arithmetic, "(TF32)" behind it where products are
#: verdict    the worst of those that decide something
#: failed     at how many points it is wrong, or no number where a finite value exists
#: points     at how many points something was decided, of all samples
#: samples    of how many samples
#: digits     the fewest right digits, where it fails or else where anything is known of its digits
#: ulps       the largest error in units in the last place
#: how        whether it was measured by balls or by differences; why: why not by balls
#: point      where the verdict was given, and of which arguments
OPERATIONS = Table("torch_operations.csv.gz", (
    "operation", "mode", "dtype", "verdict", "failed", "points", "samples", "digits", "ulps", "how",
    "why", "point", "arguments", "note"), ("failed", "points", "samples", "digits", "ulps"))

#: torch_operation_findings.csv: a row for each operation and mode that is wrong or not finite.
#: issue      the number of the issue at github.com/pytorch/pytorch that reports it, if one is known
#: torch      the entry that is off most, in the smallest program that shows it (by differences: the
#:            product with a direction); exact: its exact value
#: program    that program: it prints the derivative
#: ulps       the largest error at all points of all samples, which may be another entry's
FINDINGS = Table("torch_operation_findings.csv", (
    "operation", "mode", "dtype", "verdict", "issue", "point", "arguments", "torch", "exact",
    "ulps", "program"), ("issue", "torch", "exact", "ulps"))


NAMES = parameter("names", Annotated[list[str] | None, typer.Argument(
    metavar="[OPERATION]...", help="Operations to look at, as the table names them: linalg.det, "
    "'scatter_reduce prod'; a name alone takes its variants along. All of them if none is given.")],
                  None)
SAMPLES = option("samples", int, 3, "--samples", min=1, max=60,
                 help="How many samples of each operation, with different options: the first is "
                      "checked at all points around it, the others at three.")
RESUME = option("resume", bool, False,
                "--resume", help="Continue the run in the folder that was stopped.")
FEW = option("few", bool, False,
             "--few", help="Only ten operations, right and wrong ones, with one sample each.")

COMMAND = Command("torch", """
Check torch's own operations: all differentiable entries of its op database, or those named, in all
modes, at small samples and at points around them where rules often break. The reference is the
exact derivative by ball arithmetic, or differences of floats where balls do not know an operation.

Writes torch_operations.csv.gz, and torch_operation_findings.csv with the smallest program for
everything that is wrong; these files replace those in the folder. An operation takes seconds, all
of them about half an hour of processor time, which the processes share. A run that is killed goes
on with --resume. With --device cuda torch computes in float64, float32 with and without TF32,
bfloat16 and float16.

Examples:

- `python -m crosscheck torch linalg.det cumprod "scatter_reduce prod" --out /tmp/try`

- `python -m crosscheck torch --workers 8 --out /tmp/torch`

- `python -m crosscheck torch --workers 8 --out /tmp/torch --resume`

- `python -m crosscheck torch matmul nn.functional.linear --device cuda --out /tmp/gpu`
""", (NAMES, SAMPLES, SEED, OUT, WORKERS, CLUSTER, DEVICE, RESUME, FEW))

TORCH = Study("torch_operations", COMMAND, (OPERATIONS, FINDINGS), f"{__name__}.report",
              default=True, heads=True, unasked={"few": True})
