"""Connectionist temporal classification: the likelihood of a label sequence, summed over all its
alignments.

Graves, Fernandez, Gomez and Schmidhuber (2006).  The targets l_1 ... l_S become the states  - l_1 -
l_2 - ... l_S -  with blanks between and around them; a path visits one state at each time, begins
in one of the first two, ends in one of the last two, and at each step stays, moves on by one state,
or skips a blank between different labels.  With the log-probability e_ts of what state s emits at
time t:

    y = -log sum_paths exp(sum_t e_t,path(t))
    dy = -sum_paths P(path) sum_t de_t,path(t) = -<O, dE>
    O_ts, the occupancy, is the probability that a path is in s at t;  <g, -<O, dE>> = <-g O, dE>

    a_ts = log sum of the paths' beginnings that end in s at t:  a_t = L a_(t-1) + e_t
    b_ts the same of the paths' ends that begin in s at t:       b_t = L' b_(t+1) + e_t
    y = -log sum e^(a_T),   O = exp(a + b - e + y)

where L x is log(sum of e^x over a state's predecessors), and L' that over its successors.  O is
written with functions that have rules, so it has derivatives of any order.  torch's gradient is
e^x - O for log-probabilities x: right only if x comes from log_softmax, whose adjoint maps e^x
to 0.
"""

from collections.abc import Sequence

import numpy as np

from ..cases import Case, Fixed
from ..hints import Array
from ..primitive import composed, declare
from .arguments import expected, plain, reduction_of, reduced, shape_of
from .softmax import masked_softmax, peak

_TARGETS = np.array([[1, 1], [2, 0]])


def _log_of_sums(x, among):
    """log(sum of e^x) over the first axis, of the entries that are meant; 0 where none is, -inf
    where all are -inf.
    """
    some = np.any(among, axis=0)
    # Stands in for the others.
    first = np.take_along_axis(x, np.argmax(among, axis=0)[None], axis=0)
    top = peak(np.where(among, x, first), axis=0)[0]
    gone = top == -np.inf
    top = np.where(gone, 0, top)
    total = np.sum(np.where(among, np.exp(np.where(among, x - top, 0)), 0), axis=0)
    y = top + np.log(np.where(some & ~gone, total, 1))
    return np.where(some, np.where(gone, -np.inf, y), 0)


def _moved(x, steps):
    """The values that stand some states before (steps > 0) or after; zeros come in."""
    if abs(steps) >= x.shape[1]:
        return np.zeros_like(x)
    inside = x[:, :x.shape[1] - steps] if steps > 0 else x[:, -steps:]
    return np.pad(inside, ((0, 0), (steps, 0) if steps > 0 else (0, -steps)))


def _along(e, alive, skips, times, direction):
    """log sums of the beginnings (direction 1) or ends (-1) of the paths, for each time; see the
    formulas above.

    alive   (T, N, L): which states some path is in, a plain array
    skips   (N, L): which states may be entered from the state before the last one, a plain array
    times   the first and, of each sequence, the last time, or the reverse
    """
    steps = range(len(e))[::direction]
    begins = times[0]
    into = [np.ones_like(skips), _moved(np.ones_like(skips), direction),
            _moved(skips, -2) if direction < 0 else skips]
    rows, before = [], None
    for t in steps:
        new = e[t]
        if before is not None:
            near = alive[t - direction]
            reached = np.stack([step & _moved(near, direction * k) for k, step in enumerate(into)])
            among = reached & (begins != t)[:, None]
            new = new + _log_of_sums(np.stack([_moved(before, direction * k) for k in range(3)]),
                                     among)
        rows.append(new)
        before = new
    return np.stack(rows[::direction])


def _states(labels, sizes, lengths, blank, time):
    """The states' classes (N, L), which may be skipped to (N, L), and which some path is in at each
    time (T, N, L).
    """
    n, width = labels.shape
    classes = np.full((n, 2 * width + 1), blank)
    classes[:, 1::2] = labels
    skips = np.zeros(classes.shape, bool)
    skips[:, 2:] = (classes[:, 2:] != blank) & (classes[:, 2:] != classes[:, :-2])
    state, last = np.arange(2 * width + 1), 2 * sizes[:, None]
    skips &= state <= last
    begun = np.zeros((time, *classes.shape), bool)
    ended = np.zeros_like(begun)
    for t in range(time):
        before = begun[t - 1]
        begun[t] = before | _moved(before, 1) | skips & _moved(before, 2) if t else (
            state <= np.minimum(1, last))
    for t in reversed(range(time)):
        after = ended[t + 1] if t + 1 < time else np.zeros(classes.shape, bool)
        on = after | _moved(after, -1) | _moved(skips & after, -2)
        ended[t] = np.where((lengths == t + 1)[:, None], (state <= last) & (state >= last - 1), on)
    alive = begun & ended & (state <= last) & (np.arange(time)[:, None, None] < lengths[:, None])
    return classes, skips, alive


def _beginnings(e, alive, skips, lengths):
    return _along(e, alive, skips, (np.zeros_like(lengths), lengths - 1), 1)


def _ending(a, alive, lengths):
    """log of the sum of the paths that end in one of the last states."""
    rows = np.maximum(lengths - 1, 0), np.arange(len(lengths))
    last = a[rows]
    return _log_of_sums(np.moveaxis(last, -1, 0), np.moveaxis(alive[rows], -1, 0))


def _occupancy(a, e, alive, skips, lengths):
    """O, 0 for the states that no path is in, or that have probability 0.

    At each time the paths are in one of the states: O sums to 1, and e^(a + b - e + y) is a
    softmax.
    """
    b = _along(e, alive, skips, (lengths - 1, np.zeros_like(lengths)), -1)
    y = -_ending(a, alive, lengths)
    visited = alive & np.isfinite(a) & np.isfinite(b) & np.isfinite(y)[:, None]
    return masked_softmax(np.where(visited, a + b - e, 0), mask=visited, axis=-1)


_alignments = declare(
    None, __doc__, name="ctc_alignments", keep=_beginnings,
    forward=lambda a, e, alive, skips, lengths: -_ending(a, alive, lengths),
    jvp=(lambda v, a, e, alive, skips, lengths: -np.sum(
        _occupancy(a, e, alive, skips, lengths) * v, axis=(0, 2)),),
    vjp=(lambda g, a, e, alive, skips, lengths: -_occupancy(
        a, e, alive, skips, lengths) * g[:, None],),
    cases=[Case((3, 2, 5), call=lambda e: _sample(e))])


def _sample(e):
    lengths = np.array([3, 2])
    _, skips, alive = _states(np.array([[1, 2], [1, 0]]), np.array([2, 1]), lengths, 0, 3)
    return _alignments(e, alive=alive, skips=skips, lengths=lengths)


@composed(cases=[
    Case((4, 2, 3), Fixed(_TARGETS), Fixed(np.array([4, 3])), Fixed(np.array([2, 1]))),
    Case((3, 3), Fixed(np.array([1, 2])), Fixed(np.array(3)), Fixed(np.array(2)), reduction="none"),
    Case((3, 3, 2), Fixed(np.array([0, 0, 0, 0])), Fixed((3, 3, 2)), Fixed((2, 2, 0)), blank=1,
         reduction="sum",
         zero_infinity=True)])
def ctc_loss(log_probs: Array, targets: Array, input_lengths: Array | Sequence[int],
             target_lengths: Array | Sequence[int], blank: int = 0, reduction: str = "mean",
             zero_infinity: bool = False) -> Array:
    """-log of the probability of the target sequence, summed over its alignments; in nats.

    log_probs       (T, N, C) log-probabilities (see log_softmax), or (T, C) for one sequence
    targets         integers: (N, S), or all sequences behind one another, of shape (sum of
                    target_lengths,)
    input_lengths   (N,): how many times of each sequence count, up to T; an array, list or tuple
    target_lengths  (N,): the lengths of the target sequences
    blank           the class of the blank, which is no target
    reduction       'mean' (each loss divided by its target length, 0 counting as 1; then the mean),
                    'sum' or 'none'
    zero_infinity   a loss is 0 instead of infinite where no alignment fits into the input
    Where the loss is infinite, its slope is 0.
    Raises ValueError for shapes that do not match, classes and lengths out of range and unknown
    reductions.  Graves, Fernandez, Gomez and Schmidhuber (2006); as torch.nn.functional.ctc_loss,
    but for the gradient, which is that of the loss for any log_probs (torch's is right after
    log_softmax alone).
    """
    name = "ctc_loss"
    reduction_of(name, reduction)
    shape, blank = shape_of(name, "log_probs", log_probs), plain(name, "blank", blank)
    if len(shape) not in (2, 3) or not shape[0]:
        raise ValueError(f"{name}: log_probs has shape {shape}; expected (T, N, C) or (T, C), with "
                         f"a time or more")
    x = log_probs if len(shape) == 3 else np.expand_dims(log_probs, 1)
    time, n, classes = x.shape
    if not 0 <= blank < classes:
        raise expected(name, "blank", blank, f"a class, 0 <= class < {classes}")
    lengths = _lengths(name, "input_lengths", input_lengths, n, time)
    targets = np.asarray(targets)
    most = targets.shape[-1] if targets.ndim else 1
    sizes = _lengths(name, "target_lengths", target_lengths, n, most)
    labels = _padded(name, targets, sizes, n, classes)
    states, skips, alive = _states(labels, sizes, lengths, blank, time)
    losses = _alignments(x[:, np.arange(n)[:, None], states], alive=alive, skips=skips,
                         lengths=lengths)
    fits = np.any(alive, axis=(0, 2)) | (lengths + sizes == 0)
    losses = np.where(fits, losses, np.inf)
    if zero_infinity:
        losses = np.where(np.isinf(losses), 0, losses)
    if reduction == "mean":
        losses = losses / np.maximum(sizes, 1).astype(losses.dtype)
    return reduced(losses if len(shape) == 3 else losses[0], reduction)


def _lengths(function, argument, lengths, n, most):
    """Lengths as an array of integers (n,), checked to lie between 0 and the largest possible."""
    lengths = np.asarray(lengths)
    if lengths.dtype.kind not in "iu" and lengths.size:
        raise TypeError(f"{function}: {argument} holds {lengths.dtype}; expected integers")
    if lengths.size != n or lengths.ndim > 1:
        raise ValueError(f"{function}: {argument} has shape {lengths.shape}; expected ({n},), one "
                         f"length for each "
                         f"sequence")
    if np.any((lengths < 0) | (lengths > most)):
        raise ValueError(f"{function}: {argument} is {lengths.tolist()}; expected lengths from 0 "
                         f"to {most}")
    return np.reshape(lengths, (n,)).astype(int)


def _padded(function, targets, sizes, n, classes):
    """The targets as (N, S) with the longest target's S; what is beyond the end of one does not
    count.
    """
    if targets.dtype.kind not in "iu" and targets.size:
        raise TypeError(f"{function}: targets holds {targets.dtype}; expected integers, classes")
    longest = max(sizes.tolist(), default=0)
    inside = np.arange(longest) < sizes[:, None]
    if targets.ndim == 2 and len(targets) == n:
        chosen = targets[:, :longest]
    elif targets.ndim == 1 and (n == 1 or targets.size == sizes.sum()):
        starts = np.cumsum(sizes) - sizes
        chosen = np.zeros((n, longest), int)
        chosen[inside] = targets[(starts[:, None] + np.arange(longest))[inside]]
    else:
        raise ValueError(f"{function}: targets has shape {targets.shape}; expected ({n}, S), or "
                         f"({sizes.sum()},), the "
                         f"sum of target_lengths")
    labels = np.where(inside, chosen, 0).astype(int)
    if np.any((labels < 0) | (labels >= classes)):
        raise ValueError(f"{function}: targets holds a class that is not from 0 to {classes - 1}")
    return labels
