"""Losses that ask for a margin: between scores of classes, or between distances.

Each is a sum of positive parts (z)+ = max(z, 0).  At z = 0 the slope is, as in torch, 1 in the
losses of pairs and triplets, and 0 in those over classes.
"""

from collections.abc import Callable

import numpy as np

from ..cases import Case, Fixed, Kink
from ..errors import describe
from ..hints import Array
from ..primitive import KINKED, composed
from .activations import log1pexp
from .arguments import broadcasting, expected, plain, reduced, reduction_of, same_shape, shape_of
from .distances import pairwise_distance
from .losses import logistic_loss
from .rectifiers import rectified

_SIGNS = np.array([1, -1, 1])
#: The slope of the cosine of vectors of length 1.
_UNIT = 1 / (np.sqrt(1 + 1e-12) * np.sqrt(1 + 1e-12))


def _positive_part(z):
    """max(z, 0), of slope 1 at 0."""
    return np.clip(z, 0, None)


# Pairs and triplets


@composed(kind=KINKED, cases=[Case((2, 3), Fixed(np.array([[1, -1, 1], [-1, 1, -1]]))),
                              Case((3,), Fixed(_SIGNS), margin=0.25, reduction="none")],
          kinks=[Kink((1.0, -1.0), (-1.0, 0.0),
                      "where the margin is reached, the slope within it")])
def hinge_embedding_loss(input: Array, target: Array, margin: float = 1.0,
                         size_average: None = None, reduce: None = None,
                         reduction: str = "mean") -> Array:
    """The distance x itself where target is 1, (margin - x)+ where it is -1.  Hadsell, Chopra and
    LeCun (2006).

    input, target  arrays of one shape; other targets than 1 and -1 count as both, as in torch
    reduction      'mean', 'sum' or 'none'
    Raises ValueError for different shapes and unknown reductions, TypeError for the deprecated
    size_average and reduce.  As torch.nn.functional.hinge_embedding_loss.
    """
    name = "hinge_embedding_loss"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input, target=target)
    far = _positive_part(plain(name, "margin", margin) - input)
    return reduced(np.where(target != 1, far, 0) + np.where(target != -1, input, 0), reduction)


@composed(kind=KINKED, cases=[Case((3,), (3,), Fixed(_SIGNS)),
                              Case((2, 3), (2, 3), Fixed(_SIGNS * np.ones((2, 1), int)),
                                                                   margin=0.25, reduction="none")],
          kinks=[Kink((1.0, 1.0, 1.0), (-1.0, 1.0, 0.0),
                      "where the margin is reached, the slope within it")])
def margin_ranking_loss(input1: Array, input2: Array, target: Array, margin: float = 0,
                        size_average: None = None, reduce: None = None,
                        reduction: str = "mean") -> Array:
    """(margin - target (input1 - input2))+: with target 1 input1 should be ranked above input2,
    with -1 below.

    input1, input2, target  arrays of one shape
    reduction               'mean', 'sum' or 'none'
    Raises ValueError for different shapes and unknown reductions, TypeError for the deprecated
    size_average and reduce.  As torch.nn.functional.margin_ranking_loss.
    """
    name = "margin_ranking_loss"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input1, called="input1", input2=input2, target=target)
    return reduced(_positive_part(plain(name, "margin", margin) - target * (input1 - input2)),
                   reduction)


@composed(kind=KINKED, cases=[
    Case((3, 4), (3, 4), Fixed(_SIGNS), scales=(-3, 70)),
    Case((4,), (4,), Fixed(np.array(-1)), margin=-0.9, scales=(-3, 70)),
    Case((2, 3), (2, 3), Fixed(np.array([0, -1])), margin=-0.9, reduction="none", scales=(-3, 70))],
    kinks=[Kink(([0.0, 1.0], [1.0, 0.0], -1.0), ([_UNIT, 0.0], [0.0, _UNIT], 0.0),
                "where the margin is reached, the slope beyond it")])
def cosine_embedding_loss(input1: Array, input2: Array, target: Array, margin: float = 0,
                          size_average: None = None, reduce: None = None,
                          reduction: str = "mean") -> Array:
    """1 - c where target is 1, (c - margin)+ where it is -1, with the cosine c of input1 and
    input2.

    c = <a, b> / sqrt((|a|^2 + 1e-12) (|b|^2 + 1e-12)), as in torch.

    input1, input2  (N, D), or (D,) for one pair
    target          (N,), or (): 1 or -1; for any other number the loss is 0
    reduction       'mean', 'sum' or 'none'
    Raises ValueError for shapes that do not match and unknown reductions, TypeError for the
    deprecated size_average and reduce.  As torch.nn.functional.cosine_embedding_loss.
    """
    name = "cosine_embedding_loss"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input1, called="input1", input2=input2)
    if len(input1.shape) not in (1, 2) or shape_of(name, "target", target) != input1.shape[:-1]:
        raise ValueError(f"{name}: target has shape {shape_of(name, 'target', target)} and input1 "
                         f"has shape "
                         f"{input1.shape}; expected (N,) and (N, D), or () and (D,)")
    a, b = (np.sqrt(np.sum(x * x, axis=-1) + 1e-12) for x in (input1, input2))
    cosine = np.sum(input1 * input2, axis=-1) / (a * b)
    apart = _positive_part(cosine - plain(name, "margin", margin))
    return reduced(np.where(target == 1, 1 - cosine, np.where(target == -1, apart, 0)), reduction)


@composed(kind=KINKED, cases=[
    Case((2, 3), (2, 3), (2, 3), scales=(-3, 3)),
    Case((4,), (4,), (4,), margin=8.0, p=3, scales=(-3, 3)),
    Case((2, 3), (2, 3), (2, 3), margin=8.0, swap=True, reduction="none", scales=(-3, 3))],
    kinks=[Kink(([0.0], [2.0], [3.0]), ([0.0], [1.0], [-1.0]),
                "where the margin is reached, the slope within it",
                {"eps": 0.0})])
def triplet_margin_loss(anchor: Array, positive: Array, negative: Array, margin: float = 1.0,
                        p: float = 2, eps: float = 1e-06, swap: bool = False,
                        size_average: None = None, reduce: None = None,
                        reduction: str = "mean") -> Array:
    """(d(anchor, positive) - d(anchor, negative) + margin)+ with d = pairwise_distance.

    anchor, positive, negative  arrays of one shape (*, D)
    margin                      a positive number
    p, eps                      of pairwise_distance
    swap                        take d(positive, negative) instead of d(anchor, negative) where it
                                is smaller; a tie is shared evenly
    reduction                   'mean', 'sum' or 'none'
    Raises ValueError for different shapes, a margin that is not positive and unknown reductions,
    TypeError for the deprecated size_average and reduce.
    Balntas, Riba, Ponsa and Mikolajczyk (2016); as torch.nn.functional.triplet_margin_loss.
    """
    name = "triplet_margin_loss"
    reduction_of(name, reduction, size_average, reduce)
    p, eps = plain(name, "p", p), plain(name, "eps", eps)
    return _of_triplets(name, lambda a, b: pairwise_distance(a, b, p, eps), anchor, positive,
                        negative, margin, swap,
                        reduction)


@composed(kind=KINKED, cases=[
    Case((2, 3), (2, 3), (2, 3), scales=(-3, 3)),
    Case((2, 3), (2, 3), (2, 3), margin=8.0,
         distance_function=lambda a, b: np.sum(np.square(a - b), -1),
         scales=(-3, 3))],
    kinks=[Kink(([0.0], [2.0], [3.0]), ([0.0], [1.0], [-1.0]),
                "where the margin is reached, the slope within it",
                {"distance_function": lambda a, b: np.sum(np.abs(a - b), -1)})])
def triplet_margin_with_distance_loss(
        anchor: Array, positive: Array, negative: Array, *,
        distance_function: Callable[[Array, Array], Array] | None = None, margin: float = 1.0,
        swap: bool = False, reduction: str = "mean") -> Array:
    """triplet_margin_loss with a distance of one's own.

    distance_function  a function of two arrays, written with NumPy; None for pairwise_distance
    Other arguments, result and errors as those of triplet_margin_loss.
    As torch.nn.functional.triplet_margin_with_distance_loss.
    """
    name = "triplet_margin_with_distance_loss"
    reduction_of(name, reduction)
    return _of_triplets(name, distance_function or pairwise_distance, anchor, positive, negative,
                        margin, swap, reduction)


def _of_triplets(name, distance, anchor, positive, negative, margin, swap, reduction):
    margin = plain(name, "margin", margin)
    if not margin > 0:
        raise expected(name, "margin", margin, "a positive number")
    same_shape(name, anchor, called="anchor", positive=positive, negative=negative)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return reduced(_positive_part(margin + near - far), reduction)


# Classes


@composed(kind=KINKED, cases=[
    Case((2, 4), Fixed(np.array([1, 3]))),
    Case((3,), Fixed(np.array(2)), p=2, margin=0.5, scales=(-100, 100)),
    Case((2, 3), Fixed(np.array([1, 0])), weight=np.array([0.5, 2.0, 1.0]), reduction="none")],
    kinks=[Kink(([1.0, 0.0], ), ([0.0, 0.0],), "0 where the margin is reached",
                call=lambda x: multi_margin_loss(x, np.array(0)))])
def multi_margin_loss(input: Array, target: Array, p: float = 1, margin: float = 1.0,
                      weight: Array | None = None, size_average: None = None, reduce: None = None,
                      reduction: str = "mean") -> Array:
    """sum_i weight_t ((margin - x_t + x_i)+)^p / C over all classes i but the target class t.

    input      scores: (N, C), or (C,) for one sample
    target     classes, integers of shape (N,), or ()
    p          1 or 2
    weight     (C,): a factor for each class, or None
    reduction  'mean' (over the samples), 'sum' or 'none'
    Raises ValueError for shapes that do not match, classes out of range, another p and unknown
    reductions, TypeError for the deprecated size_average and reduce.
    Crammer and Singer (2001); as torch.nn.functional.multi_margin_loss.
    """
    name = "multi_margin_loss"
    reduction_of(name, reduction, size_average, reduce)
    rows, shape = _rows(name, input)
    classes = rows.shape[1]
    target = _integers(name, target)
    if target.shape != shape[:-1] and (len(shape) > 1 or target.size != 1):
        raise ValueError(f"{name}: target has shape {target.shape}; expected {shape[:-1]}, a class "
                         f"for each sample of "
                         f"an input of shape {shape}")
    _in_range(name, target, 0, classes)
    if p not in (1, 2):
        raise expected(name, "p", p, "1 or 2")
    if weight is not None and shape_of(name, "weight", weight) != (classes,):
        raise ValueError(f"{name}: weight has shape {weight.shape}; expected ({classes},), one "
                         f"number for each class")
    own = np.ravel(target)[:, None]
    z = rectified(plain(name, "margin", margin) - np.take_along_axis(rows, own, axis=1) + rows)
    z = np.where(own == np.arange(classes), 0, z if p == 1 else z * z)
    losses = np.sum(z if weight is None else z * weight[own], axis=1) / classes
    return reduced(np.reshape(losses, target.shape), reduction)


@composed(kind=KINKED, cases=[Case((2, 4), Fixed(np.array([[3, 0, -1, 1], [1, 1, 2, -1]]))),
                              Case((4,), Fixed(np.array([2, 1, -1, 0])), reduction="none")],
          kinks=[Kink(([1.0, 0.0],), ([0.0, 0.0],), "0 where the margin is reached",
                      call=lambda x: multilabel_margin_loss(x, np.array([0, -1])))])
def multilabel_margin_loss(input: Array, target: Array, size_average: None = None,
                           reduce: None = None, reduction: str = "mean") -> Array:
    """sum_ti (1 - x_t + x_i)+ / C over all target classes t and all classes i that are no target.

    input      scores: (N, C), or (C,) for one sample
    target     integers in the same shape: the target classes, then -1; what follows the first -1
               does not count
    reduction  'mean' (over the samples), 'sum' or 'none'
    Raises ValueError for different shapes, classes out of range and unknown reductions, TypeError
    for the deprecated size_average and reduce.  As torch.nn.functional.multilabel_margin_loss.
    """
    name = "multilabel_margin_loss"
    reduction_of(name, reduction, size_average, reduce)
    target = _integers(name, target)
    same_shape(name, input, target=target)
    rows, shape = _rows(name, input)
    classes = rows.shape[1]
    _in_range(name, target, -1, classes)
    target = np.reshape(target, rows.shape)
    counts = np.logical_and.accumulate(target >= 0, axis=1)
    target = np.where(counts, target, 0)
    is_target = np.any(counts[:, :, None] & (target[:, :, None] == np.arange(classes)), axis=1)
    z = rectified(1 - np.take_along_axis(rows, target, axis=1)[:, :, None] + rows[:, None, :])
    losses = np.sum(np.where(counts[:, :, None] & ~is_target[:, None, :], z, 0),
                    axis=(1, 2)) / classes
    return reduced(np.reshape(losses, shape[:-1]), reduction)


@composed(cases=[Case((2, 3), Fixed(np.array([[1, -1, 1], [-1, -1, 1]]))),
                 Case((3,), (3,), reduction="none", scales=(-150, 100))])
def soft_margin_loss(input: Array, target: Array, size_average: None = None, reduce: None = None,
                     reduction: str = "mean") -> Array:
    """log(1 + e^(-target input)), with targets 1 and -1; in nats.

    input, target  arrays of one shape
    reduction      'mean', 'sum' or 'none'
    Raises ValueError for different shapes and unknown reductions, TypeError for the deprecated
    size_average and reduce.  As torch.nn.functional.soft_margin_loss.
    """
    reduction_of("soft_margin_loss", reduction, size_average, reduce)
    same_shape("soft_margin_loss", input, target=target)
    return reduced(log1pexp(-target * input), reduction)


@composed(cases=[Case((3, 4), (3, 4), domain=(None, "unit interval"), scales=(-300, 0)),
                 Case((3,), (3,), (3,), domain=(None, "unit interval", None), reduction="none",
                      scales=(-100, 0))])
def multilabel_soft_margin_loss(input: Array, target: Array, weight: Array | None = None,
                                size_average: None = None, reduce: None = None,
                                reduction: str = "mean") -> Array:
    """The mean over the last axis of -target log sigma(input) - (1 - target) log(1 - sigma(input));
    in nats.

    input      logits: (N, C), or any shape whose last axis holds the classes
    target     probabilities, of the same shape
    weight     a factor for each loss, which broadcasts to the input; or None
    reduction  'mean' (over the samples), 'sum' or 'none'
    Raises ValueError for shapes that do not match and unknown reductions, TypeError for the
    deprecated size_average and reduce.  As torch.nn.functional.multilabel_soft_margin_loss.
    """
    name = "multilabel_soft_margin_loss"
    reduction_of(name, reduction, size_average, reduce)
    same_shape(name, input, target=target)
    if not input.shape:
        raise expected(name, "input", "an array without axes", "classes along the last axis")
    broadcasting(name, input, weight=weight)
    losses = logistic_loss(input, target, 1)
    return reduced(np.mean(losses if weight is None else losses * weight, axis=-1), reduction)


def _rows(function, input):
    """The scores as (N, C), and the input's shape."""
    shape = shape_of(function, "input", input)
    if len(shape) > 2 or not all(shape[-1:]):
        raise ValueError(f"{function}: input has shape {shape}; expected (N, C) or (C,), with a "
                         f"class or more")
    return (input if len(shape) == 2 else np.reshape(input, (1, -1))), shape


def _integers(function, target):
    target = target if hasattr(target, "dtype") else np.asarray(target)
    if target.dtype.kind not in "iu":
        raise TypeError(f"{function}: target is {describe(target)}; expected integers, the classes")
    return target


def _in_range(function, target, least, classes):
    wrong = (target < least) | (target >= classes)
    if np.any(wrong):
        raise ValueError(f"{function}: target holds the class {target[wrong][0]}; expected {least} "
                         f"<= class < {classes}")
