"""Where a package that crosscheck needs is not installed, a line says how to install it."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from crosscheck.entry import MissingPackage, packages

ROOT = Path(__file__).resolve().parent.parent.parent

#: Run first: the packages are as good as not installed.
WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
"""

COMMAND = "sys.argv = ['crosscheck', *{arguments!r}]; from crosscheck.entry import main; main()"
MODULE = ("sys.argv = ['crosscheck']; import runpy; "
          "runpy.run_module('crosscheck', run_name='__main__')")
CHECK = """
import crosscheck, numpy
try:
    crosscheck.check(numpy.sin, numpy.ones(3))
except ImportError as error:
    sys.exit(f"error: {error}")
"""

EXTRA = [re.match(r"[\w-]+", r).group().lower() for r in tomllib.loads(
    (ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["crosscheck"]]

#: The packages of the extra, by the names that they are imported by.
ALL = sorted(name for name, owners in packages_distributions().items()
             if {owner.lower() for owner in owners} & set(EXTRA) and name.isidentifier())


def run(names, program):
    return subprocess.run([sys.executable, "-c", WITHOUT.format(names=names) + program],
                          capture_output=True, text=True, cwd=ROOT)


def one_line(done, names):
    lines = done.stderr.splitlines()
    found = re.fullmatch(r"error: crosscheck needs (\w+), which is not installed: " r'pip install '
                         r'"refgrad\[crosscheck\]"', lines[0]) if len(lines) == 1 else None
    return found is not None and found.group(1) in names


def test_the_extra_has_packages():
    assert {"flint", "torch", "typer"} <= set(ALL) and len(ALL) >= len(EXTRA)


@pytest.mark.parametrize("program", [MODULE, COMMAND.format(arguments=["run", "--quick"])])
def test_the_command_line_says_what_is_missing(program):
    done = run(ALL, program)
    assert one_line(done, ALL) and done.returncode == 2, done.stderr


def test_check_says_what_is_missing():
    done = run(ALL, CHECK)
    assert one_line(done, ALL), done.stderr


@pytest.mark.parametrize("name", ALL)
def test_each_package_alone(name):
    """Either nothing asks for it, or the line says that it is missing."""
    for program in (CHECK, COMMAND.format(arguments=["list"])):
        done = run((name,), program)
        assert done.stderr == "" and done.returncode == 0 or one_line(done, (name,)), done.stderr


def test_without_them_the_package_can_be_imported():
    """pytest does so for the plugin, wherever refgrad is installed."""
    done = run(ALL, "import crosscheck, crosscheck.pytest_plugin, refgrad")
    assert done.returncode == 0, done.stderr


def test_files_of_the_users_do_not_take_the_place_of_pythons(tmp_path):
    """`python -m` looks into the current folder first."""
    for name in ("contextlib", "json", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user was imported')")
    done = subprocess.run([sys.executable, "-m", "crosscheck", "--help"], capture_output=True,
                          text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and "check" in done.stdout, done.stderr


def test_a_mistake_of_our_own_is_no_missing_package():
    with pytest.raises(ModuleNotFoundError, match="crosscheck.nowhere"), packages():
        import crosscheck.nowhere  # noqa: F401
    with pytest.raises(MissingPackage, match="needs no_such_package,"), packages():
        import no_such_package.inside  # noqa: F401
