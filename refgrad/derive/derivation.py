"""derive: the gradient of a NumPy program as a formula, and the steps that lead there."""

from __future__ import annotations

import functools
import inspect
import itertools
from typing import NamedTuple

import numpy as np

from .. import transforms
from ..errors import describe
from ..primitive import KINKED
from . import form as F
from .formula import Formula, entries, given_in, has_indices, size_names, with_names, written_out
from .level import Deriving, tidied
from .matrix import matrix_form
from .names import data_in, inlined, jacobian_of
from .numpy_source import definition
from .printing import latex, text
from .sizes import Size
from .steps import Line, Step, adjoint_reasons, moved, reasons, total_change
from .symbol import PROPERTIES, STRUCTURES, NoFormula, Symbol, as_symbol
from .verification import verify


#: What arguments and dimensions cannot be called: the source of a formula uses these names.
RESERVED = "np", "nn", "rg", "pi"


class Variable(NamedTuple):
    """An argument of the function: its shape (integers and names of dimensions) and its properties."""

    name: str
    shape: tuple
    properties: tuple


def derive(f, /, wrt=None, **shapes):
    """Derive the gradient of a NumPy program.

    f       a function of arrays, written with NumPy or refgrad.nn; the shapes are given by its arguments' names
    wrt     the name of the argument to differentiate with respect to, or a tuple of names; all arguments if None
    shapes  for each argument a tuple of sizes, integers or names of dimensions, ``X=("m", "n")``, () for a number;
            among them words for what is known of a matrix: "symmetric", "diagonal", "positive definite",
            "probabilities" (the last axis sums to 1)

    Returns a Derivation.  The gradient has the shape of its argument; with respect to a symmetric matrix it is the
    symmetric one, (G + G')/2, and with respect to a diagonal one it is diagonal.
    Raises TypeError for arguments without a shape, SizeMismatch (a ValueError) for sizes that do not fit, and NoFormula
    for a program that has no formula (a branch on values, sorting, rounding).
    """
    arguments = argument_names(f)
    missing = [n for n in arguments if n not in shapes]
    unknown = [n for n in shapes if n not in arguments]
    if missing or unknown:
        wrong = f"{', '.join(unknown)} is none of them"
        if missing:
            x = missing[0]
            wrong = f"no shape was given for {', '.join(missing)}: {x}=(\"m\", \"n\"), {x}=(3,) or {x}=() for a number"
        raise TypeError(f"derive: {transforms._name(f)} has the arguments {', '.join(arguments)}; {wrong}")
    variables = [variable(name, shapes[name]) for name in arguments]
    for v in variables:
        clash = v.name if v.name in RESERVED else next((n for n in v.shape if n in arguments or n in RESERVED), None)
        if clash:
            raise ValueError(f"derive: {clash!r} names an argument and a dimension, or is a name that formulas need "
                             f"({', '.join(RESERVED)}); rename it in the shape of {v.name}")
    wrt = tuple(arguments) if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in wrt:
        if name not in arguments:
            raise ValueError(f"derive: wrt={name!r} is not an argument of {transforms._name(f)}; expected one of "
                             f"{', '.join(arguments)}")
    return Derivation(f, variables, wrt)


def argument_names(f):
    """The names of a function's arguments; TypeError for *args, **kwargs and keyword-only ones."""
    parameters = inspect.signature(f).parameters.values()
    for p in parameters:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"derive: the function takes {p}; expected named arguments, one for each array")
    return [p.name for p in parameters]


def variable(name, shape):
    """A Variable from its name and its shape as `derive` takes it; ValueError for a wrong one."""
    shape = (shape,) if isinstance(shape, (int, str)) else tuple(shape)
    sizes = tuple(n for n in shape if n not in PROPERTIES)
    for n in sizes:
        if not _is_size(n):
            raise ValueError(f"derive: {name} has {n!r} in its shape; expected a size (an integer above 0), the name "
                             f"of a dimension, or one of {', '.join(PROPERTIES)}")
    properties = tuple(n for n in shape if n in PROPERTIES)
    if set(properties) & set(STRUCTURES) and (len(sizes) != 2 or sizes[0] != sizes[1]):
        raise ValueError(f"derive: {name} is {properties[0]} and has the shape {sizes}; expected a square matrix")
    return Variable(name, sizes, properties)


def _is_size(n):
    """Whether this is the name of a dimension or an integer above 0."""
    return n.isidentifier() if isinstance(n, str) else isinstance(n, int) and n >= 1


def dimensions(variables):
    """A size for each name of a dimension, all different, and different from the sizes that are given."""
    given = {n for v in variables for n in v.shape if isinstance(n, int)}
    names = dict.fromkeys(n for v in variables for n in v.shape if isinstance(n, str))
    # Primes: a reshape cannot cut them by accident.
    free = (n for n in range(5, 10000) if n not in given and all(n % p for p in range(2, n)))
    return {name: Size.named(name, next(free)) for name in names}


def symbols_of(variables, sizes):
    """A symbol for each variable."""
    return [Symbol.leaf(v.name, tuple(sizes.get(n, n) for n in v.shape), "variable", v.properties) for v in variables]


def trial(f, shapes):
    """Run a program on symbols of these shapes (as for derive), only to see whether they fit; SizeMismatch if not."""
    variables = [variable(name, shapes[name]) for name in argument_names(f)]
    return f(*symbols_of(variables, dimensions(variables))).shape


class Derivation:
    """What `derive` returns.

    gradient      the formula of the gradient (of the vjp with the cotangent G, where the function is not a scalar)
    gradients     the same for each name of `wrt`
    differential  the formula of the differential
    steps         the steps of the derivation
    notes         what a reader has to know beside the formulas: conventions at kinks, sizes that are fixed
    fallback      None, or what has no formula in matrix notation and how it is written instead
    """

    def __init__(self, f, variables, wrt):
        self.f, self.variables, self.wrt = f, variables, wrt
        self.name = transforms._name(f) if transforms._name(f).isidentifier() else "f"
        first = self._run(None)
        if first.names:
            self._run(first.counts)
        self._read()

    def _run(self, lettering):
        self.sizes = dimensions(self.variables)
        self.inputs = symbols_of(self.variables, self.sizes)
        level = Deriving({v.name for v in self.variables} | set(self.sizes) | {"L", "Y", "y", "G", "g"}, lettering)
        with level:
            arguments = []
            for v, x in zip(self.variables, self.inputs):
                if v.name in self.wrt:
                    symmetric = {"symmetric"} if set(v.properties) & set(STRUCTURES) else ()
                    x = level.variable(x, Symbol.leaf("d" + v.name, x.shape, "differential", symmetric))
                arguments.append(x)
            result = self.f(*arguments)
            if issubclass(type(result), (Symbol, int, float, np.ndarray)):  # it does not depend on the variables
                constant = as_symbol(result)
                result = level.variable(constant, np.zeros_like(constant))
            if not level.traces(result):
                raise NoFormula(f"{self.name} returned {describe(result)}; expected one array")
            self.level, self.result, self.arguments = level, result, arguments
            self.scalar = result.ndim == 0
            g = self.cotangent_name(result.ndim)
            self.seed = as_symbol(1) if self.scalar else Symbol.leaf(g, result.shape, "cotangent")
            self.cotangents, self.defined = level.sweep(result.mark.slot, self.seed)
        return level

    def cotangent_name(self, ndim):
        """G for the cotangent of a matrix, g of a vector, unless an argument or a size has that name."""
        return self._free_name("g" if ndim == 1 else "G")

    def label(self):
        """How the result is called: L, or y for a vector and Y for more, unless an argument or a size has that name."""
        return self._free_name("L" if self.scalar else "y" if self.result.ndim == 1 else "Y")

    def _free_name(self, name):
        taken = {v.name for v in self.variables} | set(self.sizes)
        return next(n for n in itertools.chain([name], (f"{name}_{k}" for k in itertools.count())) if n not in taken)

    def _read(self):
        level = self.level
        self.value = level.tidy(self.result.value)
        self.change = level.tidy(self.result.mark.tangent)
        everything = self.everything = {d.name: d.definition for d in level.names}
        everything |= {"G_" + name: d.definition for name, d in self.defined.items()}
        everything |= {"d" + name: d.definition for name, d in level.differentials.items()}
        self.in_names = {}
        for v, x in zip(self.variables, self.arguments):
            if v.name in self.wrt:
                g = self.cotangents.get(x.mark.slot, np.zeros_like(x.value))
                self.in_names[v.name] = level.tidy(structured(tidied(as_symbol(g)), v.properties))
        whole = {name: written_out(g, everything) for name, g in self.in_names.items()}
        short = all(g is not None for g in whole.values())
        self.gradients = {name: Formula(whole[name]) if short else with_names(g, everything)
                          for name, g in self.in_names.items()}
        self.gradient = next(iter(self.gradients.values()))
        self.differential, self.value_formula = (
            with_names(x, everything) if out is None else Formula(out)
            for x, out in ((x, written_out(x, everything)) for x in (self.change, self.value)))
        self.fallback = self._fallback()
        formulas = [self.value_formula, self.differential, *self.gradients.values()]
        shown = [self.value, self.change, *self.in_names.values(), *everything.values(), *(f.symbol for f in formulas)]
        self.given = list({name: d for x in shown for name, d in data_in(x.sum).items()}.values())
        self.by_position = bool(self.sizes and self.given)
        self.notes = tuple(self._notes())

    def _notes(self):
        """What a reader has to know beside the formulas."""
        if self.by_position:
            sizes = ", ".join(f"{name} = {int(n)}" for name, n in self.sizes.items())
            yield f"entries are chosen by their position, so the formulas hold for {sizes} alone"
        for d in self.given:
            yield f"{d.name} = {entries(d.array)}"
        kinked = dict.fromkeys(node.primitive.name for node in self.level.nodes if node.primitive.kind is KINKED)
        if kinked:
            yield f"where {', '.join(kinked)} has a kink, the engine's convention holds instead"

    def _fallback(self):
        if self.level.whole:
            rules = dict.fromkeys(f"{rule} of {p.name}" for rule, p in self.level.whole)
            return "left as rules of the engine: " + ", ".join(rules)
        forms = [formula.form for formula in self.gradients.values()]
        if any(has_indices(x) for x in forms):
            return "index notation: the product has no form in matrix notation"
        return None

    @functools.cached_property
    def steps(self):
        return tuple(self._steps())

    def _steps(self):
        level = self.level
        label = F.Name(self.label(), self.value_formula.form.kind, "intermediate")
        d_label = F.Name("d" + label.text, label.kind, "differential")
        result = self.result.mark
        named = level.by_slot.get(result.slot)
        lines = [Line((matrix_form(d.symbol), matrix_form(d.definition))) for d in level.names]
        lines.append(Line((label, matrix_form(self.value))))
        yield Step("The function" + (", with names for its parts" if level.names else ""), tuple(lines))
        lines = [Line((matrix_form(d.symbol), matrix_form(d.definition))) for d in level.differentials.values()]
        lines.append(Line((d_label, total_change(self.change) if self.scalar else matrix_form(self.change))))
        made = dict.fromkeys(p for d in level.differentials.values() for p in d.because) | dict.fromkeys(result.made)
        yield Step("Differentials", tuple(lines), reasons(made))
        yield from self._back(label, d_label, named)
        sought = "gradient" if self.scalar else "vjp"
        lines, why = [], [f"what stands before a d is the {sought}"]
        for name, formula in self.gradients.items():
            chain = [F.Name(("G_" if not self.scalar else f"d{label.text}/d") + name, formula.form.kind, "cotangent"),
                     matrix_form(self.in_names[name]), formula.form]
            lines.append(Line(tuple(dict.fromkeys(chain))))
            why += structure_note(self._variable(name))
        yield Step(f"The {sought} with respect to {', '.join(self.gradients)}", tuple(lines), tuple(why))

    def _variable(self, name):
        return next(v for v in self.variables if v.name == name)

    def _back(self, label, d_label, named):
        """The way back: from the result to the names, from each name to those before it."""
        level = self.level
        todo = [(None, self.seed, self.change)]
        todo += [(d.name, level.by_slot, level.differentials[d.name].definition) for d in reversed(level.names)
                 if d.name in level.differentials]
        slot_of = {name: slot for slot, name in level.by_slot.items()}
        for name, g, differential in todo:
            lines = []
            if name is not None:
                if slot_of[name] not in self.cotangents:
                    continue
                g = self.cotangents[slot_of[name]]
                if name in self.defined:
                    d = self.defined[name]
                    lines.append(Line((matrix_form(d.symbol), matrix_form(d.definition))))
            elif named:
                continue
            made, found = moved(g, differential)
            lines += made
            why = adjoint_reasons(made, found is None)
            rule = f"From d{name} back" if name else "d to the right"
            if not name and not self.scalar:
                rule += f", in <{self.cotangent_name(self.result.ndim)}, {d_label.text}>"
            if lines or found is None:
                yield Step(rule, tuple(lines), why)

    def proof(self):
        """Whether what is read off the jvp rules is what the vjp rules give: {name: True, False or None}.

        The two are compared as expressions; None where a rule has no formula, so that nothing can be read off.
        """
        level = self.level
        cotangent_of = {name: self.cotangents[slot] for slot, name in level.by_slot.items() if slot in self.cotangents}
        read, open_ends = {}, False
        todo = [(self.seed, self.change)] if level.by_slot.get(self.result.mark.slot) is None else []
        todo += [(cotangent_of[d.name], level.differentials[d.name].definition) for d in reversed(level.names)
                 if d.name in level.differentials and d.name in cotangent_of]
        for g, differential in todo:
            _, found = moved(g, differential)
            if found is None:
                open_ends = True
                continue
            for name, c in found.items():
                read[name] = tidied(read[name] + c) if name in read else c
        given = {"d" + d.name: self.defined[d.name].definition if d.name in self.defined else cotangent_of[d.name]
                 for d in level.names if d.name in cotangent_of}
        for v, x in zip(self.variables, self.arguments):
            if v.name in self.wrt:
                given["d" + v.name] = tidied(as_symbol(self.cotangents.get(x.mark.slot, 0)))
        names = {n: d for n, d in self.everything.items() if n[0] != "d"}
        known = {"d" + v.name: v.properties for v in self.variables}

        def key(name, g):
            return tidied(structured(tidied(inlined(g, names)), known.get(name, ()))).key()

        return {name: None if open_ends else key(name, read.get(name, as_symbol(0))) == key(name, g)
                for name, g in given.items()}

    # how it looks

    def text(self):
        """The derivation as plain text."""
        lines = [f"{self.name}({', '.join(self._described(v) for v in self.variables)})", ""]
        for n, step in enumerate(self.steps, 1):
            lines.append(f"{n}. {step.rule}")
            lines += ["     " + " = ".join(text(x) for x in line.formulas) for line in step.lines]
            lines += [f"   {'because' if k == 0 else '       '} {w}" for k, w in enumerate(step.why)]
            lines.append("")
        lines += [f"Note: {note}" for note in self.notes] + [""] * bool(self.notes)
        if self.fallback:
            lines += [f"Not all of it in matrix notation; {self.fallback}", ""]
        return "\n".join(lines)

    __str__ = text

    def _described(self, v):
        return f"{v.name}: {' x '.join(map(str, v.shape)) or 'number'}" + "".join(f", {p}" for p in v.properties)

    def latex(self):
        """The derivation as LaTeX: for each step a line of text and an aligned block."""
        blocks = []
        for step in self.steps:
            rows = []
            for line in step.lines:
                first, *rest = map(latex, line.formulas)
                rows.append(f"{first} &= " + " = ".join(rest) if rest else first)
            blocks.append(f"\\text{{{step.rule}}}\n\\begin{{aligned}}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}")
        return "\n\n".join(blocks)

    def _repr_latex_(self):
        rows = " \\\\\n".join(f"\\nabla_{{{n}}} &= {g.latex()}" for n, g in self.gradients.items())
        return f"$\\displaystyle\\begin{{aligned}}\n{rows}\n\\end{{aligned}}$"

    # what it computes

    @functools.cached_property
    def source(self):
        """The formulas as the text of a NumPy function of the same arguments (and of G, for a vjp)."""
        where = {}
        for formula in self.gradients.values():
            where |= dict(formula.where)
        order = [d.name for d in self.level.names] + ["G_" + d.name for d in reversed(self.level.names)]
        lines = [(n, where[n].form) for n in order if n in where]
        forms = {name: formula.form for name, formula in self.gradients.items()}
        every = [form for _, form in lines] + list(forms.values())
        data = [f"{d.name} = np.array({entries(d.array)})"
                for d in given_in([*where.values(), *self.gradients.values()])]
        for v in self.variables:
            if v.name in forms and 1 in v.shape:  # a formula does not know axes of size 1
                forms[v.name] = F.Apply("reshape", (forms[v.name],), (("like", v.name),), forms[v.name].kind)
        arguments = [v.name for v in self.variables]
        arguments += [] if self.scalar else [self.cotangent_name(self.result.ndim)]
        returned = forms if len(forms) > 1 else next(iter(forms.values()))
        return definition("gradient" if self.scalar else "vjp", arguments, returned, lines=lines,
                          sizes=self._size_statements(every) + data)

    def _size_statements(self, forms):
        """Statements that compute the named sizes that the formulas use."""
        wanted = {n for x in forms for n in size_names(x)}
        statements = []
        for v in self.variables:
            if wanted & {n for n in v.shape if isinstance(n, str)}:
                names = [n if n in wanted and n not in v.shape[:k] else "_" for k, n in enumerate(v.shape)]
                statements.append(f"{', '.join(names)}{',' if len(names) == 1 else ''} = {v.name}.shape")
                wanted -= set(v.shape)
        return statements

    def numpy(self):
        """The function of which `source` is the text: it returns the gradient, or a dict with one for each name."""
        space = {}
        exec(compile(self.source, f"<derivation of {self.name}>", "exec"), space)
        return space["gradient" if self.scalar else "vjp"]

    def verify(self, seed=0):
        """The formula against refgrad's own gradient and against differences, at random inputs: a Verification."""
        return verify(self, seed)

    @functools.cached_property
    def hessian(self):
        """Of a number with respect to a vector the matrix of second derivatives; with respect to anything else the
        differential of the gradient, which is linear in dX: the Hessian-vector product."""
        if not self.scalar:
            raise ValueError(f"hessian: {self.name} does not return a number; expected one")
        of_one = {}
        for name in self.wrt:
            position = [v.name for v in self.variables].index(name)
            gradient = transforms.grad(self.f, position)
            second = Derivation(with_signature(gradient, [v.name for v in self.variables]), self.variables, (name,))
            of_one[name] = second.jacobian if self.inputs[position].ndim == 1 else second.differential
        return of_one if len(of_one) > 1 else next(iter(of_one.values()))

    @property
    def jacobian(self):
        """Of a vector with respect to a vector: the matrix J with dy = J dx.  ValueError for other shapes."""
        (name,) = self.wrt if len(self.wrt) == 1 else (None,)
        x = self.inputs[[v.name for v in self.variables].index(name)] if name else None
        if name is None or x.ndim != 1 or self.result.ndim != 1:
            raise ValueError("jacobian: expected a function from one vector to one vector; use vjp or differential")
        everything = {d.name: d.definition for d in self.level.names}
        everything |= {"d" + n: d.definition for n, d in self.level.differentials.items()}
        dy = tidied(inlined(self.change, everything))
        return Formula(tidied(jacobian_of(dy, Symbol.leaf("d" + name, x.shape, "differential"))))

    @property
    def vjp(self):
        """The formula of the cotangent of the (first) argument, given the result's cotangent G."""
        return self.gradient

    @property
    def jvp(self):
        """The formula of the tangent of the result."""
        return self.differential


def with_signature(f, names):
    """A function that says which arguments it has."""
    f.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names])
    return f


def structured(g, properties):
    """The gradient in the space of matrices with these properties."""
    if "diagonal" in properties:
        return np.diag(np.diagonal(g))
    if {"symmetric", "positive definite"} & set(properties):
        return (g + g.T) / 2
    return g


def structure_note(v):
    """Which part of what stands before d is the gradient, and why; [] if it is all of it."""
    if "diagonal" in v.properties:
        return [f"of it the diagonal, since d{v.name} is diagonal"]
    if {"symmetric", "positive definite"} & set(v.properties):
        return [f"of it the symmetric part, since d{v.name} is symmetric"]
    return []
