"""Runs studies: each with a bar that tells how far it is, its files noted in run.json; then the page.

Of an interrupted study what is finished is written, and then the command ends.
"""

from __future__ import annotations

import json
import platform
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from types import SimpleNamespace

import typer
from rich.markup import escape

from ..report.terminal import bar, complain, console
from .study import machine


def run(chosen, studies, **options):
    """Run the chosen of the studies, and write the page of all.

    options  values of the command's options, `out` among them; what a study's own command has beside
             them takes its default
    """
    out = options["out"]
    prepare(out)
    failed = False
    for study in chosen:
        defaults = {p.name: p.default for p in study.command.options}
        outcome = study.body.run(SimpleNamespace(**defaults | options), watch)
        write(study, outcome, studies, out)
        if outcome.stopped:
            complain(f"{outcome.stopped}: {outcome.how_far}" +
                     (", and in the report" if outcome.finished else "; the report is as it was"))
            if outcome.finished:
                page(out, studies)
            raise typer.Exit(130 if outcome.stopped == "interrupted" else 1)
        failed = failed or outcome.failed
    page(out, studies)
    if failed:
        raise typer.Exit(1)


def prepare(out):
    """Make the folder, and find out now, not after minutes of work, that it cannot be written into."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        complain(f"error: cannot write into {out}: {error.strerror}; choose another folder with --out")
        raise typer.Exit(2) from None


@contextmanager
def watch(doing, count):
    """A progress bar of `count` steps; gives the function that goes one further."""
    with bar() as progress:
        task = progress.add_task(doing, total=count)
        yield lambda *_, **__: progress.advance(task)


def write(study, outcome, studies, out):
    """Write the files of an `Outcome`, note in run.json what they are of, and say what was found."""
    from ..report.tables import replacing, write_table
    if outcome.finished:
        for table, frame in zip(study.tables, outcome.tables, strict=True):
            if frame is not None:
                write_table(frame() if callable(frame) else frame, out / table.name)
        for name, make in outcome.files.items():
            with replacing(out / name) as path:
                make(path=path)
        note(study, outcome, studies, out)
        if outcome.said:
            console.print(outcome.said() if callable(outcome.said) else outcome.said, markup=False)
    for line in outcome.notes:
        complain(line)


def note(study, outcome, studies, out):
    """Note in run.json what was done, in the order of the studies."""
    from ..report.tables import write_json
    try:
        parts = dict(json.loads((out / "run.json").read_text())["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        parts = {}
    why = ", ".join(filter(None, [outcome.stopped, outcome.asked])) if outcome.stopped else ""
    parts[study.name] = "; ".join(filter(None, [outcome.about, why]))
    ordered = {s.name: parts[s.name] for s in studies if s.name in parts}
    packages = {p: version(p) for p in ("refgrad", "numpy", "torch", "python-flint", "pandas", "matplotlib")}
    versions = [f"Python {platform.python_version()}", *map(" ".join, packages.items()), machine()]
    write_json({"parts": ordered, "what": list(ordered.values()), "versions": ", ".join(versions)},
               out / "run.json")


def page(out, studies):
    """index.html, from the files in the folder."""
    from ..report.page import write_page
    write_page(out, studies)
    console.print(f"[bold]{escape(str(out / 'index.html'))}[/bold]", soft_wrap=True)
