"""Training of three networks: how it is run, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import Outcome
from . import run as training
from .nets import NETS
from .plots import plot_training


def run(options, watch):
    with watch("training", training.count(options.quick)) as tick:
        frame = training.run_training(options.seed, options.quick, tick)
    left_out = [net.name for net in NETS if net.name not in set(frame["net"])]
    notes = [f"{' and '.join(left_out)} skipped: they need scikit-learn (pip install scikit-learn)"]
    return Outcome(
        len(frame), tables=[frame], files={"training.png": partial(plot_training, frame)},
        about=f"{frame['step'].max()} steps of training {frame['net'].nunique()} networks, "
              f"seed {options.seed}", notes=notes if left_out else [])


def sections(folder, frame):
    last = frame[frame["step"] == frame["step"].max()]
    text = ["Each network is trained by refgrad and by torch in lockstep: from the same "
            "parameters, on the same batches. Each one's gradient is compared with the exact "
            "gradient at its own parameters."]
    text += [_line(net, frame[frame["net"] == net.name])
             for net in NETS if net.name in set(frame["net"])]
    return [section("Real networks, trained", text, images(folder, "training.png"),
                    [table(last, "The last step")])]


def _line(net, rows):
    """What one network learned, and how far the two are apart."""
    steps = rows["step"].max()
    last = rows[rows["step"] == steps].set_index(["dtype", "library"])
    learned = last["accuracy"].loc["float32"] * 100
    apart, off = (", ".join(f"{size:.1g} in {dtype}" for dtype, size in of.items()) for of in (
        last["distance"].groupby("dtype").max(), rows.groupby("dtype")["gradient_error"].max()))
    return (f"The {net.name} learns {net.task}: after {steps} steps in float32, "
            f"{learned['refgrad']:.1f} % of the test set are right by refgrad and "
            f"{learned['torch']:.1f} % by torch. The relative distance of their parameters is "
            f"{apart}; the largest relative error of a gradient is {off}.")
