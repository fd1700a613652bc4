"""Libraries in the run of networks: one more is a file and a line; JAX is one that may be installed."""

import contextlib
import io

import numpy as np
import pytest

from crosscheck.locate import program_of
from crosscheck.locate.program import directions
from crosscheck.modes import Mode
from crosscheck.networks import draw_networks, network_of_id
from crosscheck.studies.networks.run import check_network
from crosscheck.subjects.libraries import LIBRARIES, library
from crosscheck.subjects.network import NetworkSubject
from crosscheck.verdict import NO_ANSWER, NOT_FINITE, RIGHT, WRONG

#: Each layer and loss alone comes first.
ALONE = draw_networks(0, 30, "quick")[0]


@pytest.fixture
def jax():
    pytest.importorskip("jax")
    return library("jax")


def test_an_unknown_library_is_refused_and_a_missing_one_says_what_to_install(monkeypatch):
    with pytest.raises(ValueError, match="'flax': expected one of refgrad, torch, jax"):
        library("flax")
    monkeypatch.setitem(LIBRARIES, "nowhere", ("refgrad_library", "no_such_package"))
    with pytest.raises(ImportError, match="pip install no_such_package"):
        library("nowhere")


@pytest.mark.parametrize("id", ["quick-0-3", "quick-0-12", "quick-0-19", "quick-0-22"])
def test_jax_is_right(jax, id):
    rows = check_network(network_of_id(id), libraries=("jax",))
    assert {r["differentiator"] for r in rows} == {"jax"} and {r["dtype"] for r in rows} == {"float64", "float32"}
    assert not [r for r in rows if r["verdict"] in (WRONG, NOT_FINITE, NO_ANSWER)]
    assert sum(r["verdict"] == RIGHT for r in rows) > len(rows) / 2


def test_every_layer_and_loss_has_the_same_value(jax):
    refgrad = library("refgrad")
    for network in ALONE:
        leaves, constants = network.draw()
        with jax.at_work():
            found = [float(_loss(network, each, leaves, constants)) for each in (refgrad, jax)]
        assert found[1] == pytest.approx(found[0], rel=1e-9), network.id


def _loss(network, by, leaves, constants):
    from crosscheck.networks import interpret
    return interpret(network, by.function, by.arrays(leaves, "float64"), by.arrays(constants, "float64"))


def test_a_fault_in_jax_is_wrong_in_its_rows_alone(jax, monkeypatch):
    right = jax.differentiate

    def turned(mode, f, x, u, v):
        found = right(mode, f, x, u, v)
        return {k: -g if k == "x" else g for k, g in found.items()} if mode == Mode.REVERSE else found

    monkeypatch.setattr(jax, "differentiate", turned)
    rows = check_network(network_of_id("quick-0-3"), libraries=("refgrad", "jax"))
    wrong = {(r["differentiator"], r["mode"], r["parameter"], r["dtype"]) for r in rows if r["verdict"] == WRONG}
    assert wrong == {("jax", "reverse", "x", dtype) for dtype in ("float64", "float32")}


@pytest.mark.parametrize("mode", [Mode.REVERSE, Mode.FORWARD_OVER_REVERSE])
def test_a_program_of_jax_prints_what_it_gives(jax, mode):
    network = network_of_id("quick-0-12")
    leaves, constants = network.draw()
    u, v = directions(network)
    subject = NetworkSubject(network, jax, leaves, constants, ("float32",))
    with jax.at_work():
        answer = subject.answer(mode, leaves, None, u, v, "float32")
    name, given = next(iter(answer.items()))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program_of(network, "jax", mode, "float32", name), {})
    printed = np.array(eval(out.getvalue()))
    assert np.all(np.abs(printed - given) <= 1e-4 * np.max(np.abs(given)))
