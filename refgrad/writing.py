"""In-place writes to traced arrays: x[i] = v, x += y, np.copyto, out=.

The values of a trace never change, so a write makes a new array, which equals x except for
y[i] = v, and the traced array stands for the new one from then on: every name of the array sees
it.  A view remembers its base, the array that it shows, and how it was made; after a write the base
is computed again, and then all of its views.

Writes that could not reach every copy of the value raise an error: a write to an argument of the
differentiated function, since the caller's array is not overwritten, and a write to a view that
NumPy makes read-only."""

from __future__ import annotations

import weakref

import numpy as np

from .augmented import WAY_OUT
from .calls import caller_in_library
from .creation import assembled, constant
from .elsewhere import name_of
from .errors import InPlaceWrite, LostTrace, describe
from .foreign import handed_out, wrapped
from .primitive import shape_of
from .rules.shape import getitem, scatter_add, setitem
from .snapshots import owner_of

#: Stands in the place of the array that a view shows: this array belongs to the caller of the
#: differentiated function.
ARGUMENT = "argument"


class Writable:
    """The in-place half of ndarray's face, for a class with the slots value, level, mark, square,
    shown and views.

    shown  None, ARGUMENT, or for a view the array that it shows, the primitive that made it (which
           says how it is made again, see `Primitive`) and its parameters; of a read-only view None
           and the function that makes it again
    views  weak references to the views of this array
    """

    __slots__ = ()

    def bottom(self):
        """The array below all levels."""
        below = self.value
        while type(below) is type(self):
            below = below.value
        return below

    def is_number(self):
        """Whether NumPy would have a number here, which is never overwritten, not a 0-d array."""
        below = self.bottom()
        return (
            isinstance(below, np.generic) or type(below) is not np.ndarray and not shape_of(below)
        )

    def becomes(self, other):
        """Every name of this array stands for the other's value from now on."""
        self.value, self.level, self.mark, self.square = (
            other.value,
            other.level,
            other.mark,
            other.square,
        )

    def follow(self, array, primitive, params):
        """Declare this array a view of another traced one (see the class)."""
        self.shown = array, primitive, params
        known = [v for v in array.views if v() is not None] if array.views else ()
        array.views = [weakref.ref(self), *known]

    def ways(self):
        """Of a view: the array that it shows, how to make it again, and that array from it."""
        array, primitive, params = self.shown
        return array, *((params, None) if primitive is None else primitive.view(params))

    def overwrite(self, new, how):
        """Let this array, and all that it shares memory with, take the values of `new`."""
        below = self
        while type(below.shown) is tuple:  # before anything is written
            array, _, back = below.ways()
            if back is None:
                raise ValueError(
                    f"{how}: the array is a view that NumPy makes read-only; write to np.copy(x)"
                )
            below = array
        if below.shown == ARGUMENT:
            raise InPlaceWrite(
                how,
                f"{describe(self)} is an argument of the function, or a view of one, and the "
                f"caller's array would keep its old values",
                "Make an array of your own first: x = np.copy(x).",
            )
        if self.is_number():
            raise TypeError(
                f"{how}: the array is a number, {describe(self)}, and numbers are not overwritten"
            )
        self.becomes(self.traced_like(new))
        below = self
        while below.shown is not None:
            array, _, back = below.ways()
            array.becomes(back(array, below))
            below = array
        below.refresh()

    def refresh(self):
        """Compute the views of this array again."""
        for reference in self.views or ():
            view = reference()
            if view is not None:
                view.becomes(view.ways()[1](self))
                view.refresh()

    def traced_like(self, new):
        """A constant as an array traced by this array's level; what is traced already, itself."""
        return new if type(new) is type(self) else constant(new, self)

    def __setitem__(self, index, value):
        shown = value.shown if type(value) is type(self) else None
        if (
            type(shown) is tuple
            and shown[0] is self
            and shown[1] is getitem
            and shown[2]["index"] is index
        ):
            return  # the end of x[index] += y: the view has written it already
        if self.is_number():
            raise TypeError(f"a number ({describe(self)}) does not support item assignment")
        if isinstance(value, (list, tuple)):
            value = assembled(value, self)
        self.overwrite(setitem(self, value, index=index), "x[index] = value")

    def augmented(self, new, operator):
        """x += y, given x + y: the same array with new values, or for a number the sum."""
        if new is NotImplemented or self.is_number():
            return new
        fits(new, self, f"x {operator} y")
        self.overwrite(
            new if new.dtype == self.dtype else new.astype(self.dtype), f"x {operator} y"
        )
        return self

    def fill(self, value):
        self[...] = value

    def sort(self, axis=-1, kind=None, order=None):
        self[...] = np.sort(self, axis=axis, kind=kind)


def follow_view(result, primitive, array, params):
    """Declare the result of indexing, reshaping, ... a view of the array, if NumPy's own result is
    one."""
    if type(array) is not type(result):
        return
    below = result.bottom()
    if type(below) is not np.ndarray:
        is_view = not result.is_number()  # other libraries' arrays do not say
    else:
        above = array.bottom()
        is_view = below.base is not None and type(above) is np.ndarray and (
            below.base is above or owner_of(below) is owner_of(above))
    if is_view:
        result.follow(array, primitive, params)


def on_arguments(name, function, arrays, params):
    """Call a function of the program's on arrays that it must not overwrite."""
    try:
        return wrapped(function(*map(_read_only, arrays), **params))
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise InPlaceWrite(
            name, "an argument of the function", "Make an array of your own first: x = np.copy(x)."
        ) from error


def _read_only(x):
    x = handed_out(x)
    if type(x) is np.ndarray:
        x = x.view()
        x.setflags(write=False)
    elif isinstance(x, Writable):
        x = x.apart()
        x.shown = ARGUMENT
    return x


def fits(new, array, how):
    """Check that NumPy would write `new` into `array`: its shape, and casting of the same kind."""
    if shape_of(new) != array.shape:
        raise ValueError(
            f"{how}: the result has shape {shape_of(new)}, which does not fit into "
            f"{describe(array)}"
        )
    if not np.can_cast(new.dtype, array.dtype, "same_kind"):
        raise TypeError(
            f"{how}: the result is {new.dtype}, which does not fit into {describe(array)}"
        )


def into(out, new, name):
    """The result of a call with out=, which NumPy would have written there."""
    if out is None:
        return new
    if not isinstance(out, Writable) and isinstance(new, Writable):
        raise InPlaceWrite(name, f"the argument out={describe(out)}, which is not traced,", WAY_OUT)
    fits(new, out, f"{name} with out=")
    if isinstance(out, Writable):
        out.overwrite(new if new.dtype == out.dtype else new.astype(out.dtype), f"{name} with out=")
    else:
        out[...] = new
    return out


def with_out(ufunc, method, inputs, options, is_only_name):
    """A ufunc's call with out=; `is_only_name`: it is an augmented assignment, s += x, and s is the
    array's only name."""
    name, (out, *others) = name_of(ufunc), options.pop("out")
    if others:
        raise InPlaceWrite(name, "the argument out=")
    options.pop("indices", None)  # of reduceat, which NumPy hands on by position as well
    new = getattr(ufunc, method)(*inputs, **options)
    if not isinstance(out, Writable) and isinstance(new, Writable) and (
            out is inputs[0] and is_only_name):
        fits(new, out, name)
        return new if new.dtype == out.dtype else new.astype(out.dtype)
    if shape_of(out) != shape_of(new):  # a ufunc broadcasts into the array that it writes to
        new = np.broadcast_to(new, shape_of(out))
    return into(out, new, name)


# NumPy's functions that overwrite their first argument


def _writer(function):
    """The function on a traced first argument; a plain one cannot hold traced numbers."""

    def write(array, *args, **kwargs):
        if not isinstance(array, Writable):
            around = function is np.copyto and caller_in_library(args[0])[0]
            if around:
                raise LostTrace(f"{around}: a copy into a plain array", args[0])
            raise InPlaceWrite(
                f"np.{function.__name__}",
                f"into {describe(array)}, which is not traced",
                "Make it a traced array: np.zeros(shape, like=x).",
            )
        if function not in _WRITTEN:
            raise InPlaceWrite(f"np.{function.__name__}")
        array[...] = _WRITTEN[function](array, *args, **kwargs)

    return write


def _copied(array, values, casting="same_kind", where=True):
    return np.broadcast_to(values, array.shape) if where is True else np.where(where, values, array)


def _put_at(array, mask, values):
    return np.where(mask, values, array)


_WRITTEN = {np.copyto: _copied, np.putmask: _put_at}
WRITERS = {
    function: _writer(function)
    for function in (np.copyto, np.putmask, np.put, np.place, np.fill_diagonal, np.put_along_axis)
}


def add_at(ufunc, array, indices, values=None):
    """np.add.at and np.subtract.at on a traced array."""
    name = f"np.{ufunc.__name__}.at"
    if ufunc not in (np.add, np.subtract) or not isinstance(array, Writable):
        raise InPlaceWrite(name)
    values = np.broadcast_to(values, shape_of(array[indices]))
    array[...] = ufunc(array, scatter_add(values, index=indices, shape=array.shape))
