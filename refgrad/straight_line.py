"""Straight-line programs: a list of NumPy operations is simplified and compiled to Python source.

Nothing here knows about derivatives.  The list is in single assignment form: every operation makes
new arrays, numbered in order.  In the Python source some of them share memory:

- what no result and no check needs is left out, and equal views of one array are taken once, as are
  equal elementwise operations that make small arrays (large ones may be made again to save memory);
- an array that is not needed any more is overwritten by the next result of its shape (z += b);
- a broadcast that its only use would make anyway is not made;
- x / 2 is written x * 0.5, and the maximum with a number as x.clip, which are faster;
- an array that is 0 but for some entries, as the adjoint of a slice gives it, is not made if its
  only use is to be added to another (z[:3] += b).
"""

from __future__ import annotations

import itertools
import keyword
import operator

import numpy as np

from .foreign import PROGRAMS, Foreign, library_of, speaks_for
from .operations import ADD_AT, INFIX, REDUCTIONS, Array, leaves, references, same, tuple_of
from .primitive import TABLE, Primitive
from .rewriting import (
    LARGE, added_where_nonzero, as_products, is_plain, once, without_broadcasts)
from .rules.shape import cast, scatter_add, setitem, takes_each_once, truncate
from .tree import EMPTY, LEAF, rebuild


class Changed(Exception):
    """A value that a branch depends on differs from the trace's."""


#: Names that a written program uses itself.
RESERVED = {"program", "Changed", "repr", "slice"}
#: An axis with fewer entries is reduced faster across memory than along it.
SHORT = 64

IN_PLACE = {np.add: "+=", np.subtract: "-=", np.multiply: "*=", np.divide: "/="}


class Program:
    """Call it with the list of input arrays; `source` shows it.

    strict  whether it matters which operation tells NumPy to ignore an error (an overflow that
            does no harm, since its reciprocal is taken).  Else, where others would warn at most,
            the whole program ignores it.
    """

    def __init__(self, name, inputs, values, operations, outputs, structure, strict=False):
        self.strict = strict
        self.name, self.inputs, self.outputs, self.structure = name, inputs, outputs, structure
        self.kinds = {n: _kind(x) for n, x in zip(inputs, values)}
        self.library = next((library_of(type(x.array)) for x in values if type(x) is Foreign), None)
        for op in operations:
            for n, y in zip(op.results, op.made):
                self.kinds[n] = _kind(y)
                if self.library is None and type(y) is Foreign:
                    self.library = library_of(type(y.array))
        for rewritten in (once, without_broadcasts, as_products):
            operations = rewritten(self, operations)
        self.operations = self.needed(operations)
        self.exact = self.turning_points()
        self.operations = added_where_nonzero(self, self.operations)
        self.source, constants = Writer(self).written()
        for op in self.operations:
            op.made = tuple(None for _ in op.made)  # only their shapes were wanted
        scope = {}
        code = compile(self.source, f"<jit {name}>", "exec")
        exec(code, {**constants, "Changed": Changed}, scope)
        self.function = scope["program"]

    def __call__(self, arrays):
        return self.function(*arrays)

    def turn(self, error):
        """Why the program did not come to an end, given the error that it raised."""
        if not isinstance(error, Changed):
            return f"the program raised {error!r}"
        at = error.__traceback__
        while at.tb_next is not None:
            at = at.tb_next
        line = self.source.splitlines()[at.tb_lineno - 1].strip()
        return f"a value that it branches on has changed ({line.removesuffix(': raise Changed')})"

    def __repr__(self):
        return f"<program of {self.name}: {len(self.operations)} operations>\n{self.source}"

    def needed(self, operations):
        wanted = set(references(self.outputs))
        kept = []
        for op in reversed(operations):
            if op.check is not None or op.may_fail or wanted.intersection(op.results):
                kept.append(op)
                wanted.update(op.reads)
        return kept[::-1]

    def turning_points(self):
        """The arrays that checks depend on, which are computed exactly as in the trace, to the last
        bit."""
        wanted = set()
        for op in reversed(self.operations):
            if op.check is not None or wanted.intersection(op.results):
                wanted.update(op.reads)
        return wanted

    def shape(self, x):
        return self.kinds[x.number][0] if type(x) is Array else np.shape(x)

    def dtype(self, x):
        return self.kinds[x.number][1] if type(x) is Array else getattr(x, "dtype", None)


def _kind(x):
    """Shape and dtype, or type for a number of Python's."""
    return (x.shape, x.dtype) if hasattr(x, "dtype") else ((), type(x))


def _reverses(axes):
    return axes == tuple(reversed(range(len(axes))))


class Writer:
    """Writes a program as Python: names, whose memory is whose, and when it is free."""

    def __init__(self, program):
        self.program, self.exact = program, program.exact
        self.library = program.library
        self.constants, self.by_id, self.vectors, self.functions = {}, {}, {}, {}
        self.alike = {}     # name of constants -> the largest number after it
        self.names = {n: f"x{i}" for i, n in enumerate(program.inputs)}
        self.made = {n: y for op in program.operations for n, y in zip(op.results, op.made)}
        self.large = {n for n, y in self.made.items() if getattr(y, "size", 1) >= LARGE}
        self.taken = set()  # arrays whose memory a result has taken over
        self.memory = {}    # the arrays whose memory (or name) an array may need
        self.last = {}      # position of the last operation that looks into an array's memory
        self.to_come = {}   # shape and dtype -> position of the last result that could reuse some
        self.free = {}      # shape and dtype -> names of arrays that nobody needs any more
        self.fresh = 0
        self.fresh_arrays = frozenset(n for op in program.operations
                                      if op.check is None and op.is_fresh for n in op.results)
        self.owners = set(self.fresh_arrays)
        # Views that show each entry of an array once
        self.turned = {op.results[0] for op in program.operations
                       if op.function in (np.transpose, np.reshape)}
        for position, op in enumerate(program.operations):
            for n in op.reads:
                for m in self.memory_of(n):
                    self.last[m] = position
            if op.check is not None:
                continue
            is_fresh = op.results[0] in self.fresh_arrays
            if is_fresh and op.is_ufunc:
                self.to_come[program.kinds[op.results[0]]] = position
            for n, y in () if is_fresh else zip(op.results, op.made):
                if not isinstance(y, np.generic):
                    self.memory[n] = {n, *(m for r in op.reads for m in self.memory_of(r)
                                           if op.is_view or m in self.owners)}
        for n in references(program.outputs):
            for m in self.memory_of(n):
                self.last[m] = len(program.operations)

    def memory_of(self, n):
        return self.memory.get(n) or (n,)

    def written(self):
        """(source, constants by name)"""
        lines, ignored = [], set()  # pairs (what NumPy does about errors, line)
        for position, op in enumerate(self.program.operations):
            if op.check is None:
                statements = self.statements(op, position)
            else:
                statements = [f"if {self.differs(op)}: raise Changed"]
            errors = op.errors if statements else lines[-1][0] if lines else {}
            if errors and not self.program.strict:
                ignored.update(k for k, v in errors.items() if v == "ignore")
                errors = {k: v for k, v in errors.items() if v != "ignore"}
            if gone := self.release(op, position):
                statements.append(f"del {', '.join(gone)}")
            lines += [(errors, statement) for statement in statements]
        seen = set()
        outputs = iter([self.output(x, seen) for x in self.program.outputs])
        head = f"def program({', '.join(self.names[n] for n in self.program.inputs)}):"
        body = [line for errors, group in itertools.groupby(lines, key=lambda pair: pair[0])
                for line in self.heeding(errors, [line for _, line in group])]
        body.append(f"return {self.nest(self.program.structure, outputs)}")
        body = self.heeding(dict.fromkeys(sorted(ignored), "ignore"), body)
        return "\n    ".join([head, *body]) + "\n", self.constants

    def heeding(self, errors, lines):
        """The lines, where NumPy does this about errors."""
        if not errors:
            return lines
        how = ", ".join(f"{k}={v!r}" for k, v in errors.items())
        return [f"with {self.constant(np.errstate)}({how}):", *("    " + line for line in lines)]

    def differs(self, op):
        """The condition that a checked value differs from the trace's."""
        call, known = self.call(op), op.check
        if type(known) is bool:
            return f"not {call}" if known else call
        if type(known) is int or op.function is np.shape:
            return f"{call} != {known!r}"
        if type(known) is float or isinstance(known, (str, np.generic)):
            return f"repr({call}) != {repr(known)!r}"  # nan is nan, and -0.0 is not 0.0
        return f"not {self.constant(same)}({call}, {self.text(known)})"

    def statements(self, op, position):
        """The operation as a list of statements; none if it is written where it is used."""
        if op.function is np.transpose and _reverses(op.params["axes"]):
            self.names[op.results[0]] = f"{self.text(op.arrays[0])}.T"
            return []
        is_fresh = op.results[0] in self.fresh_arrays
        if is_fresh and op.function in (np.copy, setitem, ADD_AT):
            return self.copied(op, position)
        if (not self.library and op.function is scatter_add
                and is_plain(index := op.params["index"]) and (takes_each_once(index))):
            name = self.names[op.results[0]] = self.new_name()
            zeros, dtype = self.constant(np.zeros), self.text(op.made[0].dtype)
            return [f"{name} = {zeros}({self.text(op.params['shape'])}, {dtype})",
                    f"{name}[{self.index(index)}] = {self.text(op.arrays[0])}"]
        if is_fresh and op.is_ufunc:
            place = self.place_for(op, position)
            if place is not None:
                self.names[op.results[0]] = place
                return [self.in_place(op, place)]
        call = self.call(op)
        for n in op.results:
            self.names[n] = self.new_name()
        names, kind = ", ".join(self.names[n] for n in op.results), op.structure.kind
        if kind is LEAF:
            return [f"{names} = {call}"]
        if issubclass(kind, dict) or any(c.kind is not LEAF for c in op.structure.children):
            call = f"{self.constant(leaves)}({call})"
        return [f"{names}{',' * (len(op.results) == 1)} = {call}"]

    def copied(self, op, position):
        """A copy, with v written or added into it at the index; x itself if it is not needed."""
        x, *rest = op.arrays
        others = {m for n in references((rest, op.params)) for m in self.memory_of(n)}
        if type(x) is Array and self.is_done_with(x.number, position) and x.number not in others:
            name, statements = self.take(x.number), []
        else:
            name = self.new_name()
            statements = [f"{name} = {self.text(x)}.copy('K')"]
        self.names[op.results[0]] = name
        if rest:
            sign = "+=" if op.function is ADD_AT else "="
            index = self.index(op.params["index"])
            statements.append(f"{name}[{index}] {sign} {self.text(rest[0])}")
        return statements

    def take(self, n):
        """The name of an array whose memory goes to the result of the operation that ends it."""
        self.owners.discard(n)
        self.taken.add(n)
        return self.names[n]

    def place_for(self, op, position):
        """The name of an array that the result may overwrite: an argument's, or a free one."""
        if self.library:  # which has a pool of memory
            return None
        like = self.program.kinds[op.results[0]]
        if op.function is not np.matmul:
            for a in op.arrays:
                if type(a) is Array and self.is_done_with(a.number, position) and (
                        self.program.kinds[a.number] == like):
                    return self.take(a.number)
        if op.made[0].size >= LARGE:
            names = self.free.get(like)
            return names.pop(0) if names else None
        return None

    def is_done_with(self, n, position):
        return n in self.owners and self.last.get(n) == position

    def release(self, op, position):
        """Memory that the operation was the last to need.

        It is kept as long as a result is to come, or else the names that hold it are returned.
        """
        late = [kind for kind in self.free if self.to_come[kind] <= position]
        gone = [name for kind in late for name in self.free.pop(kind)]
        reads = op.reads if self.large else ()
        for n in dict.fromkeys(m for r in reads for m in (r, *sorted(self.memory_of(r)))):
            if n not in self.large or self.last[n] != position:
                continue
            name = self.names[n]
            if n in self.owners and self.to_come.get(self.program.kinds[n], -1) > position:
                self.owners.discard(n)
                self.free.setdefault(self.program.kinds[n], []).append(name)
            elif name.isidentifier() and n not in self.taken:
                gone.append(name)
        return list(dict.fromkeys(gone))

    def new_name(self):
        self.fresh += 1
        return f"v{self.fresh - 1}"

    def in_place(self, op, place):
        if op.function in IN_PLACE and self.text(op.arrays[0]) == place:
            return f"{place} {IN_PLACE[op.function]} {self.text(op.arrays[1])}"
        if bounds := self.bounds(op):
            return f"{self.text(op.arrays[0])}.clip({bounds}, out={place})"
        return f"{self.constant(op.function)}({', '.join(map(self.text, op.arrays))}, out={place})"

    def bounds(self, op):
        """Of the maximum or minimum of a large array and a number, what `clip` takes for it.

        NumPy's loop for a maximum is fast only where both are arrays.
        """
        if op.function in (np.maximum, np.minimum) and op.made[0].size >= LARGE and (
                type(op.arrays[1]) in (int, float) and np.isfinite(op.arrays[1])) and (
                self.program.dtype(op.arrays[0]) == op.made[0].dtype in (np.float32, np.float64)):
            bound = self.text(op.arrays[1])
            infinity = self.constant(np.inf)
            return f"{bound}, {infinity}" if op.function is np.maximum else f"-{infinity}, {bound}"
        return None

    def call(self, op):
        """The operation as an expression."""
        args, params = [self.text(a) for a in op.arrays], op.params
        if op.function is bool or op.function in (int, float, operator.index) and isinstance(
                self.program.dtype(op.arrays[0]), type):  # one of Python's numbers
            return args[0]
        if op.function is np.shape:
            return f"{args[0]}.shape"
        if op.function in INFIX and not params:
            first = f"({args[0]})" if args[0].startswith("-") else args[0]  # -2 ** x is -(2 ** x)
            return f"{first} {INFIX[op.function]} {args[1]}"
        if op.function is np.negative or op.function is operator.neg:
            return f"-{args[0]}"
        if op.function is TABLE[operator.getitem].evaluate:
            return f"{args[0]}[{self.index(params['index'])}]"
        if self.library:
            args += [f"{k}={self.text(v)}" for k, v in params.items()]
            return f"{self.constant(self.spoken(op.function), op.function)}({', '.join(args)})"
        if bounds := self.bounds(op):
            return f"{args[0]}.clip({bounds})"
        if op.function in REDUCTIONS:
            return self.reduction(op, args[0])
        if op.function is np.mean and op.made[0].dtype.char in "fd" and (
                self.program.dtype(op.arrays[0]) == op.made[0].dtype):
            n = np.prod([self.program.shape(op.arrays[0])[k] for k in params["axis"]], dtype=int)
            return f"{self.reduction(op, args[0], np.add)} / {n}"
        if op.function is np.transpose:
            return f"{args[0]}.transpose({self.text(params['axes'])})"
        if op.function is np.reshape:
            return f"{args[0]}.reshape({self.text(params['shape'])})"
        if op.function is TABLE[np.concatenate].evaluate:
            joined, axis = ", ".join(args), self.text(params["axis"])
            return f"{self.constant(np.concatenate)}([{joined}], axis={axis})"
        if op.function in (cast, truncate, np.astype):
            return f"{args[0]}.astype({self.text(params.get('dtype') or op.arrays[1])})"
        args += [f"{k}={self.text(v)}" for k, v in params.items()]
        function = op.function
        if type(function) is Primitive and function.keep is None:  # plain arrays need no dispatch
            function = function.plain
        return f"{self.constant(function, op.function)}({', '.join(args)})"

    def spoken(self, function):
        """A function for the library's own arrays, by the way that `Foreign` goes; where that is
        NumPy's protocol alone, the function itself."""
        if type(function) is np.ufunc and function not in (*self.library.ways, *PROGRAMS):
            return function
        return self.functions.setdefault(function, speaks_for(function))

    def reduction(self, op, x, ufunc=None):
        ufunc, shape = ufunc or REDUCTIONS[op.function], self.program.shape(op.arrays[0])
        params, dtype, is_exact = dict(op.params), op.made[0].dtype, op.results[0] in self.exact
        axis, keep = params.pop("axis", None), params.pop("keepdims", False)
        if axis is None:
            axis = tuple(range(-len(shape), 0))
        elif type(axis) is int:
            axis = axis,
        reduce = f"{self.constant(ufunc)}.reduce"
        rounds = ufunc not in (np.maximum, np.minimum)
        if len(shape) >= 2 and dtype.char in "fd" and not (rounds and is_exact):
            n, count = shape[-1], np.prod(shape[:-1], dtype=int)
            if ufunc is np.add and len(axis) == len(shape) - 1 and not (keep or params) and (
                    product := self.sum_as_product(op.arrays[0], x, axis, dtype)):
                return product
            if axis == (-1,) and n < SHORT and 16 <= count:  # faster across memory
                rows = x if len(shape) == 2 else f"{x}.reshape({count}, {n})"
                result = (*shape[:-1], 1) if keep else shape[:-1]
                shaped = f".reshape({self.text(result)})" if len(result) > 1 else ""
                return f"{reduce}({rows}.T.copy(), axis=0){shaped}"
        axis = self.text(axis[0] if len(axis) == 1 else axis)
        others = "".join(f", {k}={self.text(v)}" for k, v in params.items())
        return f"{reduce}({x}, axis={axis}{', keepdims=True' if keep else ''}{others})"

    def sum_as_product(self, array, x, axis, dtype):
        """The sum along all axes but one as a product with a vector of ones, since BLAS is fast.

        None if the rows of that product were no rows in memory, or are the columns of a matrix.
        """
        shape = self.program.shape(array)
        strides = getattr(self.made.get(array.number), "strides", range(len(shape), 0, -1))
        order = sorted(range(len(shape)), key=lambda k: -strides[k])
        left, = set(order) - {k % len(shape) for k in axis}
        n = shape[left]
        count = np.prod(shape, dtype=int) // max(n, 1)
        if order != sorted(order):
            x = f"{x}.transpose({self.text(tuple(order))})"
        if order[-1] == left:
            rows = x if len(shape) == 2 else f"{x}.reshape({count}, {n})"
            return f"{self.ones(count, dtype)} @ {rows}"
        if order[0] == left and len(shape) > 2:
            return f"{x}.reshape({n}, {count}) @ {self.ones(count, dtype)}"
        return None

    def ones(self, n, dtype):
        """The name of a vector of ones."""
        return self.constant(self.vectors.setdefault((n, dtype), np.ones(n, dtype)))

    def output(self, x, seen):
        """A result: an array that belongs to the caller."""
        text = self.text(x)
        if type(x) is not Array:
            return f"{text}.copy()" if isinstance(x, np.ndarray) else text
        memory = self.memory_of(x.number)
        mine = seen.isdisjoint(memory) and all(m in self.owners or m in self.turned for m in memory)
        seen.update(memory)
        is_number = isinstance(self.program.dtype(x), type) or isinstance(
            self.made.get(x.number), np.generic)
        return text if mine or is_number else f"{text}.copy('K')"

    def nest(self, structure, outputs):
        """The results in the containers in which the function returns them."""
        kind, keys, children = structure
        if kind is LEAF:
            return next(outputs)
        if kind is EMPTY:
            return "None"
        parts = [self.nest(c, outputs) for c in children]
        if kind is tuple:
            return tuple_of(parts)
        if kind is list:
            return f"[{', '.join(parts)}]"
        if kind is dict:
            pairs = [f"{self.text(k)}: {part}" for k, part in zip(keys, parts)]
            return f"{{{', '.join(pairs)}}}"
        made = f"{self.constant(kind)}, {self.text(keys)}, [{', '.join(parts)}]"
        return f"{self.constant(rebuild)}({made})"

    # texts

    def text(self, x):
        if type(x) is Array:
            return self.names[x.number]
        if x is None or x is Ellipsis or type(x) in (bool, int, str):
            return "..." if x is Ellipsis else repr(x)
        if type(x) is float and np.isfinite(x):
            return repr(x)
        if type(x) is tuple:
            return tuple_of([*map(self.text, x)])
        if type(x) is list:
            return f"[{', '.join(map(self.text, x))}]"
        if type(x) is dict:
            return f"{{{', '.join(f'{k!r}: {self.text(v)}' for k, v in x.items())}}}"
        if type(x) is slice:
            return f"slice({self.text(x.start)}, {self.text(x.stop)}, {self.text(x.step)})"
        return self.constant(x)

    def index(self, x):
        """What stands in the brackets of an array."""
        if type(x) is tuple and x:
            return ", ".join(map(self.index, x)) + "," * (len(x) == 1)
        if type(x) is slice:
            ends = ["" if e is None else self.text(e) for e in (x.start, x.stop, x.step)]
            return ":".join(ends if x.step is not None else ends[:2])
        return self.text(x)

    def constant(self, x, named=None):
        """The name of something that the program holds, after `named` if that has one."""
        if id(x) in self.by_id:
            return self.by_id[id(x)]
        held = x
        if self.library and type(x) is np.ndarray:
            held = self.library.give(x)
        name = getattr(x if named is None else named, "__name__", "")
        if not name.isidentifier() or keyword.iskeyword(name) or name in RESERVED or (
                name.rstrip("0123456789") in "vx"):
            name = "c" if isinstance(x, (np.ndarray, np.generic, float)) else "f"
        taken, k = name, self.alike.get(name, 0)
        while taken in self.constants or name in "cf" and not k:
            k += 1
            taken = f"{name}{k}"
        self.alike[name] = k
        self.constants[taken] = held
        self.by_id[id(x)] = taken
        return taken
