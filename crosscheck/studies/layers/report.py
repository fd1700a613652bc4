"""Layers: how they are compared with torch's, and their section of the page."""

from importlib.util import find_spec

from ...report.sections import section, table
from ..checkers.opinfo import NEEDS
from ..study import Outcome
from . import run as layers
from .comparison import TORCH
from .samples import entries


def run(options, watch):
    if find_spec(NEEDS) is None:
        return Outcome(notes=[f"layers skipped: torch's op database needs {NEEDS} "
                              f"(pip install {NEEDS})"])
    ops = entries()
    with watch("comparing layers", len(ops)) as tick:
        frame, stopped = layers.run_layers(options.seed, options.quick, tick, ops)
    return Outcome(
        len(frame), f"{len(frame)} of {len(ops)} entries are compared", [frame],
        about=f"{int(frame['samples'].sum()):,} samples of torch.nn.functional, "
              f"seed {options.seed}",
        said=layers.sentence(frame), stopped=stopped,
        failed=bool(frame["right"].str.contains(TORCH).any()))


def sections(folder, frame):
    """What was found, where the two differ and who is right, what is refused, each function."""
    text = [layers.sentence(frame) + ".",
            "Samples, references and wrong calls are those of torch's own op database. Each "
            "sample is given to both as it is, in float64: value, gradient, <w, J v> = <J' w, v>, "
            "and H v in three ways. Where they differ, the exact value or derivative of the entry "
            "that differs most is found in ball arithmetic, by differences of the value alone, and "
            "tells who is right."]
    here = frame[~frame["missing"].astype(bool)]
    found, shown = [], []
    differ = here[here["differ"] > 0]
    if len(differ):
        found.append(section(
            "Where refgrad.nn and torch differ",
            ["At these samples, with the exact value or derivative to tell who is right."],
            tables=[table(differ[["name", "variant", "differ", "stage", "how_far", "right"]],
                          code=("name",), long=("right",))], finding=True))
    for column, title, columns in (
            ("refused", "What refgrad refuses", ("reason",)),
            ("missed", "What torch refuses and refgrad does not", ("accepted",))):
        rows = here.assign(missed=here["errors"] - here["raised"])
        rows = rows[rows[column] > 0]
        if len(rows):
            shown.append(table(rows[["name", "variant", column, *columns]], title, code=("name",),
                               long=("reason", "accepted")))
    yes = {True: "yes", False: ""}
    modes = ["torch_forward", "torch_second", "forward", "second"]
    every = here[["name", "variant", "samples", "passed", "errors", "raised", *modes]].copy()
    every[modes] = every[modes].map(lambda x: yes[str(x) == "True"])
    shown.append(table(every.rename(columns={
        "torch_forward": "torch: forward mode", "torch_second": "torch: second order",
        "forward": "refgrad: forward mode", "second": "refgrad: second order"}),
        "Every function", code=("name",)))
    return [*found, section("Every layer at torch's own samples", text, tables=shown)]
