"""A campaign: its files are the same whatever ran it and however often it was stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from crosscheck import cli
from crosscheck.networks import network_of_id, networks_from
from crosscheck.networks.draw import BLOCK
from crosscheck.studies.networks import campaign

ROOT = Path(cli.__file__).parents[1]

# A check that takes no time, and once, where a folder says so, the worker that runs it.
FAKE = """
import os, pathlib, signal, sys, time
if not os.environ.get("PARQUET"):
    sys.modules["pyarrow"] = None
from crosscheck.studies.networks import COLUMNS, campaign
here = pathlib.Path(__file__).parent
def checked(network, dtypes, libraries):
    index = int(network.id.rsplit("-", 1)[1])
    time.sleep(float(os.environ.get("SLOW", 0)))
    if index == 5 and os.environ.get("DEADLY"):
        (here / f"dead-{os.getpid()}").touch()
        if os.environ["DEADLY"] == "always" or len(list(here.glob("dead-*"))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return [dict.fromkeys(COLUMNS, "") | {
        "network": network.id, "parameter": f"p{k}", "differentiator": "refgrad", "mode": "reverse",
        "dtype": dtype, "ulp_max": network.size / 7, "ulp_median": 0.5, "rel_error": 1e-17,
        "error_over_bound": index % 13 / 100, "digits": 60.0 + index % 5,
        "verdict": "exact to rounding", "note": "zwölf, \\"ja\\""}
        for dtype in dtypes for k in range(1 + index % 3)]
campaign.checked = checked
"""
RUN = "import fake; from crosscheck import cli; cli.main()"


@pytest.fixture
def start(tmp_path):
    """A function that starts the command line with the check that takes no time."""
    (tmp_path / "fake.py").write_text(FAKE, encoding="utf-8")

    def started(out, *options, count=40, **environment):
        arguments = ["campaign", "--networks", str(count), "--part", "4",
                     "--small", "--out", str(tmp_path / out)]
        path = os.pathsep.join(map(str, (ROOT, tmp_path, *sys.path)))
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments, *options], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path, **environment})

    def finish(*arguments, **options):
        with started(*arguments, **options) as process:
            said = " ".join(process.communicate(timeout=120))
        return process.returncode, said
    started.finish = finish
    return started


def files(folder):
    """name -> bytes of each file; none may be a leftover."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_and_resumed_campaign_equals_one_that_was_not_stopped(start, tmp_path):
    code, said = start.finish("whole", "--workers", "1")
    assert code == 0 and "40 of 40 networks" in said and "a second" in said, said
    whole = files(tmp_path / "whole")
    assert len(whole) == 10 + 3 and "zwölf" in whole["rows/000000/part-000000000.csv"].decode()

    with start("killed", "--workers", "2", SLOW="0.1") as process:
        until = time.monotonic() + 100
        while len(list((tmp_path / "killed").rglob("part-*.csv"))) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    half = files(tmp_path / "killed")
    assert 3 <= sum("part-" in name for name in half) < 10 and "summary.csv" not in half

    code, said = start.finish("killed")
    assert code == 2 and "--resume" in said and "Traceback" not in said
    code, said = start.finish("killed", "--resume", count=44)
    assert code == 2 and "its networks is 40, not 44" in said and files(tmp_path / "killed") == half

    code, said = start.finish("killed", "--resume", "--workers", "2")
    assert code == 0, said
    assert files(tmp_path / "killed") == whole


def test_parquet_where_it_can_be_written(start, tmp_path):
    pytest.importorskip("pyarrow")
    for name in ("one", "two"):
        assert start.finish(name, "--workers", "1", count=8, PARQUET="1")[0] == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert "rows/000000/part-000000001.parquet" in files(tmp_path / "one")
    assert start.finish("csv", "--workers", "1", count=8)[0] == 0
    assert files(tmp_path / "csv")["summary.csv"] == files(tmp_path / "one")["summary.csv"]


def test_a_worker_that_is_lost_changes_nothing(start, tmp_path):
    assert start.finish("whole", "--workers", "2", count=12)[0] == 0
    assert start.finish("lost", "--workers", "2", count=12, DEADLY="once")[0] == 0
    assert len(list(tmp_path.glob("dead-*"))) == 2
    assert files(tmp_path / "lost") == files(tmp_path / "whole")


def test_a_network_of_which_every_worker_dies_is_a_row_that_says_so(start, tmp_path):
    assert start.finish("out", "--workers", "2", count=8, DEADLY="always")[0] == 0
    rows = pd.read_csv(tmp_path / "out" / "rows" / "000000" / "part-000000001.csv")
    said = rows[rows["network"] == "small-0-5"]
    assert (list(said["verdict"]) == ["no answer"]
            and "3 worker processes died" in said["note"].iloc[0])
    assert set(rows["network"]) == {f"small-0-{n}" for n in range(4, 8)}


def test_the_same_on_a_cluster_and_in_one_process(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1,
                                  dashboard_address=None) as cluster:
        for name, how in (("here", ("--workers", "1")),
                          ("there", ("--cluster", cluster.scheduler_address))):
            result = CliRunner().invoke(cli.app, ["campaign", "--networks", "3", "--part", "2",
                                                  "--small", "--out", str(tmp_path / name), *how])
            assert result.exit_code == 0, result.output
    assert files(tmp_path / "here") == files(tmp_path / "there")
    counts = pd.read_csv(tmp_path / "here" / "summary.csv")
    parts = pd.read_csv(tmp_path / "here" / "parts.csv")
    assert counts["rows"].sum() == parts["rows"].sum() and list(parts["networks"]) == [2, 1]


def test_a_check_that_fails_is_a_row(monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no\nluck")
    monkeypatch.setattr(campaign, "check_network", fail)
    row, = campaign.checked(network_of_id("full-0-3"), ("float64",), ("refgrad",))
    assert ((row["network"], row["verdict"]) == ("full-0-3", "no answer")
            and "RuntimeError: no luck" in row["note"])


def test_networks_of_a_later_block_are_drawn_without_those_before():
    index = 3 * BLOCK + 2
    later = network_of_id(f"full-1-{index}")
    assert later.id == f"full-1-{index}" and network_of_id(f"full-1-{10 ** 9}").calls
    assert list(networks_from(1, index - 1, index + 1, "full"))[1] == later
