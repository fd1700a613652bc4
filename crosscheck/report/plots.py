"""Plots of the errors: by layer and dtype, and the digits to which rules and differences agree."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from .tables import by_layer  # noqa: E402

COLORS = {"refgrad": "#0072B2", "torch": "#D55E00"}
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "axes.titlesize": 10}
DPI = 130


def plot_errors(errors, networks, path):
    """For each layer the error in ulps: the median, and the range that holds 90 % of the entries' worst errors."""
    frame = by_layer(errors, networks)
    frame = frame[np.isfinite(frame["ulp_max"])]
    order = sorted(frame["layer"].unique(), key=lambda a: frame.loc[frame["layer"] == a, "ulp_median"].median())
    dtypes = list(dict.fromkeys(frame["dtype"]))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(dtypes), figsize=(4.6 * len(dtypes) + 1, 0.22 * len(order) + 1.3),
                                    sharey=True, squeeze=False, layout="constrained")
        for ax, dtype in zip(axes[0], dtypes):
            for shift, (who, color) in zip((-0.17, 0.17), COLORS.items()):
                rows = frame[(frame["dtype"] == dtype) & (frame["differentiator"] == who)].groupby("layer")
                low, high = rows["ulp_max"].quantile(0.05), rows["ulp_max"].quantile(0.95)
                middle = rows["ulp_max"].median()
                y = np.array([order.index(a) for a in middle.index]) + shift
                ax.hlines(y, np.maximum(low, 0.1), np.maximum(high, 0.1), color=color, lw=1.6, alpha=0.5)
                ax.plot(np.maximum(middle, 0.1), y, "o", ms=3.6, color=color)
            ax.set(xscale="log", xlabel="error of the worst entry, in ulps", title=f"computed in {dtype}")
            ax.grid(axis="x", lw=0.4, alpha=0.6)
            ax.set_ylim(-0.7, len(order) - 0.3)
        axes[0, 0].set_yticks(range(len(order)), order)
        figure.legend(handles=[plt.Line2D([], [], marker="o", ms=4, color=c, lw=1.6, label=n) for n, c in COLORS.items()],
                      loc="outside upper right", ncols=2, frameon=False)
        figure.suptitle("How far from exact, in networks that have the layer (dot: median, line: 5 % to 95 %)", x=0.01,
                        ha="left", fontsize=11)
        figure.savefig(path, dpi=DPI)
        plt.close(figure)


def plot_digits(errors, networks, path, required=40):
    """For each layer the agreement of the rules with ball differences, every network a dot."""
    frame = by_layer(errors, networks).drop_duplicates(["network", "parameter", "mode", "layer"])
    frame = frame.assign(order=np.where(frame["mode"].isin(["reverse", "forward"]), "first derivative", "second derivative"))
    frame = frame[frame["digits"].notna()]
    order = sorted(frame["layer"].unique(), reverse=True)
    top = frame.loc[np.isfinite(frame["digits"]), "digits"].max() if np.isfinite(frame["digits"]).any() else required
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(8, 0.22 * len(order) + 1.5), layout="constrained")
        for shift, (name, color) in zip((0.17, -0.17), (("first derivative", "#009E73"), ("second derivative", "#CC79A7"))):
            rows = frame[frame["order"] == name].groupby(["layer", "network"])["digits"].min()
            y = np.array([order.index(a) for a in rows.index.get_level_values(0)], dtype=float) + shift
            ax.plot(np.minimum(rows.to_numpy(), top), y, "o", ms=2.6, alpha=0.45, mew=0, color=color, label=name)
        ax.axvline(required, color="black", lw=1)
        ax.text(required, len(order) - 0.2, f" required: {required}", va="bottom", fontsize=8)
        ax.axvline(16, color="gray", lw=1, ls=":")
        ax.text(16, len(order) - 0.2, " all that float64 has", va="bottom", fontsize=8, color="gray")
        ax.set(xlim=(0, None), ylim=(-0.7, len(order) + 0.6), xlabel="digits to which rule and difference agree",
               yticks=range(len(order)), yticklabels=order)
        ax.grid(axis="x", lw=0.4, alpha=0.6)
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.0), frameon=True, framealpha=0.9, markerscale=2)
        ax.set_title("Rules against finite differences in ball arithmetic: every network a dot", loc="left")
        figure.savefig(path, dpi=DPI)
        plt.close(figure)
