"""The parts of the report: each is made with a bar that tells how far it is, written, and noted in run.json.

An interrupted part writes what is finished, and then ends the command.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from importlib.metadata import version

import typer
from rich.markup import escape

from .terminal import bar, complain, console, plain_table

#: The parts in the order of the page.
ORDER = ("networks", "derivations", "faults", "checkers", "training", "scaling", "speed", "memory", "throughput")


def prepare(out):
    """Make the folder, and find out now, not after minutes of work, that it cannot be written into."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        complain(f"error: cannot write into {out}: {error.strerror}; choose another folder with --out")
        raise typer.Exit(2) from None


def networks(seed, count, out, quick, workers, dtypes):
    """Random networks, checked: errors.csv, layers.csv, findings.csv, torch_findings.csv, coverage.csv ...
    and their plots."""
    from ..networks.draw import PROFILES
    from ..studies.networks import run
    profile = PROFILES["quick" if quick else "full"]
    count = count or profile.networks
    result = _watched("checking networks", count, lambda tick: run(seed, count, profile.name, dtypes, workers, tick))
    finished = len(result.networks)
    what = (f"{finished} random networks of seed {seed} ({profile.name}), "
            f"{sum(n.size for n in result.networks):,} numbers to differentiate, in {' and '.join(dtypes)}")
    if result.stopped:
        what += f"; {result.stopped}, {count} were asked for"
    if finished:
        write_networks(result, out, what)
    _end_if(result.stopped, f"{finished} of {count} networks are checked", finished, out)


def write_networks(result, out, what):
    from ..locate import refgrad_findings, torch_findings
    from . import plots, tables
    errors = tables.errors_table(result.rows)
    coverage = tables.coverage_table(result.coverage)
    tables.write_table(errors, out / "errors.csv")
    tables.write_table(tables.layers_table(errors, result.networks), out / "layers.csv")
    tables.write_table(tables.findings_table(errors, result.networks), out / "findings.csv")
    tables.write_table(torch_findings(errors, result.networks), out / "torch_findings.csv")
    tables.write_table(refgrad_findings(errors, result.networks), out / "refgrad_findings.csv")
    tables.write_table(coverage, out / "coverage.csv")
    about(out, "networks", what)
    with tables.replacing(out / "errors.png") as path:
        plots.plot_errors(errors, result.networks, path)
    with tables.replacing(out / "digits.png") as path:
        plots.plot_digits(errors, result.networks, path)
    with tables.replacing(out / "coverage.png") as path:
        plots.plot_coverage(coverage, path)
    show(tables.verdict_counts(errors).reset_index(), ("differentiator", "dtype", "mode"))


def derivations(seed, out, quick, workers, random=None):
    """The book of derivations: derivations.html and derivations.csv.  Returns whether all of it is proved."""
    from ..studies.derivations import book
    from ..studies.derivations.layers import ulps_of_primitives
    from . import tables
    from .page_derivations import write_derivations
    count = len(book.contents(quick, random))
    result = _watched("deriving", count, lambda tick: book.book(seed, quick, workers, tick, random))
    finished = len(result.entries)
    if finished:
        try:
            ulps = ulps_of_primitives(tables.read_table(out / "layers.csv"))
        except tables.ReportError:
            ulps = {}  # torch's errors are what a run of networks finds
        frame = book.derivations_table(result.entries, ulps)
        tables.write_table(frame, out / "derivations.csv")
        write_derivations(result.entries, frame, out / "derivations.html")
        about(out, "derivations", f"the book of derivations: {finished:,} entries, proved at points of seed {seed}" +
              (" (a few of each family)" if quick else "") +
              (f"; {result.stopped}, {count:,} were to be made" if result.stopped else ""))
        console.print(book.sentence(frame), markup=False)
        for entry in result.failed:
            complain(f"not proved: {entry.id}: {entry.failed}")
    _end_if(result.stopped, f"{finished:,} of {count:,} derivations are made", finished, out)
    return not result.failed


def faults(seed, out, quick, workers):
    """Mistakes planted in the rules: faults.csv and its plot."""
    from ..studies.faults import trial
    from ..studies.faults.planting import chosen
    from . import tables
    from .plots_faults import plot_faults
    profile = "quick" if quick else "full"
    count = len(chosen(profile))
    result = _watched("planting faults", count, lambda tick: trial.trial(seed, profile, workers, tick))
    finished = len(result.rows)
    if finished:
        frame = trial.faults_table(result.rows)
        tables.write_table(frame, out / "faults.csv")
        with tables.replacing(out / "faults.png") as path:
            plot_faults(frame, path)
        about(out, "faults", f"{finished:,} faults planted in the rules, seed {seed} ({profile})" +
              (f"; {result.stopped}, {count:,} were to be tried" if result.stopped else ""))
        console.print(trial.sentence(frame), markup=False)
    _end_if(result.stopped, f"{finished:,} of {count:,} faults are tried", finished, out)


def checkers(seed, out, quick, workers):
    """The other gradient checkers on the same faults, and all on right gradients: checkers.csv, false_alarms.csv,
    checker_seconds.csv and a plot."""
    import pandas as pd

    from ..studies.checkers import compare, torch_seconds
    from ..studies.checkers import tables as of_peers
    from . import tables
    from .plots_checkers import plot_checkers
    tasks = compare.tasks(seed, quick)

    def study(tick):
        result = compare.compare(tasks, workers, tick)
        return result, [] if result.stopped else torch_seconds.measure(seed, quick, tick)

    result, seconds = _watched("comparing checkers", len(tasks) + len(torch_seconds.LAYERS), study)
    finished = len(result.right) + len(result.faults)
    if finished:
        frame = of_peers.checkers_table(result.right, result.faults)
        tables.write_table(of_peers.false_alarms_table(result.right), out / "false_alarms.csv")
        tables.write_table(frame, out / "checkers.csv")
        if seconds:
            tables.write_table(pd.DataFrame(seconds), out / "checker_seconds.csv")
        with tables.replacing(out / "checkers.png") as path:
            plot_checkers(frame, path)
        right = {r["case"] for r in result.right if r["subject"] == "refgrad"}
        planted = {r["fault"] for r in result.faults}
        about(out, "checkers", f"{len(right):,} right gradients and {len(planted):,} planted faults of seed {seed} put "
                               f"to {frame['checker'].nunique()} checkers" +
              (f"; {result.stopped}" if result.stopped else ""))
        show(of_peers.side_by_side(frame), ("checker",))
    _end_if(result.stopped, "the comparison of checkers was not finished", finished, out)


def training(seed, out, quick):
    """A network trained on the digits: training.csv and its plot."""
    from ..studies import training as study
    from . import tables
    frame = _watched("training on the digits", study.count(quick), lambda tick: study.run_training(seed, quick, tick))
    if frame is None:
        complain("training skipped: it needs scikit-learn (pip install scikit-learn)")
        return
    from .plots_training import plot_training
    tables.write_table(frame, out / "training.csv")
    with tables.replacing(out / "training.png") as path:
        plot_training(frame, path)
    about(out, "training", f"{int(frame['step'].max())} steps of training on the 8x8 digits, seed {seed}")


def scaling(seed, out, quick):
    """How the cost of gradients grows: scaling.csv and its plots."""
    from ..studies.scaling import study
    from . import plots_scaling, tables
    frame = _watched("measuring how cost grows", study.count(quick), lambda tick: study.run_scaling(seed, quick, tick))
    tables.write_table(frame, out / "scaling.csv")
    for name, plot in (("scaling", plots_scaling.plot_gradient), ("jacobian", plots_scaling.plot_jacobian),
                       ("cheap_gradient", plots_scaling.plot_cheap_gradient)):
        with tables.replacing(out / f"{name}.png") as path:
            plot(frame, path)
    about(out, "scaling", f"the cost of gradients up to {int(frame['parameters'].max()):,} parameters, on {_machine()}")


def speed(seed, out, quick):
    """Value and gradient, against NumPy by hand and other frameworks: speed.csv and its plot."""
    from ..studies.speed import aims, measure, profile
    from . import tables
    from .plots_speed import plot_speed
    count = len(measure.tasks(quick))
    result = _watched("comparing speed", count, lambda tick: measure.run_speed(seed, quick, tick))
    frame = result.frame
    finished = len(frame[["problem", "dtype"]].drop_duplicates())
    if finished:
        tables.write_table(frame, out / "speed.csv")
        if not result.stopped:
            tables.write_table(profile.run_profile(seed, 0.1 if quick else 0.5), out / "speed_profile.csv")
        with tables.replacing(out / "speed.png") as path:
            plot_speed(frame, path)
        about(out, "speed", f"the speed of {frame['contender'].nunique()} contenders on "
                            f"{frame['problem'].nunique()} programs, one thread each, seed {seed}, on "
                            f"{measure.machine()}" + (f"; {result.stopped}" if result.stopped else ""))
        console.print(aims.sentence(frame), markup=False)
        for note in dict.fromkeys(f"{r.contender}, {r.problem}: {r.note}" for r in frame.itertuples() if r.note):
            complain(note)
    _end_if(result.stopped, f"{finished} of {count} comparisons are made", finished, out)


def memory(seed, out, quick):
    """Peak memory of value and gradient, with checkpoint and without: memory.csv and its plot."""
    from ..studies.speed import memory as study
    from . import tables
    from .plots_memory import plot_memory
    count = len(study.tasks(quick))
    result = _watched("measuring memory", count, lambda tick: study.run_memory(seed, quick, tick))
    frame = result.frame
    finished = len(frame) // 2
    if finished:
        tables.write_table(frame, out / "memory.csv")
        with tables.replacing(out / "memory.png") as path:
            plot_memory(frame, path)
        about(out, "memory", f"the peak memory of {frame['problem'].nunique()} programs of up to {frame['depth'].max()} "
                             f"layers, seed {seed}" + (f"; {result.stopped}" if result.stopped else ""))
        console.print(study.sentence(frame), markup=False)
    _end_if(result.stopped, f"{finished} of {count} programs are measured", finished, out)


def throughput(seed, out, quick):
    """Networks checked in a second, and torch's gradcheck: throughput.csv, throughput_time.csv and their plot."""
    from ..studies.speed import throughput as study
    from . import tables
    from .plots_throughput import plot_throughput
    count = study.count(quick)
    result = _watched("measuring throughput", count, lambda tick: study.run_throughput(seed, quick, tick))
    frame, time = result.frame, result.time_frame
    if len(frame):
        tables.write_table(frame, out / "throughput.csv")
        tables.write_table(time, out / "throughput_time.csv")
        with tables.replacing(out / "throughput.png") as path:
            plot_throughput(frame, time, path)
        about(out, "throughput", f"{len(frame)} networks of seed {seed} checked by crosscheck and by torch's gradcheck"
                                 + (f"; {result.stopped}" if result.stopped else ""))
        console.print(study.sentence(frame, time), markup=False)
    _end_if(result.stopped, f"{len(frame)} of {count // 2} networks are measured", len(frame), out)


def _watched(doing, count, study):
    """What ``study(tick)`` returns, while a bar shows how far it is."""
    with bar() as progress:
        task = progress.add_task(doing, total=count)
        return study(lambda *_, **__: progress.advance(task))


def page(out):
    """index.html, from the files in the folder."""
    from .page import write_page
    write_page(out)
    console.print(f"[bold]{escape(str(out / 'index.html'))}[/bold]", soft_wrap=True)


def about(out, part, what):
    """Note in run.json what a part of the report was made from."""
    from .tables import write_json
    try:
        parts = dict(json.loads((out / "run.json").read_text())["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        parts = {}
    parts[part] = what
    ordered = {k: parts[k] for k in ORDER if k in parts}
    packages = {p: version(p) for p in ("refgrad", "numpy", "torch", "python-flint", "pandas", "matplotlib")}
    versions = [f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in packages.items()), _machine()]
    write_json({"parts": ordered, "what": list(ordered.values()), "versions": ", ".join(versions)}, out / "run.json")


def show(frame, names):
    """A small frame in the terminal; `names` are its columns of text."""
    table = plain_table(*frame.columns, right=[c for c in frame.columns if c not in names], whole=names)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row))
    console.print(table)


def _end_if(stopped, how_far, finished, out):
    """End the command if a part was stopped, once the page has what is finished."""
    if not stopped:
        return
    complain(f"{stopped}: {how_far}" + (", and in the report" if finished else "; the report is as it was"))
    if finished:
        page(out)
    raise typer.Exit(130 if stopped == "interrupted" else 1)


def _machine():
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
