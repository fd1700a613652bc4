"""The checker that people use on their own gradient."""

from .api import assert_gradient as assert_gradient
from .api import check as check
from .report import GradientError as GradientError
from .report import Report as Report
