"""check: is this gradient right?"""

from __future__ import annotations

import numpy as np

from refgrad.errors import describe

from ..conduct import finest
from ..formats import format_named
from ..locate import pinpoint
from ..subjects.numpy_function import Differentiated, HandWritten
from ..subjects.subject import Arguments, argument_names, chosen_of, results
from ..trial import Examination
from .report import GradientError, Report

DTYPES = ("float64", "float32")


def check(f, *inputs, gradient=None, vjp=None, jvp=None, reference=None, argnums=None, dtypes=None, seed=0):
    """Check the derivatives of ``f(*inputs)``; returns a `Report`, which prints as a table.

    What is checked:

    - ``check(f, *arrays)``: a NumPy function that refgrad differentiates, with primitives of your own or without
    - ``check(f, *arrays, gradient=..., vjp=..., jvp=...)``: a NumPy function with a derivative that somebody wrote:
      ``gradient(*inputs)`` (f returns one number), ``vjp(g, *inputs)``: an array for each input that is differentiated,
      ``jvp(tangents, *inputs)``: the tangent of the result
    - ``check(f, *tensors, reference=numpy_function)``: a torch function, Module or autograd.Function, measured by the
      exact gradient of the same function in NumPy (a Module's parameters are passed on by name, with _ for .)
    - ``check(f, *tensors)``: the same with nothing else, in the place of torch.autograd.gradcheck

    f          the function; its results may be any nesting of arrays
    inputs     example inputs.  Arrays of floats are differentiated (of tensors those that require a gradient, if any
               does), integers and all else is passed on
    argnums    which inputs to differentiate, as a tuple of positions; None for all that can be
    dtypes     names of the dtypes to test in; None for float64, float32 and those of the tensors
    seed       the same seed stands at the same points and finds the same

    Besides the inputs as given it stands at points around them where rules break: other scales and signs, zeros, ties,
    thresholds, saturated tails, batches of one.  f itself is differenced, in ball arithmetic where it runs on balls, in
    floats with a stated uncertainty where not.

    Raises TypeError for what is not a function or has no float among its inputs, ValueError for argnums that are not
    positions of float arrays or f not finite at the inputs.
    """
    subject = subject_of(f, inputs, gradient, vjp, jvp, argnums, dtypes)
    program = _reference(reference, subject)
    _finite(subject)
    examination = Examination(subject, program, seed)
    how = "differences" if examination.why_floats else "balls"
    return Report(_title(subject), how, examination.findings(), examination.why_floats,
                  lambda finding: _culprit(examination, finding))


def assert_gradient(f, *inputs, **options):
    """`check`, for use in a test: raises `GradientError` with the report's table if anything is wrong."""
    report = check(f, *inputs, **options)
    if not report.ok:
        raise GradientError(report)
    return report


def subject_of(f, inputs, gradient=None, vjp=None, jvp=None, argnums=None, dtypes=None):
    """The `Subject` that `check` puts on trial."""
    if not callable(f):
        raise TypeError(f"check: f is {describe(f)}; expected a function, a torch Module or an autograd.Function")
    dtypes = None if dtypes is None else _names(dtypes)
    if _is_torch(f, inputs):
        from ..subjects.torch_function import subject_of as torch_subject_of
        if gradient or vjp or jvp:
            raise TypeError("check: gradient=, vjp= and jvp= belong to a NumPy function; torch's bring their own")
        subject = torch_subject_of(f, inputs, dtypes, argnums)
    else:
        values = [np.asarray(a) if isinstance(a, (float, np.generic)) else a for a in inputs]
        names = argument_names(f, 0, len(values))
        for name, a in zip(names, values):
            if getattr(getattr(a, "dtype", None), "kind", "") == "c":
                raise TypeError(f"check: {name} is {describe(a)}; expected real numbers (real and imaginary parts)")
        floats = [k for k, a in enumerate(values) if getattr(getattr(a, "dtype", None), "kind", "") == "f"]
        arguments = Arguments(names, values, chosen_of(argnums, floats, len(values)))
        dtypes = DTYPES if dtypes is None else dtypes
        if gradient is None and vjp is None and jvp is None:
            subject = Differentiated(f, arguments, dtypes)
        else:
            subject = HandWritten(f, arguments, dtypes, gradient, vjp, jvp)
    if not subject.arguments.chosen:
        came = ", ".join(map(describe, inputs)) or "there is none"
        raise TypeError(f"check: no input of {subject.name} is an array of floats ({came}); expected at least one to "
                        f"differentiate")
    return subject


def _names(dtypes):
    """The dtypes, one or several, as names of `FORMATS`."""
    several = dtypes if isinstance(dtypes, (tuple, list)) else (dtypes,)
    if not several:
        raise ValueError("check: dtypes is empty; expected at least one name, such as ('float64', 'float32')")
    return tuple(dict.fromkeys(format_named(d).name for d in several))


def _is_torch(f, inputs):
    """Decided by names, so that torch is imported only if it is there already."""
    kinds = [*(f.__mro__ if isinstance(f, type) else type(f).__mro__), *(type(a) for a in inputs)]
    modules = [k.__module__ for k in kinds] + [getattr(f, "__module__", "") or ""]
    return any(m.split(".")[0] == "torch" for m in modules)


def _reference(reference, subject):
    """The reference on a dict of arrays, as a list of results; None if there is none."""
    if reference is None:
        return None
    if not callable(reference):
        raise TypeError(f"check: reference is {describe(reference)}; expected the same function in NumPy")
    return subject.reference(reference)


def _finite(subject):
    """Raise where the function has no value at the caller's own inputs: nothing could be said about its derivative."""
    for name, a in subject.inputs().items():
        if not np.isfinite(a).all():
            raise ValueError(f"check: {name} has nan or inf among its entries; expected finite numbers")
    ys = subject.value(subject.inputs(), finest(subject.dtypes))
    if not ys:
        raise TypeError(f"check: {subject.name} returns no array of floats; expected at least one")
    if getattr(subject, "gradient", None) is not None and [np.shape(y) for y in ys] != [()]:
        raise ValueError(f"check: gradient= is for a function with one number as its result; {subject.name} returns "
                         f"{', '.join(map(describe, ys))}. Give its vjp= instead: vjp(g, *inputs)")
    if not all(np.isfinite(y).all() for y in ys):
        raise ValueError(f"check: {subject.name} is nan or inf at the inputs; expected inputs at which it is finite")


def _culprit(examination, finding):
    """The primitive at fault for a failure of refgrad's rules, a `Culprit`; None if another's code failed."""
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
    shapes = ", ".join(f"{k}: {','.join(map(str, a.shape)) or 'scalar'}" for k, a in subject.inputs().items())
    return f"{subject.name}({shapes})"
