"""The wrong derivatives that a run found, torch's and refgrad's, each with the smallest program
that shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ball import Undecided, arithmetic, digits
from ..formats import format_named
from ..modes import Mode
from ..networks import interpret
from ..networks.network import Network
from ..studies.networks.run import trial_of
from ..subjects.libraries import library as library_named
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ..subjects.network import known_of
from ..truth.differences import BITS, BY_DIFFERENCES, REQUIRED
from ..truth.exact import enclosures
from ..verdict import NOT_FINITE, WRONG
from .pinpoint import pinpoint
from .program import directions, program_of
from .shrink import shrink

#: The verdicts that blame the library that differentiates.
BAD = (WRONG, NOT_FINITE)


@dataclass
class Failure:
    """A wrong derivative of a network: the library, the array, its worst entry, and the exact
    derivative."""

    network: Network
    library: str
    mode: str
    dtype: str
    name: str
    entry: tuple
    gives: float
    exact: float
    ulps: float
    verdict: str
    array: np.ndarray

    @property
    def program(self):
        return program_of(self.network, self.library, self.mode, self.dtype, self.name, self.array)


def failure(network, library, mode, dtype):
    """The first wrong derivative in that mode, along `directions`; None if none is wrong or no
    exact value is known."""
    mode, library = Mode(mode), library_named(library)
    leaves, constants = network.draw()
    known = known_of(network, leaves, constants, *directions(network), modes=(mode,), seed=0,
                     coordinates=0)
    if known.undecided or any(known.agreement(mode, k).kink for k in mode.names(leaves)):
        return None
    if (any(known.refuted(mode, k) for k in mode.names(leaves))
            or library.exact and not known.truth.holds(mode)):
        # What is exact is not known by refgrad's rules then, and no other library is measured by
        # them.
        return _refuted(network, known, mode, dtype, leaves, constants) if library.exact else None
    trial = trial_of(network, library, leaves, constants, known, (mode,))
    if isinstance(trial.answers[dtype][mode], Exception):
        return None  # an error is no wrong answer
    for _, k, verdict, _ in trial.verdicts(dtype, prove=(mode,)):
        if verdict.verdict in BAD:
            true = known.truth.derivatives[mode][k]
            given, array = (np.asarray(trial.answers[dtype][mode][k]),
                            np.where(true.contains(0), 0.0, true.mid()))
            entry = _worst(given, array)
            return Failure(network, library.name, mode, dtype, k, entry, float(given[entry]),
                           float(array[entry]), verdict.ulp_max, verdict.verdict, array)
    return None


def _worst(given, true):
    off = np.abs(given.astype(float) - true)
    return tuple(map(int,
                     np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)))


# Where refgrad's rules are refuted: differences alone are exact then


def _refuted(network, known, mode, dtype, leaves, constants):
    """refgrad's derivative whose formula differences refute; None if the formula belongs to another
    mode, or if the differences are inconclusive."""
    floats = trial_of(network, REFGRAD, leaves, constants, known, (mode,)).answers[dtype][mode]
    if isinstance(floats, Exception):
        return None
    f, balls, u, v = known.truth.program
    with arithmetic(BITS[1]):
        given = enclosures(mode, f, balls, u, v)
        try:
            exact = enclosures(mode, f, balls, u, v, BY_DIFFERENCES)
        except Undecided:
            return None
    for name, true in exact.items():
        with arithmetic(BITS[1]):
            largest = max(float(np.max(true.abs_upper(), initial=0.0)),
                          float(np.max(given[name].abs_upper()))) or 1.0
            apart = digits(given[name], true, largest)
        if np.min(apart, initial=np.inf) < REQUIRED:
            entry = tuple(map(int, np.unravel_index(np.argmin(apart), apart.shape)))
            gives, exactly = float(np.asarray(floats[name])[entry]), float(true.mid()[entry])
            ulps = abs(gives - exactly) / float(format_named(dtype).spacing(exactly))
            return Failure(network, REFGRAD.name, mode, dtype, name, entry, gives, exactly, ulps,
                           WRONG, true.mid())
    return None


# What is found


def culprit_of(network):
    """The `Culprit` of a network, or None."""
    leaves, constants = network.draw()
    f = lambda *x: interpret(network, REFGRAD.function, dict(zip(leaves, x)), constants)
    return pinpoint(f, *leaves.values())


def explained(network, rows):
    """Describe a network's wrong derivatives: pairs of a text and a program that shows the fault.

    First refgrad's rule at fault, if there is one (without a program), then each library and mode.

    rows  the network's rows of errors.csv.gz
    """
    wrong = {}
    for row in rows:
        if row["verdict"] in BAD:
            wrong.setdefault((row["differentiator"], row["mode"]), set()).add(row["dtype"])
    if (any(library_named(library).exact for library, _ in wrong)
            and (culprit := culprit_of(network))):
        yield str(culprit), ""
    for (library, mode), dtypes in wrong.items():
        found = smallest_failure(network, library, mode, max(dtypes))
        if found is not None:
            yield (f"{library} is wrong in {mode}, {found.dtype}: {found.gives:.9g}, exact "
                   f"{found.exact:.9g}. The smallest program that shows it:"), found.program


def smallest_failure(network, library, mode, dtype):
    """The `Failure` of the smallest network that still fails; None if it fails along other
    directions only."""
    first = failure(network, library, mode, dtype)
    if first is None:
        return None
    # A wrong value beside another tells more than one beside zero.
    fails = lambda n: ((found := failure(n, library, mode, dtype)) is not None
                       and (found.exact != 0 or first.exact == 0))
    return failure(shrink(network, fails), library, mode, dtype)
