"""The training study: both libraries learn the same, their gradients are right to rounding, and a fault would show."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck.report.style import COLORS
from crosscheck.studies.scaling import torch_programs
from crosscheck.studies import timing
from crosscheck.studies.training import TABLE, run as training
from crosscheck.studies.training.plots import plot_training

from .figures import texts


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays: more threads would only wait for each other."""
    with timing.equal_threads():
        yield


@pytest.fixture(scope="module")
def trained():
    """A whole training study, of the quick size."""
    ticks = []
    found = training.run_training(seed=1, quick=True, tick=ticks.append)
    assert len(ticks) == training.count(quick=True)
    return found


def test_training_has_every_part(trained):
    assert tuple(trained.columns) == TABLE.columns
    assert len(trained) == training.count(quick=True) * 2 * 2
    last = trained[trained["step"] == training.steps(quick=True)]
    assert last["accuracy"].notna().all() and last["gradient_error"].notna().all()


def test_training_learns_and_both_learn_the_same(trained):
    last = trained[trained["step"] == training.steps(quick=True)]
    assert (last["accuracy"] > 0.9).all()
    assert last.groupby("dtype")["accuracy"].agg(np.ptp).max() <= 2 / training.TEST
    for dtype, rows in trained.groupby("dtype"):
        losses = rows.pivot(index="step", columns="library", values="loss")
        assert np.allclose(losses["refgrad"], losses["torch"], rtol=1000 * np.finfo(dtype).eps, atol=0)
        assert (rows.loc[rows["step"] == 0, "distance"] == 0).all()
        assert rows["distance"].max() < 1000 * np.finfo(dtype).eps


def test_gradient_errors_are_of_the_size_of_rounding(trained):
    measured = trained[trained["gradient_error"].notna()]
    for dtype, rows in measured.groupby("dtype"):
        in_eps = rows["gradient_error"] / np.finfo(dtype).eps
        assert 0.1 < in_eps.min() and in_eps.max() < 100


def rows_of(seed, steps=3):
    rows = training.train(*training.load(seed), seed, steps, errors_every=steps, accuracy_every=2)
    return pd.DataFrame(list(rows), columns=TABLE.columns)


def test_the_same_seed_gives_the_same_training():
    once = rows_of(5)
    pd.testing.assert_frame_equal(once, rows_of(5), check_exact=True)
    assert not once["loss"].equals(rows_of(6, steps=2)["loss"])


def test_a_wrong_training_gradient_shows(monkeypatch):
    right = torch_programs.DigitsNet.value_and_gradient

    def wrong(self, x, y):
        value, g = right(self, x, y)
        return value, {**g, "beta1": g["beta1"] * (1 + 1e-3)}

    monkeypatch.setattr(torch_programs.DigitsNet, "value_and_gradient", wrong)
    rows = rows_of(5, steps=1)
    last = rows[(rows["step"] == 1) & (rows["dtype"] == "float64")].set_index("library")
    assert last.loc["torch", "gradient_error"] > 1e-6 > 1e-13 > last.loc["refgrad", "gradient_error"]
    assert last.loc["torch", "distance"] > 1e-9


def test_running_statistics_are_those_of_torch():
    x, y, *_ = training.load(0)
    ours, theirs = training.start(0, "float64")
    for batch, _ in zip(training.batches(len(x), 0), range(3)):
        for net in (ours, theirs):
            net.value_and_gradient(x[batch], y[batch])
    for a, b in zip(ours.running, theirs.running):
        assert all(np.allclose(p, q.numpy(), rtol=1e-13) for p, q in zip(a, b))


def test_descent_is_that_of_torch():
    x, y, *_ = training.load(0)
    _, net = training.start(0, "float64")
    leaves = [p.detach().clone().requires_grad_() for p in net.tensors.values()]
    optimizer = torch.optim.SGD(leaves, training.SETTINGS["rate"], training.SETTINGS["momentum"])
    for _ in range(3):
        _, g = net.value_and_gradient(x[:64], y[:64])
        for leaf, found in zip(leaves, g.values()):
            leaf.grad = torch.tensor(found)
        net.descend(g)
        optimizer.step()
    assert all(torch.allclose(p, leaf, rtol=1e-13) for p, leaf in zip(net.tensors.values(), leaves))


def test_batches_meet_each_sample_once():
    it = training.batches(200, seed=0)
    epoch = np.concatenate([next(it) for _ in range(200 // training.BATCH)])
    assert len(set(epoch)) == len(epoch) and set(epoch) <= set(range(200))


def test_training_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert training.run_training(quick=True) is None


def test_plot_of_training(trained, tmp_path):
    figure = plot_training(trained, path=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    loss, accuracy, errors, distances = figure.axes
    of = {who: trained[(trained["library"] == who) & (trained["dtype"] == "float32")]
          for who in COLORS}
    for line, (who, color) in zip(loss.lines, COLORS.items(), strict=True):
        assert line.get_color() == color and list(line.get_ydata()) == of[who]["loss"].to_list()
        assert f"{who} (" in " ".join(texts(loss))
    for line, who in zip(accuracy.lines, COLORS, strict=True):
        assert list(line.get_ydata()) == (100 * of[who]["accuracy"].dropna()).to_list()
    shown = [line.get_ydata() for line in errors.lines if line.get_linestyle() == "-"]
    measured = trained.dropna(subset="gradient_error").groupby(["dtype", "library"])["gradient_error"]
    assert list(map(list, shown)) == [rows.to_list() for _, rows in measured]
    after = trained[(trained["step"] > 0) & (trained["library"] == "refgrad")]
    assert [list(line.get_ydata()) for line in distances.lines] == [
        rows.to_list() for _, rows in after.groupby("dtype")["distance"]]
    assert {"float32", "float64", "eps of float32", "eps of float64"} <= set(texts(errors))
    assert f"in {training.steps(True)} steps" in figure.get_suptitle()
