"""A campaign: so many networks that their rows do not fit into memory, checked in parts, each a file.

A part is a function of its networks alone, and its file is there whole or not at all: so a killed campaign goes on with
the parts that are missing, and its files are those of one that was never stopped.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import pandas as pd
import typer

from ...networks import networks_from
from ...networks.draw import BLOCK
from ...report.errors import ReportError
from ...report.manifest import versions
from ...report.tables import digest, replacing, save_json, save_table
from ...report.terminal import aside, complain, console, table_of
from ...sharing import ClusterLost, WorkerLost, finished, result_of
from ...verdict import NO_ANSWER
from . import COLUMNS
from .commands import count_and_profile, dtypes_of, libraries_of
from .frames import errors_table
from .run import check_network
from .summary import Summary

#: Parts in one folder.
FOLDER = 1000

#: Where standard error is no terminal, a line of progress comes every so many seconds.
PAUSE = 60.0


def run(options):
    """Do the command."""
    count, profile = count_and_profile(options)
    campaign = Campaign(options.out, {
        "seed": options.seed, "profile": profile, "networks": count, "part": options.part,
        "dtypes": list(dtypes_of(options)), "libraries": list(libraries_of(options)), "versions": versions()})
    campaign.open(options.resume)
    try:
        campaign.check(options.cluster or options.workers)
    except (KeyboardInterrupt, ClusterLost) as error:
        why = str(error) or "interrupted"
        complain(f"{why}: the parts that are finished stay; go on with --resume")
        raise typer.Exit(1 if str(error) else 130) from None
    console.print(table_of(campaign.summarize(), ("differentiator", "dtype", "mode", "closest")))
    console.print(f"[bold]{campaign.folder / SUMMARY}[/bold]", soft_wrap=True)


ABOUT, PARTS, SUMMARY = "campaign.json", "parts.csv", "summary.csv"


class Campaign:
    """A campaign in a folder.

    about  what it consists of, as campaign.json has it: all that its files depend on
    """

    def __init__(self, folder, about):
        self.folder, self.about = Path(folder), about
        self.suffix = ".parquet" if _has_parquet() else ".csv"

    def open(self, resume):
        """Begin it, or go on with the one that is there; ReportError if that is another one, or was not asked for."""
        path, about = self.folder / ABOUT, {**self.about, "format": self.suffix}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with replacing(path) as temporary:
                save_json(about, temporary)
            return
        if not resume:
            raise ReportError(f"{self.folder} holds a campaign: go on with it by --resume, or choose another folder "
                              "with --out")
        try:
            there = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ReportError(f"{path} cannot be read ({error}); choose another folder with --out") from None
        if other := [k for k in about if there.get(k) != about[k]]:
            raise ReportError(f"{self.folder} holds another campaign: " + "; ".join(
                f"its {k} is {there.get(k)}, not {about[k]}" for k in other) + "; choose another folder with --out")

    def path(self, part):
        """The file of a part."""
        return self.folder / "rows" / f"{part // FOLDER:06d}" / f"part-{part:09d}{self.suffix}"

    @property
    def parts(self):
        return range(-(-self.about["networks"] // self.about["part"]))

    def range(self, part):
        """The indices of a part's networks."""
        size = self.about["part"]
        return range(part * size, min((part + 1) * size, self.about["networks"]))

    def check(self, workers):
        """Check the networks of all parts that are not there, and write each part when its last network is finished."""
        done = sum(len(self.range(k)) for k in self.parts if self.path(k).exists())
        pace = Pace(self.about["networks"], done)
        function = partial(checked, dtypes=tuple(self.about["dtypes"]), libraries=tuple(self.about["libraries"]))
        pending = {}  # part -> index -> rows
        with pace:
            for index, network, future in finished(function, self._missing(), workers):
                try:
                    rows = result_of(future)
                except ClusterLost:
                    raise
                except WorkerLost as error:
                    rows = [no_check(network, error)]
                part = index // self.about["part"]
                found = pending.setdefault(part, {})
                found[index] = rows
                if len(found) == len(self.range(part)):
                    self._write(part, [row for i in sorted(found) for row in found[i]])
                    del pending[part]
                pace.step()

    def _missing(self):
        """(index, network) of the parts that are not there; a block is drawn only if it has some."""
        size, count = self.about["part"], self.about["networks"]
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            missing = {k for k in range(first // size, (last - 1) // size + 1) if not self.path(k).exists()}
            if missing:
                for index, network in enumerate(
                        networks_from(self.about["seed"], first, last, self.about["profile"]), first):
                    if index // size in missing:
                        yield index, network

    def _write(self, part, rows):
        frame = errors_table(rows)
        with replacing(self.path(part)) as temporary:
            if self.suffix == ".csv":
                save_table(frame, temporary)
            else:
                frame.astype({c: str for c in COLUMNS if frame[c].dtype == object}).to_parquet(temporary, index=False)

    def summarize(self):
        """Write summary.csv and parts.csv from all parts, one after the other; gives the summary's frame."""
        summary, about_parts = Summary(), []
        for part in self.parts:
            frame = self._read(part)
            summary.add(frame)
            about_parts.append((part, len(self.range(part)), len(frame), digest(self.path(part))))
        found = summary.frame()
        for name, frame in ((PARTS, pd.DataFrame(about_parts, columns=["part", "networks", "rows", "digest"])),
                            (SUMMARY, found)):
            with replacing(self.folder / name) as temporary:
                save_table(frame, temporary)
        return found

    def _read(self, part):
        path = self.path(part)
        try:
            if self.suffix == ".csv":
                return pd.read_csv(path, keep_default_na=False, na_values=["", "nan"], encoding="utf-8")
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ReportError(f"{path} cannot be read ({error}); remove it, and go on with --resume") from None


def checked(network, dtypes, libraries):
    """The rows of a network; where the check itself fails, one row that says so."""
    try:
        return check_network(network, dtypes, libraries)
    except Exception as error:
        return [no_check(network, error)]


def no_check(network, error):
    """The row of a network that could not be checked."""
    note = " ".join(f"the check failed: {type(error).__name__}: {error}".split())[:200]
    return {**dict.fromkeys(COLUMNS, ""), **dict.fromkeys(("ulp_max", "ulp_median", "rel_error", "error_over_bound",
                                                           "digits"), float("nan")),
            "network": network.id, "verdict": NO_ANSWER, "note": note}


class Pace:
    """Progress with the rate and the time left: a line that is renewed on a terminal, else one a minute."""

    def __init__(self, count, done):
        self.count, self.before, self.done = count, done, done
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
        """One network further."""
        self.done += 1
        if self.status:
            self.status.update(self.line())
        elif time.monotonic() - self.said >= PAUSE:
            self.said = time.monotonic()
            aside.print(self.line(), markup=False)

    def line(self):
        rate = (self.done - self.before) / max(time.monotonic() - self.begun, 1e-9)
        left = f", {_duration((self.count - self.done) / rate)} left" if rate and self.done < self.count else ""
        return f"{self.done:,} of {self.count:,} networks, {rate:.2f} a second{left}"


def _duration(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _has_parquet():
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True
