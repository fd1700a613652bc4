"""Pages of words and programs: reads a page's fenced blocks, and runs its programs as a reader
would.

In README.md and docs/ a block ```` ```python ```` is a program.  What it prints stands in the next
block, if that is marked ``output`` (compared letter by letter) or ``report`` (compared word by word
without its numbers, since rounding noise, which differs between machines, decides their last
digits).  The programs of a page run in order in one namespace, like the cells of a notebook.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

#: Marks of blocks that show what a program prints.
SHOWN = ("output", "report")

FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Program(NamedTuple):
    """A program of a page, and what it prints: the mark of that block and its text, or two empty
    strings."""

    source: str
    mark: str
    shown: str


def blocks(text):
    """The fenced blocks of a page: pairs of mark and text."""
    return FENCE.findall(text)


def programs(text):
    """The `Program`s of a page, in its order."""
    found = [*blocks(text), ("", "")]
    return [Program(source, *(after if after[0] in SHOWN else ("", "")))
            for (mark, source), after in zip(found, found[1:]) if mark == "python"]


def printed(sources, folder):
    """What each of the programs prints, run in one fresh interpreter whose working directory is
    `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents"], input=json.dumps(sources), text=True,
        capture_output=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compared(mark, text):
    """The part of what is printed that must be the same on every machine."""
    return re.sub(r"[-±\d.e]+", "#", " ".join(text.split())) if mark == "report" else text.rstrip()


def _run(sources):
    """The programs' outputs; their sources are registered as a notebook does, so that `inspect`
    finds them."""
    outputs, namespace = [], {"__name__": "__main__"}
    for number, source in enumerate(sources):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(source, name, "exec"), namespace)
        outputs.append(out.getvalue())
    return outputs


if __name__ == "__main__":
    print(json.dumps(_run(json.load(sys.stdin))))
