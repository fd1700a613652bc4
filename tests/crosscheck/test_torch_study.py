"""The study of torch's operations: what is wrong is listed with a program that shows it, and a
killed run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from crosscheck import cli
from crosscheck.modes import Mode
from crosscheck.studies.checkers import opinfo
from crosscheck.studies.torch_on_trial import FINDINGS, OPERATIONS, examine, report, samples
from crosscheck.studies.torch_on_trial.program import printed
from crosscheck.studies.torch_on_trial.smallest import smallest
from crosscheck.subjects.libraries.torch_library import tf32
from crosscheck.verdict import NO_ANSWER, NOT_FINITE, WRONG
from tests.crosscheck.scenarios import function

pytest.importorskip(opinfo.NEEDS)

ROOT = Path(cli.__file__).parents[1]
SECOND_FORWARD = {"reverse over forward", "forward over forward"}


def outcome_of(folder, *names, **options):
    given = {"names": names, "few": False, "samples": 1, "seed": 0, "out": folder, "workers": 1,
             "device": "cpu", "resume": False} | options
    return report.run(SimpleNamespace(**given), lambda *_: nullcontext(lambda *_: None))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of a wrong operation and of a right one."""
    folder = tmp_path_factory.mktemp("torch")
    found = outcome_of(folder, "linalg.slogdet", "sin")
    assert not found.stopped and not found.notes and not list(folder.iterdir())
    return found.tables


def test_what_is_wrong_is_told_by_mode(tables):
    operations, findings = tables
    assert (tuple(operations.columns) == OPERATIONS.columns
            and tuple(findings.columns) == FINDINGS.columns)
    assert (set(findings["operation"]) == {"linalg.slogdet"}
            and set(findings["mode"]) == SECOND_FORWARD)
    assert findings["issue"].notna().all()
    standing = report.standing(operations)
    assert standing["linalg.slogdet"] == WRONG and standing["sin"] not in (WRONG, NOT_FINITE)
    assert set(operations["how"]) == {"balls"} and set(Mode) <= set(operations["mode"])


def test_the_program_prints_what_it_says(tables):
    for row in tables[1].itertuples():
        comments = dict(line[2:].split(": ", 1) for line in row.program.splitlines()
                        if line.startswith("# "))
        run = subprocess.run([sys.executable, "-c", row.program], capture_output=True, text=True,
                             timeout=100)
        said, torch_s, exact = (np.asarray(json.loads(text)) for text in (
            run.stdout, comments["torch"], comments["exact"]))
        np.testing.assert_array_equal(said, torch_s)
        off = np.abs(said - exact)
        assert np.max(off) > 0.1 and len(row.program.splitlines()) <= 12
        at = np.argmax(off)
        assert (row.torch, row.exact) == pytest.approx((said.flat[at], exact.flat[at]), rel=1e-3)


def test_the_page_groups_operations_by_what_was_found(tables, tmp_path):
    sentence, good = report.verdict(*tables)
    assert good and "its 2 operations" in sentence[0]
    assert "0 by reverse, 0 by forward" in sentence[0]
    assert "1 by reverse over forward, 1 by forward over forward" in sentence[0]
    first, second = report.sections(tmp_path, *tables)
    titles = [t["title"] for t in first["tables"]]
    assert any(t.startswith("Wrong: 1 operations") for t in titles)
    assert (second["finding"]
            and [p for _, p in second["programs"]] == tables[1]["program"].to_list())
    assert any(t.startswith("linalg.slogdet, reverse over forward, float64: ")
               for t, _ in second["programs"])
    assert report.verdict(None, None) == ([], True)


#: x^3 with a backward that is wrong.
PLANTED = function(lambda x: x ** 3, lambda g, x: 2 * g * x ** 2)


class Op:
    name, variant_test_name = "planted", ""

    def __init__(self, function, *inputs):
        self.function, self.inputs = function, inputs

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    @staticmethod
    def gradcheck_wrapper(op, *args, **kwargs):
        return op(*args, **kwargs)

    def supports_dtype(self, dtype, device):
        return dtype in (torch.float64, torch.float32)

    def sample_inputs(self, device, dtype, requires_grad):
        for x, options in self.inputs:
            yield SimpleNamespace(
                input=torch.tensor(x, dtype=dtype, device=device).requires_grad_(), args=(),
                kwargs=options, output_process_fn_grad=lambda y: y)


X = [[0.5, -1.25, 2.0], [0.75, 3.5, -0.25]]


def planted(monkeypatch, function, *inputs):
    op = Op(function, *(inputs or [(X, {})]))
    monkeypatch.setattr(examine, "entries", lambda: {"planted": op})
    monkeypatch.setattr(report, "entries", lambda: {"planted": op})
    return op


def test_a_planted_fault_is_listed(monkeypatch, tmp_path):
    planted(monkeypatch, PLANTED.apply)
    operations, findings = outcome_of(tmp_path, "planted").tables
    assert "reverse" in set(findings["mode"])
    row = findings[findings["mode"] == "reverse"].iloc[0]
    assert row["torch"] / row["exact"] == pytest.approx(2 / 3, rel=1e-3)
    assert report.standing(operations) == {"planted": WRONG}


def test_a_right_function_has_no_finding(monkeypatch, tmp_path):
    planted(monkeypatch, lambda x: x ** 3)
    operations, findings = outcome_of(tmp_path, "planted").tables
    assert not len(findings) and report.standing(operations)["planted"] not in (WRONG, NOT_FINITE)


def test_what_fails_to_be_looked_at_is_a_row(monkeypatch):
    monkeypatch.setattr(examine, "entries", lambda: {})
    row, = examine.rows_of(examine.Task("gone", 1, 0, "cpu"))
    assert (row["operation"], row["verdict"]) == ("gone", NO_ANSWER) and "KeyError" in row["note"]


def test_an_unknown_operation_is_refused(tmp_path):
    found = outcome_of(tmp_path, "linalg.dett")
    assert found.failed and "linalg.dett" in found.notes[0] and not found.tables


def test_samples_differ_in_their_options_and_are_small(monkeypatch):
    def power(x, n=1):
        return x ** n
    long = np.linspace(0.5, 2.0, 400).reshape(20, 20).tolist()
    op = planted(monkeypatch, power, (X, {"n": 2}), (X, {"n": 2}), (X, {"n": 3}), (long, {}))
    found = samples.chosen(op, 5)
    assert [dict(call.named).get("n") for call, _ in found] == [2, 3, None]
    assert [samples.numbers(tensors) for _, tensors in found] == [6, 6, 9]


def test_the_options_of_a_wrong_derivative_are_met():
    """batch_norm is wrong where it takes its statistics from the batch."""
    found = samples.chosen(opinfo.entries()["nn.functional.batch_norm"], 3)
    assert any(dict(call.named).get("training") for call, _ in found)


def test_shrinking_keeps_the_fault_and_rounds_the_numbers(monkeypatch):
    (call, tensors), = samples.chosen(planted(monkeypatch, PLANTED.apply), 1)
    found = smallest(call, tensors, Mode.REVERSE, ("float64", "float32"), "float64")
    x = found.tensors[0].detach().numpy()
    assert x.size == 1 and x == np.round(x) and found.gives == pytest.approx(found.exact * 2 / 3)
    (call, tensors), = samples.chosen(planted(monkeypatch, lambda x: x ** 3), 1)
    assert smallest(call, tensors, Mode.REVERSE, ("float64", "float32"), "float64") is None


def test_a_program_that_fails_prints_nothing():
    assert printed("print([1.0, nan])") is None and printed("raise ValueError") is None
    np.testing.assert_array_equal(printed("print([1.0, float('nan')])"), [1.0, np.nan])


def test_a_gpu_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = outcome_of(tmp_path, "sin", device="cuda")
    assert not found.tables and "GPU" in found.notes[0]


def test_products_are_rounded_to_tf32_where_that_is_asked_for():
    plain, rounded = examine.SETTINGS["cuda"]
    before = torch.backends.cuda.matmul.allow_tf32
    for setting in (plain, rounded, plain):
        with tf32(setting.tf32):
            assert torch.backends.cuda.matmul.allow_tf32 == setting.tf32
            assert torch.backends.cudnn.allow_tf32 == setting.tf32
    assert torch.backends.cuda.matmul.allow_tf32 == before


# A run that is killed

#: The study with rows that take no time.
FAKE = """
import os, sys, time
from crosscheck.studies.torch_on_trial import examine, report
def rows_of(task):
    time.sleep(float(os.environ.get("SLOW", 0)))
    size = len(task.name)
    wrong = size % 3 == 0
    yield examine._row(
        operation=task.name, mode="reverse", dtype="float64",
        verdict="wrong" if wrong else "exact to rounding", failed=int(wrong), points=size,
        samples=task.samples, digits=size / 7, ulps=size / 3, how="balls", point="as given",
        note="zwei\\nZeilen, \\"ja\\"",
        **({"torch": 1 / size, "program": "x\\n"} if wrong else {}))
report.rows_of = lambda task: list(rows_of(task))
"""
NAMES = ("sin", "cos", "tanh", "exp", "linalg.det", "linalg.solve", "matmul", "softmax")
RUN = "import fake; from crosscheck import cli; cli.main()"


def start(folder, out, *options, **environment):
    (folder / "fake.py").write_text(FAKE, encoding="utf-8")
    path = os.pathsep.join(map(str, (ROOT, folder, *sys.path)))
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "torch", *NAMES, "--workers", "1", "--out", str(folder / out),
         *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": path, **environment})


def finish(*arguments, **options):
    with start(*arguments, **options) as process:
        said = process.communicate(timeout=200)[0]
    return process.returncode, said


def written(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.csv*")}


def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path):
    code, said = finish(tmp_path, "whole")
    whole = written(tmp_path / "whole")
    assert code == 0 and set(whole) == {t.name for t in (OPERATIONS, FINDINGS)}, said
    assert not (tmp_path / "whole" / report.PARTS).exists()

    with start(tmp_path, "killed", SLOW="0.5") as process:
        until = time.monotonic() + 100
        parts = tmp_path / "killed" / report.PARTS
        while len(list(parts.rglob("part-*"))) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    half = {p: p.stat().st_mtime_ns for p in parts.rglob("part-*")}
    assert 3 <= len(half) < len(NAMES) and not written(tmp_path / "killed")

    code, said = finish(tmp_path, "killed", "--resume", "--seed", "1")
    assert (code == 2 and "its seed is 0, not 1" in said
            and {p: p.stat().st_mtime_ns for p in half} == half)
    code, said = finish(tmp_path, "killed", "--resume")
    assert code == 0 and written(tmp_path / "killed") == whole, said
    frame = pd.read_csv(tmp_path / "killed" / OPERATIONS.name)
    assert len(frame) >= len(NAMES) and (frame["note"] == 'zwei\nZeilen, "ja"').all()


def test_a_worker_that_lost_its_gpu_ends(monkeypatch):
    def failed():
        raise RuntimeError("CUDA error: device-side assert triggered")
    monkeypatch.setattr(torch.cuda, "synchronize", failed)
    monkeypatch.setattr(examine, "_rows", lambda task: [])
    monkeypatch.setattr(examine, "parent_process", lambda: None)
    task = examine.Task("sin", 1, 0, "cuda")
    assert examine.rows_of(task) == []  # no worker: the process is the user's

    def ended(code):
        raise SystemExit(code)
    monkeypatch.setattr(examine.os, "_exit", ended)
    monkeypatch.setattr(examine, "parent_process", lambda: "the leading process")
    with pytest.raises(SystemExit):
        examine.rows_of(task)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert examine.rows_of(task) == []
