"""The commands `list` and `replay`, and what they print of networks."""

import numpy as np
import typer
from rich.console import Group
from rich.markup import escape
from rich.text import Text

from ...modes import Mode
from ...networks import draw_networks, network_of_id
from ...networks.draw import PROFILES
from ...report.terminal import aside, complain, console, plain_table
from ...subjects.libraries import USUAL, library
from .run import DTYPES, examine


def count_and_profile(options):
    """How many networks, and the name of their profile."""
    # --quick and --small name the profile that is drawn; no command has both.
    profile = PROFILES[next((p for p in PROFILES if getattr(options, p, False)), "full")]
    return options.networks or profile.networks, profile.name


def dtypes_of(options):
    return tuple(dict.fromkeys(d.value for d in options.dtype)) if options.dtype else DTYPES


def libraries_of(options):
    """The names of the libraries; a message and exit status 2 for one that is not known or not
    installed."""
    named, device = getattr(options, "library", None) or USUAL, getattr(options, "device", "cpu")
    if device != "cpu":
        named = [f"{name}-{device}" if name == "torch" else name for name in named]
    try:
        return (USUAL if named is USUAL
                else tuple(dict.fromkeys(library(name).name for name in named)))
    except (ValueError, ImportError) as error:
        complain(f"error: --{error}")
        raise typer.Exit(2) from None


def list_networks(options):
    drawn, coverage = draw_networks(options.seed, *count_and_profile(options))
    table = plain_table("id", "depth", "numbers", "layers", right=("depth", "numbers"),
                        title=f"{len(drawn)} networks of seed {options.seed}")
    for n in drawn:
        table.add_row(n.id, str(n.depth), str(n.size), escape(" > ".join(n.layers)))
    console.print(table)
    layers, pairs = coverage.missing()
    missed = f"not met: {', '.join(layers)}" if layers else "all met"
    possible = coverage.possible()
    console.print(f"{len(possible[0])} "
                  f"layers and losses, {missed}; {len(possible[1]) - len(pairs)} of "
                  f"{len(possible[1])} pairs of families in sequence met", markup=False)


def replay(options):
    try:
        network = network_of_id(options.id)
    except ValueError as error:
        complain(f"error: {error}")
        raise typer.Exit(2) from None
    console.print(description(network))
    libraries = libraries_of(options)
    with aside.status(f"differentiating in ball arithmetic, {' and '.join(libraries)}"):
        truth, rows = examine(network, dtypes_of(options), libraries)
    console.print(answers(network, truth, rows))
    from ...locate.findings import explained
    with aside.status("looking for the fault, and for the smallest program that shows it"):
        said = list(explained(network, rows))
    for text, program in said:
        console.print("", text, sep="\n", markup=False)
        console.print(program, markup=False, soft_wrap=True)  # a program must not be wrapped


def description(network):
    """The network's arrays and program."""
    arrays = plain_table("array", "shape", "role", "law", "scale", "seed", right=("scale", "seed"))
    for name, a in network.arrays.items():
        arrays.add_row(name, str(a.shape), a.role, a.law, f"{a.scale:.4g}", str(a.seed))
    return Group(Text(f"{network.id}: depth {network.depth}, {network.size} numbers to "
                      "differentiate", style="bold"),
                 Text(), arrays, Text(), *(Text("  " + line) for line in network.program()), Text())


def answers(network, truth, rows):
    """The exact derivatives with their agreement with differences, then every answer."""
    if truth.undecided:
        return Text(f"undecided at {truth.bits} bits: {truth.undecided}")
    kinks = sorted({f"{name}: kink, {a.kink}" for (_, name), a in truth.agreement.items()
                    if a.kink})
    return Group(
        Text(f"Exact, in ball arithmetic of {truth.bits} bits; the loss has the size "
             f"{truth.value:.6g}", style="bold"),
        _exact(network, truth), *map(Text, kinks), Text(),
        Text("Answers: the largest error in ulps, relative in the norm, as part of the bound (~: "
             "to first order)", style="bold"),
        _answers(rows), *_notes(rows))


def _exact(network, truth):
    table = plain_table("parameter", "|gradient|", "largest entry", "|Hessian v|", "digits, 1st",
                        "digits, 2nd", right=("|gradient|", "largest entry", "|Hessian v|",
                                              "digits, 1st", "digits, 2nd"))
    for name in network.leaves:
        gradient, product = (d[name].mid() for d in (truth.gradient, truth.product))
        table.add_row(name, f"{np.linalg.norm(gradient):.6g}",
                      f"{np.max(np.abs(gradient), initial=0.0):.6g}",
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
        table.add_row(r["mode"] if r["mode"] != previous else "", r["parameter"],
                      r["differentiator"], r["dtype"], f"{r['ulp_max']:.2g}",
                      f"{r['rel_error']:.1e}", f"{about}{r['error_over_bound']:.2g}", r["verdict"],
                      style={"wrong": "red", "less accurate": "yellow"}.get(r["verdict"]))
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
