"""How many networks the harness checks in a second."""

from ..speed import COMMAND
from ..study import Study, Table

#: throughput.csv: a row for each network.
#: numbers         that are differentiated
#: proof           seconds of the proof of the gradient
#: both            of the gradient's and of the second order's
#: check           of the whole check, as `crosscheck run` makes it
#: gradcheck, gradgradcheck  seconds of torch's, slow mode, defaults
#: ratio           gradcheck relative to proof; ratio_both: both of torch's relative to both;
#:                 ratio_check: gradcheck relative to check
#: digits          to which the gradient on balls and differences agree, in the array where they are
#:                 fewest; digits_gradcheck: the same of torch's gradient and gradcheck's
#:                 differences, in float64
#: said, said_twice  the verdicts of gradcheck and gradgradcheck, whose message is the note
SECONDS = ("proof", "both", "check", "gradcheck", "gradgradcheck")
NUMBERS = ("numbers", *SECONDS, "ratio", "ratio_both", "ratio_check", "digits", "digits_gradcheck")
TABLE = Table("throughput.csv", ("network", *NUMBERS, "said", "said_twice", "note"), NUMBERS)

#: throughput_time.csv: where the time of the whole check goes, and the checks of all networks by
#: several processes.
#: what, which     "phase", its name; "workers", how many
#: seconds         processor time of a phase; of workers, the time until all is done, their start
#:                 included
#: share           of all phases
#: per_second      networks
#: busy            processor time over wall time and workers; less than 1 where they wait, or
#:                 something else runs
#: same            whether errors.csv.gz has the same bytes as one process gives
TIME_NUMBERS = ("seconds", "share", "per_second", "busy")
TIME = Table("throughput_time.csv", ("what", "which", *TIME_NUMBERS, "same"), TIME_NUMBERS)

THROUGHPUT = Study("throughput", COMMAND, (TABLE, TIME), f"{__name__}.report")
