"""refgrad.nn against torch.nn.functional, at every sample of torch's own test suite."""

from ..options import OUT, QUICK, SEED
from ..study import Command, Study, Table

#: layers_opinfo.csv: a row for each entry of torch's op database that is a function of
#: torch.nn.functional.
#: name, variant   of the entry
#: missing         whether refgrad.nn has no function of that name: then nothing was compared
#: samples         arguments, those of the database's references among them
#: passed          samples where value, gradient, <w, J v> = <J' w, v> and the second derivative in
#:                 three ways (reverse over reverse, forward over reverse, reverse over forward) are
#:                 torch's
#: refused         samples that raise TypeError or ValueError, and the first reason
#: differ          samples where something else comes out: the stage, how far it is at most,
#:                 relative to the largest entry (nan if it is a matter of shapes, nan or inf), and
#:                 who is right, decided by balls
#: errors          arguments that torch refuses; raised: those that refgrad refuses, too; accepted:
#:                 the first other one
#: torch_forward, torch_second  whether torch has forward mode, and a second derivative
#: forward, second whether refgrad gave them at every sample that is not refused
NUMBERS = ("samples", "passed", "refused", "differ", "how_far", "errors", "raised")
TABLE = Table("layers_opinfo.csv", (
    "name", "variant", "missing", "samples", "passed", "refused", "reason", "differ", "stage",
    "how_far", "right",
    "errors", "raised", "accepted", "torch_forward", "torch_second", "forward", "second"), NUMBERS)

COMMAND = Command("layers", """
Compare refgrad.nn with torch.nn.functional at all samples of torch's op database. Writes
layers_opinfo.csv. It takes a minute and a half, --quick a quarter of a minute.

Example: `python -m crosscheck layers --quick --out /tmp/try`
""", (OUT, SEED, QUICK))

LAYERS = Study("layers", COMMAND, (TABLE,), f"{__name__}.report")
