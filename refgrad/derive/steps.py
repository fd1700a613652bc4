"""The steps of a derivation, as a person writes them on paper.

    1  names         Z = X W + 1 b'
    2  differentials dZ = dX W + X dW + 1 db'
    3  d to the right, one name after the other from the result back:
                     <G_Z, X dW> = tr(G_Z' X dW) = <X' G_Z, dW>
    4  what stands before dW is the gradient

The differentials come from the jvp rules, and d is moved to the right here.  That this leads to
exactly what the vjp rules give is checked, which proves that the jvp and the vjp of each primitive
are adjoint.
"""

from __future__ import annotations

import functools
import operator
import re
from typing import NamedTuple

import numpy as np

from ..primitive import LINEAR, MULTILINEAR
from . import form as F
from .build import as_inner, mm, plus, transpose
from .formula import is_seen
from .index import Sum
from .level import tidied
from .matrix import matrix_form
from .names import coefficient, linear_terms, names_in
from .printing import text
from .symbol import STRUCTURES, Symbol


class Line(NamedTuple):
    """Formulas that are equal: written a = b = c."""

    formulas: tuple

    def __repr__(self):
        return " = ".join(map(text, self.formulas))


class Step(NamedTuple):
    """One step: its rule in a few words, its lines, and why they hold."""

    rule: str
    lines: tuple
    why: tuple = ()

    def __repr__(self):
        return "\n".join([self.rule, *(f"     {line}" for line in self.lines),
                          *(f"   {'       ' if k else 'because'} {w}"
                            for k, w in enumerate(self.why))])


def steps_of(d):
    """The steps of a derivation, one after the other."""
    level, result = d.level, d.result.mark
    label = F.Name(d.label(), d.value_formula.form.kind, "intermediate")
    d_label = F.Name("d" + label.text, label.kind, "differential")
    yield Step("The function" + (", with names for its parts" if level.names else ""),
               (*map(defining, level.names), Line((label, matrix_form(d.value)))))
    change = total_change(d.change) if d.scalar else matrix_form(d.change)
    lines = (*map(defining, level.differentials.values()), Line((d_label, change)))
    made = (dict.fromkeys(p for named in level.differentials.values() for p in named.because)
            | dict.fromkeys(result.made))
    shown = [x for line in lines for x in line.formulas]
    yield Step("Differentials", lines, reasons([pair for pair in made if is_seen(pair[0], shown)]))
    for name, g, differential in way_back(d):
        made, found = moved(g, differential)
        lines = ([defining(d.defined[name])] if name in d.defined else []) + made
        rule = f"From d{name} back" if name else "d to the right"
        if not name and not d.scalar:
            rule += f", in <{d.cotangent_name(d.result.ndim)}, {d_label.text}>"
        if lines or found is None:
            yield Step(rule, tuple(lines), adjoint_reasons(made, found is None))
    sought = "gradient" if d.scalar else "vjp"
    lines, why = [], [f"what stands before a d is the {sought}"]
    for name, formula in d.gradients.items():
        chain = [F.Name(("G_" if not d.scalar else f"d{label.text}/d") + name, formula.form.kind,
                        "cotangent"), matrix_form(d.in_names[name]), formula.form]
        lines.append(Line(tuple(dict.fromkeys(chain))))
        why += next(structure_note(v) for v in d.variables if v.name == name)
    yield Step(f"The {sought} with respect to {', '.join(d.gradients)}", tuple(lines), tuple(why))


def defining(d):
    """The line that says what a name stands for."""
    return Line((matrix_form(d.symbol), matrix_form(d.definition)))


def structure_note(v):
    """Which part of what stands before d is the gradient, and why; [] if it is all of it."""
    if "diagonal" in v.properties:
        return [f"of it the diagonal, since d{v.name} is diagonal"]
    if set(STRUCTURES) & set(v.properties):
        return [f"of it the symmetric part, since d{v.name} is symmetric"]
    return []


def way_back(d):
    """What d is moved to the right in: (name, cotangent, differential) of each name, from the
    result, which is None where it has no name, back to the first."""
    level = d.level
    cotangent_of = {name: d.cotangents[slot] for slot, name in level.by_slot.items()
                    if slot in d.cotangents}
    if d.result.mark.slot not in level.by_slot:
        yield None, d.seed, d.change
    for n in reversed([n.name for n in level.names]):
        if n in level.differentials and n in cotangent_of:
            yield n, cotangent_of[n], level.differentials[n].definition


def inner(g, x):
    """<g, x>, which for numbers is their product."""
    if g.kind == F.SCALAR:
        return F.Times((g, x), None, F.SCALAR) if g != F.Num(1) else x
    return F.Inner(g, x)


def moved(g, differential):
    """Move d to the right in <g, differential>: (lines, {name of d: its coefficient}).

    g             the cotangent, a symbol
    differential  a symbol that is linear in differentials
    Returns None in the place of the dict if a term is not plainly linear in one differential.
    """
    d = Symbol(differential.axes, linear_terms(differential.expression))
    lines, found = [], {}
    for terms in entry_by_entry(d.expression):
        part = Symbol(d.axes, Sum(terms, d.expression.free))
        names = [n for n, leaf in names_in(part.expression).items() if leaf.role == "differential"]
        scalars = [np.sum(g * Symbol(d.axes, Sum((t,), d.expression.free))).expression
                   for t in terms]
        found_here = [coefficient(s.terms[0], names[0], s.free) if len(names) == 1 and s.terms
                      else None for s in scalars]
        if any(c is None for c in found_here):
            return lines, None
        c = tidied(functools.reduce(operator.add, found_here))
        part = tidied(part) if len(terms) > 1 else part
        leaf = names_in(part.expression)[names[0]]
        before, change, after = matrix_form(g), matrix_form(part), matrix_form(c)
        dx = F.Name(names[0], after.kind, "differential", "symmetric" in leaf.properties)
        chain = dict.fromkeys([inner(before, change), *as_traces(before, change, after, dx),
                               inner(after, dx)])
        if len(chain) > 1 and dx.kind != F.SCALAR and not only_scalars(*chain):
            lines.append(Line(tuple(chain)))
        found[names[0]] = found[names[0]] + c if names[0] in found else c
    return lines, {name: tidied(c) for name, c in found.items()}


def entry_by_entry(s):
    """The terms of a sum; those of one differential together, if none is entry by entry."""
    groups = {}
    for n, t in enumerate(s.terms):
        here = [f for f in t.factors if f.role == "differential"]
        apart = len(here) != 1 or not {*t.indices} <= s.free
        groups.setdefault(n if apart else (here[0].atom.name, here[0].slots), []).append(t)
    return map(tuple, groups.values())


def only_scalars(first, *rest):
    """Whether nothing has moved but scalars: s <A, dX> = <s A, dX>."""
    one, other = inner_part(first), inner_part(rest[-1])
    return (one is not None and other is not None
            and without_scalars(other.left) in (one.left, one.right))


def inner_part(x):
    """The inner product in a product of scalars."""
    parts = [*x.scalars, x.body] if type(x) is F.Times else [x]
    return next(filter(None, map(as_inner, parts)), None)


def without_scalars(x):
    """A formula without the scalars before it."""
    return x.body if type(x) is F.Times and x.body is not None else x


def total_change(change):
    """The differential of a number: each entrywise part as <C, dX>, others term by term."""
    d = Symbol(change.axes, linear_terms(change.expression))
    _, found = moved(Symbol((), Sum.number(1)), d)
    if not found:
        return matrix_form(change)
    terms = {}
    for t in d.expression.terms:
        part = Symbol((), Sum((t,), d.expression.free))
        (name,) = {n for n, leaf in names_in(part.expression).items()
                   if leaf.role == "differential"}
        terms.setdefault(name, []).append(matrix_form(part))
    forms = []
    for name, parts in terms.items():
        if len(parts) > 1 and all(inner_part(x) is not None for x in parts):
            c = matrix_form(found[name])
            parts = [inner(c, F.Name(name, c.kind, "differential"))]
        forms += parts
    return plus(forms) if len(forms) > 1 else forms[0]


def as_traces(g, part, c, dx):
    """The traces between <g, part> and <c, dx>, where a product of matrices stands before d.

    These are tr(g' part), and the same with d turned to its end.
    """
    scalars, body = (c.scalars, c.body) if type(c) is F.Times and c.body is not None else ((), c)
    if body.kind != F.MATRIX or type(body) is not F.MatMul:
        return []
    traces = [F.Trace(mm([transpose(body), dx]))]
    if g.kind == F.MATRIX and type(g) is F.Name and type(part) is F.MatMul:
        traces.insert(0, F.Trace(mm([transpose(g), part])))
    return [F.Times(scalars, t, F.SCALAR) if scalars and t is traces[-1] else t for t in traces]


def reasons(made):
    """Why a differential is what it is: the rules of calculus that were used, each once."""
    found = []
    for p, varying in made:
        if p.kind is LINEAR:
            text = None
        elif p.kind is MULTILINEAR:
            text = "product rule: d(A B) = dA B + A dB"
        elif p.pointwise:
            text = f"entry by entry, {p.name}: {one_line(p.derivation, varying)}"
        else:
            text = f"{p.name}: {one_line(p.derivation, varying)}"
        if text and text not in found:
            found.append(text)
    return tuple(found or ["d passes through linear functions"])


def one_line(derivation, varying):
    """The differential with respect to the arguments that vary, without the adjoint and the
    prose.  In a derivation, lines that are indented by eight continue those before."""
    whole = re.sub(r"\n {8}(?=\S)", " ", derivation)
    lines = [line.strip() for line in whole.strip().splitlines()]
    found = [line for line in lines if re.search(r"\bd\w* = ", line) and not line.startswith("<")]
    return "; ".join(partial(line, varying) for line in found[:3]) or lines[0]


def partial(line, varying):
    """dy = a dx + b dp without b dp, if p does not vary."""
    left, equals, right = line.partition("dy = ")
    sides = [side.split(" + ") for side in right.split(" = ")]
    if "," in right or not all(re.search(r" d[a-z]$", part) for parts in sides for part in parts):
        return line
    return left + equals + " = ".join(" + ".join(
        part for n, part in enumerate(parts) if n in varying or len(parts) == 1) for parts in sides)


def adjoint_reasons(lines, by_rule):
    """The properties of the inner product that these lines use."""
    if by_rule:
        return ("a rule without a formula: what it does to a cotangent is its vjp",)
    kinds = {*map(type, F.nodes(lines))}
    return tuple(why for kind, why in (
        (F.Trace, "<A, B> = tr(A' B), and tr(A B) = tr(B A), tr(M) = tr(M')"),
        (F.Hadamard, "an entrywise factor moves across: <G, A . dX> = <A . G, dX>"),
        (F.Ones, "the adjoint of repeating is summing: <G, 1 db'> = <G' 1, db>")) if kind in kinds)
