"""The main job: random networks through refgrad, torch and differences on balls."""

from enum import StrEnum
from typing import Annotated

import typer

from ..options import CLUSTER, DEVICE, OUT, QUICK, SEED, WORKERS, option, parameter
from ..study import Command, Study, Table

#: Columns of errors.csv.gz: a row for each network, parameter, differentiator, mode and dtype.
COLUMNS = ("network", "parameter", "differentiator", "mode", "dtype", "ulp_max", "ulp_median",
           "rel_error", "error_over_bound", "bound", "digits", "verdict", "note")

ERRORS = Table("errors.csv.gz", COLUMNS, (
    "ulp_max", "ulp_median", "rel_error", "error_over_bound", "digits"), needed=False)
LAYERS = Table("layers.csv", (
    "layer", "differentiator", "dtype", "digits_min", "ulp_median", "ulp_max"),
    ("digits_min", "ulp_median", "ulp_max"), shown=False)
FINDINGS = Table("findings.csv", (
    "differentiator", "verdict", "mode", "layer", "networks", "with_layer", "simplest", "note"),
    ("networks", "with_layer"), needed=False)
TORCH_FINDINGS = Table("torch_findings.csv", (
    "layer", "mode", "dtype", "network", "program", "torch", "exact", "ulps", "verdict"),
    ("torch", "exact", "ulps"), needed=False)
REFGRAD_FINDINGS = Table("refgrad_findings.csv", (
    "layer", "mode", "dtype", "network", "program", "refgrad", "exact", "ulps", "verdict",
    "primitive", "rule", "factor", "says"), ("refgrad", "exact", "ulps", "factor"), needed=False)
COVERAGE = Table("coverage.csv", ("kind", "first", "second", "met"), ("met",), needed=False)


class Dtype(StrEnum):
    float32 = "float32"
    float64 = "float64"


COUNT = option("networks", int | None, None, "--networks", min=1,
               max=1000, help="How many networks.",
               show_default="240, which meet every layer and every pair of families; "
                            "60 with --quick")
DTYPE = option("dtype", list[Dtype] | None, None, "--dtype", help="Give it twice for both.",
               show_default="both")
LIBRARY = option("library", list[str] | None, None, "--library", metavar="NAME",
                 help="Whose derivatives are checked; may be repeated. JAX takes part as jax, "
                      "if it is installed.", show_default="refgrad and torch")
ID = parameter("id", Annotated[str, typer.Argument(
    metavar="ID", help="A network's id, as in errors.csv.gz: full-0-17.")])

RUN = Command("run", """
Check the derivatives of random networks. Writes errors.csv.gz, layers.csv, findings.csv,
coverage.csv and plots.

240 networks take two minutes of processor time, which the processes share, --quick one.

Examples:

- `python -m crosscheck run --networks 20 --seed 7 --dtype float32 --out /tmp/try`

- `python -m crosscheck run --networks 20 --library refgrad --library jax --out /tmp/try`

- `python -m crosscheck run --device cuda --out /tmp/gpu`
""", (COUNT, SEED, OUT, DTYPE, LIBRARY, DEVICE, QUICK, WORKERS, CLUSTER))

CAMPAIGN = Command("campaign", """
Check very many networks. The results are written part by part, so that a run that is stopped can go
on; see docs/campaigns.md, which also says how long it takes.

Examples:

- `python -m crosscheck campaign --networks 100000 --small --out /data/campaign --workers 32`

- `python -m crosscheck campaign --networks 100000 --small --out /data/campaign --resume
  --cluster tcp://10.0.0.1:8786`
""", (option("networks", int | None, None, "--networks", min=1, max=10 ** 12,
             help="How many networks.", show_default="240"),
      SEED, OUT, DTYPE, LIBRARY, DEVICE,
      option("small", bool, False, "--small", help="Small networks, of one or two layers and a "
             "loss: a seventh of the time."),
      WORKERS, CLUSTER,
      option("part", int, 100, "--part", min=1, max=100_000,
             help="How many networks go into one file."),
      option("resume", bool, False,
             "--resume", help="Continue the campaign that is in the folder.")),
    f"{__name__}.campaign:run")

LIST = Command("list", """
List the networks that a run of this seed checks, and the layers and pairs of families that it
misses.

Example: `python -m crosscheck list --networks 40 --seed 7`
""", (COUNT, SEED, QUICK), f"{__name__}.commands:list_networks")

REPLAY = Command("replay", """
Check one network again and show everything: program, arrays, exact derivatives, all verdicts. It
takes seconds.

Example: `python -m crosscheck replay full-0-17 --dtype float64`
""", (ID, DTYPE, LIBRARY, DEVICE), f"{__name__}.commands:replay")

NETWORKS = Study(
    "networks", RUN, (ERRORS, LAYERS, FINDINGS, TORCH_FINDINGS, REFGRAD_FINDINGS, COVERAGE),
    f"{__name__}.report", default=True, heads=True, commands=(CAMPAIGN, LIST, REPLAY))
