"""How many networks the harness checks: what is compared is right, and a fault on either side shows
in the table.

Nothing here depends on how long things take.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck.studies.networks import frames, run as job
from crosscheck.networks import draw_networks
from crosscheck.networks.draw import PROFILES
from crosscheck.truth import exact
from crosscheck.subjects.libraries.torch_library import LIBRARY as TORCH
from crosscheck.studies.checkers.answer import ACCEPTED, ERROR, REJECTED
from crosscheck.report.tables import read_table, write_table
from crosscheck.studies.speed import phases
from crosscheck.studies.speed.peers import torch_gradcheck
from crosscheck.phases import BOUNDS, GRADIENTS
from crosscheck.studies.speed.phases import BACK, DRAWING, PHASES, Clock
from crosscheck.studies.throughput import run as throughput
from crosscheck.studies.throughput.plots import SHOWN, plot_throughput
from crosscheck.studies.throughput.report import sections
from crosscheck.studies.throughput import SECONDS, TABLE, TIME

from . import drawn
from .figures import bars, dots, labels, texts
from .scenarios import function

SMALL = drawn.alone("linear[no bias]", 3)


@pytest.fixture
def small(monkeypatch):
    """Two small networks."""
    networks = [drawn.alone(name) for name in ("linear", "linear[no bias]")]
    monkeypatch.setattr(throughput, "chosen", lambda seed, quick: networks)
    return networks


@pytest.fixture
def alone(small, monkeypatch):
    """And no other process."""
    monkeypatch.setattr(throughput, "_among_workers", lambda *a: None)
    return small


def measured(network=SMALL):
    return throughput.measure(network, Clock())[0]


# What is compared


def test_a_row_has_what_its_columns_say(alone):
    frame = throughput.run_throughput().frame
    assert tuple(frame.columns) == TABLE.columns
    assert (frame["network"].to_list() == [n.id for n in alone]
            and frame["numbers"].to_list() == [n.size for n in alone])
    assert (frame[list(SECONDS)] > 0).all(axis=None)
    assert (frame["ratio"] == frame["gradcheck"] / frame["proof"]).all()
    assert (frame["ratio_both"]
            == (frame["gradcheck"] + frame["gradgradcheck"]) / frame["both"]).all()
    assert (frame["ratio_check"] == frame["gradcheck"] / frame["check"]).all()
    assert ((frame["said"] == ACCEPTED).all() and (frame["said_twice"] == ACCEPTED).all()
            and (frame["note"] == "").all())
    assert (frame["digits"] >= 40).all() and frame["digits_gradcheck"].between(3, 14).all()


def test_the_rows_of_the_check_are_those_of_a_run_whatever_the_number_of_workers(tmp_path):
    def written(found):
        rows = [r for n in networks for r in found[n.id]]
        write_table(frames.errors_table(rows), tmp_path / "errors.csv.gz")
        return (tmp_path / "errors.csv.gz").read_bytes()
    networks = draw_networks(6, 3, "quick")[0]
    measured = {n.id: throughput.measure(n, Clock())[1] for n in networks}
    assert written(measured) == written({n.id: job.check_network(n) for n in networks})
    found, stopped = job.check_networks(networks, workers=3)
    assert (not stopped
            and written(found) == written(measured) == throughput._written(networks, found))


def test_the_proof_is_the_one_of_the_run():
    """The same digits, bit for bit, as the rows of errors.csv.gz have in reverse mode."""
    network = draw_networks(0, 1, "full")[0][0]
    row, rows = throughput.measure(network, Clock())
    assert row["digits"] == min(r["digits"] for r in rows if r["mode"] == "reverse")


def test_torch_checks_the_numbers_that_the_harness_differentiates():
    leaves, constants = SMALL.draw()
    subject = torch_gradcheck.Subject(SMALL, leaves, constants)
    before = [t.detach().clone() for t in subject.inputs]
    assert sum(t.numel() for t in subject.inputs) == SMALL.size
    assert all(t.requires_grad and t.dtype == torch.float64 for t in subject.inputs)
    assert all(np.array_equal(t.detach().numpy(), a)
               for t, a in zip(subject.inputs, leaves.values()))
    assert subject.digits([1.0] * len(leaves)) > 5
    assert all(map(torch.equal, before, subject.inputs))  # the differences put back what they moved


def test_digits_are_those_of_central_differences():
    """Of x^3 at 1 the central difference is off by h^2, of a gradient of 3."""
    subject = torch_gradcheck.Subject.__new__(torch_gradcheck.Subject)
    subject.inputs = [torch.ones(2, dtype=torch.float64, requires_grad=True)]
    subject.function = lambda x: torch.sum(x ** 3)
    assert 9 < subject.digits([3.0]) < 12.5
    assert subject.digits([3e-6]) == pytest.approx(subject.digits([3.0]) - 6)
    assert subject.digits([1e-300]) == 0


def test_quick_takes_a_few_of_all_sizes():
    few, every = throughput.chosen(0, True), throughput.chosen(0, False)
    assert len(few) == throughput.QUICK_NETWORKS == len({n.id for n in few})
    assert ([n.id for n in every]
            == [n.id for n in draw_networks(0, PROFILES["full"].networks, "full")[0]])
    sizes = sorted(n.size for n in every)
    assert ({n.id for n in few} <= {n.id for n in every} and few[0].size <= sizes[20]
            and few[-1].size >= sizes[-20])
    assert throughput.count(True) == 2 * len(few) and throughput.count(False) == 2 * len(every)


# Planted faults


def test_a_harness_that_skips_the_balls_is_noticed(monkeypatch):
    """In double precision differences know few digits."""
    monkeypatch.setattr(exact, "BITS", (53,))
    row = measured()
    assert not row["digits"] >= 40
    verdict = throughput.judged(pd.DataFrame([row], columns=TABLE.columns)).iloc[-1]
    assert (verdict["aim"].startswith("digits") and verdict["met"] == "missed"
            and verdict["of"] == SMALL.id)


def spoiled(monkeypatch, factor):
    """torch's functions with a wrong slope of the first layer."""
    wrong = function(torch.clone, lambda g, x: g * factor)
    right = TORCH.function
    monkeypatch.setattr(TORCH, "function",
                        lambda name: lambda x, *a, **k: right(name)(
                            wrong.apply(x) if x.requires_grad else x, *a, **k))


def test_gradcheck_saying_no_on_a_wrong_gradient_is_noticed(monkeypatch):
    spoiled(monkeypatch, 1.5)
    row = measured(drawn.alone("concatenate"))
    assert (row["said"] == REJECTED and "Jacobian mismatch" in row["note"]
            and row["digits_gradcheck"] < 1)
    assert row["digits"] >= 40  # the harness's own are another's
    frame = pd.DataFrame([row], columns=TABLE.columns)
    assert "gradcheck does not accept 1 of" in throughput.sentence(frame,
                                                                   throughput.Result().time_frame)


def test_what_gradcheck_cannot_run_is_an_error(monkeypatch):
    def fails(*args, **options):
        raise RuntimeError("no such kernel")
    monkeypatch.setitem(torch_gradcheck.CHECKS, "gradgradcheck", fails)
    row = measured()
    assert (row["said"], row["said_twice"]) == (ACCEPTED, ERROR) and "no such kernel" in row["note"]


# Where the time goes


class Scripted:
    """A clock that shows what is written down."""

    def __init__(self, *times):
        self.times = iter(times)

    def __call__(self):
        return next(self.times)


def test_a_phase_within_another_stops_its_time(monkeypatch):
    monkeypatch.setattr(phases, "process_time", Scripted(0, 1, 4, 6))
    clock = Clock()
    with clock.phase(DRAWING):
        with clock.phase(BOUNDS):
            pass
    assert clock.seconds == {DRAWING: 1 + 2, BOUNDS: 3}
    assert clock.shares() == [(DRAWING, 3, 0.5), (BOUNDS, 3, 0.5)]


def test_shares_add_up_to_one_and_every_phase_is_met(alone):
    time = throughput.run_throughput().time_frame
    rows = time[time["what"] == "phase"]
    assert (tuple(rows["which"]) == PHASES and rows["share"].sum() == pytest.approx(1)
            and (rows["share"] > 0).all())
    assert (rows["share"] == rows["seconds"] / rows["seconds"].sum()).all()


def test_the_clock_leaves_the_harness_as_it_was_and_runs_in_the_check_alone():
    before = phases.Tape.sweep
    clock = Clock()
    with clock.watching():
        throughput.exact.differentiate(lambda x: np.sum(x["x"] ** 2), {"x": np.ones(2)},
                                       {"x": np.ones(2)}, {"x": np.ones(2)}, 0, ("reverse",), ())
        assert not clock.seconds
        with clock.phase(DRAWING):
            job.check_network(SMALL)
    assert clock.seconds[f"{GRADIENTS}, {BACK}"] > 0
    assert phases.Tape.sweep is before
    seconds = dict(clock.seconds)
    job.check_network(SMALL)
    assert clock.seconds == seconds


# The whole of it


def test_interrupted_it_returns_what_is_finished(small):
    def tick(description):
        raise KeyboardInterrupt
    result = throughput.run_throughput(tick=tick)
    assert result.stopped == "interrupted" and result.frame["network"].to_list() == [small[0].id]
    assert (set(result.time_frame["which"]) >= {BOUNDS, "1"}
            and "2" not in set(result.time_frame["which"]))


def test_interrupted_in_the_pool_it_keeps_the_networks(small, monkeypatch):
    monkeypatch.setattr(throughput.run, "check_networks", lambda *a, **k: ({}, "interrupted"))
    result = throughput.run_throughput()
    assert result.stopped == "interrupted" and len(result.frame) == 2
    assert "2" not in set(result.time_frame["which"])


def test_interrupted_at_once_there_is_nothing(alone, monkeypatch):
    def stop(network, clock):
        raise KeyboardInterrupt
    monkeypatch.setattr(throughput, "measure", stop)
    result = throughput.run_throughput()
    assert result.stopped == "interrupted" and not len(result.frame) and not len(result.time_frame)
    assert throughput.sentence(result.frame, result.time_frame) == "Nothing was measured"


def test_another_file_from_several_processes_is_noticed(small, monkeypatch):
    found = {n.id: job.check_network(n) for n in small}
    other = {k: [{**r, "digits": 1.0} for r in rows] for k, rows in found.items()}
    for answer, same in ((found, True), (other, False)):
        monkeypatch.setattr(throughput.run, "check_networks", lambda *a, **k: (answer, ""))
        result = throughput.Result()
        throughput._among_workers(result, small, throughput._written(small, found),
                                  lambda description: None)
        assert result.time_frame["same"].to_list() == [same]


def row(numbers, proof, gradcheck, digits=75.0, **more):
    values = {"network": f"full-0-{numbers}", "numbers": numbers, "proof": proof, "both": 2 * proof,
              "check": 10 * proof, "gradcheck": gradcheck, "gradgradcheck": 3 * gradcheck,
              "digits": digits, "digits_gradcheck": 8.0, "said": ACCEPTED, "said_twice": ACCEPTED,
              "note": np.nan, **more}
    ratios = {"ratio": gradcheck / proof, "ratio_both": 2 * gradcheck / proof,
              "ratio_check": gradcheck / proof / 10}
    return {c: {**values, **ratios}[c] for c in TABLE.columns}


def test_aims_are_judged_by_all_networks_together_and_by_the_median():
    frame = pd.DataFrame([row(5, 1.0, 0.5), row(50, 1.0, 1.0), row(5000, 2.0, 38.5, digits=41.0)])
    found = throughput.judged(frame)
    assert found["the worst"].to_list() == [10, 1, 20, 2, 1, pytest.approx(0.1), 41]
    assert found["met"].to_list() == ["met", "missed", "met", "missed", "missed", "missed", "met"]
    assert found["by the factor"].dropna().to_list() == [5, 2.5, 5, pytest.approx(50)]
    assert list(found["of"][:2]) == ["all 3 networks together", "the median network"]
    lines = throughput.by_size(frame)
    assert lines["numbers"].to_list() == ["0 to 9", "30 to 99", "1000 and more"]
    assert lines["times as many"].to_list() == [0.5, 1, 19.25]


def test_the_section_and_the_plot_render(tmp_path):
    frame = pd.DataFrame([row(5, 1.0, 0.5),
                          row(50, 0.5, 1.0, said=REJECTED, note="Jacobian mismatch")])
    time = pd.DataFrame([("phase", p, 1.0, 1 / len(PHASES), np.nan, np.nan, np.nan) for p in PHASES]
                        + [("workers", "1", 4.0, np.nan, 0.5, 1.0, True),
                           ("workers", "2", 2.0, np.nan, 1.0, 0.8, True)], columns=TIME.columns)
    figure = plot_throughput(frame, time, path=tmp_path / "throughput.png")
    left, right = figure.axes
    for column, (color, _, what) in SHOWN.items():
        x, y = dots(left, color)
        assert x.tolist() == frame["numbers"].to_list() and y.tolist() == frame[column].to_list()
        assert f"{what}: {2 / frame[column].sum():.3g} in a second" in texts(left)
    assert labels(right.yaxis) == list(PHASES)[::-1]
    assert list(bars(right).values()) == [[100 / len(PHASES)] * len(PHASES)]
    section, = sections(tmp_path, frame, time)
    assert (section["title"] == "Throughput" and len(section["images"]) == 1
            and len(section["tables"]) == 5)
    assert ("0.5 in a second by one process and 1.0 by 2, their start included, which had 80 %"
            in section["text"][0])
    assert section["tables"][-1]["rows"] == [["full-0-50", "50", REJECTED, ACCEPTED,
                                              "Jacobian mismatch"]]
    write_table(frame, tmp_path / "throughput.csv")
    write_table(time, tmp_path / "throughput_time.csv")
    again = [read_table(tmp_path, table, "speed") for table in (TABLE, TIME)]
    assert sections(tmp_path, *again)[0]["tables"] == section["tables"]
