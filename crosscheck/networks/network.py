"""What a network is: plain data.

A list of calls by name, and the arrays that they need by shape, law and seed.  It knows nothing of
any framework; one interpreter (`interpret`) runs it in any namespace that has the named functions.
JSON holds all of it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Array:
    """An array that is drawn: shape, law, scale, seed.

    role  "input" and "parameter" are differentiated; "constant" (targets, class weights, running
          statistics) is not
    law   "normal", "positive", "unit" (in [0, 1]), "signs" (1 or -1), "probabilities" (along
          `axis`),
          "classes" (integers below `scale`) or "labels" (of each row a few of its positions, then
          -1)
    """

    shape: tuple
    role: str
    law: str = "normal"
    scale: float = 1.0
    seed: int = 0
    axis: int = -1

    def draw(self):
        """The numbers: integers, or float64 exactly representable in float32."""
        rng = np.random.default_rng(self.seed)
        if self.law == "classes":
            return rng.integers(0, int(self.scale), self.shape)
        if self.law == "labels":
            order = np.argsort(rng.random(self.shape), axis=-1)
            count = rng.integers(0, self.shape[-1] + 1, (*self.shape[:-1], 1))
            return np.where(np.arange(self.shape[-1]) < count, order, -1)
        z = rng.standard_normal(self.shape)
        if self.law == "positive":
            z = np.abs(z) + 0.25
        elif self.law == "unit":
            z = rng.random(self.shape)
        elif self.law == "signs":
            z = rng.choice([-1.0, 1.0], self.shape)
        elif self.law == "probabilities":
            e = np.exp(z)
            z = e / e.sum(axis=self.axis, keepdims=True)
        elif self.law != "normal":
            raise ValueError(f"array law {self.law!r} is unknown; expected normal, positive, unit, "
                             "signs, probabilities, classes or labels")
        return (self.scale * z).astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Call:
    """``result = function(*arguments, **named, **options)``; `arguments` and `named` are names of
    arrays or results.

    layer  the name under which the call counts as a layer (None for plumbing: a reshape, the sum of
           two losses)
    """

    function: str
    arguments: tuple
    result: str
    options: dict = field(default_factory=dict)
    named: dict = field(default_factory=dict)
    layer: str | None = None


@dataclass(frozen=True)
class Network:
    """Calls in order; the last result is the loss, a scalar."""

    id: str
    arrays: dict
    calls: tuple
    depth: int = 1

    @property
    def profile(self):
        """The profile that drew it, the first part of its id."""
        return self.id.split("-")[0]

    @property
    def leaves(self):
        """Names of what is differentiated: inputs and parameters."""
        return [name for name, a in self.arrays.items() if a.role != "constant"]

    @property
    def layers(self):
        """The layers in the order in which they run, the losses last."""
        return [c.layer for c in self.calls if c.layer]

    @property
    def pairs(self):
        """(layer, next layer) wherever one's result is the other's first argument; plumbing passes
        its source on."""
        made_by, found = {}, []
        for c in self.calls:
            source = made_by.get(c.arguments[0])
            if source and c.layer:
                found.append((source, c.layer))
            made_by[c.result] = c.layer or source
        return found

    @property
    def size(self):
        """How many numbers are differentiated."""
        return sum(int(np.prod(self.arrays[name].shape, dtype=int)) for name in self.leaves)

    def draw(self):
        """(leaves, constants): two dicts of arrays."""
        drawn = {name: a.draw() for name, a in self.arrays.items()}
        leaves = {name: drawn[name] for name in self.leaves}
        return leaves, {name: x for name, x in drawn.items() if name not in leaves}

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text):
        """The network of `to_json`.  Raises ValueError if the text is not one."""
        try:
            data = json.loads(text)
            arrays = {name: Array(**{**a, "shape": tuple(a["shape"])})
                      for name, a in data["arrays"].items()}
            calls = tuple(Call(**{**c, "arguments": tuple(c["arguments"]),
                                  "options": _tuples(c["options"])})
                          for c in data["calls"])
            if unknown := [c.function for c in calls if c.function not in FUNCTIONS]:
                raise ValueError(f"not a network: it calls {unknown[0]!r}, which no layer does")
            return cls(data["id"], arrays, calls, data["depth"])
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a network in JSON: {error!r}") from error

    def program(self):
        """The network as lines that a person reads."""
        lines = []
        for c in self.calls:
            arguments = [str(a) for a in c.arguments] + [f"{k}={v}" for k, v in c.named.items()]
            arguments += [f"{k}={v!r}" for k, v in c.options.items()]
            lines.append(f"{c.result} = {c.function}({', '.join(arguments)})")
        return lines


#: All that a network may call.
FUNCTIONS = frozenset("""
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d add affine_grid alpha_dropout avg_pool1d avg_pool2d
    avg_pool3d batch_norm bilinear binary_cross_entropy binary_cross_entropy_with_logits cdist celu
    channel_shuffle concatenate conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d cosine_embedding_loss cosine_similarity cross_entropy ctc_loss dropout
    dropout1d dropout2d dropout3d elu embedding embedding_bag feature_alpha_dropout fold
    fractional_max_pool2d fractional_max_pool3d gaussian_nll_loss gelu glu grid_sample group_norm
    gru_cell hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss instance_norm
    interpolate item kl_div l1_loss l2_penalty layer_norm leaky_relu linear linear_cross_entropy
    local_response_norm log_softmax logsigmoid lp_pool1d lp_pool2d lp_pool3d lstm_cell
    margin_ranking_loss max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d mean
    mish moveaxis mse_loss multi_head_attention_forward multi_margin_loss multilabel_margin_loss
    multilabel_soft_margin_loss nll_loss normalize pad pair pairwise_distance pdist pixel_shuffle
    pixel_unshuffle poisson_nll_loss prelu relu relu6 reshape rms_norm rnn_relu_cell rnn_tanh_cell
    rrelu scaled_dot_product_attention selu sigmoid silu smooth_l1_loss soft_margin_loss softmax
    softmin softplus softshrink softsign stack tanh tanhshrink threshold triplet_margin_loss
    triplet_margin_with_distance_loss unfold
""".split())


def _tuples(options):
    """JSON knows lists alone; shapes are tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}


def interpret(network, function, leaves, constants):
    """Run the network: `function` maps a name to a function; the arrays of the two dicts decide the
    arithmetic."""
    known = {**constants, **leaves}
    for c in network.calls:
        arguments = [None if a is None else known[a] for a in c.arguments]
        named = {k: known[a] for k, a in c.named.items()}
        known[c.result] = function(c.function)(*arguments, **named, **c.options)
    return known[network.calls[-1].result]
