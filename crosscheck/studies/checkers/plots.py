"""The checkers side by side: which faults they notice, which right gradients they call wrong, how
long they take."""

from __future__ import annotations

import numpy as np

from ...report.style import plot, plt

OURS, PEER = "#0072B2", "#D55E00"
#: Where a fault shows -> its mark.
MARKS = {"reverse": "o", "forward": "s", "second order": "^", "elsewhere": "x"}


@plot()
def plot_checkers(table):
    """From checkers.csv: a line for each checker; below, the share of noticed faults by kind of
    mistake."""
    checkers = list(dict.fromkeys(table["checker"]))[::-1]
    operators = list(dict.fromkeys(table.loc[table["what"] == "operator", "group"]))
    figure = plt.figure(figsize=(10, 0.3 * len(checkers) + 0.2 * len(operators) + 3.4),
                        layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(0.3 * len(checkers) + 1.5,
                                                          0.2 * len(operators) + 1.6))
    noticed, blamed, slow = above.subplots(1, 3, sharey=True)
    _noticed(noticed, table, checkers)
    _blamed(blamed, table, checkers)
    _slow(slow, table, checkers)
    noticed.set(yticks=range(len(checkers)), yticklabels=checkers, ylim=(-0.6, len(checkers) - 0.4))
    for ax in (noticed, blamed, slow):
        ax.grid(axis="x", lw=0.4, alpha=0.6)
        ax.set_axisbelow(True)
    if operators:
        _by_operator(below, table, checkers[::-1], operators)
    return figure


def _colors(checkers):
    return [OURS if c == "crosscheck" else PEER for c in checkers]


def _shares(table, checkers, what, group):
    rows = table[(table["what"] == what) & (table["group"] == group)].set_index("checker")["share"]
    return 100 * rows.reindex(checkers).to_numpy(float)


def _noticed(ax, table, checkers):
    y = np.arange(len(checkers))
    ax.barh(y, _shares(table, checkers, "faults", "all"), height=0.6, color=_colors(checkers),
            alpha=0.35)
    for group, mark in MARKS.items():
        ax.plot(_shares(table, checkers, "shows in", group), y, mark,
                ms=4.5, color="black", mfc="none",
                label=f"shows in {group}" if group != "elsewhere" else "shows elsewhere",
                clip_on=False)
    ax.set(xlim=(0, 101), xlabel="%",
           title="planted faults noticed\nbars: all; marks: by where they show")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, frameon=False, fontsize=7,
              handletextpad=0.1)


def _blamed(ax, table, checkers):
    y = np.arange(len(checkers))
    for dtype, shift, alpha in (("float64", 0.17, 0.9), ("float32", -0.17, 0.4)):
        # A checker that tries all dtypes at once has one figure.
        both = _shares(table, checkers, "right, dtype", "all")
        share = np.where(np.isnan(both), _shares(table, checkers, "right, dtype", dtype), both)
        ax.barh(y + shift, share, height=0.3, color=_colors(checkers), alpha=alpha, label=dtype)
        for at, s in zip(y + shift, share):
            if not np.isnan(s):
                ax.annotate(f"{s:.1f}" if 0 < s < 10 else f"{s:.0f}", (s, at), xytext=(3, 0),
                            textcoords="offset points", va="center", fontsize=7)
    ax.set(xlim=(0, 112), xlabel="%", title="right gradients called wrong\n(fewer is better)")
    keys = [plt.Rectangle((0, 0), 1, 1, color="gray", alpha=alpha, label=dtype)
            for dtype, alpha in (("float64", 0.9), ("float32", 0.4))]
    ax.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, frameon=False,
              fontsize=7)


def _slow(ax, table, checkers):
    seconds = table[(table["what"]
                     == "faults")].set_index("checker")["seconds"].reindex(checkers).to_numpy(float)
    ax.scatter(1e3 * seconds, np.arange(len(checkers)), color=_colors(checkers), s=28, zorder=3)
    ax.set(xscale="log", xlim=(0.5, 2000), xlabel="milliseconds, median",
           title="time to check\na small function")
    ax.xaxis.set_major_formatter("{x:g}")


def _by_operator(figure, table, checkers, operators):
    rows = table[table["what"] == "operator"]
    grid = rows.pivot(index="checker", columns="group",
                      values="share").reindex(index=checkers, columns=operators)
    shares = 100 * grid.to_numpy(float).T
    ax = figure.subplots()
    ax.imshow(shares, cmap=plt.get_cmap("YlGnBu").with_extremes(bad="#dddddd"), vmin=0, vmax=100,
              aspect="auto")
    for (i, j), s in np.ndenumerate(shares):
        ax.text(j, i, "" if np.isnan(s) else f"{s:.0f}", ha="center", va="center", fontsize=7,
                color="white" if s > 55 else "black")
    ax.set_xticks(range(len(checkers)), [c.replace(" ", "\n", 1) for c in checkers], fontsize=8)
    ax.set_yticks(range(len(operators)), operators, fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("planted faults noticed, %, by kind of mistake")
