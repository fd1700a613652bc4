"""What a figure shows, for the tests of plots."""

import numpy as np
from matplotlib.text import Text


def texts(artist):
    """All that is written in a figure or its part."""
    return [t.get_text() for t in artist.findobj(Text) if t.get_text() and t.get_visible()]


def dots(ax, color=None):
    """(x, y) of the points of all lines with markers, of one colour."""
    lines = [line for line in ax.lines if line.get_marker() not in ("None", "", None)
             and color in (None, line.get_color())]
    return [np.concatenate([np.asarray(line.get_data()[k], float) for line in lines] or [[]])
            for k in (0, 1)]


def bars(ax):
    """label -> widths of its horizontal bars, from below; what has no bar is left out."""
    return {c.get_label(): [float(b.get_width()) for b in c] for c in ax.containers}


def labels(axis):
    return [t.get_text() for t in axis.get_ticklabels()]
