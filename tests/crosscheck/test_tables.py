"""Tables and plots: written whole or not at all, read with care."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from crosscheck.networks import draw_networks
from crosscheck.report import plots, tables
from crosscheck.report.tables import ReportError, read_table, replacing, write_table
from crosscheck.studies.networks import COLUMNS

NETWORKS, COVERAGE = draw_networks(0, 29, "quick")


def row(network="quick-0-0", verdict="exact to rounding", **values):
    return {**dict(network=network, parameter="x", differentiator="refgrad", mode="reverse", dtype="float64",
                   ulp_max=1.0, ulp_median=0.5, rel_error=1e-16, error_over_bound=0.1, bound="proven", digits=50.0,
                   verdict=verdict, note=""), **values}


def errors(*rows):
    return tables.errors_table(list(rows))


# Writing


def test_a_table_comes_back_as_it_went(tmp_path):
    frame = errors(row(), row(note="a, \"quoted\" note\nin two lines"), row(digits=np.inf), row(ulp_max=np.nan))
    write_table(frame, tmp_path / "new" / "errors.csv")
    again = read_table(tmp_path / "new" / "errors.csv")
    assert list(again.columns) == list(COLUMNS)
    assert again["note"].fillna("").to_list() == frame["note"].to_list()
    assert again["digits"].to_list() == [50.0, 50.0, np.inf, 50.0]
    assert np.isnan(again["ulp_max"][3])


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
            assert os.path.dirname(temporary) == str(path.parent)  # the same file system, or replacing is not atomic
            with open(temporary, "w") as file:
                file.write(text)
    assert path.read_text() == "new" and os.listdir(path.parent) == ["errors.csv"]
    assert path.stat().st_mode & 0o777 == 0o644


# Reading


BROKEN = {
    "missing": (None, "is missing"),
    "empty": (b"", "cannot be read"),
    "binary": (b"\x89PNG\r\n\x1a\n\xff\xfe", "cannot be read"),
    "another table": (b"when,who\n1,2\n", "lacks the columns network, parameter"),
    "cut within a row": (",".join(COLUMNS).encode() + b'\nquick-0-0,x,"refgr', "cannot be read"),
    "text for numbers": (",".join(COLUMNS).encode() + b"\na,b,c,d,e,f,g,h,i,j,k,l,m\n", "text in the columns of"),
}


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_table_is_named_with_the_command_that_makes_it_again(tmp_path, content, message):
    path = tmp_path / "errors.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=message) as error:
        read_table(path)
    assert str(path) in str(error.value)
    assert f"python -m crosscheck run --out {tmp_path}" in str(error.value)


@pytest.mark.parametrize("name, command", [("scaling.csv", "scaling"), ("training.csv", "training"),
                                           ("coverage.csv", "run")])
def test_each_table_has_its_own_command(tmp_path, name, command):
    with pytest.raises(ReportError, match=f"python -m crosscheck {command} --out"):
        read_table(tmp_path / name)


def test_a_folder_in_the_place_of_a_table(tmp_path):
    (tmp_path / "errors.csv").mkdir()
    with pytest.raises(ReportError, match="cannot be read"):
        read_table(tmp_path / "errors.csv")


# What the tables say


def test_layers_count_every_network_that_has_them():
    found = tables.layers_table(errors(row("quick-0-0"), row("quick-0-1", digits=45.0, ulp_max=3.0)), NETWORKS)
    mse = found[found["layer"] == "mse_loss"].iloc[0]
    assert (mse["networks"], mse["rows"], mse["digits_min"], mse["ulp_max"]) == (2, 2, 45.0, 3.0)
    assert found[found["layer"] == "linear"].iloc[0]["networks"] == 1


def test_findings_name_the_layer_that_explains_most():
    """Wrong are all networks with dropout, and one of several with softmax: which it is not is told by the rest."""
    networks = draw_networks(0, 84, "quick")[0]
    bad = [n for n in networks if "dropout" in n.layers]
    other = next(n for n in networks if "softmax" in n.layers and n not in bad)
    rows = [row(n.id, "wrong", differentiator="torch", note=f"off in {n.id}") for n in [*bad, other]]
    found = tables.findings_table(errors(*(row(n.id) for n in networks), *rows), networks)
    first, *others = found.itertuples()
    assert (first.layer, first.networks, first.with_layer) == ("dropout", len(bad), len(bad))
    assert first.simplest == next(n.id for n in networks if n.layers[0] == "dropout")
    assert first.note == f"off in {first.simplest}"
    assert [(f.networks, f.simplest) for f in others] == [(1, other.id)]


def test_the_worst_findings_come_first():
    kinds = ["kink", "less accurate", "wrong", "no answer", "exact to rounding", "undecided"]
    found = tables.findings_table(errors(*(row("quick-0-3", k) for k in kinds)), NETWORKS)
    assert found["verdict"].to_list() == ["wrong", "no answer", "less accurate", "kink"]


def test_coverage_holds_what_was_never_met():
    found = tables.coverage_table(COVERAGE)
    assert len(found[found["kind"] == "layer"]) == 29 and len(found[found["kind"] == "pair"]) == 20 * 28
    assert found["met"].sum() == sum(COVERAGE.layers.values()) + sum(COVERAGE.pairs.values())
    assert (found["met"] == 0).any()


def test_tables_of_nothing_have_their_columns(tmp_path):
    nothing = errors()
    for name, frame in (("errors", nothing), ("layers", tables.layers_table(nothing, NETWORKS)),
                        ("findings", tables.findings_table(nothing, NETWORKS))):
        write_table(frame, tmp_path / f"{name}.csv")
        assert len(read_table(tmp_path / f"{name}.csv")) == 0


def test_verdicts_are_counted():
    counts = tables.verdict_counts(errors(row(), row(), row(verdict="wrong"), row(dtype="float32", verdict="kink")))
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


@pytest.mark.parametrize("plot", [plots.plot_errors, plots.plot_digits])
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.filterwarnings("error")
def test_plots_of_little_are_drawn(tmp_path, plot, frame):
    with replacing(tmp_path / "plot.png") as path:
        plot(frame, NETWORKS, path)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("met", [0, 1, 100])
def test_coverage_is_drawn(tmp_path, met):
    frame = tables.coverage_table(COVERAGE).assign(met=met)
    plots.plot_coverage(frame, tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")


def test_figures_are_closed(tmp_path):
    import matplotlib.pyplot as plt
    before = plt.get_fignums()
    plots.plot_errors(FRAMES["one row"], NETWORKS, tmp_path / "errors.png")
    assert plt.get_fignums() == before


def test_frames_stay_as_they_are(tmp_path):
    frame = errors(row(), row("quick-0-1"))
    copy = frame.copy()
    tables.layers_table(frame, NETWORKS)
    tables.findings_table(frame, NETWORKS)
    plots.plot_digits(frame, NETWORKS, tmp_path / "digits.png")
    pd.testing.assert_frame_equal(frame, copy)
