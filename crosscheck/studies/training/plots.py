"""The plot of training: a row for each network, refgrad and torch in lockstep."""

import numpy as np

from ...report.style import COLORS, plot, plt
from .nets import NETS

# The curves of the two lie on each other, so one is broad and pale, the other thin and on top.
LINES = {"refgrad": {"lw": 4.5, "alpha": 0.45}, "torch": {"lw": 1.3}}

COLUMNS = ("loss of each batch", "test accuracy, %", "error of the gradient, relative",
           "distance of the parameters, relative")


@plot()
def plot_training(frame):
    """A column for each of `COLUMNS`, against the step."""
    nets = [net for net in NETS if net.name in set(frame["net"])]
    figure, axes = plt.subplots(len(nets), 4, figsize=(13, 0.8 + 2.5 * len(nets)), sharex=True,
                                sharey="col", squeeze=False, layout="constrained")
    for net, row in zip(nets, axes):
        _draw(net, row, frame[frame["net"] == net.name])
    for ax, title in zip(axes[0], COLUMNS):
        ax.set_title(title, loc="left")
    for ax in axes[-1]:
        ax.set_xlabel("step")
    for ax in axes.flat:
        ax.grid(lw=0.4, alpha=0.6)
        ax.tick_params(labelleft=True)
    _limits(axes[0], frame)
    _names(axes[0, 0])
    figure.suptitle(f"refgrad and torch train in lockstep for {frame['step'].max()} steps; black "
                    "dots: errors against the exact gradient", x=0.01, ha="left", fontsize=11)
    return figure


def _draw(net, row, frame):
    loss, accuracy, errors, distances = row
    learned = frame[frame["dtype"] == "float32"]
    _curves(loss, learned, "loss")
    measured = learned[learned["accuracy"].notna()]
    _curves(accuracy, measured.assign(accuracy=100 * measured["accuracy"]), "accuracy")
    last = 100 * measured.groupby("library")["accuracy"].last()
    for n, (library, color) in enumerate(COLORS.items()):
        accuracy.text(0.97, 0.2 - 0.12 * n, f"{last[library]:.1f} % by {library}", color=color,
                      transform=accuracy.transAxes, ha="right")
    loss.set_ylabel(f"{net.name}\n{net.task}", fontweight="bold")
    for dtype, rows in frame[frame["gradient_error"].notna()].groupby("dtype"):
        _curves(errors, rows, "gradient_error")
        exact = rows[rows["reference"] == "ball"]
        errors.plot(exact["step"], exact["gradient_error"], "o", ms=3.5, color="black")
        for ax in (errors, distances):
            ax.axhline(np.finfo(dtype).eps, color="#999999", lw=0.8, ls="--")
        _say(errors, frame, rows["gradient_error"].max(), dtype)
    after = frame[(frame["step"] > 0) & (frame["library"] == "refgrad")]  # the same in both
    for dtype, rows in after.groupby("dtype"):
        distances.plot(rows["step"], rows["distance"], color="black", lw=1.5)
        _say(distances, frame, rows["distance"].max(), dtype)


def _say(ax, frame, above, text):
    ax.text(frame["step"].max(), above * 4, text, ha="right", fontweight="bold")


def _curves(ax, rows, column):
    for library, color in COLORS.items():
        of = rows[rows["library"] == library]
        ax.plot(of["step"], of[column], color=color, **LINES[library])


def _names(ax):
    for n, (library, what) in enumerate({"refgrad": "broad", "torch": "thin"}.items()):
        ax.text(0.97, 0.85 - 0.12 * n, f"{library} ({what})", color=COLORS[library], ha="right",
                transform=ax.transAxes, fontweight="bold")


def _limits(row, frame):
    """The same limits for all nets."""
    loss, accuracy, errors, distances = row
    loss.set_ylim(0, None)
    accuracy.set_ylim(0, 104)
    for ax, column in ((errors, "gradient_error"), (distances, "distance")):
        eps = np.finfo("float64").eps
        ax.set(yscale="log", ylim=(eps / 30, frame[column].max() * 100))
    for dtype in frame["dtype"].unique():
        errors.text(0, np.finfo(dtype).eps / 2, f"eps of {dtype}", color="#777777", fontsize=8,
                    va="top")
