"""What the page's sections are made of: text, images and tables."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pandas as pd


#: Rows shown of what is long.
FIRST = 20


def section(title, text, images=(), tables=()):
    """A section of the page; `text` is a list of paragraphs."""
    return {"title": title, "text": text, "images": images, "tables": tables}


def images(folder, *names):
    return [{"alt": Path(n).stem, "data": base64.b64encode((folder / n).read_bytes()).decode()}
            for n in names if (folder / n).exists()]


def table(frame, title="", code=(), long=()):
    def kind(c):
        if c in code or c in long:
            return "code" if c in code else "long"
        return "n" if pd.api.types.is_numeric_dtype(frame[c]) else "text"
    return {"title": title, "columns": list(frame.columns), "kinds": [kind(c) for c in frame.columns],
            "rows": [[_text(x) for x in row] for row in frame.itertuples(index=False)]}


def _text(x):
    if isinstance(x, (bool, np.bool_)):
        return str(x)
    if isinstance(x, (float, np.floating)):
        return "" if np.isnan(x) else f"{x:.3g}"
    return "" if x is pd.NA or x is None else str(x)
