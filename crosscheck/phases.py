"""The phases of a check, announced to whoever times them.

    with phase(DIFFERENCES): ...       announces it; without a listener it costs nothing
    with listening(clock.phase): ...   within, ``clock.phase(name)`` is entered wherever a phase is
    announced
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

DIFFERENCES, VERDICTS = "differences on balls", "verdicts"
#: The phases that run the network on balls: exactly, and with every rounding that may happen.
GRADIENTS, BOUNDS = "exact derivatives on balls", "bounds of rounding on balls"

_listeners = []


def floats(library):
    """The phase in which a library of that name computes in floats."""
    return f"{library} in floats"


def phase(name):
    """The context in which a phase of that name runs."""
    return _listeners[-1](name) if _listeners else nullcontext()


@contextmanager
def listening(enter):
    """Inside, ``enter(name)`` gives the context for every phase that is announced in this
    process."""
    _listeners.append(enter)
    try:
        yield
    finally:
        _listeners.pop()
