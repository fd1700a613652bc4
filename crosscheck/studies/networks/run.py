"""The main job: draw networks, differentiate each in every way, judge every answer.

Networks are independent, so worker processes share them out; the rows come back in the order of the
networks, whatever the number of workers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...networks import Coverage, draw_networks
from ...networks.draw import PROFILES
from ...networks.network import Network
from ...sharing import share_out
from ...subjects.libraries import USUAL
from . import COLUMNS

DTYPES = ("float64", "float32")


@dataclass
class Run:
    """What a run found: rows of errors.csv.gz, and what it covered."""

    networks: list   # those that were checked
    coverage: Coverage
    rows: list
    stopped: str = ""   # why the run ended before all networks were checked


def run(seed=0, count=100, profile="full", dtypes=DTYPES, workers=2, tick=lambda network: None,
        libraries=USUAL):
    """Check `count` networks of `seed`.  Interrupted (Ctrl-C), it returns what is finished."""
    networks, coverage = draw_networks(seed, count, profile)
    found, stopped = check_networks(networks, dtypes, workers, tick, libraries)
    if stopped:
        networks = [n for n in networks if n.id in found]
        coverage = Coverage()
        for n in networks:
            coverage.meet(n)
    return Run(networks, coverage, [row for n in networks for row in found[n.id]], stopped)


def check_networks(networks, dtypes=DTYPES, workers=2, tick=lambda network: None, libraries=USUAL):
    """(id -> rows of each network that is finished, why it stopped or "")."""
    # The largest first, so that no worker is left alone with one at the end.
    order = sorted(networks, key=lambda n: (-n.size * len(n.calls), n.id))
    done, stopped = share_out(partial(check_network, dtypes=dtypes, libraries=libraries), order,
                              workers, tick)
    return {order[k].id: rows for k, rows in done.items()}, stopped


def check_network(network: Network, dtypes=DTYPES, libraries=USUAL):
    """The rows of one network."""
    return examine(network, dtypes, libraries)[1]


def examine(network: Network, dtypes=DTYPES, libraries=USUAL):
    """(the `Truth` about one network, its rows); a library that lacks one of its functions has
    none."""
    from ...modes import Mode  # not above: help and errors shall come at once
    from ...subjects.libraries import library
    from ...subjects.network import known_of
    leaves, constants = network.draw()
    thorough = PROFILES[network.profile].thorough
    known = known_of(network, leaves, constants, *directions(network, leaves), dtypes=dtypes,
                     coordinates=3 if thorough else 1,
                     proven=tuple(Mode) if thorough else (Mode.REVERSE,))
    rows = []
    for name in libraries:
        if library(name).lacks(network):
            continue
        trial = trial_of(network, library(name), leaves, constants, known)
        for dtype in sorted(dtypes, reverse=True):
            rows += _rows(network, trial, dtype)
    return known.truth, rows


def trial_of(network, library, leaves, constants, known, modes=None):
    """The `Trial` of a network of a library, which has answered by all modes or by these.

    In both dtypes always: the one tells which errors of the other are rounding.
    """
    from ...modes import Mode
    from ...phases import floats, phase
    from ...points import Point
    from ...subjects.network import NetworkSubject
    from ...trial import Trial
    subject = NetworkSubject(network, library, leaves, constants, DTYPES)
    trial = Trial(subject, known, Point("as drawn", leaves))
    with phase(floats(library.name)), subject.at_work(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is judged, not announced
        for dtype in DTYPES:
            trial.ask(modes or tuple(Mode), dtype)
    return trial


def directions(network, leaves):
    """(u, v), the same for the same network: normal numbers, exactly representable in float32."""
    rng = np.random.default_rng([len(network.calls), network.size])
    return [{k: rng.standard_normal(a.shape).astype(np.float32).astype(np.float64)
             for k, a in leaves.items()}
            for _ in range(2)]


def _rows(network, trial, dtype):
    """The rows of errors.csv.gz in a dtype: what the trial finds, each array by itself."""
    from ...modes import ALL, Mode
    for mode, found, verdict, _ in trial.verdicts(dtype, prove=tuple(Mode)):
        for name in mode.names(network.leaves) if found == ALL else [found]:
            agreement = trial.known.truth.agreement.get((mode.order, name))
            values = {**vars(verdict), "network": network.id, "parameter": name, "mode": str(mode),
                      "dtype": dtype, "differentiator": trial.subject.library.name,
                      "digits": agreement.digits if agreement else np.nan}
            yield {c: values[c] for c in COLUMNS}
