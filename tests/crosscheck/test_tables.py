"""Tables and plots: written whole or not at all, read with care."""

import os
import signal
import subprocess
import sys
from gzip import compress, decompress

import numpy as np
import pandas as pd
import pytest

from crosscheck.networks import draw_networks
from crosscheck.report.style import COLORS
from crosscheck.report.tables import ReportError, read_table, replacing, write_table
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.networks import frames, plots
from crosscheck.studies.networks import COLUMNS, ERRORS, FINDINGS, LAYERS

from .figures import dots, labels, texts

NETWORKS, COVERAGE = draw_networks(0, 40)


def row(network="full-0-0", verdict="exact to rounding", **values):
    return {**dict(network=network, parameter="x", differentiator="refgrad", mode="reverse",
                   dtype="float64", ulp_max=1.0, ulp_median=0.5, rel_error=1e-16,
                   error_over_bound=0.1, bound="proven", digits=50.0,
                   verdict=verdict, note=""), **values}


def errors(*rows):
    return frames.errors_table(list(rows))


# Writing


def test_a_table_comes_back_as_it_went(tmp_path):
    frame = errors(row(), row(note="a, \"quoted\" note\nin two lines"), row(digits=np.inf),
                   row(ulp_max=np.nan))
    write_table(frame, tmp_path / "new" / ERRORS.name)
    again = read_table(tmp_path / "new", ERRORS, "run")
    assert list(again.columns) == list(COLUMNS)
    assert again["note"].fillna("").to_list() == frame["note"].to_list()
    assert again["digits"].to_list() == [50.0, 50.0, np.inf, 50.0]
    assert np.isnan(again["ulp_max"][3])


def test_the_same_table_gives_the_same_bytes_whenever_and_wherever_it_is_written(
        tmp_path, monkeypatch):
    for name, now in (("a.csv.gz", 1e9), ("b.csv.gz", 2e9)):
        monkeypatch.setattr("time.time", lambda: now)
        write_table(errors(row()), tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    write_table(errors(row()), tmp_path / "plain.csv")
    assert decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "plain.csv").read_bytes()


def test_failing_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "errors.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        with open(temporary, "w") as half:
            half.write("new, but only ha")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["errors.csv"]


def test_killed_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "errors.csv"
    path.write_text("old")
    code = (f"import os; from crosscheck.report.tables import replacing\n"
            f"with replacing({str(path)!r}) as t:\n"
            f" open(t, 'w').write('half'); os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_the_new_file_takes_the_old_ones_place(tmp_path):
    path = tmp_path / "a" / "errors.csv"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            # The same file system, or replacing is not atomic.
            assert os.path.dirname(temporary) == str(path.parent)
            with open(temporary, "w") as file:
                file.write(text)
    assert path.read_text() == "new" and os.listdir(path.parent) == ["errors.csv"]
    assert path.stat().st_mode & 0o777 == 0o644


# Reading


HEADER = ",".join(COLUMNS)

BROKEN = {
    "missing": (None, "is missing"),
    "empty": (b"", "cannot be read"),
    "not compressed": (b"when,who\n1,2\n", "cannot be read"),
    "cut off": (compress(HEADER.encode() * 99)[:-20], "cannot be read"),
    "spoilt": (compress(HEADER.encode())[:12] + bytes(40), "cannot be read"),
    "binary": (compress(b"\x89PNG\r\n\x1a\n\xff\xfe"), "cannot be read"),
    "another table": (compress(b"when,who\n1,2\n"), "lacks the columns network, parameter"),
    "cut within a row": (compress(f'{HEADER}\nquick-0-0,x,"refgr'.encode()), "cannot be read"),
    "text for numbers": (compress(f"{HEADER}\na,b,c,d,e,f,g,h,i,j,k,l,m\n".encode()),
                         "text in the columns of"),
}


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_table_is_named_with_the_command_that_makes_it_again(tmp_path, content, message):
    path = tmp_path / ERRORS.name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=message) as error:
        read_table(tmp_path, ERRORS, "run")
    assert str(path) in str(error.value)
    assert f"python -m crosscheck run --out {tmp_path}" in str(error.value)


@pytest.mark.parametrize("name, command", [("scaling.csv", "scaling"), ("training.csv", "training"),
                                           ("coverage.csv", "run")])
def test_each_table_has_its_own_command(tmp_path, name, command):
    with pytest.raises(ReportError, match=f"python -m crosscheck {command} --out"):
        read_table(tmp_path, *next((table, study.command.name) for study in STUDIES
                                   for table in study.tables if table.name == name))


def test_a_folder_in_the_place_of_a_table(tmp_path):
    (tmp_path / ERRORS.name).mkdir()
    with pytest.raises(ReportError, match="cannot be read"):
        read_table(tmp_path, ERRORS, "run")


# What the tables say


def test_layers_count_every_network_that_has_them():
    found = frames.layers_table(errors(row("full-0-0"), row("full-0-1", digits=45.0, ulp_max=3.0)),
                                NETWORKS)
    mse = found[found["layer"] == "mse_loss"].iloc[0]
    assert (mse["networks"], mse["rows"], mse["digits_min"], mse["ulp_max"]) == (2, 2, 45.0, 3.0)
    assert found[found["layer"] == "linear"].iloc[0]["networks"] == 1


def test_findings_name_the_layer_that_explains_most():
    """Wrong are all networks with dropout, and one of several with softmax: which it is not is told
    by the rest."""
    networks = draw_networks(0, 160)[0]
    bad = [n for n in networks if "dropout" in n.layers]
    other = next(n for n in networks if "softmax" in n.layers and n not in bad)
    rows = [row(n.id, "wrong", differentiator="torch", note=f"off in {n.id}")
            for n in [*bad, other]]
    found = frames.findings_table(errors(*(row(n.id) for n in networks), *rows), networks)
    first, *others = found.itertuples()
    assert (first.layer, first.networks, first.with_layer) == ("dropout", len(bad), len(bad))
    assert first.simplest == next(n.id for n in networks if n.layers[0] == "dropout")
    assert first.note == f"off in {first.simplest}"
    assert [(f.networks, f.simplest) for f in others] == [(1, other.id)]


def test_the_worst_findings_come_first():
    kinds = ["kink", "less accurate", "wrong", "no answer", "exact to rounding", "undecided"]
    found = frames.findings_table(errors(*(row("full-0-3", k) for k in kinds)), NETWORKS)
    assert found["verdict"].to_list() == ["wrong", "no answer", "less accurate", "kink"]


def test_coverage_holds_what_was_never_met():
    found = frames.coverage_table(COVERAGE)
    assert ([(found["kind"] == k).sum() for k in ("layer", "pair")]
            == list(map(len, COVERAGE.possible())))
    assert found["met"].sum() == sum(COVERAGE.layers.values()) + sum(COVERAGE.pairs.values())
    assert (found["met"] == 0).any()


def test_tables_of_nothing_have_their_columns(tmp_path):
    nothing = errors()
    for table, frame in ((ERRORS, nothing), (LAYERS, frames.layers_table(nothing, NETWORKS)),
                         (FINDINGS, frames.findings_table(nothing, NETWORKS))):
        write_table(frame, tmp_path / table.name)
        assert len(read_table(tmp_path, table, "run")) == 0


def test_verdicts_are_counted():
    counts = frames.verdict_counts(errors(row(), row(), row(verdict="wrong"),
                                          row(dtype="float32", verdict="kink")))
    assert list(counts.columns) == ["exact to rounding", "wrong", "kink"]
    assert counts.loc[("refgrad", "float64", "reverse")].to_list() == [2, 1, 0]


# Plots


FRAMES = {
    "one row": errors(row()),
    "no row": errors(),
    "nan": errors(row(ulp_max=np.nan, ulp_median=np.nan, digits=np.nan)),
    "inf": errors(row(ulp_max=np.inf, ulp_median=np.inf, digits=np.inf), row(digits=-np.inf)),
    "zero": errors(row(ulp_max=0.0, ulp_median=0.0, digits=0.0)),
    "torch alone": errors(row(differentiator="torch", dtype="float32")),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plots.plt.close("all")


@pytest.mark.parametrize("plot", [plots.plot_errors, plots.plot_digits])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.filterwarnings("error")
def test_plots_of_little_are_drawn(tmp_path, plot, frame):
    with replacing(tmp_path / "plot.png") as path:
        figure = plot(frame, NETWORKS, path=path)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    column = "ulp_max" if plot is plots.plot_errors else "digits"
    drawn = np.isfinite if plot is plots.plot_errors else pd.notna
    shown = frame[drawn(frame[column])]
    layers = NETWORKS[0].layers if len(shown) else []
    assert sorted(labels(figure.axes[0].yaxis)) == sorted(set(layers))
    assert len(dots(figure.axes[0])[0]) == len(set(layers))


def test_errors_are_shown_by_layer_and_library():
    """The median of all arrays in networks with the layer, and a line from 5 % to 95 %."""
    a, b = NETWORKS[:2]
    frame = errors(*(row(n.id, ulp_max=u, differentiator=who) for n, who, u in (
        (a, "refgrad", 1.0), (a, "refgrad", 3.0), (b, "refgrad", 0.5), (a, "torch", 50.0),
        (b, "torch", 0.0))), row(a.id, dtype="float32", ulp_max=7.0))
    figure = plots.plot_errors(frame, NETWORKS)
    double, single = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["in float64", "in float32"]
    names = labels(double.yaxis)
    assert set(names) == {*a.layers, *b.layers}

    of = {name: [u for n, u in ((a, 1.0), (a, 3.0), (b, 0.5)) if name in n.layers]
          for name in names}
    x, y = dots(double, COLORS["refgrad"])
    assert dict(zip((names[round(k)] for k in y), x)) == {n: np.median(us) for n, us in of.items()}
    lines = {names[round(y)]: (low, high)
             for (low, y), (high, _) in double.collections[0].get_segments()}
    # Of so few, 5 % and 95 % are the ends.
    assert lines == {n: (min(us), max(us)) for n, us in of.items()}
    x, y = dots(double, COLORS["torch"])  # an error of nothing is drawn at the least
    assert set(x) <= {50.0, plots.LEAST_ULPS, (50 + plots.LEAST_ULPS) / 2} and len(x) == len(names)
    assert set(dots(single)[0]) == {7.0} and len(dots(single)[0]) == len(set(a.layers))
    assert {"refgrad", "torch", "no digit right"} <= set(texts(figure))


def test_digits_are_a_dot_for_each_network_and_order():
    a, b = NETWORKS[:2]
    figure = plots.plot_digits(errors(
        row(a.id, digits=50.0), row(a.id, digits=45.0, parameter="y"), row(b.id, digits=np.inf),
        row(a.id, digits=60.0, mode="reverse over reverse")), NETWORKS)
    ax, = figure.axes
    (x1, y1), (x2, y2) = (dots(ax, color) for color in ("#009E73", "#CC79A7"))
    assert sorted(x1) == [45.0] * len(set(a.layers)) + [plots.MOST_DIGITS] * len(set(b.layers))
    assert list(x2) == [60.0] * len(set(a.layers))
    assert np.all(np.round(y2) == np.round(y1[x1 == 45]))
    assert {labels(ax.yaxis)[round(k)] for k in y2} == set(a.layers)
    assert {"required: 40", "first derivative", "second derivative"} <= set(texts(figure))


@pytest.mark.parametrize("met", [None, 0, 1, 100])
def test_coverage_is_drawn(tmp_path, met):
    frame = frames.coverage_table(COVERAGE)
    if met is not None:
        frame = frame.assign(met=met)
    figure = plots.plot_coverage(frame, path=tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")
    ax, = figure.axes
    pairs = frame[frame["kind"] == "pair"]
    assert np.ravel(ax.images[0].get_array()).tolist() == pairs["met"].to_list()
    assert labels(ax.yaxis) == list(pairs["first"].unique())
    assert labels(ax.xaxis) == list(pairs["second"].unique())
    assert [t.get_text() for t in ax.texts] == pairs["met"].astype(str).to_list()


def test_a_figure_that_is_written_is_closed(tmp_path):
    before = plots.plt.get_fignums()
    plots.plot_errors(FRAMES["one row"], NETWORKS, path=tmp_path / "errors.png")
    assert plots.plt.get_fignums() == before


def test_frames_stay_as_they_are():
    frame = errors(row(), row("full-0-1"))
    copy = frame.copy()
    frames.layers_table(frame, NETWORKS)
    frames.findings_table(frame, NETWORKS)
    plots.plot_digits(frame, NETWORKS)
    pd.testing.assert_frame_equal(frame, copy)
