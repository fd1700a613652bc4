"""Networks written down by refgrad.jit, in every mode and dtype, judged by what balls prove."""

import warnings

import numpy as np
import pytest

from crosscheck.studies import networks as run
from crosscheck.networks import draw_networks, interpret
from crosscheck.truth import exact
from crosscheck.subjects.libraries import refgrad_modes as modes
from crosscheck.verdict import NO_ANSWER, NOT_FINITE, WRONG
from refgrad import jit, straight_line

NETWORKS = draw_networks(11, 12, "full")[0]


def written_down(network, dtype, leaves, constants, u, v):
    """mode -> name -> derivative: each written down at one point, and replayed at another."""
    point, along, other = ({k: a.astype(dtype) for k, a in d.items()} for d in (leaves, v, u))
    constants = {k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in constants.items()}
    nearby = {k: a * (1 + np.asarray(2.0 ** -20, dtype)) for k, a in point.items()}
    f = lambda x: interpret(network, modes.function, x, constants)
    answers = {}
    for mode, differentiate in modes.MODES.items():
        fast = jit(lambda x, u, v, d=differentiate: d(f, x, u, v))
        fast(nearby, other, along)
        answers[mode] = fast(point, other, along)
    return answers


def verdicts(network):
    """The rows that the harness would write of refgrad, if its answers were these."""
    leaves, constants = network.draw()
    u, v = run.directions(network, leaves)
    truth = exact.differentiate(run.on_balls(network, constants), leaves, u, v, network.size, dtypes=run.DTYPES,
                                coordinates=1, proven=("reverse",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {dtype: written_down(network, dtype, leaves, constants, u, v) for dtype in run.DTYPES}
    for dtype, twin in (run.DTYPES, run.DTYPES[::-1]):
        for mode, answer in found[dtype].items():
            yield from run._rows(network, truth, "refgrad", mode, dtype, answer, found[twin][mode])


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.id)
def test_no_derivative_is_wrong(network):
    rows = list(verdicts(network))
    assert not [r for r in rows if r["verdict"] in (WRONG, NOT_FINITE, NO_ANSWER)]
    assert len(rows) > 10


def test_a_wrong_program_is_called_wrong(monkeypatch):
    monkeypatch.setitem(straight_line.INFIX, np.subtract, "+")
    monkeypatch.setitem(straight_line.IN_PLACE, np.subtract, "+=")
    assert any(r["verdict"] == WRONG for network in NETWORKS[:4] for r in verdicts(network))
