"""The README's tour prints what the README says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from refgrad import nn
from refgrad.primitive import TABLE, Primitive

ROOT = Path(__file__).resolve().parent.parent


#: The lines around the table of layers.
LAYERS = re.compile(r"(?<=<!-- layers -->\n).*?(?=\n<!-- end of layers -->)", re.DOTALL)


def layers():
    """The table of layers and losses, read from the op table: a row for each file of refgrad.nn."""
    primitives = {rule.name for rule in TABLE.values() if isinstance(rule, Primitive)}
    files = {}
    for name, function in vars(nn).items():
        if callable(function):
            files.setdefault(function.__module__, []).append(
                f"**{name}**" if name in primitives else name)
    lines = ["| place | layers and losses; those that are primitives are bold |", "|---|---|"]
    for module, names in sorted(files.items()):
        row = ", ".join(sorted(names, key=lambda n: n.strip("*")))
        lines.append(f"| `refgrad/nn/{module.rsplit('.', 1)[-1]}.py` | {row} |")
    return "\n".join(lines)


def blocks():
    return re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("inside, first", [
    ("rg.jacobian(", "True"), ("like=x", "[2.79"), ("rg.jit(", "def program(")])
def test_a_program_prints_what_is_shown(inside, first, tmp_path):
    """The tour, the assignments, the program that jit writes; found by what is in them, and how their output begins."""
    program = next(text for language, text in blocks() if language == "python" and inside in text)
    shown = next(text for language, text in blocks() if text.startswith(first))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip() == shown.rstrip()


def test_the_checker_says_what_is_shown(tmp_path):
    """To the last word; of the digits those that noise decides are left out."""
    program = next(text for language, text in blocks() if "print(check(" in text)
    shown = next(text for language, text in blocks() if text.startswith("Gelu("))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert words(done.stdout) == words(shown)


def test_the_derivation_is_what_is_shown(tmp_path):
    command = next(text for _, text in blocks() if text.startswith("python -m refgrad.derive"))
    shown = next(text for _, text in blocks() if text.startswith("f(X: m x n"))
    done = subprocess.run([sys.executable, *shlex.split(command)[1:]], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert words(done.stdout) == words(shown)


def words(text):
    return re.sub(r"[-±\d.e]+", "#", " ".join(text.split()))


def test_the_tour_is_short():
    program = next(text for language, text in blocks() if language == "python")
    assert len([line for line in program.splitlines() if line.strip()]) <= 20


def test_places_exist():
    places = re.findall(r"^\| (`.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    names = [name for place in places for name in re.findall(r"`(.*?)`", place)]
    assert names
    for name in names:
        assert any((place / name).exists() for place in (ROOT, ROOT / "refgrad", ROOT / "crosscheck")), name


def test_the_table_of_layers_is_that_of_the_op_table():
    """`python -m tests.test_readme` writes it."""
    assert LAYERS.search((ROOT / "README.md").read_text()).group() == layers()


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(LAYERS.sub(lambda _: layers(), readme.read_text()))
