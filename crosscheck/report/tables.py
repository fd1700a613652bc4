"""How the files of a report are written, whole or not at all, and how its tables are read."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from .errors import ReportError as ReportError


@contextmanager
def replacing(path):
    """A temporary path that takes the place of `path` when the block ends well: readers see the old
    or the new.

    A file keeps its permissions, and a symbolic link its place: what it names is replaced.  Into
    what is no file (a device, a FIFO) the text is copied.  Raises ReportError for a file that
    cannot be written.
    """
    temporary = None
    try:
        target, folder = _place(Path(path))
        temporary = _temporary(target, folder)
        yield str(temporary)
        if folder == target.parent:
            _take_over(temporary, target)
            os.replace(temporary, target)
        else:
            with open(temporary, "rb") as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def writable(path):
    """Raise ReportError now, not after minutes of work, if a file cannot be written."""
    try:
        target, folder = _place(Path(path))
        _temporary(target, folder).unlink()
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror or error}") from error


def remove_leftovers(folder):
    """Remove the temporary files of processes of this machine that were killed."""
    leftover = re.compile(rf"\..+-{re.escape(_host())}-(\d+)-[0-9a-f]{{8}}\.tmp(\..*)?")
    for path in Path(folder).iterdir():
        if (found := leftover.fullmatch(path.name)) and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


#: Where a path leads to what this process or another has open.
OPENED = ("/dev/std", "/dev/fd/", "/proc/")


def _place(path):
    """(what is to be written, the folder for its temporary file: beside it, if it can be
    replaced)."""
    there = path.exists()
    if there and path.is_dir():
        raise IsADirectoryError(None, "it is a folder")
    if there and not os.access(path, os.W_OK):
        raise PermissionError(None, "it may not be written")
    if os.path.abspath(path).startswith(OPENED) or there and not path.is_file():
        return path, Path(tempfile.gettempdir())
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    return target, target.parent


def _temporary(target, folder):
    """A new empty file, whose permissions are those of any new file; its name tells which process
    it belongs to."""
    name = f".{target.stem}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp{target.suffix}"
    os.close(os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return folder / name


def _take_over(temporary, target):
    """Give a file the owner, as far as that is allowed, and the permissions of the one that it
    replaces."""
    with suppress(FileNotFoundError):
        old = target.stat()
        with suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)
        os.chmod(temporary, stat.S_IMODE(old.st_mode))


def _host():
    return re.sub(r"\W", "", socket.gethostname())


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def digest(path):
    """A digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_table(frame, path):
    with replacing(path) as temporary:
        save_table(frame, temporary)


def save_table(frame, path):
    """Write a table to a path, compressed if it ends in .gz, without care for what is there.

    The same table gives the same bytes: a compressed one has neither a time nor a name within.
    """
    text = frame.to_csv(index=False, float_format="%.4g", lineterminator="\n").encode("utf-8")
    Path(path).write_bytes(gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def read_table(folder, table, command):
    """The frame of a `Table`; ReportError if it is missing, half-written or something else.

    folder   where the table is
    command  the name of the command that makes it
    """
    path = Path(folder) / table.name
    how = f"python -m crosscheck {command} --out {folder}"
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"], encoding="utf-8")
    except FileNotFoundError:
        raise ReportError(f"{path} is missing; make it with: {how}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError,
            OSError, EOFError, zlib.error) as error:
        raise ReportError(f"{path} cannot be read ({error}); make it again with: {how}") from error
    if absent := [c for c in table.columns if c not in frame.columns]:
        raise ReportError(f"{path} lacks the columns {', '.join(absent)}; make it again with: "
                          f"{how}")
    if broken := [c for c in sorted(table.numbers)
                  if len(frame) and not pd.api.types.is_numeric_dtype(frame[c])]:
        raise ReportError(f"{path} has text in the columns of numbers {', '.join(broken)}; "
                          f"make it again with: {how}")
    return frame


def save_json(data, path):
    """Write JSON to a path, without care for what is there."""
    Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
