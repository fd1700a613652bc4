"""The most memory that value and gradient hold at a time, against what no engine can do without,
and against depth.

Measured with tracemalloc, to which NumPy reports its arrays: bytes beyond what was there before the
call, Python's objects included, and the gradients that are returned.  (What BLAS holds inside is
not seen.)  No clock is involved, so the figures are the same each time.

The limit is what must be kept for the sweep: the arrays that the rules read, where each may be had
once and freed once the sweep has passed.  What it does not count:

- the gradients.  The sweep makes those of a layer when it frees the layer's activations, which are
  larger here by far, so the most is held when the sweep begins;
- what the sweep works with, which is an array or two whatever the depth.

So the programs are long chains of equal layers between arrays of ENTRIES entries, with few
parameters, and end with the mean of squares, which reads the last layer's result.
"""

from __future__ import annotations

import gc
import itertools
import math
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

import refgrad as rg
from refgrad import nn

from ..scaling.refgrad_programs import peak_bytes
from ..scaling.gradient import ASYMPTOTIC
from ..slope import fit
from ..timing import equal_threads
from ..speed.problems import DTYPES
from . import TABLE

BATCH, WIDTH = 2048, 16
ENTRIES = BATCH * WIDTH
CHANNELS, SIDE = 4, 16  # the same entries as images
IMAGES = (ENTRIES // (CHANNELS * SIDE ** 2), CHANNELS, SIDE, SIDE)

#: Of the peak over the limit, from the depth on from which the sweep's own arrays are few beside
#: those kept.
MOST, DEEP = 1.2, 64
# Where the sweep works with unfolded windows, some times as large as a layer's result.
MOST_UNFOLDED = 1.5
#: Of the exponent of the peak in depth, with checkpoint.
EXPONENT = 0.5


@dataclass(frozen=True)
class Problem:
    """A chain of layers ``layer(h, *arrays)``, differentiated in the arrays of all layers; without
    any, in the first h.

    kept     how many entries a layer must keep
    because  why, in a few words
    shapes   of a layer's arrays
    most     the aim for the peak over the limit
    h        the shape of a layer's input and result
    """

    name: str
    layer: object
    kept: int
    because: str
    shapes: tuple = ()
    most: float = MOST
    h: tuple = (BATCH, WIDTH)


def _relu(h, W, b):
    return nn.relu(nn.linear(h, W, b))


def _tanh(h, W, b):
    return nn.tanh(nn.linear(h, W, b))


def _batch_norm(h, W, scale, shift):
    return nn.relu(nn.batch_norm(nn.linear(h, W), None, None, scale, shift, training=True))


def _convolution(h, W, b):
    return nn.relu(nn.conv2d(h, W, b, padding=1))


def _elementwise(h):
    return np.tanh(1.25 * np.sin(h) + 0.125)


PROBLEMS = (
    Problem("relu MLP", _relu, ENTRIES, "relu's result: the next layer reads it, and relu its sign",
            ((WIDTH, WIDTH), (WIDTH,))),
    Problem("tanh MLP", _tanh, 2 * ENTRIES, "tanh's argument x, since the slope 1 - tanh^2 x "
            "loses the digits that 1 / cosh^2 x has; and tanh's result, which the next layer reads",
            ((WIDTH, WIDTH), (WIDTH,))),
    Problem("batch norm MLP", _batch_norm, 2 * ENTRIES + WIDTH, "the standardized z and 1 / s of "
            "each channel; relu's result, which the next layer reads",
            ((WIDTH, WIDTH), (WIDTH,), (WIDTH,))),
    Problem("relu CNN", _convolution, ENTRIES, "relu's result: the next layer reads it, and relu "
            "its sign; the unfolded windows are made again",
            ((CHANNELS, CHANNELS, 3, 3), (CHANNELS,)), MOST_UNFOLDED, IMAGES),
    Problem("elementwise chain", _elementwise, 2 * ENTRIES, "in z = tanh(a sin z + b) the "
            "arguments of tanh and of sin; to multiply by a number and to add one keeps nothing"),
)


def must_keep(problem, depth, segments=0):
    """The limit, in entries.

    With checkpoint the most is held when the last segment is swept: the inputs of all segments but
    the first, whose input is there anyhow, and what the layers of one segment keep.
    """
    if not segments:
        return depth * problem.kept
    return (segments - 1) * ENTRIES + math.ceil(depth / segments) * problem.kept


def depths(quick):
    """Squares: in sqrt(depth) segments there are as many layers as segments."""
    return [k * k for k in ((2, 4, 8) if quick else (2, 3, 4, 5, 6, 8, 10, 12, 14, 16))]


def tasks(quick):
    """(problem, dtype, depth) of each pair of measurements, without checkpoint and with."""
    return list(itertools.product(PROBLEMS, DTYPES, depths(quick)))


def run_memory(seed=0, quick=False, tick=lambda description: None):
    """(the frame of memory.csv as far as it is finished, why it ended early)."""
    rows, stopped = [], ""
    try:
        with settled():
            for problem, dtype, depth in tasks(quick):
                rows += [measured(problem, dtype, depth, segments, seed)
                         for segments in (0, math.isqrt(depth))]
                tick(f"{problem.name}, {dtype}, {depth} layers")
    except KeyboardInterrupt:
        stopped = "interrupted"
    return pd.DataFrame(rows, columns=TABLE.columns), stopped


def measured(problem, dtype, depth, segments=0, seed=0):
    """The row of one measurement."""
    x, layers = draw(problem, dtype, depth, seed)
    runs = itertools.count()

    def layer(h, *arrays):
        next(runs)
        return problem.layer(h, *arrays)

    both = rg.value_and_grad(program(layer, segments), argnums=1 if problem.shapes else 0)
    gradients = layers if problem.shapes else [[x]]  # of the same shapes
    # First for caches, and small blocks that NumPy frees and hands out again unreported.
    both(x, layers)
    before = next(runs)
    peak, kept = peak_of(lambda: both(x, layers)), must_keep(problem, depth, segments) * x.itemsize
    return {"problem": problem.name, "dtype": dtype,
            "depth": depth, "checkpoint": segments, "peak_bytes": peak, "kept_bytes": kept,
            "gradient_bytes": sum(a.nbytes for arrays in gradients for a in arrays),
            "ratio": peak / kept, "evaluations": next(runs) - before - 1}


def draw(problem, dtype, depth, seed=0):
    """(the first h, the arrays of each layer)."""
    rng = np.random.default_rng([seed, depth])
    x = rng.standard_normal(problem.h).astype(dtype)
    return x, [
        [(rng.standard_normal(shape) * np.sqrt(2 / max(WIDTH, np.prod(shape[1:])))).astype(dtype)
         for shape in problem.shapes] for _ in range(depth)]


def program(layer, segments):
    """The layers and the mean of squares, each segment of layers within `checkpoint`; with 0
    segments without it."""
    def run(h, layers):
        for arrays in layers:
            h = layer(h, *arrays)
        return h

    def loss(h, layers):
        if not segments:
            return np.mean(np.square(run(h, layers)))
        length = math.ceil(len(layers) / segments)
        for start in range(0, len(layers), length):
            h = rg.checkpoint(run)(h, layers[start:start + length])
        return np.mean(np.square(h))

    return loss


@contextmanager
def settled():
    """Make Python's own share the same each time, and quickly found.

    Instances shrink while their class is new, by a slot of 8 bytes with each of the first thirty;
    an integer above 256 takes memory, and transforms are numbered.  So there are some hundred of
    them first.  Full collections, which empty Python's lists of free objects, pass over all that is
    there already.
    """
    few = rg.value_and_grad(program(lambda h: h, 1))
    for _ in range(300):
        few(np.ones(1), [[]])
    gc.collect()
    gc.freeze()
    try:
        with equal_threads():
            yield
    finally:
        gc.unfreeze()


def peak_of(run):
    """The most that ``run()`` holds, while no garbage is collected."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        return peak_bytes(run)
    finally:
        if enabled:
            gc.enable()


def slopes(frame):
    """How the peak grows with depth: a row with the exponent and its interval for each problem,
    dtype, and checkpoint or not, fitted to depths within the factor ASYMPTOTIC of the largest."""
    rows = []
    kinds = frame.groupby(["problem", "dtype", frame["checkpoint"] > 0], sort=False)
    for (problem, dtype, checkpoint), points in kinds:
        upper = points[points["depth"] * ASYMPTOTIC >= points["depth"].max()]
        rows.append({"problem": problem, "dtype": dtype, "checkpoint": checkpoint,
                     **fit(upper["depth"], upper["peak_bytes"]).columns()})
    return pd.DataFrame(rows, columns=["problem", "dtype", "checkpoint", "slope", "slope_low",
                                       "slope_high"])


def deep(frame):
    """The rows of which the aim for the ratio speaks."""
    return frame[(frame["checkpoint"] == 0) & (frame["depth"] >= DEEP)]


def judged(frame):
    """A row for each aim that the measurements speak of, with its worst case."""
    found = slopes(frame)
    found = found[found["checkpoint"].astype(bool) & found["slope_low"].notna()]
    rows, points, most = [], deep(frame), {p.name: p.most for p in PROBLEMS}
    for aim, limit, cases, column in (
            *((f"peak over what must be kept, from {DEEP} layers on: at most", limit,
               points[points["problem"].map(most) == limit], "ratio")
              for limit in (MOST, MOST_UNFOLDED)),
            ("exponent of the peak in depth, in sqrt(depth) segments, low end of its interval: "
             "at most", EXPONENT, found, "slope_low")):
        if len(cases):
            worst = cases.loc[cases[column].idxmax()]
            by = worst[column] / limit
            rows.append({"aim": aim, "limit": limit,
                         "the worst": worst[column], "of": worst["problem"],
                         "in": worst["dtype"], "met": "met" if by <= 1 else "missed",
                         "by the factor": by if by > 1 else np.nan})
    return pd.DataFrame(rows)


def reasons():
    """A line for each problem: how many arrays of the size of the layer's result it must keep, and
    why."""
    return pd.DataFrame(
        [{"problem": p.name, "arrays": round(p.kept / ENTRIES, 2), "because": p.because}
         for p in PROBLEMS])


def deepest(frame):
    """The measurements at the greatest depth, with the exponent of the peak up to there."""
    rows = frame[frame["depth"] == frame["depth"].max()]
    rows = rows.assign(checkpointed=rows["checkpoint"] > 0)
    rows = rows.merge(slopes(frame), left_on=["problem", "dtype", "checkpointed"],
                      right_on=["problem", "dtype", "checkpoint"], suffixes=("", "_of_slope"))
    exponents = ["{slope:.2f} ({slope_low:.2f}–{slope_high:.2f})".format(**row)
                 for row in rows.to_dict("records")]
    return pd.DataFrame({
        "problem": rows["problem"], "dtype": rows["dtype"], "layers": rows["depth"],
        "segments": rows["checkpoint"],
        "peak, MB": rows["peak_bytes"] / 1e6, "must be kept, MB": rows["kept_bytes"] / 1e6,
        "gradients, MB": rows["gradient_bytes"] / 1e6, "peak over what must be kept": rows["ratio"],
        "layers evaluated": rows["evaluations"], "exponent of depth": exponents})


def sentence(frame):
    """What was found, in a few words."""
    said, cases, exponents = [], deep(frame), slopes(frame).dropna()
    if len(cases):
        said.append(f"at its peak the memory of value and gradient is {span(cases['ratio'])} times "
                    f"what must be kept ({MOST} is the aim, {MOST_UNFOLDED} with windows)")
    for checkpoint, how in ((False, ""), (True, " with checkpoint in sqrt(depth) segments")):
        if len(rows := exponents[exponents["checkpoint"] == checkpoint]):
            said.append(f"it grows as depth^{span(rows['slope'])}{how}")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] if text else "Nothing was measured"


def span(values):
    """The range of some numbers, in words."""
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"
