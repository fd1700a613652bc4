"""Plots of how the cost of derivatives grows."""

import numpy as np

from ...report.style import WITH_JIT, plot, plt
from . import cheap_gradient
from .gradient import ASYMPTOTIC, curve
from .jacobian import crossover

METHODS = {"reverse": "#0072B2", "forward": "#D55E00", "forward batched": "#E69F00",
           "differences": "#777777"}
TIMES = {1e-6: "1 µs", 1e-3: "1 ms", 1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 day"}
BYTES = {1e4: "10 kB", 1e5: "100 kB", 1e6: "1 MB", 1e7: "10 MB", 1e8: "100 MB", 1e9: "1 GB"}


@plot()
def plot_gradient(frame):
    """Time and memory of a whole gradient against the number of parameters, by library and
    method."""
    frame = frame[frame["study"] == "gradient"]
    libraries = list(dict.fromkeys(frame["library"]))
    figure, axes = plt.subplots(2, len(libraries), figsize=(11.5, 7.4), sharex=True, sharey="row",
                                squeeze=False, height_ratios=(1.6, 1))
    # Fixed margins rather than an automatic layout: the labels beside the curves are placed by
    # where the axes are.
    figure.subplots_adjust(left=0.075, right=0.855, bottom=0.07, top=0.86, wspace=0.42, hspace=0.1)
    labels = []
    for column, library in zip(axes.T, libraries):
        rows = {m: frame[(frame["library"] == library) & (frame["method"] == m)] for m in METHODS}
        ends = _times(column[0], rows), _memory(column[1], rows)
        column[0].set_title(library, fontsize=12, fontweight="bold", loc="left")
        column[1].set_xlabel("parameters")
        labels.append(list(zip(column, ends, (27, 14))))
    axes[0, 0].set_ylabel("processor time of the whole gradient")
    axes[1, 0].set_ylabel("peak memory")
    _ticks(axes[0, 0], TIMES)
    _ticks(axes[1, 0], BYTES)
    for ax, ends, apart in sum(labels, []):  # once the axes' limits are settled
        _label_ends(ax, frame["parameters"].max() * 1.25, ends, apart)
    figure.suptitle(_gradient_title(frame) + "\nfilled: measured; hollow, dashed: projected from a "
                    "few passes; slopes: 95 % intervals, fitted where it is grey", x=0.015, y=0.98,
                    ha="left", fontsize=11)
    return figure


def _gradient_title(frame):
    """The largest size in a sentence."""
    last = (
        frame[(frame["parameters"] == frame["parameters"].max()) & (frame["library"] == "refgrad")])
    seconds = {m: float(curve(last[last["method"] == m])["seconds"].iloc[0])
               for m in ("reverse", "forward")}
    return (f"The gradient for {int(last['parameters'].iloc[0]):,} parameters: "
            f"{_duration(seconds['reverse'])} in reverse, {_duration(seconds['forward'])} forward "
            "(refgrad)")


def _duration(seconds):
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "s"), (1e-3, "ms")):
        if seconds >= unit:
            break
    return f"{_two_digits(seconds / unit)} {name}"


def _two_digits(x):
    """At least two digits, never an exponent."""
    return f"{x:.0f}" if x >= 99.5 else f"{x:.2g}"


def _times(ax, rows):
    """Draw; the labels (y, text, colour) of the curves' ends."""
    labels = []
    for method, color in METHODS.items():
        points = curve(rows[method])
        x, y = points["parameters"].to_numpy(), points["seconds"].to_numpy()
        measured = ~points["projected"].to_numpy(bool)
        everywhere = rows[method][rows[method]["projected"].astype(bool)]
        ax.plot(x, y, "--", color=color, lw=1.3)
        ax.plot(x[measured], y[measured], "-o", color=color, lw=1.8, ms=4)
        ax.plot(everywhere["parameters"], everywhere["seconds"], "o", mfc="none", mec=color,
                ms=5.5, mew=1)
        slope, low, high = points[["slope", "slope_low", "slope_high"]].iloc[0]
        labels.append((y[-1], f"{method}\nslope {slope:.2f}  [{low:.2f}, {high:.2f}]", color))
    ax.set(xscale="log", yscale="log")
    ax.grid(lw=0.4, alpha=0.6)
    first = max(x[-1] / ASYMPTOTIC, x[0])
    ax.axvspan(first / 1.15, x[-1] * 1.15, color="#000000", alpha=0.05, lw=0)
    return labels


def _memory(ax, rows):
    """Draw; the labels (y, text, colour) of the curves' ends."""
    labels = []
    for method, color in METHODS.items():
        points = curve(rows[method])
        ax.plot(points["parameters"], points["peak_bytes"], "-o", color=color, lw=1.5, ms=3.5)
        end = points["peak_bytes"].iloc[-1]
        labels.append((end, f"{method}  {_two_digits(end / 1e6)} MB", color))
    ax.set(xscale="log", yscale="log")
    ax.grid(lw=0.4, alpha=0.6)
    return labels


def _ticks(ax, names):
    low, high = ax.get_ylim()
    shown = [v for v in names if low <= v <= high]
    ax.set_yticks(shown, [names[v] for v in shown])
    ax.minorticks_off()


def _label_ends(ax, x, labels, apart):
    """Labels (y, text, colour) beside the ends of curves, at least `apart` points from each
    other."""
    scale = ax.figure.dpi / 72
    labels = sorted(labels)
    heights = [ax.transData.transform((x, y))[1] / scale for y, _, _ in labels]
    top = ax.bbox.y1 / scale - apart / 2 - (len(labels) - 1) * apart
    places = [min(h - n * apart, top) for n, h in enumerate(heights)]
    # Neighbours that are too near move apart around their mean: least squares.
    for i in range(1, len(places)):
        j = i
        while j and np.mean(places[j:i + 1]) < places[j - 1]:
            j -= 1
        places[j:i + 1] = [np.mean(places[j:i + 1])] * (i + 1 - j)
    for n, ((y, text, color), height) in enumerate(zip(labels, heights)):
        ax.annotate(text, (x, y), (4, places[n] + n * apart - height), textcoords="offset points",
                    va="center", color=color, fontsize=8.5, annotation_clip=False)


@plot(**{"axes.spines.left": False, "axes.spines.bottom": False})
def plot_jacobian(frame):
    """Who wins, and by which factor, for each shape of the Jacobian."""
    frame = frame[frame["study"] == "jacobian"]
    panels = {("refgrad", "forward"): "a pass per input, a sweep per output",
              ("torch", "forward"): "a pass per input, a sweep per output",
              ("refgrad", "forward batched"): "one pass for all, a sweep per output",
              ("torch", "forward batched"): "one pass for all, one sweep for all"}
    figure, axes = plt.subplots(2, 2, figsize=(8.3, 9.4), sharex=True, sharey=True,
                                layout="constrained")
    for ax, ((library, method), what) in zip(axes.flat, panels.items()):
        rows = frame[(frame["library"] == library) & (frame["method"] == method)]
        image = _map(ax, rows.pivot(index="outputs", columns="inputs", values="ratio"))
        ax.set_title(f"{library}: {what}\n{_verdict(rows, method)}", loc="left", fontsize=9)
    for ax in axes[1]:
        ax.set_xlabel("inputs")
    for ax in axes[:, 0]:
        ax.set_ylabel("outputs")
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=30, location="bottom",
                          ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_xticklabels(["forward\n100x faster", "10x", "equal", "10x", "reverse\n100x faster"])
    bar.outline.set_visible(False)
    figure.suptitle("Jacobians: forward mode wins where there are more outputs than inputs, else "
                    "reverse mode\nnumber: how many times faster; solid: break-even; dashed: as "
                    "many inputs as outputs", x=0.01, ha="left", fontsize=10)
    return figure


def _map(ax, ratio):
    """Heat map of a table (outputs, inputs); returns the image."""
    logs = np.log10(ratio.to_numpy())
    image = ax.imshow(logs, origin="lower", cmap="PuOr", vmin=-2, vmax=2, aspect="equal")
    for (i, j), value in np.ndenumerate(logs):
        ax.text(j, i + 0.27, _two_digits(10 ** abs(value)), ha="center", va="center", fontsize=8,
                color="white" if abs(value) > 1.3 else "black")
    if logs.min() < 0 < logs.max():
        ax.contour(logs, levels=[0], colors="black", linewidths=2)
    n = len(logs) - 0.5
    ax.plot([-0.5, n], [-0.5, n], "--", color="black", lw=1)
    ax.set(xlim=(-0.5, n), ylim=(-0.5, n))
    ax.set_xticks(range(len(ratio.columns)), ratio.columns)
    ax.set_yticks(range(len(ratio)), ratio.index)
    ax.tick_params(length=0)
    return image


def _verdict(rows, method):
    if method == "forward":
        return f"break-even near outputs = {crossover(rows)[0]:.2g} x inputs"
    # Batched passes do not cost in proportion to their number: no single ratio tells where they
    # break even.
    return f"forward wins {int((rows['ratio'] < 1).sum())} of {len(rows)} shapes"


@plot()
def plot_cheap_gradient(frame):
    """How many values a gradient costs, against width."""
    frame = frame[(frame["study"] == "cheap gradient") & (frame["method"] == cheap_gradient.BOTH)]
    constant = cheap_gradient.expected_constant()
    figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    labels = []
    for library, color in WITH_JIT.items():
        rows = frame[frame["library"] == library].sort_values("width")
        ax.plot(rows["width"], rows["ratio"], "-o", color=color, lw=1.8, ms=4.5)
        labels.append((rows["ratio"].iloc[-1], f"{library}  {rows['ratio'].iloc[-1]:.2f}", color))
    ax.set(xscale="log", xlabel=f"width of the {cheap_gradient.LAYERS} layers", ylim=(0, None),
           ylabel="time of value and gradient / time of the value")
    widths = sorted(frame["width"].unique())
    ax.set_xticks(widths, widths)
    ax.hlines(constant, widths[0], widths[-1], color="#555555", lw=1, ls="--")
    ax.minorticks_off()
    ax.text(widths[0], 0.3, f"dashed: {constant:.2f} = {3 * cheap_gradient.LAYERS - 1} matrix "
            f"products for value and gradient / {cheap_gradient.LAYERS} for the value",
            fontsize=8.5, color="#555555")
    ax.grid(axis="y", lw=0.4, alpha=0.6)
    _label_ends(ax, widths[-1] * 1.05, labels, apart=13)
    ax.set_title("Value and gradient cost a few times the value, at any number of parameters",
                 loc="left", fontsize=11)
    return figure
