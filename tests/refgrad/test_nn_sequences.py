"""Norms, attention, embeddings, recurrent cells and dropouts: what test_nn's table of calls does
not reach."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import refgrad as rg
from refgrad import nn
from refgrad.nn.regularization import SELU_LIMIT
from tests.refgrad.layers import X3, X4, X, drawn

from .checks import close, is_dual
from .sequences import BAGS, OFFSETS, TOKENS, WEIGHT, K, Q, V


def seeded():
    return np.random.default_rng(5)


def agrees(mine, theirs, arrays):
    """Values and gradients of all results, added up with random factors."""
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected, rng = theirs(*tensors), np.random.default_rng(7)
    factors = [rng.standard_normal(tuple(y.shape)) for y in expected]
    for y, e in zip(mine(*arrays), expected, strict=True):
        close(y, e.detach().numpy())
    gradients = torch.autograd.grad(sum((y * torch.tensor(f)).sum()
                                        for y, f in zip(expected, factors)), tensors)
    scalar = lambda *x: sum(np.sum(y * f) for y, f in zip(mine(*x), factors))
    for g, e in zip(rg.grad(scalar, tuple(range(len(arrays))))(*arrays), gradients, strict=True):
        close(g, e.numpy())


# Norms


@pytest.mark.parametrize("eps", [1e-5, 1e-12, 0.5])
def test_norms_of_one_and_two_entries_do_not_cancel(eps):
    """z tends to a sign, and its slope is eps / s^3."""
    x, half = 0.75, 0.3125
    s = lambda c: np.sqrt(c * c + eps)
    slope = rg.grad(lambda x: np.sum(nn.rms_norm(x, (1,), eps=eps)))(np.array([x]))
    np.testing.assert_allclose(slope, [eps / s(x) ** 3], rtol=1e-14)
    slope = rg.grad(lambda x: nn.layer_norm(x, (2,), eps=eps)[0])(np.array([x + half, x - half]))
    np.testing.assert_allclose(slope, np.array([0.5, -0.5]) * eps / s(half) ** 3, rtol=1e-14)


@pytest.mark.parametrize("dtype, scales", [(np.float64, (1e-300, 1e-160, 1e160, 1e300)),
                                           (np.float32, (1e-36, 1e36))])
def test_without_eps_norms_do_not_depend_on_the_scale(dtype, scales):
    x = np.array([1.0, -2.0, 3.0, 0.5], dtype)
    for norm in (nn.rms_norm, nn.layer_norm):
        f = lambda x: nn.softmax(norm(x, (4,), eps=0), 0)[0]
        for scale in scales:
            large = x * dtype(scale)
            np.testing.assert_allclose(f(large), f(x), rtol=8 * np.finfo(dtype).eps)
            np.testing.assert_allclose(rg.grad(f)(large) * dtype(scale), rg.grad(f)(x), rtol=0,
                                       atol=16 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype, eps", [(np.float16, 2.0 ** -23), (np.float32, 2.0 ** -23),
                                        (np.float64, 2.0 ** -52)])
def test_the_eps_of_rms_norm_is_that_of_the_dtype_of_its_sums(dtype, eps):
    x = np.full(2, 2.0 ** -14, dtype)
    assert nn.rms_norm(x, (2,)).dtype == dtype
    np.testing.assert_array_equal(nn.rms_norm(x, (2,)), nn.rms_norm(x, (2,), eps=eps))
    expected = F.rms_norm(torch.tensor(x), (2,)).numpy()
    np.testing.assert_allclose(nn.rms_norm(x, (2,)), expected, rtol=2 * np.finfo(dtype).eps)


def test_group_norm_with_a_bias_alone():
    """Of which torch has no gradient."""
    agrees(lambda x, b: [nn.group_norm(x, 3, None, b)],
           lambda x, b: [F.group_norm(x, 3, torch.ones_like(b), b)], [X4, drawn((3,))])


def test_local_response_norm_by_a_loop():
    x, (alpha, beta, k) = X4, (0.5, 0.75, 2.0)
    for size in (1, 2, 3, 5):
        y = np.empty_like(x)
        for c in range(3):
            near = [j for j in range(c - size // 2, c + (size - 1) // 2 + 1) if 0 <= j < 3]
            y[:, c] = x[:, c] / (k + alpha * sum(x[:, j] ** 2 for j in near) / size) ** beta
        close(nn.local_response_norm(x, size, alpha, beta, k), y)


def test_normalize_where_the_norm_is_eps():
    """At the bound the slope is that of x / n, as torch has it."""
    x = np.array([[0.75, -1.0]])
    agrees(lambda x: [nn.normalize(x, eps=1.25)], lambda x: [F.normalize(x, eps=1.25)], [x])


def test_softmax_in_another_dtype():
    x = X.astype(np.float32)
    for f in (nn.softmax, nn.log_softmax, nn.softmin):
        value, pull = rg.vjp(lambda x: f(x, 1, dtype=np.float64), x)
        np.testing.assert_array_equal(value, f(x.astype(np.float64), 1))
        assert value.dtype == np.float64 and pull(value)[0].dtype == np.float32


# Attention


def test_attention_by_loops():
    wide, mask = drawn((2, 4, 3, 4)), np.random.default_rng(1).random((3, 5)) < 0.7
    k, v = K[:, None], np.repeat(V[:, None], 2, axis=1)
    k = np.concatenate([k, -k], axis=1)
    y = nn.scaled_dot_product_attention(wide, k, v, mask, enable_gqa=True)
    for n in range(2):
        for h in range(4):
            for i in range(3):
                fits = np.exp(np.array([wide[n, h, i] @ k[n, h // 2, j] / 2 if m else -np.inf
                                        for j, m in enumerate(mask[i])]))
                close(y[n, h, i], sum(p * r for p, r in zip(fits / np.sum(fits), v[n, h // 2])))


def test_a_query_without_keys_gives_nothing_and_receives_nothing():
    mask = np.array([[True] * 5, [False] * 5, [True] * 5])
    for m in (mask, np.where(mask, 0.25, -np.inf)):
        y, pull = rg.vjp(lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, m), Q, K, V)
        slopes = pull(np.ones_like(y))
        assert np.all(y[:, 1] == 0) and np.all(slopes[0][:, 1] == 0) and np.any(y[:, 2] != 0)
        assert all(np.all(np.isfinite(s)) for s in slopes)


@pytest.mark.parametrize("level", [-1e4, 0.0, 1e4])
def test_what_is_masked_does_not_matter(level):
    q, k, v = (np.ones((1, 1)), np.array([[level], [level + 1], [1e30]]),
               np.array([[1.0], [2.0], [3.0]]))
    y = nn.scaled_dot_product_attention(q, k, v, np.array([True, True, False]), scale=1)
    close(y, np.array([[1 + 1 / (1 + np.exp(-1.0))]]))


def test_dropout_in_attention_is_that_of_its_weights():
    p = nn.softmax(Q @ K.mT / 2, -1)
    y = nn.scaled_dot_product_attention(Q, K, V, dropout_p=0.25, generator=seeded())
    close(y, nn.dropout(p, 0.25, generator=seeded()) @ V)


FORBIDDEN = np.array([[False, True, False, False], [False, False, True, True], [False] * 4])
STATIC = drawn((4, 4, 2)), drawn((4, 4, 2), seed=1)


@pytest.mark.parametrize("options", [
    {}, {"need_weights": False}, {"average_attn_weights": False},
    {"attn_mask": FORBIDDEN}, {"add_zero_attn": True},
    {"attn_mask": drawn((4, 3, 4)), "key_padding_mask": FORBIDDEN[:2], "add_zero_attn": True},
    {"attn_mask": np.where(FORBIDDEN, -np.inf, drawn((3, 4))), "need_weights": False},
    {"key_padding_mask": drawn((2, 4)), "bias_k": drawn((1, 1, 4)),
     "bias_v": drawn((1, 1, 4), seed=1)},
    {"static_k": STATIC[0], "static_v": STATIC[1]},
    {"use_separate_proj_weight": True, "in_proj_bias": None}], ids=str)
@pytest.mark.parametrize("batched", [True, False])
def test_several_heads_are_those_of_torch(options, batched):
    options = dict(options)
    rest = 2 if batched else 1
    key = value = drawn((4, rest, 4), seed=1)
    if options.get("use_separate_proj_weight"):
        value = drawn((4, rest, 3))
        options |= {"q_proj_weight": drawn((4, 4)), "k_proj_weight": drawn((4, 4), seed=1),
                    "v_proj_weight": drawn((4, 3))}
    elif not batched:
        cut = {"attn_mask": 2, "key_padding_mask": 1, "static_k": 2, "static_v": 2}
        options |= {k: options[k][:n] for k, n in cut.items() if options.get(k) is not None and (
            k != "attn_mask" or options[k].ndim == 3)}
    full = {"query": drawn((3, rest, 4)), "key": key, "value": value,
            "in_proj_weight": drawn((12, 4)),
            "in_proj_bias": drawn((12,)), "bias_k": None, "bias_v": None, "add_zero_attn": False,
            "out_proj_weight": drawn((4, 4), seed=2), "out_proj_bias": drawn((4,)), **options}
    if not batched:
        full |= {k: full[k][:, 0] for k in ("query", "key", "value")}
        if full.get("key_padding_mask") is not None:
            full["key_padding_mask"] = full["key_padding_mask"][0]
    masks = {k: full.pop(k) for k in ("attn_mask", "key_padding_mask") if k in full}
    unused = {"in_proj_weight"} if options.get("use_separate_proj_weight") else set()
    names = [k for k, a in full.items() if isinstance(a, np.ndarray) and k not in unused]
    if "static_k" in full:
        names = [k for k in names if k not in ("key", "value")]

    def call(function, convert, values):
        given = full | dict(zip(names, values)) | masks
        given = {k: convert(a) if isinstance(a, np.ndarray) else a for k, a in given.items()}
        y = function(embed_dim_to_check=4, num_heads=2, dropout_p=0.0, **given)
        assert (y[1] is None) == (not options.get("need_weights", True))
        return [a for a in y if a is not None]

    agrees(lambda *x: call(nn.multi_head_attention_forward, lambda a: a, x),
           lambda *x: call(F.multi_head_attention_forward, torch.tensor, x),
           [full[k] for k in names])


def test_the_signature_of_several_heads_is_that_of_torch():
    mine, theirs = (inspect.signature(f).parameters.values() for f in (
        nn.multi_head_attention_forward, F.multi_head_attention_forward))
    assert ([(p.name, p.default) for p in mine if p.name != "generator"]
            == [(p.name, p.default) for p in theirs])


# Embeddings


def test_what_torch_scales_is_scaled_in_both_modes():
    for options in ({"padding_idx": 3}, {"scale_grad_by_freq": True}):
        is_dual(lambda W: nn.embedding(TOKENS, W, **options), [WEIGHT], seeded())
    slope = rg.grad(lambda W: np.sum(nn.embedding_bag(TOKENS, W, mode="sum",
                                                      scale_grad_by_freq=True)))(WEIGHT)
    # Torch divides by counts of other rows: see 3, 1.
    np.testing.assert_array_equal(slope[:, 0], [1, 1, 0, 1])


def test_bags_by_a_loop():
    ends = [*OFFSETS[1:], len(BAGS)]
    for mode, combine in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        bags = [WEIGHT[BAGS[a:b]] for a, b in zip(OFFSETS, ends)]
        wanted = np.array([combine(rows, axis=0) if len(rows) else np.zeros(2) for rows in bags])
        close(nn.embedding_bag(BAGS, WEIGHT, OFFSETS, mode=mode), wanted)
        # Without the last bag the last offset is its end (torch goes on to the end of input in some
        # of its ways).
        close(nn.embedding_bag(BAGS, WEIGHT, OFFSETS, mode=mode, include_last_offset=True),
              wanted[:-1])


def test_of_equal_entries_the_first_one_is_the_largest():
    W = np.array([[1.0, 2.0], [1.0, 3.0], [0.0, 3.0]])
    for tokens, wanted in (([[0, 1, 2]], [[1, 0], [0, 1], [0, 0]]),
                           ([[2, 1, 0]], [[0, 0], [1, 0], [0, 1]])):
        slope = lambda f, x: rg.grad(lambda W: np.sum(f(np.array(tokens), W, mode="max")))(x)
        np.testing.assert_array_equal(slope(nn.embedding_bag, W), wanted)
        T = torch.tensor(W, requires_grad=True)
        F.embedding_bag(torch.tensor(tokens), T, mode="max").sum().backward()
        np.testing.assert_array_equal(T.grad.numpy(), wanted)


@pytest.mark.parametrize("t, n",
                         [(TOKENS, -1), (TOKENS, 6), (np.array(2), -1), (np.array([], int), 3)])
def test_unit_vectors(t, n):
    y = nn.one_hot(t, n)
    np.testing.assert_array_equal(y, F.one_hot(torch.tensor(t, dtype=torch.int64), n).numpy())
    assert y.dtype == np.int64


# Recurrent cells

STATES = [drawn((4, 3)), drawn((4, 2))]


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("name, gates", [("rnn_tanh_cell", 1), ("rnn_relu_cell", 1),
                                         ("gru_cell", 3), ("lstm_cell", 4)])
def test_cells_are_those_of_torch(name, gates, biased):
    n = 2 * gates
    parameters = [drawn((n, 3)), drawn((n, 2)), *[drawn((n,), seed=s) for s in (0, 1)] * biased]
    if name == "lstm_cell":
        call = lambda library: lambda x, h, c, *p: library.lstm_cell(x, (h, c), *p)
        states = [*STATES, drawn((4, 2), seed=1)]
    else:
        call, states = lambda library: lambda *a: [getattr(library, name)(*a)], STATES
    agrees(call(nn), call(torch), [*states, *parameters])
    one = call(nn)(*(x[0] for x in states), *parameters)
    for a, b in zip(one, call(nn)(*states, *parameters), strict=True):
        close(a, b[0])


def test_a_gate_that_is_nearly_open_keeps_its_digits():
    """1 - sigma(40) is 4e-18."""
    w = np.zeros((3, 1))
    h = nn.gru_cell(np.ones(1), np.zeros(1), w, w, np.array([0.0, 40.0, 1.0]))
    np.testing.assert_allclose(h, [np.tanh(1.0) / (1 + np.exp(40.0))], rtol=1e-15)


# Dropouts


@pytest.mark.parametrize("f, x, axes", [
    (nn.dropout1d, X3, 2), (nn.dropout1d, X, 1), (nn.dropout2d, X4, 2), (nn.dropout2d, X3, 2),
    (nn.dropout3d, X4, 1), (nn.dropout3d, X4[None], 2)])
def test_whole_channels_are_dropped(f, x, axes):
    mask = seeded().random(x.shape[:axes] + (1,) * (x.ndim - axes)) >= 0.4
    close(f(x, 0.4, generator=seeded()), np.where(mask, x / (1 - 0.4), 0))
    close(rg.grad(lambda x: np.sum(f(x, 0.4, generator=seeded())))(x),
          np.broadcast_to(mask / (1 - 0.4), x.shape))


@pytest.mark.parametrize("f, shape",
                         [(nn.alpha_dropout, X3.shape), (nn.feature_alpha_dropout, (2, 3, 1))])
def test_alpha_dropout_with_the_formula_of_torch(f, shape):
    p, alpha = 0.3, SELU_LIMIT
    noise = (seeded().random(shape) >= p).astype(float)
    a = 1 / np.sqrt((alpha ** 2 * p + 1) * (1 - p))
    close(f(X3, p, True, generator=seeded()),
          X3 * noise * a + (noise - 1) * alpha * a + alpha * a * p)
    close(rg.grad(lambda x: np.sum(f(x, p, True, generator=seeded())))(X3),
          np.broadcast_to(noise * a, X3.shape))


def test_alpha_dropout_keeps_mean_and_variance():
    y = nn.alpha_dropout(seeded().standard_normal(200_000), 0.25, True,
                         generator=np.random.default_rng(1))
    assert abs(np.mean(y)) < 0.01 and abs(np.var(y) - 1) < 0.01


# Parameters and dtypes


@pytest.mark.parametrize("call", [
    lambda x: nn.group_norm(x, np.int64(3), eps=np.float64(0.5)),
    lambda x: nn.instance_norm(x[None], eps=np.float64(0.5)),
    lambda x: nn.rms_norm(x, (3,), eps=np.float64(0.5)), lambda x: nn.rms_norm(x, (3,)),
    lambda x: nn.local_response_norm(x[None], 2, *map(np.float64, (0.5, 0.75, 2))),
    lambda x: nn.normalize(x, np.float64(3), eps=np.float64(0.5)), lambda x: nn.normalize(x),
    lambda x: nn.scaled_dot_product_attention(x, x, x, scale=np.float64(0.5), is_causal=True),
    lambda x: nn.scaled_dot_product_attention(x, x, x, np.eye(4, dtype=bool)),
    lambda x: nn.embedding(TOKENS, x, 0, scale_grad_by_freq=True),
    lambda x: nn.embedding_bag(TOKENS, x), lambda x: nn.embedding_bag(TOKENS, x, mode="max"),
    lambda x: nn.bilinear(x, x, np.ones((2, 3, 3), np.float32)),
    lambda x: nn.alpha_dropout(x, np.float64(0.5), True, generator=seeded()),
    lambda x: nn.softmin(x, 0), lambda x: nn.dropout1d(x, np.float64(0.5), generator=seeded()),
    lambda x: nn.gru_cell(x, x, *[np.ones((9, 3), np.float32)] * 2),
    lambda x: nn.lstm_cell(x, (x, x), *[np.ones((12, 3), np.float32)] * 2)[0]])
def test_float32_stays(call):
    value, gradient = rg.value_and_grad(lambda x: np.sum(call(x)))(X.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32


# What is refused

SIX = drawn((2, 6, 3))
HEADS = dict(embed_dim_to_check=4, num_heads=2, in_proj_weight=drawn((12, 4)), in_proj_bias=None,
             bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
             out_proj_weight=drawn((4, 4)), out_proj_bias=None)
heads = lambda q=Q, k=K, v=K, **options: nn.multi_head_attention_forward(
    *(np.swapaxes(x, 0, 1) for x in (q, k, v)), **HEADS | options)
attend = nn.scaled_dot_product_attention
WRONG = [
    (lambda: nn.group_norm(SIX, 4), ValueError,
     "group_norm: num_groups is 4; expected a divisor of 6"),
    (lambda: nn.group_norm(SIX, 0), ValueError, "group_norm: num_groups is 0"),
    (lambda: nn.group_norm(SIX, 2, drawn((3,))), ValueError,
     r"group_norm: weight has shape \(3,\); expected \(6,\)"),
    (lambda: nn.group_norm(X[:1], 3), ValueError, "a single value in each of 3 groups"),
    (lambda: nn.instance_norm(X), ValueError,
     "instance_norm: .* a single value in each channel of a sample"),
    (lambda: nn.instance_norm(SIX, drawn((6,)), drawn((6,))), ValueError, "Pass None for both"),
    (lambda: nn.instance_norm(SIX, use_input_stats=False), ValueError,
     "running_mean is None; .*use_input_stats=False"),
    (lambda: nn.rms_norm(X, (4,)), ValueError, "rms_norm: normalized_shape is"),
    (lambda: nn.local_response_norm(X, 2), ValueError, "local_response_norm: input has shape"),
    (lambda: nn.local_response_norm(SIX, 0), ValueError, "local_response_norm: size is 0"),
    (lambda: nn.normalize(X, out=X), TypeError, r"normalize: out=(.|\n)* not supported"),
    (lambda: nn.normalize(X, dim=2), ValueError, "normalize: dim is 2"),
    (lambda: nn.bilinear(X, X, X), ValueError, "bilinear: weight has shape"),
    (lambda: nn.bilinear(X, X[:2], drawn((2, 3, 3))), ValueError, "expected the same leading axes"),
    (lambda: nn.bilinear(X, X, drawn((2, 3, 4))), ValueError, r"expected \(\*, in1\)"),
    (lambda: nn.bilinear(X, X, drawn((2, 3, 3)), X[0]), ValueError,
     r"bias has shape \(3,\); expected \(2,\)"),
    (lambda: attend(Q, V, K), ValueError, "expected .*L, E"),
    (lambda: attend(Q[0, 0], K, V), ValueError, "two axes"),
    (lambda: attend(Q, K, V, drawn((3, 4))), ValueError, "does not broadcast to"),
    (lambda: attend(Q, K, V, np.ones((3, 5), int)), TypeError, "attn_mask is int64"),
    (lambda: attend(Q, K, V, np.ones((3, 5), bool), is_causal=True), ValueError,
     "expected None with is_causal=True"),
    (lambda: attend(Q, K, V, dropout_p=0.5), TypeError,
     "generator is NoneType; .*np.random.default_rng"),
    (lambda: attend(drawn((3, 3, 4)), K, V, enable_gqa=True), ValueError, "expected the heads"),
    (lambda: attend(drawn((3, 3, 4)), K, V), ValueError, "leading axes that broadcast"),
    (lambda: heads(is_causal=True), ValueError, "attn_mask is None; expected the causal mask"),
    (lambda: heads(num_heads=3), ValueError, "num_heads is 3; expected a divisor of 4"),
    (lambda: heads(embed_dim_to_check=5), ValueError, "embed_dim_to_check is 5; expected 4"),
    (lambda: heads(in_proj_weight=None), ValueError, "in_proj_weight is None"),
    (lambda: heads(bias_k=drawn((1, 1, 4))), ValueError,
     "bias_v is None; expected both or neither"),
    (lambda: heads(v=V), ValueError, "keys and values of the same number and width 4"),
    (lambda: heads(attn_mask=np.ones((4, 5), bool)), ValueError,
     r"attn_mask has shape \(4, 5\); expected \(3, 5\)"),
    (lambda: heads(static_k=K), ValueError, r"static_k has shape .*; expected \(4, S, 2\)"),
    (lambda: heads(dropout_p=0.5), TypeError, "generator"),
    (lambda: nn.embedding(X, WEIGHT), TypeError, "embedding: input is float64.*expected integers"),
    (lambda: nn.embedding(np.array([4]), WEIGHT), ValueError,
     "input holds the token 4; expected 0 <= token < 4"),
    (lambda: nn.embedding(np.array([-1]), WEIGHT), ValueError, "the token -1"),
    (lambda: nn.embedding(TOKENS, SIX), ValueError, r"embedding: weight has shape .*\(V, D\)"),
    (lambda: nn.embedding(TOKENS, WEIGHT, 4), ValueError, "padding_idx is 4"),
    (lambda: nn.embedding(TOKENS, WEIGHT, max_norm=1.0), TypeError,
     "max_norm=1.0 is not supported"),
    (lambda: nn.embedding(TOKENS, WEIGHT, sparse=True), TypeError, "sparse=True is not supported"),
    (lambda: nn.embedding_bag(TOKENS, WEIGHT, mode="median"), ValueError,
     "mode is 'median'; expected one of 'sum'"),
    (lambda: nn.embedding_bag(TOKENS, WEIGHT, OFFSETS), ValueError,
     r"offsets is .*; expected None"),
    (lambda: nn.embedding_bag(BAGS, WEIGHT), ValueError,
     "offsets is None; expected an array of integers"),
    (lambda: nn.embedding_bag(BAGS, WEIGHT, np.array([1, 2])), ValueError,
     "numbers from 0 to 6 that start with 0"),
    (lambda: nn.embedding_bag(TOKENS, WEIGHT, per_sample_weights=drawn((2, 3))), ValueError,
     "None with mode='mean'"),
    (lambda: nn.embedding_bag(TOKENS, WEIGHT, mode="max", scale_grad_by_freq=True), ValueError,
     "scale_grad_by_freq"),
    (lambda: nn.one_hot(TOKENS, 2), ValueError,
     "one_hot: tensor holds the class 3; expected 0 <= class < 2"),
    (lambda: nn.one_hot(np.array([], int)), ValueError, "one_hot: num_classes is -1"),
    (lambda: nn.one_hot(X), TypeError, "one_hot: tensor is float64"),
    (lambda: nn.gru_cell(X, X, X, X), ValueError,
     r"gru_cell: w_ih has shape \(4, 3\); expected \(9, 3\)"),
    (lambda: nn.rnn_tanh_cell(X, X[:2], X, X), ValueError, "rnn_tanh_cell: hx has shape"),
    (lambda: nn.lstm_cell(X, X, X, X), TypeError, "lstm_cell: hx is ndarray; expected the pair"),
    (lambda: nn.dropout1d(X4), ValueError,
     r"dropout1d: input has shape .*\(N, C, \*\) or \(C, \*\)"),
    (lambda: nn.dropout2d(X), ValueError, "dropout2d: input has shape"),
    (lambda: nn.feature_alpha_dropout(X[0], 0.5, True), ValueError,
     "feature_alpha_dropout: input has shape"),
    *((lambda f=f: f(X4, 0.5, True), TypeError, "generator is NoneType; .*np.random.default_rng")
      for f in (nn.dropout2d, nn.dropout3d, nn.alpha_dropout, nn.feature_alpha_dropout)),
    *((lambda f=f: f(X4, 1.5), ValueError, "p is 1.5; expected a probability")
      for f in (nn.dropout2d, nn.dropout3d, nn.alpha_dropout, nn.feature_alpha_dropout)),
    *((lambda f=f: f(X4, inplace=True), TypeError, "inplace=True is not supported")
      for f in (nn.dropout2d, nn.dropout3d, nn.alpha_dropout, nn.feature_alpha_dropout)),
    (lambda: nn.softmin(X), ValueError, "softmin: dim is None"),
]


@pytest.mark.parametrize("call, error, match", WRONG, ids=range(len(WRONG)))
def test_errors_name_the_argument_and_the_way_out(call, error, match):
    with pytest.raises(error, match=match):
        call()
