"""Writes what the documentation takes from elsewhere: tables of the op table, figures of reports/,
notebooks of pages.

    python -m docs.generate

A page marks such a part with ``<!-- NAME -->`` and ``<!-- end of NAME -->``; `PARTS` has a function
for each name.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import scipy.special

from crosscheck import verdict
from refgrad import functions, nn
from refgrad.elsewhere import declared
from refgrad.primitive import TABLE, Primitive

declared(scipy.special.gamma)  # SciPy's functions get their rules when the first of them is met

ROOT = Path(__file__).resolve().parent.parent

#: Pages that have such parts.
PAGES = ("README.md", "docs/index.md", "docs/reference/layers.md", "docs/reference/functions.md",
         "docs/torch_findings.md", "docs/tutorials/proof.md")

#: Pages of docs/tutorials that examples/ has as notebooks, too.
NOTEBOOKS = ("backpropagation", "science", "derive", "proof")


def table(*columns):
    """The head of a table of Markdown."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def report(name):
    """The rows of a table of reports/, as dicts."""
    with open(ROOT / "reports" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def layers():
    """The layers and losses, a row for each file of refgrad.nn."""
    primitives = {rule.name for rule in TABLE.values() if isinstance(rule, Primitive)}
    files = {}
    for name, function in vars(nn).items():
        if callable(function):
            files.setdefault(function.__module__, []).append(
                f"**{name}**" if name in primitives else name)
    yield from table("file", "layers and losses; those that are primitives are bold")
    for module, names in sorted(files.items()):
        names = ", ".join(sorted(names, key=lambda n: n.strip("*")))
        yield f"| `refgrad/nn/{module.rsplit('.', 1)[-1]}.py` | {names} |"


def kinds():
    """All functions that have a rule, by their kind."""
    names = {}
    for name, kind in functions():
        names.setdefault(kind, []).append(f"`{name}`")
    yield from table("kind", "functions")
    for kind, of_kind in names.items():
        yield f"| {kind} | {', '.join(of_kind)} |"


def kinks():
    """The convention at each kink that the op table declares."""
    conventions = {}
    for rule in TABLE.values():
        for kink in getattr(rule, "kinks", ()):
            conventions.setdefault(kink.says.replace("|", "\\|"), {})[f"`{rule.name}`"] = None
    yield from table("derivative, or what happens, at the kink", "functions")
    for says, names in conventions.items():
        yield f"| {says} | {', '.join(names)} |"


def wrong_in_torch():
    """The wrong results of torch that the last run reduced to a small program: what is in it -> its
    rows."""
    found = {}
    for row in report("torch_findings"):
        if row["verdict"] in ("wrong", "not finite"):
            found.setdefault(row["layer"].replace(" > ", ", "), []).append(row)
    return found


def torch_layers():
    """A row for each program: what is in it, in which order and modes torch is wrong, and by how
    much."""
    yield from table("what is in the program", "order", "modes", "error of torch")
    for layers, rows in wrong_in_torch().items():
        orders = " and ".join(map(str, sorted({1 + (" over " in row["mode"]) for row in rows})))
        modes = ", ".join(dict.fromkeys(row["mode"] for row in rows))
        sizes = [float(row["ulps"]) for row in rows if row["verdict"] == "wrong"]
        worst = f"{max(sizes):.1e} ulps" + ", nan or inf" * (len(sizes) < len(rows))
        yield f"| {layers} | {orders} | {modes} | {worst} |"


def torch_in_short():
    """The head and the first six of these rows."""
    yield from list(torch_layers())[:8]


def torch_programs():
    """Those programs."""
    for layers, rows in wrong_in_torch().items():
        yield f"### {layers}"
        yield ""
        for row in rows:
            yield f"{row['mode']}: {row['verdict']}, {float(row['ulps']):.1e} ulps off."
            yield ""
            yield "```pycon"
            yield row["program"].rstrip()
            yield "```"
            yield ""


def verdicts():
    """The verdicts and what they mean, from the docstring of crosscheck.verdict."""
    yield from table("verdict", "meaning")
    for name in verdict.VERDICTS:
        entry = re.compile(rf"^    {name}  +(.*(?:\n {{5,}}.*)*)", re.MULTILINE)
        meaning = entry.search(verdict.__doc__)[1]
        yield f"| {name} | {' '.join(meaning.split())} |"


def checkers():
    """(checker, planted faults that it noticed, planted faults) of checkers.csv."""
    return [(row["checker"], int(row["rejected"]), int(row["cases"])) for row in report("checkers")
            if row["what"] == "faults" and row["group"] == "all"]


def checkers_in_words():
    (first, noticed, cases), *others = checkers()
    least, most = min(n for _, n, _ in others), max(n for _, n, _ in others)
    yield f"{cases} mistakes were planted in right derivatives. {first} notices {noticed} of them;"
    yield f"the gradient checkers of torch, JAX and autograd notice {least} to {most}."


def picture():
    """A bar for each checker, as SVG."""
    found = checkers()
    top, step, left, width = 40, 26, 190, 360
    height = top + step * len(found) + 8
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" width="640" '
             'font-family="sans-serif" font-size="14">',
             f'<rect width="640" height="{height}" fill="white"/>',
             f'<text x="8" y="22" font-size="16" font-weight="bold">Of {found[0][2]} planted '
             'mistakes in gradients, each checker notices:</text>']
    for i, (name, noticed, cases) in enumerate(found):
        y = top + step * i
        color = "#0072b2" if name == "crosscheck" else "#d8a27c"
        lines += [f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{name}</text>',
                  f'<rect x="{left}" y="{y}" width="{width}" height="20" fill="#eeeeee"/>',
                  f'<rect x="{left}" y="{y}" width="{width * noticed / cases:.1f}" height="20" '
                  f'fill="{color}"/>',
                  f'<text x="{left + width + 8}" y="{y + 15}">{noticed}</text>']
    return "\n".join([*lines, "</svg>", ""])


def notebook(page):
    """A page as a Jupyter notebook: words, programs, and what these print."""
    cells, words, outputs = [], [], None

    def add(kind, text, **more):
        cells.append({"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}, **more,
                      "source": text.strip().splitlines(keepends=True)})

    def end_of_words():
        if "".join(words).strip():
            add("markdown", "".join(words))
        words.clear()

    for part in re.split(r"(^```[\w-]*\n.*?^```\n)", page, flags=re.DOTALL | re.MULTILINE):
        mark, _, source = part.removesuffix("```\n").partition("\n")
        if mark == "```python":
            end_of_words()
            outputs = []
            add("code", source, execution_count=None, outputs=outputs)
        elif mark in ("```output", "```report"):
            outputs.append({"name": "stdout", "output_type": "stream",
                            "text": source.splitlines(keepends=True)})
        else:
            words.append(part)
    end_of_words()
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    book = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


PARTS = {"layers": layers, "kinds": kinds, "kinks": kinks, "torch": torch_layers,
         "torch_in_short": torch_in_short,
         "programs": torch_programs, "checkers": checkers_in_words, "verdicts": verdicts}


def filled(page):
    """A page with its parts written anew."""
    def part(match):
        return "\n".join([match[1], *PARTS[match[2]](), match[3]])
    return re.sub(r"(<!-- (\w+) -->)\n.*?\n?(<!-- end of \2 -->)", part, page, flags=re.DOTALL)


def written():
    """All that is generated: path -> text."""
    files = {path: filled((ROOT / path).read_text()) for path in PAGES}
    files["docs/pictures/checkers.svg"] = picture()
    for name in NOTEBOOKS:
        path = f"docs/tutorials/{name}.md"
        files[f"examples/{name}.ipynb"] = notebook(files.get(path) or (ROOT / path).read_text())
    return files


if __name__ == "__main__":
    for path, text in written().items():
        (ROOT / path).write_text(text)
