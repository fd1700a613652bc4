"""The command line: `python -m crosscheck`, or `crosscheck`."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup


class Commands(TyperGroup):
    """The commands; Ctrl-C ends any of them with a word."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted; the files written so far are whole")
            raise typer.Exit(130) from None


class Dtype(str, Enum):
    float32 = "float32"
    float64 = "float64"


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode="markdown",
                  context_settings={"help_option_names": ["-h", "--help"]})
#: What goes into a pipe or a file has 100 columns; a terminal has its own.
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100, highlight=False)
#: Progress and complaints, kept out of what a pipe gets.
aside = Console(stderr=True, highlight=False)

Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same networks and gives the same tables.")]
Out = Annotated[Path, typer.Option(file_okay=False, help="The folder to write into; made if it is missing.")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller networks and shorter studies; every part is there.")]
Workers = Annotated[int, typer.Option(min=1, help="How many processes share the work; the tables are the same.")]
Dtypes = Annotated[Optional[list[Dtype]], typer.Option("--dtype", help="Give it twice for both.", show_default="both")]
Count = Annotated[Optional[int], typer.Option("--networks", min=1, help="How many networks.",
                                              show_default="150, which meet every pair of layers; 60 with --quick")]


@app.callback(invoke_without_command=True)
def everything(context: typer.Context, quick: Quick = False, seed: Seed = 0, out: Out = Path("reports"),
               workers: Workers = 2):
    """Prove gradients: the same random networks through refgrad, torch and finite differences in ball arithmetic.

    Without a command: the main job. It checks networks, trains one on real data, measures how the cost of gradients
    grows, and writes tables, plots and **index.html** into the folder **reports**.

    Examples:

    - `python -m crosscheck --quick --out /tmp/try`    everything, on a smaller scale, in half a minute

    - `python -m crosscheck run --networks 20 --seed 7 --dtype float32`    twenty networks of seed 7

    - `python -m crosscheck replay full-0-17`    one network again, with all that is known about it

    - `python -m crosscheck check mylayers:gelu --shape 4,5`    the derivatives of a function of your own
    """
    if context.invoked_subcommand is None:
        _prepare(out)
        _check_networks(seed, None, out, quick, workers, None)
        _train(seed, out, quick)
        _scale(seed, out, quick)
        _page(out)


@app.command()
def run(networks: Count = None, seed: Seed = 0, out: Out = Path("reports"), dtype: Dtypes = None, quick: Quick = False,
        workers: Workers = 2):
    """Check random networks: errors.csv, layers.csv, coverage.csv and their plots.

    Example: `python -m crosscheck run --networks 20 --seed 7 --dtype float32 --out /tmp/try`
    """
    _prepare(out)
    _check_networks(seed, networks, out, quick, workers, dtype)
    _page(out)


@app.command()
def scaling(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Measure reverse against forward mode: time and memory against size, and where they cross. Writes scaling.csv.

    Example: `python -m crosscheck scaling --quick --out /tmp/try`
    """
    _prepare(out)
    _scale(seed, out, quick)
    _page(out)


@app.command()
def training(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Train a network on the handwritten digits, by refgrad and by torch in lockstep. Writes training.csv.

    Example: `python -m crosscheck training --quick --out /tmp/try`
    """
    _prepare(out)
    _train(seed, out, quick)
    _page(out)


@app.command("list")
def list_networks(networks: Count = None, seed: Seed = 0, quick: Quick = False):
    """List the networks that a run of this seed checks, and the layers and pairs of layers that it misses.

    Example: `python -m crosscheck list --networks 40 --seed 7`
    """
    from .report.terminal import plain_table
    drawn, coverage = _drawn(seed, networks, quick)
    table = plain_table("id", "depth", "numbers", "layers", right=("depth", "numbers"),
                        title=f"{len(drawn)} networks of seed {seed}")
    for n in drawn:
        table.add_row(n.id, str(n.depth), str(n.size), escape(" > ".join(n.layers)))
    console.print(table)
    layers, pairs = coverage.missing()
    missed = f"not met: {', '.join(layers)}" if layers else "all met"
    possible = coverage.possible()
    console.print(f"{len(possible[0])} layers and losses, {missed}; {len(possible[1]) - len(pairs)} of "
                  f"{len(possible[1])} pairs in sequence met", markup=False)


@app.command()
def replay(id: Annotated[str, typer.Argument(metavar="ID", help="A network's id, as in errors.csv: full-0-17.")],
           dtype: Dtypes = None):
    """Check one network again and show all of it: program, arrays, exact derivatives, every answer's verdict.

    Example: `python -m crosscheck replay full-0-17 --dtype float64`
    """
    from .networks import network_of_id
    from .report import terminal
    from .run import examine
    try:
        network = network_of_id(id)
    except ValueError as error:
        complain(f"error: {error}")
        raise typer.Exit(2) from None
    console.print(terminal.description(network))
    with aside.status("differentiating in ball arithmetic, refgrad and torch"):
        truth, rows = examine(network, _dtypes(dtype))
    console.print(terminal.findings(network, truth, rows))


@app.command("check")
def check_function(
        target: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The function, module or autograd.Function "
                                                                              "to check, as in mypackage.layers:gelu.")],
        shape: Annotated[Optional[list[str]], typer.Option(
            metavar="N,M", help="The shape of an input, drawn at random; once for each input ('' for a number).")] = None,
        inputs: Annotated[Optional[str], typer.Option(
            metavar="MODULE:FUNCTION", help="A function that returns the tuple of inputs, in the place of --shape.")] = None,
        gradient: Annotated[Optional[str], typer.Option(metavar="MODULE:FUNCTION", help="Its gradient: g(*inputs).")] = None,
        vjp: Annotated[Optional[str], typer.Option(metavar="MODULE:FUNCTION", help="Its vjp: v(g, *inputs).")] = None,
        jvp: Annotated[Optional[str], typer.Option(metavar="MODULE:FUNCTION", help="Its jvp: j(tangents, *inputs).")] = None,
        reference: Annotated[Optional[str], typer.Option(
            metavar="MODULE:FUNCTION", help="The same function in NumPy, by whose exact gradient it is measured.")] = None,
        dtype: Annotated[Optional[list[str]], typer.Option(help="Test in this dtype only; may be repeated.")] = None,
        seed: Annotated[int, typer.Option(min=0, help="The same seed finds the same.")] = 0,
        csv: Annotated[Optional[Path], typer.Option(dir_okay=False, help="Write every verdict to this file.")] = None):
    """Check the derivatives of your own function; exit status 1 if anything is wrong.

    Examples:

    - `python -m crosscheck check numpy:tanh --shape 4,5`

    - `python -m crosscheck check mylayers:softmax --vjp mylayers:softmax_vjp --shape 3,4`

    - `python -m crosscheck check torch.nn.functional:gelu --reference refgrad.nn:gelu --shape 4,5 --dtype bfloat16`
    """
    from .checker import check
    from .checker.command import arrays, imported
    try:
        f = imported(target)
        options = {name: imported(path) for name, path in (
            ("gradient", gradient), ("vjp", vjp), ("jvp", jvp), ("reference", reference)) if path}
        given = imported(inputs)() if inputs else arrays(shape, seed)
        report = check(f, *given, dtypes=tuple(dtype) if dtype else None, seed=seed, **options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        complain(f"error: {error}")
        raise typer.Exit(2) from None
    console.print(report)
    if csv is not None:
        from .report.tables import write_table
        write_table(report.to_frame(), csv)
    raise typer.Exit(0 if report.ok else 1)


def _drawn(seed, networks, quick):
    from .networks import draw_networks
    from .networks.draw import PROFILES
    profile = PROFILES["quick" if quick else "full"]
    return draw_networks(seed, networks or profile.networks, profile.name)


def _dtypes(chosen):
    from .run import DTYPES
    return tuple(dict.fromkeys(d.value for d in chosen)) if chosen else DTYPES


def _prepare(out):
    """Make the folder, and find out now, not after minutes of work, that it cannot be written into."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        complain(f"error: cannot write into {out}: {error.strerror}; choose another folder with --out")
        raise typer.Exit(2) from None


def _check_networks(seed, networks, out, quick, workers, dtype):
    from .networks.draw import PROFILES
    from .report import tables
    from .run import run as run_networks
    profile = PROFILES["quick" if quick else "full"]
    count, dtypes = networks or profile.networks, _dtypes(dtype)
    with _bar() as bar:
        task = bar.add_task("checking networks", total=count)
        result = run_networks(seed, count, profile.name, dtypes, workers, lambda n: bar.advance(task))
    finished = len(result.networks)
    what = (f"{finished} random networks of seed {seed} ({profile.name}), "
            f"{sum(n.size for n in result.networks):,} numbers to differentiate, in {' and '.join(dtypes)}")
    if result.stopped:
        complain(f"{result.stopped}: {finished} of {count} networks are checked" +
                 (", and in the report" if finished else "; the report is as it was"))
        what += f"; {result.stopped}, {count} were asked for"
    if finished:
        write_networks(result, out, what)
    if result.stopped:
        if finished:
            _page(out)
        raise typer.Exit(130 if result.stopped == "interrupted" else 1)


def write_networks(result, out, what):
    from .report import plots, tables, terminal
    errors = tables.errors_table(result.rows)
    coverage = tables.coverage_table(result.coverage)
    tables.write_table(errors, out / "errors.csv")
    tables.write_table(tables.layers_table(errors, result.networks), out / "layers.csv")
    tables.write_table(tables.findings_table(errors, result.networks), out / "findings.csv")
    tables.write_table(coverage, out / "coverage.csv")
    about(out, "networks", what)
    with tables.replacing(out / "errors.png") as path:
        plots.plot_errors(errors, result.networks, path)
    with tables.replacing(out / "digits.png") as path:
        plots.plot_digits(errors, result.networks, path)
    with tables.replacing(out / "coverage.png") as path:
        plots.plot_coverage(coverage, path)
    counts = tables.verdict_counts(errors).reset_index()
    names = ("differentiator", "dtype", "mode")
    table = terminal.plain_table(*counts.columns, right=[c for c in counts.columns if c not in names],
                                 whole=names)
    for row in counts.itertuples(index=False):
        table.add_row(*map(str, row))
    console.print(table)


def _train(seed, out, quick):
    from .report import tables
    from .studies import training as study
    with _bar() as bar:
        task = bar.add_task("training on the digits", total=study.count(quick))
        frame = study.run_training(seed, quick, lambda description="": bar.advance(task))
    if frame is None:
        complain("training skipped: it needs scikit-learn (pip install scikit-learn)")
        return
    from .report.plots_training import plot_training
    tables.write_table(frame, out / "training.csv")
    with tables.replacing(out / "training.png") as path:
        plot_training(frame, path)
    about(out, "training", f"{int(frame['step'].max())} steps of training on the 8x8 digits, seed {seed}")


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
    about(out, "scaling", f"the cost of gradients up to {int(frame['parameters'].max()):,} parameters, on {_machine()}")


def about(out, part, what):
    """Note in run.json what a part of the report was made from."""
    from .report.tables import write_json
    try:
        parts = dict(json.loads((out / "run.json").read_text())["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        parts = {}
    parts[part] = what
    ordered = {k: parts[k] for k in ("networks", "training", "scaling") if k in parts}
    packages = {p: version(p) for p in ("refgrad", "numpy", "torch", "python-flint", "pandas", "matplotlib")}
    versions = [f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in packages.items()), _machine()]
    write_json({"parts": ordered, "what": list(ordered.values()), "versions": ", ".join(versions)}, out / "run.json")


def _machine():
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _page(out):
    from .report.page import write_page
    write_page(out)
    console.print(f"[bold]{escape(str(out / 'index.html'))}[/bold]", soft_wrap=True)


def _bar():
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                    TimeElapsedColumn(), console=aside, disable=not aside.is_terminal)


def complain(message):
    aside.print(message, style="red" if message.startswith("error") else "yellow", markup=False, soft_wrap=True)


main = app
