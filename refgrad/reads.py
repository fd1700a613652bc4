"""What code reads: the names in a function's bytecode.

A name that is only written does not count: ``n += 1``, ``calls[0] += 1``, ``self.calls += 1`` and
``log.append(x)``, where nothing else in the code reads that name, tell the function nothing.
"""

from __future__ import annotations

import builtins
import dis
import functools
import os
import sys
import types
import weakref

import numpy as np

#: Whoever uses these variables, or these attributes, may read attributes that it does not name.
VARIABLES_BY_TEXT = {"getattr", "vars", "attrgetter", "dataclasses", "asdict", "astuple", "replace",
                     "fields"}
ATTRIBUTES_BY_TEXT = {"__dict__", "__getattribute__", "attrgetter"}
#: Methods that put something into a container.
GROWS = {"append", "appendleft", "add", "extend", "update", "insert"}
#: Instructions that load the value of a variable or an attribute, and that store one.
VARIABLES = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF",
             "LOAD_FROM_DICT_OR_DEREF"}
ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM", "LOAD_SUPER_ATTR"}
STORES = {"STORE_GLOBAL", "STORE_NAME", "STORE_DEREF", "STORE_ATTR"}
#: The flag of classes that a class statement makes.
WRITTEN_IN_PYTHON = 1 << 9


class Reads:
    """What a code object reads, and the functions that stand in it.

    variables    globals, builtins and variables of functions around it
    attributes   names of attributes
    written      variables and attributes that are written, or written into
    imports      modules that are imported when it runs
    by_text      whether it may read attributes whose names do not stand in it
    asks_types   whether it asks for the type() of something other than self
    """

    def __init__(self, code):
        self.variables, self.attributes, self.written, self.imports = set(), set(), set(), set()
        self.asks_types = False
        steps = list(dis.get_instructions(code))
        for k, step in enumerate(steps):
            kind, name = step.opname, step.argval
            if kind in STORES:
                self.written.add(name)
            elif kind == "IMPORT_NAME":
                self.imports.add(name)
            elif kind in VARIABLES:
                (self.written if _only_writes(steps, k) else self.variables).add(name)
                if name == "type" and steps[k + 1].argval not in ("self", "cls"):
                    self.asks_types = True
            elif kind in ATTRIBUTES:
                (self.written if _only_writes(steps, k) else self.attributes).add(name)
        for inner in code.co_consts:
            if type(inner) is types.CodeType:
                inside = reads(inner)
                self.variables |= inside.variables
                self.attributes |= inside.attributes
                self.written |= inside.written
                self.imports |= inside.imports
                self.asks_types |= inside.asks_types
        self.by_text = bool(self.variables & VARIABLES_BY_TEXT
                            or self.attributes & ATTRIBUTES_BY_TEXT)


_known = weakref.WeakKeyDictionary()


def reads(code):
    """The `Reads` of a code object."""
    if code not in _known:
        _known[code] = Reads(code)
    return _known[code]


def _only_writes(steps, k):
    """Whether the value that step k loads is only used to be stored where it was loaded from (x +=
    y)."""
    load, inside = steps[k], steps[k + 1:]
    if load.opname == "LOAD_ATTR" and k and steps[k - 1].opname == "COPY":  # of x.name += y
        return True
    depth = 1  # of the stack, above what was there before the load
    for n, step in enumerate(inside):
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
            return False
        depth += dis.stack_effect(step.opcode, step.arg, jump=False)
        if depth <= 0:
            break
    else:
        return False
    before = inside[:n]
    if depth < 0:
        return False
    if step.opname == "POP_TOP":  # the call's result
        return inside[0].opname in ATTRIBUTES and inside[0].argval in GROWS
    if any(s.opname.startswith("CALL") for s in before):
        return False
    if step.opname == "STORE_SUBSCR":
        return any(s.opname == "BINARY_OP" and s.argrepr.endswith("=") for s in before)
    return step.opname in STORES and step.argval == load.argval


# Libraries


_LIBRARIES = tuple(os.path.join(folder, "") for folder in {
    os.path.dirname(np.__file__), os.path.dirname(__file__), os.path.dirname(os.__file__)})


@functools.cache
def is_library(file):
    """Whether code of this file belongs to an installed library."""
    parts = file.split(os.sep)
    return (file.startswith((*_LIBRARIES, "<frozen"))
            or "site-packages" in parts or "dist-packages" in parts)


def of_library(x):
    """Whether a module or a class belongs to an installed library."""
    if isinstance(x, type):
        if not x.__flags__ & WRITTEN_IN_PYTHON:
            return True
        x = sys.modules.get(x.__module__)
        if x is builtins:  # so it is said of classes that code without a module makes
            return False
    name = getattr(x, "__name__", "__main__")
    return name in sys.builtin_module_names or is_library(getattr(x, "__file__", None) or "")
