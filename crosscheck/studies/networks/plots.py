"""Plots of the networks: errors and digits of agreement by layer, and the pairs of families that
were met."""

import numpy as np
from matplotlib.colors import LogNorm

from ...report.style import COLORS, NEVER, plot, plt
from .frames import by_layer

#: Smaller errors are drawn here, and greater agreement there.
LEAST_ULPS, MOST_DIGITS = 0.1, 100


@plot()
def plot_errors(errors, networks):
    """For each layer the error in ulps: the median, and the range that holds 90 % of the arrays'
    worst errors."""
    frame = by_layer(errors, networks)
    frame = frame[np.isfinite(frame["ulp_max"])]
    frame = frame.assign(ulp_max=np.maximum(frame["ulp_max"], LEAST_ULPS))
    order = frame.groupby("layer")["ulp_max"].median().sort_values(kind="stable").index.to_list()
    dtypes = list(dict.fromkeys(frame["dtype"])) or ["float64"]
    figure, axes = plt.subplots(1, len(dtypes),
                                figsize=(3.9 * len(dtypes) + 2, 0.21 * len(order) + 2),
                                sharey=True, squeeze=False, layout="constrained")
    for ax, dtype in zip(axes[0], dtypes):
        for shift, (who, color) in zip((-0.17, 0.17), COLORS.items()):
            rows = frame[(frame["dtype"] == dtype)
                         & (frame["differentiator"] == who)].groupby("layer")["ulp_max"]
            middle = rows.median()
            y = np.array([order.index(a) for a in middle.index]) + shift
            ax.hlines(y, rows.quantile(0.05, interpolation="nearest"),
                      rows.quantile(0.95, interpolation="nearest"), color=color, lw=1.6, alpha=0.5)
            ax.plot(middle, y, "o", ms=3.6, color=color)
        all_digits = 1 / np.finfo(dtype).eps
        ax.axvline(all_digits, color="black", lw=1, ls=":")
        ax.annotate("no digit right", (all_digits, 1), xycoords=("data", "axes fraction"),
                    xytext=(3, -2), textcoords="offset points", rotation=90, va="top", fontsize=8,
                    bbox={"fc": "white", "ec": "none", "pad": 0.5})
        ax.set(xscale="log", xlim=(LEAST_ULPS * 0.7, None), ylim=(-0.7, len(order) - 0.3),
               title=f"in {dtype}", xlabel="error of an array's worst entry, in ulps",
               yticks=range(len(order)), yticklabels=order)
        _tall(ax)
    keys = [plt.Line2D([], [], marker="o", ms=4, color=c, lw=1.6, label=n)
            for n, c in COLORS.items()]
    figure.legend(handles=keys, loc="outside upper right", ncols=2, frameon=False)
    figure.suptitle("Errors in ulps, in networks that have the layer: left is better\n"
                    "dot: the median; line: 90 % of the arrays", x=0.01, ha="left", fontsize=11)
    return figure


@plot()
def plot_digits(errors, networks, required=40):
    """For each layer the agreement of the rules with ball differences, every network a dot."""
    frame = by_layer(errors, networks).drop_duplicates(["network", "parameter", "mode", "layer"])
    frame = frame[frame["digits"].notna()]
    first = frame["mode"].isin(["reverse", "forward"])
    frame = frame.assign(order=np.where(first, "first derivative", "second derivative"))
    order = sorted(frame["layer"].unique(), reverse=True)
    figure, ax = plt.subplots(figsize=(8, 0.19 * len(order) + 2.1), layout="constrained")
    for shift, name, color in ((0.17, "first derivative", "#009E73"),
                               (-0.17, "second derivative", "#CC79A7")):
        rows = frame[frame["order"] == name].groupby(["layer", "network"])["digits"].min()
        y = np.array([order.index(a) for a in rows.index.get_level_values(0)], dtype=float) + shift
        ax.plot(np.clip(rows.to_numpy(), 0, MOST_DIGITS), y, "o", ms=2.8, alpha=0.5, mew=0,
                color=color, label=name)
    for x, label, shade, line in ((16, "all that float64 has", "gray", ":"),
                                  (required, f"required: {required}", "black", "-")):
        ax.axvline(x, color=shade, lw=1, ls=line)
        ax.annotate(label, (x, 1), xycoords=("data", "axes fraction"), xytext=(4, -1),
                    textcoords="offset points", rotation=90, va="top", fontsize=8, color=shade)
    ax.set(xlim=(0, MOST_DIGITS + 2), ylim=(-0.7, max(len(order), 1) - 0.3),
           yticks=range(len(order)), yticklabels=order,
           xlabel=f"digits to which rule and difference agree ({MOST_DIGITS} and more in the last "
                  "column)")
    _tall(ax)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, markerscale=2)
    figure.suptitle("Digits to which rules and finite differences agree\n"
                    "right is better; a dot for each network", x=0.01, ha="left", fontsize=11)
    return figure


def _tall(ax):
    """The lines of a tall plot: numbers stand at its top, too, where a reader begins."""
    ax.grid(axis="x", lw=0.4, alpha=0.6)
    ax.tick_params(labeltop=True)


@plot(**{"font.size": 8})
def plot_coverage(coverage):
    """How often each pair of families of layers in sequence was met; the pairs never met stand
    out."""
    pairs = coverage[coverage["kind"] == "pair"]
    met = pairs.pivot(index="first", columns="second", values="met")
    met = met.reindex(index=pairs["first"].unique(), columns=pairs["second"].unique())
    numbers = met.to_numpy(float)
    most = max(numbers.max(initial=0), 2)
    figure, ax = plt.subplots(figsize=(0.24 * met.shape[1] + 2.4, 0.2 * met.shape[0] + 2.8),
                              layout="constrained")
    ax.imshow(numbers, cmap=plt.get_cmap("YlGnBu").with_extremes(under=NEVER),
              norm=LogNorm(1, most), aspect="auto")
    for (i, j), n in np.ndenumerate(numbers):
        color = "white" if n * n > most or n < 1 else "black"
        ax.text(j, i, f"{n:.0f}", ha="center", va="center", fontsize=6, color=color)
    ax.set_xticks(range(met.shape[1]), met.columns, rotation=90)
    ax.set(yticks=range(met.shape[0]), yticklabels=met.index, ylabel="a layer of this family")
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("is followed this many times by a layer of the family below")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure
