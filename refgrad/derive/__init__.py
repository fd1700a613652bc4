"""Derivations: the engine's own rules run on symbols, and give gradients as formulas with the steps
that lead there.

The package can be called: ``refgrad.derive(f, "W", X=("m", "n"), ...)`` is its function `derive`.
"""

import sys
from types import ModuleType

from . import meaning as meaning
from . import selection as selection
from .arguments import trial as trial
from .derivation import Derivation as Derivation
from .derivation import derive as derive
from .formula import Formula as Formula
from .index import SizeMismatch as SizeMismatch
from .symbol import NoFormula as NoFormula
from .verification import WrongFormula as WrongFormula


class _Derive(ModuleType):
    __call__ = staticmethod(derive)


sys.modules[__name__].__class__ = _Derive
