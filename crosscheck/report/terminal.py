"""For the terminal: where things are printed, bars, and one network as a person reads it."""

from __future__ import annotations

import os
import sys

import numpy as np
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..modes import Mode

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


def description(network):
    """The network's arrays and program."""
    arrays = plain_table("array", "shape", "role", "law", "scale", "seed", right=("scale", "seed"))
    for name, a in network.arrays.items():
        arrays.add_row(name, str(a.shape), a.role, a.law, f"{a.scale:.4g}", str(a.seed))
    return Group(Text(f"{network.id}: depth {network.depth}, {network.size} numbers to differentiate", style="bold"),
                 Text(), arrays, Text(), *(Text("  " + line) for line in network.program()), Text())


def findings(network, truth, rows):
    """The exact derivatives with their agreement with differences, then every answer."""
    if truth.undecided:
        return Text(f"undecided at {truth.bits} bits: {truth.undecided}")
    kinks = sorted({f"{name}: kink, {a.kink}" for (_, name), a in truth.agreement.items() if a.kink})
    return Group(
        Text(f"Exact, in ball arithmetic of {truth.bits} bits; the loss has the size {truth.value:.6g}", style="bold"),
        _exact(network, truth), *map(Text, kinks), Text(),
        Text("Answers: the largest error in ulps, relative in the norm, as part of the bound (~: to first order)",
             style="bold"),
        _answers(rows), *_notes(rows))


def _exact(network, truth):
    table = plain_table("parameter", "|gradient|", "largest entry", "|Hessian v|", "digits, 1st", "digits, 2nd",
                        right=("|gradient|", "largest entry", "|Hessian v|", "digits, 1st", "digits, 2nd"))
    for name in network.leaves:
        gradient, product = (d[name].mid() for d in (truth.gradient, truth.product))
        table.add_row(name, f"{np.linalg.norm(gradient):.6g}", f"{np.max(np.abs(gradient), initial=0.0):.6g}",
                      f"{np.linalg.norm(product):.6g}",
                      *(f"{truth.agreement[order, name].digits:.1f}" for order in (1, 2)))
    return table


def _answers(rows):
    columns = ("mode", "parameter", "by", "in", "ulps", "relative", "of bound", "verdict")
    table = plain_table(*columns, right=columns[4:7], whole=columns)
    previous = None
    for r in sorted(rows, key=lambda r: (Mode(r["mode"]).order, r["mode"])):
        if previous not in (None, r["mode"]):
            table.add_section()
        about = "~" if r["bound"] == "first order" else ""
        table.add_row(r["mode"] if r["mode"] != previous else "", r["parameter"], r["differentiator"], r["dtype"],
                      f"{r['ulp_max']:.2g}", f"{r['rel_error']:.1e}", f"{about}{r['error_over_bound']:.2g}",
                      r["verdict"], style={"wrong": "red", "less accurate": "yellow"}.get(r["verdict"]))
        previous = r["mode"]
    return table


def _notes(rows):
    """Each note once, with the parameters that it is about."""
    about = {}
    for r in rows:
        if r["note"]:
            key = tuple(r[c] for c in ("differentiator", "mode", "dtype", "verdict", "note"))
            about.setdefault(key, []).append(r["parameter"])
    if about:
        yield Text("\nNotes", style="bold")
    for (who, mode, dtype, verdict, note), parameters in about.items():
        yield Text(f"{who}, {mode}, {dtype}, {' '.join(parameters)}: {verdict}, {note}")
