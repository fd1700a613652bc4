"""How many digits a float program's derivatives have, up to the third: compared with the same rules run on balls.

A rule that is right may still cancel: 1 - x^2 near 1, cos(x) / x - sin(x) / x^2 near 0, a sum of squares that under- or
overflows.  Balls of enough bits tell the exact derivative at the very same point, so every lost digit is seen.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from flint import arb

import refgrad as rg
from crosscheck.ball import Ball, arithmetic
from crosscheck.ball.arithmetic import as_cells
from crosscheck.oracles import on_balls  # noqa: F401  (gives refgrad's own functions their meaning on balls)
from refgrad.cases import Fixed, sample

#: Bits for the exact derivatives: the next number is tried where cancellation has left fewer than `SURE` of them.
BITS, SURE = (300, 1200, 4800), 60
#: Each argument is moved so often by units in the last place, and what that does to a derivative is allowed as often.
MOVES = 4


@dataclass
class Loss:
    """An entry of a derivative that has fewer digits than it should have."""

    order: int
    where: str     # of which argument, along which directions
    index: tuple
    point: list
    found: float
    exact: str

    def __str__(self):
        return (f"order {self.order}, {self.where}, entry {self.index}, at {self.point}: {self.found:.17g}, "
                f"exact {self.exact}")


def derivatives(f, arrays, directions, mode):
    """The gradient of a scalar function, its derivatives along each u, and theirs along each v.

    directions  from a label to a pair (u, v), each an array for each argument
    mode        "forward": forward mode over the gradient, twice; "reverse": reverse mode three times
    Returns {(order, label): arrays in the shapes of the arguments}.
    """
    everything = tuple(range(len(arrays)))

    def along(g, u):
        if mode == "forward":
            return lambda *x: rg.jvp(g, x, u)[1]
        return rg.grad(lambda *x: sum(np.sum(c * d) for c, d in zip(g(*x), u)), everything)

    gradient = rg.grad(f, everything)
    found = {(1, ""): gradient(*arrays)}
    for label, (u, v) in directions.items():
        found[2, label] = along(gradient, u)(*arrays)
        found[3, label] = along(along(gradient, u), v)(*arrays)
    return found


def exact_derivatives(f, arrays, directions):
    """The same on balls, with as many bits as it takes; what stays wide then is left so."""
    for bits in BITS:
        with arithmetic(bits):
            balls = derivatives(f, [x if isinstance(x, Ball) else Ball(x) for x in arrays],
                                {k: tuple(tuple(map(Ball, d)) for d in pair) for k, pair in directions.items()},
                                "forward")
        cells = {k: [(d if isinstance(d, Ball) else Ball(d)).cells for d in part] for k, part in balls.items()}
        if all(is_sure(c) for part in cells.values() for d in part for c in d.flat):
            break
    return cells


def is_sure(cell):
    """Is a ball narrow, or exactly 0?"""
    return cell.is_finite() and (cell == 0 or cell.rel_accuracy_bits() >= SURE)


def moved(arrays, which, eps, pointwise, rng):
    """The point with each entry of one array moved by a unit in its last place (of the largest, if not pointwise)."""
    x = arrays[which]
    size = np.abs(x) if pointwise else np.full(x.shape, np.max(np.abs(x), initial=0))
    with arithmetic(BITS[0]):
        return [*arrays[:which], Ball(x) + Ball(size) * Ball(rng.choice([-eps, eps], x.shape)), *arrays[which + 1:]]


def losses(program, weights, arrays, directions, dtype, mode, pointwise, rng):
    """Every entry with fewer digits than half of its dtype's, and fewer than a rounding of the point explains.

    The derivatives are those of <weights, program(*arrays)>.
    pointwise  whether each entry stands for itself; else it is measured against the largest of its array
    """
    arrays, weights = tuple(x.astype(dtype) for x in arrays), weights.astype(dtype)
    f = lambda *x: np.sum(weights * program(*x))
    limits = np.finfo(dtype)
    with np.errstate(all="ignore"):
        found = derivatives(f, arrays, {k: tuple(tuple(d.astype(dtype) for d in w) for w in pair)
                                        for k, pair in directions.items()}, mode)
    exact, short = exact_derivatives(f, arrays, directions), []

    @functools.cache
    def others():
        return [exact_derivatives(f, moved(arrays, j, float(limits.eps), pointwise, rng), directions)
                for j in range(len(arrays)) for _ in range(MOVES)]

    @functools.cache
    def explained(order, label, k):
        """For each entry how far all those moves lead from it."""
        distances = [np.abs(as_cells(other[order, label][k] - exact[order, label][k])) for other in others()]
        return as_cells(sum(d if pointwise else max_abs(as_cells(d)) + 0 * d for d in distances))

    beyond = overflowing(program, arrays, exact, arb(float(limits.max)), pointwise)
    half, tiny = arb(float(limits.eps)).sqrt(), arb(float(limits.smallest_normal))
    for (order, label), parts in found.items():
        if dtype is np.float16 and order == 3:
            continue  # its formulas leave the range, and few digits are left of ten bits
        for k, (got, cells) in enumerate(zip(parts, exact[order, label], strict=True)):
            got = np.asarray(got)
            assert got.dtype == dtype, f"order {order}: a derivative in {got.dtype} of arrays in {dtype}"
            scale = max_abs(cells) if not pointwise else None
            for i in np.ndindex(got.shape):
                if (beyond[order][i] if pointwise else beyond[order]) or not is_sure(cells[i]):
                    continue
                error = abs(arb(float(got[i])) - cells[i]) if np.isfinite(got[i]) else arb("inf")
                allowed = half * (abs(cells[i]) if pointwise else scale) + tiny
                if error <= allowed:
                    continue
                if not error <= allowed + explained(order, label, k)[i]:
                    point = [float(x[i]) if pointwise and x.shape == got.shape else x.tolist() for x in arrays]
                    short.append(Loss(order, f"argument {k}{label and ' along ' + label}", i, point, float(got[i]),
                                      cells[i].str(17)))
    return short


def overflowing(program, arrays, exact, largest, pointwise):
    """For each order whether a derivative of it or of a lower one is beyond the largest number, or so is its natural

    size order! |y| / |x|^order, and with it every formula on the way: for each entry, or for all of them at once.
    """
    with arithmetic(BITS[0]):
        y = np.abs(program(*map(Ball, arrays))).cells
        sizes = [np.abs(Ball(x)).cells for x in arrays]
    if not pointwise:
        y, sizes = max_abs(y), [min((max_abs(x) for x in sizes), default=arb(1))]
    size = functools.reduce(np.frompyfunc(arb.max, 2, 1), sizes)
    beyond, sofar = {}, False
    for n in (1, 2, 3):
        for (order, _), parts in exact.items():
            if order == n:
                for part in parts:
                    sofar = sofar | (np.abs(part) > largest if pointwise else max_abs(part) > largest)
        beyond[n] = sofar | (math.factorial(n) * y / size ** n > largest)
    return beyond


def max_abs(cells):
    result = arb(0)
    for c in cells.flat:
        result = result.max(abs(c).upper())
    return result


# Points

#: Powers of ten up to which the numbers of a format are scaled where its case says 300, as it does for float64.
REACHES = {np.float64: 300, np.float32: 37, np.float16: 0.7}


def scales(rng, reach, dtype, count):
    """Powers of two: half of them spread evenly over the reach (powers of ten, of float64), half over 1e-2 to 1e2."""
    low, high = (end * REACHES[dtype] / 300 for end in reach)
    half = count // 2
    wide, narrow = ((rng.permutation(n) + rng.random(n)) / max(n, 1) for n in (half, count - half))
    powers = np.concatenate([low + (high - low) * wide, max(low, -2) + (min(high, 2) - max(low, -2)) * narrow])
    return 2.0 ** np.rint(powers * np.log2(10))


def scattered(case, dtype, count, rng):
    """Vectors of `count` points for a pointwise function: at all scales, equal ones or not, and near `case.near`."""
    sizes = [scales(rng, reach, dtype, count) for reach in case.reaches()]
    equal = rng.random(count) < 0.3
    vectors = [sample(rng, (count,), domain) * np.where(equal, np.minimum(sizes[0], size), size)
               for domain, size in zip(case.domains, sizes)]
    for point in case.near:
        point = point if isinstance(point, tuple) else (point,) * len(vectors)
        distances = 10.0 ** rng.uniform(np.log10(np.finfo(dtype).eps) / 2, 0, (len(vectors), count // 4))
        close = [c + rng.standard_normal(count // 4) * d for c, d in zip(point, distances)]
        vectors = [np.concatenate(pair) for pair in zip(vectors, close)]
    return [in_format(v, dtype) for v in vectors]


def trials(rule, case, dtype, count, rng):
    """Points with directions: (program, weights, arrays, directions, pointwise) for `losses`."""
    program = case.program(rule.function or rule)
    if getattr(rule, "pointwise", False) and case.call is None and not any(
            isinstance(x, (Fixed, np.ndarray)) for x in (*case.arrays, *case.params.values())):
        vectors = scattered(case, dtype, count, rng)
        defined = np.isfinite(as_float(program, vectors, dtype))
        vectors = [v[defined] for v in vectors]
        units = [tuple(np.full(len(v), float(i == j)) for j, v in enumerate(vectors)) for i in range(len(vectors))]
        directions = {f"{i}{j}": (units[i], units[j]) for j in range(len(units)) for i in range(j + 1)}
        yield program, np.ones(len(vectors[0])), vectors, directions, True
        return
    columns = [scales(rng, reach, dtype, max(6, count // 8)) for reach in case.reaches()]
    for sizes in zip(*columns):
        if rng.random() < 0.5:
            sizes = [min(sizes[0], size) for size in sizes]
        arrays = [in_format(a * size, dtype) for a, size in zip(case.draw(rng), sizes)]
        value = as_float(program, arrays, dtype)
        if np.all(np.isfinite(value)):
            u, v = (tuple(in_format(sample(rng, a.shape), dtype) for a in arrays) for _ in range(2))
            yield program, sample(rng, value.shape), arrays, {"u, v": (u, v)}, False


def apart(program, weights, arrays, directions, pointwise):
    """The points of a pointwise trial as trials of their own."""
    for i in range(len(weights)):
        one = slice(i, i + 1)
        yield (program, weights[one], [x[one] for x in arrays],
               {k: tuple(tuple(d[one] for d in w) for w in pair) for k, pair in directions.items()}, pointwise)


def in_format(x, dtype):
    """Numbers of a dtype, in float64."""
    return np.asarray(x, dtype).astype(float)


def as_float(program, arrays, dtype):
    with np.errstate(all="ignore"):
        try:
            return np.asarray(program(*(a.astype(dtype) for a in arrays)))
        except TypeError:  # NumPy's linear algebra has no float16
            return np.asarray(np.nan)
