"""Locate a fault: find the primitive whose rule is wrong, and the smallest network and program that
show it."""

from .culprit import Culprit as Culprit
from .pinpoint import pinpoint as pinpoint
from .program import program_of as program_of
from .shrink import shrink as shrink
