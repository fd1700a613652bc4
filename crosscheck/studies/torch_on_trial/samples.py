"""Small samples of an entry that between them meet most of its options, and how a sample is cut."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from refgrad.tree import flatten

from ...child import can_fork, in_a_child
from ...modes import Mode
from ...subjects.torch_function import subject_of
from ..checkers.opinfo import SMALL, Call, Place, fitting

#: Entries by whose derivative nothing can be meant but what torch chooses, and why.
NO_DERIVATIVE = {"nextafter": "its values depend on the float format, "
                              "and no function of real numbers has them",
                 "normal": "to torch a sample is a constant, and its derivative 0"}

#: A sample with fewer numbers than this shows little.
LEAST = 4

#: What long axes are cut to.
SHORT = (3, 2, 1)


def chosen(op, samples, seed=0, device="cpu"):
    """So many (call, tensors) of an entry, each with options that those before it do not have."""
    left, met, found = fitting(op, seed, device), set(), []
    kinds = [_options(call, tensors) for call, tensors in left]
    while left and len(found) < samples:
        def worth(k):
            size = numbers(left[k][1])
            return LEAST <= size <= SMALL, len(kinds[k] - met), -size
        best = max(range(len(left)), key=worth) if not found else max(
            range(len(left)), key=lambda k: worth(k)[1:])
        if found and not kinds[best] - met:
            break
        met |= kinds[best]
        found.append(small(*left[best]))
        del left[best], kinds[best]
    return found


def numbers(tensors):
    return sum(t.numel() for t in tensors)


def small(call, tensors):
    """The same sample, its long axes cut where it has many numbers and the entry takes fewer."""
    for n in long_axes(call, tensors, SHORT[0]):
        for m in SHORT[:2]:
            if numbers(tensors) <= SMALL:
                return call, tensors
            shorter = cut(call, tensors, n, m)
            if runs(*shorter):
                call, tensors = shorter
                break
    return call, tensors


def works(call, tensors):
    """Is there a finite value to differentiate?"""
    try:
        leaves = [t.detach().requires_grad_() for t in tensors]
        ys = call(*leaves)
    except Exception:  # an entry may refuse any shape, in its own words
        return False
    return bool(numbers(tensors)) and any(y.requires_grad for y in ys) and all(
        bool(torch.isfinite(y).all()) for y in ys)


def runs(call, tensors, mode=Mode.REVERSE):
    """Does a call of other shapes, and its derivative, run and give finite values?

    Asked in a child process, which a kernel may end that was not meant for these shapes.
    """
    def asked():
        subject = subject_of(call, tensors, ("float64",))
        x = subject.inputs()
        weights = [np.ones(y.shape) for y in subject.value(x, "float64")]
        with contextlib.suppress(Exception):  # a mode that is refused ends no process
            subject.answer(mode, x, weights, x, x, "float64")
        yield works(call, tensors)

    if not can_fork():
        return False
    try:
        return in_a_child(asked()) == ([True], "")
    except RuntimeError:  # an entry may refuse the shapes
        return False


def long_axes(call, tensors, least):
    """The lengths of axes that may be cut, those above `least`, the longest first.

    None where integers are among the arguments: labels and positions would point outside of the
    shorter axis, and not every kernel looks.
    """
    leaves = flatten([call.first, list(call.args), [a for _, a in call.named]])[0]
    if any(torch.is_tensor(a) and not a.is_floating_point() for a in leaves):
        return []
    return sorted({n for t in tensors for n in t.shape if n > least}, reverse=True)


def cut(call, tensors, n, m):
    """The sample with each axis of length n cut to m, and so the sizes among its arguments."""
    def changed(x):
        if torch.is_tensor(x):
            for axis, length in enumerate(x.shape):
                x = x.narrow(axis, 0, m) if length == n else x
            return x.clone()
        if isinstance(x, (list, tuple)) and len(x) and all(type(i) is int for i in x):
            return type(x)(m if i == n else i for i in x)
        return type(x)(map(changed, x)) if type(x) in (list, tuple) else x

    shorter = Call(call.op, changed(call.first), tuple(map(changed, call.args)),
                   tuple((k, changed(a)) for k, a in call.named), call.end)
    return shorter, [changed(t.detach()).requires_grad_() for t in tensors]


def _options(call, tensors):
    """The options that a sample has: which are given, values that are no tensors, how many axes
    tensors have."""
    def leaves(x, place):
        if isinstance(x, Place):
            yield place, f"{tensors[x.position].ndim} axes, differentiated"
        elif torch.is_tensor(x):
            yield place, f"{x.ndim} axes, {x.dtype}"
        elif type(x) in (list, tuple) and not all(type(i) is int for i in x):
            yield place, len(x)
            for part in x:
                yield from leaves(part, place)
        else:
            yield (place,
                   x if isinstance(x, (bool, int, float, str, type(None))) else type(x).__name__)
    found = {("given", *(k for k, _ in call.named)), *leaves(call.first, "first")}
    for k, x in (*enumerate(call.args), *call.named):
        found.update(leaves(x, k))
    return found


def words(call, tensors):
    """The arguments of a call, short."""
    def text(x):
        if isinstance(x, Place):
            x = tensors[x.position]
            return f"x{list(x.shape)}"
        if torch.is_tensor(x):
            return f"{str(x.dtype)[6:]}{list(x.shape)}"
        if type(x) in (list, tuple):
            return f"[{', '.join(map(text, x))}]"
        return getattr(x, "__name__", repr(x))
    parts = [text(call.first), *map(text, call.args), *(f"{k}={text(x)}" for k, x in call.named)]
    return ", ".join(parts)


def with_arrays(tensors, arrays):
    """Tensors of these arrays, each on its tensor's device."""
    return [torch.tensor(np.asarray(a), dtype=torch.float64, device=t.device).requires_grad_()
            for t, a in zip(tensors, arrays, strict=True)]
