"""Rows in parts that are written as they are finished.

A part is a function of its tasks alone, and its file is there whole or not at all: so a killed run
goes on with the parts that are missing, and its files are those of one that was never stopped.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pandas as pd

from ..report.errors import ReportError
from ..report.tables import digest, replacing, save_json, save_table
from ..report.terminal import aside
from ..sharing import ClusterLost, WorkerLost, finished, result_of

#: Parts in one folder.
FOLDER = 1000

#: Where standard error is no terminal, a line of progress comes every so many seconds.
PAUSE = 60.0


class Parts:
    """The parts of a run in a folder.

    about    what the run consists of, as the file `name`.json has it: all that its files depend on
    name     what the run is called
    count    how many tasks there are
    size     how many tasks' rows are one file
    frame    ``frame(rows)``: the rows as a table
    """

    def __init__(self, folder, about, name, count, size, frame):
        self.folder, self.about, self.name = Path(folder), about, name
        self.count, self.size, self.frame = count, size, frame
        self.suffix = ".parquet" if _has_parquet() else ".csv"

    def open(self, resume):
        """Begin it, or go on with the one that is there; ReportError if that is another one, or was
        not asked for."""
        path, about = self.folder / f"{self.name}.json", {**self.about, "format": self.suffix}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with replacing(path) as temporary:
                save_json(about, temporary)
            return
        if not resume:
            raise ReportError(f"{self.folder} holds a {self.name}: go on with it by --resume, or "
                              "choose another folder with --out")
        try:
            there = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ReportError(f"{path} cannot be read ({error}); choose another folder with "
                              "--out") from None
        if other := [k for k in about if there.get(k) != about[k]]:
            raise ReportError(f"{self.folder} holds another {self.name}: " + "; ".join(
                f"its {k} is {there.get(k)}, not {about[k]}" for k in other)
                              + "; choose another folder with --out")

    def discard(self):
        """Remove what is there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, part):
        """The file of a part."""
        return self.folder / "rows" / f"{part // FOLDER:06d}" / f"part-{part:09d}{self.suffix}"

    def there(self, part):
        return self.path(part).exists()

    def __iter__(self):
        """The numbers of all parts."""
        return iter(range(-(-self.count // self.size)))

    def range(self, part):
        """The indices of a part's tasks."""
        return range(part * self.size, min((part + 1) * self.size, self.count))

    @property
    def done(self):
        """How many tasks are finished."""
        return sum(len(self.range(k)) for k in self if self.there(k))

    def fill(self, function, tasks, workers, lost, step):
        """Do the tasks of all parts that are not there, and write each part when its last task is
        finished.

        function  gives the rows of a task
        tasks     the missing ones, as pairs (index, task)
        lost      ``lost(task, error)``: the rows of a task of which every worker died
        step      called without arguments whenever a task is finished
        """
        pending = {}  # part -> index -> rows
        for index, task, future in finished(function, tasks, workers):
            try:
                rows = result_of(future)
            except ClusterLost:
                raise
            except WorkerLost as error:
                rows = lost(task, error)
            part = index // self.size
            found = pending.setdefault(part, {})
            found[index] = rows
            if len(found) == len(self.range(part)):
                self._write(part, [row for i in sorted(found) for row in found[i]])
                del pending[part]
            step()

    def _write(self, part, rows):
        frame = self.frame(rows)
        with replacing(self.path(part)) as temporary:
            if self.suffix == ".csv":
                save_table(frame, temporary)
            else:
                frame.astype({c: str for c in frame
                              if frame[c].dtype == object}).to_parquet(temporary, index=False)

    def read(self, part):
        """The table of a part; ReportError where it cannot be read."""
        path = self.path(part)
        try:
            if self.suffix == ".csv":
                return pd.read_csv(path, keep_default_na=False, na_values=["", "nan"],
                                   encoding="utf-8")
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ReportError(f"{path} cannot be read ({error}); remove it, and go on with "
                              "--resume") from None

    def digest(self, part):
        return digest(self.path(part))


class Pace:
    """Progress with the rate and the time left: a line that is renewed on a terminal, else one a
    minute.

    what  what the tasks are called
    """

    def __init__(self, what, count, done):
        self.what, self.count, self.before, self.done = what, count, done, done
        self.begun = self.said = time.monotonic()

    def __enter__(self):
        self.status = aside.status(self.line()) if aside.is_terminal else None
        if self.status:
            self.status.start()
        return self

    def __exit__(self, *error):
        if self.status:
            self.status.stop()
        aside.print(self.line(), markup=False)

    def step(self):
        """One task further."""
        self.done += 1
        if self.status:
            self.status.update(self.line())
        elif time.monotonic() - self.said >= PAUSE:
            self.said = time.monotonic()
            aside.print(self.line(), markup=False)

    def line(self):
        rate = (self.done - self.before) / max(time.monotonic() - self.begun, 1e-9)
        left = (f", {_duration((self.count - self.done) / rate)} left"
                if rate and self.done < self.count else "")
        return f"{self.done:,} of {self.count:,} {self.what}, {rate:.2f} a second{left}"


def _duration(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes
            else f"{seconds} s")


def _has_parquet():
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True
