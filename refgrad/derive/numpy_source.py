"""Formulas as NumPy programs: what a programmer would write for them.

Columns and rows are arrays with one axis, so a transpose matters for matrices alone; ones vectors
become sums and broadcasting, diagonal matrices become entrywise products.

    X' (X W - Y)         X.T @ (X @ W - Y)
    1' X,  X W + 1 b'    np.sum(X, axis=0),  X @ W + b
    diag(u) M,  M diag(v)   u[:, None] * M,  M * v

Numbers are not rounded on the way: a third is a division by 3, and it comes after the arrays, which
may be balls.
"""

from __future__ import annotations

import ast
from fractions import Fraction

import numpy as np

from ..operations import tuple_of
from .build import transpose, transposes
from .form import (ARRAY, COLUMN, MATRIX, ROW, SCALAR, Apply, Compare, Diag, Hadamard, Name, Num,
                   Ones, Plus, Power, T, Times)
from .layout import floating, letters_of, reciprocal
from .notation import NOTATION, fill, is_pattern, notation
from .numpy_code import (ATOM, AXES, NONE, POWER, PRODUCT, SUM, UNARY, Code, Factor, alone, atom,
                         call, chain, level_of, outer, united)

class NoSource(ValueError):
    """A formula with a function that users of NumPy and refgrad cannot call."""


def source(form) -> str:
    """A formula as a NumPy expression of its names and sizes, or NoSource."""
    return full(form).text


def definition(name, arguments, result, lines=(), sizes=()) -> str:
    """The text of a module with one function.

    result  a formula, or a dict of formulas
    lines   intermediate results, pairs (name, formula)
    sizes   statements that come first, such as "m, n = X.shape"
    """
    body = [*sizes, *(f"{variable} = {source(form)}" for variable, form in lines)]
    if isinstance(result, dict):
        entries = [f"{key!r}: {source(form)}".replace("'", '"', 2) for key, form in result.items()]
        line = "return {" + ", ".join(entries) + "}"
        body += [line] if len(line) <= 100 else ["return {",
                                                 *(f"    {entry}," for entry in entries), "}"]
    else:
        body.append(f"return {source(result)}")
    code = f"def {name}({', '.join(arguments)}):\n" + "".join(f"    {line}\n" for line in body)
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    imports = [line
               for alias, line in (("np", "import numpy as np"), ("rg", "import refgrad as rg"),
                                   ("nn", "from refgrad import nn")) if alias in used]
    return "\n".join([*imports, "", "", code]) if imports else code


def full(form):
    """Code that spans all axes by itself."""
    return spread(form, AXES[form.kind])


def spread(form, need=NONE):
    """Code that spans the axes in `need` at least; others are left to broadcasting."""
    return WRITERS[type(form).__name__](form, need)


# Leaves

def short(value):
    """The decimals of a number that is a float, or a sum of floats, and best written as one; else
    None.

    A quotient of moderate integers stays one, which is exact.
    """
    exact, decimals = float(value) == value, repr(float(value))
    if (exact or value.denominator > 10 ** 9) and floating(value):
        return decimals
    return decimals if exact and len(decimals) <= 6 and "e" not in decimals else None


def _ones(form, need):
    return atom(call("np.ones", str(form.size)), COLUMN) if need else Code("1", ATOM, NONE)


def _rows(form, need):
    identity = call("np.eye", str(form.size))
    differences = form.text.isidentifier()
    return atom(call("np.diff", identity, "axis=0") if differences else f"{identity}[{form.text}]",
                MATRIX)


# Sums

def _plus(form, need):
    terms, divisor = exact_terms(form.terms)
    if divisor is not None:
        return entrywise(1, [Plus(terms, form.kind)], divisor, form.kind, need)
    codes = together(terms, form.kind, need)
    signed = [(c.text.startswith("-") and c.level > SUM, c) for c in codes]
    if signed[0][0]:  # b - a rather than -a + b
        first = next((i for i, (minus, _) in enumerate(signed) if not minus), 0)
        signed.insert(0, signed.pop(first))
    outs = [" - " + c.text[1:] if minus else " + " + c.text for minus, c in signed]
    text = "".join(outs)
    return Code("-" + text[3:] if text.startswith(" - ") else text[3:], SUM, united(codes))


def together(forms, kind, need):
    """Codes that broadcast against each other and together span at least the axes in `need`.

    Formulas of another kind are scalars among arrays; a Code stands for itself.
    """
    codes = [f if isinstance(f, Code) else spread(f) for f in forms]
    if need - united(codes):
        widest = next(i for i, f in enumerate(forms) if not isinstance(f, Code) and f.kind == kind)
        codes[widest] = spread(forms[widest], need)
    return codes


def exact_terms(terms):
    """Terms over a common divisor, if constants among them would be rounded before they meet an
    array.

    t + p/q becomes (q t + p) / q.  Returns the terms and the divisor's factors, or (terms, None)
    where all is exact.
    """
    divisors = []
    for t in terms:
        divisors += [d for d in rounded_divisors(t) if d not in divisors]
    if not divisors or len(terms) == 1:
        return terms, None
    return tuple(multiplied(t, divisors) for t in terms), divisors


def rounded_divisors(term):
    """What a constant is divided by, where the quotient is not exact."""
    number, above, below = factors_of(term)
    if not all(is_constant(f) for f in above + below):
        return []
    exact = number.denominator == 1 or short(number)
    return below + ([] if exact else [Num(Fraction(number.denominator))])


def is_constant(form):
    """Whether a formula is made of numbers, ones and sizes alone."""
    inner = (form.factors if hasattr(form, "factors") else (form.body,)
             if isinstance(form, (T, Power)) else None)
    if inner is None:
        return isinstance(form, (Num, Ones)) or isinstance(form, Name) and form.role == "size"
    return all(map(is_constant, inner))


def multiplied(term, divisors):
    """A term times scalars, some of which its own divisors undo."""
    number, above, below = factors_of(term)
    for d in divisors:
        if d in below:
            below.remove(d)
        elif isinstance(d, Num):
            number *= d.value
        else:
            above.insert(0, d)
    below = [Power(f, Fraction(-1), f.kind) for f in below]
    return Times((Num(number), *above, *below), None, term.kind)


# Products entry by entry

def factors_of(form):
    """(number, numerators, denominators) of products entry by entry and by scalars."""
    number, above, below = Fraction(1), [], []
    if isinstance(form, Num):
        return Fraction(form.value), above, below
    if isinstance(form, (Times, Hadamard)):
        inner = form.factors if isinstance(form, Hadamard) else (*form.scalars, form.body)
        for f in inner:
            if f is not None:
                n, a, b = factors_of(f)
                number, above, below = number * n, above + a, below + b
        return number, above, below
    if isinstance(form, Power) and form.exponent < 0:
        under = reciprocal(form)
        if isinstance(under, Num) and under.value:
            return 1 / Fraction(under.value), above, below
        return number, above, [under]
    return number, [form], below


def entrywise(number, above, below, kind, need):
    """number * above / below; divisions come last, and divide arrays, no rounded constants."""
    above = sorted(above, key=lambda f: isinstance(f, Compare))
    codes = together([*above, *below], kind, need)
    over, under = codes[:len(above)], codes[len(above):]
    # Factors that are columns of ones, left to broadcasting, are not there.
    kept = [(c, f) for c, f in zip(over, above) if (c.text, c.axes) != ("1", NONE)]
    times, divisor = coefficient(abs(number), bool(kept), bool(below))
    operands = [*([(times, True)] if times else []),
                *((truths(c) if isinstance(f, Compare) and (i or times) else c,
                   not c.axes if isinstance(f, Code) else f.kind == SCALAR)
                  for i, (c, f) in enumerate(kept))]
    operands = operands or [(Code("1", ATOM, NONE), True)]
    under = ([divisor] if divisor else []) + under
    if len(operands) == 1 and not under:
        code = operands[0][0]
        if number >= 0:
            return code._replace(axes=united(codes))
        product = code.level == PRODUCT
        return Code("-" + code.at(PRODUCT if product else POWER), PRODUCT if product else UNARY,
                    united(codes))
    # c * X.T @ Y / d: a product of matrices needs no parentheses after scalars, if it comes last
    open_ended = all(s for _, s in operands[:-1])
    outs = [c.at(POWER) for c, _ in operands[:-1]] + [
        operands[-1][0].at(PRODUCT if open_ended else POWER)]
    text = ("-" if number < 0 else "") + " * ".join(outs)
    if under:
        text += " / " + (under[0].at(POWER) if len(under) == 1
                         else f"({' * '.join(c.at(POWER) for c in under)})")
    return Code(text, PRODUCT, united(codes))


def coefficient(size, multiplies, divides):
    """A positive number as (factor, divisor), each a Code or None: 2 * X / 3, X / (2 * n)."""
    whole = [Code(str(n), ATOM, NONE) if n != 1 else None
             for n in (size.numerator, size.denominator)]
    if size.denominator == 1 or not short(size) or size.numerator == 1 and divides:
        return whole
    return [Code(short(size), ATOM, NONE), None] if multiplies or not divides else whole


def _compare(form, need):
    """As numbers: NumPy's truths do not add up."""
    left, right = together((form.left, form.right), form.kind, need)
    return Code(call("np.where", f"{left.text} {form.relation} {right.text}", "1", "0"), ATOM,
                united((left, right)))


def truths(code):
    """A comparison as truths, which in a product are as good as numbers."""
    return code._replace(text="("
                         + code.text.removeprefix("np.where(").removesuffix(", 1, 0)") + ")")


ROOTS = {2: "np.sqrt", 3: "np.cbrt"}


def _power(form, need):
    exponent = form.exponent
    if exponent < 0:
        return entrywise(*factors_of(form), form.kind, need)
    base = spread(form.body, need)
    if exponent.numerator == 1 and exponent.denominator in ROOTS:
        return Code(call(ROOTS[exponent.denominator], base.text), ATOM, base.axes)
    if exponent.denominator == 1 or short(exponent):
        written = exponent if exponent.denominator == 1 else short(exponent)
        return Code(f"{base.at(ATOM)} ** {written}", POWER, base.axes)
    if exponent.denominator == 3:
        return Code(f"np.cbrt({base.text}) ** {exponent.numerator}", POWER, base.axes)
    times = "" if exponent.numerator == 1 else f"{exponent.numerator} * "
    return Code(f"np.exp({times}np.log({base.text}) / {exponent.denominator})", ATOM, base.axes)


# Products of matrices

def factor(form):
    """A formula as a factor of a matrix product."""
    inner = form.body if isinstance(form, T) else form
    if isinstance(inner, Ones):
        return Factor(Code(str(inner.size), level_of(str(inner.size)), NONE), form.kind, "ones")
    if isinstance(inner, Diag):
        return Factor(full(inner.body), MATRIX, "diag")
    return Factor(full(form), form.kind)


def _matmul(form, need):
    """A column before a row splits a product: x y' Z is the outer product of x and y' Z."""
    factors = form.factors
    if form.kind in (ROW, COLUMN):  # one axis either way, so A' x may be written x' A
        turned = [transpose(f) for f in reversed(factors)]
        factors = min((factors, turned), key=transposes)
    segments = [[]]
    for f in map(factor, factors):
        if segments[-1] and segments[-1][-1].kind == COLUMN:
            segments.append([])
        segments[-1].append(f)
    parts = [chain(s) for s in segments]
    scalars = [p.code for p in parts if p.kind == SCALAR]
    arrays = [p for p in parts if p.kind != SCALAR]
    if len(arrays) == 2:
        arrays = [outer(*arrays, need)]
    elif arrays and arrays[0].special:
        arrays = [alone(arrays[0], need)]
    else:
        arrays = [p.code for p in arrays]
    if len(scalars) + len(arrays) == 1:
        return (scalars + arrays)[0]
    return entrywise(1, scalars + arrays, [], form.kind, NONE)


def _transpose(form, need):
    if form.kind == ROW:
        return spread(form.body, need)
    code = full(form.body)
    return atom(code.at(ATOM) + ".T", MATRIX)


# Functions

def function(name):
    """The writer of a function of whole arrays."""
    return written(lambda form: call(name, *(full(f).text for f in form if isinstance(f, tuple))))


def _inner(form, need):
    left, right = form.left, form.right
    if left.kind not in (MATRIX, ARRAY):
        return Code(f"{full(left).at(POWER)} @ {full(right).at(POWER)}", PRODUCT, NONE)
    squared = (Power(left, Fraction(2), left.kind) if left == right
               else Hadamard((left, right), left.kind))
    return atom(call("np.sum", full(squared).text), SCALAR)


def _apply(form, need):
    if form.function == "norm":
        return atom(call("np.linalg.norm", full(form.args[0]).text), SCALAR)
    if isinstance(form.function, str):
        return atom(by_the_engine(form), form.kind)
    entry = notation(form.function)
    if entry.source is None:
        raise NoSource(f"{form.function.name} is not a function that users of NumPy and refgrad "
                       "can call")
    entry_by_entry = (isinstance(form.function.function, np.ufunc)
                      or form.function in NOTATION and not entry.whole)
    codes = together(form.args, form.kind, need) if entry_by_entry else [full(a) for a in form.args]
    texts, params = [c.text for c in codes], dict(form.params)
    if is_pattern(entry.source):
        text = fill(entry.source, texts, [c.at(ATOM) for c in codes], params)
    else:
        text = call(entry.source, *texts, *(f"{k}={v!r}" for k, v in params.items()))
    level = level_of(text)
    return Code(text, level, united(codes) if entry_by_entry else AXES[form.kind])


def by_the_engine(form):
    """A jvp or vjp of a rule without a matrix form, which refgrad computes."""
    params = dict(form.params)
    v, *arrays = form.args
    where = params["argument"]
    at = full(arrays[where]).text
    arrays[where] = Name("_", arrays[where].kind)
    inner = Apply(params["primitive"], tuple(arrays),
                  tuple(dict(params.get("params", ())).items()), v.kind)
    program = f"lambda _: {full(inner).text}"
    if form.function == "jvp":
        return f"rg.jvp({program}, ({at},), ({full(v).text},))[1]"
    return f"rg.vjp({program}, {at})[1]({full(v).text})[0]"


# Index notation

def _indexed(form, need):
    """One einsum of the arrays; merged axes are reshaped before, or after."""
    sizes = dict(form.sizes)
    arrays = [(full(f).text, s) for f, s in form.factors if s]
    scalars = [f for f, s in form.factors if not s]
    free = list(letters_of(form.free))
    found = {x for _, s in arrays for x in letters_of(s)}
    arrays += [(call("np.ones", str(sizes[x])), (x,)) for x in free if x not in found]
    operands = [text if not nested(s)
                else call("np.reshape", text, tuple_of([str(sizes[x]) for x in letters_of(s)]))
                for text, s in arrays]
    subscripts = ",".join("".join(letters_of(s)) for _, s in arrays) + "->" + "".join(free)
    text = call("np.einsum", f'"{subscripts}"', *operands)
    if nested(form.free):
        text = call("np.reshape", text, tuple_of([
            " * ".join(Code(str(sizes[x]), level_of(str(sizes[x])), NONE).at(PRODUCT)
                       for x in letters_of((s,)))
            for s in form.free]))
    code = atom(text, form.kind)
    number, above, below = factors_of(Times(tuple(scalars), None, SCALAR))
    return entrywise(number, above + [code], below, form.kind, NONE) if scalars else code


def nested(subscripts):
    """Whether subscripts have an axis that several are merged into."""
    return any(isinstance(s, tuple) for s in subscripts)


def written(write):
    """The writer of what never needs parentheses, and spans all axes of its kind."""
    return lambda form, need: atom(write(form), form.kind)


def _product(form, need):
    return entrywise(*factors_of(form), form.kind, need)


WRITERS = {
    "Num": _product, "Times": _product, "Hadamard": _product, "Plus": _plus, "Power": _power,
    "Name": written(lambda form: "np.pi" if form.role == "constant" else form.text),
    "Eye": written(lambda form: call("np.eye", str(form.size))),
    "Zeros": written(lambda form: call("np.zeros", tuple_of([*map(str, form.sizes)]))),
    "Reshaped": written(
        lambda form: call("np.reshape", full(form.body).text, tuple_of([*map(str, form.sizes)]))),
    "Ones": _ones, "Rows": _rows, "MatMul": _matmul, "T": _transpose, "Inner": _inner,
    "Apply": _apply, "Compare": _compare, "Indexed": _indexed, "Total": function("np.sum"),
    "Inverse": function("np.linalg.inv"), "Diag": function("np.diag"), "Vec": function("np.ravel"),
    "DiagOf": function("np.diagonal"), "Trace": function("np.trace"), "Kron": function("np.kron")}
