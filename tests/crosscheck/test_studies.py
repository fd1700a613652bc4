"""The scaling study computes what it says, and notices when contenders disagree.

Nothing here depends on how long things take.
"""

import gc
import sys
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck.report.style import WITH_JIT
from crosscheck.studies.scaling import refgrad_programs, torch_programs
from crosscheck.studies.scaling import cheap_gradient, gradient, jacobian, plots, run as scaling
from crosscheck.studies import slope, timing
from crosscheck.studies.scaling import TABLE as SCALING
from crosscheck.studies.timing import Disagreement
from refgrad.primitive import TABLE

from .figures import dots, labels, texts

MODULES = pytest.mark.parametrize("module", [refgrad_programs, torch_programs],
                                  ids=["refgrad", "torch"])
METHODS = {"reverse", "forward", "forward batched", "differences"}


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays: more threads would only wait for each other."""
    with timing.equal_threads():
        yield


@pytest.fixture(scope="module")
def frame():
    """A whole scaling study of small nets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient, "sizes", lambda quick: [1, 2, 4, 8])
        patch.setattr(jacobian, "sizes",
                      lambda quick: [(n, m) for n in (1, 4, 16) for m in (1, 4, 16)])
        patch.setattr(cheap_gradient, "sizes", lambda quick: [4, 8])
        ticks = []
        found = scaling.run_scaling(seed=3, quick=True, tick=ticks.append)
        assert len(ticks) == scaling.count(quick=True) == 4 + 9 + 2
    return found


# Slopes


@pytest.mark.parametrize("freedom, t",
                         [(1, np.tan(0.475 * np.pi)), (2, 0.95 * np.sqrt(2 / (1 - 0.95 ** 2))),
                          (10_000, NormalDist().inv_cdf(0.975))])
def test_student_quantiles(freedom, t):
    assert slope.student(0.95, freedom) == pytest.approx(t, rel=1e-3)


def test_slope_of_an_exact_power():
    n = np.array([1e2, 1e3, 1e5])
    found = slope.fit(n, 3e-7 * n ** 1.5)
    assert found.slope == pytest.approx(1.5)
    assert found.low == pytest.approx(1.5) and found.high == pytest.approx(1.5)


def test_slope_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n = 2.0 ** np.arange(6)
    fits = [slope.fit(n, n ** 2 * np.exp(0.1 * rng.standard_normal(6))) for _ in range(500)]
    assert 0.92 < np.mean([f.low <= 2 <= f.high for f in fits]) < 0.98
    assert np.mean([f.slope for f in fits]) == pytest.approx(2, abs=0.01)


def test_slope_that_points_do_not_determine():
    assert np.isnan(slope.fit([8], [1.0]).slope)
    assert np.isnan(slope.fit([8, 8, 8], [1.0, 2.0, 3.0]).slope)
    two = slope.fit([1, 10], [1.0, 100.0])
    assert two.slope == pytest.approx(2) and np.isnan(two.low)


def test_slopes_are_fitted_to_the_upper_sizes_and_prefer_measurements():
    n = np.array([1, 4, 16, 64, 256, 1024])
    rows = pd.DataFrame({"study": "gradient", "library": "refgrad",
                         "method": "forward", "parameters": n,
                         "seconds": np.maximum(1e-9 * n ** 2.0, 1e-7), "projected": True})
    twice = rows.tail(3).assign(projected=False)
    # Worthless projections, where there are measurements.
    rows.loc[rows.tail(3).index, "seconds"] *= 100
    found = gradient.with_slopes(pd.concat([rows, twice], ignore_index=True))
    assert np.allclose(found[["slope", "slope_low", "slope_high"]], 2)
    assert len(gradient.curve(found)) == len(n)


# Timing


def test_agree():
    timing.agree("same", [1.0, 2.0], [1.0, 2.0 + 1e-12])
    timing.agree("nothing", [0.0], [0.0])
    for found in ([1.0, 2.001], [1.0, np.nan], [1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(Disagreement, match="^who: "):
            timing.agree("who", found, [1.0, 2.0])


def test_contenders_take_turns_and_the_first_results_are_checked(monkeypatch):
    monkeypatch.setattr(timing, "TURN", 0)
    order, checked = [], []

    def contender(name):
        return lambda: order.append(name) or name.upper()

    seconds = timing.take_turns({"a": contender("a"), "b": contender("b")}, budget=0, least=3,
                                check=lambda name, result: checked.append((name, result)))
    assert order == ["a", "b"] * 3
    assert checked == [("a", "A"), ("b", "B")]
    assert all(len(s) == 3 and (s >= 0).all() for s in seconds.values())


def test_a_turn_is_many_short_calls(monkeypatch):
    monkeypatch.setattr(timing, "TURN", np.inf)
    calls = []
    timing.take_turns({"a": lambda: calls.append(1)}, budget=0, least=1)
    assert len(calls) == timing.CALLS


def test_no_collection_while_timing_and_again_afterwards():
    enabled = []
    timing.take_turns({"a": lambda: enabled.append(gc.isenabled())}, budget=0, least=1)
    assert not any(enabled) and gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        timing.take_turns({"a": lambda: 1 / 0}, budget=0)
    assert gc.isenabled()


def test_threads_are_equal_and_restored():
    torch.set_num_threads(2)
    with pytest.raises(KeyError), timing.equal_threads() as threads:
        assert torch.get_num_threads() == threads == 1
        raise KeyError
    assert torch.get_num_threads() == 2


def test_threads_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with timing.equal_threads() as threads:
        assert torch.get_num_threads() == threads == 2


@MODULES
def test_peak_bytes(module):
    make = {refgrad_programs: np.ones,
            torch_programs: lambda n: torch.ones(n, dtype=torch.float64)}[module]

    def one_after_the_other():
        for _ in range(3):
            make(100_000)

    assert module.peak_bytes(one_after_the_other) == pytest.approx(8e5, rel=0.02)
    assert (module.peak_bytes(lambda: [make(100_000), make(100_000)])
            == pytest.approx(16e5, rel=0.02))


# Gradients in passes


@MODULES
@pytest.mark.parametrize("method", gradient.IN_PASSES, ids=lambda m: m.name)
def test_passes_make_the_gradient(module, method, monkeypatch):
    # 32 entries for each leaf: the last pass is a short one
    monkeypatch.setattr(gradient, "TANGENTS", 7)
    net = next(n for n in gradient.nets(0, width=1) if n.library == module.WideNet.library)
    way = gradient.InPasses(net, method)
    assert way.passes == (2 * 5 if method.batched else 2 * 32)
    for found, expected in zip(way.whole(), net.reverse(), strict=True):
        timing.agree(method.name, found, np.ravel(expected), method.limit)
    assert [(k, d.shape if method.batched else d.size if hasattr(d, "size") else 1)
            for k, _, d in way.sample()] == [
                (0, (7,) if method.batched else 1), (1, (7,) if method.batched else 1)]


def test_projection_is_the_time_of_a_pass_times_passes():
    net = gradient.nets(0, width=4)[0]
    way = gradient.InPasses(net, gradient.Method("forward"))
    assert way.passes == 256
    assert way.projected(0.5) == 0.5 / 2 * 256  # a sample has two passes


def test_batches_of_tangents_fit_into_memory():
    batched = gradient.Method("forward batched", batched=True)
    for parameters in (128, 10_000, 2 ** 20, 2 ** 30):
        chunk = batched.chunk(parameters)
        assert (1 <= chunk <= gradient.TANGENTS
                and (chunk == 1 or chunk * parameters <= gradient.STACK))
    assert gradient.Method("forward").chunk(128) == 1


def test_passes_leave_the_net_as_it_was():
    for net in gradient.nets(0, width=2):
        before = [np.asarray(w).copy() for w in net.weights]
        for method in gradient.IN_PASSES:
            gradient.InPasses(net, method).whole()
        for w, b, t in zip(net.weights, before, net.tangent):
            assert np.array_equal(np.asarray(w), b) and not np.asarray(t).any()


# The whole study


def test_every_part_is_there(frame):
    assert tuple(frame.columns) == SCALING.columns
    assert set(frame["study"]) == {"gradient", "jacobian", "cheap gradient"}
    for study, rows in frame.groupby("study"):
        assert set(rows["library"]) == {"refgrad", "torch",
                                        *["refgrad.jit"] * (study == "cheap gradient")}, study
    of_gradient = frame[frame["study"] == "gradient"]
    for _, rows in of_gradient.groupby("library"):
        assert set(rows["method"]) == METHODS
        assert set(rows["parameters"]) == {64, 128, 256, 512}
    of_jacobian = frame[frame["study"] == "jacobian"]
    assert len(of_jacobian) == 9 * (len(refgrad_programs.JACOBIANS) + len(torch_programs.JACOBIANS))
    assert (frame["threads"] == 1).all()


def test_numbers_make_sense(frame):
    assert (frame["seconds"] > 0).all()
    assert ((frame["seconds_low"] <= frame["seconds"]).all()
            and (frame["seconds"] <= frame["seconds_high"]).all())
    of_gradient = frame[frame["study"] == "gradient"]
    assert (of_gradient["peak_bytes"] >= 8 * of_gradient["parameters"]).all()
    assert not of_gradient.loc[of_gradient["method"] == "reverse", "projected"].any()
    assert of_gradient.loc[of_gradient["method"] == "forward", "projected"].any()
    assert not frame.loc[frame["study"] != "gradient", "projected"].any()
    for _, rows in of_gradient.groupby(["library", "method"]):
        assert rows["slope"].nunique() == 1 and rows["slope"].notna().all()
    values = frame[(frame["study"] == "cheap gradient") & (frame["method"] == cheap_gradient.VALUE)]
    assert (values["ratio"] == 1).all()


def test_the_ratio_compares_like_with_like(frame):
    rows = frame[(frame["study"] == "jacobian") & (frame["inputs"] == 4) & (frame["outputs"] == 16)]
    seconds = rows.set_index(["library", "method"])["seconds"]
    ratio = rows.set_index(["library", "method"])["ratio"]
    assert (ratio["torch", "forward"]
            == pytest.approx(seconds["torch", "forward"] / seconds["torch", "reverse"]))
    assert ratio["torch", "forward batched"] == pytest.approx(
        seconds["torch", "forward batched"] / seconds["torch", "reverse batched"])
    assert ratio["refgrad", "forward batched"] == pytest.approx(
        seconds["refgrad", "forward batched"] / seconds["refgrad", "reverse"])


def test_crossover_of_a_known_map():
    n, m = (a.ravel() for a in np.meshgrid(4.0 ** np.arange(4), 4.0 ** np.arange(4)))
    rows = pd.DataFrame({"inputs": n, "outputs": m, "ratio": 2.5 * n / m})
    assert jacobian.crossover(rows) == pytest.approx((2.5, 1))


def test_constant_of_the_cheap_gradient():
    assert cheap_gradient.expected_constant(1) == 2
    assert cheap_gradient.expected_constant(4) == 11 / 4


# Faults


@MODULES
@pytest.mark.parametrize("method", ["reverse", "forward", "forward_batched", "differences"])
def test_a_wrong_gradient_is_noticed(module, method, monkeypatch):
    right = getattr(module.WideNet, method)

    def wrong(self, *where):
        found = right(self, *where)
        return tuple(1.001 * g for g in found) if isinstance(found, tuple) else 1.001 * found

    monkeypatch.setattr(module.WideNet, method, wrong)
    # If the reference itself is wrong, all others disagree with it.
    culprit = (module.WideNet.library if (method, module) != ("reverse", refgrad_programs)
               else "torch")
    with pytest.raises(Disagreement, match=culprit):
        list(gradient.measure(0, 2, quick=True))


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_a_wrong_rule_is_noticed(rule, monkeypatch):
    right, = getattr(TABLE[np.tanh], rule)
    monkeypatch.setattr(TABLE[np.tanh], rule, (lambda *call: -right(*call),))
    with pytest.raises(Disagreement):
        list(gradient.measure(0, 2, quick=True))
    with pytest.raises(Disagreement):
        list(jacobian.measure(0, 4, 4, quick=True))


@MODULES
def test_a_wrong_jacobian_is_noticed(module, monkeypatch):
    right = module.JACOBIANS["forward batched"]
    monkeypatch.setitem(module.JACOBIANS, "forward batched", lambda f: lambda x: 2 * right(f)(x))
    with pytest.raises(Disagreement,
                       match=f"{module.WideNet.library}, Jacobian by forward batched"):
        list(jacobian.measure(0, 4, 4, quick=True))


def test_a_wrong_value_is_noticed(monkeypatch):
    monkeypatch.setattr(torch_programs.DeepNet, "value", lambda self: 0.0)
    with pytest.raises(Disagreement, match="torch, value"):
        list(cheap_gradient.measure(0, 4, quick=True))


# Plots


@pytest.fixture
def closed():
    yield
    plots.plt.close("all")


def test_plot_of_whole_gradients(frame, tmp_path):
    figure = plots.plot_gradient(frame, path=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    frame = frame[frame["study"] == "gradient"]
    above, below = figure.axes[:2], figure.axes[2:]
    assert [ax.get_title(loc="left") for ax in above] == ["refgrad", "torch"] and len(below) == 2
    for ax, bytes, library in zip(above, below, ("refgrad", "torch"), strict=True):
        for method, color in plots.METHODS.items():
            rows = frame[(frame["library"] == library) & (frame["method"] == method)]
            x, y = dots(ax, color)
            measured = rows[~rows["projected"].astype(bool)]
            assert set(measured["seconds"]) <= set(y) and set(x) <= set(rows["parameters"])
            peaks = dots(bytes, color)[1]
            assert set(peaks) <= set(rows["peak_bytes"]) and len(peaks)
            said = [t for t in texts(ax) if t.startswith(f"{method}\nslope")]
            first = rows.iloc[0]
            assert said == [f"{method}\nslope {first['slope']:.2f}  [{first['slope_low']:.2f}, "
                            f"{first['slope_high']:.2f}]"]


def test_plot_of_jacobians(frame, closed):
    figure = plots.plot_jacobian(frame)
    frame = frame[frame["study"] == "jacobian"]
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert len(panels) == 4
    assert labels(panels[2].xaxis) == labels(panels[0].yaxis) == ["1", "4", "16"]
    for ax in panels:
        library, _, rest = ax.get_title(loc="left").partition(":")
        method = "forward batched" if "one pass for all" in rest else "forward"
        rows = frame[(frame["library"] == library) & (frame["method"] == method)]
        ratio = rows.pivot(index="outputs", columns="inputs", values="ratio")
        np.testing.assert_allclose(ax.images[0].get_array(), np.log10(ratio))
        factors = [float(t.get_text()) for t in ax.texts]
        np.testing.assert_allclose(factors, np.ravel(np.maximum(ratio, 1 / ratio)), rtol=0.06)


def test_plot_of_cheap_gradients(frame, closed):
    figure = plots.plot_cheap_gradient(frame)
    frame = frame[(frame["study"] == "cheap gradient") & (frame["method"] == cheap_gradient.BOTH)]
    for library, color in WITH_JIT.items():
        rows = frame[frame["library"] == library]
        x, y = dots(figure.axes[0], color)
        assert x.tolist() == rows["width"].to_list() and y.tolist() == rows["ratio"].to_list()
        assert f"{library}  {rows['ratio'].iloc[-1]:.2f}" in texts(figure)
    assert labels(figure.axes[0].xaxis) == ["4", "8"]


def test_labels_keep_their_distance():
    figure, ax = plots.plt.subplots()
    ax.set(xlim=(0, 1), ylim=(0, 100))
    plots._label_ends(ax, 1, [(50, "a", "k"), (51, "b", "k"), (99, "c", "k"), (10, "d", "k")],
                      apart=20)
    scale = 72 / figure.dpi
    heights = {t.get_text(): ax.transData.transform(t.xy)[1] * scale + t.xyann[1] for t in ax.texts}
    plots.plt.close(figure)
    ordered = [heights[k] for k in "dabc"]
    assert np.all(np.diff(ordered) >= 20 - 1e-9)
    assert ordered[-1] <= ax.bbox.y1 * scale
