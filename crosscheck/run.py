"""The main job: draw networks, differentiate each in every way, judge every answer.

Networks are independent, so worker processes share them out; the rows come back in the order of the networks, whatever
the number of workers.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

import numpy as np

from .networks import Coverage, draw_networks, interpret
from .networks.draw import PROFILES
from .networks.network import Network

DTYPES = ("float64", "float32")
LIBRARIES = ("refgrad", "torch")

#: Columns of errors.csv: a row for each network, parameter, differentiator, mode and dtype.
COLUMNS = ("network", "parameter", "differentiator", "mode", "dtype", "ulp_max", "ulp_median", "rel_error",
           "error_over_bound", "bound", "digits", "verdict", "note")


@dataclass
class Run:
    """What a run found: rows of errors.csv, and what it covered."""

    networks: list
    coverage: Coverage
    rows: list = field(default_factory=list)
    finished: int = 0
    interrupted: bool = False


def run(seed=0, count=100, profile="full", dtypes=DTYPES, workers=2, tick=lambda network: None):
    """Check `count` networks of `seed`.  Interrupted (Ctrl-C), it returns what is finished."""
    networks, coverage = draw_networks(seed, count, profile)
    result = Run(networks, coverage)
    found = {}
    try:
        if workers == 1:
            for n in networks:
                found[n.id] = check_network(n, dtypes)
                tick(n)
        else:
            _share_out(networks, dtypes, workers, found, tick)
    except KeyboardInterrupt:
        result.interrupted = True
        result.coverage = Coverage()
        for n in networks:
            if n.id in found:
                result.coverage.meet(n)
    result.finished = len(found)
    result.rows = [row for n in networks for row in found.get(n.id, [])]
    return result


def _share_out(networks, dtypes, workers, found, tick):
    # Fresh processes: a forked copy of a process with running thread pools may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        # The largest first, so that no worker is left alone with one at the end.
        futures = {pool.submit(check_network, n, dtypes): n
                   for n in sorted(networks, key=lambda n: (-n.size * len(n.calls), n.id))}
        try:
            for future in as_completed(futures):
                found[futures[future].id] = future.result()
                tick(futures[future])
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread():
    from .oracles import torch_modes
    torch_modes.use_threads(1)


def check_network(network: Network, dtypes=DTYPES):
    """The rows of one network."""
    from .ball import Ball
    from .oracles import exact, modes, torch_modes
    leaves, constants = network.draw()
    rng = np.random.default_rng([len(network.calls), network.size])
    u, v = ({k: _direction(rng, a.shape) for k, a in leaves.items()} for _ in range(2))
    balls = {k: Ball(a) if a.dtype.kind == "f" else a for k, a in constants.items()}
    thorough = PROFILES[network.profile].thorough
    truth = exact.differentiate(lambda x: interpret(network, modes.function, x, balls), leaves, u, v, network.size,
                                dtypes=dtypes, coordinates=3 if thorough else 1,
                                proven=tuple(modes.MODES) if thorough else ("reverse",))
    rows, wrong = [], set()  # wrong: what is already known to be wrong, in float64, as (library, mode, parameter)
    for library in LIBRARIES:
        for dtype in sorted(dtypes, reverse=True):
            prepare = torch_modes.tensors if library == "torch" else _arrays
            c = prepare(constants, dtype)
            function = (torch_modes if library == "torch" else modes).function
            point, along, other = (prepare(d, dtype) for d in (leaves, v, u))
            for mode, differentiate in (torch_modes if library == "torch" else modes).MODES.items():
                try:
                    found = differentiate(lambda x: interpret(network, function, x, c), point, other, along)
                    found = torch_modes.arrays(found) if library == "torch" else found
                except Exception as error:  # a differentiator that fails is a finding, not an end
                    found = error
                rows += _rows(network, truth, library, mode, dtype, found, wrong)
    return rows


def _rows(network, truth, library, mode, dtype, found, wrong):
    from .oracles.exact import order_of
    from .verdict import NO_ANSWER, UNDECIDED, WRONG, Verdict, judge
    names = ["*"] if mode == "forward over forward" else network.leaves
    for name in names:
        digits = np.nan
        if truth.undecided:
            verdict = Verdict(UNDECIDED, note=truth.undecided)
        else:
            digits = truth.agreement[order_of(mode), name].digits
            if isinstance(found, Exception):
                what = f"{type(found).__name__}: {str(found).splitlines()[0] if str(found) else ''}"
                verdict = Verdict(NO_ANSWER, note=what[:150])
            else:
                verdict = judge(found[name], truth.derivatives[mode][name], truth, mode, name, dtype,
                                (library, mode, name) in wrong)
                if verdict.verdict == WRONG:
                    wrong.add((library, mode, name))
        values = {"network": network.id, "parameter": name, "differentiator": library, "mode": mode, "dtype": dtype,
                  "digits": digits, **vars(verdict)}
        yield {c: values[c] for c in COLUMNS}


def _arrays(arrays, dtype):
    return {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()}


def _direction(rng, shape):
    """Normal numbers, exactly representable in float32."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)
