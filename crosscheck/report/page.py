"""The page: what was run, the verdict in one sentence, and the sections of all studies.

The page is made from the files beside it, so each study can be made again alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import jinja2

from .tables import ReportError, read_table, replacing

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(folder, studies):
    """(Re)write ``index.html`` in `folder` from the studies' tables and plots that are there.

    A missing table says how to make it.
    """
    folder = Path(folder)
    missing, sections, verdict, good = [], [], "", True
    for study in studies:
        shown = [table for table in study.tables if table.shown]
        frames = [_read(folder, table, study.command.name, missing) for table in shown]
        if not any(table.needed and frame is None for table, frame in zip(shown, frames)):
            sections += study.body.sections(folder, *frames)
        if study.heads:
            verdict, good = study.body.verdict(*frames)
    about = _about(folder, missing)
    text = render(TEMPLATE, verdict=verdict, good=good, missing=missing, sections=sections, **about)
    with replacing(folder / "index.html") as temporary:
        Path(temporary).write_text(text)


def render(template, **values):
    """The text of a template, a path, with all that it asks for."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    return environment.from_string(template.read_text()).render(**values)


def _read(folder, table, command, missing):
    """The frame of a table, or None, and then `missing` says how to make it."""
    try:
        return read_table(folder, table, command)
    except ReportError as error:
        missing.append(str(error))


def _about(folder, missing):
    path = folder / "run.json"
    how = f"make it with: python -m crosscheck --out {folder}"
    try:
        about = json.loads(path.read_text())
        return {"what": list(about["what"]), "versions": str(about["versions"])}
    except FileNotFoundError:
        missing.append(f"{path} is missing; {how}")
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError, TypeError) as error:
        missing.append(f"{path} cannot be read ({error!r}); {how}")
    return {"what": [], "versions": ""}
