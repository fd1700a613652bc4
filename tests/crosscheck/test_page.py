"""The page: made from the files beside it, whole by itself, and true."""

import json
import re
import shutil
from pathlib import Path

import pytest

from crosscheck.networks import network_of_id
from crosscheck.report import page
from crosscheck.report.tables import write_table
from crosscheck.studies import runner
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.networks import NETWORKS
from crosscheck.studies.networks.frames import coverage_table, errors_table, findings_table
from crosscheck.studies.networks.report import outcome, verdict
from crosscheck.studies.networks.run import run

from .test_tables import errors, row


@pytest.fixture(scope="module")
def result():
    return run(0, 3, "quick", workers=1)


@pytest.fixture(scope="module")
def written(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runner.write(NETWORKS, outcome(result, 3, "3 random networks of seed 0"), STUDIES, folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


def text(folder):
    page.write_page(folder, STUDIES)
    return (folder / "index.html").read_text()


def test_it_needs_nothing_but_itself(folder):
    html = text(folder)
    assert not re.search(r"https?:|//cdn|<script|<link|@import|url\(", html)
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 3 and all(s.startswith("data:image/png;base64,iVBOR") for s in sources)
    assert "{{" not in html and "{%" not in html


def test_it_says_what_was_run_and_found(folder, result):
    html = text(folder)
    assert "3 random networks of seed 0" in html
    for title in ("Verdicts", "What went wrong", "Are the rules right?", "How accurate is floating point?", "Coverage"):
        assert f"<h2>{title}</h2>" in html
    assert re.search(r"<code>quick-0-\d</code>", html)
    assert "numpy 2" in html and "python-flint" in html


def test_a_part_that_is_missing_says_how_to_make_it(folder):
    html = text(folder)
    for name, command in (("scaling.csv", "scaling"), ("training.csv", "training")):
        assert f"{folder / name} is missing; make it with: python -m crosscheck {command} --out {folder}" in html


@pytest.mark.parametrize("name", ["errors.csv", "findings.csv", "coverage.csv", "run.json"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b'{"what": 3}', b"a,b\n1,2\n"])
def test_a_part_that_is_broken_says_so_and_the_rest_stays(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    html = text(folder)
    assert re.search(rf'class="missing">{re.escape(str(folder / name))} .*python -m crosscheck', html)
    assert "<h2>Verdicts</h2>" in html or name == "errors.csv"


def test_an_empty_folder_has_a_page_that_says_what_to_do(tmp_path):
    html = text(tmp_path)
    assert "The networks have not been checked yet." in html and 'class="verdict bad"' in html
    shown = sum(table.shown for study in STUDIES for table in study.tables)
    assert html.count('class="missing"') == shown + 1  # and run.json


def test_without_plots_there_are_no_images(folder):
    for plot in folder.glob("*.png"):
        plot.unlink()
    assert "<img" not in text(folder)


def test_text_is_escaped(folder):
    evil = '<script>alert("&")</script>'
    frame = errors(row(verdict="wrong", differentiator="torch", note=evil, parameter="<b>"))
    write_table(frame, folder / "errors.csv")
    write_table(findings_table(frame, [network_of_id("full-0-0")]), folder / "findings.csv")
    (folder / "run.json").write_text(json.dumps({"what": [evil], "versions": evil}))
    html = text(folder)
    assert "<script>" not in html and "<b>" not in html.replace("<p><b>", "")
    assert "&lt;script&gt;" in html


def test_a_failing_page_leaves_the_old_one(folder, monkeypatch, tmp_path):
    before = text(folder)
    broken = tmp_path.parent / "broken.html"
    broken.write_text("{{ nothing_of_this_name }}")
    monkeypatch.setattr(page, "TEMPLATE", broken)
    with pytest.raises(Exception, match="nothing_of_this_name"):
        page.write_page(folder, STUDIES)
    assert (folder / "index.html").read_text() == before
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_the_same_files_make_the_same_page(folder):
    assert text(folder) == text(folder)


# The verdict in one sentence

TORCH = dict(differentiator="torch")
NONE_WRONG = "Refgrad gives no wrong answer in {} derivatives; "
NO_TORCH_WRONG = "torch gives no wrong answer in 1 derivatives; "
AGREES = "every rule agrees with differences in ball arithmetic to at least {} digits"
SENTENCES = {
    "all right": ([row(), row(**TORCH)], True, NONE_WRONG.format(1) + NO_TORCH_WRONG + AGREES.format(50) + "."),
    "torch wrong": ([row(), row(**TORCH), row(verdict="wrong", **TORCH)], True,
                    NONE_WRONG.format(1) + "torch is wrong in 1 of 2 derivatives; " + AGREES.format(50) + "."),
    "refgrad wrong": ([row(verdict="wrong"), row(**TORCH)], False,
                      "Refgrad is wrong in 1 of 1 derivatives; " + NO_TORCH_WRONG + AGREES.format(50) + "."),
    "a rule wrong in digit 21": ([row(digits=20.7), row()], False, NONE_WRONG.format(2) + AGREES.format(20) + "."),
    "others": ([row(), row(verdict="no answer", **TORCH), row(verdict="kink"), row(verdict="undecided")], True,
               NONE_WRONG.format(3) + NO_TORCH_WRONG + AGREES.format(50) + " (1 kink, 1 no answer, 1 undecided)."),
    "refgrad silent": ([row(verdict="no answer")], False, NONE_WRONG.format(1) + AGREES.format(50) + " (1 no answer)."),
    "nothing compared": ([row(digits=float("nan"), verdict="undecided")], False,
                         NONE_WRONG.format(1) + "no rule could be compared with differences (1 undecided)."),
    "no rows": ([], False, "No network has been checked."),
}


@pytest.mark.parametrize("rows, good, sentence", SENTENCES.values(), ids=SENTENCES)
def test_the_sentence(rows, good, sentence):
    assert verdict(errors_table(rows), None) == (sentence, good)


def test_unmet_pairs_are_said(result):
    found, _ = verdict(errors_table(result.rows), coverage_table(result.coverage))
    assert re.search(r" \d+ layers or pairs of families were not met\.$", found)
