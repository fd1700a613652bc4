"""The main job: draw networks, differentiate each in every way, judge every answer.

Networks are independent, so worker processes share them out; the rows come back in the order of the networks, whatever
the number of workers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..networks import Coverage, draw_networks, interpret
from ..networks.draw import PROFILES
from ..networks.network import Network
from ..sharing import share_out

DTYPES = ("float64", "float32")
LIBRARIES = ("refgrad", "torch")

#: Columns of errors.csv: a row for each network, parameter, differentiator, mode and dtype.
COLUMNS = ("network", "parameter", "differentiator", "mode", "dtype", "ulp_max", "ulp_median", "rel_error",
           "error_over_bound", "bound", "digits", "verdict", "note")


@dataclass
class Run:
    """What a run found: rows of errors.csv, and what it covered."""

    networks: list   # those that were checked
    coverage: Coverage
    rows: list
    stopped: str = ""   # why the run ended before all networks were checked


def run(seed=0, count=100, profile="full", dtypes=DTYPES, workers=2, tick=lambda network: None):
    """Check `count` networks of `seed`.  Interrupted (Ctrl-C), it returns what is finished."""
    networks, coverage = draw_networks(seed, count, profile)
    found, stopped = check_networks(networks, dtypes, workers, tick)
    if stopped:
        networks = [n for n in networks if n.id in found]
        coverage = Coverage()
        for n in networks:
            coverage.meet(n)
    return Run(networks, coverage, [row for n in networks for row in found[n.id]], stopped)


def check_networks(networks, dtypes=DTYPES, workers=2, tick=lambda network: None):
    """(id -> rows of each network that is finished, why it stopped or "")."""
    # The largest first, so that no worker is left alone with one at the end.
    order = sorted(networks, key=lambda n: (-n.size * len(n.calls), n.id))
    done, stopped = share_out(partial(check_network, dtypes=dtypes), order, workers, tick)
    return {order[k].id: rows for k, rows in done.items()}, stopped


def check_network(network: Network, dtypes=DTYPES):
    """The rows of one network."""
    return examine(network, dtypes)[1]


def examine(network: Network, dtypes=DTYPES):
    """(the `Truth` about one network, its rows)."""
    from ..truth import exact
    from ..subjects.libraries import refgrad_modes as modes, torch_modes
    leaves, constants = network.draw()
    u, v = directions(network, leaves)
    thorough = PROFILES[network.profile].thorough
    truth = exact.differentiate(on_balls(network, constants), leaves, u, v, network.size, dtypes=dtypes,
                                coordinates=3 if thorough else 1,
                                proven=tuple(modes.MODES) if thorough else ("reverse",))
    rows = []
    for library in LIBRARIES:
        # Both dtypes always: the one tells which errors of the other are rounding.
        with torch_modes.threads(1):  # the networks are small
            found = {dtype: _answers(network, library, dtype, leaves, constants, u, v) for dtype in DTYPES}
        for dtype in sorted(dtypes, reverse=True):
            twin = found["float32" if dtype == "float64" else "float64"]
            for mode, answer in found[dtype].items():
                rows += _rows(network, truth, library, mode, dtype, answer, twin[mode])
    return truth, rows


def on_balls(network, constants):
    """The network as a function of a dict of Balls: its constants are exact, too."""
    from ..ball import Ball
    from ..subjects.libraries import refgrad_modes as modes
    balls = {k: Ball(a) if a.dtype.kind == "f" else a for k, a in constants.items()}
    return lambda x: interpret(network, modes.function, x, balls)


def directions(network, leaves):
    """(u, v), the same for the same network: normal numbers, exactly representable in float32."""
    rng = np.random.default_rng([len(network.calls), network.size])
    return [{k: rng.standard_normal(a.shape).astype(np.float32).astype(np.float64) for k, a in leaves.items()}
            for _ in range(2)]


def _answers(network, library, dtype, leaves, constants, u, v):
    """mode -> name -> derivative by this library; or the error that it raised, which is a finding, not an end."""
    from ..subjects.libraries import refgrad_modes as modes, torch_modes
    oracle, prepare = (torch_modes, torch_modes.tensors) if library == "torch" else (modes, _arrays)
    constants, point, along, other = (prepare(d, dtype) for d in (constants, leaves, v, u))
    answers = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is judged, not announced
        for mode, differentiate in oracle.MODES.items():
            try:
                found = differentiate(lambda x: interpret(network, oracle.function, x, constants), point, other, along)
                answers[mode] = torch_modes.arrays(found) if library == "torch" else found
            except Exception as error:
                answers[mode] = error
    return answers


def _rows(network, truth, library, mode, dtype, answer, twin):
    from ..truth.exact import order_of
    from ..verdict import NO_ANSWER, UNDECIDED, WRONG, Verdict, judge
    for name in ["*"] if mode == "forward over forward" else network.leaves:
        digits = np.nan
        if truth.undecided:
            verdict = Verdict(UNDECIDED, note=truth.undecided)
        else:
            agreement = truth.agreement[order_of(mode), name]
            digits = agreement.digits
            if agreement.refuted or not truth.holds(mode):
                # "Exact" is refgrad's rules on balls: refuted by differences, it is no measure of others.
                verdict = Verdict(WRONG if library == "refgrad" else UNDECIDED,
                                  note=f"refgrad's rules agree with differences to {digits:.1f} digits only"
                                  if agreement.refuted else "refgrad's rules say otherwise in this mode")
            elif isinstance(answer, Exception):
                what = f"{type(answer).__name__}: {str(answer).splitlines()[0] if str(answer) else ''}"
                verdict = Verdict(NO_ANSWER, note=what[:150])
            else:
                verdict = judge(answer[name], truth.derivatives[mode][name], truth, mode, name, dtype,
                                None if isinstance(twin, Exception) else twin[name])
        values = {"network": network.id, "parameter": name, "differentiator": library, "mode": mode, "dtype": dtype,
                  "digits": digits, **vars(verdict)}
        yield {c: values[c] for c in COLUMNS}


def _arrays(arrays, dtype):
    return {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()}
