"""For the terminal: where things are printed, bars and tables."""

from __future__ import annotations

import os
import sys

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn,
                           TimeElapsedColumn)
from rich.table import Table

#: Wider than any table.
WIDE = 10_000


class OutputError(Exception):
    """What was to be printed cannot be: standard output is full or closed."""


class Whole(Console):
    """A console on which nothing is cut off: a table that is wider than the terminal is printed as
    it is."""

    def print(self, *objects, **how):
        try:
            super().print(*objects, crop=False, **how)
        except OSError as error:
            raise OutputError("standard output cannot be written: "
                              f"{error.strerror or error}") from error

    def on_broken_pipe(self):
        raise OutputError("standard output is closed")


def _environment():
    """The environment without a COLUMNS that says nothing."""
    columns = os.environ.get("COLUMNS", "")
    return {k: v
            for k, v in os.environ.items() if k != "COLUMNS" or columns.isdigit() and int(columns)}


def _width():
    """What goes into a pipe or a file has 100 columns; a terminal has its own."""
    shown = sys.stdout is not None and sys.stdout.isatty()
    return None if shown or "COLUMNS" in _environment() else 100


console = Whole(width=_width(), highlight=False, _environ=_environment())
#: Progress and complaints, kept out of what a pipe gets.
aside = Console(stderr=True, highlight=False)


def complain(message):
    aside.print(message, style="red" if message.startswith("error") else "yellow", markup=False,
                soft_wrap=True)


def bar():
    """A progress bar, on a terminal; nothing elsewhere."""
    return Progress(SpinnerColumn(), TextColumn("{task.description}"),
                    BarColumn(), MofNCompleteColumn(),
                    TimeElapsedColumn(), console=aside, disable=not aside.is_terminal)


class Plain(Table):
    """A table in which no number, no word and no column that shall not be broken is cut off.

    Where it is too wide for that it is printed wider; the console must not crop it.
    """

    def __rich_console__(self, console, options):
        least = Measurement.get(console, options.update(max_width=WIDE), self).minimum
        yield from super().__rich_console__(console,
                                            options.update(max_width=max(options.max_width, least)))

    def add_row(self, *cells, **how):
        super().add_row(*cells, **how)
        for column, cell in zip(self.columns, cells):
            if column.width is not None:
                column.width = max(column.width, cell_len(str(cell)))
            else:
                column.min_width = max([column.min_width, *map(cell_len, str(cell).split())])


def plain_table(*columns, right=(), whole=(), title=None, narrow=False):
    """A table without lines; `right` names the columns of numbers, `whole` those that shall not be
    broken.

    narrow  whether the headers of numbers are broken into words
    """
    table = Plain(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for c in columns:
        words = max(map(cell_len, c.split() if narrow and c not in whole else [c]), default=0)
        table.add_column(c, justify="right" if c in right else "left", no_wrap=c in whole,
                         width=words if c in right or c in whole else None, min_width=words)
    return table


def table_of(frame, names):
    """A small frame as a table; `names` are its columns of text."""
    table = plain_table(*frame.columns, right=[c for c in frame.columns if c not in names],
                        whole=names, narrow=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row))
    return table
