"""The level of jit, which records all operations as a list.

It lies below all other levels, so it records what the transforms above it compute: a gradient of
any order comes out as straight-line NumPy, without tape, dispatch or checks.  Where the function
branches on a value, or catches the error of an operation that failed, the list has a check that the
replay would go the same way.
"""

from __future__ import annotations

import operator
import warnings

import numpy as np

from .custom import Custom
from .errors import ClosedLevel, InPlaceWrite, describe
from .foreign import Foreign, bare
from .operations import LEAVES, REDUCTIONS, VIEWS, Array, Operation, replaced
from .operands import is_foreign
from .primitive import TABLE, Primitive, consist_of, qualified
from .reverse import WALKING
from .scalars import KINDS, Scalar
from .tracer import Level, Tracer, run
from .tree import LEAF, Structure, flatten, unflatten
from .writing import WRITERS

#: What depends on the shape and dtype of its first argument alone, which a replay does not change.
STATIC = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.full_like,
          np.isrealobj, np.iscomplexobj}
#: Python's operations on numbers that never fail.
SAFE = {operator.add, operator.sub, operator.mul, operator.neg, operator.pos, operator.abs}
#: Questions to a number that are asked once: the answer stays the same.
ONCE = {bool, int, float, operator.index, operator.lt, operator.le, operator.gt, operator.ge,
        operator.eq, operator.ne}


_new = tuple.__new__  # Array(...) without the Python call
#: The types of traced arrays and numbers.
TRACED = {Tracer, *KINDS.values()}


class Opaque(BaseException):
    """A primitive looks at the numbers in its arrays, and is called as a whole.

    No handler in the primitive's function should see this, nor `Inside`.
    """


class Inside(BaseException):
    """The function closes over arrays that another transform traces."""


class Recording(Level):
    """The level of jit, which records all operations.  A tracer's mark is the number of its
    array."""

    records = True
    purpose = "may change from call to call of a jitted function"

    def __init__(self):
        super().__init__()
        self.operations = []
        self.count = 0
        self.composing = []  # compositions that are being run
        self.whole_ones = set()  # primitives that are not made of NumPy's operations alone
        self.inside = []     # (primitive whose operations are recorded, checks on values in it)
        self.errors = np.geterr()  # what NumPy does about errors if the function does not say
        self.strict = is_strict()
        self.about_errors = None, None  # what NumPy does about them at present, and what follows
        self.copies = {}     # id -> (plain array that the program needs, its latest copy)
        self.checked = {}    # check on a value -> how many operations there were before it

    # what is traced

    def variable(self, value):
        """A new traced array or number."""
        kind = KINDS.get(type(value), Tracer)
        if kind is Tracer and value.dtype.kind not in "biuf":
            raise self.refused(TypeError(
                f"jit: expected real arrays, got {describe(value)}. Write real and imaginary part "
                f"as two arrays, leave out what is no number, or do without jit."))
        self.count += 1
        return kind(value, self, self.count - 1)

    def constant(self, value):
        return self.done(np.copy, (value,), {})

    def refused(self, error):
        """Remember an error that is raised at the end, even if the function catches it
        (`Level.__exit__`)."""
        self.lost = self.lost or error
        return error

    def strip(self, x):
        return x.value if type(x) in TRACED and x.level is self else x

    # operations

    def process(self, primitive, arrays, params):
        function = primitive.evaluate

        def as_program():
            return primitive.run(arrays, params)[0]

        if function is primitive:
            if isinstance(primitive.forward, np.ufunc):
                function = primitive.forward
            elif primitive not in TABLE and not isinstance(primitive, Custom):
                return as_program()  # checkpoint's: a program that is run again for its derivative
            elif primitive not in self.whole_ones and primitive not in [p for p, _ in self.inside]:
                try:
                    return self.written_out(primitive, as_program)
                except Opaque:
                    self.whole_ones.add(primitive)
        if primitive.function in STATIC and not any(map(is_traced, arrays[1:])):
            return self.compute(function, arrays, params)
        traced = bool(params) and not consist_of(LEAVES, params) and bool(traced_within(params))
        may_fail = traced or is_linalg(function) or (
            (primitive.function or primitive) not in TABLE)
        unsure = traced and _decide_a_shape(params) or (
            primitive.constant and not isinstance(function, np.ufunc) and (
                function not in REDUCTIONS))
        return self.done(function, arrays, params, may_fail, unsure, as_program)

    def done(self, function, arrays, params, may_fail=False, unsure=False, as_program=None):
        """Compute the result and record the operation.

        may_fail    it must run even if nobody reads its result
        unsure      the shape of the result may depend on values
        as_program  what to do instead if the function closes over traced arrays
        """
        result = self.attempt(function, arrays, params)
        made, structure = flatten(result)
        arrays_alone = bool(made)
        for y in made:
            if is_traced(y):
                if y.level is not self:
                    raise self.refused(Inside())
                return as_program()
            arrays_alone = arrays_alone and (hasattr(y, "dtype") or type(y) in KINDS)
        if not arrays_alone:
            self.check(function, arrays, params, result)
            return result
        if function is operator.pow:  # of an integer to a negative power
            may_fail = may_fail or result.dtype.kind in "iu"
        traced = [self.variable(y) for y in made]
        marks = [y.mark for y in traced]
        self.note(function, arrays, params, marks, tuple(made), structure, may_fail=may_fail)
        for y in traced if unsure else ():
            if type(y) is Tracer:
                self.check(np.shape, (y,), {}, y.shape)
        return traced[0] if structure.kind is LEAF else unflatten(structure, traced)

    def compute(self, function, arrays, params):
        """The function's result on the arrays of the level below."""
        arrays = replaced(list(arrays), self.strip)
        return function(*arrays, **replaced(params, self.strip)) if params else function(*arrays)

    def attempt(self, function, arrays, params):
        """The same; if it raises an error, the replay checks that it raises it again."""
        try:
            return self.compute(function, arrays, params)
        except Exception as error:
            self.check(_fails(function, type(error)), arrays, params, True)
            raise

    def written_out(self, primitive, as_program):
        """The operations that a primitive of refgrad's own, or of the user's, is made of.

        Raises Opaque if they are not NumPy's alone.
        """
        written, count, lost = len(self.operations), self.count, self.lost
        self.inside.append((primitive, looked := []))
        try:
            result = as_program()
            if looked or type(result) is np.ndarray:  # it went on, or forgot the arrays' library
                raise Opaque
            return result
        except (Exception, Opaque) as error:  # whatever it is that arrays do and tracers do not
            del self.operations[written:]
            self.count, self.lost = count, lost
            while self.checked and next(reversed(self.checked.values())) >= written:
                self.checked.popitem()
            raise Opaque from error
        finally:
            self.inside.pop()

    def python(self, function, numbers):
        """Python's operation on numbers."""
        if not self.open:
            raise ClosedLevel(function.__name__)
        known = self.attempt(function, numbers, {})
        if type(known) not in KINDS:
            self.check(function, numbers, {}, known)
            return known
        result, structure = self.variable(known), Structure(LEAF)
        self.note(function, numbers, {}, [result.mark], (known,), structure,
                  may_fail=function not in SAFE)
        if function is operator.pow:  # of other numbers it may be a float, or complex
            self.check(type, (result,), {}, type(known))
        return result

    def composed(self, rule, function, args, kwargs):
        """A function that is written with others, or has no rule: to recorded arrays it is one."""
        if rule is None or rule in self.composing:
            return self.whole(function, "__call__", args, kwargs)
        self.composing.append(rule)
        try:
            return run(rule, args, kwargs)
        finally:
            self.composing.pop()

    def called(self, function, method, args, kwargs):
        """A function, or a method of a ufunc, that was called with Python's numbers."""
        traced = next((x for x in traced_within((args, kwargs)) if type(x) is Tracer), None)
        is_ufunc = isinstance(function, np.ufunc)
        if traced is not None and is_ufunc:
            return traced.__array_ufunc__(function, method, *args, **kwargs)
        if traced is not None:
            return traced.__array_function__(function, (), args, kwargs)
        if isinstance(function, Primitive):
            return self.process(function, args, kwargs)
        if is_ufunc and function in TABLE and method == "__call__" and not kwargs:
            return self.process(TABLE[function], args, {})
        return self.whole(function, method, args, kwargs)

    def whole(self, function, method, args, kwargs):
        """A call that is recorded as one operation."""
        if method != "__call__":
            function = getattr(function, method)
        traced = traced_within((args, kwargs))
        if function in WRITERS or kwargs.get("out") is not None or method == "at":
            if any(type(x) is Tracer for x in traced):
                raise self.refused(InPlaceWrite(f"np.{qualified(function)}"))
            args, kwargs = replaced(
                (args, kwargs), lambda x: x.number() if isinstance(x, Scalar) else x)
            return function(*args, **kwargs)
        if any(callable(x) and not isinstance(x, type) for x in flatten((args, kwargs))[0]):
            raise self.refused(TypeError(
                f"jit: np.{qualified(function)} was given a function, which may read what the "
                f"program does not show. Write it with arrays, or call it without jit."))
        if function in STATIC and len(traced) == 1 and is_traced(args[0]):
            return self.compute(function, args, kwargs)
        selects = function not in TABLE or any(
            isinstance(x, Scalar) or x.dtype.kind != "f" for x in traced)
        return self.done(function, args, kwargs, selects or is_linalg(function),
                         selects and not isinstance(function, np.ufunc))

    # checks on values

    def concrete(self, x, convert):
        """A value that leaves the arrays, such as the condition of an if: the replay checks that it
        is the same."""
        if not self.open:
            raise ClosedLevel(convert.__name__)
        if self.inside:
            primitive, looked = self.inside[-1]
            if not (primitive.turns and convert is bool):
                looked.append(convert)
                raise Opaque
        if type(x) is Tracer:
            is_float = x.dtype.kind == "f"
            if convert is np.asarray and is_float:
                return super().concrete(x, convert)
            if convert in ONCE and (x.size > 1 or convert is operator.index and is_float):
                return convert(x.value)  # fails, whatever the numbers are
        known = self.attempt(convert, (x,), {})
        self.check(convert, (x,), {}, known)
        return known

    def text(self, x, write):
        if self.open:
            return self.concrete(x, write)
        return write(x.value) if isinstance(x, Scalar) else super().text(x, write)

    def check(self, function, arrays, params, known):
        """Record a check: the replay computes this result and, if it differs, the function is
        traced again."""
        if function in ONCE:
            question = function, *(x.mark if is_traced(x) else (type(x), x) for x in arrays)
            if question in self.checked:
                return
            self.checked[question] = len(self.operations)
        self.note(function, arrays, params, [], (), check=self.reference(known))

    def note(self, function, arrays, params, results, made, structure=None, check=None,
             may_fail=False):
        """Append an operation, with the np.errstate under which it runs."""
        state = np.geterr(), is_strict(), WALKING.get()
        if state != self.about_errors[0]:  # it seldom changes
            self.about_errors = state, self.what_raises(*state)
        errors, raises = self.about_errors[1]
        arrays = replaced(arrays, self.reference)
        params = replaced(params, self.reference) if params else params
        self.operations.append(Operation(
            function, arrays, params, results, made, structure, errors, check,
            may_fail or raises and function not in VIEWS))

    def what_raises(self, now, strict, walking):
        """The np.errstate of an operation, as far as the function has set it, and whether it may
        raise errors."""
        if strict != self.strict:  # the function has its own filter of warnings
            instead = "raise" if strict else "ignore"
            now = {kind: instead if how == "warn" else how for kind, how in now.items()}
        # In a sweep, an invalid operation only decides whether its own nan is replaced by zeros. If
        # no result depends on it, that makes no difference, and the operation can be left out.
        deciding = [how for kind, how in now.items() if kind != "invalid" or not walking]
        errors = {kind: how for kind, how in now.items() if how != self.errors[kind]}
        return errors, "raise" in deciding or strict and "warn" in deciding

    def reference(self, x):
        """What stands for x in the program.

        An array is copied, since the function may overwrite it later.
        """
        kind = type(x)
        if kind in TRACED:
            if x.level is not self:
                raise self.refused(Inside())
            return _new(Array, (x.mark,))
        if kind is not np.ndarray:
            return bare(np.copy(x)) if kind is Foreign or is_foreign(kind) else x
        copy = self.copies.get(id(x), (x, None))[1]
        if copy is None or copy.tobytes() != x.tobytes():
            copy = np.copy(x)
            self.copies[id(x)] = x, copy
        return copy

    def settle(self):
        """What the function did not overwrite need not be copied."""
        original = {id(copy): x for x, copy in self.copies.values()
                    if copy.tobytes() == x.tobytes()}
        for op in self.operations if original else ():
            if not op.params and {Array}.issuperset(map(type, op.arrays)):
                continue  # it has no constants
            op.arrays = replaced(op.arrays, lambda x: original.get(id(x), x))
            op.params = replaced(op.params, lambda x: original.get(id(x), x))


def is_traced(x):
    return type(x) in TRACED


def traced_within(x):
    """The traced arrays and numbers in a nest of arguments."""
    found = []
    replaced(x, lambda v: found.append(v) if is_traced(v) else None)
    return found


def _decide_a_shape(params):
    """Whether parameters are traced that may decide the shape of a result.

    A mask, the ends of a slice and a size do; integers that index an array do not.
    """
    for name, p in params.items():
        for part in p if type(p) is tuple else (p,):
            is_index = name == "index" and type(part) is Tracer and part.dtype != bool
            if not is_index and traced_within(part):
                return True
    return False


def is_linalg(function):
    """Whether a function fails for some numbers: a singular matrix, say."""
    function = getattr(function, "forward", function)
    return getattr(function, "__module__", "") in ("numpy.linalg", "refgrad.rules.linalg")


def _fails(function, kind):
    """Whether a call raises such an error, as a function."""
    if issubclass(kind, Warning):  # to a replay NumPy's warnings are floating point errors
        kind = FloatingPointError

    def fails(*args, **kwargs):
        try:
            function(*args, **kwargs)
        except kind:
            return True
        return False
    return fails


def is_strict():
    """Whether the current warning filters may turn NumPy's warnings into errors."""
    if _filters[0] != warnings.filters:
        _filters[:] = warnings.filters[:], _may_raise()
    return _filters[1]


_filters = [None, False]  # the latest filters, and the answer


def _may_raise():
    for action, message, category, module, line in warnings.filters:
        if issubclass(RuntimeWarning, category):
            if action == "error":
                return True
            if message is None and module is None and not line:
                return False
    return warnings.defaultaction == "error"
