"""How long value and gradient take: refgrad and the frameworks, as multiples of NumPy written by
    hand.

    problems     the programs, as data, and the one interpreter that runs them in a framework's
                 functions
    contenders   who takes part; a file for each: `numpy_by_hand`, `refgrad_side`, `peers/...`
    worker       the process in which one contender lives
    measure      agreement first, then rounds in random order
    aims         what the project set out to reach, and whether it did
"""

from ..options import OUT, QUICK, SEED
from ..study import Command, Study, Table

#: speed.csv: a row for each number of threads, problem, dtype and contender.
#: seconds       of a call, the median of the rounds
#: ratio         to the hand-written version: the median over the rounds; low, high: its 95 %
#:               confidence interval, or the whole range if there are fewer than six rounds
#: over_refgrad  the same, relative to refgrad's time; over_jit: of that of refgrad.jit
#: rounds        that count; thrown_away: blocks during which something else had the processor
#: busy          processor time over wall time, the median: more than 1 if several threads are at
#:               work
#: threads       that every library may start
#: off           the largest error of the gradients, relative to what rounding explains; see
#:               problems.rounding
#: note          why there is no time: it computes something else, or it failed
NUMBERS = ("seconds", "ratio", "low", "high", "over_refgrad", "over_jit", "rounds", "thrown_away",
           "busy", "off", "threads")
TABLE = Table("speed.csv", ("problem", "dtype", "contender", *NUMBERS, "version", "note"), NUMBERS)

#: speed_profile.csv: a row for each problem, way and part: the part's share of the time, by
#: cProfile (which makes calls dearer than they are, and loops in C not).  microseconds of a call
#: are measured without it.
PROFILE = Table("speed_profile.csv", ("problem", "way", "microseconds", "part", "share"),
                ("microseconds", "share"), needed=False)

#: Speed, memory and throughput.
COMMAND = Command("speed", """
Measure speed, memory and throughput: refgrad against NumPy by hand, torch, JAX and others; the peak
of its memory against what must be kept; networks checked in a second against torch's gradcheck.
Writes speed.csv, speed_profile.csv, memory.csv, throughput.csv, throughput_time.csv and their
plots.

Speed is measured with one thread, and with one for each processor; all else has one thread. It
takes a quarter of an hour, --quick two minutes. torch.compile (not with --quick), JAX, HIPS
autograd
and MyGrad take part if they are installed.

Example: `python -m crosscheck speed --quick --out /tmp/try`
""", (OUT, SEED, QUICK))

SPEED = Study("speed", COMMAND, (TABLE, PROFILE), f"{__name__}.report")
