"""The README is short, has the two commands, and its programs print what it says.

That its figures and tables are those of the reports is tested with the other pages, in test_docs.
"""

from .documents import ROOT, blocks, compared, printed, programs

README = (ROOT / "README.md").read_text()


def test_the_programs_print_what_is_shown(tmp_path):
    found = programs(README)
    assert found and all(p.mark for p in found)
    for program, out in zip(found, printed([p.source for p in found], tmp_path), strict=True):
        assert compared(program.mark, out) == compared(program.mark, program.shown)


def test_the_two_commands_are_there():
    commands = [text.strip() for mark, text in blocks(README) if not mark]
    assert commands == ["pip install -e '.[crosscheck]' && python -m crosscheck",
                        "pip install -e '.[test]' && pytest"]


def test_it_is_short():
    assert len(README.splitlines()) <= 150
    for program in programs(README):
        assert len([line for line in program.source.splitlines() if line.strip()]) <= 20
