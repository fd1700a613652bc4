"""The command line: `python -m crosscheck`, or `crosscheck`."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]})
console = Console()

Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same networks and gives the same tables.")]
Out = Annotated[Path, typer.Option(file_okay=False, help="The folder to write into; made if it is missing.")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller networks and shorter studies: under 30 s, every part present.")]
Workers = Annotated[int, typer.Option(min=1, help="How many processes share the networks out. The tables do not depend on it.")]
Dtypes = Annotated[Optional[list[str]], typer.Option(
    "--dtype", help="float32 or float64; give it twice for both.  [default: both]")]


@app.callback(invoke_without_command=True)
def everything(context: typer.Context, quick: Quick = False, seed: Seed = 0, out: Out = Path("reports"),
               workers: Workers = 2):
    """Prove gradients: the same random networks through refgrad, torch and finite differences in ball arithmetic.

    Without a command: the main job. It checks networks, trains one on real data, measures how the cost of gradients grows,
    and writes tables, plots and **index.html** into the folder **reports**.

    Examples:

    - `python -m crosscheck --quick --out /tmp/try`    everything, in half a minute

    - `python -m crosscheck run --networks 20 --seed 7 --dtype float32`    twenty networks of seed 7

    - `python -m crosscheck replay full-0-17`    one network again, verbosely
    """
    if context.invoked_subcommand is None:
        _check_networks(seed, None, out, quick, workers, None)
        _train(seed, out, quick)
        _scale(seed, out, quick)
        _page(out, seed, quick)


@app.command()
def run(networks: Annotated[Optional[int], typer.Option(min=1, help="How many; the default meets every pair of layers.")] = None,
        seed: Seed = 0, out: Out = Path("reports"), dtype: Dtypes = None, quick: Quick = False, workers: Workers = 2):
    """Check random networks: errors.csv, layers.csv, coverage.csv and their plots."""
    _check_networks(seed, networks, out, quick, workers, dtype)
    _page(out, seed, quick)


@app.command()
def scaling(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Reverse against forward mode: time and memory against size, and the crossover."""
    _scale(seed, out, quick)
    _page(out, seed, quick)


@app.command()
def training(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Train a network on the handwritten digits, by refgrad and by torch in lockstep."""
    _train(seed, out, quick)
    _page(out, seed, quick)


@app.command("list")
def list_networks(networks: Annotated[Optional[int], typer.Option(min=1, help="How many.")] = None, seed: Seed = 0,
                  quick: Quick = False):
    """List the networks that a run of this seed checks."""
    drawn, coverage = _drawn(seed, networks, quick)
    table = Table("id", "depth", "numbers", "layers", title=f"{len(drawn)} networks of seed {seed}")
    for n in drawn:
        table.add_row(n.id, str(n.depth), str(n.size), " > ".join(n.layers))
    console.print(table)
    layers, pairs = coverage.missing()
    console.print(f"{len(coverage.layers)} layers and losses; not met: {', '.join(layers) or 'none'}; "
                  f"pairs in sequence not met: {len(pairs)}")


@app.command()
def replay(id: Annotated[str, typer.Argument(help="A network's id, as in errors.csv: full-0-17.")], dtype: Dtypes = None):
    """Check one network again and show everything: its program, its arrays, every derivative's verdict."""
    from .networks import network_of_id
    from .run import check_network
    try:
        network = network_of_id(id)
    except ValueError as error:
        _fail(str(error))
    console.print(f"[bold]{network.id}[/bold]  depth {network.depth}, {network.size} numbers to differentiate")
    arrays = Table("array", "shape", "role", "law", "scale", "seed")
    for name, a in network.arrays.items():
        arrays.add_row(name, str(a.shape), a.role, a.law, f"{a.scale:.4g}", str(a.seed))
    console.print(arrays)
    for line in network.program():
        console.print("  " + line, highlight=False, markup=False)
    with console.status("differentiating in ball arithmetic, refgrad and torch"):
        rows = check_network(network, _dtypes(dtype))
    table = Table("parameter", "differentiator", "mode", "dtype", "ulps (max)", "rel. error", "error/bound", "digits", "verdict")
    for r in rows:
        table.add_row(r["parameter"], r["differentiator"], r["mode"], r["dtype"], f"{r['ulp_max']:.3g}",
                      f"{r['rel_error']:.2e}", f"{r['error_over_bound']:.2g} ({r['bound']})", f"{r['digits']:.1f}",
                      r["verdict"] + (f": {r['note']}" if r["note"] else ""))
    console.print(table)


def _drawn(seed, networks, quick):
    from .networks import draw_networks
    from .networks.draw import PROFILES
    profile = PROFILES["quick" if quick else "full"]
    return draw_networks(seed, networks or profile.networks, profile.name)


def _dtypes(chosen):
    from .run import DTYPES
    for d in chosen or ():
        if d not in DTYPES:
            _fail(f"--dtype {d}: expected one of {', '.join(DTYPES)}")
    return tuple(dict.fromkeys(chosen)) if chosen else DTYPES


def _check_networks(seed, networks, out, quick, workers, dtype):
    from .networks.draw import PROFILES
    from .report import tables
    from .run import run as run_networks
    profile = PROFILES["quick" if quick else "full"]
    count, dtypes = networks or profile.networks, _dtypes(dtype)
    with _bar() as bar:
        task = bar.add_task("checking networks", total=count)
        result = run_networks(seed, count, profile.name, dtypes, workers, lambda n: bar.advance(task))
    errors = tables.errors_table(result.rows)
    what = (f"{result.finished} random networks of seed {seed} ({profile.name}), "
            f"{sum(n.size for n in result.networks[:result.finished])} numbers to differentiate, in {' and '.join(dtypes)}")
    if result.interrupted:
        console.print(f"[yellow]interrupted: {result.finished} of {count} networks are in the report[/yellow]")
        what += f"; interrupted, {count} were asked for"
    tables.write_table(errors, out / "errors.csv")
    tables.write_table(tables.layers_table(errors, result.networks), out / "layers.csv")
    tables.write_table(tables.coverage_table(result.coverage), out / "coverage.csv")
    _about(out, "networks", what)
    if len(errors):
        from .report import plots
        with tables.replacing(out / "errors.png") as path:
            plots.plot_errors(errors, result.networks, path)
        with tables.replacing(out / "digits.png") as path:
            plots.plot_digits(errors, result.networks, path)
        console.print(tables.verdict_counts(errors).to_string())
    if result.interrupted:
        _page(out, seed, quick)
        raise typer.Exit(130)


def _train(seed, out, quick):
    from .report import tables
    from .studies import training as study
    with _bar() as bar:
        task = bar.add_task("training on the digits", total=study.count(quick))
        frame = study.run_training(seed, quick, lambda description="": bar.advance(task))
    if frame is None:
        console.print("[yellow]training skipped: it needs scikit-learn (pip install scikit-learn)[/yellow]")
        return
    from .report.plots_training import plot_training
    tables.write_table(frame, out / "training.csv")
    with tables.replacing(out / "training.png") as path:
        plot_training(frame, path)
    _about(out, "training", f"{int(frame['step'].max())} steps of training on the 8x8 digits, seed {seed}")


def _scale(seed, out, quick):
    from .report import plots_scaling, tables
    from .studies import scaling as study
    with _bar() as bar:
        task = bar.add_task("measuring how cost grows", total=study.count(quick))
        frame = study.run_scaling(seed, quick, lambda description="": bar.advance(task))
    tables.write_table(frame, out / "scaling.csv")
    for name, plot in (("scaling", plots_scaling.plot_gradient), ("jacobian", plots_scaling.plot_jacobian),
                       ("cheap_gradient", plots_scaling.plot_cheap_gradient)):
        with tables.replacing(out / f"{name}.png") as path:
            plot(frame, path)
    _about(out, "scaling", f"the cost of gradients up to {int(frame['parameters'].max()):,} parameters, on {_machine()}")


def _about(out, part, what):
    """Note in run.json what a part of the report was made from."""
    import json
    from .report.tables import write_json
    try:
        parts = json.loads((out / "run.json").read_text())["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        parts = {}
    parts[part] = what
    ordered = {k: parts[k] for k in ("networks", "training", "scaling") if k in parts}
    packages = {p: version(p) for p in ("refgrad", "numpy", "torch", "python-flint", "pandas", "matplotlib")}
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in packages.items()), _machine()])
    write_json({"parts": ordered, "what": list(ordered.values()), "versions": versions}, out / "run.json")


def _machine():
    import os
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _page(out, seed, quick):
    from .report.page import write_page
    write_page(out)
    console.print(f"[bold]{out / 'index.html'}[/bold]")


def _bar():
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                    console=console)


def _fail(message):
    console.print(f"[red]error:[/red] {message}", highlight=False)
    raise typer.Exit(2)


def main():
    try:
        app()
    except KeyboardInterrupt:
        console.print("[yellow]interrupted; files written so far are whole[/yellow]")
        sys.exit(130)
