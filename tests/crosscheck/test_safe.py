"""The checker does not break what it checks: state, processes, domains; and it takes no longer than
it must."""

import functools
import io
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crosscheck import check, child, examination, progress
from crosscheck.ball import Ball, Undecided, arithmetic
from crosscheck.checker.api import subject_of
from crosscheck.networks import network_of_id
from crosscheck.state import State
from crosscheck.examination import Examination
from crosscheck.truth import estimated
from tests.crosscheck.scenarios import T, X, function

Y = np.array([0.4, 0.9, -0.3, 0.2, 0.75])


# Masks that are counted and used as an index


def trimmed(x):
    return x[np.nonzero(x > 0.1)[0]]


def above(x):
    return np.sort(x)[int(np.sum(x < 0.1)):]


def by_where(x):
    return x[np.where(x > 0.1)[0]] * np.count_nonzero(x > 0.1)


def sliced(x):
    k = np.flatnonzero(np.sort(x) > 0.1)
    return np.sort(x)[k[0]:]


@pytest.mark.parametrize("f", [trimmed, above, by_where, sliced])
def test_what_is_counted_by_a_mask_is_a_whole_number(f):
    report = check(f, Y)
    assert report.ok and report.how == "balls"


def test_an_open_mask_is_said_to_be_open_however_it_is_used():
    with arithmetic("float32"):
        x = Ball(np.array([1.0, 0.0, 2.0])) * 1.1 - 1.1
        for use in (np.count_nonzero, np.nonzero, np.argwhere,
                    lambda m: x[m], lambda m: x[np.sum(m)],
                    lambda m: int(np.sum(m)), lambda m: range(np.sum(m)), lambda m: x[:np.sum(m)],
                    lambda m: np.take(x, np.sum(m)), lambda m: np.where(m)):
            with pytest.raises(Undecided):
                use(x > 0)
    with arithmetic(100):
        assert np.count_nonzero(Ball(np.array([1.0, 0.0]))) == 1
        with pytest.raises(TypeError, match="not one number"):
            range(Ball(2.5))


# State


class Dense:
    calls = 0

    def __init__(self):
        self.seen, self.x = [], None

    def forward(self, x, w):
        self.x, self.w = x, w
        self.y = np.tanh(x @ w)
        self.seen.append(self.y)
        Dense.calls += 1
        return self.y

    def backward(self, g):
        d = g * (1 - self.y ** 2)
        return d @ self.w.T, self.x.T @ d


class Model:
    def loss(self, w):
        self.residual = X @ w - 1
        return np.sum(self.residual ** 2)

    def gradient(self):
        return 2 * X.T @ self.residual


def test_a_layer_is_after_the_check_what_it_was_before():
    layer, w = Dense(), np.ones((3, 2)) / 4
    layer.forward(X, w)
    before, seen = dict(vars(layer)), list(layer.seen)
    calls = Dense.calls
    report = check(layer.forward, X + 1, w, vjp=lambda g, x, w: layer.backward(g))
    assert report.ok and report.how == "balls"
    assert all(vars(layer)[k] is a for k, a in before.items()) and len(vars(layer)) == len(before)
    assert len(layer.seen) == len(seen) and Dense.calls == calls


def test_a_gradient_that_takes_nothing_reads_what_the_loss_has_kept():
    model = Model()
    assert check(model.loss, np.ones(3), gradient=lambda w: model.gradient()).ok
    assert not hasattr(model, "residual")


COUNT, LOG = 0, {"calls": 0}


def counting(x, log=[0]):
    global COUNT
    COUNT += 1
    LOG["calls"] += 1
    LOG.setdefault("last", x)
    log[0] += 1
    counting.last = x
    return np.sin(x)


@pytest.mark.parametrize("options", [{}, {"vjp": lambda g, x: g * np.cos(x)}])
def test_variables_defaults_and_attributes_of_functions_are_as_before(options):
    assert check(counting, X, **options).ok
    assert (COUNT == 0 and LOG == {"calls": 0} and counting.__defaults__ == ([0],)
            and not vars(counting))


def test_random_generators_are_where_they_were():
    own, twister, python = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
    kept = own.bit_generator.state, twister.get_state()[2], python.getstate()
    torches = torch.Generator().manual_seed(3)
    theirs = torches.get_state()
    shared = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()

    def f(x):
        (own.random(), twister.rand(), python.random(), np.random.rand(), random.random(),
         torch.rand(1))
        torch.rand(1, generator=torches)
        return np.sin(x)

    assert check(f, X).ok
    assert (own.bit_generator.state, twister.get_state()[2], python.getstate()) == kept
    assert np.array_equal(np.random.get_state()[1], shared[0]) and random.getstate() == shared[1]
    assert (torch.equal(torch.get_rng_state(), shared[2])
            and torch.equal(torches.get_state(), theirs))


def test_tensors_modules_and_buffers_that_are_closed_over_are_as_before():
    norm, weight, counter = (torch.nn.BatchNorm1d(3).double(), torch.ones(3, dtype=torch.float64),
                             torch.zeros(()))
    weight.requires_grad_()
    weight.grad = torch.full((3,), 2.0, dtype=torch.float64)

    def f(x):
        counter.add_(1)
        return norm.to(x.dtype)(x) * weight.to(x.dtype)

    mean = norm.running_mean.clone()
    check(f, T, dtypes=("float64",))
    assert torch.equal(norm.running_mean, mean) and norm.num_batches_tracked == 0 and counter == 0
    assert torch.equal(weight.grad, torch.full((3,), 2.0, dtype=torch.float64))


def test_state_puts_back_containers_arrays_and_slots():
    class Slots:
        __slots__ = ("a",)

    class Held:
        pass

    slots, held = Slots(), Held()
    slots.a, held.parts = 1, ({"k": [1, 2]}, {3}, np.arange(3.0))
    f = functools.partial(lambda a, b: None, slots, held)
    state = State(f)
    slots.a = 2
    held.parts[0]["k"].append(3), held.parts[0].update(m=1), held.parts[1].add(4)
    held.parts[2][:] = 7
    held.new = 1
    state.put_back()
    assert (slots.a == 1 and held.parts[0] == {"k": [1, 2]} and held.parts[1] == {3}
            and not hasattr(held, "new"))
    assert np.array_equal(held.parts[2], [0, 1, 2])


def test_a_check_that_cannot_be_made_leaves_no_trace():
    layer = Dense()
    with pytest.raises(ValueError, match="finite"):
        check(lambda x: layer.forward(x, np.full((3, 2), np.nan)), X)
    assert layer.x is None and not layer.seen


# Processes


def dying(how):
    """A function that ends the process unless it is given two rows."""
    return lambda x: torch.sin(x) if x.shape[0] == 2 else how()


def test_shapes_that_nobody_gave_may_end_their_own_process_alone():
    report = check(dying(lambda: os.kill(os.getpid(), signal.SIGSEGV)), T)
    assert report.ok and any("SIGSEGV" in f.note and f.point == "a batch of one"
                             for f in report.verdicts)
    assert check(dying(lambda: os._exit(3)), T).ok


def test_a_shape_at_which_a_function_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(examination, "in_a_child", lambda items: child.in_a_child(items, 0.3))
    start = time.monotonic()
    report = check(dying(lambda: time.sleep(60)), T)
    assert report.ok and any("takes more than 0.3 s" in f.note for f in report.verdicts)
    assert time.monotonic() - start < 30


def test_a_child_sends_what_it_found():
    assert child.in_a_child(iter([1, "two", (3, 4)])) == ([1, "two", (3, 4)], "")

    def broken():
        yield 1
        raise ValueError("of the iterator")
    with pytest.raises(RuntimeError, match="of the iterator"):
        child.in_a_child(broken())


def test_pdist_without_rows():
    assert check(F.pdist, torch.randn(4, 2, dtype=torch.float64), dtypes=("float64",)).ok


# Domains


def positive_only(x):
    if np.any(x <= 0):
        raise ValueError("expected positive numbers")
    return np.sum(np.log(x))


def raises_at_ties(x):
    if isinstance(x, np.ndarray) and len(np.unique(x)) < x.size:
        raise RuntimeError("ties")
    return np.sin(x)


def in_the_unit_interval(p):
    if not (np.all(p > 0) and np.all(p < 1)):
        raise AssertionError("expected probabilities")
    return -np.sum(np.log(p) + np.log(1 - p))


@pytest.mark.parametrize("f, x, slope", [
    (positive_only, np.array([1e-12, 0.5, 2.0]), lambda x: 1 / x),
    (in_the_unit_interval, np.array([1e-9, 0.5, 1 - 1e-9]), lambda p: 1 / (1 - p) - 1 / p)])
def test_a_loss_that_raises_outside_its_domain(f, x, slope):
    assert check(f, x).ok and check(f, x, gradient=slope).ok
    assert not check(f, x, gradient=lambda x: 1.01 * slope(x)).ok


def test_a_function_that_raises_at_ties():
    assert check(raises_at_ties, Y, vjp=lambda g, x: g * np.cos(x)).ok


def test_a_torch_function_that_raises_outside_its_domain():
    def f(p):
        if not ((p > 0) & (p < 1)).all():
            raise ValueError("expected probabilities")
        return torch.log(p / (1 - p))
    assert check(f, torch.tensor([1e-7, 0.5, 0.9], dtype=torch.float64)).ok


def test_a_function_that_raises_for_equal_inputs():
    def f(a, b):
        if np.any(a >= b):
            raise ValueError("expected a < b")
        return np.log(b - a)
    assert check(f, X, X + 1, vjp=lambda g, a, b: (-g / (b - a), g / (b - a))).ok


# Time


def test_after_a_failure_where_the_caller_stands_the_rest_is_not_tried_unless_asked_for():
    subject = subject_of(np.sin, (X,), vjp=lambda g, x: 2 * g * np.cos(x))
    short, long = (list(Examination(subject, thorough=t).findings()) for t in (False, True))
    assert {f.point for f in short} == {"as given"} and len({f.point for f in long}) > 10
    assert any(f.failed for f in short)


def test_a_quick_look_is_at_three_points():
    points = {f.point for f in Examination(subject_of(np.sin, (X,)), quick=True).findings()}
    assert len(points) == 3 and "as given" in points


@pytest.mark.parametrize("size, most", [(300_000, 450)])
def test_one_wrong_entry_of_many_is_found_by_few_values(size, most):
    calls = [0]

    def f(x):
        calls[0] += 1
        return np.sin(x)

    def vjp(g, x):
        found = g * np.cos(x)
        found[size // 3] *= 1.01
        return found

    numbers = State(calls)
    subject = subject_of(f, (np.linspace(-2, 2, size),), vjp=vjp)
    subject.state = State()  # the counter goes on
    report = list(Examination(subject).findings())
    failure, = [r for r in report if r.failed]
    assert f"entry ({size // 3},)" in failure.note and "1.01" in failure.note and calls[0] < most
    numbers.put_back()


@pytest.mark.parametrize("frequency", [1, 40])
def test_blame_finds_the_entry_among_many(frequency):
    """Among 40 waves to the unit plain differences go astray; then the others lead to it."""
    x = {"x": np.linspace(0.5, 4, 5000)}
    gradient = {"x": np.cos(frequency * x["x"])}
    gradient["x"][300] *= 1.0001
    v = {"x": np.random.default_rng(0).uniform(0.5, 2, 5000)}
    found = estimated.blame(lambda x: float(np.sum(np.sin(frequency * x["x"]))) / frequency, x,
                            gradient, v)
    assert found.index == (300,) and found.certain and abs(found.factor - 1.0001) < 1e-7


def test_ids_of_networks_that_do_not_exist_are_refused_at_once():
    start = time.monotonic()
    with pytest.raises(ValueError, match="an index below 1"):
        network_of_id("full-0-9999999999999")
    assert time.monotonic() - start < 0.5


def test_a_line_is_shown_on_a_terminal_when_it_takes_long(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr(progress, "PATIENCE", 0.05)
        with progress.progress(lambda: "f at ties"):
            time.sleep(0.3)
        assert ("checking f at ties, 0 s" in stream.getvalue()) == shown
        assert not shown or stream.getvalue().endswith(" \r")


# Other shapes and indices


def test_a_fault_that_shows_for_a_batch_of_one_or_two_alone():
    one = check(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (1 if len(x) > 1 else 2))
    two = check(np.sin, X[:1], vjp=lambda g, x: g * np.cos(x) * (1 if len(x) == 1 else 2))
    assert {f.point for f in one.failures} == {"a batch of one"}
    assert {f.point for f in two.failures} == {"a batch of two"}
    squeezed = function(
        torch.sin, lambda g, x: torch.squeeze(g * torch.cos(x)).expand_as(x) * (2 - (len(x) > 1)))
    assert {f.point for f in check(squeezed, T).failures} == {"a batch of one"}


def test_a_gradient_that_is_nan_without_entries():
    def f(x, w):
        return x @ w
    right = lambda g, x, w: (g @ w.T, x.T @ g)
    mean = lambda g, x, w: (g @ w.T, x.T @ g * len(x) / max(len(x), 1) if len(x) else w * np.nan)
    w = np.ones((3, 2)) / 4
    assert check(f, X, w, vjp=right).ok
    assert {f.check for f in check(f, X, w, vjp=mean).failures} == {"no entries"}


class Likelihood(torch.autograd.Function):
    """The negative log likelihood, whose backward minds the label that is ignored, or not."""

    minds = True

    @staticmethod
    def forward(ctx, x, t):
        ctx.save_for_backward(x, t)
        return F.nll_loss(x, t, reduction="sum")

    @classmethod
    def slope(cls, g, x, t):
        hot = torch.zeros_like(x)
        hot[torch.arange(len(t)), t.clamp(min=0)] = -1.0
        return g * (hot * (t >= 0)[:, None] if cls.minds else hot)


class Minding(Likelihood):
    @staticmethod
    def backward(ctx, g):
        return Likelihood.slope(g, *ctx.saved_tensors), None


class Careless(Likelihood):
    minds = False

    @staticmethod
    def backward(ctx, g):
        return Careless.slope(g, *ctx.saved_tensors), None


def test_labels_that_are_ignored():
    t = torch.tensor([0, 2])
    assert check(Minding, T, t).ok
    assert {f.point for f in check(Careless, T, t).failures} == {"an index of -100"}


def test_indices_at_both_ends():
    def vjp(g, w, i):
        found = np.zeros(w.shape, dtype=g.dtype)
        np.add.at(found, i, g)
        found[0] *= first
        return found,

    def failing():
        report = check(lambda w, i: w[i], np.arange(12.0).reshape(4, 3),
                       np.array([1, 2, 2]), vjp=vjp)
        return {f.point for f in report.failures}
    first = 2
    assert failing() == {"indices at both ends"}
    first = 0  # it may stand for padding
    assert not failing()
    assert check(lambda w, i: F.embedding(i, w, padding_idx=0), T.repeat(2, 1),
                 torch.tensor([1, 2, 2])).ok


@pytest.mark.skipif(not child.can_fork(), reason="needs fork")
def test_a_child_does_not_wait_for_threads_that_are_not_there():
    """A child has none of the threads that torch has started here, and would wait for them."""
    x, before = torch.ones(1500, 1500), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.tril(x)  # starts them
        assert child.in_a_child((float(torch.tril(x)[0, 1]) for _ in range(1)), 20) == ([0.0], "")
    finally:
        torch.set_num_threads(before)
