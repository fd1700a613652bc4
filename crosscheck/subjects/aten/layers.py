"""What torch.nn.functional's layers reach.

refgrad.nn has them in closed form; a line brings torch's arguments into its order.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from refgrad import nn
from refgrad.nn.softmax import masked_softmax
from refgrad.rules.shape import setitem

from .carrier import midpoints
from .table import NoLine, operation

# Activations.
for _name in ("relu", "leaky_relu", "celu", "hardtanh", "hardsigmoid", "hardswish", "hardshrink",
              "softshrink", "threshold", "softplus", "silu", "mish", "glu", "gelu"):
    operation(_name, getattr(nn, _name))
operation("log_sigmoid_forward", lambda x: (nn.logsigmoid(x), None))
operation("_prelu_kernel", lambda x, slope: np.where(x > 0, x, slope * np.where(x > 0, 0, x)))


@operation("elu")
def _(x, alpha=1, scale=1, input_scale=1):
    above = x > 0
    return scale * np.where(above, x, alpha * np.expm1(input_scale * np.where(above, 0, x)))


@operation("rrelu_with_noise")
def _(x, noise, lower=1 / 8, upper=1 / 3, training=False, generator=None):
    """The slopes that torch draws, where it draws some, are also written to `noise`."""
    if not training:
        return nn.rrelu(x, lower, upper), noise
    drawn = torch.empty(x.shape, dtype=torch.float64)
    torch.ops.aten.rrelu_with_noise(torch.tensor(midpoints(x)), drawn, lower, upper, True,
                                    generator)
    slopes = drawn.numpy()
    return np.where(x > 0, x, slopes * x), slopes


@operation("native_dropout")
def _(x, p, train):
    if not train:
        return x, np.ones(x.shape, bool)
    kept = torch.empty(x.shape, dtype=torch.bool).bernoulli_(1 - p).numpy()
    return np.where(kept, x, 0) / (1 - p) if p < 1 else np.where(kept, x, 0), kept


# Softmax.
operation("_softmax", lambda x, axis, to_float: nn.softmax(x, axis))
operation("_log_softmax", lambda x, axis, to_float: nn.log_softmax(x, axis))


@operation("_safe_softmax")
def _(x, axis):
    """0 along an axis on which all is -infinity."""
    return (masked_softmax(x, mask=x != -np.inf, axis=axis % x.ndim - x.ndim) if np.ndim(x)
            else nn.softmax(x, axis))


# Convolutions.
@operation("convolution")
def _(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    k = weight.ndim - 2
    stride, padding, dilation, more = ((*a,) * (k if len(a) == 1 else 1) for a in (
        stride, padding, dilation, output_padding))
    if transposed:
        return getattr(nn, f"conv_transpose{k}d")(x, weight, bias, stride, padding, more, groups,
                                                  dilation)
    return getattr(nn, f"conv{k}d")(x, weight, bias, stride, padding, dilation, groups)


@operation("conv_tbc")
def _(x, weight, bias, padding=0):
    """The axes are (time, sample, channel) and (time, channel in, channel out)."""
    y = nn.conv1d(np.transpose(x, (1, 2, 0)), np.transpose(weight, (2, 1, 0)), bias,
                  padding=padding)
    return np.transpose(y, (2, 0, 1))


operation("im2col", nn.unfold)
operation("col2im", nn.fold)
operation("_trilinear", lambda a, b, c, new_a, new_b, new_c, axes, unroll=1: np.sum(
    np.expand_dims(a, tuple(new_a)) * np.expand_dims(b, tuple(new_b))
    * np.expand_dims(c, tuple(new_c)),
    axis=tuple(axes)))


# Pooling.
def _windows(pool):
    """torch has an empty list for the windows' own size as the stride."""
    return lambda x, size, stride=(), *args: pool(x, size, stride or None, *args)


def _fractional(pool):
    return lambda x, size, out, samples: pool(x, size, out, _random_samples=samples)


for _k in "23":
    operation(f"avg_pool{_k}d", _windows(getattr(nn, f"avg_pool{_k}d")))
    operation(f"max_pool{_k}d_with_indices", _windows(getattr(nn, f"max_pool{_k}d_with_indices")))
    operation(f"_adaptive_avg_pool{_k}d", getattr(nn, f"adaptive_avg_pool{_k}d"))
    operation(f"adaptive_max_pool{_k}d", getattr(nn, f"adaptive_max_pool{_k}d_with_indices"))
    operation(f"fractional_max_pool{_k}d",
              _fractional(getattr(nn, f"fractional_max_pool{_k}d_with_indices")))


@operation("max_unpool2d", "max_unpool3d")
def _(x, positions, sizes, *_):
    """The entries at their positions in planes of zeros; of several for one position the last."""
    lead = x.shape[:-len(sizes)]
    planes, n = math.prod(lead), math.prod(sizes)
    index = np.arange(planes)[:, None], np.reshape(positions, (planes, -1))
    y = setitem(np.zeros_like(x, shape=(planes, n)), np.reshape(x, index[1].shape), index=index)
    return np.reshape(y, (*lead, *sizes))


# Padding, shuffling, resampling, sampling.
for _k in "123":
    operation(f"reflection_pad{_k}d", lambda x, widths: nn.pad(x, tuple(widths), "reflect"))
    operation(f"replication_pad{_k}d", lambda x, widths: nn.pad(x, tuple(widths), "replicate"))
operation("pixel_shuffle", nn.pixel_shuffle)
operation("pixel_unshuffle", nn.pixel_unshuffle)
operation("channel_shuffle", "native_channel_shuffle", nn.channel_shuffle)


def _resampled(mode, corners, **options):
    """A line that resamples; `corners` says that the operation has the argument align_corners."""
    def line(x, sizes, *rest):
        align, *factors = rest if corners else (None, *rest)
        if None in factors or not factors:
            return nn.interpolate(x, list(sizes), None, mode, align, **options)
        y = nn.interpolate(x, None, factors, mode, align, **options)
        if y.shape[2:] != tuple(sizes):
            raise NoLine(f"sizes {sizes} that the factors {factors} do not give")
        return y
    return line


for _k, _mode in enumerate(("linear", "bilinear", "trilinear"), 1):
    operation(f"upsample_nearest{_k}d", _resampled("nearest", False))
    operation(f"_upsample_nearest_exact{_k}d", _resampled("nearest-exact", False))
    operation(f"upsample_{_mode}{_k}d", _resampled(_mode, True))
operation("upsample_bicubic2d", _resampled("bicubic", True))
for _mode in ("bilinear", "bicubic"):  # Lanczos's weights are no rational numbers
    operation(f"_upsample_{_mode}2d_aa", _resampled(_mode, True, antialias=True))


operation("affine_grid_generator", nn.affine_grid)


@operation("grid_sampler_2d", "grid_sampler_3d")
def _(x, grid, mode, padding, align_corners):
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return nn.grid_sample(x, grid, modes[mode], paddings[padding], align_corners)


# Normalisation: the result, and the mean and the inverse deviation that it was made with.
def _statistics(x, axes, eps, shape):
    mean = np.mean(x, axes, keepdims=True)
    inverse = 1 / np.sqrt(np.mean(np.square(x - mean), axes, keepdims=True) + eps)
    return np.reshape(mean, shape), np.reshape(inverse, shape)


@operation("native_layer_norm")
def _(x, shape, weight, bias, eps):
    k = len(shape)
    kept = (*x.shape[:-k], *(1,) * k)
    return (nn.layer_norm(x, tuple(shape), weight, bias, eps),
            *_statistics(x, tuple(range(-k, 0)), eps, kept))


@operation("_fused_rms_norm")
def _(x, shape, weight, eps):
    return nn.rms_norm(x, tuple(shape), weight, eps), None


@operation("_weight_norm_interface")
def _(v, g, axis=0):
    others = tuple(k for k in range(v.ndim) if k != axis % v.ndim)
    length = np.sqrt(np.sum(np.square(v), axis=others, keepdims=True))
    return v * (g / length), np.reshape(length, np.shape(g))


@operation("native_group_norm")
def _(x, weight, bias, n, c, size, groups, eps):
    rows = np.reshape(x, (n, groups, -1))
    return nn.group_norm(x, groups, weight, bias, eps), *_statistics(rows, -1, eps, (n, groups))


def _by_batch(x, weight, bias, mean, var, momentum, eps):
    """In training: by the statistics of the batch, towards which the running ones move, if there
    are any."""
    axes = (0, *range(2, x.ndim))
    moved = () if mean is None else nn.running_statistics(x, mean, var, momentum)
    y = nn.batch_norm(x, None, None, weight, bias, True, momentum, eps)
    return y, *_statistics(x, axes, eps, x.shape[1:2]), *moved


def _by_running(x, weight, bias, mean, var, momentum, eps):
    return nn.batch_norm(x, mean, var, weight, bias, False, momentum, eps), np.zeros(0), np.zeros(0)


@operation("native_batch_norm", "_native_batch_norm_legit", writes=("running_mean", "running_var"))
def _(x, weight, bias, mean, var, training, *rest):
    if training:
        return _by_batch(x, weight, bias, mean, var, *rest)
    return *_by_running(x, weight, bias, mean, var, *rest), mean, var


@operation("_native_batch_norm_legit.no_stats")
def _(x, weight, bias, training, momentum, eps):
    return _by_batch(x, weight, bias, None, None, momentum, eps)


@operation("_batch_norm_with_update")
def _(*args):
    y, mean, inverse, *moved = _by_batch(*args)
    return y, mean, inverse, np.zeros(0, np.uint8), *moved


@operation("_batch_norm_no_update")
def _(*args):
    return *_by_running(*args), np.zeros(0, np.uint8)


# Embeddings.
@operation("embedding")
def _(weight, tokens, padding=-1, by_frequency=False, sparse=False):
    return nn.embedding(tokens, weight, None if padding < 0 else padding,
                        scale_grad_by_freq=by_frequency)


@operation("embedding_renorm")
def _(weight, tokens, most, p):
    """The rows of the tokens, shortened to a length of at most `most`."""
    length = np.linalg.vector_norm(weight, ord=p, axis=1, keepdims=True)
    chosen = np.isin(np.arange(len(weight)), tokens)[:, None] & (length > most)
    return np.where(chosen, weight * (most / np.where(chosen, length + 1e-7, 1)), weight)


@operation("_embedding_bag", "_embedding_bag_forward_only")
def _(weight, tokens, offsets, by_frequency=False, mode=0, sparse=False, factors=None,
      with_end=False, padding=-1):
    y = nn.embedding_bag(
        tokens, weight, offsets, mode=("sum", "mean", "max")[mode], per_sample_weights=factors,
        scale_grad_by_freq=by_frequency, include_last_offset=with_end,
        padding_idx=None if padding < 0 else padding)
    return y, None, None, None


# Attention and sequences.
@operation("_scaled_dot_product_flash_attention_for_cpu")
def _(query, key, value, dropout=0.0, is_causal=False, *, attn_mask=None, scale=None):
    return nn.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout, is_causal, scale=scale, enable_gqa=True), None


@operation("_pack_padded_sequence")
def _(x, lengths, batch_first):
    """The entries of all sequences at one time after those at the time before, and how many they
    are."""
    x = np.swapaxes(x, 0, 1) if batch_first else x
    inside = np.arange(np.max(lengths))[:, None] < lengths
    return x[np.nonzero(inside)], np.sum(inside, axis=1)


@operation("mkldnn_rnn_layer")
def _(x, w, w_state, b, b_state, h, c, reverse, counts, mode, size, layers, has_biases, *_):
    """One layer of an LSTM in one direction: all states, and the last pair."""
    b, b_state = (b, b_state) if has_biases else (None, None)
    if counts:
        raise NoLine("sequences of different lengths")
    shape, states = h.shape, []
    h, c = (np.reshape(a, shape[-2:]) for a in (h, c))
    for at in range(len(x))[::-1 if reverse else 1]:
        h, c = nn.lstm_cell(x[at], (h, c), w, w_state, b, b_state)
        states.append(h)
    return (np.stack(states[::-1 if reverse else 1]), np.reshape(h, shape),
            np.reshape(c, shape), None)
