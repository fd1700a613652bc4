"""The limit is what a backward pass written by hand needs, and what is held beyond it is seen.

Bytes are counted, no time is measured.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import refgrad as rg
from crosscheck.report.style import COLORS
from crosscheck.report.tables import read_table, write_table
from crosscheck.studies.memory import run as memory
from crosscheck.studies.memory.plots import plot_memory
from crosscheck.studies.memory.run import ENTRIES, MOST, PROBLEMS
from crosscheck.studies.memory.report import sections
from crosscheck.studies.memory import NUMBERS, TABLE
from crosscheck.studies.speed import numpy_by_hand
from crosscheck.studies.speed.problems import CLASSES, Data, Problem

from .figures import bars, dots, labels, texts

RELU, TANH, BATCH_NORM, CNN, ELEMENTWISE = PROBLEMS
DEPTH = 64
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)


# The limit, by hand


def tanh_by_hand(x, layers):
    """Of each layer its argument and its result; both are freed once they are used."""
    h, kept = x, []
    for W, b in layers:
        z = h @ W.T
        z += b
        kept.append((h, z))
        h = np.tanh(z)
    G = h * (2 / h.size)
    gradients = []
    while kept:
        h, z = kept.pop()
        G /= np.square(np.cosh(z))
        gradients.append([G.T @ h, G.sum(axis=0)])
        G = G @ layers[len(kept)][0]
    return gradients[::-1]


def elementwise_by_hand(x, layers):
    z, kept = x, []
    for _ in layers:
        u = 1.25 * np.sin(z)
        u += 0.125
        kept.append((z, u))
        z = np.tanh(u)
    G = z * (2 / z.size)
    while kept:
        z, u = kept.pop()
        G /= np.square(np.cosh(u))
        G *= 1.25 * np.cos(z)
    return G


def cnn_by_hand(x, layers):
    """Of each layer its result.  The windows of one image at a time are unfolded, forward and
    back."""
    shape, kept = (-1, memory.CHANNELS, memory.SIDE, memory.SIDE), []

    def columns(image):
        padded = np.pad(image, [(0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        return windows.transpose(0, 3, 4, 1, 2).reshape(9 * len(image), -1)

    h = x.reshape(shape)
    for W, b in layers:
        z = np.empty_like(h)
        for image, of in zip(h, z):
            of[:] = (W.reshape(len(W), -1) @ columns(image) + b[:, None]).reshape(of.shape)
        kept.append(h)
        h = np.maximum(z, 0, out=z)
    gradients, G = [], h * (2 / h.size)
    while kept:
        G *= h > 0
        h, (W, b) = kept.pop(), layers[len(kept)]
        of_W, of_b = np.zeros((len(W), 9 * len(W)), x.dtype), G.sum((0, 2, 3))
        for g, image in zip(G, h):
            flat = g.reshape(len(W), -1)
            of_W += flat @ columns(image).T
            parts = (W.reshape(len(W), -1).T @ flat).reshape(-1, 3, 3, *g.shape[1:])
            back = np.zeros((len(image), memory.SIDE + 2, memory.SIDE + 2), x.dtype)
            for i, j in np.ndindex(3, 3):
                back[:, i:i + memory.SIDE, j:j + memory.SIDE] += parts[:, i, j]
            g[:] = back[:, 1:-1, 1:-1]
        gradients.append([of_W.reshape(W.shape), of_b])
    return gradients[::-1]


def classifier_by_hand(problem):
    """The benchmark's own, which has an output layer more."""
    def run(x, layers):
        arrays = [a for layer in layers for a in layer]
        output = [np.ones((CLASSES, x.shape[1]), x.dtype), np.ones(CLASSES, x.dtype)]
        data = Data([*arrays, *output], x, np.arange(len(x)) % CLASSES, [])
        return numpy_by_hand.prepare(Problem("", "classify", batch_norm=problem is BATCH_NORM),
                                     data)()

    return run


BY_HAND = {RELU: classifier_by_hand(RELU), TANH: tanh_by_hand,
           BATCH_NORM: classifier_by_hand(BATCH_NORM),
           CNN: cnn_by_hand, ELEMENTWISE: elementwise_by_hand}


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_limit_is_what_a_pass_by_hand_needs(problem, dtype):
    x, layers = memory.draw(problem, dtype, DEPTH)
    BY_HAND[problem](x[:64], layers)
    peak = memory.peak_of(lambda: BY_HAND[problem](x, layers))
    assert 1 <= peak / (memory.must_keep(problem, DEPTH) * x.itemsize) < 1.08


@pytest.mark.parametrize("problem", [TANH, CNN, ELEMENTWISE], ids=lambda p: p.name)
def test_by_hand_it_is_the_same_gradient(problem):
    x, layers = memory.draw(problem, "float64", 3)
    x = x[:64]
    found = rg.grad(memory.program(problem.layer, 0), argnums=1 if problem.shapes else 0)(x, layers)
    np.testing.assert_allclose(flat(found), flat(BY_HAND[problem](x, layers)), rtol=1e-10,
                               atol=1e-14)


def flat(nest):
    return (np.concatenate([flat(n) for n in nest]) if isinstance(nest, (list, tuple))
            else np.ravel(nest))


@EACH
def test_gradients_take_less_than_the_activations_that_the_sweep_frees(problem):
    assert 20 * sum(map(np.prod, problem.shapes)) < ENTRIES <= problem.kept


def test_the_limit_with_checkpoint():
    """Of 9 layers in 3 segments: two inputs of segments and three layers, when the last segment is
    swept."""
    assert memory.must_keep(RELU, 9, 3) == 5 * ENTRIES
    assert memory.must_keep(TANH, 9, 3) == 8 * ENTRIES
    assert memory.must_keep(TANH, 7, 3) == 8 * ENTRIES  # the longest segment has three of the seven
    assert memory.must_keep(TANH, 9, 1) == memory.must_keep(TANH, 9) == 18 * ENTRIES


# What is measured


@EACH
def test_refgrad_holds_at_least_the_limit_and_checkpoint_less(problem):
    whole = memory.measured(problem, "float32", DEPTH)
    parts = memory.measured(problem, "float32", DEPTH, 8)
    assert whole["ratio"] >= 1 and parts["ratio"] >= 1
    assert parts["peak_bytes"] < whole["peak_bytes"] / 2
    assert (whole["evaluations"], parts["evaluations"]) == (DEPTH, 2 * DEPTH)
    assert whole["ratio"] == whole["peak_bytes"] / whole["kept_bytes"]


@EACH
@pytest.mark.parametrize("segments", [0, 2, 3])
def test_segments_change_nothing_and_the_gradients_are_counted(problem, segments):
    x, layers = memory.draw(problem, "float64", 7)
    argument = 1 if problem.shapes else 0
    found = [rg.value_and_grad(memory.program(problem.layer, s), argnums=argument)(x, layers)
             for s in (0, segments)]
    assert found[0][0] == found[1][0] and np.array_equal(flat(found[0][1]), flat(found[1][1]))
    assert (memory.measured(problem, "float64", 7, segments)["gradient_bytes"]
            == flat(found[1][1]).nbytes)


def test_a_leak_is_seen():
    """A layer that holds on to an array more: half as much again as tanh must keep."""
    held = []

    def leaking(h, W, b):
        held.append(np.empty(h.shape, h.dtype))
        return TANH.layer(h, W, b)

    sound = memory.measured(TANH, "float32", DEPTH)
    leaky = memory.measured(replace(TANH, layer=leaking), "float32", DEPTH)
    assert leaky["peak_bytes"] - sound["peak_bytes"] == pytest.approx(DEPTH * ENTRIES * 4, rel=0.01)
    assert leaky["ratio"] > MOST and memory.judged(frame_of(leaky))["met"].to_list() == ["missed"]


def test_it_gives_the_same_bytes_each_time(small):
    first = memory.run_memory(0, quick=True)[0]
    rg.hessian(lambda x: np.sum(np.sin(x)))(np.ones(3))
    held = [np.ones(n) for n in range(1, 100)]
    del held
    pd.testing.assert_frame_equal(memory.run_memory(0, quick=True)[0], first)


# The table, the plot, the page


def frame_of(*rows):
    return pd.DataFrame(rows, columns=TABLE.columns)


def grown(problem, exponent, over, wobble=0.0, dtype="float32"):
    """Rows as if the peak grew as depth^exponent with checkpoint, and were so far over the limit
    without."""
    for k, depth in enumerate((16, 36, 64, 100)):
        for segments in (0, round(depth ** 0.5)):
            kept = memory.must_keep(problem, depth, segments) * 4
            peak = (over * kept if not segments
                    else 1e6 * depth ** exponent * (1 + wobble * (-1) ** k))
            yield dict(zip(TABLE.columns, (problem.name, dtype, depth, segments, peak, kept, 1000,
                                           peak / kept, depth)))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(memory, "PROBLEMS", (TANH, ELEMENTWISE))
    monkeypatch.setattr(memory, "depths", lambda quick: [4, 9, 16])


def test_aims_are_judged_by_their_worst_case():
    ratio, exponent = memory.judged(frame_of(*grown(RELU, 0.45, 1.5),
                                             *grown(TANH, 0.7, 1.1))).to_dict("records")
    assert (ratio["the worst"], ratio["of"], ratio["met"]) == (1.5, "relu MLP", "missed")
    assert ratio["by the factor"] == pytest.approx(1.25)
    assert exponent["of"] == "tanh MLP" and exponent["by the factor"] == pytest.approx(1.4)
    met = memory.judged(frame_of(*grown(RELU, 0.5, 1.1, wobble=0.05)))
    assert met["met"].to_list() == ["met", "met"] and met["by the factor"].isna().all()


def test_the_sentence():
    assert memory.sentence(frame_of(*grown(RELU, 0.45, 1.5), *grown(TANH, 0.7, 1.1))) == (
        "At its peak the memory of value and gradient is 1.10 to 1.50 times what must be kept (1.2 "
        "is the aim, 1.5 with windows); it grows as depth^1.00; "
        "it grows as depth^0.45 to 0.70 with checkpoint in sqrt(depth) segments")
    assert memory.sentence(frame_of()) == "Nothing was measured"


def test_interrupted_it_keeps_what_is_finished(small):
    def tick(description):
        if description == "tanh MLP, float32, 9 layers":
            raise KeyboardInterrupt
    frame, stopped = memory.run_memory(0, True, tick)
    assert stopped == "interrupted" and frame["depth"].to_list() == [4, 4, 9, 9]
    assert not memory.run_memory(0, True)[1]


def test_table_plot_and_section(small, tmp_path):
    ticks = []
    write_table(memory.run_memory(0, True, ticks.append)[0], tmp_path / "memory.csv")
    frame = read_table(tmp_path, TABLE, "speed")
    assert (tuple(frame.columns) == TABLE.columns
            and len(frame) == 2 * len(ticks) == 2 * len(memory.tasks(True)))
    assert all(pd.api.types.is_numeric_dtype(frame[c]) for c in NUMBERS)
    plot_memory(frame, path=tmp_path / "memory.png")
    section, = sections(tmp_path, frame)
    assert (section["title"] == "Memory" and len(section["images"]) == 1
            and "depth^" in section["text"][0])
    assert [len(t["rows"]) for t in section["tables"]] == [1, 2, 8]


def test_the_plot_shows_the_worst_case_of_each_problem_and_a_line_for_each_in_depth():
    frame = frame_of(*grown(RELU, 0.45, 1.5), *grown(TANH, 0.7, 1.1, dtype="float64"),
                     *grown(TANH, 0.7, 1.3))
    worst = frame.index[(frame["problem"] == RELU.name) & (frame["depth"] == DEPTH)][0]
    frame.loc[worst, "ratio"] = 1.6
    figure = plot_memory(frame)
    left, right = figure.axes
    assert labels(left.yaxis) == [p.name for p in PROBLEMS]
    nothing = [np.nan] * 3
    np.testing.assert_allclose(bars(left)["float32"], [1.6, 1.3, *nothing])
    np.testing.assert_allclose(bars(left)["float64"], [np.nan, 1.1, *nothing])
    single = frame[frame["dtype"] == "float32"]
    for segments, name in ((False, "torch"), (True, "refgrad")):
        rows = single[(single["checkpoint"] > 0) == segments]
        x, y = dots(right, COLORS[name])
        assert x.tolist() == rows["depth"].to_list() and y.tolist() == rows["peak_bytes"].to_list()
    assert any(t.startswith("in √depth segments, slopes 0.45 to 0.70") for t in texts(right))
    plt.close(figure)


@pytest.mark.parametrize("rows", [0, 2])
def test_few_measurements_are_shown_too(rows, tmp_path):
    frame = frame_of(*list(grown(RELU, 0.5, 1.1))[:rows])
    figure = plot_memory(frame, path=tmp_path / "memory.png")
    assert len(dots(figure.axes[1])[0]) == rows
    assert sections(tmp_path, frame)[0]["tables"][-1]["rows"] == [] or rows
