"""Shrink a failing network by delta debugging, to the smallest one that still fails.

Calls, arrays, options, axes and rows are left out in turn; then the numbers that remain are made
simple.  A step is kept if the network still runs and still fails.  All steps are repeated until
none is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..networks.network import Array, Call, interpret
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD

#: Numbers are rounded to multiples of one of these: the largest with which the network still fails.
GRIDS = (1.0, 0.5, 0.25, 0.0625)


@dataclass(frozen=True)
class Rounded(Array):
    """An array of short numbers: those that are drawn, rounded to multiples of `grid` other than
    zero."""

    grid: float = 1.0

    def draw(self):
        x = super().draw()
        rounded = np.round(x / self.grid) * self.grid
        return np.where((rounded == 0) & (x != 0), np.copysign(self.grid, x), rounded)


def shrink(network, fails, trials=400):
    """The smallest `Network` found for which ``fails(network)`` still holds; ValueError if it does
    not hold at first.

    fails   a function of a network; must give the same answer when asked again
    trials  how often it is asked at most
    """
    if not fails(network):
        raise ValueError(f"shrink: {network.id} does not fail to begin with; expected a network "
                         "for which fails(network) holds")
    search = _Search(network, fails, trials)
    kept = True
    while kept:
        kept = False
        for steps in (_fewer_calls, _simpler_calls, _fewer_leaves, _smaller_shapes,
                      _simpler_numbers):
            while search.keeps_one_of(steps(search.network)):
                kept = True
    return search.network


class _Search:
    def __init__(self, network, fails, trials):
        self.network, self.fails, self.left = network, fails, trials
        self.tried = {_text(network)}

    def keeps_one_of(self, candidates):
        """Whether one of the candidates fails, too; shrinking then goes on with the first that
        does."""
        for candidate in candidates:
            candidate = candidate and _without_the_unused(candidate)
            if (candidate is None or (text := _text(candidate)) in self.tried
                    or not _runs(candidate)):
                continue
            if not self.left:
                return False
            self.tried.add(text)
            self.left -= 1
            if self.fails(candidate):
                self.network = candidate
                return True
        return False


def _text(network):
    return repr((network.arrays, network.calls))


def _runs(network):
    """Whether the network is valid: its shapes fit, its result is a scalar, and it has an array to
    differentiate."""
    if not network.calls or not network.leaves:
        return False
    try:
        with np.errstate(all="ignore"):
            leaves, constants = network.draw()
            return np.shape(interpret(network, REFGRAD.function, leaves, constants)) == ()
    except Exception:  # any call may refuse any shape, in its own words
        return False


def _without_the_unused(network):
    """Only the calls that lead to the loss, and the arrays that they use."""
    if not network.calls:
        return None
    needed, calls = {network.calls[-1].result}, []
    for c in reversed(network.calls):
        if c.result in needed:
            calls.append(c)
            needed.update(a for a in (*c.arguments, *c.named.values()) if a is not None)
    arrays = {k: a for k, a in network.arrays.items() if k in needed}
    return replace(network, arrays=arrays, calls=tuple(reversed(calls)))


# Calls


def _fewer_calls(network):
    """Networks without half of the calls, a quarter, ... one call; with a mean for a loss, one term
    for a sum."""
    calls = network.calls
    size = len(calls)
    while size > 1:
        size //= 2
        for start in range(0, len(calls) - size + 1, size):
            yield _bypassed(network, start, start + size, calls[start].arguments[0])
    for k, c in enumerate(calls):
        for argument in c.arguments[1:]:
            yield _bypassed(network, k, k + 1, argument)
    for k, c in enumerate(calls):
        if c.function != "mean":
            mean = Call("mean", c.arguments[:1], c.result)
            yield replace(network, calls=(*calls[:k], mean))
            yield replace(network, calls=(*calls[:k], mean, *calls[k + 1:]))


def _bypassed(network, start, end, instead):
    """The network without some of its calls: who used the last one's result uses another array, or
    that is the loss."""
    before, after = network.calls[:start], network.calls[end:]
    if not after:
        results = [c.result for c in before]
        return (replace(network, calls=before[:results.index(instead) + 1]) if instead in results
                else None)
    gone = network.calls[end - 1].result
    rename = lambda name: instead if name == gone else name
    later = [replace(c, arguments=tuple(map(rename, c.arguments)),
                     named={k: rename(a) for k, a in c.named.items()})
             for c in after]
    return replace(network, calls=(*before, *later)) if instead is not None else None


def _simpler_calls(network):
    """Arguments and options left out, one at a time."""
    for k, c in enumerate(network.calls):
        for name in c.named:
            yield _with_call(network, k,
                             replace(c, named={n: a for n, a in c.named.items() if n != name}))
        for name in c.options:
            yield _with_call(network, k,
                             replace(c, options={n: a for n, a in c.options.items() if n != name}))
        if len(c.arguments) > 1:
            yield _with_call(network, k, replace(c, arguments=c.arguments[:-1]))
            for i in range(1, len(c.arguments)):
                if c.arguments[i] is not None:
                    yield _with_call(network, k,
                        replace(c, arguments=(*c.arguments[:i], None, *c.arguments[i + 1:])))


def _with_call(network, k, call):
    return replace(network, calls=(*network.calls[:k], call, *network.calls[k + 1:]))


# Arrays


def _fewer_leaves(network):
    """Networks in which one array fewer is differentiated: parameters first, the input last."""
    for name in sorted(network.leaves, key=lambda name: network.arrays[name].role == "input"):
        yield _with_array(network, name, replace(network.arrays[name], role="constant"))


def _with_array(network, name, array):
    return replace(network, arrays={**network.arrays, name: array})


def _smaller_shapes(network):
    """Fewer axes, then shorter ones.  Axes of one length may belong together: all of them, or the
    samples' alone."""
    deepest = max((len(a.shape) for a in network.arrays.values()), default=0)
    for axis in range(1, deepest - 1):
        yield _reshaped(network, lambda name, shape: shape[:axis] + shape[axis + 1:]
                        if len(shape) >= deepest - 1
                        and len(shape) > axis else shape)
    for n in sorted({n for a in network.arrays.values() for n in a.shape if n > 1}, reverse=True):
        for m in range(1, n):
            for which in (_everywhere, _of_samples, _of_features):
                yield _reshaped(network, lambda name, shape: tuple(
                    {n: m, 2 * n: 2 * m}.get(k, k) if which(network.arrays.get(name), axis) else k
                    for axis, k in enumerate(shape)))


def _everywhere(array, axis):
    return True


def _of_samples(array, axis):
    return array is not None and array.role != "parameter" and axis == 0


def _of_features(array, axis):
    return not _of_samples(array, axis)


def _reshaped(network, change):
    """Every shape changed, also those among the options and in how many classes there are."""
    arrays = {}
    for name, a in network.arrays.items():
        arrays[name] = replace(a, shape=change(name, a.shape))
        if a.law == "classes":
            arrays[name] = replace(arrays[name], scale=float(change("", (0, int(a.scale)))[-1]))
    calls = tuple(replace(c, options={k: change("", (0, *o))[1:] if isinstance(o, tuple) else o
                                      for k, o in c.options.items()}) for c in network.calls)
    return replace(network, arrays=arrays, calls=calls)


def _simpler_numbers(network):
    """Scale 1, a normal law, and few digits."""
    for name, a in network.arrays.items():
        if a.law == "classes":
            continue
        if a.scale != 1:
            yield _with_array(network, name, replace(a, scale=1.0))
        if a.law != "normal":
            yield _with_array(network, name, replace(a, law="normal"))
        for grid in GRIDS:
            if grid > getattr(a, "grid", 0.0):
                plain = {k: getattr(a, k)
                         for k in ("shape", "role", "law", "scale", "seed", "axis")}
                yield _with_array(network, name, Rounded(**plain, grid=grid))
