"""The command line: `python -m crosscheck`, or `crosscheck`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape
from typer.core import TyperGroup

from .report import parts
from .report.terminal import aside, complain, console, plain_table


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

    Without a command: the main job. It checks networks, derives gradients, trains a network on real data, measures how
    the cost of gradients grows, and writes tables, plots and **index.html** into the folder **reports**.

    Examples:

    - `python -m crosscheck --quick --out /tmp/try`    everything, on a smaller scale, in half a minute

    - `python -m crosscheck run --networks 20 --seed 7 --dtype float32`    twenty networks of seed 7

    - `python -m crosscheck replay full-0-17`    one network again, with all that is known about it

    - `python -m crosscheck check mylayers:gelu --shape 4,5`    the derivatives of a function of your own
    """
    if context.invoked_subcommand is None:
        parts.prepare(out)
        parts.networks(seed, None, out, quick, workers, _dtypes(None))
        proved = parts.derivations(seed, out, quick, workers)
        parts.training(seed, out, quick)
        parts.scaling(seed, out, quick)
        parts.page(out)
        if not proved:
            raise typer.Exit(1)


@app.command()
def run(networks: Count = None, seed: Seed = 0, out: Out = Path("reports"), dtype: Dtypes = None, quick: Quick = False,
        workers: Workers = 2):
    """Check random networks: errors.csv, layers.csv, coverage.csv and their plots.

    Example: `python -m crosscheck run --networks 20 --seed 7 --dtype float32 --out /tmp/try`
    """
    parts.prepare(out)
    parts.networks(seed, networks, out, quick, workers, _dtypes(dtype))
    parts.page(out)


@app.command()
def scaling(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Measure reverse against forward mode: time and memory against size, and where they cross. Writes scaling.csv.

    Example: `python -m crosscheck scaling --quick --out /tmp/try`
    """
    parts.prepare(out)
    parts.scaling(seed, out, quick)
    parts.page(out)


@app.command()
def derivations(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False, workers: Workers = 2,
                random: Annotated[int | None, typer.Option(min=0, show_default="100, 10 if quick", help=(
                    "How many random expressions to derive beside."))] = None):
    """Derive gradients, of worked examples, of every rule, of classical and of random expressions, and prove them.

    Writes **derivations.html**, the book of derivations, and derivations.csv; exit status 1 if anything in it is not
    proved. The errors of torch are those of layers.csv, if it is in the folder.

    Example: `python -m crosscheck derivations --quick --out /tmp/try`
    """
    parts.prepare(out)
    proved = parts.derivations(seed, out, quick, workers, random)
    parts.page(out)
    raise typer.Exit(0 if proved else 1)


@app.command()
def faults(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False, workers: Workers = 2):
    """Put the checker on trial: mistakes planted in the rules, right gradients, and other checkers beside it.

    Writes faults.csv (is each mistake noticed, and pinned on its primitive?), checkers.csv, false_alarms.csv and
    checker_seconds.csv. JAX and HIPS autograd take part if they are installed.

    Example: `python -m crosscheck faults --quick --out /tmp/try`
    """
    parts.prepare(out)
    parts.faults(seed, out, quick, workers)
    parts.checkers(seed, out, quick, workers)
    parts.page(out)


@app.command()
def training(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Train a network on the handwritten digits, by refgrad and by torch in lockstep. Writes training.csv.

    Example: `python -m crosscheck training --quick --out /tmp/try`
    """
    parts.prepare(out)
    parts.training(seed, out, quick)
    parts.page(out)


@app.command()
def speed(out: Out = Path("reports"), seed: Seed = 0, quick: Quick = False):
    """Measure speed, memory and throughput: refgrad against NumPy by hand, torch, JAX and others; the peak of its memory
    against what must be kept; networks checked in a second against torch's gradcheck. Writes speed.csv, speed_profile.csv,
    memory.csv, throughput.csv, throughput_time.csv and their plots.

    Everything has one thread; it takes eight minutes, --quick one. torch.compile (not with --quick), JAX, HIPS autograd
    and MyGrad take part if they are installed.

    Example: `python -m crosscheck speed --quick --out /tmp/try`
    """
    parts.prepare(out)
    parts.speed(seed, out, quick)
    parts.memory(seed, out, quick)
    parts.throughput(seed, out, quick)
    parts.page(out)


@app.command("list")
def list_networks(networks: Count = None, seed: Seed = 0, quick: Quick = False):
    """List the networks that a run of this seed checks, and the layers and pairs of layers that it misses.

    Example: `python -m crosscheck list --networks 40 --seed 7`
    """
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
    from .studies.networks import examine
    try:
        network = network_of_id(id)
    except ValueError as error:
        complain(f"error: {error}")
        raise typer.Exit(2) from None
    console.print(terminal.description(network))
    with aside.status("differentiating in ball arithmetic, refgrad and torch"):
        truth, rows = examine(network, _dtypes(dtype))
    console.print(terminal.findings(network, truth, rows))
    from .locate.findings import explained
    with aside.status("looking for the fault, and for the smallest program that shows it"):
        said = list(explained(network, rows))
    for text, program in said:
        console.print("", text, sep="\n", markup=False)
        console.print(program, markup=False, soft_wrap=True)  # a program must not be wrapped


#: How a function is named on the command line.
NAME = "MODULE:FUNCTION"


@app.command("check")
def check_function(
        target: Annotated[str, typer.Argument(
            metavar=NAME, help="The function, Module or autograd.Function to check, as in mypackage.layers:gelu.")],
        shape: Annotated[Optional[list[str]], typer.Option(
            metavar="N,M", help="The shape of an input, drawn at random; once for each ('' for a number).")] = None,
        inputs: Annotated[Optional[str], typer.Option(
            metavar=NAME, help="A function that returns the tuple of inputs, in the place of --shape.")] = None,
        gradient: Annotated[Optional[str], typer.Option(metavar=NAME, help="Its gradient: g(*inputs).")] = None,
        vjp: Annotated[Optional[str], typer.Option(metavar=NAME, help="Its vjp: v(g, *inputs).")] = None,
        jvp: Annotated[Optional[str], typer.Option(metavar=NAME, help="Its jvp: j(tangents, *inputs).")] = None,
        reference: Annotated[Optional[str], typer.Option(
            metavar=NAME, help="The same function in NumPy, by whose exact gradient it is measured.")] = None,
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
    from .studies.networks import DTYPES
    return tuple(dict.fromkeys(d.value for d in chosen)) if chosen else DTYPES


main = app
