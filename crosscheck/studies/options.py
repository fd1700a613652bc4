"""The options of the command line that several commands take, each written once."""

from enum import StrEnum
from inspect import Parameter
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    cpu = "cpu"
    cuda = "cuda"


def option(name, kind, default, *flags, **how):
    """An option of a command: its name, its type, its default, and what ``typer.Option`` takes."""
    return parameter(name, Annotated[kind, typer.Option(*flags, **how)], default)


def parameter(name, annotation, default=Parameter.empty):
    """A parameter of a command, as the signature that the command line is built from has it."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


SEED = option("seed", int, 0, min=0,
              help="Seed of all random numbers; the same seed gives the same tables.")
OUT = option("out", Path, Path("reports"), file_okay=False,
             help="The folder to write into; made if it is missing.")
QUICK = option("quick", bool, False, "--quick",
               help="Run everything on a smaller scale.")
WORKERS = option("workers", int, 2, min=1,
                 help="How many processes share the work; the tables do not depend on it.")
CLUSTER = option("cluster", str | None, None, "--cluster", metavar="ADDRESS",
                 help="The scheduler of a Dask cluster whose workers share the work instead, as in "
                      "tcp://10.0.0.1:8786; the tables do not depend on it.")
DEVICE = option("device", Device, Device.cpu, "--device",
                help="Where torch computes: on the processor, or on a GPU of CUDA.")
