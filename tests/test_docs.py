"""The pages of docs/ print what they say, and what is generated is what the op table and the
reports say today."""

import re

import pytest

from docs import generate

from .documents import FENCE, ROOT, compared, printed, programs

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
RUN = [page for page in PAGES if programs((DOCS / page).read_text())]


@pytest.mark.parametrize("page", RUN)
def test_a_page_prints_what_it_shows(page, tmp_path):
    text = (DOCS / page).read_text()
    for name in re.findall(r"<!-- needs (\w+) -->", text):
        pytest.importorskip(name)
    found = programs(text)
    for program, out in zip(found, printed([p.source for p in found], tmp_path), strict=True):
        assert compared(program.mark, out) == compared(program.mark, program.shown)


@pytest.mark.parametrize("path", generate.written())
def test_what_is_generated_is_up_to_date(path):
    """Where it is not: ``python -m docs.generate``."""
    assert (ROOT / path).read_text() == generate.written()[path]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_prints_what_it_shows(path, tmp_path, monkeypatch):
    """Run by Jupyter.  That the numbers are right, too, is tested with the page of the notebook."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shown, run = nbformat.read(path, 4), nbformat.read(path, 4)
    nbclient.NotebookClient(run, resources={"metadata": {"path": str(tmp_path)}}).execute()

    def outputs(book):
        return [compared("report", "".join(out.text for out in cell.outputs))
                for cell in book.cells if cell.cell_type == "code"]
    assert outputs(run) == outputs(shown)


def test_places_of_the_architecture_exist():
    places = re.findall(r"^\| (`.*?) \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    names = [name for place in places for name in re.findall(r"`([\w/]+(?:\.py|/))`", place)]
    assert names
    for name in names:
        folders = ROOT, ROOT / "refgrad", ROOT / "crosscheck"
        assert any((folder / name).exists() for folder in folders), name


def test_every_page_is_in_a_table_of_contents():
    index = (DOCS / "index.md").read_text()
    listed = re.findall(r"^([\w/]+)$", index, re.MULTILINE)
    assert sorted(f"{page}.md" for page in listed) == sorted({*PAGES} - {"index.md"})


def test_links_between_pages_lead_somewhere():
    for path in [ROOT / "README.md", *(DOCS / page for page in PAGES)]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", FENCE.sub("", path.read_text())):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    from sphinx.cmd.build import main
    assert main(["-q", "-W", "-n", str(DOCS), str(tmp_path)]) == 0
    fetched = re.compile(r"<(?:script|link|img)[^>]*?(?:src|href)=\"(https?://[^\"]*)")
    pages = tmp_path.rglob("*.html")
    hosts = {host for page in pages for host in fetched.findall(page.read_text())}
    assert not hosts, f"the pages fetch from other hosts: {hosts}"
