"""derive: the gradient of a NumPy program as a formula, and the steps that lead there."""

from __future__ import annotations

import functools
import itertools
from html import escape

import numpy as np

from .. import transforms
from ..primitive import KINKED
from . import form as F
from .arguments import hidden_sizes, names_of, size_at, variables_of, with_signature
from .data import NAMES, during
from .formula import Formula, entries, is_seen, size_names, with_few_names
from .level import tidied
from .matrix import has_indices, size_name, with_all_axes
from .names import data_in, inlined, jacobian_of, names_in
from .numpy_source import NoSource, definition
from .printing import latex, latex_words, mathml, text
from .proof import proof_of
from .run import Run
from .steps import steps_of
from .symbol import STRUCTURES, Symbol, as_symbol
from .verification import confirm, confirm_jacobian, verify


def derive(f, /, wrt=None, check=True, **shapes):
    """Derive the gradient of a NumPy program.

    f       a function of arrays, written with NumPy or refgrad.nn; the shapes are given by its
            arguments' names
    wrt     the name of the argument to differentiate with respect to, or a tuple of names; all
            arguments if None
    check   whether the formulas are compared with the engine's gradient, at random sizes and random
            numbers
    shapes  for each argument a tuple of sizes, integers or names of dimensions, ``X=("m", "n")``,
            or products of these, "m*n"; () for a number; among them words for what is known of a
            matrix: "symmetric", "diagonal", "positive definite", "probabilities" (the last axis
            sums to 1)

    Returns a Derivation.  The gradient has the shape of its argument; with respect to a symmetric
    matrix it is the symmetric one, (G + G')/2, and with respect to a diagonal one it is diagonal.
    Raises TypeError for arguments without a shape, ValueError for a wrong shape or a wrong `wrt`,
    SizeMismatch (a ValueError) for sizes that do not fit, NoFormula for a program that has no
    formula (a branch on values, sorting, rounding), and WrongFormula for one that does not stand
    the comparison.
    """
    variables = variables_of(f, shapes)
    return Derivation(f, variables, names_of(wrt, f, variables), check)


class Derivation(Run):
    """What `derive` returns.

    gradient      the formula of the gradient (of the vjp with the cotangent G, where the function
                  is not a scalar)
    gradients     the same for each name of `wrt`
    differential  the formula of the differential
    steps         the steps of the derivation
    notes         what a reader has to know beside the formulas: conventions at kinks, sizes that
                  are fixed
    fixed         whether the formulas hold for the sizes `numbers` alone
    fallback      None, or what has no formula in matrix notation and how it is written instead
    """

    def __init__(self, f, variables, wrt, check=True, program=None):
        """`program` is what the engine differentiates for the comparison, if not f itself."""
        self.program = program or f
        self._derive(f, variables, wrt)
        self.checks, self.of_the_second = check, []  # what has to be known of the Hessian beside
        # why the formulas were not compared with the engine
        self.unconfirmed = None if check else "check=False"
        if check:
            confirm(self)

    def again(self, found):
        """Derive with plain numbers replaced by what was found that they are."""
        self._derive(self.f, self.variables, self.wrt, found=found)

    def _derive(self, *program, found=None):
        super().__init__(*program, found=found)
        with during(NAMES, self.data):
            self._read()

    def _read(self):
        level = self.level
        self.value = level.tidy(self.result.value)
        self.change = level.tidy(self.result.mark.tangent)
        self.in_names = {}
        for v, x in zip(self.variables, self.arguments):
            if v.name in self.wrt:
                g = self.cotangents.get(x.mark.slot, np.zeros_like(x.value))
                self.in_names[v.name] = level.tidy(structured(tidied(as_symbol(g)), v.properties))
        level.forget_unused([self.value, self.change, *self.in_names.values(),
                             *self.cotangents.values()])
        everything = self.everything = {d.name: d.definition for d in level.names}
        everything |= {"G_" + name: d.definition for name, d in self.defined.items()}
        everything |= {"d" + name: d.definition for name, d in level.differentials.items()}
        self.gradients = with_few_names(self.in_names, everything)
        self.gradient = next(iter(self.gradients.values()))
        self.differential, self.value_formula = (
            with_few_names({"": x}, everything)[""] for x in (self.change, self.value))
        self.fallback = self._fallback()
        formulas = [self.value_formula, self.differential, *self.gradients.values()]
        shown = [self.value, self.change, *self.in_names.values(), *everything.values(),
                 *(f.symbol for f in formulas)]
        self.given = data_in(shown)
        self.differences = {name: leaf for x in shown
                            for name, leaf in names_in(x.expression).items()
                            if leaf.role == "rows" and name.isidentifier()}
        self.fixed = bool(self.numbers and self.given)

    @property
    def notes(self):
        shown = [f.form for g in self.gradients.values() for f in (g, *(f for _, f in g.where))]
        kinked = dict.fromkeys(p.name for p in (node.primitive for node in self.level.nodes)
                               if p.kind is KINKED and is_seen(p, shown))
        kinks = ([f"where {', '.join(kinked)} has a kink, the engine's convention holds instead"]
                 if kinked else [])
        return (*self.limits(), *kinks)

    def limits(self):
        """The notes that say for what the formulas hold."""
        yield from getattr(self.f, "notes", ())
        if self.fixed:
            why = ("entries are chosen by their position" if self.given
                   else "numbers are computed from the sizes")
            yield f"{why}, so the formulas hold for {self.own_sizes()} alone"
        elif self.conditions:
            found = [f"{size_name(c.left)} {c.relation} {size_name(c.right)}"
                     for c in self.conditions.values()]
            yield f"sizes are compared: the formulas hold where {', '.join(found)}"
        if self.unconfirmed:
            yield f"not compared with the engine: {self.unconfirmed}"
        for name, leaf in self.differences.items():
            n = size_name(leaf.sizes[1])
            yield f"{name} = I[1:] - I[:-1], the differences of neighbours among {n}"
        for d in self.given:
            yield f"{d.name} = {entries(d.array)}"
        yield from self.of_the_second

    def own_sizes(self):
        """The sizes that stand for the names, in words."""
        return ", ".join(f"{name} = {n}" for name, n in self.numbers.items())

    def _fallback(self):
        if self.level.whole:
            rules = dict.fromkeys(f"{rule} of {p.name}" for rule, p in self.level.whole)
            return "left as rules of the engine: " + ", ".join(rules)
        if has_indices([formula.form for formula in self.gradients.values()]):
            return "index notation: the product has no form in matrix notation"
        return None

    @functools.cached_property
    def steps(self):
        with during(NAMES, self.data):
            return tuple(steps_of(self))

    def proof(self):
        """Whether what is read off the jvp rules is what the vjp rules give: {name: True, False or
        None}; None where that is not shown."""
        with during(NAMES, self.data):
            return proof_of(self)

    # how it looks

    def text(self):
        """The derivation as plain text."""
        lines = [f"{self.name}({', '.join(self._described(v) for v in self.variables)})", ""]
        for n, step in enumerate(self.steps, 1):
            lines += [f"{n}. {step}", ""]
        lines += self.remarks() + [""] * bool(self.remarks())
        return "\n".join(lines)

    __str__ = text

    def _described(self, v):
        return (f"{v.name}: {' x '.join(map(str, v.shape)) or 'number'}"
                + "".join(f", {p}" for p in v.properties))

    def latex(self):
        """The derivation as LaTeX, for text and for displayed mathematics; needs amsmath."""
        rows = []
        for n, step in enumerate(self.steps, 1):
            rows.append(f"&{latex_words(f'{n}. {step.rule}')}")
            for line in step.lines:
                first, *rest = map(latex, line.formulas)
                rows.append(f"{first} &= " + " = ".join(rest) if rest else f"&{first}")
            rows += [rf"&\quad{latex_words(f'because {w}')}" for w in step.why]
        rows += [f"&{latex_words(note)}" for note in self.remarks()]
        return "\\ensuremath{\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}}"

    def remarks(self):
        """What is said below the steps."""
        return [*(f"Note: {note}" for note in self.notes),
                *[f"Not all of it in matrix notation; {self.fallback}"] * bool(self.fallback)]

    def results(self):
        """Pairs of formulas: the gradients and what they are, then the names in them."""
        of = "G_" if not self.scalar else f"d{self.label()}/d"
        lines = [(F.Name(of + n, g.form.kind, "cotangent"), g.form)
                 for n, g in self.gradients.items()]
        return list(dict.fromkeys([*lines,
                                   *(d for g in self.gradients.values() for d in g.definitions())]))

    def __repr__(self):
        results = "; ".join(f"{text(name)} = {text(form)}" for name, form in self.results())
        return f"Derivation({results})"

    def _repr_latex_(self):
        rows = " \\\\\n".join(f"{latex(name)} &= {latex(form)}" for name, form in self.results())
        return f"$\\displaystyle\\begin{{aligned}}\n{rows}\n\\end{{aligned}}$"

    def _repr_html_(self):
        """The steps as a table: what is done, the formulas, and why."""
        rows = [("<b>step</b>", "<b>formulas</b>", "<b>because</b>")]
        for n, step in enumerate(self.steps, 1):
            lines = (f'<math displaystyle="true">{"<mo>=</mo>".join(map(mathml, line.formulas))}'
                     "</math>" for line in step.lines)
            rows.append((f"{n}. {escape(step.rule)}", "".join(f"<p>{x}</p>" for x in lines),
                         "<br>".join(map(escape, step.why))))
        # In notebooks cells stand to the right and in the middle.
        td = '<td style="text-align: left; vertical-align: top">{}</td>'.format
        cells = ("".join(map(td, row)) for row in rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.remarks())
        return f"<table><tr>{'</tr><tr>'.join(cells)}</tr></table>{notes}"

    # what it computes

    @property
    def source(self):
        """The formulas as the text of a NumPy function of the arguments (and of G, for a vjp)."""
        return self._program(self._named(), self.gradients, self.cotangent_shape)

    def _named(self):
        return "gradient" if self.scalar else "vjp"

    @property
    def cotangent_shape(self):
        """The shape of G by its name, which a vjp takes beside the arguments."""
        return ({} if self.scalar
                else {self.cotangent_name(self.result.ndim): self.result.shape})

    def _program(self, name, formulas, more):
        """The text of a NumPy function that computes formulas; one alone, or a dict of several.

        formulas   from names to formulas
        more       arguments beside those of the function: from names to shapes
        """
        arguments, where = {v.name: v.shape for v in self.variables} | more, {}
        for formula in formulas.values():
            where |= dict(formula.where)
        names = [d.name for d in self.level.names]
        order = names + ["G_" + n for n in self.defined] + ["d" + n for n in names]
        lines = [(n, where[n].form) for n in order if n in where]
        forms = {name: with_all_axes(formula.form, formula.symbol.axes)
                 for name, formula in formulas.items()}
        every = [form for _, form in lines] + list(forms.values())
        narrow = [f"{n} = {n}[{', '.join('0' if size == 1 else ':' for size in shape)}]"
                  # A formula does not know axes of size 1.
                  for n, shape in arguments.items() if 1 in shape]
        data = [f"{d.name} = np.array({entries(d.array)})"
                for d in data_in(f.symbol for f in [*where.values(), *formulas.values()])]
        returned = forms if len(forms) > 1 else next(iter(forms.values()))
        return definition(name, list(arguments), returned, lines=lines,
                          sizes=self._guard() + self._size_statements(every) + narrow + data)

    def _guard(self):
        """Statements that refuse other sizes, where the formulas hold for some alone."""
        known = self.fixed and self.checks
        named = [v for v in self.variables if set(v.shape) & set(self.numbers)] if known else []
        own = [tuple(size_at(n, self.numbers) for n in v.shape) for v in named]
        if not named:
            return []
        return [f"if {' or '.join(f'{v.name}.shape != {shape}' for v, shape in zip(named, own))}:",
                f'    raise ValueError("the formula holds for {self.own_sizes()} alone")']

    def _size_statements(self, forms):
        """Statements that compute the named sizes that the formulas use."""
        wanted = size_names(forms)
        hidden = {q: found for q, found in hidden_sizes(
            {v.name: v.shape for v in self.variables}).items() if q in wanted}
        wanted |= {n for _, _, rest in hidden.values() for n in rest.split("*")}
        unused = next("_" * k for k in itertools.count(1) if "_" * k not in self.taken())
        statements = []
        for v in self.variables:
            if wanted & {n for n in v.shape if isinstance(n, str)}:
                names = [n if n in wanted and n not in v.shape[:k] else unused
                         for k, n in enumerate(v.shape)]
                statements.append(
                    f"{', '.join(names)}{',' if len(names) == 1 else ''} = {v.name}.shape")
                wanted -= set(v.shape)
        return statements + [
            f"{q} = {name}.shape[{axis}] // ({rest.replace('*', ' * ')})".replace(f"({rest})", rest)
            for q, (name, axis, rest) in hidden.items()]

    def numpy(self, namespace=None):
        """The function of which `source` is the text: it returns the gradient, or a dict with one
        for each name.

        namespace  name -> what stands for it in the program, as in ``{"np": module}`` for another
                   array library
        """
        return self.compiled(self._named(), self.gradients, self.cotangent_shape, namespace)

    def tangent_program(self):
        """A function of the arguments, and of dX for each X of `wrt`: the differential."""
        more = {"d" + v.name: v.shape for v in self.variables if v.name in self.wrt}
        return self.compiled("differential", {"": self.differential}, more)

    def compiled(self, name, formulas, more, namespace=None):
        """The function of which `_program` is the text."""
        program, space = self._program(name, formulas, more), {}
        exec(compile(program, f"<derivation of {self.name}>", "exec"), space)
        space.update(namespace or {})  # what its imports have put there, too
        return space[name]

    def structured(self, place, g):
        """A gradient with respect to the argument at that place, with its properties."""
        return structured(g, self.variables[place].properties)

    def verify(self, seed=0):
        """The formula against refgrad's gradient and differences, at random inputs."""
        return verify(self, seed)

    @functools.cached_property
    def hessian(self):
        """Of a number with respect to a vector the matrix of second derivatives, to a number the
        second derivative; to anything else the differential of the gradient, which is linear in dX:
        the Hessian-vector product."""
        if not self.scalar:
            raise ValueError(f"hessian: {self.name} does not return a number; expected one")
        of_one = {}
        for name in self.wrt:
            position = [v.name for v in self.variables].index(name)
            engine = self._gradient_program(position, transforms.grad(self.f, position))
            second = Derivation(self._gradient_formula(name, position) or engine, self.variables,
                                (name,), self.checks, engine)
            of_one[name] = (second.jacobian if self.inputs[position].ndim < 2
                            else second.differential)
            self.of_the_second += [note for note in second.limits() if note not in self.notes]
        return of_one if len(of_one) > 1 else next(iter(of_one.values()))

    def _gradient_formula(self, name, place):
        """The formula of a gradient as a program; None where it has none for all sizes."""
        leaves = names_in(self.gradients[name].symbol.expression).values()
        if self.fixed or self.fallback or any(leaf.role == "rows" for leaf in leaves):
            return None
        try:
            gradients = self.numpy()
        except NoSource:
            return None
        one = len(self.wrt) == 1
        return self._gradient_program(place, gradients if one
                                      else lambda *arrays: gradients(*arrays)[name])

    def _gradient_program(self, place, gradient):
        """A gradient as a program, in the space of arrays with the argument's properties."""
        program = lambda *arrays: self.structured(place, gradient(*arrays))
        program.__name__ = f"the gradient of {self.name}"
        return with_signature(program, [v.name for v in self.variables])

    @property
    def jacobian(self):
        """Of a vector with respect to a vector: the matrix J with dy = J dx; to a number: the
        derivative.

        Raises ValueError for other shapes."""
        (name,) = self.wrt if len(self.wrt) == 1 else (None,)
        x = self.inputs[[v.name for v in self.variables].index(name)] if name else None
        if name is None or x.ndim > 1 or self.result.ndim != 1 and (x.ndim or self.result.ndim):
            raise ValueError("jacobian: expected a function from one vector to one vector; for "
                             "others read gradient (the vjp) or differential (the jvp)")
        with during(NAMES, self.data):
            dy = tidied(inlined(self.change, self.everything))
            found = Formula(
                tidied(jacobian_of(dy, Symbol.leaf("d" + name, x.shape, "differential"))))
        if self.checks:
            confirm_jacobian(self, self.compiled("jacobian", {"": found}, {}))
        return found


def structured(g, properties):
    """The gradient in the space of matrices with these properties."""
    if "diagonal" in properties:
        return np.diag(np.diagonal(g))
    if set(STRUCTURES) & set(properties):
        return (g + g.T) / 2
    return g
