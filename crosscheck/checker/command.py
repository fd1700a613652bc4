"""What the command line needs to check a function: to find it, and to draw inputs for it."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import contextmanager

import numpy as np

from ..source import place


class UserError(Exception):
    """The user's own code cannot be run; says what it does, in which function, file and line."""


def imported(path):
    """The object that ``module:name`` or ``folder/file.py:name`` names; modules of the current
    folder are found too, after installed ones.

    Raises ImportError or AttributeError with what was looked for, UserError where the module itself
    fails.
    """
    module, colon, name = path.rpartition(":")
    if not colon or not module or not name:
        raise ImportError(f"{path!r}: expected MODULE:FUNCTION, for example mypackage.layers:gelu, "
                          "or mypackage/layers.py:gelu")
    folder, file = os.getcwd(), ""
    if module.endswith(".py"):
        if not os.path.isfile(module):
            raise ImportError(f"{path!r}: there is no file {module}")
        file = os.path.realpath(module)
        folder, module = os.path.split(file.removesuffix(".py"))
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        with _told(f"{path!r}: importing {module}"):
            found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"{path!r}: there is no module {error.name!r} here or among the "
                          "installed ones") from None
    if file and os.path.realpath(getattr(found, "__file__", None) or "") != file:
        raise ImportError(f"{path!r}: another module is called {module}, too; rename the file")
    for part in name.split("."):
        if not hasattr(found, part):
            whose = f" ({file})" if (file := getattr(sys.modules[module], "__file__", None)) else ""
            raise AttributeError(f"{path!r}: {module} has no {name}{whose}")
        found = getattr(found, part)
    return found


def called(path):
    """What the function that ``module:name`` names returns."""
    function = imported(path)
    with _told(f"{path!r}"):
        return function()


@contextmanager
def no_exit(path):
    """In here code that ends the process raises UserError."""
    try:
        yield
    except SystemExit as error:
        raise UserError(f"{path!r} calls sys.exit({_code(error)}){place(error)}") from None


@contextmanager
def _told(what):
    """In here any error is a UserError; but a module that is missing, ModuleNotFoundError."""
    try:
        yield
    except ModuleNotFoundError:
        raise
    except SyntaxError as error:
        raise UserError(f"{what} finds a syntax error: {error.msg}, in {error.filename}, "
                        f"line {error.lineno}") from None
    except SystemExit as error:
        raise UserError(f"{what} calls sys.exit({_code(error)}){place(error)}") from None
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{what} raises {type(error).__name__}: {said}{place(error)}") from None


def _code(error):
    return "" if error.code is None else repr(error.code)


def drawn(shapes, seed):
    """An array of normal numbers for each shape, given as '4,5' ('' for a single number)."""
    if not shapes:
        raise ValueError("inputs: give --shape for each input, as in --shape 4,5 --shape 5, or "
                         "--inputs MODULE:FUNCTION")
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(_shape(s)).astype(np.float32).astype(np.float64)
                 for s in shapes)


def positions(text):
    """The numbers of '0,2'; None for None."""
    if text is None:
        return None
    try:
        return tuple(int(n) for n in text.split(","))
    except ValueError:
        raise ValueError(f"--argnums {text!r}: expected whole numbers with commas between them, "
                         "as in 0,2") from None


def _shape(text):
    try:
        shape = tuple(int(n) for n in text.strip("() ").split(",") if n.strip())
    except ValueError:
        shape = (-1,)
    if min(shape, default=0) < 0:
        raise ValueError(f"--shape {text!r}: expected whole numbers with commas between them, "
                         "as in 4,5")
    return shape
