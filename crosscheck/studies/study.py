"""What a study is: one record, by which report, runner and command line know all studies alike.

A record is light, and stands in the package of its study; its functions, which take long to import,
stand in a module that it names.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Table:
    """A table of the report: a file of that name.

    columns  those that it must have; a file without them is not the table that it claims to be
    numbers  those of them that hold numbers
    shown    whether the page shows it
    needed   whether the study's sections of the page are left out without it
    """

    name: str
    columns: tuple
    numbers: tuple = ()
    shown: bool = True
    needed: bool = True


@dataclass(frozen=True)
class Command:
    """A command of the command line; it runs all studies that name it, in the order of their list.

    options  `inspect.Parameter`s, in the order of the help; see `options`
    do       what it does instead, if it runs no study: "module:function", a function of the options
    """

    name: str
    help: str
    options: tuple
    do: str = ""


@dataclass(frozen=True)
class Study:
    """A study: its tables, how it is run, its sections of the page, its command.

    name      its key in run.json
    command   the `Command` that runs it; several studies may share one
    tables    the `Table`s that it writes
    module    the name of the module of its functions, see below
    default   whether it is run where no command is given
    heads     whether its verdict stands at the head of the page
    commands  more `Command`s, about the same subject
    unasked   values of the command's options where it is run because no command is given

    ``run(options, watch)`` gives the `Outcome`.  `options` has an attribute for each option of the
    command.  In ``with watch(doing, count) as tick`` a progress bar is shown, one step further with
    each call of `tick`, whatever its arguments.  Interrupted (Ctrl-C), it gives the outcome of what
    is finished.

    ``sections(folder, *frames)`` gives its sections of the page, a list.  There is a frame for each
    table that is shown, or None where it is missing.

    ``verdict(*frames)``, where it heads the page, gives sentences, and whether they are good.
    """

    name: str
    command: Command
    tables: tuple
    module: str
    default: bool = False
    heads: bool = False
    commands: tuple = ()
    unasked: dict = field(default_factory=dict)

    @property
    def body(self):
        """The module of its functions."""
        return import_module(self.module)


@dataclass
class Outcome:
    """What a study found.  What takes long may be given as a function, which is called in its turn.

    finished  how much is finished; if nothing is, no file is written
    how_far   how much of how much, in words
    tables    for each table of the study its frame, a function that gives it, or None for no table
    files     name of another file, a plot as a rule -> a function that writes it to `path`
    about     what was done, for run.json and the page
    said      what is printed: text, something of rich's, or a function that gives it
    notes     complaints, a line each
    stopped   why it ended before all was done
    asked     what had been asked for then, in words
    failed    whether the command's exit status is to say so
    """

    finished: int = 0
    how_far: str = ""
    tables: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    about: str = ""
    said: object = ""
    notes: list = field(default_factory=list)
    stopped: str = ""
    asked: str = ""
    failed: bool = False


def machine():
    """What this runs on, in a few words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
