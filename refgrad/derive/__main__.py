"""``python -m refgrad derive TEXT``: text in, derivation out."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
import textwrap
from fractions import Fraction

from .. import nn
from . import printing
from .arguments import trial, variable
from .derivation import Derivation
from .expression import FUNCTIONS, parse
from .build import mm, times
from .form import COLUMN, MATRIX, Name, Times
from .shapes import infer, shape_of, with_identity
from .symbol import NoFormula
from .tokens import ExpressionError
from .verification import WrongFormula

EXAMPLES = """\
examples:
  python -m refgrad derive "0.5*norm(X @ W - Y)**2" --wrt W
  python -m refgrad derive "tr(A' @ X @ B @ X')" --wrt X --no-steps
  python -m refgrad derive "x' @ A @ x" --wrt x --shape A=symmetric --hessian
  python -m refgrad derive "sum(log(1 + exp(-y * (X @ w))))" --wrt w --numpy
  python -m refgrad derive "cross_entropy(X @ W, Y)" --shape Y=probabilities
  python -m refgrad derive "logdet(X)" --latex

the text is Python's: + - * / entry by entry, @ for products of matrices, ** for
powers of entries, X.T or X' for the transpose, subscripts, and functions:
  {functions}
where vec goes row by row and norm is that of all entries (Frobenius). Layers
and losses are those of refgrad.nn:
  {layers}

vectors are columns: x' @ y is a number, x @ y' a matrix, and a vector without a
prime that meets a matrix in + or * stands beside each of its rows. I is the
identity.

every formula is compared with refgrad's derivatives, at random sizes and
numbers, before it is printed.

an array named by a capital (X, W1) is a matrix, by a Greek letter (alpha, lam,
sigma2) a scalar, by anything else a vector; sizes follow from how the arrays
are used. --shape says it otherwise:
  --shape X=m,n            a matrix of m x n
  --shape A=n,n,symmetric  (diagonal, positive definite)
  --shape x=3              a vector of three entries
  --shape a=scalar         (also a=)
  --shape A=symmetric      what is known of a matrix whose sizes are to be found
  --shape P=probabilities  rows with sum 1
"""


def arguments():
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m refgrad derive", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Derive the gradient of an expression as a formula, step by step.",
        epilog=EXAMPLES.format(functions=_listed(set(FUNCTIONS) - set(nn.__all__)),
                               layers=_listed(set(FUNCTIONS) & set(nn.__all__))))
    parser.add_argument("text", metavar="TEXT", help="the expression, in quotes")
    parser.add_argument("--wrt", metavar="NAME", action="append",
                        help="differentiate with respect to this array; can be repeated (default: "
                             "all arrays)")
    parser.add_argument("--shape", metavar="NAME=SIZES", action="append", default=[],
                        help="the shape of an array, and what is known of it; can be repeated")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--text", dest="form", action="store_const", const="text",
                      help="print plain text (the default)")
    form.add_argument("--latex", dest="form", action="store_const", const="latex",
                      help="print LaTeX")
    form.add_argument("--numpy", dest="form", action="store_const", const="numpy",
                      help="print a NumPy function that computes the gradient")
    parser.add_argument("--steps", action=argparse.BooleanOptionalAction, default=True,
                        help="print the whole derivation, or the formulas alone")
    parser.add_argument("--hessian", action="store_true", help="print the second derivative too")
    parser.add_argument("--verify", action="store_true",
                        help="compare the formula with refgrad's gradient and with differences at "
                             "random inputs")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    parser.set_defaults(form="text")
    return parser


def _listed(names):
    return "\n  ".join(textwrap.wrap(" ".join(sorted(names)), 76))


def main(argv=None):
    """Run the command; exit code 2 for a text without a formula, 1 for a wrong formula, else 0."""
    parser = arguments()
    given = sys.argv[1:] if argv is None else argv
    # A text that starts with a minus is no option.
    options = parser.parse_args([" " + a if re.match("-[^-]", a) and a != "-h" else a
                                 for a in given])
    if options.seed < 0:
        parser.error(f"--seed {options.seed}: expected a number that is not negative")
    try:
        return _run(options)
    except (ExpressionError, NoFormula, WrongFormula) as error:
        print(error, file=sys.stderr)
        return 1 if isinstance(error, WrongFormula) else 2


def _run(options):
    expression = parse(options.text)
    for name in options.wrt or ():
        if name not in expression.names:
            raise ExpressionError(expression.text, 0,
                                  f"--wrt {name}: there is no such array in the expression; "
                                  f"expected one of {', '.join(expression.names)}")
    shapes = infer(expression, dict(map(shape_of, options.shape)),
                   functools.partial(trial, expression))
    expression, shapes = with_identity(expression, shapes, options.wrt or ())
    wrt = tuple(dict.fromkeys(options.wrt or expression.names))
    with expression.pointing():
        derivation = Derivation(expression,
                                [variable(name, shapes[name]) for name in expression.names], wrt)
    print(_shown(derivation, options, sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    if options.hessian:
        if not derivation.scalar:
            raise ExpressionError(expression.text, 0,
                                  "--hessian: the expression is an array; expected a scalar")
        second = derivation.hessian
        for name, formula in (second if isinstance(second, dict) else {wrt[0]: second}).items():
            written = formula.latex() if options.form == "latex" else formula
            print(f"second derivative with respect to {name}: {written}")
    verification = derivation.verify(options.seed) if options.verify else None
    if verification:
        print(verification)
    return 0 if verification is None or verification.ok else 1


def _shown(derivation, options, coloured):
    if options.form == "numpy":
        return "\n".join([*(f"# {note}" for note in derivation.limits()),
                          derivation.source.rstrip()])
    if options.steps:
        whole = (derivation.latex() if options.form == "latex" else derivation.text()).rstrip()
        return _coloured(whole) if coloured and options.form == "text" else whole
    write, part = ((printing.latex, "\\quad \\text{with } ") if options.form == "latex"
                   else (printing.text, "  with "))

    results, first = derivation.results(), len(derivation.gradients)
    if not derivation.scalar:
        change = _differential(derivation)
        results.insert(0, (Name("d" + derivation.label(), change.kind, "differential"), change))
        first += 1
    lines = [part * (n >= first) + f"{write(name)} = {write(form)}"
             for n, (name, form) in enumerate(results)]
    notes = [f"Note: {note}" for note in derivation.limits()]
    lines += map(printing.latex_words, notes) if options.form == "latex" else notes
    return "\n".join(lines)


def _differential(derivation):
    """The differential: of a vector by a vector as the Jacobian times it."""
    try:
        jacobian = derivation.jacobian.form
    except (ValueError, NoFormula):
        return derivation.differential.form
    d = Name(f"d{derivation.wrt[0]}", COLUMN, "differential")
    if jacobian.kind != MATRIX or isinstance(jacobian, Times) and jacobian.body is None:
        return derivation.differential.form
    return (times(Fraction(1), jacobian.scalars, mm([jacobian.body, d]))
            if isinstance(jacobian, Times) else mm([jacobian, d]))


def _coloured(text):
    """The steps' names and reasons dim, the lines that end at a gradient bold."""
    lines, bold = [], False
    for line in text.split("\n"):
        title = re.match(r"\d+\. (The (gradient|vjp) )?", line)
        if title:
            bold = bool(title[1])
        dim = title or re.match(r" {3}(because| {7}) ", line)
        style = "2" if dim else "1" if bold and line.strip() else None
        lines.append(f"\x1b[{style}m{line}\x1b[0m" if style else line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
