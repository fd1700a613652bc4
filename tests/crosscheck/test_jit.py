"""Networks jitted by refgrad.jit, in every mode and dtype, judged by what balls prove."""

import numpy as np
import pytest

from crosscheck.ball import Ball
from crosscheck.networks import draw_networks
from crosscheck.studies.networks import run
from crosscheck.subjects.libraries import refgrad_library
from crosscheck.verdict import NO_ANSWER, NOT_FINITE, WRONG
from refgrad import jit, straight_line

NETWORKS = draw_networks(11, 12, "full")[0]


class Jitted(refgrad_library.Refgrad):
    """refgrad's derivatives, each traced at one point, and replayed at another; on balls, which
    judge them, they are computed as always."""

    name, exact = "refgrad.jit", False

    def differentiate(self, mode, f, x, u, v):
        if any(isinstance(a, Ball) for a in x.values()):
            return super().differentiate(mode, f, x, u, v)
        fast = jit(lambda x, u, v: super(Jitted, self).differentiate(mode, f, x, u, v))
        fast({k: a * (1 + np.asarray(2.0 ** -20, a.dtype)) for k, a in x.items()}, u, v)
        return fast(x, u, v)


def verdicts(network, monkeypatch):
    """The rows that the harness writes of it."""
    monkeypatch.setattr(refgrad_library, "LIBRARY", Jitted())
    return run.check_network(network, libraries=("refgrad",))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.id)
def test_no_derivative_is_wrong(network, monkeypatch):
    rows = verdicts(network, monkeypatch)
    assert not [r for r in rows if r["verdict"] in (WRONG, NOT_FINITE, NO_ANSWER)]
    assert len(rows) > 10


def test_a_wrong_program_is_called_wrong(monkeypatch):
    monkeypatch.setitem(straight_line.INFIX, np.subtract, "+")
    monkeypatch.setitem(straight_line.IN_PLACE, np.subtract, "+=")
    assert any(r["verdict"] == WRONG for network in NETWORKS[:4]
               for r in verdicts(network, monkeypatch))
