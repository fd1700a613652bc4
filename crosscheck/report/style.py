"""The style that the plots share."""

from __future__ import annotations

from functools import wraps

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLORS = {"refgrad": "#0072B2", "torch": "#D55E00"}
WITH_JIT = {**COLORS, "refgrad.jit": "#56B4E9"}
STYLE = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "axes.titlesize": 10}
DPI = 130
NEVER = "#d55e00"


def plot(**style):
    """Decorate a function that draws a figure and returns it.

    It draws in the style of the report, with `style` (of matplotlib's rcParams) on top.  Given a
    `path`, it writes the figure to that file and closes it.
    """
    def decorate(draw):
        @wraps(draw)
        def drawn(*data, path=None):
            with plt.rc_context({**STYLE, **style}):
                figure = draw(*data)
                if path is not None:
                    figure.savefig(path, dpi=DPI)
                    plt.close(figure)
                return figure
        return drawn
    return decorate
