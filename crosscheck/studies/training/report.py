"""Training on the handwritten digits: how it is run, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import Outcome
from . import run as training
from .plots import plot_training


def run(options, watch):
    with watch("training on the digits", training.count(options.quick)) as tick:
        frame = training.run_training(options.seed, options.quick, tick)
    if frame is None:
        return Outcome(notes=["training skipped: it needs scikit-learn (pip install scikit-learn)"])
    return Outcome(
        len(frame), tables=[frame], files={"training.png": partial(plot_training, frame)},
        about=f"{int(frame['step'].max())} steps of training on the 8x8 digits, seed {options.seed}")


def sections(folder, frame):
    last = frame[frame["step"] == frame["step"].max()]
    return [section("A real network on real data",
                    ["A batch-norm network learns the 8x8 digits, by refgrad and by torch in "
                     "lockstep."], images(folder, "training.png"), [table(last, "The last step")])]
