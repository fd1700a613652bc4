"""Who is how fast: a row for each problem, the time relative to the hand-written version's,
contenders by colour."""

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from ...report.style import WITH_JIT, plot, plt
from .contenders import CONTENDERS, HAND, OURS, WRITTEN, in_words

OF = {**WITH_JIT, "torch.compile": "#E69F00", "jax.jit": "#009E73", "HIPS autograd": "#CC79A7",
      "MyGrad": "#777777"}
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)


@plot()
def plot_speed(table):
    """From speed.csv.  What people have by default, a thread for each processor, comes first."""
    problems = list(dict.fromkeys(table["problem"]))
    panels = sorted(dict.fromkeys(zip(table["dtype"], table["threads"])), key=lambda p: -p[1])
    counts = max(table["threads"].nunique(), 1)
    timed = table[table["ratio"].notna()]
    who = [c.name for c in CONTENDERS if c.name != HAND and c.name in set(timed["contender"])]
    figure, axes = plt.subplots(counts, max(len(panels) // counts, 1),
                                squeeze=False, sharex=True, sharey=True,
                                figsize=(10, counts * (0.5 * len(problems) + 1.0) + 0.9),
                                layout="constrained")
    for ax, (dtype, threads) in zip(axes.ravel(), panels):
        for lane, name in enumerate(who):
            rows = timed[(timed["dtype"] == dtype) & (timed["threads"] == threads)
                         & (timed["contender"] == name)]
            y = (np.array([problems.index(p) for p in rows["problem"]])
                 + 0.64 * ((lane + 0.5) / len(who) - 0.5))
            ax.hlines(y, rows["low"], rows["high"], color=OF[name], lw=1.5, zorder=2)
            ours = name in (OURS, WRITTEN)
            ax.plot(rows["ratio"], y, "D" if ours else "o", ms=6 if ours else 4.5, color=OF[name],
                    zorder=3)
        for k in range(0, len(problems), 2):
            ax.axhspan(k - 0.5, k + 0.5, color="#f3f3f3", zorder=0)
        ax.axvline(1, color="black", lw=1.2, zorder=1)
        ax.set(xscale="log", ylim=(len(problems) - 0.5, -0.5), yticks=range(len(problems)),
               yticklabels=problems, title=f"{dtype}, {in_words(threads)}",
               xlabel="time relative to NumPy by hand (the black line)")
        ax.xaxis.set_major_locator(FixedLocator(TICKS))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.grid(axis="x", lw=0.4, alpha=0.6)
        ax.tick_params(axis="y", length=0)
    keys = [plt.Line2D([], [], marker="D" if n in (OURS, WRITTEN) else "o", ms=5, color=OF[n],
                       lw=1.5, label=n)
            for n in who]
    figure.legend(handles=keys, loc="outside lower center", ncols=max(len(who), 1), frameon=False)
    figure.suptitle("Value and gradient: left is faster; lines: 95 % confidence of the median",
                    x=0.01, ha="left", fontsize=11)
    return figure
