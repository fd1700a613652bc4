"""Libraries in the run of networks: one more is a file and a line; JAX is one that may be
installed."""

import contextlib
import io

import numpy as np
import pytest

from crosscheck.locate import program_of
from crosscheck.locate.program import directions
from crosscheck.modes import Mode
from crosscheck.networks import draw_networks
from crosscheck.networks.builder import LAYERS, LOSSES
from crosscheck.studies.networks.run import check_network
from crosscheck.subjects.libraries import LIBRARIES, library
from crosscheck.subjects.network import NetworkSubject
from crosscheck.verdict import NO_ANSWER, NOT_FINITE, RIGHT, WRONG
from tests.crosscheck.drawn import alone

#: Each layer and loss alone comes first.
ALONE = draw_networks(0, len(LAYERS) + len(LOSSES))[0]


@pytest.fixture
def jax():
    pytest.importorskip("jax")
    return library("jax")


def test_an_unknown_library_is_refused_and_a_missing_one_says_what_to_install(monkeypatch):
    with pytest.raises(ValueError, match="'flax': expected one of refgrad, torch, torch-cuda, jax"):
        library("flax")
    monkeypatch.setitem(LIBRARIES, "nowhere", ("refgrad_library", "no_such_package"))
    with pytest.raises(ImportError, match="pip install no_such_package"):
        library("nowhere")


@pytest.mark.parametrize("layer", ["residual", "gelu", "batch_norm[eval]", "nll_loss"])
def test_jax_is_right(jax, layer):
    rows = check_network(alone(layer), libraries=("jax",))
    assert ({r["differentiator"] for r in rows} == {"jax"}
            and {r["dtype"] for r in rows} == {"float64", "float32"})
    assert not [r for r in rows if r["verdict"] in (WRONG, NOT_FINITE, NO_ANSWER)]
    assert sum(r["verdict"] == RIGHT for r in rows) > len(rows) / 2


def test_every_layer_and_loss_has_the_same_value(jax):
    refgrad = library("refgrad")
    had = [n for n in ALONE if not jax.lacks(n)]
    assert len(had) >= 30
    for network in had:
        leaves, constants = network.draw()
        with jax.at_work():
            found = [float(_loss(network, each, leaves, constants)) for each in (refgrad, jax)]
        assert found[1] == pytest.approx(found[0], rel=1e-9), network.id


def _loss(network, by, leaves, constants):
    from crosscheck.networks import interpret
    return interpret(network, by.function, by.arrays(leaves, "float64"),
                     by.arrays(constants, "float64"))


def test_a_network_with_a_function_that_a_library_lacks_is_left_out(jax):
    network = alone("conv2d")
    assert jax.lacks(network) == ["conv2d"] and library("torch").lacks(network) == []
    assert ({r["differentiator"] for r in check_network(network, libraries=("refgrad", "jax"))}
            == {"refgrad"})
    with pytest.raises(NotImplementedError, match="jax has no function conv2d"):
        jax.function("conv2d")


def test_a_fault_in_jax_is_wrong_in_its_rows_alone(jax, monkeypatch):
    right = jax.differentiate

    def turned(mode, f, x, u, v):
        found = right(mode, f, x, u, v)
        return ({k: -g if k == "x" else g for k, g in found.items()} if mode == Mode.REVERSE
                else found)

    monkeypatch.setattr(jax, "differentiate", turned)
    rows = check_network(alone("residual"), libraries=("refgrad", "jax"))
    wrong = {(r["differentiator"], r["mode"], r["parameter"], r["dtype"]) for r in rows
             if r["verdict"] == WRONG}
    assert wrong == {("jax", "reverse", "x", dtype) for dtype in ("float64", "float32")}


@pytest.mark.parametrize("mode", [Mode.REVERSE, Mode.FORWARD_OVER_REVERSE])
def test_a_program_of_jax_prints_what_it_gives(jax, mode):
    network = alone("gelu")
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
