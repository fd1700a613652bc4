"""Reductions that skip nan: the ordinary ones, with NumPy's argument where.

An entry that is nan has no influence, and so the derivative 0.
"""

import numpy as np

from ..calls import as_called
from ..cases import Case, Kink
from ..foreign import may_be
from ..primitive import CONSTANT, KINKED, LINEAR, compose, declare
from .arguments import as_number, axes_of, counted, everything, flag, given
from .reductions import REDUCTIONS, STATISTICS, extreme_traits


def present(a, where=True):
    """NumPy's argument where without the entries that are nan."""
    missing = np.isnan(a)
    if not may_be(np.any(missing)):
        return where
    return ~missing if everything(where) else ~missing & where


def _reduction(function, neutral):
    def call(a, axis=None, dtype=None, *, keepdims=False, initial=np._NoValue, where=True):
        a = np.where(np.isnan(a), neutral, a)
        return function(a, axis=axis, dtype=dtype, keepdims=flag(keepdims), initial=initial,
                        where=where)
    return call


def _running(function, neutral):
    return lambda a, axis=None, dtype=None: function(
        np.where(np.isnan(a), neutral, a), axis=axis, dtype=dtype)


def _mean(a, axis=None, dtype=None, *, keepdims=False, where=True):
    axis = axes_of(a, axis, scalar=True)
    return np.mean(a, axis=axis, dtype=dtype, keepdims=flag(keepdims), where=present(a, where))


def _spread(function):
    """The signature of np.nanvar and np.nanstd; nan where there are too few entries."""
    def call(a, axis=None, dtype=None, *, ddof=0, keepdims=False, where=True, mean=np._NoValue,
             correction=np._NoValue):
        there, keepdims = present(a, where), flag(keepdims)
        axis = axes_of(a, axis, scalar=True)
        y = function(a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=there,
                     mean=mean, correction=correction)
        few = counted(a, axis, there, keepdims) <= (correction if given(correction) else ddof)
        return as_number(np.where(few, np.nan, y)) if may_be(np.any(few)) else y
    return call


compose(np.nansum, _reduction(np.sum, 0), kind=LINEAR, cases=REDUCTIONS)
compose(np.nanprod, _reduction(np.prod, 1), cases=REDUCTIONS)
compose(np.nancumsum, _running(np.cumsum, 0), kind=LINEAR,
        cases=[Case((2, 3)), Case((3, 4), axis=1)])
compose(np.nancumprod, _running(np.cumprod, 1), cases=[Case((4,)), Case((3, 4), axis=1)])
compose(np.nanmean, _mean, kind=LINEAR, cases=REDUCTIONS)
compose(np.nanvar, _spread(np.var), cases=STATISTICS)
compose(np.nanstd, _spread(np.std), cases=STATISTICS, kind=KINKED, square=np.nanvar,
        kinks=[Kink(([2.0, np.nan, 2.0],), ([0.0, 0.0, 0.0],), "0 where all entries are equal")])
declare(np.nanmax, **extreme_traits(np.nanmax, np.maximum, 1.0), chooses=lambda params: True)
declare(np.nanmin, **extreme_traits(np.nanmin, np.minimum, 3.0), chooses=lambda params: True)
for _function in (np.nanargmax, np.nanargmin):
    declare(_function, "constant almost everywhere: dy = 0", kind=CONSTANT,
            call=as_called(_function), cases=[Case((3, 4))])
