"""The book of derivations: worked examples, the engine's own rules and the classical identities,
derived and proved.

Nothing here is a list of its own: the examples and identities are data beside this file, the rules
are those of refgrad's table, each at the first of its cases for which there is a formula; and
random expressions are drawn.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from refgrad.cases import Fixed, sample
from refgrad.derive import NoFormula, derive
from refgrad.derive import form as F
from refgrad.derive.derivation import with_signature
from refgrad.derive.expression import parse
from refgrad.derive.numpy_source import NoSource
from refgrad.derive.printing import mathml, text
from refgrad.errors import NoRule
from refgrad.primitive import CONSTANT, TABLE, Primitive

from ..faults.planting import family
from ...proof import prove
from ...sharing import share_out
from .examples import EXAMPLES
from .identities import FAMILIES
from .proving import (Posed, agreement, declared, derived_gradient, digits, dimensions, drawn,
                      own_gradient, weighted)
from .random_expressions import draw
from . import BOOK, NUMBERS, PROOFS
from .written import NotWritten, written

#: The parts, in the order of the page.
EXAMPLE, RULE, COMPOSITION, CONSTANT_RULE, IDENTITY, RANDOM = PARTS = (
    "example", "rule", "composition", "constant", "identity", "random")

#: Signs, and how many characters of a formula (as text) stand in a line.
EQUALS, PLUS, MINUS, WIDE = ('<mo form="infix">=</mo>', '<mo form="infix">+</mo>',
                             '<mo form="prefix">−</mo>', 50)

#: Digits that each proof must reach.
REQUIRED = 40

#: How many of each family a quick book has, and how many random expressions a quick and a whole
#: one.
FEW, RANDOM_FEW, RANDOM_MANY = 2, 10, 100

#: Names for dimensions and for arrays that have none of their own, and names that formulas need for
#: themselves.
DIMENSIONS, ARRAYS, RESERVED = "mnkpqrsthlj", "ABCDEFH", "dgyGLY"


@dataclass
class Entry:
    """One derivation: its row of the table, and what the page shows of it.

    failed    why it is not proved; empty if it is
    shown     the function, its differential and its gradients, and the names in them, in MathML: a
              line is a list of pieces, between which it may be broken
    steps     (rule, lines, reasons) of a worked example
    code      the NumPy function of the formula
    written, book   an identity's function and gradient, as the book writes them, in MathML
    about     text that explains it: what an example teaches, a rule's own derivation, a book's
              remark
    """

    part: str
    family: str
    id: str
    row: dict
    failed: str = ""
    about: str = ""
    shapes: str = ""
    shown: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    code: str = ""
    written: list = field(default_factory=list)
    book: list = field(default_factory=list)


@dataclass
class Book:
    entries: list
    stopped: str = ""   # why it ended before all entries were made

    @property
    def failed(self):
        return [e for e in self.entries if e.failed]


# What is in it


def contents(quick=False, random=None):
    """(part, family, id) of every entry, in the order of the page; `random` counts the random
    expressions."""
    random = (RANDOM_FEW if quick else RANDOM_MANY) if random is None else random
    drawn_ones = [(RANDOM, "", str(n)) for n in range(random)]
    found = [(EXAMPLE, e.section, e.title) for e in EXAMPLES]
    rules = [(_part(rule), _family(rule), rule.name) for rule in TABLE.values()]
    # Which leaves the table's order within a part.
    found += sorted(rules, key=lambda r: PARTS.index(r[0]))
    found += [(IDENTITY, name, i.id) for name, identities in FAMILIES.items() for i in identities]
    if not quick:
        return found + drawn_ones
    seen = {}
    for part, name, id in found:
        seen.setdefault((part, name), []).append((part, name, id))
    return [entry for entries in seen.values() for entry in entries[:FEW]] + drawn_ones


def _part(rule):
    return (CONSTANT_RULE if rule.kind is CONSTANT else RULE if isinstance(rule, Primitive)
            else COMPOSITION)


def _family(rule):
    if isinstance(rule, Primitive):
        return "" if rule.kind is CONSTANT else family(rule)
    return rule.call.__module__.rsplit(".", 1)[-1]


def book(seed=0, quick=False, workers=2, tick=lambda task: None, random=None):
    """All entries, made by several processes.  Interrupted (Ctrl-C), it has what is finished."""
    found, stopped = share_out(partial(entry, seed=seed), contents(quick, random), workers, tick)
    return Book([found[n] for n in sorted(found)], stopped)


def entry(task, seed=0):
    """One entry; what cannot be derived or proved is said in it, and does not end the book."""
    part, name, id = task
    found = Entry(part, name, id, dict.fromkeys(BOOK.columns, "") | {
        "part": part, "family": name, "id": id, **dict.fromkeys(NUMBERS, np.nan)})
    try:
        WRITERS[part](found, seed)
    except Exception as error:  # a derivation that breaks is a finding
        found.failed = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    short = [f"{c.replace('_', ' ')}: {found.row[c]:.1f}" for c in PROOFS
             if found.row[c] < REQUIRED]
    found.row["failed"] = found.failed = "; ".join(filter(None, [found.failed, *short]))
    return found


# A derivation and its proofs


def _derived(found, derivation, arrays, properties, seed, book=None):
    """Put a derivation into an entry: its formulas, and to how many digits they agree with
    differences, with the engine and with a book's gradient."""
    names = [v.name for v in derivation.variables]
    value = lambda arrays: derivation.f(*(arrays[n] for n in names))
    cotangent = "" if derivation.scalar else derivation.cotangent_name(derivation.result.ndim)
    if cotangent and cotangent not in arrays:
        arrays = arrays | {cotangent: sample(np.random.default_rng([seed, 1]),
                                             np.shape(value(arrays)))}
    function = weighted(value, cotangent) if cotangent else value
    properties = {k: properties.get(k, "") for k in derivation.wrt}
    where = {}
    for formula in derivation.gradients.values():
        where |= dict(formula.where)
    found.row |= {"wrt": ", ".join(derivation.wrt),
                  "gradient": _as_text(derivation.gradients, where),
                  "symbolic": _symbolic(derivation.proof()), "fallback": derivation.fallback or "",
                  "note": "; ".join(filter(None, [found.row["note"], *derivation.notes]))}
    found.shapes = ", ".join(_described(v) for v in derivation.variables)
    found.shown = _formulas(derivation, where)
    try:
        found.code = derivation.source
    except NoSource as error:
        found.row["fallback"] = f"the formula is not a program: {error}"
        return
    gradient = derived_gradient(derivation, cotangent)
    found.row |= {"digits": digits(gradient, function, arrays, properties, seed),
                  "engine_digits": agreement(gradient, own_gradient(function, properties), arrays)}
    if book is not None:
        found.row["book_digits"] = agreement(gradient, book, arrays)


def _as_text(gradients, where):
    several = len(gradients) > 1
    lines = [f"{name}: {g}" if several else str(g) for name, g in gradients.items()]
    return "; ".join(lines) + "".join(f"; {n} = {g}" for n, g in where.items())


def _symbolic(proof):
    """What the vjp rules give is what can be read off the jvp rules: as expressions, without
    numbers."""
    if None in proof.values():
        return "not shown: a rule without a formula, or two forms that agree in numbers alone"
    return ("equal" if all(proof.values())
            else "not shown: " + ", ".join(n for n, equal in proof.items() if not equal))


def _described(v):
    return (f"{v.name}: {' × '.join(map(str, v.shape)) or 'a number'}"
            + "".join(f", {p}" for p in v.properties))


def _formulas(derivation, where):
    """The function, its differential and its vjp or gradients, and what the names in them stand
    for."""
    kind = derivation.value_formula.form.kind
    label = "L" if derivation.scalar else "y" if derivation.result.ndim == 1 else "Y"
    lines = [(F.Name(label, kind, "intermediate"), derivation.value_formula),
             (F.Name("d" + label, kind, "differential"), derivation.differential)]
    before = "dL/d" if derivation.scalar else "G_"
    lines += [(F.Name(before + name, g.form.kind, "cotangent"), g)
              for name, g in derivation.gradients.items()]
    names = dict(derivation.value_formula.where) | dict(derivation.differential.where) | where
    lines += [(F.Name(n, g.form.kind, "differential" if n[0] == "d" else "intermediate"), g)
              for n, g in names.items()]
    return [_chain((name, g.form)) for name, g in lines]


def _chain(forms):
    """Equal formulas, in pieces between which a line may be broken; all but the first begin with
    their sign."""
    first, *rest = ([gradient_of(x.text)] if type(x) is F.Name and x.text.startswith("dL/d")
                    else pieces(x) for x in forms)
    return first + [p for x in rest for p in (EQUALS + x[0], *x[1:])]


def pieces(form):
    """A formula in MathML, a long sum term by term."""
    if type(form) is not F.Plus or len(text(form)) <= WIDE:
        return [mathml(form)]
    first, *rest = map(mathml, form.terms)
    return [first, *(t.replace('form="prefix"', 'form="infix"', 1) if t.startswith(MINUS)
                     else PLUS + t for t in rest)]


def gradient_of(text):
    """dL/dX, as a fraction."""
    above, below = (mathml(F.Name(part, F.SCALAR, "differential")) for part in text.split("/"))
    return f"<mfrac>{above}{below}</mfrac>"


def _lines(step):
    return [_chain(line.formulas) for line in step.lines]


# The parts


def _example(found, seed):
    example = next(e for e in EXAMPLES if (e.section, e.title) == (found.family, found.id))
    derivation = derive(example.function, example.wrt, **example.shapes)
    found.about = example.teaches
    _derived(found, derivation, drawn(example.shapes, np.random.default_rng(seed)), {}, seed)
    found.row["function"] = "; ".join(" = ".join(map(text, line.formulas))
                                      for line in derivation.steps[0].lines)
    found.steps = [(step.rule, _lines(step), step.why) for step in derivation.steps]


def _identity(found, seed):
    identity = next(i for i in FAMILIES[found.family] if i.id == found.id)
    function, posed = parse(identity.function), Posed(identity, seed)
    shapes = declared(identity.arrays)
    found.row |= {"function": identity.function, "book": identity.formula,
                  "source": identity.source, "note": identity.note, "wrt": identity.wrt}
    found.written, found.book = (_as_written(identity.function, identity),
                                 _as_written(identity.formula, identity))
    derivation = derive(function, identity.wrt, **{n: shapes[n] for n in function.names})
    _derived(found, derivation, posed.arrays, posed.properties, seed, posed.book)


def _random(found, seed):
    rng = np.random.default_rng([seed, int(found.id)])
    expression = draw(rng)
    found.row["function"] = expression.text
    derivation = derive(parse(expression.text), expression.wrt, **declared(expression.shapes))
    _derived(found, derivation, drawn(expression.shapes, rng), {}, seed)


def _as_written(formula, identity):
    try:
        return pieces(written(formula,
                              {n: dimensions(shape) for n, shape in identity.arrays.items()}))
    except NotWritten:
        return []


def _constant(found, seed):
    rule = _rule(found.id)
    found.about = inspect.cleandoc(rule.__doc__ or "")
    found.row |= {"function": found.id, "note": "constant almost everywhere: no derivative"}


def _rule_or_composition(found, seed):
    rule = _rule(found.id)
    found.about = inspect.cleandoc(rule.__doc__ or "")
    found.row["function"] = found.id
    function = rule.function or rule
    proofs = []
    for n, case in enumerate(rule.cases):
        rng = np.random.default_rng([seed, n])
        proofs.append(prove(case.program(function), case.draw(rng), rng))
    found.row["rule_digits"] = min((d for p in proofs for d in p.digits.values()), default=np.nan)
    found.failed = "; ".join(dict.fromkeys(f for p in proofs for f in p.faults))
    tried = list(_attempts(rule))
    ready = next((a for a in tried if a[0] and not a[0].fallback),
                 next((a for a in tried if a[0]), None))
    if ready is None:
        found.row |= {"fallback": tried[0][2], "wrt": ""}
        return
    derivation, case, domains = ready
    found.row["function"] = f"{found.id}{'' if repr(case) == '()' else ' ' + _params(case)}".strip()
    _derived(found, derivation, _point(derivation, domains, seed), {}, seed)


def _params(case):
    return ", ".join(f"{k}={v!r}" for k, v in case.params.items()
                     if isinstance(v, tuple) or np.ndim(v) == 0)


def _rule(name):
    return next(r for r in TABLE.values() if r.name == name)


#: What programs raise at sizes that do not fit what they are bound to: parameters, indices, masks.
OTHER_SIZES = ValueError, IndexError, TypeError


def _attempts(rule):
    """Derivations of a rule's cases, (Derivation, case, domains) or (None, case, why not), until
    one has a formula."""
    for case in rule.cases:
        kept = [(s, d) for s, d in zip(case.arrays, case.domains) if not isinstance(s, Fixed)]
        names = _names(rule, case)
        shapes = [s for s, _ in kept]
        if getattr(rule, "pointwise", False):
            shapes = [max(shapes, key=len)] * len(shapes)
        domains = {n: d for n, (_, d) in zip(names, kept)}
        for sizes in (_named(shapes, names), shapes):
            refused = (ValueError,) if sizes is shapes else OTHER_SIZES
            try:
                derivation = derive(with_signature(case.program(rule.function or rule), names),
                                    None, **dict(zip(names, sizes)))
            except (NoFormula, NoRule, *refused) as error:
                if sizes is shapes:
                    yield None, case, f"no formula: {str(error).splitlines()[0]}"
                continue
            if sizes is not shapes and not _any_sizes(derivation, domains):
                continue
            yield derivation, case, domains
            if not derivation.fallback:
                return


def _any_sizes(derivation, domains):
    """Whether function and formula run at other sizes than those of the case: parameters may be
    bound to these."""
    point = _point(derivation, domains, 0)
    try:
        arrays = [point[v.name] for v in derivation.variables]
        cotangent = [] if derivation.scalar else [np.ones(np.shape(derivation.f(*arrays)))]
        with np.errstate(all="ignore"):
            found = derivation.numpy()(*arrays, *cotangent)
    except NoSource:
        return True
    except OTHER_SIZES:
        return False
    found = found if isinstance(found, dict) else {derivation.wrt[0]: found}
    return all(np.shape(g) == np.shape(point[name]) for name, g in found.items())


def _point(derivation, domains, seed):
    """Arrays in the domains of a case, at which to prove."""
    shapes = {v.name: (*v.shape, *filter(None, [domains[v.name]])) for v in derivation.variables}
    return drawn(shapes, np.random.default_rng(seed))


def _names(rule, case):
    """Names for the drawn arrays: those that the rule uses, large letters for matrices; else A, B
    ..."""
    parameters = _parameters(rule)
    kept = [n for n, s in enumerate(case.arrays) if not isinstance(s, Fixed)]
    names = []
    if len(parameters) >= len(case.arrays):
        names = [parameters[n].upper() if len(case.arrays[n]) > 1 else parameters[n].lower()
                 for n in kept]
    if len(set(names)) == len(kept) and all(len(n) == 1 and n not in RESERVED for n in names):
        return names
    return [a if len(case.arrays[n]) > 1 else a.lower() for a, n in zip(ARRAYS, kept)]


def _parameters(rule):
    """The names of a function's arrays, as its rules or its program have them."""
    if isinstance(rule, Primitive):
        return rule.names.arrays
    parameters = inspect.signature(rule.call).parameters.values()
    return ([p.name for p in parameters]
            if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) else [])


def _named(shapes, names):
    """The shapes with letters for sizes: equal sizes have equal letters, and 1 stays 1."""
    free = (d for d in DIMENSIONS if d not in names)
    letters = {1: 1}
    for size in (n for s in shapes for n in s):
        if size not in letters:
            letters[size] = next(free)
    return [tuple(letters[n] for n in s) for s in shapes]


WRITERS = {EXAMPLE: _example, RULE: _rule_or_composition, COMPOSITION: _rule_or_composition,
           CONSTANT_RULE: _constant, IDENTITY: _identity, RANDOM: _random}


# Tables


def derivations_table(entries, ulps):
    """The table; `ulps` has torch's errors: {(primitive, dtype): ulps}."""
    frame = pd.DataFrame([e.row for e in entries],
                         columns=BOOK.columns).astype({c: float for c in NUMBERS})
    rules = frame["part"] == RULE
    for dtype in ("float64", "float32"):
        frame.loc[rules, f"torch_ulps_{dtype}"] = [ulps.get((id, dtype), np.nan)
                                                   for id in frame.loc[rules, "id"]]
    return frame


def filled(column):
    """Where a column of text has some; what was read from a file has nan for none."""
    return column.notna() & (column.astype(str) != "")


def sentence(frame):
    """What the book has, in one sentence."""
    proved = frame[~filled(frame["failed"])]
    derived = proved[proved["digits"].notna()]
    left = int(filled(derived["fallback"]).sum())
    least = derived[["digits", "book_digits", "engine_digits"]].min().min()
    text = "no derivation"
    if len(derived):
        text = (f"{len(derived):,} derivations, {len(derived) - left:,} of them in matrix notation "
                "alone, agree with "
                "differences in ball arithmetic, with the engine and with the books' formulas " +
                ("exactly" if np.isinf(least) else f"to at least {int(least)} digits"))
    failed = len(frame) - len(proved)
    return text + (f"; {failed:,} {'is' if failed == 1 else 'are'} not proved" if failed else "")
