"""The libraries that differentiate networks, by name.  One more is a file beside this one and a
line in `LIBRARIES`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

#: name -> (the module that has its `LIBRARY`, the package that it needs), in the order of the
#: tables.
LIBRARIES = {"refgrad": ("refgrad_library", "refgrad"), "torch": ("torch_library", "torch"),
             "torch-cuda": ("torch_cuda_library", "torch"), "jax": ("jax_library", "jax")}

#: Those that take part if nobody says which.
USUAL = ("refgrad", "torch")


def library(name):
    """The `Library` of that name, imported when it is first asked for.

    Raises ValueError for a name that is not among `LIBRARIES`, ImportError if its package is not
    installed, or finds no GPU where it needs one.
    """
    if name not in LIBRARIES:
        raise ValueError(f"library {name!r}: expected one of {', '.join(LIBRARIES)}")
    module, package = LIBRARIES[name]
    if find_spec(package) is None:
        raise ImportError(f"library {name!r}: the package {package} is not installed; "
                          f"pip install {package}")
    return import_module(f".{module}", __name__).LIBRARY
