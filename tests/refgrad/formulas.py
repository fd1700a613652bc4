"""Random formulas, and what they compute by the definition of each of their parts.

`drawn` gives a formula with values for its names, `evaluated` its value; both know nothing of how
formulas are written.
"""

import itertools
import random
from fractions import Fraction

import numpy as np

from refgrad.derive.form import (COLUMN, MATRIX, ROW, SCALAR, Apply, Compare, Diag, DiagOf, Eye,
                                 Hadamard, Indexed, Inner, Inverse, Kron, MatMul, Name, Num, Ones,
                                 Plus, Power, T, Times, Total, Trace)
from refgrad.primitive import TABLE

PRIMITIVES = {rule.name: rule for rule in TABLE.values()}
SIZES = {"m": 3, "n": 4, "k": 2}


def num(p, q=1):
    return Num(Fraction(p, q))


def over(form, exponent=-1):
    return Power(form, Fraction(exponent), form.kind)


def minus(form):
    return Times((num(-1),), form, form.kind)


def t(form):
    return T(form, {COLUMN: ROW, ROW: COLUMN, MATRIX: MATRIX}[form.kind])


def apply(name, *args, kind=None, **params):
    return Apply(PRIMITIVES[name], args, tuple(params.items()), kind or args[0].kind)


class Trees:
    """Random formulas: `shape` is a pair of sizes, 1 for a column's, row's or scalar's missing
    axis."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.names = {}

    def name(self, rows, columns):
        kind = kind_of(rows, columns)
        stem = ("s" if kind == SCALAR
                else f"{'v' if 1 in (rows, columns) else 'M'}_{max(rows, columns, key=str)}" if (
                    kind != MATRIX) else f"M_{rows}{columns}")
        one = Name(f"{stem}{self.rng.choice('ab')}", COLUMN if kind == ROW else kind)
        self.names[one.text] = one, (rows, columns) if kind != ROW else (columns, rows)
        return t(one) if kind == ROW else one

    def draw(self, rows, columns, depth):
        kind, pick = kind_of(rows, columns), self.rng.random()
        if depth <= 0 or pick < 0.08:
            if kind == COLUMN and self.rng.random() < 0.25:
                return Ones(rows)
            if kind == ROW and self.rng.random() < 0.25:
                return t(Ones(columns))
            if kind == MATRIX and rows == columns and self.rng.random() < 0.15:
                return Eye(rows)
            if kind == SCALAR and self.rng.random() < 0.4:
                return self.rng.choice([num(2), num(1, 3), num(-3, 2), Name("n", SCALAR, "size")])
            return self.name(rows, columns)
        again = lambda r=rows, c=columns: self.draw(r, c, depth - 1)
        scalar = lambda: self.draw(1, 1, depth - 2)
        choices = ["plus", "plus", "times", "matmul", "matmul", "hadamard", "power", "apply",
                   "compare"]
        choices += {SCALAR: ["inner", "trace", "total"],
                    MATRIX: ["t", "diag", "ones", "ones", "inverse", "indexed"],
                    ROW: ["t"], COLUMN: ["diagof", "indexed"]}[kind]
        what = self.rng.choice(choices)
        if what == "plus":
            terms = [again() for _ in range(self.rng.choice([2, 2, 3]))]
            if kind != SCALAR and self.rng.random() < 0.2:
                terms.append(scalar())
            return Plus(tuple(terms), kind)
        if what == "times":
            scalars = [scalar() for _ in range(self.rng.choice([0, 1, 1]))]
            scalars = [f for f in scalars if not isinstance(f, Num)]
            scalars += [over(self.positive(1, 1, depth - 2))] if self.rng.random() < 0.4 else []
            first = self.rng.choice([[], [num(-1)], [num(2)], [num(-1, 3)], [num(1, 2)],
                                     [num(3, 4)]])
            return Times((*(first if scalars else first or [num(-2)]), *scalars), again(), kind)
        if what == "matmul":
            inner = [self.rng.choice([1, "m", "n", "k"])
                     for _ in range(self.rng.choice([1, 1, 2, 3]))]
            dims = [rows, *inner, columns]
            if all(1 in d for d in zip(dims, dims[1:])) and set(dims) == {1}:
                dims = [1, "m", 1]
            factors = [self.factor(r, q, depth - 2) for r, q in zip(dims, dims[1:])
                       if (r, q) != (1, 1)]
            return MatMul(tuple(factors), kind)
        if what == "hadamard":
            factors = [again() for _ in range(2)]
            if self.rng.random() < 0.3:
                factors.append(over(self.positive(rows, columns, depth - 1),
                                    self.rng.choice([-1, -2])))
            self.rng.shuffle(factors)
            return Hadamard(tuple(factors), kind)
        if what == "power":
            e = Fraction(self.rng.choice(["2", "3", "1/2", "-1", "-1/2", "3/2", "2/3", "2/5"]))
            return (over(again(), e) if e in (2, 3)
                    else over(self.positive(rows, columns, depth - 1), e))
        if what == "apply":
            return apply(self.rng.choice(["np.tanh", "np.sin", "sech_squared", "sigmoid"]), again())
        if what == "compare":
            return Compare(self.rng.choice([">", "<="]), again(),
                           self.rng.choice([num(0), again()]), kind)
        if what == "inner":
            shape = self.rng.choice([("m", "n"), ("n", 1), ("k", "k")])
            return Inner(again(*shape), again(*shape))
        if what == "trace":
            return Trace(again("n", "n"))
        if what == "total":
            return Total(again("m", "k"))
        if what == "t":
            return t(again(columns, rows))
        if what == "diag" and rows == columns:
            return Diag(again(rows, 1))
        if what == "inverse" and rows == columns:
            return Inverse(Plus((Times((num(9),), Eye(rows), MATRIX), apply("np.tanh", again())),
                                MATRIX))
        if what == "ones":
            left, right = Ones(rows), t(Ones(columns))
            return MatMul(
                self.rng.choice([(left, again(1, columns)), (again(rows, 1), right), (left, right),
                                 (left, t(left), again()), (again(), t(right), right)]), MATRIX)
        if what == "diagof":
            return DiagOf(again(rows, rows))
        if what == "indexed":
            f = [(again("k", rows), ("j", "i")), (again("k", "n"), ("j", "l")),
                 (self.draw(1, 1, 0), ())]
            free, sizes = ("i",), (("i", rows), ("j", "k"), ("l", "n"), ("p", columns))
            if kind == MATRIX:
                f.append((again("n", columns), ("l", "p")))
                free = ("i", "p")
            return Indexed(tuple(f), free, sizes, kind)
        return again()

    def positive(self, rows, columns, depth):
        if kind_of(rows, columns) == SCALAR and self.rng.random() < 0.5:
            return self.rng.choice([Name("n", SCALAR, "size"), Name("m", SCALAR, "size")])
        return apply("np.exp", apply("np.tanh", self.draw(rows, columns, depth)))

    def factor(self, rows, columns, depth):
        if rows == columns and self.rng.random() < 0.3:
            return Diag(self.draw(rows, 1, depth))
        if columns == 1 and self.rng.random() < 0.3:
            return Ones(rows)
        if rows == 1 and self.rng.random() < 0.3:
            return t(Ones(columns))
        return self.draw(rows, columns, depth)


def kind_of(rows, columns):
    return (SCALAR if columns == 1 else ROW) if rows == 1 else COLUMN if columns == 1 else MATRIX


FUNCTIONS = {"np.tanh": np.tanh, "np.sin": np.sin, "np.exp": np.exp,
             "sech_squared": lambda x: 1 / np.cosh(x) ** 2,
             "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "np.absolute": np.abs,
             "log1pexp": lambda x: np.log(1 + np.exp(x))}
RELATIONS = {">": np.greater, "<=": np.less_equal}


def value(form, env, seen=lambda form, value: None):
    """The formula's value as a matrix, whatever it is: columns have one column, rows one row,
    scalars both.

    Ones are written out, and nothing broadcasts but scalars.
    """
    result = evaluate(form, lambda f: value(f, env, seen), env)
    seen(form, result)
    return result


def evaluate(form, go, env):
    match form:
        case Num(): return np.array([[float(form.value)]])
        case Name(): return env[form.text]
        case Ones(): return np.ones((SIZES[form.size], 1))
        case Eye(): return np.eye(SIZES[form.size])
        case Plus(): return total(map(go, form.terms))
        case Times():
            result = np.ones((1, 1)) if form.body is None else go(form.body)
            for f in form.scalars:
                result = same(go(f), (1, 1)) * result
            return result
        case MatMul():
            result = go(form.factors[0])
            for f in form.factors[1:]:
                result = np.einsum("ij,jk->ik", result, go(f))
            return result
        case T(): return np.transpose(go(form.body))
        case Hadamard():
            result = go(form.factors[0])
            for f in form.factors[1:]:
                result = result * same(go(f), result.shape)
            return result
        case Power(): return go(form.body) ** float(form.exponent)
        case Inverse(): return np.linalg.solve(go(form.body), np.eye(len(go(form.body))))
        case Diag(): return np.eye(len(go(form.body))) * go(form.body)
        case DiagOf(): return np.array([[go(form.body)[i, i]] for i in range(len(go(form.body)))])
        case Trace():
            return np.array([[sum(go(form.body)[i, i] for i in range(len(go(form.body))))]])
        case Inner():
            return np.array([[np.sum(go(form.left) * same(go(form.right), go(form.left).shape))]])
        case Total(): return np.array([[np.sum(go(form.body))]])
        case Kron(): return np.kron(go(form.left), go(form.right))
        case Apply(): return FUNCTIONS[form.function.name](*map(go, form.args))
        case Compare():
            return np.where(RELATIONS[form.relation](go(form.left), go(form.right)), 1.0, 0.0)
        case Indexed(): return indexed(form, go)


def indexed(form, go):
    """Index notation, by loops over all subscripts."""
    sizes = {k: SIZES[v] if v in SIZES else v for k, v in form.sizes}
    arrays = [(go(f), s) for f, s in form.factors]
    used = list(dict.fromkeys(itertools.chain(form.free, *(s for _, s in arrays))))
    result = np.zeros([sizes[k] for k in form.free] + [1] * (2 - len(form.free)))
    for at in itertools.product(*(range(sizes[k]) for k in used)):
        where = dict(zip(used, at))
        entry = lambda s: tuple(where[k] for k in s) + (0,) * (2 - len(s))
        result[entry(form.free)] += np.prod([array[entry(s)] for array, s in arrays])
    return result


def same(array, shape):
    assert array.shape == shape
    return array


def total(terms):
    terms = list(terms)
    shape = max((f.shape for f in terms), key=np.prod)
    assert all(f.shape in (shape, (1, 1)) for f in terms)
    return sum(terms)


def drawn(seed):
    """A random formula, and its names' values as matrices."""
    rng = random.Random(seed)
    trees = Trees(seed)
    form = trees.draw(*rng.choice([("m", "n"), ("n", "n"), ("n", 1), (1, 1), (1, "k")]),
                      rng.choice([2, 3, 4]))
    numbers = np.random.default_rng(seed)
    env = {name: numbers.uniform(0.25, 1.5, [SIZES.get(d, d) for d in shape])
           * numbers.choice([-1, 1], size=[
               SIZES.get(d, d) for d in shape]) for name, (_, shape) in sorted(trees.names.items())}
    env |= {size: np.array([[float(n)]]) for size, n in SIZES.items()}
    return form, env


def evaluated(form, env):
    """The value, and the largest number on the way to it, which is what rounding is measured by."""
    peaks = [1.0]
    result = value(form, env, lambda f, v: peaks.append(float(np.max(np.abs(v)))))
    return result, max(peaks) if np.all(np.isfinite(peaks)) else np.inf
