"""Attention, embeddings and recurrent cells."""

import numpy as np

from ..builder import VOCABULARY, anywhere, layer
from .affine import weight


def _steps(b):
    """Fits three axes: those of a series are taken as steps, samples and features, too."""
    return anywhere(b) and len(b.shape) == 3


def _mapped(b, width):
    """A linear map of the current result, beside the way."""
    return b.beside("linear", (b.h, weight(b, width)), (*b.shape[:-1], width))


@layer("scaled_dot_product_attention", "attention", fits=lambda b: anywhere(b) and len(b.shape) > 2)
def _(b):
    width = b.shape[-1]
    query, key, value = (_mapped(b, width) for _ in range(3))
    options = {"is_causal": True} if b.chance(0.5) else {}
    if b.chance(0.3):
        options["scale"] = 0.5
    b.append("scaled_dot_product_attention", (query, key, value), "scaled_dot_product_attention",
             options=options)


@layer("multi_head_attention_forward", "attention", fits=_steps)
def _(b):
    width = b.shape[-1]
    heads = b.one_of(*(n for n in (1, 2, 4) if width % n == 0))
    inwards = b.parameter("weight", (3 * width, width), scale=1 / np.sqrt(width))
    outwards = b.parameter("weight", (width, width), scale=1 / np.sqrt(width))
    arguments = (b.h, b.h, b.h)
    named = {"in_proj_weight": inwards,
             "in_proj_bias": b.parameter("bias", (3 * width,), scale=0.5),
             "out_proj_weight": outwards, "out_proj_bias": b.parameter("bias", (width,), scale=0.5)}
    options = {"embed_dim_to_check": width, "num_heads": heads, "bias_k": None, "bias_v": None,
               "add_zero_attn": False, "dropout_p": 0.0, "training": False, "need_weights": False}
    b.append("multi_head_attention_forward", arguments, "multi_head_attention_forward", named=named,
             options=options)
    b.call("item", layer=None, index=0)
    b.seen.pop()  # the pair of result and weights is no array to come back to


def _tokens(b):
    return b.tokens


@layer("embedding", "embedding", fits=_tokens)
def _(b):
    width = b.width()
    b.call("embedding", b.parameter("weight", (VOCABULARY, width)), layer="embedding",
           shape=(*b.shape, width))
    b.channels = b.chance(0.5)


@layer("embedding_bag", "embedding", fits=_tokens)
def _(b):
    width = b.width()
    b.call("embedding_bag", b.parameter("weight", (VOCABULARY, width)), layer="embedding_bag",
           shape=(b.shape[0], width), mode=b.one_of("mean", "sum", "max"))


def _recurrent(name, gates, states=1):
    """A cell that runs over the steps of the first axis; its hidden states are stacked."""
    @layer(name, "recurrent", fits=_steps)
    def _(b):
        steps, samples, width = b.shape
        hidden = int(b.rng.choice([2, 3]))
        shapes = ((gates * hidden, width), (gates * hidden, hidden), (gates * hidden,),
                  (gates * hidden,))
        names = [b.parameter("weight" if len(s) == 2 else "bias", s, scale=0.5) for s in shapes]
        first = [b.constant("state", (samples, hidden)) for _ in range(states)]
        source, results = b.h, []
        for t in range(steps):
            x = b.beside("item", (source,), options={"index": t})
            state = first[0]
            if states == 2:
                state = b.beside("pair", tuple(first))
            state = b.beside(name, (x, state, *names))
            if states == 2:
                first = [b.beside("item", (state,), options={"index": k}) for k in range(2)]
            else:
                first = [state]
            results.append(first[0])
        b.append("stack", tuple(results), name, shape=(steps, samples, hidden))


_recurrent("rnn_tanh_cell", 1)
_recurrent("rnn_relu_cell", 1)
_recurrent("gru_cell", 3)
_recurrent("lstm_cell", 4, states=2)
