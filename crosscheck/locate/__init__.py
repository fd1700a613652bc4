"""Finding the fault: the primitive whose rule is wrong, and the smallest network and program that show it."""

from .culprit import Culprit as Culprit
from .pinpoint import pinpoint as pinpoint
from .findings import refgrad_findings as refgrad_findings
from .findings import torch_findings as torch_findings
from .findings import smallest_failure as smallest_failure
from .program import program_of as program_of
from .shrink import shrink as shrink
