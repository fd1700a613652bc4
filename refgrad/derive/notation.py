"""How functions are written in text, LaTeX, MathML and NumPy, and the traits by which identities
know them.

Both tables are keyed by primitive.  A function without an entry is written by its own name,
``tanh(X)`` and ``np.tanh(X)``, with its parameters as keyword arguments.

An entry without ``#`` or ``@`` is a function's name; otherwise it is a pattern: ``#1`` is the first
argument where brackets or commas hold it, ``@1`` the first argument in parentheses unless it is one
sign, ``#axis`` a parameter.
"""

from __future__ import annotations

import operator
import re
from typing import NamedTuple

import numpy as np

from .. import nn as nn  # their primitives stand in TABLE once they are imported
from .. import rules as rules
from ..primitive import TABLE, Primitive


class Notation(NamedTuple):
    """How one function is written.

    source   None where users cannot reach the function
    whole    the function stays whole in formulas, though it is not elementwise
    loose    text, LaTeX and MathML are more than one sign: parentheses keep them from their
             neighbours
    """

    text: str
    latex: str
    mathml: str
    source: str | None
    whole: bool = False
    loose: bool = False


_PRIMITIVES = {rule.name: rule for rule in TABLE.values()}
_OPERATORS = {"arccos", "arcsin", "arctan", "cos", "cosh", "det", "exp", "log", "max", "min", "sin",
              "sinh", "tan", "tanh"}


def _named(name, source, whole=False, latex=None):
    plain = ("\\" + name if name in _OPERATORS
             else r"\operatorname{{{}}}".format(name.replace("_", r"\_")))
    return Notation(name, latex or plain, f"<mi>{name}</mi>", source, whole)


def _bars(source):
    return Notation("abs", r"\lvert #1 \rvert",
                    '<mrow><mo form="prefix">|</mo>#1<mo form="postfix">|</mo></mrow>', source)


NOTATION = {_PRIMITIVES[name]: entry for name, entry in {
    "np.absolute": _bars("np.abs"),
    "np.fabs": _bars("np.fabs"),
    "np.sqrt": Notation("sqrt", r"\sqrt{#1}", "<msqrt>#1</msqrt>", "np.sqrt"),
    "np.maximum": _named("max", "np.maximum"),
    "np.minimum": _named("min", "np.minimum"),
    "np.power": Notation("@1^(#2)", "{@1}^{#2}", "<msup><mrow>@1</mrow><mrow>#2</mrow></msup>",
                         "np.power", loose=True),
    "sech_squared": Notation(
        "sech^2", r"\operatorname{sech}^{2}", "<msup><mi>sech</mi><mn>2</mn></msup>",
        "1 / np.cosh(#1) ** 2"),
    "sigmoid": Notation("sigma", r"\sigma", "<mi>σ</mi>", "nn.sigmoid"),
    "log1pexp": Notation("log(1 + exp(#1))", r"\log(1 + e^{#1})",
                         "<mi>log</mi><mo>(</mo><mn>1</mn><mo>+</mo><msup><mi>e</mi><mrow>#1</mrow>"
                         "</msup><mo>)</mo>", "np.logaddexp(0, #1)"),
    "relu": _named("relu", "np.maximum(#1, 0)"),
    **{name: _named(name, f"nn.{name}") for name in (
        "leaky_relu", "elu", "softplus", "silu", "gelu", "softsign", "tanhshrink")},
    "hardtanh": _named("hardtanh", "nn.hardtanh(#1, #low, #high)"),
    "exponent": _named("exponent", "np.frexp(#1)[1]"),
    "excess": _named("excess", "(@1 - @2) / (@1 * (1 - @1))"),
    "gelu_tanh": _named("gelu_tanh", 'nn.gelu(#1, approximate="tanh")'),
    "erf": _named("erf", "rg.erf"),
    "erfc": _named("erfc", "1 - rg.erf(#1)"),
    "softmax": _named("softmax", "nn.softmax(#1, dim=#axis)", whole=True),
    "log_softmax": _named("log_softmax", "nn.log_softmax(#1, dim=#axis)", whole=True,
                          latex=r"\operatorname{log\,softmax}"),
    "np.linalg.inv": Notation("inv", "{@1}^{-1}",
                              "<msup><mrow>@1</mrow><mrow><mo>−</mo><mn>1</mn></mrow></msup>",
                              "np.linalg.inv", whole=True, loose=True),
    "expm": _named("expm", "rg.expm", whole=True),
    "log_abs_det": Notation("log |det @1|", r"\log \lvert \det @1 \rvert",
                            '<mi>log</mi><mo form="prefix">|</mo><mi>det</mi><mo>\u2061</mo>@1'
                            '<mo form="postfix">|</mo>',
                            "np.linalg.slogdet(#1)[1]", whole=True, loose=True),
    "np.linalg.cholesky": _named("chol", "np.linalg.cholesky", whole=True),
    **{name: _named(name, f"nn.convolution.{name}(#1, #2, form=nn.convolution.#form)", whole=True)
       for name in ("conv", "conv_input", "conv_weight")},
    **{name: _named(numpys, f"np.linalg.{numpys}", whole=True) for name, numpys in (
        ("np.linalg.det", "det"), ("spectrum", "eigh"), ("singular", "svd"), ("tall_qr", "qr"),
        ("eigenvalues", "eigvalsh"), ("singular_values", "svdvals"), ("pseudoinverse", "pinv"))},
}.items()}


class Traits(NamedTuple):
    """What is known of one function beside its rules."""

    undoes: Primitive | None = None   # the function of which it is the inverse
    log_of: Primitive | None = None   # the function of which it is the logarithm
    over: tuple | None = None         # (b, q): divided by b it is q
    sums_to_one: bool = False         # its entries sum to 1 along the parameter `axis`
    inverts: bool = False             # it is the inverse of a matrix
    rectifies: bool = False           # its result is positive exactly where its argument is
    program: bool = False             # its rules loop over entries, which gives no formula
    linear_in: int | None = None      # an argument in which it is linear: no rule reads its value
    bilinear: bool = False            # a product of two arguments, though its kind is another
    # The root of a sum of squares: its rule divides by it, and its square has no kink.
    root: bool = False


SOFTMAX = _PRIMITIVES["softmax"]
TRAITS = {_PRIMITIVES[name]: entry for name, entry in {
    "softmax": Traits(sums_to_one=True),
    "log_softmax": Traits(log_of=SOFTMAX),
    "np.exp": Traits(undoes=TABLE[np.log]),
    "np.expm1": Traits(undoes=TABLE[np.log1p]),
    "np.sinh": Traits(undoes=TABLE[np.arcsinh], over=(TABLE[np.cosh], TABLE[np.tanh])),
    "np.sin": Traits(over=(TABLE[np.cos], TABLE[np.tan])),
    "np.tan": Traits(undoes=TABLE[np.arctan]),
    "np.linalg.inv": Traits(inverts=True),
    "relu": Traits(rectifies=True),
    "np.prod": Traits(program=True),
    "np.cumprod": Traits(program=True),
    "np.divide": Traits(linear_in=0),
    "linear": Traits(bilinear=True),
    "norm": Traits(root=True),
    "np.hypot": Traits(root=True),
}.items()}
TRAITS |= {entry.undoes: Traits(undoes=p) for p, entry in TRAITS.items() if entry.undoes}


def traits(function) -> Traits:
    """What is known of a function, a primitive or the name of a comparison."""
    return TRAITS.get(function, Traits())


def notation(primitive) -> Notation:
    """How a primitive is written; by its own name, if the table has no entry for it."""
    return NOTATION.get(primitive) or _named(
        primitive.name.split(".")[-1], primitive.name if _reachable(primitive.name) else None)


def _reachable(name):
    """Whether "np.linalg.inv" is what users call, a function of NumPy's."""
    try:
        return name.startswith("np.") and callable(operator.attrgetter(name[3:])(np))
    except AttributeError:
        return False


def fill(pattern, arguments, signs, params):
    """A pattern with its arguments, `signs` (in parentheses) and parameters put in."""
    def one(match):
        mark, what = match.groups()
        return ((arguments if mark == "#" else signs)[int(what) - 1] if what.isdigit()
                else repr(params[what]))
    return re.sub(r"([#@])(\d+|[a-z_]+)", one, pattern)


def is_pattern(entry):
    """Whether an entry has places for arguments or parameters."""
    return bool(re.search(r"[#@](\d|[a-z])", entry))
