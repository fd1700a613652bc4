"""crosscheck: gradients, proved."""

from .checker import GradientError as GradientError
from .checker import Report as Report
from .checker import assert_gradient as assert_gradient
from .checker import check as check
