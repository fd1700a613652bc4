"""What a transform used is freed when it returns, without the help of the garbage collector."""

import gc
import weakref

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, reverse
from refgrad.primitive import Primitive
from refgrad.reverse import Node, Tape
from refgrad.tree import flatten

from tests.rules import VARYING, drawn, each

from .checks import like


def loss(p):
    return np.sum(np.tanh(p["w"] @ p["w"].T) * p["b"])


POINT = {"w": np.ones((3, 3)), "b": np.ones(3)}
TRANSFORMS = {
    "grad": lambda: rg.grad(loss)(POINT),
    "value_and_grad": lambda: rg.value_and_grad(loss)(POINT),
    "jvp": lambda: rg.jvp(loss, (POINT,), (POINT,)),
    "vjp": lambda: rg.vjp(loss, POINT)[1](1.0),
    "hvp": lambda: rg.hvp(loss, (POINT,), (POINT,)),
    "hessian": lambda: rg.hessian(loss)(POINT),
    "checkpoint": lambda: rg.grad(rg.checkpoint(loss))(POINT),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_no_tape_outlives_its_transform(name, monkeypatch):
    tapes = []
    created = Tape.__init__

    def noted(self):
        created(self)
        tapes.append(weakref.ref(self))

    monkeypatch.setattr(Tape, "__init__", noted)
    gc.disable()
    try:
        TRANSFORMS[name]()
        alive = [t for t in tapes if t() is not None]
    finally:
        gc.enable()
    assert not alive
    assert tapes or name == "jvp"


# What is not read is not kept


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each(VARYING)
def test_rules_read_what_they_say(rule, case, monkeypatch):
    program, arrays, rng = drawn(rule, case)

    def pulled():
        value, pull = rg.vjp(program, *arrays)
        return flatten(pull(rg.tree_map(lambda y: like(np.random.default_rng(0), y), value)))[0]

    expected = pulled()
    monkeypatch.setattr(reverse, "LARGE", 0)  # every array that no rule reads is nan all over
    for c, e in zip(pulled(), expected, strict=True):
        np.testing.assert_array_equal(c, e)


def test_a_rule_that_reads_more_than_it_says_is_seen(monkeypatch):
    square = Primitive(None, "y = x^2", name="square", forward=np.square,
                       vjp=(lambda g, x: 2 * g * x,))
    square.vjp[0].reads = set()
    monkeypatch.setattr(reverse, "LARGE", 0)
    assert np.isnan(rg.grad(lambda x: np.sum(square(x)))(np.ones(3))).all()


def test_of_affine_maps_and_rectifiers_one_activation_is_kept():
    def net(h, weights):
        for W in weights:
            h = nn.relu(nn.linear(h, W))
        return np.sum(h)

    x, weights = np.ones((512, 64)), [np.eye(64)] * 10
    kept = []

    def counted(tape, *args, **kwargs):
        held = [a for n in map(Node._make, tape.nodes) for a in (n.kept, *n.arrays)
                if isinstance(a, np.ndarray) and a.base is None]
        kept.append(len(set(map(id, held))))
        return swept(tape, *args, **kwargs)

    swept = Tape.sweep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tape, "sweep", counted)
        rg.grad(net, 1)(x, weights)
    assert kept == [1 + 1 + 10]  # the input, the one weight, a result of each layer
