"""Test the rule of one operation.

There are three tests: whether the rule's formula is right to first order, whether it is right when
it is differentiated again, and whether floating point computes it accurately.  An operation at a
kink is tested there, and at a point nearby where it is smooth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refgrad.primitive import TABLE

from ..ball import Ball, Undecided, arithmetic, digits
from ..conduct import brief, conduct
from ..kinks import kinks
from ..modes import ALL, FIRST_ORDER, Mode
from ..points import Point
from ..subjects.arguments import is_floating
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ..subjects.libraries.refgrad_library import inner
from ..subjects.rule import DTYPES, Rule
from ..subjects.subject import raised_by_the_subject
from ..trial import Trial
from ..truth.by_balls import ByBalls
from ..truth.differences import BY_DIFFERENCES
from ..verdict import NO_ANSWER
from .culprit import accuse

SECOND_ORDER = tuple(mode for mode in Mode if mode.order == 2)

#: Which rule of a primitive each mode runs, or differentiates again.
RULES = {Mode.REVERSE: "vjp", Mode.FORWARD: "jvp",
         Mode.REVERSE_OVER_REVERSE: "vjp", Mode.FORWARD_OVER_REVERSE: "vjp",
         Mode.REVERSE_OVER_FORWARD: "jvp", Mode.FORWARD_OVER_FORWARD: "jvp"}

#: What is said where the two rules disagree and no difference tells which is wrong.
BOTH = "vjp or jvp"

#: How far from a kink the point beside it lies, relative to the entries' size: float32 sees it.
ASIDE = 2.0 ** -18

#: Beyond this, squares leave the range of floats, and overflow on the way is no fault.
LARGE = 2.0 ** 500


class Suspect:
    """An operation on trial; `seed` draws its cotangents and directions.

    trials  at the operation's own values and, where these are at a kink, beside it
    """

    def __init__(self, operation, seed):
        self.operation, self.seed = operation, seed
        here = _trial(operation, seed)
        there = here and _beside(here, operation, seed)
        self.trials = [t for t in (here, there) if t is not None]

    def to_first_order(self):
        """The `Culprit` if the formula is wrong in ball arithmetic; None if it is right or
        inconclusive."""
        for trial in self.trials:
            for finding in trial.on_balls(FIRST_ORDER):
                # What balls cannot run is judged by its floats.
                if finding.failed and finding.verdict != NO_ANSWER:
                    return self._accused(trial, finding)
        return None

    def to_second_order(self):
        """The same for a rule that is differentiated again, where it holds to first order."""
        trial = self.trials[-1] if self.trials else None
        if trial is None or trial.known.truth.by is BY_DIFFERENCES:
            return None
        rule, known = Rule(trial.subject.operation, curved=True), trial.known
        try:
            known = _known(rule, trial.point, known.weights, known.u, known.v, tuple(Mode))
        except Exception as error:
            return self._raises_again(trial, Mode.FORWARD_OVER_REVERSE, brief(error))
        if known.undecided:
            return None
        wrong = []
        for finding in Trial(rule, known, trial.point).on_balls(SECOND_ORDER):
            if finding.verdict == NO_ANSWER:
                if culprit := self._raises_again(trial, Mode(finding.check), finding.note):
                    return culprit
            elif finding.failed and finding.check not in wrong:
                wrong.append(Mode(finding.check))
        return self._accused_again(rule, known, wrong) if wrong else None

    def in_floats(self):
        """The `Culprit` if floating point computes the rule wrongly, or if the rule has side
        effects."""
        for trial, finding in self._findings_in_floats():
            # An error on floats alone is a refusal, of a matrix that is singular there, for
            # example.
            raises = trial.known.truth.by is BY_DIFFERENCES and finding.dtype == DTYPES[0]
            if finding.failed and (finding.verdict != NO_ANSWER or raises):
                return self._accused(trial, finding)
        return None

    def _findings_in_floats(self):
        """Yield (`Trial`, `Finding`): float64, then float32 where it holds the values."""
        able = [t for t in self.trials if t.known.truth.by is REFGRAD]
        coarse = _coarse(self.trials[-1].subject.operation, self.seed) if self.trials else None
        plan = [(t, DTYPES[:1]) for t in able]
        if coarse is not None:
            # Without a bound another precision tells a rounding error from a wrong formula.
            plan.append((coarse, DTYPES[1:] if able else DTYPES))
        plan = [(t, [d for d in dtypes if t.subject.keeps(d)]) for t, dtypes in plan]
        for trial, dtypes in plan:
            for dtype in dtypes:
                trial.ask(FIRST_ORDER, dtype)
            for dtype in dtypes:
                yield from ((trial, f) for f in (*kinks(trial, dtype), *trial.findings(dtype)))
        # Conduct: once, in the finest dtype, beside a kink rather than at it.
        finest = [(t, dtypes) for t, dtypes in plan if DTYPES[0] in dtypes]
        for trial, dtypes in (finest or plan)[-1:]:
            if dtypes and not trial.point.extreme:
                yield from ((trial, f) for f in conduct(trial, dtypes[0], ()))

    # Culprits

    def _accused(self, trial, finding):
        """The `Culprit` that a finding of first order names."""
        check, name, note = finding.check, finding.argument, finding.note
        by_mode, on_balls = check in RULES, finding.dtype == "exact"
        evidence = {}
        if by_mode and name in trial.point.x:
            try:
                evidence = (_figures_on_balls if on_balls else _figures_in_floats)(trial, finding)
            except (Undecided, np.linalg.LinAlgError):
                pass  # a step leaves the domain: the finding says enough
        if not by_mode:
            note = f"at a {check}: {note}" if check == "kink" else f"{check}: {note}"
        elif finding.verdict == NO_ANSWER:
            note = f"it raises {note}"
        elif on_balls and evidence:
            note = ""  # the same figures
        notes = (note, f"{finding.ulps:.3g} ulps" if np.isfinite(finding.ulps) else "",
                 "beside the kink" if trial is not self.trials[0] and len(self.trials) > 1 else "")
        return accuse(self.operation, _rule_of(check), int(name) if name.isdigit() else None,
                      note="; ".join(filter(None, notes)),
                      dtype="exact arithmetic" if on_balls else finding.dtype, **evidence)

    def _accused_again(self, rule, known, wrong):
        """The `Culprit` of modes of second order that are wrong."""
        # Forward over reverse is the exact value of the others: where differences refute it, it
        # alone is certainly wrong.
        if known.refuted(Mode.FORWARD_OVER_REVERSE, ALL):
            wrong = [m for m in wrong if RULES[m] == "vjp"]
        found = _found_on_balls(rule, known, wrong[0])
        with arithmetic(known.truth.bits):
            u = {k: Ball(a) for k, a in known.u.items()}
            along = found[ALL] if ALL in found else inner(found, u)
            figures = _compared(along, known.agreement(wrong[0], ALL).quotient)
        rules = " and ".join(dict.fromkeys(RULES[m] for m in wrong))
        return accuse(self.operation, f"{rules} differentiated again", None, **figures,
                      note=f"the second derivative is wrong by {', '.join(wrong)}; to first order "
                           f"the rule is right")

    def _raises_again(self, trial, mode, note):
        """The `Culprit` if the rule raises the same error on plain arrays, so that balls are not
        the cause; else None."""
        known = trial.known
        try:
            trial.subject.answer(mode, trial.point.x, known.weights, known.u, known.v, DTYPES[0])
        except NotImplementedError:
            return None
        except Exception as error:
            if brief(error).split(":")[0] == note.split(":")[0]:
                return accuse(self.operation, f"{RULES[mode]} differentiated again", None,
                              note=f"the rule cannot be differentiated again ({mode}): {note}")
        return None


def _rule_of(check):
    """The rule of the primitive that a check tests."""
    if check == "kink":
        return BOTH
    return RULES.get(check) or ("jvp" if check.endswith("forward") else "vjp")


# Trials


def _trial(operation, seed, dtype=DTYPES[0], coordinates=0):
    """The `Trial` of an operation's rule, along directions that the dtype holds; None where
    nothing is known.  For `coordinates` see `truth.exact.differentiate`."""
    if not all(np.all(np.isfinite(a)) for a in operation.values if is_floating(a)):
        return None
    rule, rng = Rule(operation), np.random.default_rng(seed)
    x = rule.inputs()
    weights = [_normal(rng, y, dtype) for y in rule.results]
    # No larger than the entries or 1: a step must not leave the domain, nor a period.
    u, v = ({k: _normal(rng, a, dtype, _size(a)) for k, a in x.items()} for _ in range(2))
    largest = [np.max(np.abs(a), initial=0.0) for a in (*x.values(), *rule.results)]
    point = Point(operation.place, x, extreme=not max(largest, default=0.0) < LARGE)
    # Where a rule does not run on balls the difference itself stands in for it.
    for source, entries in ((REFGRAD, coordinates), (BY_DIFFERENCES, 0)):
        try:
            known = _known(rule, point, weights, u, v, FIRST_ORDER, source, entries)
        except Exception as error:  # a rule, or the function itself, that does not run on balls
            if not (isinstance(error, Undecided) or raised_by_the_subject(error)):
                raise
            continue
        if not known.undecided:
            known.truth.held[Mode.FORWARD] = True  # forward mode is judged by itself
            return Trial(rule, known, point)
    return None


def _known(rule, point, weights, u, v, modes, source=REFGRAD, coordinates=0):
    """What is known of a `Rule` at a point.  A user's own rules may hold rounded constants, the
    table's may not."""
    strict = any(rule.primitive is p for p in TABLE.values())
    return ByBalls(rule.program(), point.x, weights, u, v, 0, modes, on_trial=True, strict=strict,
                   coordinates=coordinates, by=source)


def _normal(rng, like, dtype, size=1.0):
    """Normal numbers in the shape of an array, times `size`, which the dtype holds."""
    return np.asarray(rng.standard_normal(np.shape(like)) * size).astype(dtype).astype(float)


def _size(a):
    """The sizes of entries, those of the largest for zeros; at most 1."""
    size = np.abs(a)
    return np.minimum(np.where(size > 0, size, np.max(size, initial=0.0) or 1.0), 1.0)


#: Ways to step aside by t, in turn until the function has a value there.
STEPS = (lambda a, t: a - t * _size(a), lambda a, t: np.where(a == 0, t, a * (1 - t)),
         lambda a, t: a + t * _size(a))


def _beside(trial, operation, seed):
    """The `Trial` beside a kink; None where there is no kink."""
    agreements = {k: trial.known.agreement(Mode.REVERSE, k) for k in trial.point.x}
    rough = [k for k, a in agreements.items() if a.kink or a.open]
    rng = np.random.default_rng(seed)
    for step in STEPS if rough else ():
        values = list(operation.values)
        for k in rough:
            t, a = ASIDE * rng.uniform(0.5, 1, trial.point.x[k].shape), values[int(k)]
            t = (t + np.swapaxes(t, -1, -2)) / 2 if k in trial.subject.symmetric else t
            values[int(k)] = np.asarray(step(a, t), a.dtype)
        there = _trial(replace(operation, values=values), seed)
        if there is not None and all(np.isfinite(y).all() for y in there.subject.results):
            return there
    return None


def _coarse(operation, seed):
    """The `Trial` at the nearest values that float32 holds; None if these are of another kind."""
    floats = [(n, np.asarray(a, np.float32)) for n, a in enumerate(operation.values)
              if is_floating(a)]
    values = list(operation.values)
    for n, a in floats:
        if not (np.isfinite(a).all() and np.array_equal(a == 0, values[n] == 0)):
            return None
        values[n] = a.astype(float)
    # That the formula holds is known already.
    return _trial(replace(operation, values=values), seed, DTYPES[1], coordinates=None)


# Figures


def _found_on_balls(rule, known, mode):
    x, u, v = ({k: Ball(a) for k, a in d.items()} for d in (known.x, known.u, known.v))
    with arithmetic(known.truth.bits):
        return rule.on_balls(mode, x, [Ball(w) for w in known.weights], u, v)


def _compared(gives, exact):
    """The figures of a `Culprit` for a Ball that a rule gives and the exact one."""
    size = np.abs(exact) if float(np.abs(exact).lower()) > 0 else Ball(1.0)
    return {"gives": float(gives.mid()), "exact": float(exact.mid()),
            "digits": float(digits(gives, exact, size))}


def _figures_on_balls(trial, finding):
    mode, name, known = Mode(finding.check), finding.argument, trial.known
    agreement = known.agreement(mode, name)
    if agreement.kink or agreement.open:
        return {}
    found = _found_on_balls(trial.subject, known, mode)[name]
    with arithmetic(known.truth.bits):
        if mode == Mode.FORWARD:
            return _compared(found, agreement.quotient)
        index, gives, exact = known.entry_off(name, found)
        return {"entry": tuple(map(int, index)), **_compared(gives, exact)}


def _figures_in_floats(trial, finding):
    mode, name = Mode(finding.check), finding.argument
    given = np.asarray(trial.answers[finding.dtype][mode][name])
    exact = trial.known.truth.derivatives[mode][name].mid()
    if given.shape != exact.shape or not given.size:
        return {}
    off = np.abs(given.astype(float) - exact)
    entry = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
    gives, exact = float(given[entry]), float(exact[entry])
    off = abs(gives / exact - 1) if exact and np.isfinite(gives) else 0.0
    return {"gives": gives, "exact": exact, "digits": -np.log10(off) if off else np.nan,
            "entry": tuple(map(int, entry)) if mode == Mode.REVERSE else None}
