"""run.json: what was run, and which files came of it: the page can tell whether those in the folder
are they."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

from .tables import ReportError, digest, save_json

NAME = "run.json"
PACKAGES = ("numpy", "torch", "python-flint", "pandas", "matplotlib")


def versions():
    """What the numbers depend on, in words."""
    import refgrad  # not above: help and errors shall come at once
    others = ", ".join(f"{p} {version(p)}" for p in PACKAGES)
    return f"Python {platform.python_version()}, refgrad {refgrad.__version__}, {others}"


class Manifest:
    """What run.json says; empty where it is missing or cannot be read, and `trouble` tells which.

    parts    name of a study -> what was done, in words
    records  name of a study -> its seed, the versions that it ran with, and name of each of its
             files -> rows (of a table) and digest
    """

    def __init__(self, folder):
        self.folder, self.trouble = Path(folder), ""
        self.parts, self.records, self.what, self.versions = {}, {}, [], ""
        path = self.folder / NAME
        how = f"make it with: python -m crosscheck --out {self.folder}"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self.what, self.versions = list(data["what"]), str(data["versions"])
            self.parts = dict(data.get("parts", {}))
            self.records = dict(data.get("records", {}))
        except FileNotFoundError:
            self.trouble = f"{path} is missing; {how}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.trouble = f"{path} cannot be read ({error!r}); {how}"
        if not (self.trouble or self.records):
            self.trouble = (f"{path} notes no tables, so that nobody knows whether those here are "
                            f"its own; {how}")

    def note(self, name, about, seed, files):
        """Note a study: what was done, and its files, name -> (rows or None, the path where it is
        now)."""
        noted = {file: {"rows": rows, "digest": digest(path)} if rows is not None
                 else {"digest": digest(path)}
                 for file, (rows, path) in files.items()}
        self.parts[name], self.versions = about, versions()
        self.records[name] = {"seed": seed, "versions": self.versions, "files": noted}

    def write(self, names, machine, path):
        """Write it to a temporary path, the studies in the order of these names."""
        parts, records = ({n: d[n] for n in names if n in d} for d in (self.parts, self.records))
        save_json({"parts": parts, "what": list(parts.values()),
                   "versions": f"{self.versions}, {machine}", "records": records}, path)

    def files(self, study):
        """What is noted of the files of a study: name -> its rows and digest."""
        return self.records.get(study, {}).get("files", {})

    def lines(self):
        """What was run: a line for each study, and the names of its files that are there."""
        files = {line: self.files(name) for name, line in self.parts.items()}
        return [(line, [name for name in files.get(line, ()) if (self.folder / name).exists()])
                for line in self.what]

    def compare(self, study, name, how):
        """Raise ReportError for a file that is there and is not the one that its study's record
        notes."""
        path = self.folder / name
        if self.trouble or not path.is_file():
            return
        noted = self.files(study).get(name)
        if noted is None:
            raise ReportError(f"{path} is not among the files that {NAME} notes; "
                              f"make it again with: {how}")
        if digest(path) != noted["digest"]:
            rows = f" of {noted['rows']} rows" if "rows" in noted else ""
            raise ReportError(f"{path} is not the file{rows} that {NAME} notes: it was changed, or "
                              f"is of another run; make it again with: {how}")

    def other_versions(self):
        """A sentence for each study that ran with other versions than the last."""
        last = self.versions
        return [f"{name} ran with {record['versions']}." for name, record in self.records.items()
                if not last.startswith(record["versions"])]
