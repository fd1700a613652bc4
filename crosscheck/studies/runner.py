"""Runs studies: each with a bar that tells how far it is, its files noted in run.json; then the
page.

Of an interrupted study what is finished is written, and then the command ends.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import typer
from rich.markup import escape

from ..report.terminal import bar, complain, console
from .study import machine


def run(chosen, studies, asked=True, **options):
    """Run the chosen of the studies, and write the page of all.

    asked    whether a command was given; else studies are run with what they take `unasked`
    options  values of the command's options, `out` among them; other options of a study's own
             command take their defaults
    """
    out = options["out"]
    options["workers"] = options.pop("cluster", None) or options.get("workers")
    prepare(out)
    failed = False
    for study in chosen:
        defaults = {p.name: p.default for p in study.command.options}
        outcome = study.body.run(
            SimpleNamespace(**defaults | ({} if asked else study.unasked) | options), watch)
        write(study, outcome, studies, out, options.get("seed"))
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
    """Make the folder, and find out now, not after minutes of work, that it cannot be written
    into."""
    from ..report.tables import ReportError, remove_leftovers, writable
    try:
        out.mkdir(parents=True, exist_ok=True)
        writable(out / "index.html")
        remove_leftovers(out)
    except (OSError, ReportError) as error:
        reason = getattr(error, "strerror", None) or error
        complain(f"error: cannot write into {out}: {reason}; choose another folder with --out")
        raise typer.Exit(2) from None


@contextmanager
def watch(doing, count):
    """A progress bar of `count` steps; gives the function that goes one further."""
    with bar() as progress:
        task = progress.add_task(doing, total=count)
        yield lambda *_, **__: progress.advance(task)


def write(study, outcome, studies, out, seed=None):
    """Write the files of an `Outcome`, note in run.json what they are of, and say what was found.

    All files are made before the first takes its place: if one cannot be, the old ones are as they
    were.
    """
    from ..report.tables import replacing, save_table
    if outcome.finished:
        with ExitStack() as places:
            files = {}
            for table, frame in zip(study.tables, outcome.tables, strict=True):
                if frame is not None:
                    frame = frame() if callable(frame) else frame
                    path = places.enter_context(replacing(out / table.name))
                    save_table(frame, path)
                    files[table.name] = len(frame), path
            for name, make in outcome.files.items():
                path = places.enter_context(replacing(out / name))
                make(path=path)
                files[name] = None, path
            note(study, outcome, studies, out, seed, files)
        if outcome.said:
            console.print(outcome.said() if callable(outcome.said) else outcome.said, markup=False)
    for line in outcome.notes:
        complain(line)


def note(study, outcome, studies, out, seed=None, files=()):
    """Note in run.json what was done, in the order of the studies."""
    from ..report.manifest import NAME, Manifest
    from ..report.tables import replacing
    why = ", ".join(filter(None, [outcome.stopped, outcome.asked])) if outcome.stopped else ""
    manifest = Manifest(out)
    manifest.note(study.name, "; ".join(filter(None, [outcome.about, why])), seed, dict(files))
    with replacing(out / NAME) as path:
        manifest.write([s.name for s in studies], machine(), path)


def page(out, studies):
    """index.html, from the files in the folder."""
    from ..report.page import write_page
    write_page(out, studies)
    console.print(f"[bold]{escape(str(out / 'index.html'))}[/bold]", soft_wrap=True)
