"""Attention: for each query a mean of the values, weighted by how well their keys fit.

With the queries, keys and values as rows of Q, K and V, a scale s and a mask M:

    S = s Q K' + M,   P = softmax S (of each row),   Y = P V
    dS = s dQ K' + s Q dK' + dM,  dP = P . (dS - <P, dS> 1') with the rows' products <P, dS>,
        dY = dP V + P dV
    <G, P dV> = tr(G' P dV) = <P' G, dV>                                    so  G_V = P' G
    <G, dP V> = tr(G' dP V) = <G V', dP>                                    so  G_P = G V'
    <G_P, dP> = <P . (G_P - <P, G_P> 1'), dS>, as the matrix of softmax is symmetric; that is G_S
    <G_S, s dQ K'> = <s G_S K, dQ>                                          so  G_Q = s G_S K
    <G_S, s Q dK'> = <s G_S' Q, dK>                                         so  G_K = s G_S' Q;
        and G_M = G_S

Products and softmax are primitives with these rules, so attention is their composition.
"""

from __future__ import annotations

import numpy as np

from ..cases import Case
from ..errors import describe
from ..hints import Array
from ..primitive import composed
from ..rules.constants import number
from .arguments import broadcasts, expected, plain, shape_of
from .linear import linear
from .regularization import dropout
from .softmax import masked_softmax, softmax


def _attended(q, k, v, allowed, added, scale, dropout_p, generator):
    """Y and P.  What is not `allowed` has probability 0 (None: everything is); `added` is the rest
    of the mask."""
    scores = (q * scale) @ k.mT
    if added is not None:
        scores = scores + added
    if allowed is None:
        p = softmax(scores, -1)
    else:
        p = masked_softmax(scores, mask=np.broadcast_to(allowed, scores.shape), axis=-1)
    p = dropout(p, dropout_p, generator=generator)
    return p @ v, p


def _scale(q, size):
    return 1 / np.sqrt(number(size, q))


def _mask_of(function, argument, mask, forbids=False):
    """A mask as (allowed, added): truth values, and finite numbers; each None where it says
    nothing.

    An infinite negative number forbids as a truth value does; of truth values True allows, or
    `forbids`.
    """
    if mask is None:
        return None, None
    shape_of(function, argument, mask)
    if mask.dtype.kind == "b":
        return (~mask if forbids else mask), None
    if mask.dtype.kind not in "fO":
        raise TypeError(f"{function}: {argument} is {describe(mask)}; expected truth values, "
                        "or floats to add")
    allowed = np.not_equal(mask, -np.inf)
    return (None, mask) if np.all(allowed) else (allowed, np.where(allowed, mask, 0))


def _matrices(function, **arrays):
    for argument, x in arrays.items():
        if len(shape_of(function, argument, x)) < 2:
            raise ValueError(f"{function}: {argument} has shape {x.shape}; expected two axes "
                             "or more")


#: Scales of which the products can be multiplied with each other, three times differentiated.
PRODUCTS = -30, 30

_SOME = np.array([[True, False, True, True], [False] * 4])


@composed(cases=[
    Case((2, 2), (3, 2), (3, 1), scales=PRODUCTS),
    Case((2, 2), (4, 2), (4, 1), attn_mask=_SOME, scales=PRODUCTS),
    Case((3, 1), (3, 1), (3, 2), is_causal=True, scale=0.5, scales=PRODUCTS),
    Case((2, 2), (3, 2), (3, 1), (2, 3), scales=PRODUCTS,
         call=lambda q, k, v, m: scaled_dot_product_attention(
             q, k, v, m, 0.25, generator=np.random.default_rng(5))),
    Case((2, 1, 2), (1, 2, 2), (1, 2, 1), attn_mask=np.array([0.5, -np.inf]), enable_gqa=True,
         scales=PRODUCTS)])
def scaled_dot_product_attention(query: Array, key: Array, value: Array,
                                 attn_mask: Array | None = None, dropout_p: float = 0.0,
                                 is_causal: bool = False, *, scale: float | None = None,
                                 enable_gqa: bool = False,
                                 generator: np.random.Generator | None = None) -> Array:
    """softmax(scale query key' + attn_mask) value.  Vaswani et al. (2017).

    query       (*, L, E)
    key, value  (*, S, E) and (*, S, Ev); leading axes broadcast
    attn_mask   truth values, True where the key takes part; or numbers to add, -inf where it does
                not.  It broadcasts to (*, L, S).  A query without any key gives 0
    dropout_p   the probability with which an entry of softmax is dropped; there is no argument
                training
    is_causal   query l sees the keys up to l alone; then attn_mask must be None
    scale       None for 1 / sqrt(E)
    enable_gqa  key and value have fewer heads (axis -3), each for as many heads of query as follow
                each other
    generator   as of dropout, needed for 0 < dropout_p < 1
    Returns (*, L, Ev).
    Raises ValueError for shapes that do not match and a causal mask beside another one, TypeError
    for a mask of other numbers.  As torch.nn.functional.scaled_dot_product_attention, but for the
    generator.
    """
    name = "scaled_dot_product_attention"
    _matrices(name, query=query, key=key, value=value)
    if enable_gqa:
        key, value = (_repeated_heads(name, query, argument, x)
                      for argument, x in (("key", key), ("value", value)))
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{name}: query has shape {query.shape}, key {key.shape} and value "
                         f"{value.shape}; expected (*, L, E), (*, S, E) and (*, S, Ev)")
    try:
        leading = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except ValueError:
        raise ValueError(f"{name}: query has shape {query.shape}, key {key.shape} and value "
                         f"{value.shape}; expected leading axes that broadcast") from None
    length, keys = query.shape[-2], key.shape[-2]
    allowed, added = _mask_of(name, "attn_mask", attn_mask)
    if is_causal:
        if attn_mask is not None:
            raise expected(name, "attn_mask", describe(attn_mask), "None with is_causal=True")
        allowed = np.tri(length, keys, dtype=bool)
    elif attn_mask is not None and not broadcasts(attn_mask.shape, (*leading, length, keys)):
        raise ValueError(f"{name}: attn_mask has shape {attn_mask.shape}, which does not broadcast "
                         f"to {(*leading, length, keys)}")
    scale = _scale(query, query.shape[-1]) if scale is None else plain(name, "scale", scale)
    return _attended(query, key, value, allowed, added, scale, dropout_p, generator)[0]


def _repeated_heads(function, query, argument, x):
    """Each head as often as there are heads of query for one of its."""
    if query.ndim < 3 or x.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise ValueError(f"{function}: query has shape {query.shape} and {argument} {x.shape}; "
                         "with enable_gqa=True expected the heads, axis -3, of query to be a "
                         f"multiple of those of {argument}")
    return np.repeat(x, query.shape[-3] // x.shape[-3], axis=-3)


def _heads(count):
    def attention(x, into, out, inner=None, outer=None):
        return multi_head_attention_forward(x, x, x, 2, count, into, inner, None, None, False, 0.0,
                                            out, outer, need_weights=False)[0]
    return attention


@composed(cases=[
    Case((3, 2), (6, 2), (2, 2), call=_heads(1), scales=(-300, 0)),
    Case((2, 1, 2), (6, 2), (2, 2), (6,), (2,), call=_heads(2), scales=(-300, 0))])
def multi_head_attention_forward(query: Array, key: Array, value: Array, embed_dim_to_check: int,
                                 num_heads: int, in_proj_weight: Array | None,
                                 in_proj_bias: Array | None, bias_k: Array | None,
                                 bias_v: Array | None, add_zero_attn: bool, dropout_p: float,
                                 out_proj_weight: Array, out_proj_bias: Array | None,
                                 training: bool = True, key_padding_mask: Array | None = None,
                                 need_weights: bool = True, attn_mask: Array | None = None,
                                 use_separate_proj_weight: bool = False,
                                 q_proj_weight: Array | None = None,
                                 k_proj_weight: Array | None = None,
                                 v_proj_weight: Array | None = None, static_k: Array | None = None,
                                 static_v: Array | None = None, average_attn_weights: bool = True,
                                 is_causal: bool = False, *,
                                 generator: np.random.Generator | None = None
                                 ) -> tuple[Array, Array | None]:
    """Attention of several heads: affine maps of query, key and value, attention in each part, an
    affine map of all.

    Vaswani et al. (2017).

    query             (L, N, E), or (L, E) without a batch
    key, value        (S, N, E) both; with weights of their own (S, N, Ek) and (S, N, Ev)
    embed_dim_to_check, num_heads
                      E, and a divisor of it: the heads are the H parts of the last axis
    in_proj_weight    (3 E, E), for query, key and value one below the other; in_proj_bias (3 E,) or
                      None
    use_separate_proj_weight
                      q_proj_weight (E, E), k_proj_weight (E, Ek) and v_proj_weight (E, Ev) are used
                      instead
    bias_k, bias_v    (1, 1, E): one more key and its value, for all; both or None
    add_zero_attn     one more key and value of zeros
    static_k, static_v
                      (N H, S, E / H): used instead of the projected keys or values; or None
    out_proj_weight   (E, E), and out_proj_bias (E,) or None
    training, dropout_p
                      as of dropout, of the entries of softmax; needs a generator, as there
    key_padding_mask  (N, S), or (S,): True for keys that take no part; or numbers to add
    attn_mask         (L, S) or (N H, L, S): True for keys that take no part; or numbers to add
    is_causal         says that attn_mask is the causal one, which must be given; it is what is used
    need_weights      return the entries of softmax as well, their mean over the heads if
                      average_attn_weights
    Returns (output, weights): output in the shape of query; weights (N, L, S) or (N, H, L, S), with
    a batch; or None. A query without any key gives 0 for its heads, as in
    scaled_dot_product_attention (torch: nan with need_weights). Raises ValueError for shapes that
    do not match, and for what is missing.
    As torch.nn.functional.multi_head_attention_forward, but for the generator.
    """
    name = "multi_head_attention_forward"
    shape = shape_of(name, "query", query)
    if (len(shape) not in (2, 3)
            or {len(shape_of(name, "key", key)), len(shape_of(name, "value", value))} != {
                    len(shape)}):
        raise ValueError(f"{name}: query has shape {shape}, key {key.shape} and value "
                         f"{value.shape}; expected (L, N, E) and (S, N, E), or (L, E) and (S, E)")
    if is_causal and attn_mask is None:
        raise expected(name, "attn_mask", "None",
                       "the causal mask with is_causal=True, which is a hint alone")
    batched = len(shape) == 3
    if not batched:
        query, key, value = (x[:, None] for x in (query, key, value))
        key_padding_mask = key_padding_mask if key_padding_mask is None else key_padding_mask[None]
    length, batch, width = query.shape
    heads = plain(name, "num_heads", num_heads)
    if width != embed_dim_to_check:
        raise expected(name, "embed_dim_to_check", embed_dim_to_check,
                       f"{width}, the last axis of query")
    if heads < 1 or width % heads:
        raise expected(name, "num_heads", heads, f"a divisor of {width}, the last axis of query")
    own = () if use_separate_proj_weight else (width,)
    if (key.shape[:2] + own != value.shape[:2] + value.shape[2:] * len(own) or key.shape[1] != batch
            or (own and key.shape[2:] != own)):
        raise ValueError(f"{name}: query has shape {shape}, key {key.shape} and value "
                         f"{value.shape}; expected the same batch, and keys and values of the same "
                         "number" + (f" and width {width}" if own else ""))
    q, k, v = _projected(name, query, key, value, in_proj_weight, in_proj_bias,
                         use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight)
    masks = _masks(name, attn_mask, key_padding_mask, batch, heads, length, key.shape[0])

    if (bias_k is None) != (bias_v is None):
        raise expected(name, "bias_k" if bias_k is None else "bias_v", "None",
                       "both or neither of bias_k and bias_v")
    more = 0
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            raise ValueError(f"{name}: bias_k and bias_v are given with static_k or static_v; "
                             "expected one of the pairs")
        k, v = (np.concatenate([x, np.broadcast_to(_shaped(name, argument, bias, (1, 1, width)),
                                                   (1, batch, width))])
                for x, argument, bias in ((k, "bias_k", bias_k), (v, "bias_v", bias_v)))
        more += 1
    q, k, v = (np.transpose(np.reshape(x, (x.shape[0], batch, heads, width // heads)), (1, 2, 0, 3))
               for x in (q, k, v))
    k, v = (x if static is None else _static(name, argument, static, batch, heads, width // heads)
            for x, argument, static in ((k, "static_k", static_k), (v, "static_v", static_v)))
    if add_zero_attn:
        k, v = (np.concatenate([x, np.zeros_like(x, shape=(batch, heads, 1, width // heads))],
                               axis=2) for x in (k, v))
        more += 1
    if k.shape[2] != v.shape[2]:
        raise ValueError(f"{name}: there are {k.shape[2]} keys and {v.shape[2]} values; "
                         "expected the same number")
    allowed, added = _with_more(masks, more)

    y, p = _attended(q, k, v, allowed, added, _scale(q, width // heads),
                     dropout_p if training else 0.0, generator)
    y = linear(np.reshape(np.transpose(y, (2, 0, 1, 3)), (length, batch, width)), out_proj_weight,
               out_proj_bias)
    if need_weights and average_attn_weights:
        p = np.mean(p, axis=1)
    if not batched:
        y, p = y[:, 0], p[0]
    return y, p if need_weights else None


def _shaped(function, argument, x, wanted):
    if shape_of(function, argument, x) != wanted:
        raise ValueError(f"{function}: {argument} has shape {x.shape}; expected {wanted}")
    return x


def _static(function, argument, x, batch, heads, width):
    if len(shape_of(function, argument, x)) != 3 or x.shape[::2] != (batch * heads, width):
        raise ValueError(f"{function}: {argument} has shape {x.shape}; expected ({batch * heads}, "
                         f"S, {width})")
    return np.reshape(x, (batch, heads, x.shape[1], width))


def _projected(function, query, key, value, weight, bias, separate, *weights):
    """The affine maps of query, key and value."""
    width = query.shape[-1]
    if separate:
        for argument, w in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights):
            if w is None:
                raise expected(function, argument, "None",
                               "a matrix with use_separate_proj_weight=True")
    elif weight is None:
        raise expected(function, "in_proj_weight", "None",
                       "a matrix with use_separate_proj_weight=False")
    else:
        _shaped(function, "in_proj_weight", weight, (3 * width, width))
        weights = [weight[i * width:(i + 1) * width] for i in range(3)]
    if bias is not None:
        _shaped(function, "in_proj_bias", bias, (3 * width,))
    biases = [None if bias is None else bias[i * width:(i + 1) * width] for i in range(3)]
    return [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]


def _masks(function, attn_mask, key_padding_mask, batch, heads, length, keys):
    """Both masks, each (allowed, added) with axes that broadcast to (N, H, L, S)."""
    found = []
    for argument, mask, forms in (
            ("attn_mask", attn_mask, {(length, keys): (1, 1, length, keys),
                                      (batch * heads, length, keys): (batch, heads, length, keys)}),
            ("key_padding_mask", key_padding_mask, {(batch, keys): (batch, 1, 1, keys)})):
        parts = _mask_of(function, argument, mask, forbids=True)
        if mask is not None and mask.shape not in forms:
            raise ValueError(f"{function}: {argument} has shape {mask.shape}; "
                             f"expected {' or '.join(map(str, forms))}")
        found.append([x if x is None else np.reshape(x, forms[mask.shape]) for x in parts])
    return found


def _with_more(masks, more):
    """The masks as one (allowed, added), with so many more keys that take part."""
    alloweds, addeds = zip(*masks)
    around = [(0, 0)] * 3 + [(0, more)]
    alloweds = [np.pad(a, around, constant_values=True) for a in alloweds if a is not None]
    addeds = [np.pad(a, around) for a in addeds if a is not None]
    allowed = alloweds[0] & alloweds[-1] if alloweds else None
    return allowed, sum(addeds[1:], start=addeds[0]) if addeds else None
