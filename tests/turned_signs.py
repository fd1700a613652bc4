"""Turn the sign of one rule at a time, run the test suite, and see it fail.

    python tests/turned_signs.py            ten rules, a table, exit status 0 if the suite noticed
                                            every one

It is also the pytest plugin that plants the fault:  pytest -p tests.turned_signs --turn "np.tanh
vjp 0"
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What is turned: the rule's name, vjp or jvp, the argument.  One of each family and kind.
RULES = ["np.multiply vjp 1", "np.tanh jvp 0", "np.power vjp 0", "np.max vjp 0", "np.cumprod jvp 0",
         "np.concatenate vjp 0", "matmul vjp 0", "np.linalg.inv vjp 0", "linear vjp 1",
         "layer_norm jvp 0"]


def turn(fault):
    from tests.rules import negative, rule_named
    name, which, argument = fault.rsplit(" ", 2)
    rule = rule_named(name)
    setattr(rule, which, negative(getattr(rule, which), int(argument)))


def pytest_addoption(parser):
    parser.addoption("--turn", help="the rule whose sign is turned: 'np.tanh vjp 0'")


def pytest_configure(config):
    if config.getoption("--turn"):
        turn(config.getoption("--turn"))


def suite_fails(fault):
    """(whether the suite fails with the fault, its last line, seconds)."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-p", "tests.turned_signs",
               "--turn", fault, "-n", "0", "-x",
               "--no-header", "-p", "no:cacheprovider", "tests/crosscheck/test_proofs.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (done.returncode == 1, (lines or done.stdout.splitlines()[-1:] or [""])[0],
            time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", default=RULES,
                        help="what to turn, for example 'np.sin vjp 0'")
    chosen = parser.parse_args().rules
    missed = 0
    sys.path.insert(0, str(ROOT))
    for fault in chosen:  # what cannot be turned is an error, not a sign that nobody notices
        try:
            turn(fault)
        except (LookupError, ValueError, AttributeError) as error:
            parser.error(f"{fault!r} is no derivative rule: {error}")
    for fault in chosen:
        noticed, where, seconds = suite_fails(fault)
        missed += not noticed
        print(f"{fault:24} {'noticed' if noticed else 'NOT NOTICED':12} {seconds:5.1f} s  "
              f"{where[:90]}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} turned signs are noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
