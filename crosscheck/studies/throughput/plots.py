"""How many networks are checked in a second: seconds of each against its size, and where a whole
check's time goes."""

from __future__ import annotations

import numpy as np

from ...report.style import COLORS, plot, plt

#: column of throughput.csv -> (color, marker, what it is)
SHOWN = {
    "check": ("#9ecae1", "o", "crosscheck: whole check, all modes and dtypes"),
    "both": ("#56B4E9", "s", "crosscheck: proof, first and second order"),
    "proof": (COLORS["refgrad"], "D", "crosscheck: proof of the gradient"),
    "gradcheck": (COLORS["torch"], "o", "torch gradcheck"),
    "gradgradcheck": ("#E69F00", "s", "torch gradgradcheck"),
}


@plot()
def plot_throughput(table, time):
    """From throughput.csv and throughput_time.csv."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), width_ratios=(3, 2),
                                         layout="constrained")
    _seconds(left, table)
    _phases(right, time[time["what"] == "phase"])
    return figure


def _seconds(ax, table):
    for column, (color, marker, what) in SHOWN.items():
        mean = len(table) / table[column].sum()  # in a second, of all networks together
        ax.plot(table["numbers"], table[column], marker, ms=3, alpha=0.4, color=color, mec="none")
        x, y = _middles(table["numbers"].to_numpy(), table[column].to_numpy())
        ax.plot(x, y, "-", color=color, lw=2, label=f"{what}: {mean:.3g} in a second")
    ax.set(xscale="log", yscale="log", xlabel="numbers that are differentiated in a network",
           ylabel="seconds")
    ax.set_title("Seconds to check a network: lower is faster", loc="left")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(lw=0.4, alpha=0.6)
    ax.set_ylim(top=ax.get_ylim()[1] * 30)  # room for the legend
    ax.legend(loc="upper left", frameon=False, fontsize=8)


def _middles(x, y, classes=7):
    """(sizes, medians) of classes of sizes."""
    edges = np.geomspace(x.min(), x.max() * 1.001, min(classes, len(x)) + 1)
    of = [(x >= low) & (x < high) for low, high in zip(edges, edges[1:])]
    return [np.median(x[k]) for k in of if k.any()], [np.median(y[k]) for k in of if k.any()]


def _phases(ax, phases):
    phases = phases.iloc[::-1]
    balls = phases["which"].str.contains("balls")
    ax.barh(phases["which"], 100 * phases["share"],
            color=np.where(balls, COLORS["refgrad"],
                           np.where(phases["which"].str.startswith("torch"),
                                    COLORS["torch"], "#999999")))
    for y, share in enumerate(phases["share"]):
        ax.annotate(f"{100 * share:.0f} %", (100 * share, y), xytext=(3, 0),
                    textcoords="offset points", va="center")
    ax.set(xlabel="% of processor time", xlim=(0, 115 * phases["share"].max()))
    ax.set_title("Where a whole check's time goes", loc="left")
    ax.tick_params(axis="y", length=0)
