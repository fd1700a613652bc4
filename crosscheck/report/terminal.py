"""For the terminal: where things are printed, bars and tables."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

#: What goes into a pipe or a file has 100 columns; a terminal has its own.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100, highlight=False)
#: Progress and complaints, kept out of what a pipe gets.
aside = Console(stderr=True, highlight=False)


def complain(message):
    aside.print(message, style="red" if message.startswith("error") else "yellow", markup=False, soft_wrap=True)


def bar():
    """A progress bar, on a terminal; nothing elsewhere."""
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                    TimeElapsedColumn(), console=aside, disable=not aside.is_terminal)


def plain_table(*columns, right=(), whole=(), title=None):
    """A table without lines; `right` names the columns of numbers, `whole` those that shall not be broken."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for c in columns:
        table.add_column(c, justify="right" if c in right else "left", no_wrap=c in whole)
    return table


def table_of(frame, names):
    """A small frame as a table; `names` are its columns of text."""
    table = plain_table(*frame.columns, right=[c for c in frame.columns if c not in names], whole=names)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row))
    return table
