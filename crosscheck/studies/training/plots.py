"""The plot of training: one network, refgrad and torch in lockstep."""

import numpy as np

from ...report.style import COLORS, plot, plt

# The curves of the two lie on each other, so one is broad and pale, the other thin and on top.
LINES = {"refgrad": {"lw": 4.5, "alpha": 0.45}, "torch": {"lw": 1.3}}
MARKS = {"refgrad": {"marker": "o", "ms": 7, "alpha": 0.5}, "torch": {"marker": "o", "ms": 3}}


@plot()
def plot_training(frame):
    """Loss, test accuracy, error of the gradients and distance of the trajectories, against the step."""
    figure, axes = plt.subplots(2, 2, figsize=(10.5, 6.6), sharex=True, layout="constrained")
    learned = frame[frame["dtype"] == frame["dtype"].iloc[0]]
    _curves(axes[0, 0], learned, "loss", LINES)
    axes[0, 0].set(title="loss of each batch", ylim=(0, None))
    measured = learned[learned["accuracy"].notna()]
    _curves(axes[0, 1], measured.assign(accuracy=100 * measured["accuracy"]), "accuracy",
            {k: {**LINES[k], **MARKS[k]} for k in LINES})
    axes[0, 1].set(title="test accuracy, %", ylim=(0, 102))
    for ax in axes[0]:
        _names(ax)
    _errors(axes[1, 0], frame)
    _distances(axes[1, 1], frame[frame["step"] > 0])
    for ax in axes[1]:
        ax.set_xlabel("step")
    for ax in axes.flat:
        ax.title.set_ha("left")
        ax.title.set_x(0)
        ax.grid(lw=0.4, alpha=0.6)
    figure.suptitle(_title(learned), x=0.01, ha="left", fontsize=11)
    return figure


def _title(learned):
    last = learned[learned["step"] == learned["step"].max()].set_index("library")["accuracy"] * 100
    return (f"Digits, learned in {learned['dtype'].iloc[0]} by refgrad to {last['refgrad']:.1f} % and by torch to "
            f"{last['torch']:.1f} % in {learned['step'].max()} steps")


def _curves(ax, rows, column, styles):
    for library, color in COLORS.items():
        of = rows[rows["library"] == library]
        ax.plot(of["step"], of[column], color=color, **styles[library])


def _names(ax):
    """Which is which, in the middle on the right, where neither a falling nor a rising curve is."""
    for n, (library, what) in enumerate({"refgrad": "broad", "torch": "thin"}.items()):
        color = COLORS[library]
        ax.text(0.6, 0.5 - 0.1 * n, f"{library} ({what})", color=color, transform=ax.transAxes, fontweight="bold")


def _errors(ax, frame):
    measured = frame[frame["gradient_error"].notna()]
    for dtype, rows in measured.groupby("dtype"):
        _curves(ax, rows, "gradient_error", LINES)
        ax.axhline(np.finfo(dtype).eps, color="#999999", lw=0.8, ls="--")
        ax.text(0, np.finfo(dtype).eps / 2, f"eps of {dtype}", color="#777777", fontsize=8, va="top")
        ax.text(frame["step"].max(), rows["gradient_error"].max() * 3, dtype, ha="right", fontweight="bold")
    ax.set(yscale="log", title="error of the gradient, relative to the exact one")
    ax.set_ylim(np.finfo("float64").eps / 30, measured["gradient_error"].max() * 100)


def _distances(ax, frame):
    rows = frame[frame["library"] == "refgrad"]  # the same in both
    for dtype, of in rows.groupby("dtype"):
        ax.plot(of["step"], of["distance"], color="black", lw=1.5)
        ax.text(of["step"].max(), of["distance"].max() * 3, dtype, ha="right", fontweight="bold")
    ax.set(yscale="log", title="distance between refgrad's parameters and torch's, relative")
    ax.set_ylim(rows["distance"].replace(0, np.nan).min() / 30, rows["distance"].max() * 100)
