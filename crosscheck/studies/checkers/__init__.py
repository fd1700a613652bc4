"""Other gradient checkers on the same functions: what they notice, what they blame wrongly, how
long they take."""

from ..faults import COMMAND
from ..study import Study, Table

#: A row for each checker and group of cases.
#:     what, group  "faults", "all"; "shows in", where; "operator", its name; "right, dtype" and
#:                  "right, family", which
#:     cases        those that the checker has a say about, of which it rejected so many and failed
#:                  at so many
#:     share        of faults those noticed, by word or by failing; of right gradients those called
#:                  wrong
#:     seconds      the median
NUMBERS = ("cases", "rejected", "errors", "not_taken", "share", "seconds")
TABLE = Table("checkers.csv", ("checker", "what", "group", *NUMBERS), NUMBERS)

#: A row for each right gradient and checker.
FALSE_ALARMS = Table("false_alarms.csv.gz", (
    "subject", "case", "family", "dtype", "scale", "checker", "accepted", "verdict", "message",
    "seconds"),
    ("scale", "seconds"), needed=False)

#: A row for each torch layer and checker.
MEASURED = ("seconds", "seconds_low", "seconds_high", "repeats", "ratio")
SECONDS = Table("checker_seconds.csv", ("layer", "numbers", "checker", "accepted", *MEASURED),
                ("numbers", *MEASURED), needed=False)

CHECKERS = Study("checkers", COMMAND, (TABLE, FALSE_ALARMS, SECONDS), f"{__name__}.report")
