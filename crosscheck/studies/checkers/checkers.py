"""The checkers that are compared, each called as its users call it, with its own settings and
tolerances.

    answer = CHECKERS["torch gradcheck slow"](program, arrays)

`program` is a function of NumPy arrays that refgrad can differentiate; every checker is asked about
its derivatives as refgrad has them.
"""

from __future__ import annotations

from importlib.util import find_spec

from .answer import ask, refuse_unless_ok

#: name -> function ``(program, arrays, seed=0) -> Answer``; the peers that are not installed are
#: left out.
CHECKERS: dict = {}


def checker(name, needs=None):
    """Declare a checker: a function ``(program, arrays, seed)`` that raises `Refused`; `needs` is a
    package."""
    def register(run):
        if needs is None or find_spec(needs):
            CHECKERS[name] = lambda program, arrays, seed=0: ask(lambda: run(program, arrays, seed),
                                                                 seed)
        return run
    return register


@checker("crosscheck")
def _(program, arrays, seed):
    from ... import check
    refuse_unless_ok(check(program, *arrays, seed=seed))


def _torch(check, **options):
    def run(program, arrays, seed):
        from . import torch_peer
        torch_peer.check(check, program, arrays, seed, **options)
    return run


checker("torch gradcheck slow")(_torch("gradcheck"))
checker("torch gradcheck fast")(_torch("gradcheck", fast_mode=True))
checker("torch gradcheck with forward")(_torch("gradcheck", check_forward_ad=True))
checker("torch gradgradcheck")(_torch("gradgradcheck"))


@checker("jax check_grads", needs="jax")
def _(program, arrays, seed):
    from . import jax_peer
    jax_peer.check(program, arrays)


@checker("autograd check_grads", needs="autograd")
def _(program, arrays, seed):
    from . import autograd_peer
    autograd_peer.check(program, arrays)
