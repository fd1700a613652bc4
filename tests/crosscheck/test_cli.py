"""The command line: it teaches, it refuses clearly, and what it prints can be piped."""

import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Group
from typer.testing import CliRunner

from crosscheck import cli
from crosscheck.networks import Coverage
from crosscheck.networks.draw import PROFILES
from crosscheck.report.terminal import aside, console, plain_table, table_of
from crosscheck.studies import runner
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.networks import NETWORKS, commands, run as job
from crosscheck.studies.study import Outcome, Study
from tests.crosscheck.drawn import id_of

COMMANDS = ("run", "scaling", "training", "list", "replay")
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def call(*arguments):
    """The result of a command; `said` is all that it printed, in one line."""
    result = CliRunner().invoke(cli.app, list(map(str, arguments)), env=ENVIRONMENT)
    result.said = " ".join(result.output.split())
    return result


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setattr(aside, "_width", 200)


@pytest.fixture
def studies(monkeypatch):
    """The studies beside that of the networks, which take long, as notes of how they were run."""
    called = []

    class Noted(Study):
        @property
        def body(self):
            return SimpleNamespace(**vars(super().body) | {"run": self.run})

        def run(self, o, watch):
            workers = [o.workers] if "workers" in vars(o) else []
            called.append((self.name, o.seed, o.out, o.quick, *workers))
            return Outcome()
    studies = [s if s is NETWORKS else Noted(**vars(s)) for s in STUDIES]
    monkeypatch.setattr(cli, "app", cli.application(studies))
    return called


@pytest.fixture(scope="module")
def small():
    return job.run(0, 1, "quick", workers=1)


# Help


def test_the_help_names_every_command_and_gives_examples():
    said = call("--help").said
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", said)
    assert "python -m crosscheck replay full-0-17" in said
    assert call("-h").said == said


@pytest.mark.parametrize("command, words", [
    ("run", ["--networks", "--seed", "[default: 0]", "--out", "[default: reports]", "--dtype",
             "float32|float64", "--workers", "[default: 2]", "errors.csv.gz", "Example"]),
    ("scaling", ["--quick", "scaling.csv", "Example"]),
    ("training", ["handwritten digits", "training.csv", "Example"]),
    ("list", ["--networks", "misses", "Example"]),
    ("replay", ["ID", "as in errors.csv.gz", "full-0-17", "Example"])])
def test_the_help_of_a_command_teaches(command, words):
    result = call(command, "--help")
    assert result.exit_code == 0
    for word in words:
        assert word in result.said


# Refusals


@pytest.mark.parametrize("arguments, words", [
    (["replay", "full-0"], ["full-0", "PROFILE-SEED-INDEX", "for example full-0-17"]),
    (["replay", "huge-0-1"], ["huge-0-1", "full, quick"]),
    (["replay"], ["Missing argument", "ID"]),
    (["replay", "quick-0-0", "--dtype", "float16"], ["float16", "float32", "float64"]),
    (["run", "--dtype", "double"], ["double", "float32", "float64"]),
    (["run", "--seed", "-1"], ["--seed", "greater than or equal to 0"]),
    (["run", "--networks", "0"], ["--networks", "greater than or equal to 1"]),
    (["run", "--workers", "0"], ["--workers", "greater than or equal to 1"]),
    (["list", "--seed", "x"], ["--seed", "valid integer"]),
    (["chek"], ["No such command", "chek"]),
    (["check"], ["Missing argument", "MODULE:FUNCTION"]),
    (["check", "numpy:sin"], ["give --shape for each input"]),
    (["check", "statistics:correlation", "--shape", "2"], ["--shape once for each input"]),
    (["check", "numpy:sin", "--shape", "2;3"], ["--shape", "whole numbers with commas"]),
    (["check", "numpy"], ["expected MODULE:FUNCTION"]),
    (["check", "nowhere:f", "--shape", "2"], ["no module 'nowhere'"]),
    (["check", "nowhere/f.py:f", "--shape", "2"], ["there is no file nowhere/f.py"]),
    (["check", "numpy:sine", "--shape", "2"], ["numpy has no sine"]),
    (["run", "--fast"], ["No such option", "--fast"])])
def test_wrong_arguments_are_refused_with_a_reason(arguments, words):
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.said


@pytest.mark.parametrize("command", ["run", "scaling", "training", None])
def test_a_file_or_a_forbidden_folder_as_out_is_refused_before_any_work(command, tmp_path,
                                                                        monkeypatch, studies):
    monkeypatch.setattr(job, "run", lambda *a: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none"):
        result = call(*filter(None, [command]), "--out", out)
        assert result.exit_code == 2 and studies == []
        assert str(out) in result.said.replace(" ", "") and "Traceback" not in result.output


# Commands


def test_list_names_layers_in_full():
    layers = len(Coverage.possible()[0])
    result = call("list", "--networks", layers, "--seed", 7)
    assert result.exit_code == 0
    assert "full-7-29" in result.said and f"{layers} networks of seed 7" in result.said
    for layer in ("add[broadcast]", "linear[no bias]", "batch_norm[eval]",
                  "cross_entropy[probabilities]"):
        assert layer in result.said
    assert f"{layers} layers and losses, all met" in result.said


def test_list_says_what_is_not_met():
    said = call("list", "--networks", 1).said
    pairs = len(Coverage.possible()[1])
    assert re.search(rf"not met: linear\[no bias\], .*; 1 of {pairs} pairs of families in sequence "
                     r"met", said)


def test_replay_shows_program_truth_and_answers():
    result = call("replay", id_of("batch_norm"))
    assert result.exit_code == 0
    for words in ("h1 = batch_norm(x, None, None, weight_0, bias_0, training=True)",
                  "ball arithmetic of 400 bits",
                  "|gradient|", "digits, 1st", "reverse over forward", "exact to rounding",
                  "torch, reverse over forward, float64, x: wrong, entry"):
        assert words in result.said
    gradient = re.search(r"^weight_0 +([\d.]+) .* ([\d.]+) +([\d.]+) *$", result.output, re.M)
    assert float(gradient[1]) > 0 and float(gradient[2]) > 40 and float(gradient[3]) > 40


def test_replay_shows_one_dtype_alone():
    output = call("replay", id_of("relu"), "--dtype", "float32").output
    assert "float32" in output and "float64" not in output


def test_replay_fits_into_100_columns():
    """All but a program, which is to be pasted."""
    piped = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    output = subprocess.run([sys.executable, "-m", "crosscheck", "replay", id_of("batch_norm")],
                            capture_output=True, text=True, check=True, env=piped).stdout
    assert max(len(line) for line in output.splitlines()
               if not line.startswith(("print(", "def f("))) <= 100
    assert "…" not in output


class Within:
    """What yields a table, as a report does, and tells nobody how wide it is."""

    def __init__(self, table):
        self.table = table

    def __rich_console__(self, console, options):
        yield self.table


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("wrap", [Group, Within])
def test_tables_are_whole_in_a_narrow_terminal(wrap, columns, capsys, monkeypatch):
    """Every number, and every word of the others; what is too wide is left to the terminal to
    break."""
    monkeypatch.setattr(console, "_width", columns)
    table = plain_table("parameter", "role", "ulps", "counts", "note", right=("ulps", "counts"),
                        whole=("parameter",))
    cells = "weight_0 and weight_1", "constant", "1.4e+08", "12345678", "a note of a few words"
    table.add_row(*cells)
    frame = pd.DataFrame({"differentiator": ["refgrad"], "exact to rounding": [1234567],
                          "largest": [8.25e-17]})
    console.print(wrap(table), wrap(table_of(frame, ("differentiator",))))
    said = capsys.readouterr().out
    assert "…" not in said
    for words in (*cells[:4], *cells[4].split(), "refgrad", "1234567", "8.25e-17", "rounding",
                  "largest"):
        assert words in said


def test_check_is_whole_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setattr(console, "_width", 40)
    said = call("check", "numpy:tanh", "--shape", "2", "--quick").output
    assert "…" not in said and re.search(r"^reverse +float32 +\d+ +exact to rounding .*\d$",
                                         said, re.M)


def test_list_and_the_first_words_of_replay_wait_for_no_library():
    code = """
import sys
from crosscheck import cli
from crosscheck.studies.networks import run
heavy = "torch", "refgrad", "pandas", "scipy", "matplotlib"
def examine(*a): print("before", sorted(set(heavy) & set(sys.modules))); raise KeyboardInterrupt
from crosscheck.studies.networks import commands
commands.examine = examine
try:
    cli.app(sys.argv[1:])
except SystemExit:
    print("loaded", sorted(set(heavy) & set(sys.modules)))
"""
    for arguments, last in ((["list", "--networks", "2"], "loaded []"),
                            (["replay", "full-0-17"], "before []")):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True,
                              text=True, check=True)
        assert last in done.stdout and "full-0-1" in done.stdout


def test_replay_tells_of_kinks(monkeypatch):
    from crosscheck.networks import network
    zero = network.Array.draw
    monkeypatch.setattr(network.Array, "draw", lambda a: zero(a) * (a.role != "input"))
    assert re.search("x: kink, left slope", call("replay", id_of("relu")).said)


def test_run_writes_its_part_of_the_report(tmp_path):
    result = call("run", "--networks", 3, "--seed", 7, "--dtype", "float32",
                  "--out", tmp_path / "new", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "errors.csv.gz", "layers.csv", "findings.csv", "torch_findings.csv", "refgrad_findings.csv",
        "coverage.csv", "errors.png", "digits.png", "coverage.png",
        "run.json", "index.html"}
    errors = pd.read_csv(tmp_path / "new" / "errors.csv.gz")
    assert (set(errors["network"]) == {"full-7-0", "full-7-1", "full-7-2"}
            and set(errors["dtype"]) == {"float32"})
    html = (tmp_path / "new" / "index.html").read_text()
    assert "3 random networks of seed 7 (full)" in html and "in float32" in html
    assert "index.html" in result.said


def test_without_a_command_all_parts_are_run(tmp_path, monkeypatch, studies, small):
    asked = []
    monkeypatch.setattr(job, "run", lambda *a: asked.append(a[:5]) or small)
    result = call("--quick", "--seed", 3, "--out", tmp_path, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert asked == [(3, PROFILES["quick"].networks, "quick", ("float64", "float32"), 1)]
    assert studies == [(name, 3, tmp_path, True, 1)
                       for name in ("torch_operations", "derivations", "training", "scaling")]
    assert (tmp_path / "index.html").exists()


def test_parts_of_the_report_keep_what_the_others_said(tmp_path):
    by_name = {s.name: s for s in STUDIES}

    def note(name, about):
        runner.note(by_name[name], Outcome(about=about), STUDIES, tmp_path)
    note("scaling", "the cost")
    note("networks", "3 networks")
    assert pd.read_json(tmp_path / "run.json", typ="series")["what"] == ["3 networks", "the cost"]
    (tmp_path / "run.json").write_text('["half')
    note("networks", "4 networks")
    assert pd.read_json(tmp_path / "run.json", typ="series")["what"] == ["4 networks"]


def test_check_takes_the_path_of_a_file(tmp_path):
    path = tmp_path / "of_a_user.py"
    path.write_text("import numpy as np\ndef doubled(x): return 2 * x\ndef wrong(g, x): "
                    "return 3 * g\n")
    options = "--vjp", f"{path}:wrong", "--shape", "2", "--quick"
    assert call("check", f"{path}:doubled", *options[2:]).exit_code == 0
    assert call("check", f"{path}:doubled", *options).exit_code == 1
    other = tmp_path / "json.py"  # a name that Python's own module has
    other.write_text(path.read_text())
    assert "another module is called json" in call("check", f"{other}:doubled", *options[2:]).said


def test_check_has_a_table_a_file_and_an_exit_status(tmp_path):
    right = call("check", "numpy:tanh", "--shape", "2,3", "--dtype", "float64",
                 "--csv", tmp_path / "tanh.csv")
    assert right.exit_code == 0 and "ok: " in right.said and "float32" not in right.said
    assert set(pd.read_csv(tmp_path / "tanh.csv")["verdict"]) == {"exact to rounding", "ok"}
    wrong = call("check", "numpy:sin", "--vjp", "numpy:multiply", "--shape", "3", "--seed", 5)
    assert wrong.exit_code == 1 and "wrong: reverse" in wrong.said
    assert wrong.output == call("check", "numpy:sin", "--vjp", "numpy:multiply", "--shape", "3",
                                "--seed", 5).output


# Interruption


OWN = """
import numpy as np, torch
def undecided(x): return np.maximum(np.sqrt(x) ** 2, x)
def positive(): return np.array([1.0, 2.0])
def total(n, x): return np.sum(x) * n
def integers_too(): return np.array([1, 2]), np.array([0.5, 1.5])
def gelu(x): return torch.nn.functional.gelu(x)
def added(x, b): return torch.add(torch.as_tensor(x), b)
def rounded(x): return np.round(x)
def straight(g, x): return g,
def same(x): return x
"""


def test_check_has_an_exit_status_for_each_outcome_and_its_options_reach_it(tmp_path, monkeypatch):
    (tmp_path / "own_functions.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    undecided = call("check", "own_functions:undecided", "--inputs", "own_functions:positive",
                     "--quick")
    assert undecided.exit_code == 3 and "undecided: nothing is known" in undecided.said
    integers = call("check", "own_functions:total", "--inputs", "own_functions:integers_too",
                    "--argnums", "1", "--quick")
    assert integers.exit_code == 0 and "total(x: 2)" in integers.said
    assert call("check", "own_functions:gelu", "--shape", "3", "--quick").exit_code == 0
    for wrong, words in ((("own_functions:added", "--shape", "4,3", "--shape", "5"), "raises"),
                         (("own_functions:total", "--inputs", "own_functions:integers_too",
                           "--argnums", "x"),
                          "--argnums 'x'"),
                         (("own_functions:gelu", "--shape", "3", "--mode", "sideways"),
                          "sideways")):
        found = call("check", *wrong)
        assert found.exit_code == 2 and words in found.said and len(found.said.splitlines()) == 1
    first = call("check", "numpy:tanh", "--shape", "3", "--order", "1", "--mode", "reverse")
    assert (first.exit_code == 0 and "second" not in first.said
            and "forward" not in first.said.split("repeated")[0])
    estimator = ("check", "own_functions:rounded", "--vjp", "own_functions:straight",
                 "--shape", "3", "--quick")
    assert call(*estimator).exit_code == 1
    assert call(*estimator, "--surrogate", "own_functions:same").exit_code == 0


def test_libraries_are_chosen_by_name(tmp_path):
    refused = call("run", "--library", "flax", "--out", tmp_path)
    assert (refused.exit_code == 2
            and "expected one of refgrad, torch, torch-cuda, jax" in refused.said)
    one = call("run", "--networks", "2", "--quick", "--workers", "1", "--library", "refgrad",
               "--out", tmp_path)
    assert (one.exit_code == 0
            and set(pd.read_csv(tmp_path / "errors.csv.gz")["differentiator"]) == {"refgrad"})


def test_without_a_gpu_cuda_is_refused(tmp_path):
    done = subprocess.run([sys.executable, "-m", "crosscheck", "run", "--device", "cuda",
                           "--out", tmp_path],
                          capture_output=True, text=True,
                          env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 2 and "torch finds no GPU" in done.stderr


def test_interrupted_it_writes_what_is_finished_and_says_so(tmp_path, monkeypatch, small):
    part = job.Run(small.networks, small.coverage, small.rows, "interrupted")
    monkeypatch.setattr(job, "run", lambda *a: part)
    result = call("run", "--networks", 9, "--out", tmp_path)
    assert result.exit_code == 130
    assert "interrupted: 1 of 9 networks are checked, and in the report" in result.said
    assert "interrupted, 9 were asked for" in (tmp_path / "index.html").read_text()


def test_interrupted_before_the_first_network_it_leaves_the_report_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "errors.csv.gz").write_text("old")
    nothing = job.Run([], Coverage(), [], "a worker process died")
    monkeypatch.setattr(job, "run", lambda *a: nothing)
    result = call("run", "--out", tmp_path)
    assert result.exit_code == 1 and "the report is as it was" in result.said
    assert [p.name for p in tmp_path.iterdir()] == ["errors.csv.gz"]
    assert (tmp_path / "errors.csv.gz").read_text() == "old"


def test_interrupted_elsewhere_it_says_so(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(commands, "draw_networks", interrupt)
    result = call("list")
    assert (result.exit_code == 130
            and "interrupted; the files written so far are whole" in result.said)


ANNOUNCED = """
from crosscheck import cli
from crosscheck.studies.networks import run
real = run.run
run.run = lambda *a: real(*a[:5], lambda network: print("checked", flush=True), *a[6:])
cli.main()
"""


def test_ctrl_c_reaches_all_processes_and_one_line_comes_of_it(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ANNOUNCED, "run", "--quick", "--out", tmp_path],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as process:
        try:
            assert process.stdout.readline() == "checked\n"
            os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
            out, err = process.communicate(timeout=50)
        finally:
            process.kill()
    assert process.returncode == 130
    assert re.fullmatch(rf"interrupted: \d+ of {PROFILES['quick'].networks} networks are checked, "
                        r"and in " r"the report\n", err)
    assert "Traceback" not in out
    assert ((tmp_path / "index.html").exists()
            and not [p for p in tmp_path.iterdir() if p.name.startswith(".")])


# Pipes


def test_piped_output_is_plain(tmp_path):
    done = subprocess.run([sys.executable, "-m", "crosscheck", "run",
                           "--networks", "2", "--quick", "--workers", "1",
                           "--out", tmp_path], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[-1] == str(tmp_path / "index.html")
    assert any(re.match(r"refgrad +float64 +reverse over reverse +\d+", line) for line in lines)
