"""refgrad on the arrays of other libraries: every case of the op table."""

from ..options import OUT, QUICK
from ..study import Command, Study, Table

#: arrays.csv: a row for each case, way and library.
#: function  in the op table
#: case      its sample arguments
#: way       value, vjp, jvp or hvp (forward over reverse)
#: library   whose arrays
#: found     works, wrong, converted (it came back as NumPy's), refused, or error
#: lazy      whether nothing was computed before it was asked for; only where it works
#: why       of what is refused or fails, the error
TABLE = Table("arrays.csv", ("function", "case", "way", "library", "found", "lazy", "why"))

COMMAND = Command("arrays", """
Run the op table on the arrays of other libraries that are installed. Writes arrays.csv.
It takes a minute and a half, --quick ten seconds.

Example: `python -m crosscheck arrays --quick --out /tmp/try`
""", (OUT, QUICK))

ARRAYS = Study("arrays", COMMAND, (TABLE,), f"{__name__}.report")
