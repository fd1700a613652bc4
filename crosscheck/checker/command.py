"""What the command line needs to check a function: to find it, and to draw inputs for it."""

from __future__ import annotations

import importlib
import os
import sys

import numpy as np


def imported(path):
    """The object that ``module:name`` names; modules of the current folder are found too.

    Raises ImportError or AttributeError with what was looked for.
    """
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise ImportError(f"{path!r}: expected MODULE:FUNCTION, for example mypackage.layers:gelu")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"{path!r}: there is no module {error.name!r} here or among the installed ones") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise AttributeError(f"{path!r}: {module} has no {name}")
        found = getattr(found, part)
    return found


def arrays(shapes, seed):
    """An array of normal numbers for each shape, given as '4,5' ('' for a single number)."""
    if not shapes:
        raise ValueError("inputs: give --shape for each input, as in --shape 4,5 --shape 5, or --inputs "
                         "MODULE:FUNCTION")
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(_shape(s)).astype(np.float32).astype(np.float64) for s in shapes)


def positions(text):
    """The numbers of '0,2'; None for None."""
    if text is None:
        return None
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise ValueError(f"--argnums {text!r}: expected whole numbers with commas between them, as in 0,2") from None


def _shape(text):
    try:
        shape = tuple(int(n) for n in text.strip("() ").split(",") if n.strip())
    except ValueError:
        shape = (-1,)
    if min(shape, default=0) < 0:
        raise ValueError(f"--shape {text!r}: expected whole numbers with commas between them, as in 4,5")
    return shape
