"""How Sphinx builds the site: ``python -m sphinx docs build/site``.  Nothing in it is fetched from
another host."""

import re
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "refgrad and crosscheck"
html_title = project
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx-mathjax-offline"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
pygments_style = "friendly"


def plain(line):
    """A line of prose as reStructuredText: nothing is markup but code between backticks."""
    return "".join(f"``{part.strip('`')}``" if part.startswith("`") else
                   re.sub(r"([\\*|_])", r"\\\1", part)
                   for part in re.split(r"(`+[^`]+`+)", line))


#: A row of columns, as in "seed  the same seed gives the same points"; two blanks may stand behind
#: a full stop.
ROW = re.compile(r"(\S(?:.*?[^\s.])?)  +(\S.*)")


def as_written(app, what, name, thing, options, lines):
    """Turn a docstring into reStructuredText: a row of columns is an entry of a definition list, an
    indented line goes on with the row or the item before it, and after a blank line it is code; all
    else is prose."""
    shown, state = [], ""
    for line in lines:
        row = ROW.fullmatch(line)
        if not line.strip():
            state = "code" if state == "code" else ""
            shown.append("")
        elif line.startswith(" ") and state in ("row", "item", "prose"):
            shown.append(("  " if state == "item" else "    ") + plain(line.strip()))
        elif line.startswith(" "):
            shown += ["", ".. code-block:: text", ""] * (state != "code") + ["    " + line]
            state = "code"
        elif row:
            shown += [""] * (state != "row") + [plain(row[1]), "    " + plain(row[2])]
            state = "row"
        else:
            now = "item" if line.startswith("- ") else "prose"
            shown += [""] * (state != now) + [plain(line)]
            state = now
    lines[:] = shown


def setup(app):
    app.add_lexer("output", TextLexer)
    app.add_lexer("report", TextLexer)
    app.connect("autodoc-process-docstring", as_written)
