"""A tensor that carries an array, and the mode under which a torch program runs on such tensors.

The array is of any type that speaks NumPy's protocols: Balls enclose the results of the program, a
Tracer of Balls gives its exact gradient, Symbols give its formula. torch's autograd is off: the
program alone runs.

Arrays are values here, and tensors are places: a tensor and its views share one `Place` that holds
an array. A write puts a new array there, and a view reads it through the same NumPy functions that
made the view. So writes in place alias as torch's do, although the arrays cannot be written to.

Tensors that the program makes or brings itself stay torch's own. If one of floats is written to, it
gets a `Place` of its own then, and is itself left as it was.
"""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import torch
from torch._library.custom_ops import OPDEFS
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from refgrad.rules.shape import setitem

from .table import Kind, NoLine, line_of

#: The widest format that NumPy has, which holds torch's floats exactly.
WIDE = torch.float64


class Place:
    """Where the entries of a tensor and of its views stand: an array, replaced as a whole by each
    write."""

    __slots__ = ("array",)

    def __init__(self, array):
        self.array = array


class Carrier(torch.Tensor):
    """A tensor of floats whose entries are those of an array.

    place      the `Place` of the entries
    read       the function from that place's array to the entries of this tensor; None for all of
               them
    positions  the same of the flat positions in the place: an array of integers, which NumPy's own
               views arrange as torch arranges its memory
    """

    @staticmethod
    def __new__(cls, place, dtype, read=None, positions=None, strides=None):
        if positions is None:
            shape = [operator.index(n) for n in place.array.shape]
            positions = np.arange(math.prod(shape)).reshape(shape)
        if strides is None:
            strides = [s // positions.itemsize for s in positions.strides]
        with torch.inference_mode(False):
            made = torch.Tensor._make_wrapper_subclass(
                cls, positions.shape, strides=strides, dtype=dtype,
                storage_offset=int(positions.flat[0]) if positions.size else 0)
        made.place, made.read, made.positions = place, read, positions
        return made

    @classmethod
    def of(cls, array, dtype):
        """A new tensor of these entries."""
        return cls(Place(array), dtype)

    @property
    def array(self):
        """The entries, as they are now."""
        whole = self.place.array
        return whole if self.read is None else self.read(whole)

    def view_by(self, function, strides=None):
        """The view whose entries a NumPy function chooses and arranges, or the list of views.

        strides  those of the view, where the positions that the function chooses do not have them
        """
        chosen = function(self.positions)
        if isinstance(chosen, (list, tuple)):
            return [self._view(lambda a, k=k: function(a)[k], p) for k, p in enumerate(chosen)]
        return self._view(function, chosen, strides)

    def _view(self, function, positions, strides=None):
        before = self.read
        read = function if before is None else lambda whole: function(before(whole))
        return Carrier(self.place, self.dtype, read, positions, strides)

    def become(self, view, func, args, kwargs):
        """Turn into a view of itself, which an operation like x.t_() makes of it."""
        self.place, self.read, self.positions = view.place, view.read, view.positions
        with no_dispatch():
            func(*args, **kwargs)
        return self

    def write(self, array):
        """Write entries, which broadcast, into the place."""
        whole = self.place.array
        array = array if array.shape == self.shape else np.broadcast_to(array, self.shape)
        if self.read is None:
            self.place.array = array
        elif len(np.unique(self.positions)) != self.positions.size:
            raise NoLine("a write to a tensor of which several entries share one place in memory")
        else:
            flat = setitem(np.reshape(whole, (-1,)), np.reshape(array, (-1,)),
                           index=(self.positions.ravel(),))
            self.place.array = np.reshape(flat, whole.shape)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _Operations.at_work().run(func, args, kwargs or {})

    def __repr__(self, **_):
        return f"Carrier({self.array!r}, dtype={self.dtype})"


class _Operations(TorchDispatchMode):
    """Sees each operation of the program and runs its line."""

    running: list = []

    def __init__(self):
        super().__init__()
        # Address of a plain tensor's memory -> (that memory, the Carrier that took its place).
        self.written = {}

    @classmethod
    def at_work(cls):
        if not cls.running:
            raise RuntimeError("a Carrier was used after the program that it belongs to had ended")
        return cls.running[-1]

    def __enter__(self):
        self.running.append(self)
        return super().__enter__()

    def __exit__(self, *error):
        self.running.remove(self)
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs or {})

    def run(self, func, args, kwargs):
        """What an operation returns."""
        if self.written:
            args, kwargs = each_in(self.current, (args, kwargs))
        tensors = []
        each_in(lambda a: tensors.append(a) if torch.is_tensor(a) else None, (args, kwargs))
        if not any(isinstance(t, Carrier) for t in tensors):
            return func(*args, **kwargs)
        name, overload, arguments, written, fresh = _signature(func)
        named = dict(zip(arguments, args), **kwargs)
        targets = {k: named[k] for k in written}
        if "self" in targets:
            name = name.removesuffix("_")
        line = line_of(name, overload)
        if line is None:
            return self.taken_apart(func, args, kwargs)
        kwargs = {k: a for k, a in kwargs.items() if k not in targets}
        targets |= {k: named[k] for k in line.writes if named.get(k) is not None}
        if line.kind is Kind.CONSTANT:
            return _by_torch(func, args, kwargs, targets)
        dtype = _dtype_of(tensors)
        if getattr(kwargs.get("dtype"), "is_floating_point", False):
            dtype = kwargs.pop("dtype")
        if (unknown := line.refused(kwargs)) is not None:
            raise NoLine(f"{func} with {unknown}={kwargs[unknown]!r}")
        if line.kind in (Kind.VIEW, Kind.MEMORY):
            base, *rest = args
            if line.kind is Kind.VIEW:
                found = base.view_by(lambda a: line.compute(a, *rest, **kwargs))
            else:
                found = _in_memory(Carrier(base.place, base.dtype), *line.compute(*args, **kwargs))
            if not line.copies:
                return base.become(found, func, args, kwargs) if targets else found
            found = each_in(array_of, found)
        else:
            found = line.compute(*each_in(array_of, args), **each_in(array_of, kwargs))
        found = list(found) if isinstance(found, tuple) else [found]
        if len(found) != sum(fresh) + len(targets):
            raise TypeError(f"the line of {func} gives {len(found)} arrays; expected {sum(fresh)} "
                            f"that it returns and {len(targets)} that it writes")
        values, placed = iter(found), iter(targets.values())
        returned = [each_in(lambda a: _tensor_of(a, dtype), next(values)) if new else next(placed)
                    for new in fresh]
        for target, array in zip(targets.values(), values):
            self.placed(target).write(array)
        return returned[0] if len(returned) == 1 else tuple(returned)

    def taken_apart(self, func, args, kwargs):
        """The results of an operation that is not in the table, computed by the operations that it
        decomposes into."""
        definition = OPDEFS.get(func._schema.name)  # by torch.library.custom_op
        kernels = {} if definition is None else definition._backend_fns
        kernel = kernels.get("cpu") or kernels.get(None) or func.decompose
        with self:
            found = kernel(*args, **kwargs)
        if found is NotImplemented:
            raise NoLine(f"{func} has no line in NumPy yet")
        return found

    def current(self, a):
        """What stands for a tensor: for a plain one whose memory was written to, what was
        written."""
        if not torch.is_tensor(a) or isinstance(a, Carrier) or not self.written:
            return a
        _, carrier = self.written.get(a.untyped_storage().data_ptr(), (None, None))
        return a if carrier is None else _in_memory(carrier, *_geometry(a))

    def placed(self, target):
        """The Carrier that a write to a tensor must go to."""
        if isinstance(target, Carrier):
            return target
        if not target.is_floating_point():
            raise NoLine(f"a write of floats into a tensor of {target.dtype}")
        memory = target.untyped_storage()
        whole = torch.empty(0, dtype=target.dtype).set_(memory)
        carrier = Carrier.of(array_of(whole), target.dtype)
        self.written[memory.data_ptr()] = memory, carrier
        return _in_memory(carrier, *_geometry(target))


class _Functions(TorchFunctionMode):
    """A number that the program takes out of a tensor stays in a tensor without axes:
    `x.item()`."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.item and isinstance(args[0], Carrier):
            return args[0].reshape(())
        return func(*args, **(kwargs or {}))


def carried(program, arrays, dtype):
    """What a torch program makes of arrays: ``program(tensors)`` with a Carrier for each array.

    program  a function of a dict of tensors that returns a list of tensors
    arrays   a dict of arrays
    dtype    that of the tensors, as the program sees it
    Returns a list of arrays. Raises `NoLine` for an operation that is not in the table.
    """
    with (torch.no_grad(), torch.compiler.set_stance("force_eager"), _Operations() as operations,
          _Functions()):
        tensors = {k: Carrier.of(a, dtype) for k, a in arrays.items()}
        return [array_of(operations.current(y)) for y in program(tensors)]


def array_of(a):
    """The array of a tensor, exactly; what is no tensor stays as it is."""
    if isinstance(a, Carrier):
        return a.array
    if not torch.is_tensor(a):
        return a
    if a.is_complex():
        raise NoLine(f"a tensor of {a.dtype}")
    a = a.detach().resolve_neg().cpu()
    return (a.to(WIDE) if a.is_floating_point() else a).numpy()


def _tensor_of(a, dtype):
    """The tensor of a line's result: a Carrier for floats."""
    if not isinstance(getattr(a, "dtype", None), np.dtype):
        return a
    if a.dtype.kind in "fO":
        return Carrier.of(a, dtype)
    return torch.from_numpy(np.array(a))


def _geometry(tensor):
    """Where a tensor's entries stand in its memory."""
    return tensor.shape, tensor.stride(), tensor.storage_offset()


def _in_memory(carrier, size, stride, offset):
    """The view of a Carrier of a whole memory that stands there in it."""
    return carrier.view_by(lambda a: strided(a, size, stride, offset), stride)


def strided(a, size, stride, offset):
    """The entries of an array's flat memory at strides, as in torch.as_strided."""
    steps = [np.arange(n) * s for n, s in zip(size, stride)]
    at = functools.reduce(np.add.outer, steps, np.asarray(offset))
    return np.reshape(a, (-1,))[at]


@functools.cache
def _signature(func):
    """An operation's name, its overload's, the names of its arguments, which of them it writes to,
    and for each result whether it is no argument."""
    schema = func._schema
    written = [a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write]
    return (schema.name.removeprefix("aten::"), func._overloadname,
            [a.name for a in schema.arguments], written,
            [r.alias_info is None for r in schema.returns])


def each_in(function, a):
    """The function of what is no list, tuple or dict, or of each thing in one."""
    kind = type(a)
    if kind in (list, tuple):
        return kind([each_in(function, part) for part in a])
    return {k: each_in(function, part) for k, part in a.items()} if kind is dict else function(a)


def _dtype_of(tensors):
    """The dtype of floats that torch computes in: tensors without axes count where there are no
    others."""
    floats = [t for t in tensors if t.is_floating_point()]
    ranked = [t for t in floats if t.ndim] or floats
    return functools.reduce(torch.promote_types, (t.dtype for t in ranked))


def _by_torch(func, args, kwargs, targets):
    """An operation on plain tensors of the same shapes; what it writes to a Carrier is put
    there."""
    plain = {}

    def stand_in(a):
        if not isinstance(a, Carrier):
            return a
        if id(a) not in plain:
            made = torch.empty_strided(a.shape, a.stride(), dtype=a.dtype)
            plain[id(a)] = made.copy_(torch.from_numpy(np.array(midpoints(a.array))))
        return plain[id(a)]

    found = func(*each_in(stand_in, args), **each_in(stand_in, kwargs))
    for target in targets.values():
        target.write(array_of(plain[id(target)]))
    return args[0] if targets else found


def midpoints(array):
    """Floats near the entries of an array, whatever traces or encloses them."""
    # A Tracer reports the class of its array.
    while not issubclass(type(array), (np.ndarray, np.generic)):
        if hasattr(array, "mid"):
            return array.mid()
        if not hasattr(array, "value"):
            raise NoLine(f"the numbers in {type(array).__name__}, which random numbers depend on")
        array = array.value
    return np.asarray(array)
