"""Distances and similarities of vectors, as in torch.nn.functional; cdist as torch.cdist.

All are written with the p-norm |z| = (sum |z_k|^p)^(1/p), whose derivative at 0 is 0:

    d = |a - b|,   dd = <u, da - db>   with the direction u of a - b
"""

import math

import numpy as np

from ..cases import Case, Kink
from ..hints import Array
from ..primitive import KINKED, composed
from .arguments import expected, plain, shape_of


def length(z, p, keepdim=False):
    """The p-norms of the vectors along the last axis."""
    return np.linalg.vector_norm(z, ord=p, axis=-1, keepdims=keepdim)


@composed(kind=KINKED, cases=[
    Case((3, 4), (3, 4)), Case((2, 3), (3,), dim=-1), Case((2, 3), (1, 3), dim=0, eps=0.5),
    Case((3,), (3,), dim=0, eps=64.0, scales=(-100, 0))],
    kinks=[Kink(([0.0, 0.0], [3.0, 4.0]), ([2.4, 3.2], [0.0, 0.0]),
                "a length below eps is taken as eps, which is constant", {"dim": 0, "eps": 0.25})])
def cosine_similarity(x1: Array, x2: Array, dim: int = 1, eps: float = 1e-08) -> Array:
    """<a, b> / (max(|a|, eps) max(|b|, eps)) of the vectors along the axis `dim`.

    x1, x2  arrays of one shape, or that broadcast to one, in which `dim` is counted
    Returns their shape without the axis.  Where a length is less than eps, its slope is 0.
    Raises ValueError for shapes that do not broadcast and an axis that they do not have.
    As torch.nn.functional.cosine_similarity.
    """
    name, eps = "cosine_similarity", plain("cosine_similarity", "eps", eps)
    shape = _common(name, x1=x1, x2=x2)
    if not -len(shape) <= dim < len(shape):
        raise expected(name, "dim", dim, f"one of the axes of x1 and x2, which broadcast to the "
                                         f"shape {shape}")
    axis = dim % len(shape) - len(shape)
    a, b = (_at_most_one(np.broadcast_to(x, shape), axis, eps) for x in (x1, x2))
    return np.sum(a * b, axis=axis)


def _at_most_one(x, axis, eps):
    """x / max(|x|, eps); the norm of a vector that is shorter is not differentiated."""
    short = np.linalg.vector_norm(x, axis=axis, keepdims=True) < eps
    return x / np.where(short, eps,
                        np.linalg.vector_norm(np.where(short, 1, x), axis=axis, keepdims=True))


@composed(kind=KINKED, cases=[
    Case((3, 4), (3, 4)), Case((3,), (2, 3), p=3, keepdim=True), Case((4,), (4,), p=1, eps=0.25),
    Case((2, 3), (2, 3), p=math.inf)],
    kinks=[Kink(([1.0, 2.0], [1.0, 2.0]), ([0.0, 0.0], [0.0, 0.0]), "0 where the vectors are equal",
                {"eps": 0.0})])
def pairwise_distance(x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-06,
                      keepdim: bool = False) -> Array:
    """The p-norm of x1 - x2 + eps along the last axis.

    x1, x2   arrays of one shape, or that broadcast to one
    p        of the norm: any number, math.inf for the largest entry, 0 for the number of entries
             that are not 0
    eps      added to each entry of the difference, so that equal vectors have a slope
    keepdim  whether the last axis stays, with size 1
    Raises ValueError for shapes that do not broadcast.  As torch.nn.functional.pairwise_distance.
    """
    name = "pairwise_distance"
    if not _common(name, x1=x1, x2=x2):
        raise expected(name, "x1", "an array without axes", "vectors along the last axis")
    return length(x1 - x2 + plain(name, "eps", eps), plain(name, "p", p), keepdim)


@composed(kind=KINKED, cases=[Case((4, 3)), Case((3, 2), p=1.5), Case((3, 2), p=1),
                              Case((3, 4), p=math.inf)],
          kinks=[Kink(([[1.0, 2.0], [1.0, 2.0]],), ([[[0.0, 0.0], [0.0, 0.0]]],),
                      "0 where two rows are equal")])
def pdist(input: Array, p: float = 2) -> Array:
    """The p-norms of the differences of all pairs of rows i < j, ordered as np.triu_indices(N, 1).

    input  (N, M)
    p      not negative; math.inf for the largest entry, 0 for the number of entries that differ
    Returns (N (N - 1) / 2,).
    Raises ValueError for another shape and a negative p.  As torch.nn.functional.pdist.
    """
    shape, p = shape_of("pdist", "input", input), _order("pdist", p)
    if len(shape) != 2:
        raise ValueError(f"pdist: input has shape {shape}; expected (N, M)")
    first, second = np.triu_indices(shape[0], 1)
    return length(input[first] - input[second], p)


@composed(kind=KINKED, cases=[Case((3, 2), (2, 2)), Case((2, 1, 3), (2, 3), p=1),
                              Case((2, 2), (3, 2), p=3),
                              Case((1, 3), (2, 2, 3), p=math.inf)],
          kinks=[Kink(([[1.0, 2.0]], [[1.0, 2.0]]), ([[[[0.0, 0.0]]]], [[[[0.0, 0.0]]]]),
                      "0 where two rows are equal")])
def cdist(x1: Array, x2: Array, p: float = 2.0,
          compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Array:
    """The p-norms of the differences of each row of x1 and each row of x2.

    x1, x2        (*, P, M) and (*, R, M), whose leading axes broadcast
    p             not negative; math.inf for the largest entry, 0 for the number of entries that
                  differ
    compute_mode  one of torch's three names; the differences are always taken, since
                  |a|^2 - 2 <a, b> + |b|^2 cancels
    Returns (*, P, R).
    Raises ValueError for shapes that do not match, a negative p and an unknown compute_mode.  As
    torch.cdist.
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist",
             "donot_use_mm_for_euclid_dist")
    first, second, p = shape_of("cdist", "x1", x1), shape_of("cdist", "x2", x2), _order("cdist", p)
    if compute_mode not in (None, *modes):
        raise expected("cdist", "compute_mode", repr(compute_mode),
                       f"one of {', '.join(map(repr, modes))}")
    if len(first) < 2 or len(second) < 2 or first[-1] != second[-1]:
        raise ValueError(f"cdist: x1 has shape {first} and x2 {second}; expected (*, P, M) "
                         f"and (*, R, M)")
    rows, columns = np.expand_dims(x1, -2), np.expand_dims(x2, -3)
    _common("cdist", x1=rows, x2=columns)
    return length(rows - columns, p)


def _order(function, p):
    p = plain(function, "p", p)
    if not p >= 0:
        raise expected(function, "p", p, "a number that is not negative")
    return p


def _common(function, **arrays):
    """The shape to which two arrays broadcast."""
    shapes = [shape_of(function, argument, x) for argument, x in arrays.items()]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        (first, second), (a, b) = arrays, shapes
        raise ValueError(f"{function}: {first} has shape {a} and {second} {b}; expected shapes "
                         f"that broadcast") from None
