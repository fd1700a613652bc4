"""How many digits the derivatives of a float program have, up to the third: compared with balls.

A rule that is right may still cancel: 1 - x^2 near 1, cos(x) / x - sin(x) / x^2 near 0, a sum of
squares that under- or overflows.  The same rules on balls of enough bits tell the exact derivative
at the very same point, so every lost digit is seen.
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
from refgrad.cases import Fixed, sample

#: Bits for the exact derivatives: more are tried where fewer than `SURE` of them are left.
BITS, SURE = (300, 1200, 4800), 60
#: How often each argument is moved by units in the last place; what that does is allowed as often.
MOVES = 4
#: Powers of ten up to which the numbers of a format are scaled where a case says 300.
REACHES = {np.float64: 300, np.float32: 37, np.float16: 0.7}


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
        return (f"order {self.order}, {self.where}, entry {self.index}, at {self.point}: "
                f"{self.found:.17g}, exact {self.exact}")


# Derivatives


def derivatives(f, arrays, directions, mode):
    """The gradient of a scalar function, its derivatives along each u, and theirs along each v.

    directions  from a label to a pair (u, v), each an array for each argument
    mode        "forward": forward mode over the gradient, twice; "reverse": reverse mode alone
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
    """The same as cells of balls, of as many bits as it takes; what stays wide then is left so."""
    for bits in BITS:
        with arithmetic(bits):
            balls = derivatives(f, list(map(lifted, arrays)), on_each(directions, Ball), "forward")
        cells = {key: [lifted(d).cells for d in part] for key, part in balls.items()}
        if all(is_sure(c) for part in cells.values() for d in part for c in d.flat):
            break
    return cells


def on_each(directions, function):
    return {label: tuple(tuple(map(function, d)) for d in pair)
            for label, pair in directions.items()}


def lifted(x):
    return x if isinstance(x, Ball) else Ball(x)


def is_sure(cell):
    """Is a ball narrow, or exactly 0?"""
    return cell.is_finite() and (cell == 0 or cell.rel_accuracy_bits() >= SURE)


# Judging


def losses(program, weights, arrays, directions, dtype, mode, pointwise, rng):
    """Every entry with fewer digits than half of its dtype's.

    Not counted is what a rounding of the point explains, and what is beyond the dtype's range.
    The derivatives are those of <weights, program(*arrays)>.
    pointwise  whether each entry stands for itself; else the largest of its array is the measure
    """
    arrays, weights = tuple(x.astype(dtype) for x in arrays), weights.astype(dtype)
    limits, short = np.finfo(dtype), []
    eps, tiny, largest = (arb(float(x)) for x in (limits.eps, limits.smallest_normal, limits.max))

    def f(*x):
        return np.sum(weights * program(*x))

    with np.errstate(all="ignore"):
        found = derivatives(f, arrays, on_each(directions, lambda d: d.astype(dtype)), mode)
    exact = exact_derivatives(f, arrays, directions)
    beyond = out_of_range(program, arrays, exact, tiny, largest, pointwise)

    @functools.cache
    def others():
        return [exact_derivatives(f, moved(arrays, j, limits.eps, pointwise, rng), directions)
                for j in range(len(arrays)) for _ in range(MOVES)]

    @functools.cache
    def explained(key, k):
        """For each entry how far all those moves lead from it."""
        distances = [as_cells(np.abs(other[key][k] - exact[key][k])) for other in others()]
        return as_cells(sum(d if pointwise else max_abs(d) + 0 * d for d in distances))

    for (order, label), parts in found.items():
        if dtype is np.float16 and order == 3:
            continue  # its formulas leave the range, and few digits are left of ten bits
        for k, got in enumerate(map(np.asarray, parts)):
            cells = exact[order, label][k]
            assert got.dtype == dtype, f"order {order}: a {got.dtype} derivative of {dtype} arrays"
            size = np.abs(cells) if pointwise else np.full(cells.shape, max_abs(cells))
            for i in np.ndindex(got.shape):
                if beyond[order][i if pointwise else ()] or not is_sure(cells[i]):
                    continue
                error = abs(arb(float(got[i])) - cells[i]) if np.isfinite(got[i]) else arb("inf")
                allowed = eps.sqrt() * size[i] + tiny
                if not (error <= allowed or error <= allowed + explained((order, label), k)[i]):
                    point = [float(x[i]) if pointwise else x.tolist() for x in arrays]
                    where = f"argument {k}{label and ' along ' + label}"
                    short.append(Loss(order, where, i, point, float(got[i]), cells[i].str(17)))
    return short


def moved(arrays, which, eps, pointwise, rng):
    """The point with each entry of one array moved by a unit in its last place (pointwise: its own,
    else that of the largest)."""
    x = arrays[which]
    size = np.abs(x) if pointwise else np.full(x.shape, np.max(np.abs(x), initial=0))
    with arithmetic(BITS[0]):
        steps = Ball(size) * Ball(rng.choice([-float(eps), float(eps)], x.shape))
        return [*arrays[:which], Ball(x) + steps, *arrays[which + 1:]]


def out_of_range(program, arrays, exact, tiny, largest, pointwise):
    """For each order where its derivatives leave the range of the format, or what leads to them
    does.

    They do where a derivative of that or a lower order, or the natural size order! |y| / |x|^order,
    is beyond the largest number (but for a factor of 16: formulas have several terms); and the
    higher ones where y itself, by which many are computed, is below the smallest normal number.
    """
    with arithmetic(BITS[0]):
        y = np.abs(program(*map(Ball, arrays))).cells
        sizes = [np.abs(Ball(x)).cells for x in arrays]
    if not pointwise:
        least = min((max_abs(x) for x in sizes), default=arb(1))
        y, sizes = as_cells(max_abs(y)), [as_cells(least)]
    size, most = functools.reduce(np.frompyfunc(arb.max, 2, 1), sizes), largest / 16
    found, lost = {}, np.zeros(np.shape(y), bool)
    for n in (1, 2, 3):
        for part in (part for (order, _), parts in exact.items() if order == n for part in parts):
            size_of = np.abs if pointwise else max_abs
            lost = lost | np.asarray(size_of(part) > most)
        found[n] = np.asarray(lost | (as_cells(math.factorial(n) * y / size ** n) > most))
        lost = lost | np.asarray((y > 0) & (y < tiny))
    return found


def max_abs(cells):
    result = arb(0)
    for c in cells.flat:
        result = result.max(abs(c).upper())
    return result


# Points


def trials(rule, case, dtype, count, rng):
    """Points with directions: (program, weights, arrays, directions, pointwise) for `losses`.

    count  how many points, for a pointwise function all in one trial
    """
    program = case.program(rule.function or rule)
    if getattr(rule, "pointwise", False) and case.call is None and not any(
            isinstance(x, (Fixed, np.ndarray)) for x in (*case.arrays, *case.params.values())):
        vectors = scattered(case, dtype, count, rng)
        defined = np.isfinite(as_float(program, vectors, dtype))
        vectors = [v[defined] for v in vectors]
        units = [tuple(np.full(len(v), float(i == j)) for j, v in enumerate(vectors))
                 for i in range(len(vectors))]
        yield program, np.ones(len(vectors[0])), vectors, {
            f"{i}{j}": (units[i], units[j]) for j in range(len(units)) for i in range(j + 1)}, True
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


def scattered(case, dtype, count, rng):
    """Vectors of points for a pointwise function: at all scales, equal or not, and near `near`."""
    sizes = [scales(rng, reach, dtype, count) for reach in case.reaches()]
    equal = rng.random(count) < 0.3
    sizes = [np.where(equal, np.minimum(sizes[0], size), size) for size in sizes]
    vectors = [sample(rng, (count,), d) * size for d, size in zip(case.domains, sizes)]
    for point in case.near:
        point = point if isinstance(point, tuple) else (point,) * len(vectors)
        closest = np.log10(np.finfo(dtype).eps) / 2
        close = [c + rng.standard_normal(count // 4) * 10.0 ** rng.uniform(closest, 0, count // 4)
                 for c in point]
        vectors = [np.concatenate(pair) for pair in zip(vectors, close)]
    return [in_format(v, dtype) for v in vectors]


def scales(rng, reach, dtype, count):
    """Powers of two, half of them spread evenly over the reach, half over 1e-2 to 1e2.

    reach  powers of ten, as a case gives them for float64
    """
    low, high = (end * REACHES[dtype] / 300 for end in reach)
    wide, narrow = ((rng.permutation(n) + rng.random(n)) / max(n, 1)
                    for n in (count // 2, count - count // 2))
    powers = np.concatenate([low + (high - low) * wide,
                             max(low, -2) + (min(high, 2) - max(low, -2)) * narrow])
    return 2.0 ** np.rint(powers * np.log2(10))


def apart(program, weights, arrays, directions, pointwise):
    """The points of a pointwise trial as trials of their own."""
    for i in range(len(weights)):
        one = slice(i, i + 1)
        yield (program, weights[one], [x[one] for x in arrays],
               on_each(directions, lambda d, one=one: d[one]), pointwise)


def in_format(x, dtype):
    """Numbers of a dtype, in float64."""
    return np.asarray(x, dtype).astype(float)


def as_float(program, arrays, dtype):
    """The program's value in that dtype; nan where NumPy has no such function."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(program(*(a.astype(dtype) for a in arrays)))
        except TypeError:  # NumPy's linear algebra has no float16
            return np.asarray(np.nan)
