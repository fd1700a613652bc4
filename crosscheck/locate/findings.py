"""What a run found wrong, each as the smallest program that shows it: torch's wrong derivatives, and refgrad's."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..ball import Ball, Undecided, arithmetic, digits
from ..formats import format_named
from ..networks import interpret
from ..networks.network import Network
from ..truth import exact
from ..subjects.libraries import refgrad_modes as modes
from ..truth.exact import BITS, REQUIRED, order_of, step_of_order
from ..verdict import NOT_FINITE, WRONG, judge
from .pinpoint import pinpoint
from .program import directions, program_of
from .shrink import shrink

#: Verdicts that are a fault of the differentiator.
BAD = (WRONG, NOT_FINITE)

TORCH_COLUMNS = ("layer", "mode", "dtype", "network", "program", "torch", "exact", "ulps", "verdict")
REFGRAD_COLUMNS = ("layer", "mode", "dtype", "network", "program", "refgrad", "exact", "ulps", "verdict", "primitive",
                   "rule", "factor", "says")


@dataclass
class Failure:
    """One wrong derivative of a network: by whom, which array's, the worst entry, and the whole exact array."""

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
    """The first wrong derivative in that mode, along `directions`; None if there is none, or nothing is known."""
    leaves, constants = network.draw()
    u, v = directions(network)
    f = _on_balls(network, constants)
    truth = exact.differentiate(f, leaves, u, v, 0, (mode,), (), coordinates=0)
    if truth.undecided:
        return None
    names = ["*"] if mode == "forward over forward" else network.leaves
    order = order_of(mode)
    if any(truth.agreement[order, k].kink for k in names):
        return None
    if any(truth.agreement[order, k].refuted for k in names) or library == "refgrad" and not truth.holds(mode):
        # What is exact is not known by refgrad's rules then, and torch is not measured by them.
        return _refuted(network, mode, dtype, f, leaves, u, v) if library == "refgrad" else None
    other = "float32" if dtype == "float64" else "float64"
    answers = {d: _answer(network, library, mode, d, leaves, constants, u, v) for d in (dtype, other)}
    typical = _answer(network, "refgrad", mode, dtype, leaves, constants, u, v) if library != "refgrad" else None
    if answers[dtype] is None:
        return None
    for k in names:
        true = truth.derivatives[mode][k]
        verdict = judge(answers[dtype][k], true, truth, mode, k, dtype, answers[other] and answers[other][k],
                        typical=typical and typical[k])
        if verdict.verdict in BAD:
            given = np.asarray(answers[dtype][k])
            array = np.where(true.contains(0), 0.0, true.mid())
            entry = _worst(given, array)
            return Failure(network, library, mode, dtype, k, entry, float(given[entry]), float(array[entry]),
                           verdict.ulp_max, verdict.verdict, array)
    return None


def _worst(given, true):
    off = np.abs(given.astype(float) - true)
    return tuple(map(int, np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)))


def _on_balls(network, constants):
    balls = {k: Ball(a) if a.dtype.kind == "f" else a for k, a in constants.items()}
    return lambda x: interpret(network, modes.function, x, balls)


def _answer(network, library, mode, dtype, leaves, constants, u, v):
    """name -> derivative by this library in one mode; None if it raised an error, which is no wrong answer."""
    from ..subjects.libraries import torch_modes
    oracle = torch_modes if library == "torch" else modes
    prepare = torch_modes.tensors if library == "torch" else _arrays
    constants, point, other, along = (prepare(d, dtype) for d in (constants, leaves, u, v))
    with warnings.catch_warnings(), torch_modes.threads(1), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = oracle.MODES[mode](lambda x: interpret(network, oracle.function, x, constants), point, other, along)
            return torch_modes.arrays(found) if library == "torch" else found
        except Exception:
            return None


def _arrays(arrays, dtype):
    return {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()}


# Where refgrad's rules are refuted: differences alone are exact then


def _refuted(network, mode, dtype, f, leaves, u, v):
    """refgrad's derivative of which differences refute the formula; None if it is another mode's formula."""
    floats = _answer(network, "refgrad", mode, dtype, leaves, network.draw()[1], u, v)
    balls = [{k: Ball(a) for k, a in d.items()} for d in (leaves, u, v)]
    with arithmetic(BITS[1]):
        given = exact.enclosures(mode, f, *balls)
    for name in given if floats is not None else ():
        true = by_differences(f, leaves, mode, name, u, v)
        if true is None:
            return None
        with arithmetic(BITS[1]):
            largest = max(float(np.max(true.abs_upper(), initial=0.0)), float(np.max(given[name].abs_upper()))) or 1.0
            apart = digits(given[name], true, largest)
        if np.min(apart, initial=np.inf) < REQUIRED:
            entry = tuple(map(int, np.unravel_index(np.argmin(apart), apart.shape)))
            gives, exactly = float(np.asarray(floats[name])[entry]), float(true.mid()[entry])
            ulps = abs(gives - exactly) / float(format_named(dtype).spacing(exactly))
            return Failure(network, "refgrad", mode, dtype, name, entry, gives, exactly, ulps, WRONG, true.mid())
    return None


def by_differences(f, leaves, mode, name, u, v):
    """The derivative of a mode as a Ball, from values of f alone, entry by entry; None where that is open."""
    order = order_of(mode)
    balls, u, v = ({k: Ball(a) for k, a in d.items()} for d in (leaves, u, v))
    moved = lambda *steps: f({k: sum((s * d[k] for s, d in steps if k in d), start=b) for k, b in balls.items()})
    try:
        with arithmetic(BITS[1]):
            h = step_of_order(order, BITS[1])
            if mode == "forward":
                part = {name: v[name]}
                return (moved((h, part)) - moved((-h, part))) / (2 * h)
            if mode == "forward over forward":
                return _second(moved, u, v, h)
            shape = leaves[name].shape
            units = [{name: Ball(np.eye(1, leaves[name].size, n).reshape(shape))} for n in range(leaves[name].size)]
            each = [_second(moved, e, v, h) if order == 2 else (moved((h, e)) - moved((-h, e))) / (2 * h)
                    for e in units]
            return np.reshape(np.stack(each), shape)
    except Undecided:
        return None


def _second(moved, u, v, h):
    return (moved((h, u), (h, v)) - moved((h, u), (-h, v)) - moved((-h, u), (h, v))
            + moved((-h, u), (-h, v))) / (2 * h) / (2 * h)


# The tables


def torch_findings(errors, networks):
    """Torch's wrong derivatives, a row for each mode and layer, with the smallest program that shows it.

    errors    the frame of errors.csv
    networks  those that it is about
    """
    return pd.DataFrame([_about(layer, found) for layer, found in _smallest(errors, networks, "torch")],
                        columns=list(TORCH_COLUMNS))


def refgrad_findings(errors, networks):
    """The same for refgrad's own wrong derivatives, with the primitive at fault."""
    rows = []
    for layer, found in _smallest(errors, networks, "refgrad"):
        culprit = culprit_of(found.network)
        who = (culprit.primitive, culprit.rule, culprit.factor, str(culprit)) if culprit else ("", "", np.nan, "")
        rows.append((*_about(layer, found), *who))
    return pd.DataFrame(rows, columns=list(REFGRAD_COLUMNS))


def _about(layer, found):
    return (layer, found.mode, found.dtype, found.network.id, found.program, found.gives, found.exact, found.ulps,
            found.verdict)


def culprit_of(network):
    """The `Culprit` of a network, or None."""
    leaves, constants = network.draw()
    f = lambda *x: interpret(network, modes.function, dict(zip(leaves, x)), constants)
    return pinpoint(f, *leaves.values())


def explained(network, rows):
    """What is to be said of a network's wrong derivatives, as pairs of a text and a program that shows it.

    First refgrad's rule at fault, if there is one (without a program), then each library and mode.

    rows  the network's rows of errors.csv
    """
    wrong = {}
    for row in rows:
        if row["verdict"] in BAD:
            wrong.setdefault((row["differentiator"], row["mode"]), set()).add(row["dtype"])
    if any(library == "refgrad" for library, _ in wrong) and (culprit := culprit_of(network)):
        yield str(culprit), ""
    for (library, mode), dtypes in wrong.items():
        found = smallest_failure(network, library, mode, max(dtypes))
        if found is not None:
            yield (f"{library} is wrong in {mode}, {found.dtype}: {found.gives:.9g}, exact {found.exact:.9g}. "
                   f"The smallest program that shows it:"), found.program


def _smallest(errors, networks, library):
    """(layer, `Failure` of the smallest network) for each finding of a library; what the shrinking shows to be the same
    finding only once."""
    from ..report.tables import findings_table
    by_id, met = {n.id: n for n in networks}, set()
    mine = errors[(errors["differentiator"] == library) & errors["verdict"].isin(BAD)]
    for row in findings_table(mine, networks).itertuples():
        dtypes = set(mine.loc[(mine["network"] == row.simplest) & (mine["mode"] == row.mode), "dtype"])
        found = smallest_failure(by_id[row.simplest], library, row.mode, max(dtypes))
        if found is None:
            continue
        layers = found.network.layers
        layer = row.layer if row.layer in layers else " > ".join(layers)
        if (layer, row.mode) not in met:
            met.add((layer, row.mode))
            yield layer, found


def smallest_failure(network, library, mode, dtype):
    """The `Failure` of the network shrunk as far as it still fails; None where it fails along other directions only."""
    first = failure(network, library, mode, dtype)
    if first is None:
        return None
    # A wrong value beside another tells more than one beside zero.
    fails = lambda n: (found := failure(n, library, mode, dtype)) is not None and (found.exact != 0 or first.exact == 0)
    return failure(shrink(network, fails), library, mode, dtype)
