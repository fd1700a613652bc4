"""How Sphinx builds the site: ``python -m sphinx docs build/site``.  Nothing in it is fetched from another host."""

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


def as_written(app, what, name, thing, options, lines):
    """Show a docstring as it is written: refgrad's have columns and formulas, which no markup would keep.

    Lines between two blank ones stay together; such a paragraph is prose if none of its lines is indented or has a
    column, and stands as a literal block if one is.
    """
    shown, paragraph = [], []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
            continue
        is_prose = not any(part.startswith(" ") or "  " in part.strip().replace(".  ", ". ") for part in paragraph)
        if paragraph and is_prose:
            shown += [*map(plain, paragraph), ""]
        elif paragraph:
            shown += ["::", "", *("    " + part for part in paragraph), ""]
        paragraph = []
    lines[:] = shown


def setup(app):
    app.add_lexer("output", TextLexer)
    app.add_lexer("report", TextLexer)
    app.connect("autodoc-process-docstring", as_written)
