"""A study is one record: one made here shows up everywhere, and nothing general knows one by
name."""

import ast
import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

import crosscheck
from crosscheck import cli
from crosscheck.report.page import write_page
from crosscheck.report.sections import images, section, table
from crosscheck.report.style import plot, plt
from crosscheck.studies.catalogue import STUDIES
from crosscheck.studies.options import OUT, SEED, option
from crosscheck.studies.study import Command, Outcome, Study, Table

ROOT = Path(crosscheck.__file__).parent

# A study of its own: its table, how it runs, its plot, its section, its command

HEIGHTS = Table("heights.csv", ("tree", "metres"), ("metres",))
LEAST = option("least", float, 1.5, help="The smallest.")
COMMAND = Command("trees", "Measure trees.", (SEED, OUT, LEAST))


@plot()
def plot_heights(frame):
    figure, ax = plt.subplots()
    ax.bar(frame["tree"], frame["metres"])
    return figure


def run(options, watch):
    rows = []
    try:
        with watch("measuring trees", 2) as tick:
            for n, tree in enumerate(("ash", "oak")):
                rows.append((tree, options.least + n + options.seed))
                tick()
        stopped = ""
    except KeyboardInterrupt:
        stopped = "interrupted"
    frame = pd.DataFrame(rows, columns=HEIGHTS.columns)
    return Outcome(len(rows), f"{len(rows)} of 2 trees are measured", [frame],
                   {"heights.png": partial(plot_heights, frame)}, f"{len(rows)} trees",
                   "Trees are high", ["an oak may be higher"], stopped, "2 were to be measured",
                   failed=options.least < 0)


def sections(folder, heights):
    return [section("Trees", ["As they stand."], images(folder, "heights.png"), [table(heights)])]


TREES = Study("trees", COMMAND, (HEIGHTS,), __name__)
ALL = (*STUDIES, TREES)


def call(*arguments, studies=ALL):
    return CliRunner().invoke(cli.application(studies), list(map(str, arguments)),
                              env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})


def test_its_command_has_its_help_and_its_options():
    assert re.search(r"\btrees\b +Measure trees\.", call("--help").output)
    said = call("trees", "--help").output
    assert re.search(r"--least +<?(?i:float)>? +The smallest\.[\s│]+\[default: 1\.5\]", said)
    assert "--seed" in said and "--quick" not in said and call("trees", "--quick").exit_code == 2


def test_it_writes_its_table_its_plot_its_line_of_run_json_and_its_section(tmp_path):
    result = call("trees", "--out", tmp_path, "--least", 2, "--seed", 1)
    assert result.exit_code == 0
    assert "Trees are high" in result.output and "an oak may be higher" in result.output
    assert {p.name for p in tmp_path.iterdir()} == {
        "heights.csv", "heights.png", "run.json", "index.html"}
    assert (tmp_path / "heights.csv").read_text() == "tree,metres\nash,3\noak,4\n"
    assert json.loads((tmp_path / "run.json").read_text())["parts"] == {"trees": "2 trees"}
    html = (tmp_path / "index.html").read_text()
    for part in (">Trees</h2>", "<li>2 trees<br>", '<a href="heights.csv">heights.csv</a>',
                 'src="heights.png"', "oak"):
        assert part in html


@pytest.mark.parametrize("content", [None, "tree\noak\n", "tree,metres\noak,high\n"])
def test_its_table_is_asked_for_by_its_command(content, tmp_path):
    if content:
        (tmp_path / "heights.csv").write_text(content)
    else:
        call("trees", "--out", tmp_path)
        (tmp_path / "heights.csv").unlink()
    write_page(tmp_path, ALL)
    html = (tmp_path / "index.html").read_text()
    how = f"python -m crosscheck trees --out {tmp_path}"
    assert re.search(rf"{tmp_path}/heights\.csv .*{how}", html)
    assert ">Trees</h2>" not in html


def test_interrupted_it_writes_what_is_finished_and_ends(tmp_path, monkeypatch):
    steps = iter([None, KeyboardInterrupt])

    def advance(self, task):
        if step := next(steps):
            raise step
    monkeypatch.setattr("rich.progress.Progress.advance", advance)
    result = call("trees", "--out", tmp_path)
    assert result.exit_code == 130
    said = "interrupted: 2 of 2 trees are measured, and in the report"
    assert said in " ".join(result.output.split())
    html = (tmp_path / "index.html").read_text()
    assert "<li>2 trees; interrupted, 2 were to be measured<br>" in html


def test_what_failed_is_told_by_the_exit_status_once_the_page_is_there(tmp_path):
    assert call("trees", "--out", tmp_path, "--least", -1).exit_code == 1
    assert (tmp_path / "index.html").exists()


def test_it_is_run_without_a_command_if_it_says_so_and_a_command_runs_all_that_name_it(tmp_path):
    class Shrubs(Study):
        body = SimpleNamespace(run=lambda options, watch: Outcome(1, about=f"by {options.least}"),
                               sections=lambda folder: [])
    other = Shrubs("shrubs", COMMAND, (), "", default=True)
    assert call("--out", tmp_path, studies=(TREES, other)).exit_code == 0
    assert json.loads((tmp_path / "run.json").read_text())["parts"] == {"shrubs": "by 1.5"}
    assert call("trees", "--out", tmp_path, studies=(other, TREES)).exit_code == 0
    assert list(json.loads((tmp_path / "run.json").read_text())["parts"]) == ["shrubs", "trees"]


# Every record


def test_names_of_studies_and_of_files_are_their_own():
    assert len({s.name for s in STUDIES}) == len(STUDIES)
    files = [t.name for s in STUDIES for t in s.tables]
    assert len(set(files)) == len(files)
    for t in (t for s in STUDIES for t in s.tables):
        assert set(t.numbers) <= set(t.columns) and len(set(t.columns)) == len(t.columns)


# Who knows whom


def sources():
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(module, path, known):
    """(module of the harness, name or "") for all that a module imports, at once or later."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            base = ".".join([*parts[:len(parts) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                if whole in known or base in known:
                    yield (whole, "") if whole in known else (base, alias.name)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in known)


KNOWN = sources()


def test_no_file_of_the_report_the_runner_or_the_command_line_names_a_study():
    """Neither by an import, nor by the name of a study or of a table in the code; what is said is
    free."""
    names = {s.name for s in STUDIES} | {t.name for s in STUDIES for t in s.tables}
    rooms = ("runner", "catalogue", "options", "study")
    allowed = {"crosscheck.studies", *(f"crosscheck.studies.{room}" for room in rooms)}
    general = [m for m in KNOWN if m.startswith("crosscheck.report")]
    for module in (*general, "crosscheck.studies.runner", "crosscheck.cli"):
        taken = {m for m, _ in imports(module, KNOWN[module], KNOWN)}
        studies = {m for m in taken if m.startswith("crosscheck.studies")}
        assert studies <= (set() if module in general else allowed), module
        for node in ast.walk(ast.parse(KNOWN[module].read_text())):
            text = {ast.Name: "id", ast.Attribute: "attr", ast.Constant: "value"}.get(type(node))
            assert text is None or getattr(node, text) not in names, f"{module}: {ast.dump(node)}"


def test_no_imports_go_around_in_circles():
    """Those made later, within functions, count as well."""
    graph = {module: {m for m, _ in imports(module, path, KNOWN)} - {module}
             for module, path in KNOWN.items()}

    def walk(module, trail):
        assert module not in trail, " -> ".join((*trail[trail.index(module):], module))
        if module not in done:
            for other in graph.get(module, ()):
                walk(other, (*trail, module))
            done.add(module)
    done = set()
    for module in graph:
        walk(module, ())


def test_no_private_name_is_imported_from_another_file():
    private = {(module, name) for module, path in KNOWN.items()
               for _, name in imports(module, path, KNOWN) if name.startswith("_")}
    assert not private
