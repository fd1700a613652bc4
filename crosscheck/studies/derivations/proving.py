"""Proving a gradient that is given as a program: against differences of the function itself, in
ball arithmetic.

The program stands in the place of a rule, so that `differentiate` does what it does for the
engine's own rules: it chooses steps and precision, and no rule of refgrad's takes part.

Programs are functions of a dict of named arrays; `program` makes one of text.
"""

from __future__ import annotations

import numpy as np

from refgrad import custom, grad
from refgrad.cases import DOMAINS, sample
from refgrad.derive.expression import parse
from refgrad.derive.symbol import PROPERTIES
from refgrad.rules.constants import number

from ...ball import Ball, arithmetic
from ...ball import digits as digits_of
from ...truth.differences import BITS
from ...truth.exact import differentiate

#: Sizes of named dimensions, in the order of the alphabet: ("n", "k") is tall, ("k", "n") wide, as
#: X' X or X X' need it.  No two are equal, which could hide a transpose.
SIZES = (2, 3, 4, 5, 6)

#: From a property to the projection onto its matrices: how they vary, and where their gradients
#: lie.
SPACES = {
    "symmetric": lambda M: (M + M.T) / 2,
    "positive definite": lambda M: (M + M.T) / 2,
    "diagonal": lambda M: M * np.eye(M.shape[0]),
}


# Points

def drawn(shapes, rng):
    """name -> a random array of that shape and with that property, exact in float32; and what
    formulas may name.

    shapes  name -> (*dimensions, property), where the property may be any of
            `refgrad.cases.DOMAINS`
    What formulas may name is for a dimension n its size n, the identity matrix I_n and a column of
    ones one_n.
    """
    names = sorted({d for shape in shapes.values() for d in dimensions(shape)
                    if isinstance(d, str)})
    sizes = dict(zip(names, SIZES[:len(names)], strict=True))
    arrays = {name: _drawn(tuple(sizes.get(d, d) for d in dimensions(shape)), property_of(shape),
                           rng)
              for name, shape in shapes.items()}
    for d, n in sizes.items():
        arrays |= {d: n, f"I_{d}": np.eye(n), f"one_{d}": np.ones(n)} if d not in shapes else {}
    return arrays


def dimensions(shape):
    """A shape without its property: ("n", "n", "symmetric") is of ("n", "n")."""
    return tuple(d for d in shape if d != property_of(shape))


def property_of(shape):
    """The property among the words of a shape, or ""."""
    return next((d for d in shape if d in DOMAINS or d in SPACES), "")


def declared(shapes):
    """The shapes with the properties that formulas know alone; the others are domains, which only
    drawing asks for."""
    return {name: tuple(d for d in shape if d not in DOMAINS or d in PROPERTIES)
            for name, shape in shapes.items()}


def _drawn(shape, word, rng):
    if word == "diagonal":
        return np.diag(sample(rng, shape[:1]))
    x = sample(rng, shape, word or None)
    if word == "probabilities":  # rounded so that their sum is exactly 1
        x = np.floor(x * 2**16) / 2**16
        x[..., -1] = 1 - np.sum(x[..., :-1], axis=-1)
    return x


def on_balls(arrays):
    """The same with Balls for float arrays, so that nothing among them is rounded to floats."""
    return {k: Ball(a) if np.asarray(a).dtype.kind == "f" else a for k, a in arrays.items()}


# Programs

def program(text):
    """A function of a dict of named arrays, which may have more than the text names."""
    expression = parse(text)
    return lambda arrays: expression(*(arrays[name] for name in expression.names))


def weighted(function, cotangent):
    """<G, F> for an array function F; the dict of arrays has the cotangent G under that name."""
    return lambda arrays: np.sum(function(arrays) * arrays[cotangent])


def own_gradient(function, properties):
    """refgrad's gradient as a program, for the names in `properties`, each among the matrices of
    its property."""
    def gradient(arrays):
        found = grad(lambda x: function({**arrays, **x}))({k: arrays[k] for k in properties})
        return projected(found, properties)
    return gradient


def derived_gradient(derivation, cotangent=""):
    """What the derived formula computes, as a program; for a vjp with the name of the cotangent."""
    names = [v.name for v in derivation.variables] + [cotangent] * bool(cotangent)
    formula = derivation.numpy({"np": ExactNumPy()})

    def gradient(arrays):
        found = formula(*(arrays[name] for name in names))
        return found if isinstance(found, dict) else {derivation.wrt[0]: found}
    return gradient


class ExactNumPy:
    """NumPy for programs on balls: constants, as in ``np.ones(n) / n`` or ``np.sqrt(2)``, are balls
    too."""

    @property
    def pi(self):
        return number("pi", Ball(1.0))

    def __getattr__(self, name):
        function = getattr(np, name)
        if name in ("array", "ones", "eye", "full", "zeros"):
            return lambda *args, **kwargs: Ball(function(*args, **kwargs))
        if isinstance(function, np.ufunc):
            return lambda *args: function(*(Ball(float(a)) if isinstance(a, (int, float)) else a
                                            for a in args))
        return function


def projected(gradients, properties):
    """Gradients among matrices of their properties (SPACES), from those among all."""
    return {k: SPACES[properties[k]](g) if properties[k] in SPACES else g
            for k, g in gradients.items()}


# Proofs

def digits(gradient, function, arrays, properties=None, seed=0):
    """Decimal digits to which a gradient certainly agrees with differences of the function; -inf
    where none do.

    gradient    from a dict of arrays to a dict: name -> gradient, for each name with respect to
                which it is one
    function    from a dict of arrays to a scalar
    properties  name -> "symmetric" or another word of SPACES: what varies only among such matrices

    Both run on balls.  Each array varies along a random direction in all its entries at once.
    """
    rng = np.random.default_rng(seed)
    constants = on_balls(arrays)
    x = {k: arrays[k] for k in gradient(arrays)}
    v = projected({k: sample(rng, np.shape(a)) for k, a in x.items()},
                  dict.fromkeys(x, "") | (properties or {}))

    @custom
    def judged(*values):
        return function({**constants, **dict(zip(x, values))})

    @judged.def_vjp
    def _(g, y, *values):
        found = gradient({**constants, **dict(zip(x, values))})
        return tuple(_shaped(found[k], a) * g for k, a in zip(x, values))

    truth = differentiate(lambda x: judged(*x.values()), x, v, v, seed, modes=("reverse",),
                          dtypes=(), coordinates=0)
    if truth.undecided:
        return -np.inf
    return min(-np.inf if a.kink else a.digits for a in truth.agreement.values())


def agreement(first, second, arrays):
    """Decimal digits to which two gradients agree, on balls: of the worst entry, relative to the
    largest."""
    with arithmetic(BITS[0]):
        balls = on_balls(arrays)
        first, second = first(balls), second(balls)
        return min(float(np.min(digits_of(_shaped(first[k], balls[k]), b, _scale(b)),
                                initial=np.inf))
                   for k, b in second.items())


def _scale(b):
    """The largest absolute value among entries that are certainly not zero; 1 if none is."""
    b = Ball(b)
    largest = float(np.max(np.maximum(b.lower(), -b.upper()), initial=0.0))
    return largest if largest > 0 else 1.0


def _shaped(found, array):
    """A gradient in the variable's shape and no other: broadcasting would hide a mistake."""
    if np.shape(found) != np.shape(array):
        raise ValueError(f"a gradient has shape {np.shape(found)}; expected {np.shape(array)}, "
                         "the variable's")
    return found


class Posed:
    """An identity at a random point: the function made scalar, the book's gradient and refgrad's,
    as programs."""

    def __init__(self, identity, seed=0):
        shapes = identity.arrays
        self.arrays = drawn(shapes, np.random.default_rng(seed))
        self.properties = {identity.wrt: property_of(shapes[identity.wrt])}
        self.text, formula = parse(identity.function), program(identity.formula)
        # An array that only the formula has is the cotangent.
        self.cotangent = next((name for name in shapes if name not in self.text.names), "")
        value = program(identity.function)
        self.function = weighted(value, self.cotangent) if self.cotangent else value
        self.book = lambda arrays: {identity.wrt: formula(arrays)}
        self.own = own_gradient(self.function, self.properties)
