"""The main job: complete rows, the same whatever the number of workers, and findings that stand on
their own."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from crosscheck.studies.networks import frames, run as job
from crosscheck.ball import Ball, arithmetic
from crosscheck.networks import draw_networks, interpret, networks_from
from crosscheck.networks.draw import PROFILES
from crosscheck.truth import exact
from crosscheck.modes import Mode
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.subjects.libraries.torch_library import LIBRARY as TORCH
from crosscheck.report.tables import write_table
from crosscheck.verdict import LESS_ACCURATE, NO_ANSWER, RIGHT, UNDECIDED, VERDICTS, WRONG
from refgrad import custom
from refgrad.primitive import TABLE
from tests.crosscheck import drawn
from tests.rules import negative


#: Of networks at which all is decided.
SEED = 4


@pytest.fixture(scope="module")
def alone():
    """Three small networks, one process."""
    return job.run(SEED, 3, "quick", workers=1)


def csv(result, folder):
    write_table(frames.errors_table(result.rows), folder / "errors.csv.gz")
    return (folder / "errors.csv.gz").read_bytes()


def test_rows_are_complete(alone):
    expected = [(n.id, name, library, mode, dtype)
                for n in alone.networks for library in ("refgrad", "torch")
                for dtype in ("float64", "float32")
                for mode in Mode for name in mode.names(n.leaves)]
    keys = ("network", "parameter", "differentiator", "mode", "dtype")
    assert [tuple(r[c] for c in keys) for r in alone.rows] == expected
    assert {tuple(r) for r in alone.rows} == {job.COLUMNS}
    assert {r["verdict"] for r in alone.rows} <= set(VERDICTS)
    assert not alone.stopped


def test_refgrad_is_exact_to_rounding_and_its_rules_agree_with_differences(alone):
    own = [r["verdict"] for r in alone.rows if r["differentiator"] == "refgrad"]
    assert all(r["digits"] >= 40 for r in alone.rows)
    assert set(own) <= {RIGHT, UNDECIDED} and own.count(RIGHT) > 0.9 * len(own)


def test_two_workers_find_the_same_bytes(alone, tmp_path):
    shared = job.run(SEED, 3, "quick", workers=2)
    assert [n.id for n in shared.networks] == [n.id for n in alone.networks]
    assert csv(shared, tmp_path) == csv(alone, tmp_path)
    assert shared.coverage == alone.coverage


def test_the_same_seed_finds_the_same_bytes(tmp_path):
    first, second, other = (csv(job.run(seed, 2, "quick", workers=1), tmp_path)
                            for seed in (5, 5, 6))
    assert first == second != other


def test_one_dtype_alone_is_judged_as_among_both(alone):
    single = job.run(SEED, 3, "quick", dtypes=("float32",), workers=1)
    assert [repr(r) for r in single.rows] == [repr(r) for r in alone.rows
                                              if r["dtype"] == "float32"]


# Findings and faults


def test_torch_in_reverse_over_forward_mode_is_found_wrong_through_batch_norm_and_layer_norm():
    """And differences of the very function that torch ran, with no rule of refgrad's in them, say
    the same."""
    for layer in ("batch_norm", "layer_norm"):
        network = drawn.alone(layer)
        rows = [r for r in job.check_network(network) if r["verdict"] == WRONG]
        assert {(r["differentiator"], r["mode"]) for r in rows} == {
            ("torch", "reverse over forward"), ("torch", "forward over forward")}
        assert {r["dtype"] for r in rows} == {"float64", "float32"}

        leaves, constants = network.draw()
        balls = {k: Ball(a) if a.dtype.kind == "f" else a for k, a in constants.items()}
        rng = np.random.default_rng(9)
        u, v = ({k: rng.standard_normal(a.shape) for k, a in leaves.items()} for _ in range(2))
        with arithmetic(400):
            h, x = 2.0 ** -100, {k: Ball(a) for k, a in leaves.items()}
            at = {(s, t): interpret(network, REFGRAD.function,
                                    {k: b + s * h * u[k] + t * h * v[k] for k, b in x.items()},
                                    balls)
                  for s in (1, -1) for t in (1, -1)}
            difference = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / (2 * h) / (2 * h)
        x, u, v, constants = (TORCH.arrays(d, "float64") for d in (leaves, u, v, constants))

        def loss(x):
            return interpret(network, TORCH.function, x, constants)
        curvature = {mode: float(TORCH.inner(TORCH.differentiate(mode, loss, x, u, v), u))
                     for mode in (Mode.REVERSE_OVER_FORWARD, Mode.REVERSE_OVER_REVERSE)}
        truth = float(difference.mid())
        assert abs(curvature["reverse over reverse"] / truth - 1) < 1e-9
        assert abs(curvature["reverse over forward"] / truth - 1) > 1e-3


def test_a_differentiator_that_raises_gives_no_answer_and_the_run_goes_on(monkeypatch):
    right = TORCH.differentiate

    def fails(mode, *arguments):
        if mode == Mode.FORWARD_OVER_REVERSE:
            raise RuntimeError("no such kernel\nand a long trace")
        return right(mode, *arguments)
    monkeypatch.setattr(TORCH, "differentiate", fails)
    result = job.run(3, 2, "quick", workers=1)
    failed = [r for r in result.rows
              if r["verdict"] == NO_ANSWER and r["mode"] == "forward over reverse"]
    assert {r["note"] for r in failed} == {"RuntimeError: no such kernel"}
    assert len(failed) == 2 * sum(len(n.leaves) for n in result.networks)
    assert any(r["verdict"] == RIGHT for r in result.rows if r["network"] == result.networks[-1].id)


@pytest.mark.parametrize("library", [REFGRAD, TORCH], ids=lambda library: library.name)
def test_a_planted_fault_is_wrong_in_its_rows_alone(monkeypatch, library):
    def turning(mode, right):
        def turned(f, x, u, v):
            # torch's reverse over forward is wrong of itself in some networks.
            found = right(Mode.REVERSE_OVER_REVERSE if mode == Mode.REVERSE_OVER_FORWARD else mode,
                          f, x, u, v)
            # The truth stays the truth.
            if mode == Mode.REVERSE and not isinstance(next(iter(found.values())), Ball):
                found = {k: -g if k == "x" else g for k, g in found.items()}
            return found
        return turned
    right = library.differentiate
    monkeypatch.setattr(library, "differentiate", lambda mode, *what: turning(mode, right)(*what))
    if library is not TORCH:
        of_torch = TORCH.differentiate
        monkeypatch.setattr(TORCH, "differentiate", lambda mode, *what: of_torch(
            Mode.REVERSE_OVER_REVERSE if mode == Mode.REVERSE_OVER_FORWARD else mode, *what))
    rows = job.check_network(drawn.alone("linear[no bias]", 3))
    wrong = {(r["differentiator"], r["mode"], r["parameter"], r["dtype"]) for r in rows
             if r["verdict"] == WRONG}
    assert wrong == {(library.name, "reverse", "x", dtype) for dtype in job.DTYPES}


def test_a_wrong_rule_of_refgrad_is_noticed_by_differences(monkeypatch):
    """The exact value is refgrad's own, so a wrong rule makes that wrong too: only the digits can
    tell."""
    network = drawn.alone("relu")
    right = REFGRAD.function

    def faulty(name):
        if name != "relu":
            return right(name)
        relu = custom(lambda y: np.maximum(y, 0))
        relu.def_jvp(lambda tangents, y, x: tangents[0] * np.where(x > 0, 1 + 2.0 ** -50, 0.0))
        relu.def_vjp(lambda g, y, x: (g * np.where(x > 0, 1 + 2.0 ** -50, 0.0),))
        return relu
    monkeypatch.setattr(REFGRAD, "function", faulty)
    digits = {r["parameter"]: r["digits"] for r in job.check_network(network)
              if r["mode"] == "reverse"}
    assert 14 < digits["x"] < 17


def test_what_is_undecided_is_so_in_every_row(monkeypatch):
    monkeypatch.setattr(exact, "differentiate",
                        lambda *a, **k: exact.Truth(bits=3200, undecided="greater: open"))
    rows = job.check_network(drawn.alone("linear[no bias]", 3))
    assert {(r["verdict"], r["note"]) for r in rows} == {("undecided", "greater: open")}
    assert all(np.isnan(r["digits"]) for r in rows)


# Interruption


def test_interrupted_it_keeps_what_is_finished(monkeypatch, alone):
    done = []

    def tick(network):
        done.append(network.id)
        if len(done) == 2:
            raise KeyboardInterrupt
    result = job.run(SEED, 3, "quick", workers=1, tick=tick)
    assert result.stopped == "interrupted"
    assert {n.id for n in result.networks} == set(done)
    assert [repr(r) for r in result.rows] == [repr(r) for r in alone.rows if r["network"] in done]
    assert sum(result.coverage.layers.values()) == sum(len(n.layers) for n in result.networks)


def test_interrupted_with_workers_it_keeps_what_is_finished(alone):
    def tick(network):
        raise KeyboardInterrupt
    result = job.run(SEED, 3, "quick", workers=2, tick=tick)
    assert result.stopped == "interrupted" and len(result.networks) == 1
    done = result.networks[0].id
    assert [repr(r) for r in result.rows] == [repr(r) for r in alone.rows if r["network"] == done]


def die(network, dtypes, libraries):
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_of_a_few_roundings_is_not_called_wrong():
    """Small entries may lose their digits beside large ones."""
    networks = networks_from(0, 162, 166)
    rows = [r for n in networks for r in job.check_network(n, ("float64",), ("torch",))]
    assert [r for r in rows if r["verdict"] == LESS_ACCURATE]
    assert not [r for r in rows if r["verdict"] == WRONG and r["rel_error"] < 1e-13]


def test_a_worker_that_dies_ends_the_run_with_a_word(monkeypatch):
    monkeypatch.setattr(job, "check_network", die)
    result = job.run(3, 2, "quick", workers=2)
    assert "worker processes died of the same task" in result.stopped and result.rows == []


def test_profiles_differ_in_size():
    sizes = {p: sum(n.size for n in draw_networks(0, PROFILES[p].networks, p)[0]) for p in PROFILES}
    assert sizes["quick"] * 3 < sizes["full"]


def test_proving_needs_no_torch():
    """The truth, refgrad's modes and the networks, without it."""
    code = ("import sys; import crosscheck.networks, crosscheck.proof, crosscheck.truth.exact; "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_refuted_rule_is_named_and_torch_is_not_measured_by_it(monkeypatch):
    """The reference itself is on trial: differences judge it, and the findings name its layer."""
    layer = next(rule for rule in TABLE.values() if rule.name == "layer_norm")
    monkeypatch.setattr(layer, "vjp", negative(layer.vjp, 0))
    networks = [drawn.alone(name) for name in ("gelu", "layer_norm", "batch_norm", "softmax")]
    errors = frames.errors_table([row for n in networks for row in job.check_network(n)])
    wrong = errors[errors["verdict"] == "wrong"]
    refuted = wrong[wrong["differentiator"] == "refgrad"]
    assert set(refuted["mode"]) >= {"reverse", "forward over reverse"}
    assert not ((wrong["differentiator"] == "torch") & wrong["mode"].eq("reverse")).any()
    found = frames.findings_table(errors, networks)
    assert set(found.loc[(found["differentiator"] == "refgrad") & (found["verdict"] == "wrong"),
                         "layer"]) == {
                             "layer_norm"}
