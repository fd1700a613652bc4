"""The examples run, with NumPy and refgrad alone, and print what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
ALONE = """
import runpy, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "refgrad"):
            raise ImportError(f"the example imports {name}")
sys.meta_path.insert(0, Watch())
runpy.run_path(sys.argv[1], run_name="__main__")
"""
SAYS = {"backpropagation_through_time": ["along a random direction: reverse", "on new sequences: squared error 0.00"]}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name):
    done = subprocess.run([sys.executable, "-c", ALONE, EXAMPLES / f"{name}.py"], capture_output=True, text=True,
                          cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert all(line in done.stdout for line in SAYS[name]), done.stdout


def test_the_data_parallel_example_runs_in_small():
    pytest.importorskip("distributed")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "dask_data_parallel.py", "--megabytes", "20", "--limit", "512"],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    for line in ("logistic regression: gradient in", "two-layer network: gradient in",
                 "peak memory of a worker", "times NumPy's time"):
        assert line in done.stdout, done.stdout


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SAYS, "dask_data_parallel"}
