"""The book of derivations: worked examples, classical identities and random expressions, derived
and proved."""

from ..options import CLUSTER, OUT, QUICK, SEED, WORKERS, option
from ..study import Command, Study, Table

PROOFS = ("digits", "book_digits", "engine_digits", "rule_digits")
NUMBERS = (*PROOFS, "torch_ulps_float64", "torch_ulps_float32")

#: derivations.csv: a row for each derivation.
BOOK = Table("derivations.csv", (
    "part", "family", "id", "function", "wrt", "gradient", "book", "source", *PROOFS, "symbolic",
    *NUMBERS[-2:], "fallback", "failed", "note"), NUMBERS)

RANDOM = option("random", int | None, None, min=0, show_default="100, 10 if quick",
                help="How many random expressions are derived, too.")

COMMAND = Command("derivations", """
Derive the gradients of worked examples, of every rule, of classical and of random expressions, and
prove them.

Writes **derivations.html**, the book of derivations, and derivations.csv; exit status 1 if anything
in it is not proved. The errors of torch are read from layers.csv, if that is in the folder. It
takes two minutes of
processor time, --quick half a minute, which the processes share.

Example: `python -m crosscheck derivations --quick --out /tmp/try`
""", (OUT, SEED, QUICK, WORKERS, CLUSTER, RANDOM))

DERIVATIONS = Study("derivations", COMMAND, (BOOK,), f"{__name__}.report", default=True)
