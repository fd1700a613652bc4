"""Work is shared out: the same results whatever does it, and a worker that is lost takes its task
alone with it."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from crosscheck import sharing
from crosscheck.sharing import ClusterError, share_out
from crosscheck.studies.networks import run as job
from crosscheck.studies.networks.frames import errors_table

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(job.__file__).parents[3])}


def square(n):
    return n * n


def raising(n):
    raise OSError(f"no {n}")


def dying_once(n, folder):
    """The first worker that has task 3 dies of it."""
    (Path(folder) / f"{n}-{os.getpid()}").touch()
    if n == 3 and len(list(Path(folder).glob("3-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def dying(n):
    if n == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2,
                                  dashboard_address=None) as found:
        yield found.scheduler_address


def nothing(task):
    pass


@pytest.mark.parametrize("workers", [1, 2])
def test_results_errors_and_ticks(workers):
    ticks = []
    assert (share_out(square, range(20), workers, ticks.append)
            == ({n: n * n for n in range(20)}, ""))
    assert sorted(ticks) == list(range(20))
    assert share_out(square, [], workers, nothing) == ({}, "")
    with pytest.raises(OSError, match="no 7"):
        share_out(raising, [7], workers, nothing)


def test_a_worker_that_is_lost_is_replaced_and_its_task_alone_is_repeated(tmp_path):
    found, stopped = share_out(partial(dying_once, folder=tmp_path), range(12), 2, nothing)
    assert found == {n: n * n for n in range(12)} and not stopped
    assert ({n: len(list(tmp_path.glob(f"{n}-*"))) for n in range(12)}
            == {**dict.fromkeys(range(12), 1), 3: 2})


def test_a_task_of_which_every_worker_dies_is_given_up():
    found, stopped = share_out(dying, range(3), 2, nothing)
    assert 2 not in found and "3 worker processes died of the same task" in stopped


def test_the_same_rows_on_a_cluster(cluster):
    tables = [errors_table(job.run(0, 3, "quick", workers=w).rows).to_csv()
              for w in (1, 2, cluster)]
    assert tables[0] == tables[1] == tables[2]


def test_a_worker_of_a_cluster_is_lost(cluster, tmp_path):
    found, stopped = share_out(partial(dying_once, folder=tmp_path), range(12), cluster, nothing)
    assert found == {n: n * n for n in range(12)} and not stopped


def test_a_cluster_without_workers_is_refused(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(sharing, "PATIENCE", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty:
        with pytest.raises(ClusterError, match="no worker came in 1 s"):
            share_out(square, [1], empty.scheduler_address, nothing)


def test_without_distributed_or_without_a_scheduler_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r'pip install "refgrad\[cluster\]"'):
        share_out(square, [1], "tcp://127.0.0.1:1", nothing)


FOREVER = """
import os, time
from crosscheck.sharing import share_out
def wait(n):
    print(os.getpid(), flush=True)
    time.sleep(1000)
if __name__ == "__main__":
    share_out(wait, range(9), 2, print)
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, end):
    (tmp_path / "forever.py").write_text(FOREVER)
    with subprocess.Popen([sys.executable, tmp_path / "forever.py"], stdout=subprocess.PIPE,
                          text=True, env=ENVIRONMENT) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(_runs, workers))
        parent.send_signal(end)
        parent.wait(timeout=10)
        until = time.monotonic() + 10
        while any(map(_runs, workers)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(_runs, workers))
        assert parent.stdout.read() == ""  # which ends, since nobody holds the pipe


def _runs(pid):
    """Whether a process is there and is no zombie that its new parent has still to bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
