"""The benchmark compares like with like, and says what it did.

Nothing here depends on how long things take.
"""

import os
from contextlib import ExitStack
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from crosscheck.report.tables import read_table
from crosscheck.studies import runner
from crosscheck.studies.speed import (PROFILE, SPEED, TABLE, aims, contenders, measure,
                                      numpy_by_hand, profile, refgrad_side)
from crosscheck.studies.speed.contenders import CONTENDERS, HAND, OURS, WRITTEN, Contender, Worker
from crosscheck.studies.speed.networks import APART, NETWORKS
from crosscheck.studies.speed.plots import OF, plot_speed
from crosscheck.studies.speed.problems import DTYPES, PROBLEMS, draw, rounding
from crosscheck.studies.speed.report import sections

from .figures import dots, labels

NO_TIME = measure.Effort(0, 0, 0)
SMALL = [p for p in PROBLEMS if p.width < 128]
TINY = replace(PROBLEMS[0], name="tiny", width=4, depth=1)
BY_NAME = {c.name: c for c in CONTENDERS}
IN_PARTS = pytest.mark.parametrize("problem", SMALL, ids=lambda p: p.name)


def by_hand(problem, data):
    return numpy_by_hand.arrays(numpy_by_hand.prepare(problem, data)())


# Agreement


def test_contenders_agree():
    """All in one test: what takes long is to start the processes and to compile."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(c)) for c in contenders.present(quick=True)]
        for problem in (replace(p, depth=min(p.depth, 5)) for p in SMALL):
            exact = draw(problem, seed=5)
            expected = by_hand(problem, exact)
            for dtype in DTYPES:
                for worker in (w for w in workers if w.contender.takes(problem)):
                    found = worker.ask("prepare", problem, exact.astype(dtype))
                    assert (measure.apart(found, expected, dtype)
                            < rounding(problem, dtype)), worker.contender.name


def test_of_equal_entries_in_a_pooling_window_one_has_the_gradient():
    """Of whole numbers many are equal, and nothing is rounded before the output layer."""
    problem = next(p for p in PROBLEMS if p.kind == "images")
    data = draw(problem, 0)
    data = replace(data, x=np.sign(data.x),
                   parameters=[np.round(2 * a) for a in data.parameters[:4]]
                   + [a / 8 for a in data.parameters[4:]])
    found = refgrad_side.arrays(refgrad_side.prepare_jit(problem, data)())
    assert measure.apart(found, by_hand(problem, data), "float64") < rounding(problem, "float64")


@pytest.mark.parametrize("kind", ["classify", "regress", "hvp"])
@pytest.mark.parametrize("depth", [1, 2])
def test_by_hand_at_other_sizes(kind, depth):
    for batch_norm in {False, kind == "classify"}:
        problem = replace(TINY, kind=kind, depth=depth, batch_norm=batch_norm)
        data = draw(problem, 3)
        found = refgrad_side.arrays(refgrad_side.prepare(problem, data)())
        assert (measure.apart(found, by_hand(problem, data), "float64")
                < rounding(problem, "float64"))


@IN_PARTS
def test_by_hand_repeats_itself_and_leaves_its_arguments(problem):
    data = draw(problem, 1)
    before = [a.copy() for a in (*data.parameters, data.x, data.y, *data.along)]
    run = numpy_by_hand.prepare(problem, data)
    first, second = run(), run()
    assert first[0] == second[0] and all(map(np.array_equal, first[1], second[1]))
    assert not any(np.shares_memory(a, b) for a, b in zip(first[1], second[1]))
    assert all(map(np.array_equal, before, (*data.parameters, data.x, data.y, *data.along)))


@IN_PARTS
def test_the_data_are_exact_in_float32_and_away_from_kinks(problem):
    data = draw(problem, 2)
    again = data.astype("float32").astype("float64")
    assert all(map(np.array_equal, (*data.parameters, data.x, data.y),
                   (*again.parameters, again.x, again.y)))
    if (problem.activation == "relu" and problem.kind not in ("chain", *NETWORKS)
            and not problem.batch_norm):
        h = data.x
        for W, b in zip(data.parameters[:-2:2], data.parameters[1:-2:2]):
            z = h @ W.T + b
            assert np.min(np.abs(z)) > 1e3 * np.finfo(np.float32).eps * np.max(np.abs(z))
            h = np.maximum(z, 0)


def test_no_image_is_near_a_kink():
    """Of the first convolution: neither where relu bends, nor where another entry of a window is
    the largest."""
    problem = next(p for p in PROBLEMS if p.kind == "images")
    data = draw(problem, 3)
    W, b = data.parameters[:2]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(data.x, [(0, 0)] * 2 + [(1, 1)] * 2),
                                                       W.shape[2:], (2, 3))
    z = np.einsum("nchwij,qcij->nqhw", windows, W) + b[:, None, None]
    assert np.min(np.abs(z)) > 1e2 * np.finfo(np.float32).eps * np.max(np.abs(z))
    n, c, h, w = z.shape
    z = np.sort(np.maximum(z, 0).reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4).reshape(-1, 4))
    assert np.all((z[:, 3] == 0) | (z[:, 3] - z[:, 2] > APART * z.max()))


# Refusal

WRONG = """
import os
import numpy as np
from crosscheck.studies.speed import numpy_by_hand

def prepare(problem, data):
    value, gradients = numpy_by_hand.prepare(problem, data)()
    {}
    return lambda: (value, gradients)

arrays = numpy_by_hand.arrays
"""


@pytest.mark.parametrize("fault, note", [
    ("gradients[0] = gradients[0] * 1.01", "refused: its answer is off by"),
    ("value += 0.01", "refused"),
    ("gradients[0][0, 0] = np.nan", "refused"),
    ("gradients.pop()", "refused"),
    ("gradients = [g.astype('float16') for g in gradients]", "refused"),
    ("raise RuntimeError('no such layer')", "wrong: RuntimeError: no such layer"),
    ("os._exit(1)", "wrong: its process ended"),
])
def test_a_wrong_contender_is_refused(fault, note, tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(WRONG.format(fault))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(BY_NAME[HAND]) as hand, Worker(Contender("wrong", "wrong", "numpy")) as wrong:
        right, refused = measure.measure([hand, wrong], TINY, "float32", 0, NO_TIME)
    assert right["note"] == "" and right["ratio"] == 1
    assert refused["note"].startswith(note) and "ratio" not in refused and refused["rounds"] == 0


def test_what_a_library_prints_is_no_answer(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(WRONG.format("print('hello', flush=True)"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(Contender("loud", "wrong", "numpy")) as loud:
        assert isinstance(loud.ask("prepare", TINY, draw(TINY))[0], float)


def test_who_is_not_installed_stays_away(monkeypatch):
    absent = Contender("absent", "nothing", "no-such-package")
    uncompiled = replace(BY_NAME[OURS], needs=("no-such-compiler",))
    monkeypatch.setattr(contenders, "CONTENDERS", (BY_NAME[HAND], absent, uncompiled))
    assert [c.name for c in contenders.present(quick=False)] == [HAND]


# Rounds


class Scripted:
    """A worker whose blocks take what is written down."""

    def __init__(self, contender, blocks):
        self.contender, self.blocks = contender, iter(blocks)

    def ask(self, request, *arguments):
        return next(self.blocks)


def test_disturbed_blocks_are_thrown_away_and_asked_for_again(monkeypatch):
    monkeypatch.setattr(measure, "LEAST", 3)
    monkeypatch.setattr(measure, "PAUSE", 0)
    hand = Scripted(BY_NAME[HAND], [(1.0, 1.0), (9.0, 0.5), (2.0, 1.0), (1.0, 1.0)])
    ours = Scripted(BY_NAME[OURS], [(3.0, 1.0), (4.0, 1.0), *[(9.0, 0.9)] * (1 + measure.AGAIN)])
    rounds = measure.Rounds({HAND: hand, OURS: ours}, {HAND: 1, OURS: 1}, np.random.default_rng(0))
    rounds.run(0)
    found = rounds.columns(OURS)
    assert (found["ratio"] == 2.5 and (found["low"], found["high"]) == (2, 3)
            and found["rounds"] == 2)
    assert found["thrown_away"] == 1 + measure.AGAIN and rounds.columns(HAND)["thrown_away"] == 1
    assert found["over_refgrad"] == 1


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for n in (6, 15, 40):
        covered = [low <= 0 <= high for _, low, high, _ in
                   (measure.median_interval(rng.standard_cauchy(n)) for _ in range(2000))]
        assert np.mean(covered) > 0.94
    assert measure.median_interval(np.array([3.0, 1.0, np.nan])) == (2.0, 1.0, 3.0, 2)
    assert measure.median_interval(np.array([np.nan]))[3] == 0


THREADED = """
import os

def prepare(problem, data):
    return lambda: (os.environ["OPENBLAS_NUM_THREADS"], len(os.sched_getaffinity(0)))

def arrays(result):
    return result
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_has_the_threads_that_its_row_says(threads, tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(THREADED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(Contender("threaded", "threaded", "numpy"), threads) as worker:
        variable, processors = worker.ask("prepare", TINY, draw(TINY))
    assert variable == str(threads)
    assert processors == (1 if threads == 1 else len(os.sched_getaffinity(0)))


# The table, the plot, the page, the part


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(measure, "LEAST", 2)
    monkeypatch.setattr(measure, "PAUSE", 0)
    monkeypatch.setattr(measure, "QUICK", NO_TIME)
    monkeypatch.setattr(measure, "thread_counts", lambda: (1, 3))
    monkeypatch.setattr(measure, "chosen",
                        lambda quick: [replace(TINY, name="MLP 8"), PROBLEMS[-1]])
    monkeypatch.setattr(measure, "present",
                        lambda quick: [BY_NAME[HAND], BY_NAME[OURS], BY_NAME[WRITTEN]])


def test_the_part_writes_table_plot_and_page(small, tmp_path, capsys):
    runner.run([SPEED], [SPEED], out=tmp_path, quick=True)
    frame = read_table(tmp_path, TABLE, "speed")
    assert tuple(frame.columns) == TABLE.columns and len(frame) == 24
    assert set(frame["dtype"]) == set(DTYPES) and frame["note"].isna().all()
    assert frame["threads"].value_counts().to_dict() == {1: 12, 3: 12}
    assert frame["version"].str.match(r"(numpy|refgrad) \d").all() and (frame["off"] <= 1).all()
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    html = (tmp_path / "index.html").read_text()
    assert (">Speed</h2>" in html and "NumPy by hand" in html
            and "with one thread and 3 threads, seed 0, on " in html)
    assert " ".join(capsys.readouterr().out.split()).count("of 1 aims") == 2


def test_a_profile_says_where_the_time_goes(small, tmp_path):
    frame = profile.run_profile(seconds=0.01)
    assert tuple(frame.columns) == PROFILE.columns and set(frame["way"]) == {OURS, WRITTEN}
    for _, rows in frame.groupby(["problem", "way"]):
        assert rows["share"].sum() == pytest.approx(1) and (rows["microseconds"] > 0).all()
    assert profile.PROGRAM in set(frame.loc[frame["way"] == WRITTEN, "part"])
    assert {"tape and sweep", "tracing: dispatch"} <= set(frame.loc[frame["way"] == OURS, "part"])
    lines = profile.side_by_side(frame)
    assert (len(lines) == frame["part"].nunique()
            and len(lines.columns) == 1 + 2 * len(profile.SHOWN))


def test_every_room_of_the_engine_has_a_part():
    root = profile.ROOT
    assert all((root / name).exists() for name in profile.PARTS)
    assert profile.part_of(str(root / "rules" / "shape.py")) == profile.PARTS["rules"]
    assert profile.part_of("~") == profile.OTHERS and profile.part_of("<jit f>") == profile.PROGRAM


def test_interrupted_it_keeps_what_is_finished(small):
    def tick(description):
        if "Hessian" in description:
            raise KeyboardInterrupt
    frame, stopped = measure.run_speed(0, True, tick)
    assert stopped == "interrupted" and set(frame["problem"]) == {"MLP 8", "Hessian-vector 32"}


def rows(**ratios):
    return [{"problem": problem.replace("_", " "), "dtype": "float64", "contender": who,
             "ratio": ratio, "over_refgrad": over, "over_jit": 2 * over, "low": ratio,
             "high": ratio, "seconds": 1e-4, "threads": 1,
             "version": "x 1", "thrown_away": 0, "note": np.nan}
            for problem, of in ratios.items() for who, (ratio, over) in of.items()]


def test_aims_are_judged_by_their_worst_case():
    frame = pd.DataFrame(
        rows(MLP_8={HAND: (1, 1), OURS: (2.8, 1), WRITTEN: (1.1, 1), "torch": (2.6, 1.0)},
             MLP_32={HAND: (1, 1), OURS: (4.2, 1), WRITTEN: (2.1, 1), "torch": (6.3, 3.0)}))
    ours, torch = aims.judged(frame).to_dict("records")
    assert (ours[OURS], ours[f"{OURS}: the worst of"]) == (4.2, "MLP 32, float64")
    assert ((ours[WRITTEN], ours["met by"]) == (2.1, "none")
            and ours["missed by the factor"] == pytest.approx(1.5))
    assert ((torch[OURS], torch[WRITTEN], torch[f"{WRITTEN}: the worst of"])
            == (1.0, 2.0, "MLP 8, float64"))
    assert torch["missed by the factor"] == pytest.approx(1.25)
    assert aims.sentence(frame).endswith("of 2 aims 0 are met, the others missed by factors of "
                                         "1.25 to 1.50")
    met = aims.judged(pd.DataFrame(rows(MLP_8={OURS: (1.5, 1), WRITTEN: (1.2, 1)})))
    assert met["met by"].to_list() == [WRITTEN] and met["missed by the factor"].isna().all()
    assert aims.sentence(frame.head(0)) == "Nothing was measured"


def test_every_aim_speaks_of_problems_and_contenders_that_exist():
    names = {p.name for p in PROBLEMS}
    for aim in aims.AIMS:
        assert set(aim.problems) <= names and aim.contender in BY_NAME


def test_who_was_not_timed_is_on_the_page(tmp_path):
    frame = pd.DataFrame(rows(MLP_8={HAND: (1, 1), OURS: (1.3, 1), "torch": (np.nan, np.nan)}))
    frame["note"] = [np.nan, np.nan, "refused: its answer is off"]
    section, = sections(tmp_path, frame, None)
    assert section["tables"][-1]["rows"] == [["torch", "MLP 8", "float64",
                                              "refused: its answer is off"]]
    lines = measure.side_by_side(frame)
    assert lines.iloc[0].to_dict() == {"threads": 1, "problem": "MLP 8", "dtype": "float64",
                                       f"{HAND}, µs": 100, OURS: "1.30 (1.30–1.30)", "torch": ""}
    figure = plot_speed(frame, path=tmp_path / "speed.png")
    ax, = figure.axes
    assert labels(ax.yaxis) == ["MLP 8"] and ax.get_title() == "float64, one thread"
    assert dots(ax)[0].tolist() == [1.3]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [OURS]
    plt.close(figure)


def test_the_plot_has_a_row_for_each_problem_and_a_colour_for_each_contender():
    frame = pd.DataFrame(rows(MLP_8={HAND: (1, 1), OURS: (1.3, 1), "torch": (2.5, 2)},
                              MLP_32={HAND: (1, 1), OURS: (1.7, 1), "torch": (np.nan, np.nan)}))
    frame.loc[frame["contender"] == OURS, ["low", "high"]] = [1.0, 2.0]
    figure = plot_speed(frame)
    ax, = figure.axes
    assert labels(ax.yaxis) == ["MLP 8", "MLP 32"]
    assert [np.round(v, 6).tolist() for v in dots(ax, OF[OURS])] == [[1.3, 1.7], [-0.16, 0.84]]
    assert [np.round(v, 6).tolist() for v in dots(ax, OF["torch"])] == [[2.5], [0.16]]
    assert ax.collections[0].get_segments()[0][:, 0].tolist() == [1.0, 2.0]
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {OURS, "torch"}
    plt.close(figure)
