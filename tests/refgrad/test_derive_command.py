"""``python -m refgrad derive``: what it prints, and what it says to a wrong expression."""

import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest

import refgrad as rg
from refgrad.derive.__main__ import EXAMPLES, main
from refgrad.derive.expression import FUNCTIONS, parse


def out(capsys, *arguments):
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_it_prints_the_derivation_and_at_its_end_the_gradient(capsys):
    shown = out(capsys, "x' @ A @ x", "--wrt", "x", "--shape", "A=symmetric")
    assert "A: n x n, symmetric" in shown and "Differentials" in shown and "dL/dx = 2 A x" in shown
    assert "\x1b" not in shown
    assert shown == out(capsys, "x.T @ A @ x", "--wrt", "x", "--shape", "A=symmetric",
                        "--steps", "--text")


def test_without_steps_it_prints_the_formulas_alone(capsys):
    assert out(capsys, "tr(A' @ X)", "--wrt", "X", "--no-steps") == "dL/dX = A\n"
    # With respect to all arrays.
    assert out(capsys, "x @ y", "--no-steps") == "dL/dx = y\ndL/dy = x\n"
    assert out(capsys, "x @ y", "--wrt", "y", "--wrt", "x", "--wrt", "y", "--no-steps") == out(
        capsys, "x @ y", "--wrt", "y", "--wrt", "x", "--no-steps")
    assert out(capsys, "-y@x", "--wrt", "x", "--no-steps") == "dL/dx = -y\n"
    assert out(capsys, "f @ wrt", "--no-steps") == "dL/df = wrt\ndL/dwrt = f\n"  # any name will do


def test_an_array_has_its_vjp_and_its_differential(capsys):
    assert out(capsys, "A @ x", "--wrt", "x", "--no-steps") == "dy = A dx\nG_x = A' g\n"
    shown = out(capsys, "A @ x", "--wrt", "x")
    assert "dy = A dx" in shown and "G_x = A' g" in shown


def test_parts_that_have_names_are_told(capsys):
    shown = out(capsys, "sum(cross_entropy(tanh(tanh(X @ W + b) @ V + c) @ U, Y))", "--wrt", "W",
                "--no-steps")
    first, *parts = shown.splitlines()
    assert (first.startswith("dL/dW = 1/m X' ") and len(parts) > 1
            and all(part.startswith("  with ") for part in parts))


def test_numpy_source_computes_the_gradient(capsys):
    text = "sum(log(1 + exp(-y * (X @ w))))"
    space = {}
    exec(out(capsys, text, "--wrt", "w", "--numpy"), space)
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal(4), rng.standard_normal((4, 3)), rng.standard_normal(3)
    np.testing.assert_allclose(space["gradient"](*arrays), rg.grad(parse(text), 2)(*arrays),
                               rtol=1e-12)


@pytest.mark.parametrize("text, subscripts", [("tr(A @ kron(X, I))", "jkik->ij"),
                                              ("tr(A @ kron(I, X))", "kjki->ij")])
def test_a_size_that_stands_in_a_product_alone_follows_from_it(capsys, text, subscripts):
    space = {}
    exec(out(capsys, text, "--wrt", "X", "--numpy"), space)
    A, X = np.random.default_rng(0).standard_normal((12, 12)), np.ones((3, 3))
    blocks = A.reshape((3, 4, 3, 4) if subscripts[0] == "j" else (4, 3, 4, 3))
    np.testing.assert_allclose(space["gradient"](A, X), np.einsum(subscripts, blocks))


def test_latex(capsys):
    assert out(capsys, "logdet(X)", "--latex", "--no-steps").endswith(" = X^{-\\top}\n")
    shown = out(capsys, "logdet(X)", "--latex")
    assert "\\begin{aligned}" in shown and "X^{-\\top}" in shown


def test_the_hessian(capsys):
    shown = out(capsys, "x' @ A @ x", "--wrt", "x", "--hessian", "--no-steps").splitlines()
    assert (shown[0].startswith("dL/dx = ")
            and shown[1:] == ["second derivative with respect to x: A + A'"])


def test_verification_depends_on_the_seed_alone(capsys):
    command = "norm(X @ w - y)**2", "--wrt", "w", "--no-steps", "--verify", "--seed"
    first = out(capsys, *command, "1")
    assert first == out(capsys, *command, "1") != out(capsys, *command, "2")
    assert "differences" in first.splitlines()[-1]


@pytest.mark.parametrize("terminal, environment, coloured", [
    (True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False),
    (True, {"NO_COLOR": ""}, True)])
def test_colours_are_for_terminals(capsys, monkeypatch, terminal, environment, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    shown = out(capsys, "x' @ A @ x", "--wrt", "x")
    assert ("\x1b[" in shown) == coloured
    if coloured:
        lines = shown.splitlines()
        (bold,) = (line for line in lines if line.startswith("\x1b[1m"))
        assert bold.startswith("\x1b[1m     dL/dx = ") and bold.endswith("x\x1b[0m")
        assert any(line.startswith("\x1b[2m2. Differentials") for line in lines)
        assert any(line.startswith("\x1b[2m   because ") for line in lines)
        plain = shown.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
        assert plain == out(capsys, "x' @ A @ x", "--wrt", "x")


@pytest.mark.parametrize("arguments, says", [
    (["tr(A @ foo(B))"], "there is no function foo"), (["tr(A"], "never closed"), ([" "], "empty"),
    (["tr(A @ B)", "--shape", "A=2,3", "--shape", "B=4,2"], "equal: 3 and 4"),
    (["tr(A)", "--shape", "A=2,-3"], "--shape: expected"),
    (["tr(A)", "--shape", "B=2,3"], "given for B"),
    (["tr(A)", "--wrt", "B"], "--wrt B: there is no such array"),
    (["A @ x", "--hessian"], "--hessian: the expression is an array"),
    (["logdet(x)"], "x is taken for a vector")])
def test_a_mistake_is_shown_with_a_caret(capsys, arguments, says):
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert says in message and "^" in message.split("\n")[2] and "Traceback" not in message


def test_what_is_constant_has_the_gradient_zero(capsys):
    assert main(["sum(sign(X))", "--no-steps"]) == 0
    assert "dL/dX = 0" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [
    [], ["tr(A)", "--numpy", "--latex"], ["tr(A)", "--seed", "-1"], ["tr(A)", "--nonsense"]])
def test_a_wrong_command_is_refused(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage:" in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and "examples:" in shown and set(FUNCTIONS) <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("module", [["refgrad.derive"], ["refgrad", "derive"]])
def test_the_module_runs(module):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", *module, *arguments], capture_output=True,
                              text=True, cwd=pathlib.Path(rg.__file__).parent.parent)

    done = run("tr(A' @ X)", "--wrt", "X", "--no-steps")
    assert (done.returncode, done.stdout, done.stderr) == (0, "dL/dX = A\n", "")
    done = run("A + foo(X)")
    assert ((done.returncode, done.stdout) == (2, "")
            and done.stderr.endswith("A + foo(X)\n        ^\n"))


def test_every_example_of_the_help_runs(capsys):
    examples = [line.split("refgrad derive ")[1] for line in EXAMPLES.splitlines()
                if "-m refgrad derive" in line]
    assert len(examples) > 4
    for example in examples:
        assert out(capsys, *shlex.split(example))
