"""What can go wrong around a run: files, outputs, locales, the user's own modules.  One line and
exit status 2."""

import gzip
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from crosscheck.networks import Network, network_of_id
from crosscheck.report import page
from crosscheck.report.errors import ReportError
from crosscheck.report.tables import remove_leftovers, replacing, write_table
from crosscheck.studies import runner
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.networks import NETWORKS
from crosscheck.studies.networks.report import outcome
from crosscheck.studies.networks.run import run

ROOT = Path(page.__file__).parents[2]
FRAME = pd.DataFrame({"a": [1, 2], "b": ["é", "x"]})


def program(*arguments, where=None, limit=None, module="crosscheck", out=subprocess.PIPE,
            **environment):
    """The finished process of a command; `limit` is the size in bytes that no file of its may
    exceed."""
    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], stdout=out,
        stderr=subprocess.PIPE, text=True, cwd=where,
        encoding="utf-8", timeout=200, preexec_fn=limited if limit else None, check=False,
        env={"PYTHONPATH": str(ROOT),
             **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "COLUMNS")},
             **environment})


def refused(process, *words):
    assert process.returncode == 2, (process.returncode, process.stdout, process.stderr)
    assert process.stderr.startswith("error: ") and process.stderr.count("\n") == 1, process.stderr
    for word in words:
        assert str(word) in process.stderr


# Files


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    write_table(FRAME, link)
    assert link.is_symlink() and real.read_text(encoding="utf-8") == "a,b\n1,é\n2,x\n"


def test_a_device_and_a_fifo_are_written_into(tmp_path):
    fifo = tmp_path / "fifo.csv"
    os.mkfifo(fifo)
    found = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_text(encoding="utf-8")))
    reader.start()
    write_table(FRAME, fifo)
    reader.join(timeout=10)
    assert found == ["a,b\n1,é\n2,x\n"] and stat.S_ISFIFO(fifo.stat().st_mode)
    null = tmp_path / "null.csv"
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        null = Path(os.devnull)
    write_table(FRAME, null)
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_file_keeps_its_permissions_and_a_new_one_has_those_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_table(FRAME, tmp_path / "new.csv")
        (tmp_path / "old.csv").touch()
        (tmp_path / "old.csv").chmod(0o604)
        write_table(FRAME, tmp_path / "old.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old.csv").stat().st_mode) == 0o604


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    code = ("import os; from crosscheck.report.tables import replacing\n"
            f"with replacing({str(tmp_path / 'a.csv')!r}) as t: os.kill(os.getpid(), "
            f"{int(signal.SIGKILL)})")
    subprocess.run([sys.executable, "-c", code], check=False,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".mine-1.csv").touch()
    with replacing(tmp_path / "b.csv"):
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2  # the temporary file of this process stays
    assert {p.name for p in tmp_path.iterdir()} == {"b.csv", ".mine-1.csv"}


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(ReportError, match="a.csv cannot be written: it is a folder"):
        (tmp_path / "a.csv").mkdir()
        write_table(FRAME, tmp_path / "a.csv")


@pytest.mark.parametrize("csv", ["/proc/none.csv", "/dev/null/a.csv"])
def test_a_csv_that_cannot_be_written_is_refused_at_once(csv):
    refused(program("check", "numpy:tanh", "--shape", "2", "--csv", csv), csv, "cannot be written")


def test_a_full_disk_leaves_the_old_report(tmp_path):
    command = ("run", "--quick", "--networks", "2", "--workers", "1", "--library", "refgrad",
               "--out", tmp_path)
    assert program(*command).returncode == 0
    old = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    refused(program(*command[:-2], "--seed", "5", "--out", tmp_path, limit=20_000),
            "cannot be written")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == old


# Outputs


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("list", "--networks", "2"), ("--help",)])
def test_a_full_output_is_told_in_a_line(arguments):
    with open("/dev/full", "w", encoding="utf-8") as full:
        refused(program(*arguments, out=full), "No space left")


def test_a_closed_output_is_refused():
    done = subprocess.run(f"exec {sys.executable} -m crosscheck list --networks 2 >&-",
                          shell=True, text=True, stderr=subprocess.PIPE, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 2 and done.stderr == "error: standard output is closed\n"


@pytest.mark.parametrize("columns", ["0", "40"])
def test_a_narrow_terminal_keeps_the_numbers(columns):
    said = program("list", "--networks", "3", COLUMNS=columns).stdout
    for index in range(3):
        network = network_of_id(f"full-0-{index}")
        assert f"{network.id}  {network.depth:5}  {network.size:7}" in said


def test_text_is_utf8_whatever_the_locale(tmp_path):
    done = program("run", "--quick", "--networks", "1", "--workers", "1", "--library", "refgrad",
                   "--out", tmp_path / "größe", LC_ALL="POSIX", PYTHONUTF8="0",
                   PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "“exact to rounding”" in (tmp_path / "größe" / "index.html").read_text(encoding="utf-8")


# The user's own modules


def test_modules_of_the_user_do_not_take_the_place_of_pythons(tmp_path):
    for name in ("json", "csv", "random", "decimal"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    done = program("run", "--quick", "--networks", "2", "--workers", "2", "--library", "refgrad",
                   "--out", tmp_path / "out", where=tmp_path)
    assert done.returncode == 0, done.stderr
    refused(program("check", "csv:f", "--shape", "2", where=tmp_path), "csv has no f", "python3")


OWN = """
import sys
import numpy as np
def quits(x):
    sys.exit(0)
def raises(x):
    raise RuntimeError("no good")
def sin(x):
    return np.sin(x)
def vjp(g, x):
    sys.exit(1)
def inputs():
    return 1 / 0
"""


@pytest.mark.parametrize("arguments, words", [
    (("own:quits", "--shape", "2"), ("sys.exit(0)", "in quits", "own.py, line 5")),
    (("own:raises", "--shape", "2"), ("RuntimeError", "no good", "in raises", "own.py, line 7")),
    (("own:sin", "--vjp", "own:vjp", "--shape", "2"), ("sys.exit(1)", "in vjp", "own.py, line 11")),
    (("own:sin", "--inputs", "own:inputs"), ("ZeroDivisionError", "in inputs", "own.py, line 13")),
    (("broken:f", "--shape", "2"), ("syntax error", "broken.py, line 2")),
    (("leaves:f", "--shape", "2"), ("sys.exit(0)", "leaves.py, line 1")),
    (("own:cosine", "--shape", "2"), ("own has no cosine", "own.py"))])
def test_the_users_code_that_fails_is_told_with_its_place(arguments, words, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("\ndef f(:")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(0)")
    refused(program("check", *arguments, where=tmp_path), *words)


# Names and numbers that come from outside


@pytest.mark.parametrize("id", ["full-0-+17", "full-0-1_7", "full- 0-17", "full-00-17",
                                "full-0-017", "full-0-17\n", "full-0-٣", "full-0-1000000000000"])
def test_an_id_that_list_never_prints_is_refused(id):
    with pytest.raises(ValueError, match="PROFILE-SEED-INDEX"):
        network_of_id(id)


@pytest.mark.parametrize("function",
                         ["load", "savetxt", "fromfile", "__import__", "lib.format.open_memmap"])
def test_a_network_calls_nothing_but_layers(function):
    data = json.loads(network_of_id("full-0-3").to_json())
    data["calls"][0]["function"] = function
    with pytest.raises(ValueError, match=function):
        Network.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["9**9**9**9*sum(x)", "sum(x) + 1e308*10", "-9**999*sum(x)"])
def test_a_number_that_no_float_holds_is_refused(text):
    done = program(text, module="refgrad.derive")
    assert done.returncode == 2 and "this number is too large" in done.stderr


# The page and its tables


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runner.write(NETWORKS, outcome(run(0, 2, "quick", workers=1), 2, "2 networks"), STUDIES,
                 folder, 0)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "report"))


def html(folder):
    page.write_page(folder, STUDIES)
    return (folder / "index.html").read_text(encoding="utf-8")


def spoil(folder, change):
    path = folder / "errors.csv.gz"
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()).decode()).encode()))


@pytest.mark.parametrize("change", [
    lambda text: text[:len(text) // 2],
    lambda text: text.replace("exact to rounding", "banana"),
    lambda text: "".join(line for line in text.splitlines(keepends=True)
                         if ",refgrad," not in line)])
def test_a_table_that_was_changed_is_named_and_the_page_is_not_good(folder, change):
    assert 'class="verdict good"' in html(folder)
    spoil(folder, change)
    said = html(folder)
    assert f"{folder / 'errors.csv.gz'} is not the file of" in said and "banana" not in said
    assert 'class="verdict bad"' in said and ">Coverage</h2>" in said


def test_a_table_of_another_run_is_named(folder, tmp_path):
    runner.write(NETWORKS, outcome(run(1, 1, "quick", workers=1), 1, "1 network"), STUDIES,
                 tmp_path / "other", 1)
    shutil.copy(tmp_path / "other" / "errors.csv.gz", folder)
    shutil.copy(tmp_path / "other" / "digits.png", folder)
    said = html(folder)
    assert said.count("is not the file") == 2 and 'class="verdict bad"' in said


def test_a_folder_in_the_place_of_a_table_is_named(folder):
    (folder / "errors.csv.gz").unlink()
    (folder / "errors.csv.gz").mkdir()
    (folder / "speed.csv").mkdir()
    said = html(folder)
    for name in ("errors.csv.gz", "speed.csv"):
        assert f"{folder / name} cannot be read" in said
    assert ">Coverage</h2>" in said


def test_run_json_notes_rows_seed_and_versions(folder):
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))["records"]["networks"]
    assert record["seed"] == 0 and "numpy" in record["versions"]
    for name, about in record["files"].items():
        if name.endswith((".csv", ".csv.gz")):
            assert about["rows"] == len(pd.read_csv(folder / name))
