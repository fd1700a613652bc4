"""torch.nn.functional beside refgrad.nn: the same calls on tensors, and the same signatures."""

import inspect
import re

import numpy as np
import torch
import torch.nn.functional as F

import refgrad as rg
from refgrad import nn

from .checks import ROUNDING, close
from .layers import Constant


#: Of functions whose signature torch's documentation alone tells.
BUILTINS = {
    "linear": "(input, weight, bias=None)", "softplus": "(input, beta=1, threshold=20)",
    "gelu": "(input, approximate='none')", "bilinear": "(input1, input2, weight, bias=None)",
    "scaled_dot_product_attention": "(query, key, value, attn_mask=None, dropout_p=0.0, "
                                    "is_causal=False, scale=None, enable_gqa=False)",
    "hardshrink": "(input, lambd=0.5)", "logsigmoid": "(input)",
    "softshrink": "(input, lambd=0.5)", "prelu": "(input, weight)", "pdist": "(input, p=2)",
    "cosine_similarity": "(x1, x2, dim=1, eps=1e-08)",
    "pairwise_distance": "(x1, x2, p=2.0, eps=1e-06, keepdim=False)"}


#: Of these torch has no second derivative, or (of binary_cross_entropy) one with 1e-12 added to a
#: denominator.
ONCE = ("binary_cross_entropy", "multi_margin_loss", "multilabel_margin_loss", "pdist", "cdist",
        "embedding_bag")


def of_torch(name):
    """torch's function of that name."""
    return torch.cdist if name == "cdist" else getattr(F, name)


def is_variable(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def agrees_with_torch(name, args, options, rng):
    """Value, gradients and second derivatives of a call of refgrad.nn are those of
    torch.nn.functional.
    """
    given = [*args, *options.values()]
    places = [i for i, a in enumerate(given) if is_variable(a)]
    xs = [given[i] for i in places]

    def call(function, variables, convert):
        full = [convert(a.value if isinstance(a, Constant) else a) for a in given]
        for i, x in zip(places, variables):
            full[i] = x
        return function(*full[:len(args)], **dict(zip(options, full[len(args):])))

    f = lambda *variables: call(getattr(nn, name), variables, lambda a: a)
    tensors = [torch.tensor(x.copy(), requires_grad=True) for x in xs]
    y = call(of_torch(name), tensors, lambda a: torch.tensor(a) if isinstance(a, np.ndarray) else a)
    value, pull = rg.vjp(f, *xs)
    close(value, y.detach().numpy())

    g = rng.standard_normal(np.shape(value))
    scalar = (y * torch.tensor(g)).sum()
    gradient = torch.autograd.grad(scalar, tensors, create_graph=name not in ONCE,
                                   allow_unused=True)
    for mine, theirs in zip(pull(g), gradient):
        close(mine, theirs.detach().numpy() if theirs is not None else np.zeros_like(mine))

    if name in ONCE:
        return
    if name.endswith("_norm") and (lambda a: a.get("bias") is not None and a.get("weight") is None)(
            inspect.signature(getattr(nn, name)).bind(*args, **options).arguments):
        return  # torch fails in the second derivative of a norm with a bias but no weight
    vs = [rng.standard_normal(x.shape) for x in xs]
    second = 0 * sum(t.sum() for t in tensors) + sum((d * torch.tensor(v)).sum() for d,
                                                     v in zip(gradient, vs)
                                                     if d is not None)
    theirs = torch.autograd.grad(second, tensors, allow_unused=True)
    for mine, his in zip(rg.hvp(lambda *variables: np.sum(f(*variables) * g), xs, vs), theirs):
        close(mine, np.zeros_like(mine) if his is None else his.numpy(), rtol=4 * ROUNDING)


def has_the_signature_of_torch(name):
    """Names, order and defaults of the arguments; refgrad's own `generator` is by keyword alone."""
    mine = [p.replace(annotation=p.empty)
            for p in inspect.signature(getattr(nn, name)).parameters.values()
            if p.name != "generator"]
    function = getattr(F, f"{name}_with_indices", of_torch(name))  # which the name dispatches to
    if inspect.isfunction(function):
        theirs = inspect.signature(function).parameters.values()
        assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in theirs]
        return
    documented = " ".join(function.__doc__.replace(" = ", "=").split())
    written = re.match(r"\w+(\(.*?\)) -> Tensor", documented)
    text = f"({', '.join(map(str, mine))})"
    assert (text == BUILTINS.get(name, written and written[1])
            and text.replace("e-0", "e-") in documented)
