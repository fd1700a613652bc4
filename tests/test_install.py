"""`pip install .` brings NumPy alone, and refgrad works with it."""

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import numpy as np, refgrad as rg
from refgrad import nn
f = lambda w: nn.mse_loss(nn.tanh(nn.linear(np.ones((2, 3)), w)), np.zeros((2, 4)))
w = np.full((4, 3), 0.1)
print(rg.grad(f)(w).shape, rg.hvp(f, (w,), (w,))[0].shape)
"""


def test_a_fresh_environment_gets_numpy_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    others = shutil.ignore_patterns(".git", ".venv", "reports", "*.egg-info",
                                    "__pycache__", "build")
    shutil.copytree(ROOT, source, ignore=others)
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    def run(*command):
        done = subprocess.run([python, *command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = {p["name"].lower() for p in json.loads(run("-m", "pip", "list", "--format=json"))}
    run("-m", "pip", "install", "--quiet", str(source))
    after = {p["name"].lower() for p in json.loads(run("-m", "pip", "list", "--format=json"))}
    assert after - before == {"refgrad", "numpy"}
    assert run("-c", PROGRAM).strip() == "(4, 3) (4, 3)"
