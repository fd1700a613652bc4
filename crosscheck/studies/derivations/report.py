"""The book of derivations: how it is made, and what the page says of it."""

from functools import partial

from markupsafe import Markup

from ...report.sections import section, table
from ...report.tables import ReportError, read_table
from ..networks import LAYERS, RUN
from ..study import Outcome
from . import book
from .layers import ulps_of_primitives
from .page import write_derivations


def run(options, watch):
    count = len(book.contents(options.quick, options.random))
    with watch("deriving", count) as tick:
        result = book.book(options.seed, options.quick, options.workers, tick, options.random)
    try:
        ulps = ulps_of_primitives(read_table(options.out, LAYERS, RUN.name))
    except ReportError:
        ulps = {}  # torch's errors are what a run of networks finds
    finished, frame = len(result.entries), book.derivations_table(result.entries, ulps)
    return Outcome(
        finished, f"{finished:,} of {count:,} derivations are made", [frame],
        {"derivations.html": partial(write_derivations, result.entries, frame)},
        f"the book of derivations: {finished:,} entries, proved at points of seed {options.seed}" +
        (" (a few of each family)" if options.quick else ""), book.sentence(frame),
        [f"not proved: {entry.id}: {entry.failed}" for entry in result.failed], result.stopped,
        f"{count:,} were to be made", failed=bool(result.failed))


def sections(folder, derivations):
    link = Markup('All of them, step by step: <a href="derivations.html">the book of '
                  'derivations</a>.')
    derived = derivations[derivations["part"] != book.CONSTANT_RULE]
    counts = derived.groupby("part", sort=False).agg(**{
        "derivations": ("id", "count"),
        "in matrix notation": ("fallback", lambda c: int((~book.filled(c)).sum())),
        "digits": ("digits", "min"), "digits, engine": ("engine_digits", "min"),
        "digits, books": ("book_digits", "min")})
    return [section("Derivations", [book.sentence(derivations) + ".", link],
                    tables=[table(counts.reset_index())])]
