"""refgrad stands on NumPy and the standard library alone."""

import ast
import pathlib
import subprocess
import sys

import refgrad

ROOT = pathlib.Path(refgrad.__file__).parent

PROGRAM = """
import sys
import numpy
allowed = set(sys.modules)

class Watch:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "refgrad"):
            raise ImportError(f"refgrad imports {name}")

sys.meta_path.insert(0, Watch())
import refgrad as rg
np = numpy
w = np.arange(6.0).reshape(2, 3) / 7
rg.hessian(lambda w: np.sum(np.tanh(w @ w.T) ** 2) + np.linalg.det(w @ w.T + np.eye(2)))(w)
rg.grad(rg.checkpoint(lambda w: np.einsum("ij,ij", w, rg.erf(w))))(w)
new = {name.partition(".")[0] for name in set(sys.modules) - allowed}
print(sorted(new - set(sys.stdlib_module_names) - {"numpy", "refgrad"}))
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          cwd=ROOT.parent)


def test_nothing_else_is_imported():
    done = run(PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_watch_sees_another_import():
    done = run(PROGRAM.replace("np = numpy", "np = numpy\nimport hypothesis"))
    assert done.returncode != 0 and "refgrad imports hypothesis" in done.stderr


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def test_no_file_names_another_package():
    """Also imports inside functions, which no run may reach."""
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        other = set(imported(path)) - set(sys.stdlib_module_names) - {"numpy"}
        assert not other, f"{path.relative_to(ROOT)} imports {sorted(other)}"


def test_functions_lists_the_table():
    listed = refgrad.functions()
    assert listed == sorted(listed) and len(listed) == len(refgrad.primitive.TABLE)
    kinds = dict(listed)
    assert len(kinds) == len(listed), "two functions have one name"
    assert (kinds["np.sin"] == "smooth" and kinds["np.linalg.inv"] == "smooth"
            and kinds["np.absolute"] == "kinked")
    assert (kinds["np.matmul"] == "multilinear" and kinds["np.floor"] == "constant"
            and kinds["np.sum"] == "linear")
