"""The planted faults at a glance: which mistakes, in which rules, were noticed."""

import textwrap

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ...report.style import NEVER, plot, plt
from .operators import OPERATORS
from .trial import CAUGHT, EQUIVALENT, MISSED, sentence, summary

#: From no fault caught to nearly all; all is another color, so that one fault missed among many is
#: seen.
SHARE = LinearSegmentedColormap.from_list("share", [NEVER, "#fce0bd"]).with_extremes(
    over="#b7ddd0", bad="white")
NEARLY = 0.9999
SHADE = "#dddddd"


@plot(**{"font.size": 8.5})
def plot_faults(frame):
    """Operators against the families of rules: how many faults were caught, in color the share of
    all that are not equivalent; beside it for each operator how many were caught, pinned on the
    right primitive, proved equivalent."""
    operators = [o for o in OPERATORS if o in set(frame["operator"])]
    families = sorted(set(frame["family"]), key=lambda f: (-(frame["family"] == f).sum(), f))
    caught, missed, equivalent = (_table(frame[frame["caught"] == kind], operators, families)
                                  for kind in (CAUGHT, MISSED, EQUIVALENT))
    share = np.where(caught + missed > 0, caught / np.maximum(caught + missed, 1), np.nan)
    figure, ax = plt.subplots(figsize=(10.4, 0.215 * len(operators) + 2.2), layout="constrained")
    ax.imshow(share, cmap=SHARE, vmin=0, vmax=NEARLY, aspect="auto")
    for i, j in np.ndindex(share.shape):
        if missed[i, j]:
            ax.text(j, i, f"{caught[i, j]} of {caught[i, j] + missed[i, j]}", ha="center",
                    va="center", fontsize=7.5, fontweight="bold")
        elif caught[i, j]:
            ax.text(j, i, f"{caught[i, j]}", ha="center", va="center", fontsize=7.5)
        elif equivalent[i, j]:
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fc=SHADE, ec="none"))
            ax.text(j, i, "=", ha="center", va="center", color="#555555")
    _grid(ax, operators, families)
    _margin(ax, frame, operators, len(families))
    explained = ("Green: all faults caught, and how many; orange: some are not. Grey, =: all are "
                 "proved to change nothing; white: none was made.")
    figure.suptitle("\n".join(textwrap.wrap(sentence(frame), 125) + [explained]), x=0.01, ha="left",
                    fontsize=10)
    return figure


def _table(frame, operators, families):
    counts = frame.groupby(["operator", "family"]).size().unstack(fill_value=0)
    return counts.reindex(index=operators, columns=families, fill_value=0).to_numpy()


def _grid(ax, operators, families):
    ax.xaxis.tick_top()
    ax.set_xticks(range(len(families)), families, rotation=35, ha="left", rotation_mode="anchor")
    ax.set(yticks=range(len(operators)), yticklabels=operators, xlim=(-0.5, len(families) + 2.6))
    for y in np.arange(len(operators) + 1) - 0.5:
        ax.plot([-0.5, len(families) - 0.5], [y, y], color="white", lw=1.2)
    for x in np.arange(len(families) + 1) - 0.5:
        ax.axvline(x, color="white", lw=1.2)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _margin(ax, frame, operators, start):
    """For each operator, over all families: caught, pinned, equivalent."""
    for k, title in enumerate(("caught", "pinned", "equivalent")):
        ax.text(start + 0.1 + 0.95 * k, -0.7, title, ha="left", va="bottom", rotation=35,
                rotation_mode="anchor", fontweight="bold")
    for i, operator in enumerate(operators):
        n = summary(frame[frame["operator"] == operator])
        counts = ((n["caught"], n["missed"]), (n["pinned"], n["caught"] - n["pinned"]),
                  (n["equivalent"], 0))
        for k, (count, short) in enumerate(counts):
            ax.text(start + 0.2 + 0.95 * k, i,
                    f"{count}" if count or k < 2 else "", ha="center", va="center",
                    fontsize=7.5, color="#555555" if k == 2 else NEVER if short else "black",
                    fontweight="bold" if short else "normal")
