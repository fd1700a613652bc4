"""Shrinking networks, programs that reproduce a failure, and the tables of findings."""

import ast
import contextlib
import io

import numpy as np
import pytest

from crosscheck.ball import Ball, arithmetic
from crosscheck.locate import findings, program_of, shrink
from crosscheck.locate.program import directions
from crosscheck.modes import Mode
from crosscheck.networks import draw_networks
from crosscheck.networks.network import interpret
from crosscheck.subjects.libraries import library as library_named
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.subjects.network import NetworkSubject, on_balls
from crosscheck.studies.networks.frames import errors_table, refgrad_findings, torch_findings
from crosscheck.studies.networks.run import check_network
from crosscheck.studies.networks import TORCH_FINDINGS
from crosscheck.truth.differences import BITS, BY_DIFFERENCES
from refgrad.tracer import bare
from tests.crosscheck.drawn import alone, chain, id_of
from tests.rules import plant

SMALL = draw_networks(0, 30)[0]
NORMED = chain("softplus", "layer_norm", "nll_loss")


def printed(program):
    """What a program prints, as an array."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})
    return np.array(ast.literal_eval(out.getvalue()))


# Shrinking


def test_the_smallest_network_with_a_layer():
    for network in (NORMED,
                    chain("linear", "layer_norm", "residual", "gelu", "layer_norm", "mse_loss")):
        small = shrink(network, lambda n: "layer_norm" in n.layers)
        assert small.layers == ["layer_norm"] and len(small.leaves) == 1 and small.id == network.id
        assert (small.size <= 2
                and all(a.scale == 1 and a.law == "normal" for a in small.arrays.values()))
        x = small.draw()[0]["x"]
        assert np.array_equal(x, np.round(x)) and np.all(x != 0)


def test_what_the_failure_needs_is_kept():
    network = NORMED
    leaves = {"x", "weight_0"} & set(network.leaves)
    wide = lambda n: max((a.shape[-1] for a in n.arrays.values() if a.shape), default=0)
    small = shrink(network, lambda n: leaves <= set(n.leaves) and n.calls[-1].layer is not None
                   and wide(n) >= 2)
    assert leaves <= set(small.leaves) and small.calls[-1].layer is not None and wide(small) == 2


def test_it_is_deterministic_and_bounded():
    network, asked = NORMED, []

    def fails(n):
        asked.append(n)
        return len(n.calls) >= 2

    first = shrink(network, fails)
    assert len(asked) <= 401 and shrink(network, fails) == first and len(first.calls) == 2
    asked.clear()
    shrink(network, fails, trials=5)
    assert len(asked) == 6


def test_every_candidate_is_a_network():
    for network in SMALL[::5]:
        def fails(n):
            leaves, constants = n.draw()
            assert np.shape(interpret(n, REFGRAD.function, leaves, constants)) == ()
            return len(n.calls) > 1
        shrink(network, fails, 100)


def test_what_does_not_fail_is_refused():
    with pytest.raises(ValueError, match="full-0-0 does not fail to begin with"):
        shrink(NORMED, lambda n: False)


# Programs


@pytest.mark.parametrize("library", ["torch", "refgrad"])
@pytest.mark.filterwarnings("ignore")
def test_a_program_prints_what_the_library_gives(library):
    for n, network in enumerate(SMALL):
        mode = list(Mode)[n % 6]
        dtype = ("float64", "float32")[n % 2]
        u, v = directions(network)
        leaves, constants = network.draw()
        try:
            answer = NetworkSubject(network, library_named(library), leaves, constants,
                                    (dtype,)).answer(
                                        mode, leaves, None, u, v, dtype)
        except Exception:
            continue
        name = list(answer)[n % len(answer)]
        program = program_of(network, library, mode, dtype, name, answer[name])
        expected = np.asarray(answer[name])
        error = np.abs(printed(program) - expected)
        assert np.all(error <= 1000 * np.finfo(dtype).eps * np.max(np.abs(expected))), program
        assert (f"crosscheck replay {network.id}" in program
                and f"# exact: {expected.tolist()}" in program)


def test_the_differences_that_stand_in_for_refuted_rules():
    network = alone("sigmoid")
    leaves, constants = network.draw()
    u, v = directions(network)
    f = on_balls(network, constants)
    subject = NetworkSubject(network, REFGRAD, leaves, constants, ("float64",))
    balls = [{k: Ball(a) for k, a in d.items()} for d in (leaves, u, v)]
    for mode in Mode:
        with arithmetic(BITS[1]):
            exact = BY_DIFFERENCES.differentiate(mode, f, *balls)
        for name, given in subject.answer(mode, leaves, None, u, v, "float64").items():
            true = exact[name]
            assert np.max(np.abs(true.mid() - given)) <= 1e-12 * max(np.max(np.abs(given)), 1)


# Findings


def rows_of(*networks):
    return errors_table([row for n in networks for row in check_network(n)]), list(networks)


def test_the_wrong_second_derivatives_of_torch():
    found = torch_findings(*rows_of(alone("linear"), alone("relu"), alone("batch_norm"),
                                    alone("layer_norm")))
    assert tuple(found.columns) == TORCH_FINDINGS.columns
    assert {"reverse over forward", "forward over forward"} == set(found["mode"])
    assert sorted(zip(found["layer"], found["mode"])) == sorted(
        set(zip(found["layer"], found["mode"])))
    assert {"layer_norm", "batch_norm"} == set(found["layer"])
    for row in found.itertuples():
        assert (row.program.count("\n") <= 10 and row.network in row.program
                and row.verdict == "wrong")
        wrong, exact = (printed(row.program),
                        np.array(ast.literal_eval(row.program.rsplit("# exact: ", 1)[1])))
        entry = np.unravel_index(np.argmax(np.abs(wrong - exact)), wrong.shape)
        assert wrong[entry] == pytest.approx(row.torch, rel=1e-9) and exact[entry] == row.exact
        assert row.ulps > 1e6


def test_a_network_is_explained(monkeypatch):
    network = alone("batch_norm")
    said = list(findings.explained(network, check_network(network)))
    assert [text.split(":")[0] for text, _ in said] == [
        "torch is wrong in reverse over forward, float64",
        "torch is wrong in forward over forward, float64"]
    assert all(program.startswith("import torch") for _, program in said)
    plant(monkeypatch, "batch_norm", "vjp", 0, lambda rule, *a, **k: -rule(*a, **k))
    said = list(findings.explained(network, check_network(network)))
    assert said[0][0].startswith("The vjp of argument 0 of batch_norm is wrong (operation 1 of the "
                                 "program")
    assert len(said) > 1 and all(text.startswith("refgrad is wrong in ") for text, _ in said[1:])


def test_a_wrong_jvp_is_shrunk_in_forward_mode(monkeypatch):
    plant(monkeypatch, "sigmoid", "jvp", 0, lambda rule, *a, **k: -rule(*a, **k))
    found = findings.smallest_failure(alone("sigmoid"), "refgrad", "forward", "float64")
    assert found.network.layers == ["sigmoid"] and found.gives == pytest.approx(-found.exact)
    assert findings.culprit_of(found.network).rule == "jvp"


def test_nothing_is_found_where_nothing_is_wrong():
    errors, networks = rows_of(alone("relu"))
    assert not len(torch_findings(errors, networks)) and not len(refgrad_findings(errors, networks))


@pytest.mark.parametrize("name, which, fault, says", [
    ("sigmoid", "vjp", lambda rule, g, *a: 2 * rule(g, *a), ("vjp", "factor 2")),
    ("sigmoid", "jvp", lambda rule, v, *a: rule(v, *a) * (1 + 2.0 ** -30), ("jvp", "9.0 digits")),
    ("sigmoid", "vjp", lambda rule, g, y, x: g * bare(y * (1 - y)), ("differentiated again",)),
    ("sigmoid", "vjp", lambda rule, g, y, x: rule(g, y, x).astype(np.float32).astype(x.dtype),
     ("In float64",))])
def test_a_fault_of_refgrad_is_pinned_and_reproduced(name, which, fault, says, monkeypatch):
    plant(monkeypatch, name, which, 0, fault)
    found = refgrad_findings(*rows_of(alone("sigmoid"), alone("relu")))
    assert len(found) and set(found["primitive"]) == {name} and set(found["layer"]) == {"sigmoid"}
    for row in found.itertuples():
        assert row.rule.startswith(which) and all(part in row.says for part in says)
        assert (row.program.count("\n") <= 10
                and f"crosscheck replay {id_of('sigmoid')}" in row.program)
        value = printed(row.program)
        assert np.min(np.abs(value - row.refgrad)) <= 1e-12 * abs(row.refgrad)
        assert row.refgrad != row.exact
