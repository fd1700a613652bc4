"""The page: made from the files beside it, in need of nothing else, and true."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from crosscheck.modes import Mode
from crosscheck.networks import network_of_id
from crosscheck.report import page
from crosscheck.report.tables import write_table
from crosscheck.studies import runner
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.networks import NETWORKS
from crosscheck.studies.networks.frames import coverage_table, errors_table, findings_table
from crosscheck.studies.networks.report import WAYS, outcome, verdict
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
    assert not re.search(r"https?:|//cdn|<script |<link|@import|url\(|data:", html)
    sources = re.findall(r'src="([^"]*)"', html)
    assert (set(sources) == {"errors.png", "digits.png", "coverage.png"}
            <= {p.name for p in folder.iterdir()})
    assert "{{" not in html and "{%" not in html


def test_it_says_what_was_run_and_found(folder, result):
    html = text(folder)
    assert "3 random networks of seed 0" in html
    for title in ("Verdicts", "Wrong derivatives, by layer", "Are the rules right?",
                  "How accurate is floating point?", "Coverage"):
        assert re.search(rf'<h2 id="([^"]*)">{re.escape(title)}</h2>', html)
    assert re.search(r"<code>quick-0-\d</code>", html)
    assert "numpy 2" in html and "python-flint" in html


def test_the_contents_lead_to_every_section_and_findings_come_first(folder):
    html = text(folder)
    sections = re.findall(r'<h2 id="([^"]*)">', html)
    assert (re.findall(r'<li><a href="#([^"]*)">', html) == sections
            and len(set(sections)) == len(sections))
    assert (html.index('class="verdict') < html.index("<nav>")
            < html.index('id="Wrong-derivatives-by-layer"'))
    assert (sections.index("Networks-in-which-torch-is-wrong") < sections.index("Verdicts")
            and sections[-1] == "run")


def test_what_was_no_part_of_the_run_is_not_called_missing(folder):
    assert 'class="missing"' not in text(folder)


def test_what_was_made_and_is_missing_says_how_to_make_it_again(folder):
    (folder / "findings.csv").unlink()
    assert (f"{folder / 'findings.csv'} is missing; make it with: python -m crosscheck run --out "
            f"{folder}" in text(folder))


def test_programs_are_whole(folder, result):
    """What is pasted from the page is what the table has."""
    programs = pd.read_csv(folder / "torch_findings.csv")["program"]
    shown = re.findall(r"<summary>[^<]*</summary><pre>([^<]*)</pre>", text(folder))
    assert len(programs) and [unescape(p) for p in shown] == programs.to_list()


@pytest.mark.parametrize("name", ["errors.csv.gz", "findings.csv", "coverage.csv", "run.json"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b'{"what": 3}', b"a,b\n1,2\n"])
def test_a_part_that_is_broken_says_so_and_the_rest_stays(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    html = text(folder)
    assert re.search(rf'class="missing">{re.escape(str(folder / name))} .*python -m crosscheck',
                     html)
    assert ">Verdicts</h2>" in html or name == "errors.csv.gz"


def test_an_empty_folder_has_a_page_that_says_what_to_do(tmp_path):
    html = text(tmp_path)
    assert "Nothing has been checked yet." in html and 'class="verdict bad"' in html
    assert html.count('class="missing"') == 1 and f"{tmp_path / 'run.json'} is missing" in html


def test_without_plots_there_are_no_images(folder):
    for plot in folder.glob("*.png"):
        plot.unlink()
    assert "<img" not in text(folder)


def test_text_is_escaped(folder):
    evil = '<script>alert("&")</script>'
    frame = errors(row(verdict="wrong", differentiator="torch", note=evil, parameter="<b>"))
    write_table(frame, folder / "errors.csv.gz")
    write_table(findings_table(frame, [network_of_id("full-0-0")]), folder / "findings.csv")
    (folder / "run.json").write_text(json.dumps({"what": [evil], "versions": evil}))
    html = text(folder)
    assert "<script>alert" not in html and "<b>" not in html.replace("<p><b>", "")
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


# The verdict

TORCH = dict(differentiator="torch")
PROVED = "Every rule is proved: it agrees with differences in ball arithmetic {}."
FIFTY = PROVED.format("to at least 50 digits")
SENTENCES = {
    "all right": ([row(), row(**TORCH)], True, [
        FIFTY, "refgrad: none wrong of 1 derivatives.", "torch: none wrong of 1 derivatives."]),
    "torch wrong": (
        [row(), row(**TORCH), row(verdict="wrong", **TORCH), row(mode="forward", **TORCH),
         row(mode="reverse over forward", verdict="not finite", **TORCH),
         row(mode="forward over forward", **TORCH)],
        True, [FIFTY, "refgrad: none wrong of 1 derivatives.",
               "torch, reverse mode: wrong in 1 of 2 derivatives, through l2_penalty.",
               "torch, forward mode: none wrong of 1 derivatives.",
               "torch, second order through forward mode: wrong in 1 of 2 derivatives, "
               "through l2_penalty."]),
    "refgrad wrong": ([row(verdict="wrong"), row(**TORCH)], False, [
        FIFTY, "refgrad, reverse mode: wrong in 1 of 1 derivatives, through l2_penalty.",
        "torch: none wrong of 1 derivatives."]),
    "a rule wrong in digit 21": ([row(digits=20.7), row()], False, [
        "The rules are not proved: they agree with differences in ball arithmetic to at least 20 "
        "digits; 40 are required.", "refgrad: none wrong of 2 derivatives."]),
    "a rule that agrees in no digit": ([row(digits=-float("inf"))], False, [
        "The rules are not proved: they agree with differences in ball arithmetic to at least 0 "
        "digits; 40 are required.", "refgrad: none wrong of 1 derivatives."]),
    "exactly": ([row(digits=float("inf"))], True, [
        PROVED.format("exactly"), "refgrad: none wrong of 1 derivatives."]),
    "others": ([row(), row(verdict="no answer", **TORCH), row(verdict="kink"),
                row(verdict="undecided")], True, [
                    FIFTY, "refgrad: none wrong of 2 derivatives; 1 kink; not judged: 1 undecided.",
                    "torch: none wrong of 0 derivatives; not judged: 1 without an answer."]),
    "refgrad silent": ([row(verdict="no answer")], False, [
        FIFTY, "refgrad: none wrong of 0 derivatives; not judged: 1 without an answer."]),
    "nothing compared": ([row(digits=float("nan"), verdict="undecided")], False, [
        "No rule could be compared with differences.",
        "refgrad: none wrong of 0 derivatives; not judged: 1 undecided."]),
    "no rows": ([], False, ["No network has been checked."]),
}


@pytest.mark.parametrize("rows, good, said", SENTENCES.values(), ids=SENTENCES)
def test_the_sentences(rows, good, said):
    errors = errors_table(rows)
    found = findings_table(errors, [network_of_id("full-0-0")])
    assert verdict(errors, found, None) == (said, good)
    # The layers are left out where nobody tells them.
    assert len(verdict(errors, None, None)[0]) == len(said)


def test_every_mode_is_among_the_ways():
    assert sorted(mode for modes in WAYS.values() for mode in modes) == sorted(Mode)


def test_unmet_pairs_are_said(result):
    said, _ = verdict(errors_table(result.rows), None, coverage_table(result.coverage))
    assert re.fullmatch(r"\d+ layers or pairs of families were not met\.", said[-1])
