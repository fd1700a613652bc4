"""Memory: how it is measured, and its section of the page."""

from functools import partial

from ...report.sections import images, section, table
from ..study import Outcome
from . import run as memory
from .plots import plot_memory


def run(options, watch):
    count = len(memory.tasks(options.quick))
    with watch("measuring memory", count) as tick:
        frame, stopped = memory.run_memory(options.seed, options.quick, tick)
    return Outcome(
        len(frame) // 2, f"{len(frame) // 2} of {count} programs are measured", [frame],
        {"memory.png": partial(plot_memory, frame)},
        f"the peak memory of {frame['problem'].nunique()} programs of up to {frame['depth'].max()} "
        f"layers, seed {options.seed}", memory.sentence(frame), stopped=stopped)


def sections(folder, frame):
    """What was found, the aims, what must be kept and why, and the peaks at the greatest depth."""
    text = [memory.sentence(frame) + ".",
            "The most that value and gradient hold at a time, arrays and Python objects, "
            f"beyond what was there before; programs of equal layers on {memory.BATCH:,} samples "
            f"of {memory.WIDTH} numbers. What must be kept is counted by hand: the arrays that the "
            "rules read in the sweep. The gradients are not in it, since each takes the place of "
            "arrays that the sweep frees; they and what the sweep works with are in the peak. With "
            "checkpoint each segment of the depth keeps its input, and is computed a second time."]
    shown = [table(judged, "What the project set out to reach, and the worst case of each")
             ] if len(judged := memory.judged(frame)) else []
    shown += [table(memory.reasons(), "What a layer must keep", long=("because",)),
              table(memory.deepest(frame),
                    "At the greatest depth, without checkpoint (0 segments) and with")]
    return [section("Memory", text, images(folder, "memory.png"), shown)]
