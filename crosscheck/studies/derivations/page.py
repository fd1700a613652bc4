"""The book of derivations as a page of its own, derivations.html."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from markupsafe import Markup

from refgrad import nn
from refgrad.derive import form as F
from refgrad.derive.printing import mathml

from ...report.page import render
from ...report.sections import anchor
from . import book
from .written import written

TEMPLATE = Path(__file__).with_name("page.html")

#: The parts of the page: their titles and what is said of each.
PARTS = {
    book.EXAMPLE: ("Basics", "Each example is derived by the rules of the engine; the NumPy "
                             "function below it is printed from its formula."),
    book.RULE: ("Layers, losses and primitives",
                "Every rule of the engine with its own derivation, and the formulas that come out "
                "when it runs on symbols: the function, its differential (forward mode) and its "
                "vjp (reverse mode) with the cotangent G, or its gradient where it is a number."),
    book.COMPOSITION: ("Functions made of these", "They need no rules of their own: the formulas "
                                                  "come out of those of their parts."),
    book.CONSTANT_RULE: ("Constant almost everywhere",
                         "Their differential is 0 wherever they have one."),
    book.IDENTITY: ("Classical identities",
                    "The gradient as a book has it and as it is derived: both are proved, and they "
                    "agree. For a function that is no number it is the vjp with a given G or g. "
                    "Among symmetric matrices a gradient is symmetric."),
}


def write_derivations(entries, frame, path):
    """Write the book; `frame` is its table."""
    shown = [_shown(e, row) for e, row in zip(entries, frame.to_dict("records"), strict=True)]
    parts = []
    for kind, (title, text) in PARTS.items():
        families = {}
        for e in shown:
            if e["part"] == kind:
                families.setdefault(e["family"], []).append(e)
        layers_first = sorted(families,
                              key=lambda name: kind == book.RULE and not hasattr(nn, name))
        parts.append({"kind": kind, "title": title, "text": text, "anchor": kind, "families": [
            {"title": (name[:1].upper() + name[1:]).replace("_", " "), "anchor": anchor(kind, name),
             "entries": families[name]}
            for name in layers_first]})
    failed = [e for e in shown if e["failed"]]
    Path(path).write_text(encoding="utf-8", data=render(
        TEMPLATE, verdict=book.sentence(frame) + ".", good=not failed, failed=failed,
        random=[e for e in shown if e["part"] == book.RANDOM],
        parts=[p for p in parts if p["families"]], m=NOTATION))


def chain(pieces):
    """A formula, which may be broken between its pieces."""
    return Markup(" ").join(map(math, pieces))


def math(xml):
    return Markup(f'<math displaystyle="true"><mrow>{xml}</mrow></math>')


def _shown(e, row):
    """What the template asks of an entry."""
    gradients = e.shown[2:]
    if len(gradients) == 1:  # whose name says nothing
        gradients = [[x.removeprefix(book.EQUALS) for x in line[1:]] for line in gradients]
    return {
        "part": e.part, "family": e.family, "id": e.id,
        "anchor": anchor(e.part, e.family, e.id), "about": e.about,
        "shapes": e.shapes, "failed": e.failed, "code": re.sub(r"\n{3,}", "\n\n", e.code).strip(),
        "function": row["function"],
        "wrt": row["wrt"],
        "call": "; ".join(filter(None, [row["function"].removeprefix(e.id).strip(), e.shapes])),
        "shown": [chain(line) for line in e.shown],
        "gradients": [chain(line) for line in gradients],
        "steps": [(rule, [chain(line) for line in lines], why) for rule, lines, why in e.steps],
        "fallback": row["fallback"], "source": row["source"], "note": row["note"],
        "written": _written(e.written, row["function"]), "book": _written(e.book, row["book"]),
        "digits": _count(row["digits"]), "rule_digits": _count(row["rule_digits"]),
        "checks": _checks(row)}


def _written(pieces, text):
    """A formula as the book has it; as text where it cannot be set."""
    return chain(pieces) if pieces else Markup("<code>{}</code>").format(text)


def _count(digits):
    return ("" if np.isnan(digits) else "exact" if np.isinf(digits) and digits > 0
            else str(int(max(digits, 0))))


def _checks(row):
    """What is proved of a formula, in a line."""
    said = [f"{what}: {_count(row[column])}" for what, column in (
        ("digits", "digits"), ("engine", "engine_digits"), ("rule", "rule_digits"))
            if not np.isnan(row[column])]
    if row["symbolic"]:
        said.append(f"differential and reverse rule: {row['symbolic']}")
    said += [f"torch in {dtype}: {row[c]:.2g} ulps" for dtype, c in (
        ("float64", "torch_ulps_float64"), ("float32", "torch_ulps_float32"))
             if not np.isnan(row[c])]
    return "; ".join(said)


def _notation():
    """The formulas of the introduction, set by the same printer."""
    matrices = "A", "B", "G", "X", "Y", "dA", "dB", "dX"
    shapes = dict.fromkeys(matrices, ("m", "n")) | {"b": ("n",), "r": ("m",)}

    def formula(text):
        return mathml(written(text, shapes))

    def equal(*sides):
        return book.EQUALS.join(sides)

    def d(xml):
        return f'<mrow><mi mathvariant="normal">d</mi>{bracket(xml)}</mrow>'

    def bracket(xml):
        return f'<mrow><mo form="prefix">(</mo>{xml}<mo form="postfix">)</mo></mrow>'

    def name(text, role="cotangent"):
        return mathml(F.Name(text, F.MATRIX, role))

    phi = "<mi>ϕ</mi><mo>\u2061</mo>", "<msup><mi>ϕ</mi><mo>′</mo></msup><mo>\u2061</mo>"
    of_x = bracket(formula("X"))
    change = mathml(F.Name("dL", F.SCALAR, "differential"))
    pairing = mathml(F.Inner(F.Name("G_Y", F.MATRIX, "cotangent"),
                             F.Name("dY", F.MATRIX, "differential")))
    return {key: math(xml) for key, xml in {
        "x": formula("X"), "dx": formula("dX"), "g": formula("G"), "l": "<mi>L</mi>",
        "y": formula("Y"), "gy": name("G_Y"), "gx": name("G_X"), "pairing": pairing,
        "pulled": mathml(F.Inner(F.Name("G_X", F.MATRIX, "cotangent"),
                                 F.Name("dX", F.MATRIX, "differential"))),
        "product": equal(d(formula("A @ B")), formula("dA @ B + A @ dB")),
        "inverse": equal(d(formula("inv(X)")), formula("-inv(X) @ dX @ inv(X)")),
        "entrywise": equal(f'<mi mathvariant="normal">d</mi>{phi[0]}{of_x}',
                           f'{phi[1]}{of_x}<mo form="infix">⊙</mo>{formula("dX")}'),
        "inner": equal(formula("inner(A, B)"), formula("tr(A.T @ B)")),
        "form": equal(change, formula("inner(G, dX)")),
        "cyclic": equal(formula("tr(A @ B)"), formula("tr(B @ A)")),
        "transpose": equal(formula("tr(A)"), formula("tr(A.T)")),
        "hadamard": equal(formula("inner(G, A * dX)"), formula("inner(A * G, dX)")),
        "transposed": formula("X.T"), "dot": formula("A * B"), "over": formula("A / B"),
        "squares": formula("X ** 2"), "ones": formula("one_n"), "columns": formula("X.T @ one_m"),
        "repeated": formula("outer(one_m, b)"), "diag": formula("diag(r)"),
        "rows": formula("diag(r) @ X"), "holds": formula("X > 0")}.items()}


NOTATION = _notation()
