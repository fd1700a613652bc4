"""The checker itself on trial: a part of it is spoilt, and one of its own tests must fail.

Each fault names the scenarios of which at least one must no longer hold.
"""

import contextlib

import numpy as np
import pytest

from crosscheck import conduct, examination, kinks, points, verdict
from crosscheck.ball import Ball, decisions
from crosscheck.checker.report import Report
from crosscheck.state import State
from crosscheck.subjects import subject
from crosscheck.truth import by_balls, by_differences, differences, estimated
from tests.crosscheck.scenarios import SCENARIOS

FAULTS = {}


def fault(*noticed_by):
    def register(plant):
        FAULTS[plant.__name__.replace("_", " ")] = plant, noticed_by
        return plant
    return register


# Ball arithmetic


@fault("proven in float32")
def a_ball_radius_is_ignored(patch):
    patch.setattr(Ball, "abs_upper", lambda self: np.abs(self.mid()))


@fault("what balls cannot decide")
def an_open_comparison_is_taken_as_False(patch):
    patch.setattr(decisions, "refuse", lambda *arguments: None)


@fault("refgrad's relu, with its kinks")
def branches_are_not_recorded(patch):
    patch.setattr(differences, "branches", lambda: contextlib.nullcontext([]))


@fault("a primitive wrong by 1e-12")
def few_digits_are_required(patch):
    patch.setattr(by_balls, "OF_CONSTANTS", 10)


@fault("jvp's sign")
def what_disagrees_on_balls_is_the_reference(patch):
    patch.setattr(by_balls, "digits", lambda a, b, scale: np.full(np.shape(a.cells), np.inf))
    patch.setattr(by_balls, "judge", lambda *a, **k: verdict.Verdict(verdict.RIGHT))


# Directions and points


@fault("wrong by 1e-7", "tanh's slope for erf's")
def directions_are_always_zero(patch):
    patch.setattr(examination, "_draw", lambda rng, shape, form: np.zeros(shape))


@fault("not seen by a cotangent of ones")
def cotangents_are_all_ones(patch):
    patch.setattr(examination, "_draw", lambda rng, shape, form: np.ones(shape))


@fault("wrong above 3")
def it_stands_at_the_given_point_alone(patch):
    patch.setattr(points, "MOVES", [])


@fault("one row for the broadcast sum")
def no_axis_is_cut_to_size_one(patch):
    patch.setattr(examination, "elsewhere", lambda *arguments: [])


# Verdicts


@fault("wrong by 1e-7", "single precision inside")
def every_error_is_typical(patch):
    for module in (by_balls, by_differences, verdict):
        patch.setattr(module, "TYPICAL", 1e30)


@fault("single precision inside")
def every_error_behaves_as_rounding(patch):
    patch.setattr(verdict, "_behaves_as_rounding",
                  lambda error, *rest: (np.ones(error.shape, bool),) * 2)


@fault("gelu's Function", "black box")
def differences_claim_to_be_exact(patch):
    slope = estimated.slope

    def certain(f, x, v, *eps):
        found = slope(f, x, v, *eps)
        found.value, found.uncertainty = found.value * (1 + 1e-6), 0.0
        return found
    patch.setattr(estimated, "slope", certain)


@fault("wrong by 1e-7", "black box, wrong by 1e-7")
def differences_know_nothing(patch):
    slope = estimated.slope

    def vague(f, x, v, *eps):
        found = slope(f, x, v, *eps)
        found.uncertainty = np.inf
        return found
    patch.setattr(estimated, "slope", vague)


@fault("torch's relu alone, by differences")
def kinks_are_not_seen_by_differences(patch):
    slope = estimated.slope

    def smooth(f, x, v, *eps):
        found = slope(f, x, v, *eps)
        found.kink = False
        return found
    patch.setattr(estimated, "slope", smooth)
    patch.setattr(by_differences.ByDifferences, "_ties", lambda self, *arguments: "")


@fault("nan for zeros, in floats alone")
def nan_is_no_error(patch):
    patch.setattr(verdict, "_error", lambda result, exact, truth: np.zeros(np.shape(result)))


@fault("outside the slopes", "two subgradients", "twice the tie")
def kinks_excuse_everything(patch):
    patch.setattr(examination, "kinks", lambda *arguments: iter(()))


@fault("two subgradients")
def modes_are_not_compared_at_kinks(patch):
    patch.setattr(kinks, "_modes_agree", lambda *arguments: iter(()))


@fault("two derivatives at a jump", "nan in one mode at a jump")
def nothing_is_asked_where_differences_leave_it_open(patch):
    patch.setattr(by_balls.ByBalls, "open", lambda self: False)
    patch.setattr(kinks, "_lost_in_one_mode", lambda *arguments: iter(()))


@fault("nan in one mode at a jump")
def nan_in_one_mode_is_no_fault(patch):
    patch.setattr(kinks, "_lost_in_one_mode", lambda *arguments: iter(()))


@fault("another function than the reference")
def values_are_not_compared(patch):
    patch.setattr(examination, "value", lambda *arguments: iter(()))


@fault("state is kept", "the cotangent is overwritten", "1/N is missing")
def a_report_is_always_ok(patch):
    patch.setattr(Report, "failures", property(lambda self: []))


# Conduct


@fault("state is kept")
def a_vjp_is_called_but_once(patch):
    patch.setattr(conduct, "_repeated", lambda *arguments: iter(()))


@fault("the first call is remembered")
def a_vjp_is_called_at_one_point(patch):
    patch.setattr(conduct, "_after_others", lambda *arguments: iter(()))


@fault("the cotangent is overwritten")
def nothing_is_ever_overwritten(patch):
    patch.setattr(subject.Untouched, "touched", lambda self: [])


@fault("tangents are overwritten")
def arrays_handed_to_forward_mode_are_not_looked_at(patch):
    patch.setattr(conduct.Remembered, "touched", lambda self: False)


@fault("memory is read in its own order")
def cotangents_lie_as_inputs_do(patch):
    patch.setattr(conduct, "LAYOUTS", {**conduct.LAYOUTS, "transposed": conduct.contiguous})


@fault("memory is read in its own order, above 4")
def conduct_is_looked_at_where_the_caller_stands_alone(patch):
    patch.setattr(examination, "MIXED", "")


@fault("float32 comes back")
def any_dtype_will_do(patch):
    patch.setattr(conduct, "_shapes", lambda *arguments: iter(()))


@fault("only for contiguous cotangents")
def all_arrays_are_contiguous(patch):
    patch.setattr(conduct, "LAYOUTS", dict.fromkeys(conduct.LAYOUTS, conduct.contiguous))


@fault("not for empty arrays")
def arrays_are_never_empty(patch):
    patch.setattr(examination, "no_entries", lambda *arguments: iter(()))


@fault("a model that keeps what it has seen")
def state_is_left_behind(patch):
    patch.setattr(State, "put_back", lambda self: None)


@fault("not for one row")
def the_caller_s_shapes_are_all_there_are(patch):
    patch.setattr(examination, "elsewhere", lambda *arguments: [])


@fault("not for a sum", "not for torch's sum")
def cotangents_have_a_place_for_each_entry(patch):
    patch.setattr(conduct, "_expanded", lambda *arguments: iter(()))


@fault("third order alone")
def third_derivatives_are_not_looked_at(patch):
    patch.setattr(examination, "third_order", lambda *arguments: iter(()))


@fault("nondeterministic")
def values_are_taken_once(patch):
    patch.setattr(examination.np, "array_equal", lambda *a, **k: True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_spoilt_checker_fails_its_tests(name, monkeypatch):
    plant, noticed_by = FAULTS[name]
    with monkeypatch.context() as patch:
        plant(patch)
        assert not all(SCENARIOS[s].holds() for s in noticed_by)
    assert SCENARIOS[noticed_by[0]].holds()
