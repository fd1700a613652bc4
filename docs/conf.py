"""How Sphinx builds the site: ``python -m sphinx docs build/site``.  Nothing in it is fetched from another host."""

import re
import sys
from itertools import groupby
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "refgrad and crosscheck"
html_title = project
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx-mathjax-offline"]
exclude_patterns = ["_build"]

html_theme = "furo"
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
    code_or_not = re.split(r"(`+[^`]+`+)", line)
    return "".join(f"``{part.strip('`')}``" if part.startswith("`") else re.sub(r"([\\*|_])", r"\\\1", part)
                   for part in code_or_not)


def is_prose(line):
    """Whether it is neither indented nor has columns; two blanks may stand behind a full stop."""
    return "  " not in line.replace(".  ", ". ")


def as_written(app, what, name, thing, options, lines):
    """Show a docstring as it is written: prose as prose, and columns and formulas as they stand."""
    shown = []
    for prose, group in groupby(lines, is_prose):
        shown += [*map(plain, group), ""] if prose else [
            "", ".. code-block:: text", "", *("    " + line for line in group), ""]
    lines[:] = shown


def setup(app):
    app.add_lexer("output", TextLexer)
    app.add_lexer("report", TextLexer)
    app.connect("autodoc-process-docstring", as_written)
