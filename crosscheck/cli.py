"""The command line: `python -m crosscheck`, or `crosscheck`.

Its commands are those of the studies, and `check`.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Annotated

import typer
from typer.core import TyperGroup

from .report.errors import ReportError
from .report.terminal import OutputError, complain, console
from .sharing import ClusterError
from .studies import runner
from .studies.catalogue import STUDIES
from .studies.options import CLUSTER, OUT, QUICK, SEED, WORKERS, parameter


class Commands(TyperGroup):
    """The commands; Ctrl-C and errors of the user end each with one line, without a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ClusterError, OutputError, ReportError) as error:
            complain(f"error: {error}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            complain("interrupted; the files written so far are whole")
            raise typer.Exit(130) from None


def application(studies):
    """The command line of these studies."""
    app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode="markdown",
                      context_settings={"help_option_names": ["-h", "--help"]})

    def default(context, **options):
        if context.invoked_subcommand is None:
            runner.run([s for s in studies if s.default], studies, asked=False, **options)

    app.callback(invoke_without_command=True, help=EVERYTHING)(
        with_options(default,
                     (parameter("context", typer.Context), QUICK, SEED, OUT, WORKERS, CLUSTER)))
    commands = [s.command for s in studies] + [c for s in studies for c in s.commands]
    for command in dict.fromkeys(commands):
        app.command(command.name, help=command.help)(
            with_options(action(command, studies), command.options))
    app.command("check")(check_function)
    return app


def action(command, studies):
    """What a command does with its options."""
    if command.do:
        return lambda **options: resolve_name(command.do)(SimpleNamespace(**options))
    chosen = [s for s in studies if s.command is command]
    return lambda **options: runner.run(chosen, studies, **options)


def with_options(function, options):
    """The function with a signature that tells typer the options."""
    def called(**values):
        return function(**values)
    called.__signature__ = inspect.Signature(options)
    return called


#: The help of the whole, and of what is run without a command.
EVERYTHING = """
Check gradients without tolerances, by ball (interval) arithmetic: yours, those of refgrad, those
of torch.

Your own function is checked by the command **check**. Without a command the main job is run: it
checks random networks, puts some of torch's operations on trial, derives gradients, trains networks
on real data, measures how the cost of gradients grows, and writes tables, plots and **index.html**
into the folder **reports**. --quick takes two minutes of processor time, shared by two processes;
all of it takes several minutes.

Examples:

- `python -m crosscheck --quick --out /tmp/try`    everything, on a smaller scale

- `python -m crosscheck run --networks 20 --seed 7 --dtype float32`    twenty networks of seed 7

- `python -m crosscheck replay full-0-17`    one network again, with all that is known about it

- `python -m crosscheck check mylayers:gelu --shape 4,5`    the derivatives of your own function
"""


#: How a function is named on the command line.
NAME = "MODULE:FUNCTION"


def named(help):
    """An option that names a function."""
    return Annotated[str | None, typer.Option(metavar=NAME, help=help)]


def check_function(
        target: Annotated[str, typer.Argument(
            metavar=NAME, help="The function, Module or autograd.Function to check, as in "
            "mypackage.layers:gelu or path/to/file.py:gelu.")],
        shape: Annotated[list[str] | None, typer.Option(
            metavar="N,M", help="The shape of an input, drawn at random; once for each ('' for a "
                                "number).")] = None,
        inputs: named("A function that returns the tuple of inputs, in the place "
                      "of --shape; needed for integers, masks and other inputs that are not normal "
                      "numbers.") = None,
        gradient: named("Its gradient: g(*inputs).") = None,
        vjp: named("Its vjp: v(g, *inputs).") = None,
        jvp: named("Its jvp: j(tangents, *inputs).") = None,
        reference: named("The same function in NumPy; its exact gradient is the reference.") = None,
        surrogate: named("The NumPy function whose gradient a straight-through estimator stands "
                         "for.") = None,
        argnums: Annotated[str | None, typer.Option(
            metavar="I,J", help="Positions of the inputs to differentiate, from 0.",
            show_default="all floats")] = None,
        order: Annotated[int,
                         typer.Option(min=1, max=2, help="1 checks first derivatives only.")] = 2,
        mode: Annotated[list[str] | None, typer.Option(
            "--mode", "--modes", metavar="NAME", show_default="all",
            help="Check this mode only, as in 'reverse' or 'forward over reverse'; "
                 "may be repeated.")] = None,
        symmetric: Annotated[list[str] | None, typer.Option(
            metavar="NAME", help="An input that is a symmetric matrix; may be repeated.")] = None,
        dtype: Annotated[list[str] | None, typer.Option(
            metavar="NAME", help="Test in this dtype only, as in bfloat16; may be repeated.",
            show_default="float64 and float32")] = None,
        quick: Annotated[bool, typer.Option("--quick",
                                            help="Only first derivatives, at few points.")] = False,
        thorough: Annotated[bool, typer.Option(
            "--thorough",
            help="Check all points, even after a clear failure at the given inputs.")] = False,
        seed: Annotated[int, typer.Option(
            min=0, help="Seed of the random points; the same seed gives the same result.")] = 0,
        csv: Annotated[Path | None, typer.Option(dir_okay=False,
                                                 help="Write every verdict to this file.")] = None):
    """Check the derivatives of your own function. It takes seconds if that is small.

    Exit status: 0 if they are right, 1 if anything is wrong, 3 if some derivative could not be
    decided, 2 if the function could not be checked.

    Examples:

    - `python -m crosscheck check numpy:tanh --shape 4,5`

    - `python -m crosscheck check mylayers.py:Gelu --shape 4,5`

    - `python -m crosscheck check mylayers:softmax --vjp mylayers:softmax_vjp --shape 3,4`

    - `python -m crosscheck check mylayers:loss --inputs mylayers:batch --argnums 0 --order 1`

    - `python -m crosscheck check torch.nn.functional:gelu --reference refgrad.nn:gelu --shape 4,5
      --dtype bfloat16`
    """
    from .checker import check
    from .checker.command import UserError, called, drawn, imported, no_exit, positions
    from .checker.report import STATUS
    from .report.tables import writable, write_table
    if csv is not None:
        writable(csv)
    try:
        f = imported(target)
        functions = {name: imported(path) for name, path in (
            ("gradient", gradient), ("vjp", vjp), ("jvp", jvp), ("reference", reference),
            ("surrogate", surrogate))
            if path}
        given = called(inputs) if inputs else drawn(shape, seed)
        given = given if isinstance(given, (tuple, list)) else (given,)
        with no_exit(target):
            report = check(f, *given, argnums=positions(argnums), order=order, modes=mode or None,
                           symmetric=tuple(symmetric or ()), quick=quick, thorough=thorough,
                           dtypes=tuple(dtype) if dtype else None, seed=seed, **functions)
    except (UserError, ImportError, AttributeError, TypeError, ValueError) as error:
        drew = "at the inputs: " in str(error) and not inputs
        complain(f"error: {error}{_advice(str(error)) if drew else ''}")
        raise typer.Exit(2) from None
    console.print(report)
    if csv is not None:
        write_table(report.to_frame(), csv)
    raise typer.Exit(STATUS[report.outcome])


def _advice(error):
    """What to do where the function raises an error at inputs that were drawn."""
    if "missing" in error and "argument" in error:
        return "; give --shape once for each input, as in --shape 4,5 --shape 5"
    return "; --inputs MODULE:FUNCTION gives inputs that are no normal numbers, such as integers"


app = application(STUDIES)


def main():
    """The program: it prints UTF-8 in any locale; a file that cannot be read or written ends it
    with one line."""
    if sys.stdout is None:
        complain("error: standard output is closed")
        sys.exit(2)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        complain(f"error: {error.filename or 'standard output'}: {error.strerror or error}")
        _leave_unprinted()
        sys.exit(2)


def _leave_unprinted():
    """Discard the output that is still buffered: Python would fail at it once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
