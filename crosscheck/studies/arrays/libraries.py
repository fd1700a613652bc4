"""The array libraries that the op table is run on, if they are installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from .table import WAYS


@dataclass(frozen=True)
class Library:
    """An array library.

    own         the type of its arrays
    give, take  functions from NumPy's arrays to its own, and back
    lazily      a function that calls another: (its result, whether nothing was computed for it)
    ways        those of `WAYS` that are tried; jit is not for lazy arrays, whose numbers it could
                not check
    """

    name: str
    own: type
    give: Callable
    take: Callable
    lazily: Callable
    ways: tuple = WAYS


def _dask():
    import dask
    import dask.array as da

    def lazily(function):
        """Whatever is computed meanwhile is computed by a scheduler that notes it."""
        noted = []

        def scheduler(*args, **kwargs):
            noted.append(1)
            return dask.get(*args, **kwargs)

        with dask.config.set(scheduler=scheduler):
            return function(), not noted

    return Library("Dask", da.Array, lambda x: da.from_array(
        x, chunks=tuple(max(1, (n + 1) // 2) for n in x.shape)),
        lambda x: x.compute(scheduler="synchronous"), lazily, WAYS[:-1])


def _cupy():
    cupy = importlib.import_module("cupy")
    if not cupy.cuda.runtime.getDeviceCount():
        raise RuntimeError("no GPU")
    return Library("CuPy", cupy.ndarray, cupy.asarray, cupy.asnumpy, lambda f: (f(), False))


def installed():
    """(the libraries that can be used here, why each of the others cannot)."""
    found, missing = [], []
    for name, make in (("dask", _dask), ("cupy", _cupy)):
        if find_spec(name) is None:
            missing.append(f"arrays: {name} is not installed (pip install {name})")
            continue
        try:
            found.append(make())
        except Exception as error:  # of a driver, say
            missing.append(f"arrays: {name} cannot be used: {error}")
    return found, missing
