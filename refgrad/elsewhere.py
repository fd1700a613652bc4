"""Ufuncs of other packages, whose rules are declared when the first of them is called.

By NumPy's protocol every ufunc is offered to traced arrays, whichever package defines it.  The
rules for a package are declared when it is found among the loaded modules, so it need not be
installed.
"""

import importlib
import sys

import numpy as np

from .primitive import TABLE

#: From a module with ufuncs of its own to the modules that declare their rules.
MODULES = {"scipy.special": ["refgrad.rules.scipy_special"]}


def declared(function, table=TABLE):
    """The entry of a table for a function, with the rules of all loaded packages declared; None if
    there is none."""
    if function not in table:
        for package, modules in MODULES.items():
            if package in sys.modules:
                for module in modules:
                    if module not in sys.modules:  # import_module is slow to find that out
                        importlib.import_module(module)
    return table.get(function)


def name_of(ufunc):
    """'np.sin', 'scipy.special.gamma': how a program calls a ufunc; the bare name if it is of
    another module."""
    name = ufunc.__name__
    for module in MODULES:
        if getattr(sys.modules.get(module), name, None) is ufunc is not getattr(np, name, None):
            return f"{module}.{name}"
    return f"np.{name}" if getattr(np, name, None) is ufunc else name
