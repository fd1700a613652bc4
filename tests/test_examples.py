"""The examples run, with NumPy and refgrad alone, and print what they promise."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refgrad

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
SAYS = {"backpropagation_through_time": ["along a random direction: reverse",
                                         "on new sequences: squared error 0.00"]}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name):
    done = subprocess.run([sys.executable, "-c", ALONE, EXAMPLES / f"{name}.py"],
                          capture_output=True, text=True,
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


def test_the_gpu_example_says_what_it_needs_and_by_hand_it_is_right(tmp_path):
    done = subprocess.run([sys.executable, EXAMPLES / "mlp_on_a_gpu.py",
                           "--out", tmp_path / "table.csv"],
                          capture_output=True, text=True, cwd=ROOT, env=os.environ | {
                              "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 1 and "needs CuPy, torch, JAX and a GPU" in done.stderr
    example = runpy.run_path(EXAMPLES / "mlp_on_a_gpu.py")
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(s) for s in ((5, 3), (4, 5), (2, 4))]
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    value, gradients = example["by_hand"](np, weights, x, y)
    same, right = refgrad.value_and_grad(example["loss"])(weights, x, y)
    assert np.isclose(value, same)
    for g, r in zip(gradients, right, strict=True):
        np.testing.assert_allclose(g, r, rtol=1e-12)


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SAYS, "dask_data_parallel",
                                                             "mlp_on_a_gpu"}
