"""Training: both libraries learn the same, gradients are right to rounding, a fault would show."""

import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck.report.style import COLORS
from crosscheck.studies import timing
from crosscheck.studies.training import TABLE, learner, report, run as training
from crosscheck.studies.training.nets import ANSWER, CHARACTERS, NETS, sums
from crosscheck.studies.training.plots import plot_training
from refgrad.nn.convolution import conv_weight
from refgrad.nn.softmax import masked_softmax

from .figures import texts

MLP, CNN, TRANSFORMER = NETS

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
    steps = training.steps(quick=True)
    for net in NETS:
        rows = trained[trained["net"] == net.name]
        assert len(rows) == (steps + 1) * 2 * 2
        assert set(rows.loc[rows["reference"] == "ball", "step"]) == {0, steps // 2, steps}
        measured = rows[rows["step"] % training.ERRORS_EVERY == 0]
        assert measured["gradient_error"].notna().all()
        assert rows.loc[rows["step"] == steps, "accuracy"].notna().all()


@pytest.mark.parametrize("net, least", [(MLP, 0.9), (CNN, 0.75), (TRANSFORMER, 0.6)])
def test_training_learns_and_both_learn_the_same(trained, net, least):
    trained = trained[trained["net"] == net.name]
    last = trained[trained["step"] == training.steps(quick=True)]
    assert (last["accuracy"] > least).all()
    assert last.groupby("dtype")["accuracy"].agg(np.ptp).max() <= 2 / len(net.data(1)[2])
    for dtype, rows in trained.groupby("dtype"):
        losses = rows.pivot(index="step", columns="library", values="loss")
        rounding = 1000 * np.finfo(dtype).eps
        assert np.allclose(losses["refgrad"], losses["torch"], rtol=rounding, atol=0)
        assert losses.iloc[-1].max() < losses.iloc[0].min() / 1.5
        assert (rows.loc[rows["step"] == 0, "distance"] == 0).all()
        assert rows["distance"].max() < rounding


def test_gradient_errors_are_of_the_size_of_rounding(trained):
    measured = trained[trained["gradient_error"].notna()]
    for (_, dtype), rows in measured.groupby(["net", "dtype"]):
        in_eps = rows["gradient_error"] / np.finfo(dtype).eps
        assert 0.1 < in_eps.min() and in_eps.max() < 100


def rows_of(net, seed):
    """The rows of one step."""
    rows = training.train(net, *net.data(seed), seed, steps=1)
    return pd.DataFrame(list(rows), columns=TABLE.columns)


def test_the_same_seed_gives_the_same_training():
    once = rows_of(MLP, 5)
    pd.testing.assert_frame_equal(once, rows_of(MLP, 5), check_exact=True)
    assert not once["loss"].equals(rows_of(MLP, 6)["loss"])


# Faults


def wrong(compute):
    return lambda *arguments, **params: compute(*arguments, **params) * (1 + 1e-3)


def last_step(monkeypatch, net):
    """The rows after one step in float64, by library."""
    monkeypatch.setattr(training, "DTYPES", ("float64",))
    rows = rows_of(net, 5)
    return rows[rows["step"] == 1].set_index("library")


def test_a_wrong_factor_in_what_a_convolution_computes_shows(monkeypatch):
    monkeypatch.setattr(conv_weight, "plain", wrong(conv_weight.plain))
    last = last_step(monkeypatch, CNN)
    assert last.loc["refgrad", "gradient_error"] > 1e-6
    assert last.loc["torch", "gradient_error"] < 1e-13
    assert last.loc["torch", "distance"] > 1e-9


def test_a_wrong_factor_in_the_rule_of_attention_shows(monkeypatch):
    """The exact gradient takes the same rule, so it is torch that seems to be off."""
    monkeypatch.setattr(masked_softmax, "vjp", tuple(map(wrong, masked_softmax.vjp)))
    last = last_step(monkeypatch, TRANSFORMER)
    assert last.loc["torch", "gradient_error"] > 1e-6
    assert last.loc["refgrad", "gradient_error"] < 1e-13
    assert last.loc["torch", "distance"] > 1e-9


def test_a_wrong_gradient_of_torch_shows(monkeypatch):
    def spoiled(f, p):
        both, g = learner._torch_differentiate(f, p)
        return both, {**g, "beta1": g["beta1"] * (1 + 1e-3)}

    monkeypatch.setattr(training, "TORCH", replace(learner.TORCH, differentiate=spoiled))
    last = last_step(monkeypatch, MLP)
    assert last.loc["torch", "gradient_error"] > 1e-6
    assert last.loc["refgrad", "gradient_error"] < 1e-13
    assert last.loc["torch", "distance"] > 1e-9


# The parts


def test_running_statistics_are_those_of_torch():
    x, y, *_ = MLP.data(0)
    ours, theirs = training.start(MLP, 0, "float64")
    for batch, _ in zip(training.batches(len(x), 64, 0), range(3)):
        for net in (ours, theirs):
            net.value_and_gradient(x[batch], y[batch])
    assert len(ours.statistics) == len(theirs.statistics) == 2
    for a, b in zip(ours.statistics, theirs.statistics):
        assert all(np.allclose(p, q.numpy(), rtol=1e-13) for p, q in zip(a, b))


def test_descent_is_that_of_torch():
    x, y, *_ = MLP.data(0)
    _, net = training.start(MLP, 0, "float64")
    leaves = [p.clone().requires_grad_() for p in net.parameters.values()]
    optimizer = torch.optim.SGD(leaves, MLP.rate, learner.MOMENTUM)
    for _ in range(3):
        _, g = net.value_and_gradient(x[:64], y[:64])
        for leaf, found in zip(leaves, g.values()):
            leaf.grad = found.clone()
        net.descend(g)
        optimizer.step()
    for p, leaf in zip(net.parameters.values(), leaves):
        assert torch.allclose(p, leaf, rtol=1e-13)


def test_batches_meet_each_sample_once():
    it = training.batches(200, 64, seed=0)
    epoch = np.concatenate([next(it) for _ in range(200 // 64)])
    assert len(set(epoch)) == len(epoch) and set(epoch) <= set(range(200))


def test_the_sums_are_right_and_only_their_answers_are_asked_for():
    x, y, x_test, y_test = sums(3)
    lines = ["".join(CHARACTERS[c] for c in (*row, end)) for row, end in zip(x, y[:, -1])]
    assert (x[:, 1:] == y[:, :-1]).all() and len(set(lines)) == 25
    for line in lines:
        problem, answer = line.removesuffix(";").split("=")
        assert eval(problem) == int(answer)
    assert (y_test[:, ANSWER - 1] == x_test[:, ANSWER]).all()
    assert (y_test >= 0).sum() == len(y_test) == len(np.unique(x_test, axis=0)) == 25


def test_accuracy_counts_the_answers_that_are_asked_for():
    """Here the token itself has the highest score."""
    def scores(F, p, x, statistics, training):
        return p["one"][x], statistics

    trained = learner.Learner(
        learner.REFGRAD, replace(TRANSFORMER, scores=scores), {"one": np.eye(4)})
    x = np.array([[0, 1], [0, 1], [2, 3], [3, 3]])
    assert trained.accuracy(x, np.array([[0, -1], [-1, 2], [2, 3], [3, 0]])) == 0.5


def test_training_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(training, "steps", lambda quick: 1)
    options = SimpleNamespace(seed=0, quick=True)
    outcome = report.run(options, lambda *_: nullcontext(lambda _: None))
    assert set(outcome.tables[0]["net"]) == {TRANSFORMER.name}
    note, = outcome.notes
    assert f"{MLP.name} and {CNN.name}" in note and "pip install scikit-learn" in note


# The page


def test_the_page_says_for_each_net_what_was_learned(trained, tmp_path):
    section, = report.sections(tmp_path, trained)
    _, *lines = section["text"]
    for net, line in zip(NETS, lines, strict=True):
        last = trained[(trained["net"] == net.name) & (trained["step"] == training.steps(True))]
        right = last.set_index(["dtype", "library"]).loc[("float32", "torch"), "accuracy"]
        assert line.startswith(f"The {net.name} learns {net.task}:")
        assert f"{100 * right:.1f} % by torch" in line


def test_plot_of_training(trained, tmp_path):
    figure = plot_training(trained, path=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert f"{training.steps(True)} steps" in figure.get_suptitle()
    assert all(f"{who} (" in " ".join(texts(figure.axes[0])) for who in COLORS)
    assert {"eps of float32", "eps of float64"} <= set(texts(figure.axes[2]))
    for net, row in zip(NETS, np.reshape(figure.axes, (-1, 4)), strict=True):
        check_row(net, row, trained[trained["net"] == net.name])


def check_row(net, row, frame):
    loss, accuracy, errors, distances = row
    of = {who: frame[(frame["library"] == who) & (frame["dtype"] == "float32")] for who in COLORS}
    assert loss.get_ylabel() == f"{net.name}\n{net.task}"
    for line, (who, color) in zip(loss.lines, COLORS.items(), strict=True):
        assert line.get_color() == color and list(line.get_ydata()) == of[who]["loss"].to_list()
    for line, who in zip(accuracy.lines, COLORS, strict=True):
        found = 100 * of[who]["accuracy"].dropna()
        assert list(line.get_ydata()) == found.to_list()
        assert f"{found.iloc[-1]:.1f} % by {who}" in texts(accuracy)
    measured = frame.dropna(subset="gradient_error")
    assert shown(errors, "-") == lists(measured, ["dtype", "library"], "gradient_error")
    exact = measured[measured["reference"] == "ball"]
    assert shown(errors, "None") == lists(exact, "dtype", "gradient_error")
    after = frame[(frame["step"] > 0) & (frame["library"] == "refgrad")]
    assert shown(distances, "-") == lists(after, "dtype", "distance")
    assert {"float32", "float64"} <= set(texts(errors)) & set(texts(distances))


def shown(ax, style):
    return [list(line.get_ydata()) for line in ax.lines if line.get_linestyle() == style]


def lists(frame, by, column):
    return [rows.to_list() for _, rows in frame.groupby(by)[column]]
