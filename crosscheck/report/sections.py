"""What the page's sections are made of: text, images, tables and programs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd


def section(title, text, images=(), tables=(), programs=(), finding=False):
    """A section of the page.

    text      a list of paragraphs
    programs  pairs of a title and a program
    finding   whether it tells what one can act on: such sections come first
    """
    return {"title": title, "anchor": anchor(title), "text": text, "images": images,
            "tables": tables, "programs": programs, "finding": finding}


def anchor(*words):
    """The name of a place in a page."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", "-".join(words).replace("'", "t")).strip("-")


def images(folder, *names):
    """The plots of these names that are in the folder of the page, which shows the files
    themselves."""
    return [name for name in names if (folder / name).exists()]


def table(frame, title="", code=(), long=()):
    """A table of a section; `code` and `long` name its columns of code and of long text."""
    def kind(c):
        if c in code or c in long:
            return "code" if c in code else "long"
        return "n" if pd.api.types.is_numeric_dtype(frame[c]) else "text"
    return {"title": title, "columns": [str(c).replace("_", " ") for c in frame.columns],
            "kinds": [kind(c) for c in frame.columns],
            "rows": [[_text(x) for x in row] for row in frame.itertuples(index=False)]}


def compared(who, gives, exact):
    """In words, what a library gives and what is exact; tables have four digits of both."""
    given, true = f"{gives:.4g}", f"{exact:.4g}"
    return (f"{who} gives {given}, exact {true}" if given != true
            else f"{who} misses the exact {true} after the fourth digit")


def _text(x):
    if isinstance(x, (bool, np.bool_)):
        return str(x)
    if isinstance(x, (float, np.floating)):
        return "" if np.isnan(x) else f"{x + 0.0:.3g}"  # 0 for -0
    return "" if x is pd.NA or x is None else str(x)
