"""Mutation operators: the mistakes that people make when they write derivatives by hand.

An operator is a function of one `Call` of a rule and returns what the faulty rule returns; or None
where the mistake cannot be made, as when there is no second argument, square shape or axis.  Then
the rule stays right.  It is written in NumPy functions, as rules are, so that it runs on floats,
balls and traced arrays alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from collections.abc import Callable

import numpy as np

from refgrad.primitive import KINKED, Primitive
from refgrad.tracer import bare


@dataclass
class Call:
    """One call of a rule, ``rules[argument](v, kept, arrays, params)``, with what a fault needs to
    know of it."""

    primitive: Primitive
    which: str        # "vjp" or "jvp"
    argument: int
    rules: Any        # the right ones: a tuple, or `Each`
    memory: dict      # what the faulty rule keeps from call to call
    v: Any
    kept: Any
    arrays: tuple
    params: dict

    def right(self, **changes):
        """The right rule's result, or what it gives for other values:
        ``right(v=..., kept=..., arrays=...)``."""
        c = {"argument": self.argument, "v": self.v, "kept": self.kept, "arrays": self.arrays,
             "params": self.params}
        c |= changes
        return self.rules[c["argument"]](c["v"], c["kept"], c["arrays"], c["params"])

    def at(self, change):
        """The right rule at other arguments, where `change` maps each floating point array to
        another."""
        arrays = tuple(change(x) if is_real(x) else x for x in self.arrays)
        return self.right(arrays=arrays, kept=self.primitive.trace(arrays, self.params)[1])

    @property
    def own(self):
        """The argument that the rule is about."""
        return self.arrays[self.argument]

    @property
    def reals(self):
        return [x for x in self.arrays if is_real(x)]

    @property
    def axis(self):
        """(the parameter's name, its axes as negative numbers) if the primitive works along axes,
        else (None, ())."""
        for name in ("axis", "axes"):
            if name in self.params:
                axes = self.params[name]
                n = max((np.ndim(x) for x in self.reals), default=0)
                return (name,
                        tuple(k % n - n for k in (axes if isinstance(axes, tuple) else (axes,)))
                        if n else ())
        return None, ()


@dataclass(frozen=True)
class Operator:
    name: str
    stands_for: str   # which real mistake
    apply: Callable[[Call], Any]
    alone: bool       # a mistake only if the other mode's rule does not make it too


#: From a name to its `Operator`, in the order of the report.
OPERATORS: dict[str, Operator] = {}


def operator(name, alone=False):
    """Declare an operator; its docstring says which real mistake it stands for."""
    def declare(apply):
        OPERATORS[name] = Operator(name, " ".join(apply.__doc__.split()), apply, alone)
        return apply
    return declare


def of_result(name):
    """Declare an operator that spoils the right result: a function of it and the call."""
    def declare(spoil):
        def apply(call):
            result = call.right()
            if not isinstance(result, tuple):
                return spoil(result, call)
            spoiled = tuple(spoil(r, call) for r in result)
            return None if any(s is None for s in spoiled) else spoiled
        apply.__doc__ = spoil.__doc__
        operator(name)(apply)
        return spoil
    return declare


def is_real(x):
    """A floating point array, or one of balls."""
    dtype = getattr(bare(x), "dtype", None)
    return dtype is not None and dtype.kind in "fO"


def _last_entry(x):
    """A mask that is True in the last entry alone; None for an array that has no other."""
    mask = np.zeros(np.shape(x), bool)
    mask.reshape(-1)[-1:] = True
    return mask if mask.size > 1 else None


# Factors


@of_result("sign turned")
def _(r, call):
    """A minus lost or gained: d(a - b), d cos, d(1/x)."""
    return -r


@of_result("factor 2")
def _(r, call):
    """A square or a symmetric term counted once or twice, x' A x for one."""
    return r * 2


@of_result("factor 1 + 1e-9")
def _(r, call):
    """A constant typed with nine digits."""
    return r * (1 + 1e-9)


@of_result("one entry off by 1e-7")
def _(r, call):
    """A constant in float32 at one place of a loop, the last block of a kernel for one."""
    last = _last_entry(r)
    return None if last is None else np.where(last, r * (1 + 1e-7), r)


@of_result("1/N missing")
def _(r, call):
    """A mean taken for a sum, or the batch size divided out twice: all but N right."""
    n = np.shape(call.v if call.which == "vjp" else r)[:1]
    return r / n[0] if n and n[0] > 1 else None


@of_result("n - 1 for n")
def _(r, call):
    """Biased for unbiased: the variance's denominator in place of the mean's."""
    n = 1
    for k in call.axis[1]:
        n *= np.shape(call.reals[0])[k]
    return r * n / (n - 1) if n > 1 else None


# Places and shapes


@of_result("transpose missing")
def _(r, call):
    """A missing transpose, or entries read by columns that were written by rows."""
    if np.ndim(r) < 2 or min(np.shape(r)[-2:]) == 1:
        return None
    return np.reshape(np.swapaxes(r, -1, -2), np.shape(r))


@of_result("order reversed")
def _(r, call):
    """A running sum from the wrong end, a kernel that is not mirrored."""
    return None if np.ndim(r) == 0 or np.shape(r)[-1] == 1 else r[..., ::-1]


def _stretched(r, call):
    """(how many axes broadcasting put in front, which others it stretched), of a cotangent; None if
    it did nothing."""
    shape = np.shape(call.own)
    extra = np.ndim(r) - len(shape)
    if call.which != "vjp" or np.shape(r) == shape or extra < 0:
        return None
    return extra, [n != m for n, m in zip(shape, np.shape(r)[extra:])]


def _one_of_the_broadcast(r, call, which):
    found = _stretched(r, call)
    if found is None or not np.size(r):
        return None
    row = slice(0, 1) if which == 0 else slice(-1, None)
    return r[(which,) * found[0] + tuple(row if wide else slice(None) for wide in found[1])]


@of_result("broadcast sum missing")
def _(r, call):
    """The cotangent of a bias is that of the first sample, not the sum over all."""
    return _one_of_the_broadcast(r, call, 0)


@of_result("broadcast averaged")
def _(r, call):
    """The cotangent of a bias averaged over the samples that share it, not summed."""
    return (None if _stretched(r, call) is None or not np.size(r)
            else r * np.size(call.own) / np.size(r))


@operator("accumulation overwritten")
def _(call):
    """x[index] = g where x[index] += g is meant: an entry used twice keeps the last of its
    contributions."""
    result = call.right()
    if isinstance(result, tuple):
        return None
    if "index" not in call.params:
        return _one_of_the_broadcast(result, call, -1)
    contributions = np.arange(np.size(call.v)).reshape(np.shape(call.v))
    owner = np.full(np.shape(result), -1)
    if np.shape(owner[call.params["index"]]) != np.shape(contributions):
        return None  # this rule takes entries, it does not put them
    owner[call.params["index"]] = contributions
    if np.count_nonzero(owner >= 0) == contributions.size:
        return None  # no entry is used twice
    return np.where(owner >= 0, np.ravel(call.v)[owner], 0)


@operator("gradient dropped")
def _(call):
    """An argument taken for a constant."""
    result = call.right()
    return tuple(map(np.zeros_like, result)) if isinstance(result, tuple) else np.zeros_like(result)


@operator("arguments swapped")
def _(call):
    """Two arguments' gradients returned in the wrong order."""
    n = len(call.arrays)
    for other in ((call.argument + k) % n for k in range(1, n)):
        if call.primitive.differentiable(other) and is_real(call.arrays[other]):
            return call.right(argument=other)


@operator("wrong axis")
def _(call):
    """The rule works along the neighbour of its axis."""
    name, axes = call.axis
    n = max((np.ndim(x) for x in call.reals), default=0)
    if n < 2:
        return None
    moved = tuple((k + 1) % n - n for k in axes)
    before = call.params[name]
    if isinstance(before, tuple) and min(before, default=-1) >= 0:
        moved = tuple(k % n for k in moved)
    return call.right(params={**call.params,
                              name: moved if isinstance(before, tuple) else moved[0]})


# Values


@operator("eps forgotten")
def _(call):
    """The denominator in the derivative lacks the eps that the function has."""
    if "eps" not in call.params:
        return None
    params = {**call.params, "eps": 0}
    return call.right(params=params, kept=call.primitive.trace(call.arrays, params)[1])


@operator("wrong beyond 3")
def _(call):
    """A branch for large inputs, |x| > 3, that is constant there: a table that ends, a clamp before
    the formula."""
    return call.at(lambda x: np.clip(x, -3, 3)) if call.reals else None


@operator("wrong below 0")
def _(call):
    """The branch for negative inputs is that for positive ones."""
    return call.at(np.abs) if call.reals else None


@operator("constant derivative")
def _(call):
    """Linearised about one point: the slope at the mean in place of the slope at each entry."""
    mean = lambda x: np.zeros_like(bare(x)) + np.mean(bare(x))
    return call.at(mean) if call.reals else None


@operator("x for y")
def _(call):
    """The input kept for the backward pass where its formula wants the result."""
    same = [x for x in call.reals if np.shape(x) == np.shape(call.kept)]
    return call.right(kept=same[0]) if same and hasattr(call.kept, "shape") else None


@operator("y for x")
def _(call):
    """The result kept for the backward pass where its formula wants the input."""
    if not hasattr(call.kept, "shape") or np.shape(call.kept) != np.shape(call.own):
        return None
    i = call.argument
    return call.right(arrays=(*call.arrays[:i], call.kept, *call.arrays[i + 1:]))


@operator("cotangent ignored")
def _(call):
    """Right for a sum of the result alone: the incoming derivative taken for ones."""
    return None if isinstance(call.v, tuple) else call.right(v=np.ones_like(call.v))


# Kinks: one of equals gets all, or each does


def _ties(call):
    """Where entries are equal that the primitive declares to kink there; None for one that does
    not."""
    declared = [np.concatenate([np.ravel(a) for a in kink.at]) for kink in call.primitive.kinks]
    if not any(len(set(at[at != 0])) < np.count_nonzero(at) for at in declared):
        return None
    values, axes = [bare(x) for x in call.reals], call.axis[1]
    if len(values) == 1 and axes:
        y = bare(call.kept)
        return values[0] == (y if call.params["keepdims"] else np.expand_dims(y, axes))
    return values[0] == values[1] if len(values) == 2 else None


def _zeros(call):
    """Where all is zero that the primitive declares to kink at zero; None for one that does not."""
    where = None
    for kink in call.primitive.kinks[:1]:
        for x, at in zip(call.arrays, kink.at):
            if is_real(x) and not np.any(at):
                zero = bare(x) == 0
                zero = (np.all(zero, axis=call.axis[1], keepdims=True) & zero if call.axis[1]
                        else zero)
                where = zero if where is None else where & zero
    return where


@operator("tie to one", alone=True)
def _(call):
    """At a tie or another kink one mode takes the slope on one side, the other shares evenly: they
    disagree."""
    if call.primitive.kind is not KINKED:
        return None
    where = _ties(call)
    where = _zeros(call) if where is None else where
    if where is None:
        return None
    # A little more for each of the equals than for the next.
    more = 2.0 ** -40 * (
        2 - np.arange(np.size(where)).reshape(np.shape(where)) / max(np.size(where), 1))
    first = call.reals[0]
    more = more if bare(first).dtype == object else more.astype(bare(first).dtype)
    return call.at(lambda x: np.where(where, x + more, x) if x is first else x)


@operator("tie to both")
def _(call):
    """Each of the equals gets the whole derivative."""
    where = _ties(call) if call.primitive.kind is KINKED else None
    result = call.right()
    if where is None or isinstance(result, tuple):
        return None
    if len(call.reals) == 2:
        return np.where(where, result * 2, result)
    equals = np.sum(where, axis=call.axis[1],
                    keepdims=call.which == "vjp" or call.params["keepdims"])
    return result * np.maximum(equals, 1)


# Orders and state


@operator("saved values detached")
def _(call):
    """What was saved for the backward pass carries no trace: the first derivative is right, the
    second is not."""
    return call.right(kept=bare(call.kept), arrays=tuple(map(bare, call.arrays)))


@operator("result detached")
def _(call):
    """The backward pass is not traced at all: its own derivative is zero."""
    return call.right(v=bare(call.v), kept=bare(call.kept), arrays=tuple(map(bare, call.arrays)))


def _kind_of(r):
    return type(bare(r)), np.shape(r), str(bare(r).dtype)


@of_result("stale result")
def _(r, call):
    """A result kept from the first call is handed out again, whatever the arguments."""
    return call.memory.setdefault(_kind_of(r), bare(r))


@of_result("buffer not reset")
def _(r, call):
    """Results are added into a buffer that nobody sets to zero between two calls."""
    before = call.memory.get(_kind_of(r), 0)
    call.memory[_kind_of(r)] = bare(r)
    return r + before


@operator("cotangent overwritten")
def _(call):
    """The rule computes in place, in the array that it was handed."""
    result = call.right()
    if not isinstance(result, tuple) and type(call.v) is np.ndarray:
        result = np.copy(result)
        if call.v.flags.writeable:
            call.v *= 2
    return result


# What only floating point shows


@of_result("float32 inside float64")
def _(r, call):
    """A temporary in float32: a buffer allocated without its dtype, a constant that is a float32
    tensor."""
    return r.astype(np.float32).astype(r.dtype) if bare(r).dtype.kind == "f" else r


@of_result("wrong in float32 alone")
def _(r, call):
    """The float32 kernel has another constant than the float64 one."""
    return r * (1 + 2.0 ** -10) if bare(r).dtype == np.float32 else r


@operator("strides ignored")
def _(call):
    """Memory is read in its own order: right for contiguous arrays, wrong for transposed ones."""
    def by_memory(x):
        if type(x) is not np.ndarray or x.flags.c_contiguous or 0 in x.strides:
            return x
        return np.reshape(np.ravel(x, order="K"), x.shape)
    if isinstance(call.v, tuple) or max(map(np.ndim, [call.v, *call.reals])) < 2:
        return None
    return call.right(v=by_memory(call.v), arrays=tuple(map(by_memory, call.arrays)))


@of_result("one entry nan")
def _(r, call):
    """An entry of a buffer that is never written."""
    last = _last_entry(r)
    return None if last is None else np.where(last, np.nan, r)


@of_result("nan at 0")
def _(r, call):
    """0/0 where the input is 0, as in x / |x|."""
    if not is_real(call.own) or np.shape(r) != np.shape(call.own):
        return None
    return np.where(bare(call.own) == 0, np.nan, r)
