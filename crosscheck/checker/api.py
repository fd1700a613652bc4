"""check: is this gradient right?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.errors import describe

from ..formats import finest, format_named
from ..locate import pinpoint
from ..modes import Mode
from ..subjects.numpy_function import Differentiated
from ..subjects.subject import results
from ..examination import Examination
from .report import GradientError, Report
from .subjects import cannot_call, subject_of


def check(f: Callable[..., Any], *inputs: Any, gradient: Callable[..., Any] | bool | None = None,
          vjp: Callable[..., Any] | None = None, jvp: Callable[..., Any] | None = None,
          reference: Callable[..., Any] | None = None, argnums: int | tuple[int, ...] | None = None,
          dtypes: str | Sequence[str] | None = None, seed: int = 0, order: int = 2,
          modes: str | Sequence[str] | None = None, symmetric: str | Sequence[str] = (),
          surrogate: Callable[..., Any] | None = None, quick: bool = False, thorough: bool = False,
          kwargs: dict[str, Any] | None = None) -> Report:
    """Check the derivatives of ``f(*inputs)``; returns a `Report`, which prints as a table.

    What is checked:

    - ``check(f, *arrays)``: a NumPy function that refgrad differentiates, with primitives of your
      own or without
    - ``check(f, *arrays, gradient=..., vjp=..., jvp=...)``: a NumPy function with a derivative that
      somebody wrote: ``gradient(*inputs)`` (f returns one number), or True if f returns (value,
      gradient) as scipy's ``jac=True``; ``vjp(g, *inputs)``: an array for each input that is
      differentiated, in the input's nest; ``jvp(tangents, *inputs)``: the tangent of the result
    - ``check(f, *tensors, reference=numpy_function)``: a torch function, Module or
      autograd.Function, measured by the exact gradient of the same function in NumPy (a Module's
      parameters are passed on by name, with _ for .)
    - ``check(f, *tensors)``: the same with nothing else, in the place of torch.autograd.gradcheck
    - ``check(f, *arrays)`` with a JAX function, through jax.vjp and jax.jvp

    f          the function; its results may be any nesting of arrays
    inputs     example inputs, arrays or dicts and lists of them.  Floats are differentiated (of
               tensors those that require a gradient, if any does), integers and all else is passed
               on
    argnums    which inputs to differentiate, as a tuple of positions; None for all that can be
    dtypes     names of the dtypes to test in; None for float64, float32 and those of the tensors
    seed       the same seed gives the same points and the same findings
    order      1 for first derivatives alone
    modes      the modes of differentiation to check, as in ("reverse", "forward over reverse");
               None for all
    symmetric  names of inputs that are symmetric matrices: the gradient must be right along
               symmetric directions
    surrogate  the NumPy function whose gradient a straight-through estimator stands for; f itself
               may have other values
    quick      few points and first derivatives alone: seconds where all takes minutes
    thorough   look at all points even after a clear failure at the inputs as given
    kwargs     keyword arguments of f, as a dict; their floats are differentiated too

    Besides the inputs as given it looks at points around them where rules break: other scales and
    signs, zeros, ties, thresholds, saturated tails, batches of one.  f itself is differenced, in
    ball arithmetic where it runs on balls, in floats with a stated uncertainty where not.

    Raises TypeError for what is not a function or has no float among its inputs, ValueError for
    argnums that are not positions of float arrays, unknown modes or dtypes, where f raises an error
    or is not finite at the inputs.
    """
    dtypes = None if dtypes is None else _names(dtypes)
    subject = subject_of(f, inputs, gradient, vjp, jvp, argnums, dtypes, kwargs)
    subject.modes = _modes(modes, 1 if quick else order, subject)
    subject.symmetric = _symmetric(symmetric, subject)
    if surrogate is not None and reference is not None:
        raise ValueError("check: give reference= (the same function in NumPy) or surrogate= (the "
                         "function whose gradient f's backward stands for), not both")
    subject.stands_in = surrogate is not None
    program = _reference("reference" if surrogate is None else "surrogate",
                         reference or surrogate, subject)
    ys = _finite(subject, inputs)
    examination = Examination(subject, program, seed, quick, thorough)
    return Report(_title(subject), examination, notes=_hints(subject, ys), locate=_culprit)


def assert_gradient(f: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
    """`check`, for use in a test: raises `GradientError` with the report's table if it is not
    ok."""
    __tracebackhide__ = True  # pytest shows the line that called it
    report = check(f, *inputs, **options)
    if not report.ok:
        raise GradientError(report)
    return report


def _names(dtypes):
    """The dtypes, one or several, as names of `FORMATS`."""
    several = dtypes if isinstance(dtypes, (tuple, list)) else (dtypes,)
    if not several:
        raise ValueError("check: dtypes is empty; expected at least one name, such as ('float64', "
                         "'float32')")
    return tuple(dict.fromkeys(format_named(d).name for d in several))


def _modes(modes, order, subject):
    """The subject's modes among those asked for."""
    if order not in (1, 2):
        raise ValueError(f"check: order={order!r}; expected 1 or 2")
    if modes is None:
        return tuple(m for m in subject.modes if m.order <= order)
    several = (modes,) if isinstance(modes, str) else tuple(modes)
    unknown = [m for m in several if m not in tuple(Mode)]
    if unknown or not several:
        raise ValueError(f"check: modes={modes!r}; expected some of "
                         f"{', '.join(map(repr, map(str, Mode)))}")
    return tuple(m for m in subject.modes if m in several)


def _symmetric(names, subject):
    """The names of inputs that are symmetric matrices."""
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        a = subject.inputs().get(name)
        if (a is None or a.ndim < 2 or a.shape[-1] != a.shape[-2]
                or not np.array_equal(a, np.swapaxes(a, -1, -2))):
            came = "no input that is differentiated" if a is None else describe(a)
            raise ValueError(f"check: symmetric={names!r}: {name} is {came}; expected names of "
                             f"symmetric matrices among {', '.join(subject.inputs())}")
    return frozenset(names)


def _reference(what, reference, subject):
    """The reference on a dict of arrays, as a list of results; None if there is none."""
    if reference is None:
        return None
    if not callable(reference):
        raise TypeError(f"check: {what} is {describe(reference)}; expected a function in NumPy")
    return subject.reference(reference)


def _finite(subject, inputs):
    """The results at the caller's own inputs; raises where there are none: nothing could be said of
    a derivative."""
    for name, a in subject.inputs().items():
        if not np.isfinite(a).all():
            raise ValueError(f"check: {name} has nan or inf among its entries; expected finite "
                             "numbers")
    try:
        ys = subject.value(subject.inputs(), finest(subject.dtypes))
    except Exception as error:
        raise cannot_call(subject.f, error, inputs) from error
    finally:
        subject.state.put_back()
    if not ys:
        raise TypeError(f"check: {subject.name} returns no array of floats; expected at least one")
    if getattr(subject, "gradient", None) is not None and [np.shape(y) for y in ys] != [()]:
        raise ValueError("check: gradient= is for a function with one number as its result; "
                         f"{subject.name} returns {', '.join(map(describe, ys))}. Give its vjp= "
                         "instead: vjp(g, *inputs)")
    if not all(np.isfinite(y).all() for y in ys):
        raise ValueError(f"check: {subject.name} is nan or inf at the inputs; expected inputs at "
                         "which it is finite")
    return ys


def _hints(subject, ys):
    """What may be meant otherwise than it was asked."""
    shapes, own = [np.shape(y) for y in ys], [a.shape for a in subject.inputs().values()]
    if isinstance(subject, Differentiated) and len(ys) > 1 and shapes == [(), *own]:
        yield (f"{subject.name} returns a number and arrays of its inputs' shapes, all of which "
               "were differentiated. If they are its gradient, check that with gradient=True.")


def _culprit(examination, finding):
    """The primitive at fault for a failure of refgrad's rules, a `Culprit`; None if another's code
    failed."""
    subject, point = examination.subject, examination.points.get(finding.point)
    if not examination.own_rules or examination.why_floats or point is None:
        return None
    form = format_named("float32")
    x = {k: a if point.extreme else form.round(a) for k, a in point.x.items()}

    def program(*arrays):
        ys = results(subject.call(dict(zip(x, arrays))))
        return ys[0] if len(ys) == 1 else np.concatenate([np.ravel(y) for y in ys])

    with subject.given(point.constants):
        return pinpoint(program, *x.values(), seed=examination.seed)


def _title(subject):
    shapes = ", ".join(f"{k}: {','.join(map(str, a.shape)) or 'scalar'}"
                       for k, a in subject.inputs().items())
    return f"{subject.name}({shapes})"
