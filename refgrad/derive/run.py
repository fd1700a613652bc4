"""One run of a program on symbols, forward and back: what a derivation is read from."""

from __future__ import annotations

import itertools

import numpy as np

from ..errors import describe
from ..transforms import name_of
from ..writing import ARGUMENT
from .arguments import dimensions, symbols_of
from .data import NAMES, during
from .level import Deriving
from .sizes import CONDITIONS, ENTERING
from .symbol import STRUCTURES, Entering, NoFormula, Symbol, as_symbol


class Run:
    """A program, run on symbols.

    f, variables, wrt   the program, a Variable for each argument, the names to differentiate by
    numbers             the integer that stands for each named dimension
    found               what plain numbers are in terms of the sizes (see `Entering`)

    level, result       the level, with operations and names; what the program returned
    scalar              whether that is a number
    seed                its cotangent: 1, or G for an array
    cotangents, defined  the cotangents of all slots, and those that have names
    entered             the plain numbers that entered
    data                the given arrays in the formulas, by their names
    conditions          the comparisons of sizes that the program made
    """

    def __init__(self, f, variables, wrt, numbers=None, found=None):
        self.f, self.variables, self.wrt = f, variables, wrt
        self.name = name_of(f) if name_of(f).isidentifier() else "f"
        self.numbers = dimensions(variables) if numbers is None else numbers
        # Names that no given array may have.
        self.found, self.data = found or {}, dict.fromkeys(self.taken())
        named, before = ({}, set()), None
        with during(NAMES, self.data):
            for _ in range(4):  # what is named by its use has its name from the start the next time
                if named != before:
                    self._run(*named)
                    named, before = (self.level.counts, set(self.level.by_slot)), named

    def _run(self, *names):
        self.conditions, entering = {}, Entering(self.found)
        level = Deriving(self.taken() | {"L", "Y", "y", "G", "g"}, *names)
        with during(CONDITIONS, self.conditions), during(ENTERING, entering), level:
            self.inputs = symbols_of(self.variables, self.numbers)
            arguments = []
            for v, x in zip(self.variables, self.inputs):
                if v.name in self.wrt:
                    symmetric = {"symmetric"} if set(v.properties) & set(STRUCTURES) else ()
                    dx = Symbol.leaf("d" + v.name, x.shape, "differential", symmetric)
                    x = level.variable(x, dx)
                    x.shown = ARGUMENT
                arguments.append(x)
            result = self.f(*arguments)
            if issubclass(type(result), (Symbol, int, float, np.ndarray)):  # of no variable
                constant = as_symbol(result)
                result = level.variable(constant, np.zeros_like(constant))
            if not level.traces(result):
                raise NoFormula(f"{self.name}, which returned {describe(result)}; "
                                "expected one array")
            result.value = result.mark.value
            self.level, self.result, self.arguments = level, result, arguments
            self.scalar = result.ndim == 0
            g = self.cotangent_name(result.ndim)
            self.seed = as_symbol(1) if self.scalar else Symbol.leaf(g, result.shape, "cotangent")
            self.cotangents, self.defined = level.sweep(result.mark.slot, self.seed)
        self.entered = entering.numbers

    def taken(self):
        """The names of arguments and dimensions."""
        return {v.name for v in self.variables} | set(self.numbers)

    def cotangent_name(self, ndim):
        """G for the cotangent of a matrix, g of a vector, where nothing else has that name."""
        return self._free_name("g" if ndim == 1 else "G")

    def label(self):
        """L for a number, y for a vector and Y for more, where nothing else has that name."""
        return self._free_name("L" if self.scalar else "y" if self.result.ndim == 1 else "Y")

    def _free_name(self, name):
        taken = self.taken()
        numbered = (f"{name}_{k}" for k in itertools.count())
        return next(n for n in itertools.chain([name], numbered) if n not in taken)
