"""The page: the verdict in a few sentences, what can be acted on, then the other sections of all
studies.

The page is made from the files beside it, so each study can be made again alone.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from .manifest import Manifest
from .tables import ReportError, read_table, replacing

HERE = Path(__file__).parent
TEMPLATE = HERE / "page.html"


def write_page(folder, studies):
    """(Re)write ``index.html`` in `folder` from the studies' tables and plots that are there.

    What run.json notes and is missing, what cannot be read and what is not as noted is named, with
    how to make it, and left out.  What was never part of a run is no part of the page.
    """
    folder = Path(folder)
    manifest = Manifest(folder)
    missing, sections, verdict, good = [], [], [], True
    for study in studies:
        shown = [table for table in study.tables if table.shown]
        frames = [_read(manifest, study, table, missing) for table in shown]
        if not any(table.needed and frame is None for table, frame in zip(shown, frames)):
            sections += study.body.sections(folder, *frames)
        for name in _others(manifest, study):
            _named(missing, manifest.compare, study.name, name, _how(study, folder))
        if study.heads and any(frame is not None for frame in frames):
            sentences, fine = study.body.verdict(*frames)
            verdict, good = [*verdict, *sentences], good and fine
    if not verdict:
        verdict, good = ["Nothing has been checked yet."], False
    missing += [manifest.trouble] if manifest.trouble else manifest.other_versions()
    sections.sort(key=lambda section: not section["finding"])
    text = render(TEMPLATE, verdict=verdict, good=good and not manifest.trouble, missing=missing,
                  sections=sections, what=manifest.lines(), versions=manifest.versions)
    with replacing(folder / "index.html") as temporary:
        # Paths may hold any byte.
        Path(temporary).write_text(text, encoding="utf-8", errors="surrogateescape")


def render(template, **values):
    """The text of a template, a path, with all that it asks for.

    It may include style.css and search.js, which all pages share.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined,
                                     loader=jinja2.FileSystemLoader(HERE))
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def _how(study, folder):
    return f"python -m crosscheck {study.command.name} --out {folder}"


def _read(manifest, study, table, missing):
    """The frame of a table, or None; if it is one that was made, `missing` then says how to make it
    again."""
    if not (table.name in manifest.files(study.name) or (manifest.folder / table.name).exists()):
        return None

    def read():
        manifest.compare(study.name, table.name, _how(study, manifest.folder))
        return read_table(manifest.folder, table, study.command.name)
    return _named(missing, read)


def _others(manifest, study):
    """The names of a study's files beside the tables that the page shows."""
    shown = {table.name for table in study.tables if table.shown}
    return [name for name in manifest.files(study.name) if name not in shown]


def _named(missing, do, *arguments):
    """``do(*arguments)``; None for a ReportError, which `missing` then names."""
    try:
        return do(*arguments)
    except ReportError as error:
        missing.append(str(error))
