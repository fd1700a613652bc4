"""How long a check takes: typical torch layers of a thousand numbers, by crosscheck and by torch's
own checkers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from refgrad import nn

from ... import check
from ..timing import equal_threads, spread, take_turns
from . import SECONDS

#: The column ratio is the median over the turns of the time relative to this one's.
YARDSTICK = "torch gradcheck slow"


def _block(f):
    """A perceptron with one hidden layer, in the namespace of torch.nn.functional or refgrad.nn."""
    return lambda x, w1, b1, w2, b2: f.linear(f.gelu(f.linear(x, w1, b1)), w2, b2)


#: name -> (function of a namespace that gives the layer, shapes of its arrays)
LAYERS = {
    "linear": (lambda f: f.linear, [(8, 30), (25, 30), (25,)]),
    "gelu": (lambda f: f.gelu, [(32, 32)]),
    "layer_norm": (lambda f: lambda x, w, b: f.layer_norm(x, (32,), w, b),
                   [(30, 32), (32,), (32,)]),
    "softmax": (lambda f: lambda x: f.softmax(x, -1), [(32, 32)]),
    "batch_norm": (lambda f: lambda x, w, b: f.batch_norm(x, None, None, w, b, training=True),
                   [(30, 32), (32,), (32,)]),
    "perceptron": (_block, [(8, 16), (32, 16), (32,), (8, 32), (8,)]),
}


def measure(seed=0, quick=False, tick=lambda: None):
    """Rows of checker_seconds.csv.  The checkers take turns; gradgradcheck, which takes longest,
    has fewer of them."""
    rows = []
    with equal_threads():
        for name, (layer, shapes) in LAYERS.items():
            rows += _rows(name, layer, shapes, seed, quick)
            tick()
    return rows


def _rows(name, layer, shapes, seed, quick):
    rng = np.random.default_rng(seed)
    inputs = [torch.tensor(rng.standard_normal(s), requires_grad=True) for s in shapes]
    function, reference = layer(F), layer(nn)
    gradcheck, gradgradcheck = torch.autograd.gradcheck, torch.autograd.gradgradcheck
    contenders = {
        YARDSTICK: lambda: gradcheck(function, inputs, raise_exception=False),
        "torch gradcheck fast": lambda: gradcheck(function, inputs, fast_mode=True,
                                                  raise_exception=False),
        "crosscheck": lambda: check(function, *inputs, seed=seed).ok,
        "crosscheck with reference": lambda:
            check(function, *inputs, reference=reference, seed=seed).ok,
    }
    if not quick:
        contenders["torch gradgradcheck"] = lambda: gradgradcheck(function, inputs,
                                                                  raise_exception=False)
    accepted = {}
    if quick:
        # What is set up once does not count; with more turns the median leaves it out.
        contenders["crosscheck"]()
    seconds = take_turns(contenders, budget=0 if quick else 4, least=1 if quick else 3, most=9,
                         check=lambda who, answer: accepted.update({who: answer}))
    return [dict(zip(SECONDS.columns, (name, sum(map(torch.numel, inputs)), who,
                               accepted[who], *spread(taken).values(),
                               float(np.median(taken / seconds[YARDSTICK])))))
            for who, taken in seconds.items()]
