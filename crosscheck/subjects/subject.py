"""What is tested: a function, and the ways to compute its derivatives, whoever wrote them.

All subjects have one interface: the value, and in each mode the derivatives of the scalar s(x) =
<G, f(x)> for given weights G, in a given dtype.  So a function with any result has a gradient (the
vjp of G) and a slope along v (<G, jvp(v)>), and both orders are judged alike.
"""

from __future__ import annotations

import contextlib
import os
import traceback

import numpy as np

from refgrad.tree import flatten

from ..formats import format_named
from ..modes import Mode
from ..state import State
from .curved import inner_product


class Unanswered(Exception):
    """A subject has no derivative in that mode or dtype. This is recorded; the check goes on."""


class OtherResults(Exception):
    """The results of f have other sizes at this point, as those of np.unique have next to a tie."""


class Misconduct(Exception):
    """A derivative was returned, but with side effects or otherwise not as requested."""


class Subject:
    """A function of NumPy arrays.  Subclasses say how it is differentiated.

    name       what messages call it
    arguments  the `Arguments`
    state      the `State` that is put back after each run, of what the caller's functions reach
    modes      the modes of differentiation that it has
    dtypes     those to test it in, as names
    within     name -> `Subspace` to which an input is projected before the function sees it
    """

    modes: tuple = tuple(Mode)

    #: Whether shapes that the caller did not give may end the process: compiled kernels trust what
    #: they are given.
    crash_prone = False

    #: Whether all runs on the CPU.
    on_cpu = True

    #: Whether one array that is given for two inputs is one leaf, whose gradient is the sum of
    #: both.
    leaves_add_up = False

    #: Names of inputs that are symmetric matrices; whether the derivatives are those of another
    #: function on purpose.
    symmetric: frozenset = frozenset()
    stands_in = False

    #: Why differences of floats are used, if `program` returns None.
    unproved = "it is not written in NumPy; reference= would prove it"

    #: Whether all modes must choose the same derivative at a kink, as is expected if one author
    #: wrote them.
    modes_agree = True

    #: Whether its derivatives are refgrad's, so that refgrad's rules, evaluated on balls, are
    #: themselves tested.
    by_refgrad = False

    def __init__(self, f, arguments, dtypes, name=None):
        self.f, self.arguments, self.dtypes = f, arguments, dtypes
        self.state = State()
        self.name = name or getattr(f, "__name__", type(f).__name__)
        self.constants = arguments.constants
        self.remarks = {}  # name of an input -> a remark to add if its derivative is wrong
        self.within = {}

    @property
    def resizable(self):
        """Names of the inputs whose shapes may be varied."""
        return self.arguments.names

    def inputs(self):
        """The example inputs that are differentiated, as float64."""
        values = dict(zip(self.arguments.names, self.arguments.values))
        return {n: np.asarray(values[n], float) for n in self.arguments.chosen}

    def overwrites(self, dtype):
        """Names of the inputs that the function itself overwrites."""
        given = Untouched({k: np.array(a, dtype) for k, a in self.inputs().items()})
        self.call(given.arrays)
        return given.touched()

    def call(self, x):
        """f at a dict of the arrays that are differentiated."""
        return self.arguments.call(self.f, self.filled(x))

    def filled(self, x):
        """All arguments; floats that are not differentiated come in the dtype of those that are."""
        dtype = next(iter(x.values())).dtype
        own = {n: self.cast(a, dtype) if is_real(a) else a for n, a in self.constants.items()}
        return self.arguments.filled(self.projected(x), own)

    def projected(self, arrays):
        """The arrays of a dict that have a subspace, projected onto it; the others as they are."""
        return {k: self.within[k].projection(a) if k in self.within else a
                for k, a in arrays.items()}

    def cast(self, a, dtype):
        """An array of floats that is not differentiated, in the dtype of those that are."""
        return np.asarray(a, None if dtype == object else dtype)

    def value(self, x, dtype, layout=np.asarray):
        """The float arrays among the results at x, computed in `dtype`, of arrays in a layout."""
        given = {k: layout(np.array(a, dtype)) for k, a in x.items()}
        return [np.asarray(y) for y in results(self.call(given))]

    def works(self, x, dtype):
        """Has the function a value at x in that dtype?  Where entries are rounded, a matrix may
        become singular."""
        try:
            self.value(x, dtype)
        except Exception:
            return False
        finally:
            self.state.put_back()
        return True

    def finite(self, x, dtype):
        """Is the function's value at x a number in that dtype, without overflow?"""
        try:
            return self.works(x, dtype) and all(np.isfinite(y).all() for y in self.value(x, dtype))
        finally:
            self.state.put_back()

    def takes(self, dtype):
        """Does the function run in that dtype?  Many kernels support only one."""
        try:
            self.value(self.inputs(), dtype)
        except Exception:
            return False
        return True

    def measurable(self, dtype):
        """The widest dtype in which the function runs and is the same function as in `dtype`, to
        half of the digits."""
        form = format_named(dtype)
        for wider in ("float64", "float32"):
            if format_named(wider).precision > form.precision and self.takes(wider):
                pairs = zip(self.value(self.inputs(), wider), self.value(self.inputs(), dtype))
                if all(np.max(np.abs(np.asarray(a, float) - b), initial=0.0)
                       <= np.sqrt(form.eps) * np.max(
                               np.abs(a), initial=0.0) for a, b in pairs):
                    return wider
        return dtype

    def program_in(self, dtype):
        """The program as it is in another dtype than the widest, where it may read its dtype; None
        if it cannot."""
        return None

    def program(self):
        """The function on balls, from a dict of arrays to a list of arrays; None if it is not
        written in NumPy."""
        return lambda x: results(self.call(x))

    def reference(self, function):
        """The `program` of another function of the same arguments."""
        return lambda x: results(self.arguments.call(function, self.filled(x)))

    def at_work(self):
        """A context for the whole examination."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def given(self, constants):
        """A block in which inputs that are not differentiated have other values."""
        before, self.constants = self.constants, {**self.constants, **constants}
        try:
            yield
        finally:
            self.constants = before

    def may_decline(self, mode, error):
        """Does the error only say that the subject does not offer the mode?  Then it is not a
        fault."""
        return isinstance(error, Unanswered)

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        """name -> derivative, an array; raises `Unanswered` or whatever the subject raises.

        layout  a function that gives an array another layout in memory, with the same entries
        """
        raise NotImplementedError

    def on_balls(self, mode, x, weights, u, v):
        """The same on balls, where the derivative's code runs on them; else raises."""
        raise Unanswered(f"{self.name} is not differentiated on balls")

    def pull(self, x, weights, dtype, layout):
        """The vjp of the weights, twice from one forward pass: (first, second, names of what was
        overwritten)."""
        raise Unanswered(f"{self.name} has no vjp")

    def third(self, x, weights, v, dtype):
        """The third derivative along v, a float; None if no rule could be wrong in third order
        alone."""
        return None

    #: What a check of that name asks for, in words, where its name does not say it.
    meanings: dict = {}

    #: Other ways to the same derivatives: name -> (mode whose answer it must give, method as
    #: `answer` without the mode, whether it must work where the mode does)
    extra: dict = {}


def raised_by_the_subject(error):
    """Was the error raised where a subject ran, or a library that differentiates it, rather than by
    what judges it?"""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(file.startswith(os.path.dirname(__file__) + os.sep) for file in files)


def shared_as_given(x, convert):
    """The converted arrays of a dict; what was one array for two names stays one."""
    made = {}
    return {k: made.setdefault(id(a), convert(a)) for k, a in x.items()}


class Untouched:
    """Copies of arrays, to find out later which of them were overwritten."""

    def __init__(self, arrays):
        self.arrays, self.before = arrays, {k: np.copy(a) for k, a in arrays.items()}

    def touched(self):
        """Names of the arrays that were overwritten."""
        return [k for k, a in self.arrays.items() if a.tobytes() != self.before[k].tobytes()]


def cotangents(weights):
    """Names for the cotangents of the results."""
    return {"the cotangent" if len(weights) == 1 else f"cotangent {k}": w
            for k, w in enumerate(weights)}


def results(y):
    """The float arrays in the nest that a function returned."""
    return [a for a in flatten(y)[0] if is_real(a)]


def is_real(a):
    """Is it a number or an array of floats, or of balls?"""
    return (getattr(getattr(a, "dtype", None), "kind", "f" if isinstance(a, float) else "")
            in ("f", "O"))


def weighed(f, weights):
    """s(x) = <weights, f(x)>, by a primitive outside the table, so that a fault in a rule cannot
    cancel itself."""
    return lambda x: inner_product(as_many(f(x), weights), weights)


def as_many(ys, weights):
    """The results of f, which must be as many numbers as the weights: with others f is another
    function there."""
    if list(map(np.size, ys)) != list(map(np.size, weights)):
        raise OtherResults(f"f has results of {list(map(np.size, ys))} numbers here, "
                           f"at the point that is looked at it has {list(map(np.size, weights))}")
    return ys
