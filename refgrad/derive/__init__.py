"""Derivations: the engine's own rules run on symbols, and give gradients as formulas with the steps that lead there."""

from . import meaning as meaning
from . import selection as selection
from .arguments import trial as trial
from .derivation import Derivation as Derivation
from .derivation import derive as derive
from .formula import Formula as Formula
from .index import SizeMismatch as SizeMismatch
from .symbol import NoFormula as NoFormula
from .verification import WrongFormula as WrongFormula
