"""How the files of a report are written, whole or not at all, and how its tables are read."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pandas as pd


class ReportError(Exception):
    """A file of the report is missing, broken or of another kind; says which and what to do."""


@contextmanager
def replacing(path):
    """A temporary path beside `path` that takes its place when the block ends well: readers see the old or the new."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_table(frame, path):
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.4g", lineterminator="\n")


def read_table(folder, table, command):
    """The frame of a `Table`; ReportError if it is missing, half-written or something else.

    folder   where the table is
    command  the name of the command that makes it
    """
    path = Path(folder) / table.name
    how = f"python -m crosscheck {command} --out {folder}"
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
    except FileNotFoundError:
        raise ReportError(f"{path} is missing; make it with: {how}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise ReportError(f"{path} cannot be read ({error}); make it again with: {how}") from error
    if absent := [c for c in table.columns if c not in frame.columns]:
        raise ReportError(f"{path} lacks the columns {', '.join(absent)}; make it again with: {how}")
    if broken := [c for c in sorted(table.numbers)
                  if len(frame) and not pd.api.types.is_numeric_dtype(frame[c])]:
        raise ReportError(f"{path} has text in the columns of numbers {', '.join(broken)}; make it again with: {how}")
    return frame


def write_json(data, path):
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(data, indent=1) + "\n")
