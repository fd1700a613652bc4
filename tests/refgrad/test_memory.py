"""What a transform used is freed when it returns, without the help of the garbage collector."""

import gc
import weakref

import numpy as np
import pytest

import refgrad as rg
from refgrad.reverse import Tape


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
