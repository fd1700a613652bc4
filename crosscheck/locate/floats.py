"""One operation alone in floating point, where its formulas hold on balls: is the result what rounding allows, and does
the rule behave?  A rule that computes in float32, that takes another branch at large inputs or that keeps state between
calls is right on balls and wrong here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ball import Ball, Undecided, arithmetic
from ..formats import format_named
from ..modes import Mode
from ..truth.differences import BITS, evaluated, step_of_order
from ..truth.exact import FINER, Agreement, Bound
from ..verdict import NOT_FINITE, TYPICAL, WRONG, Context, judge
from .culprit import accuse
from .first import Unable
from .local import Local, is_finite, tupled
from .trace import is_floating

#: Of a cotangent that no rule gives on balls, so many entries are differenced.
SAMPLED = 64


def floating(operation, seed, unable=None):
    """The `Culprit`, or None.  `unable` is what the rules raised on balls, if they do not run there."""
    with np.errstate(all="ignore"):
        try:
            return _conduct(operation, seed, unable) or _accuracy(operation, seed, unable)
        except (Undecided, Unable, NotImplementedError, TypeError):
            return None


def _run(operation, dtype, order, seed):
    """The operation's rules on floats; None where its values do not fit into the dtype, or have no other order."""
    values = [np.array(a, dtype=dtype, order=order) if is_floating(a) else a for a in operation.values]
    floats = [(a, b) for a, b in zip(values, operation.values) if is_floating(a)]
    if not all(np.all(np.isfinite(a)) and np.all((a == 0) == (b == 0)) for a, b in floats):
        return None
    run = Floats(operation, values, order, seed)
    return run if order == "C" or any(np.ndim(a) > 1 for a in (*run.g, *run.v.values())) else None


class Floats:
    """The operation on floats of one dtype, in one order of memory: the values, a cotangent, and the directions."""

    def __init__(self, operation, values, order, seed):
        self.operation, self.primitive, self.params = operation, operation.primitive, operation.params
        self.values, self.order = values, order
        self.result, self.kept = self.primitive.trace(values, self.params)
        # What is computed of several dtypes, or into another one, is as good as the coarsest of them.
        self.dtype = min((a.dtype for a in (*values, *map(np.asarray, tupled(self.result))) if is_floating(a)),
                         key=lambda d: d.itemsize).name
        self.exact = Local(_at(operation, values), seed)
        self.g = tuple(np.array(g.mid(), np.asarray(y).dtype, order=order)
                       for g, y in zip(self.exact.g, tupled(self.result)))
        self.v = {i: np.array(self.exact.v[i], values[i].dtype, order=order) for i in operation.wanted}
        # The directions as the dtype has them are the exact ones.
        self.exact.g = tuple(Ball(g.astype(np.float64)) for g in self.g)

    def vjp(self, i):
        g = self.g if self.primitive.multiple else self.g[0]
        c = self.primitive.pull(g, self.kept, self.values, self.params, [i])[0]
        return np.zeros_like(self.values[i]) if c is None else c

    def jvp(self, i):
        tangents = [self.v[i] if k == i else None for k in range(len(self.values))]
        return self.primitive.push(tangents, self.kept, self.values, self.params, self.result)


def _at(operation, values):
    """The operation at other values, which float64 holds, too."""
    return replace(operation, values=[a.astype(np.float64) if is_floating(a) else a for a in values])


# Conduct


def _conduct(operation, seed, unable):
    run = _run(operation, "float64", "C", seed)
    if run is None:
        return None
    for rule, call, direction in (("vjp", run.vjp, run.g), ("jvp", run.jvp, run.v)):
        for i in operation.wanted:
            handed = [*run.values, run.kept, direction]
            before = _copied(handed)
            try:
                results = [_copied(call(i)) for _ in range(3)]
            except NotImplementedError:
                continue
            except Exception as error:
                note = f"it raises {type(error).__name__}: {error}"
                return accuse(operation, rule, i, dtype="float64", note=note) if unable is not None else None
            if not _same(before, handed):
                return accuse(operation, rule, i, dtype="float64",
                              note=f"it overwrites what it is handed: its {_overwritten(before, handed, run)}")
            if not all(_same(results[0], r) for r in results[1:]):
                return accuse(operation, rule, i, dtype="float64",
                              note="called again with the same arguments it gives another result")
    return None


def _overwritten(before, after, run):
    names = [*(f"argument {k}" for k in range(len(run.values))), "forward pass's result", "cotangent or tangent"]
    return next(n for n, a, b in zip(names, before, after) if not _same(a, b))


def _copied(x):
    if isinstance(x, (tuple, list)):
        return type(x)(map(_copied, x))
    if isinstance(x, dict):
        return {k: _copied(a) for k, a in x.items()}
    return np.copy(x) if isinstance(x, np.ndarray) else x


def _same(a, b):
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind == "f":
        return np.array_equal(a, b, equal_nan=True)
    return a is b or bool(np.all(a == b))


# Accuracy


def _accuracy(operation, seed, unable):
    runs = [_run(operation, *how, seed) for how in (("float64", "C"), ("float32", "C"), ("float64", "F"))]
    for i in operation.wanted:
        for rule in ("vjp", "jvp"):
            answers = [(run, _answer(run, rule, i)) for run in runs if run is not None]
            answers = [(run, answer) for run, answer in answers if answer is not None]
            for run, answer in answers:
                # Without a bound another precision tells a rounding error from a wrong formula.
                twin = next((a for r, a in answers if r.dtype != run.dtype), None) if unable is not None else None
                found = _judged(run, rule, i, answer, twin, unable)
                if found is not None:
                    return found
    return None


def _answer(run, rule, i):
    try:
        return getattr(run, rule)(i)
    except Exception:  # no number, which is no wrong one
        return None


def _judged(run, rule, i, answer, twin, unable):
    dtype = run.dtype
    known = _differenced(run, rule, i) if unable is not None else _enclosed(run, rule, i, answer)
    for k, (exact, bound, where) in enumerate(known):
        part = np.asarray(tupled(answer)[k])
        if where is not None and np.shape(part) == run.values[i].shape and rule == "vjp":
            part, twin = part.reshape(-1)[where], None if twin is None else np.reshape(twin, -1)[where]
        scale = float(np.max(exact.abs_upper(), initial=0.0)) or 1.0
        size = max(float(np.max(np.abs(y), initial=0.0)) for y in tupled(run.result))
        context = Context(Mode.REVERSE, dtype, Agreement(np.inf), scale, size if np.isfinite(size) else 0.0, BITS[0],
                          twin=twin, twin_dtype="float32" if dtype == "float64" else "float64")
        verdict = judge(part, exact, lambda bound=bound: bound, context)
        if verdict.verdict in (WRONG, NOT_FINITE):
            return _accused(run, rule, i, part, exact, verdict, where)
    return None


def _enclosed(run, rule, i, answer):
    """[(the exact result on balls, its bound, None)] for each result of a rule whose formula holds.

    Empty where there is nothing to judge: where every entry is right but for a few ulps, which needs no bound.
    """
    def results():
        vjp, jvp = run.exact.rules()
        return (vjp(i),) if rule == "vjp" else jvp(i, Ball(run.v[i].astype(np.float64)))

    with arithmetic(BITS[0]):
        exact = results()
    if not is_finite(exact):
        return []
    unit = TYPICAL * format_named(run.dtype).eps
    if all(np.shape(a) == e.shape and np.all(np.abs(a - e.mid()) <= unit * np.abs(e.mid()))
           for a, e in zip(tupled(answer), exact)):
        return []
    size = max(float(np.max(e.abs_upper(), initial=0.0)) for e in exact) or 1.0
    limits, how = _limits(results, exact, run.dtype, 0), "proven"
    if max(np.max(l, initial=0.0) for l in limits) >= size:
        first_order = _limits(results, exact, run.dtype, FINER)
        limits, how = [np.minimum(a, b) for a, b in zip(limits, first_order)], "first order"
    return [(e, Bound(l, how), None) for e, l in zip(exact, limits)]


def _limits(results, exact, dtype, finer):
    try:
        with arithmetic(dtype, finer):
            rounded = results()
    except (Undecided, ZeroDivisionError):
        return [np.full(e.shape, np.inf) for e in exact]
    with arithmetic(BITS[0]):
        return [(np.abs(r - e) * 2.0 ** finer).abs_upper() for r, e in zip(rounded, exact)]


def _differenced(run, rule, i):
    """The same by differences of the function, for a rule that does not run on balls: no bound is known then."""
    local, h = run.exact, step_of_order(1, BITS[0])
    with arithmetic(BITS[0]):
        here = evaluated(lambda x: local.function(), {})
        if rule == "jvp":
            quotient = local.difference(i, Ball(run.v[i].astype(np.float64)), h, here)
            return [] if quotient is None else [(q, Bound(np.zeros(q.shape), "none"), None) for q in quotient]
        x = run.values[i].reshape(-1)
        entries, exact = np.arange(x.size)[:SAMPLED], []
        for n in entries:
            size = float(abs(x[n])) or 1.0
            e = np.zeros(x.size)
            e[n] = size
            quotient = local.difference(i, Ball(e.reshape(run.values[i].shape)), h, here)
            if quotient is None:
                return []
            exact.append(sum(np.sum(g * q) for g, q in zip(local.g, quotient)) / size)
        return [(np.stack(exact), Bound(np.zeros(len(exact)), "none"), entries)] if exact else []


def _accused(run, rule, i, part, exact, verdict, where):
    with np.errstate(all="ignore"):
        off = np.abs(part.astype(np.float64) - exact.mid())
    entry = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
    gives, true = float(part[entry]), float(exact.mid()[entry])
    if where is not None:
        entry = np.unravel_index(where[entry[0]], run.values[i].shape)
    agree = -np.log10(abs(gives - true) / abs(true)) if true and np.isfinite(gives) and gives != true else np.nan
    notes = [verdict.note, f"{verdict.ulp_max:.3g} ulps" if np.isfinite(verdict.ulp_max) else "",
             "the formula holds in exact arithmetic" if where is None else "by differences of the function",
             "for arrays that are transposed in memory" if run.order == "F" else ""]
    return accuse(run.operation, rule, i, entry=tuple(map(int, entry)), gives=gives, exact=true, digits=agree,
                  dtype=run.dtype, note="; ".join(filter(None, notes)))
