"""Plots of the memory that a gradient takes: relative to what must be kept, and against depth, with
and without checkpoint."""

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from ...report.style import COLORS, plot, plt
from .run import MOST, PROBLEMS, deep, slopes, span

DTYPES = {"float32": "#56B4E9", "float64": "#0072B2"}
HOW = {False: ("without checkpoint", COLORS["torch"]),
       True: ("in √depth segments", COLORS["refgrad"])}
BYTES = {1e6: "1 MB", 3e6: "3 MB", 1e7: "10 MB", 3e7: "30 MB", 1e8: "100 MB", 3e8: "300 MB"}
LAYERS = (4, 16, 64, 256)


@plot()
def plot_memory(table):
    """From memory.csv."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(1, 1.15),
                                         layout="constrained")
    _over_the_limit(left, deep(table))
    _against_depth(right, table)
    figure.suptitle("Peak memory of value and gradient", x=0.01, ha="left", fontsize=11)
    return figure


def _over_the_limit(ax, cases):
    """The worst case of each problem and dtype."""
    names = [p.name for p in PROBLEMS]
    worst = cases.groupby(["problem", "dtype"])["ratio"].max()
    for shift, (dtype, color) in zip((-0.16, 0.16), DTYPES.items()):
        ratios = [worst.get((name, dtype), np.nan) for name in names]
        y = np.arange(len(names)) + shift
        ax.barh(y, ratios, height=0.28, color=color, label=dtype)
        for at, ratio in zip(y, ratios):
            if np.isfinite(ratio):
                ax.annotate(f"{ratio:.2f}", (0, at), (5, 0), textcoords="offset points",
                            va="center", color="white", fontweight="bold", fontsize=8.5)
    for x, line, name in ((1, "-", "what must be kept"), (MOST, ":", f"the aim, {MOST}")):
        ax.axvline(x, color="black", lw=1.3, ls=line, label=name)
    ax.set(xlim=(0, 1.15 * max(worst.max() if len(worst) else 1, MOST)),
           ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)), yticklabels=names,
           xlabel="peak, relative to what must be kept",
           title="Without checkpoint: what is kept without need")
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=4, frameon=False, fontsize=8,
              columnspacing=1.2)


def _against_depth(ax, table):
    """A line for each problem, in the first dtype; the exponents of all."""
    exponents = slopes(table)
    for checkpoint, (name, color) in HOW.items():
        rows = table[((table["checkpoint"] > 0) == checkpoint)
                     & (table["dtype"] == next(iter(DTYPES)))]
        for _, points in rows.groupby("problem", sort=False):
            ax.plot(points["depth"], points["peak_bytes"], "-o", color=color, lw=1.4, ms=3.5)
        found = exponents.loc[exponents["checkpoint"] == checkpoint, "slope"].dropna()
        ax.plot([], [], "-o", color=color, lw=1.4, ms=3.5,
                label=f"{name}, slopes {span(found)}" if len(found) else name)
    ax.set(xscale="log", yscale="log", xlabel="layers",
           title=f"How it grows with depth: a line for each problem, {next(iter(DTYPES))}")
    for axis, names in ((ax.xaxis, dict(zip(LAYERS, LAYERS))), (ax.yaxis, BYTES)):
        axis.set_major_locator(FixedLocator(list(names)))
        axis.set_major_formatter(FixedFormatter(list(names.values())))
        axis.set_minor_locator(NullLocator())
    ax.grid(lw=0.4, alpha=0.6)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False, fontsize=8)
