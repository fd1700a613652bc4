"""Windows, convolution and pooling: against loops, at ties and edges, and what they refuse."""

import itertools
import tracemalloc

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.nn import convolution
from tests.refgrad.layers import drawn
from tests.refgrad.window_calls import T1, T2, T3

from .checks import close


def looped(x, w, stride, padding, dilation, groups):
    """A convolution, one product after the other."""
    x = np.pad(x, [(0, 0)] * 2 + [(p, p) for p in padding])
    out = [(n - d * (k - 1) - 1) // s + 1
           for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)]
    y = np.zeros((len(x), len(w), *out))
    for n, q, c, *rest in np.ndindex(len(x), *w.shape[:2], *out, *w.shape[2:]):
        o, j = rest[:len(out)], rest[len(out):]
        at = tuple(s * a + d * b for s, a, d, b in zip(stride, o, dilation, j))
        channel = q // (len(w) // groups) * w.shape[1] + c
        y[(n, q, *o)] += w[(q, c, *j)] * x[(n, channel, *at)]
    return y


CONVOLUTIONS = [
    (T1, (6, 2, 3), {"stride": (2,), "padding": (1,), "dilation": (1,), "groups": 2}),
    (T2, (3, 4, 2, 3), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 1}),
    (T2, (4, 1, 3, 1), {"stride": (3, 4), "padding": (1, 0), "dilation": (2, 1), "groups": 4}),
    (T2, (4, 2, 2, 3), {"stride": (1, 1), "padding": (1, 2), "dilation": (2, 1), "groups": 2}),
    (T2, (2, 4, 2, 1), {"stride": (1, 1), "padding": (0, 3), "dilation": (3, 1), "groups": 1}),
    (T3, (3, 2, 2, 2, 3), {"stride": (1, 2, 1), "padding": (1, 0, 0), "dilation": (1, 1, 1),
                           "groups": 1})]


@pytest.mark.parametrize("piece", [1, 100, convolution.PIECE])
@pytest.mark.parametrize("x, shape, options", CONVOLUTIONS, ids=str)
def test_convolutions_are_sums_of_products(x, shape, options, piece, monkeypatch):
    monkeypatch.setattr(convolution, "PIECE", piece)
    w, d = drawn(shape), x.ndim - 2
    conv, transposed = (getattr(nn, f"{name}{d}d") for name in ("conv", "conv_transpose"))
    y = looped(x, w, **options)
    close(conv(x, w, **options), y)
    close(conv(x[0], w, **options), y[0])
    g = drawn(y.shape)
    pull = rg.vjp(lambda x, w: conv(x, w, **options), x, w)[1]
    close(np.sum(pull(g)[0] * x), np.sum(g * y))
    close(np.sum(pull(g)[1] * w), np.sum(g * y))
    left = [(n + 2 * p - e * (k - 1) - 1) % s for n, p, e, k, s in zip(
        x.shape[2:], options["padding"], options["dilation"], shape[2:], options["stride"])]
    close(transposed(g, w, output_padding=left, **options), pull(g)[0])


@pytest.mark.parametrize("seed", range(60))
def test_windows_that_move_by_one_in_any_geometry(seed):
    rng = np.random.default_rng(seed)
    k, groups, q, c, n = rng.integers(1, 4, 5).tolist()
    size, dilation, out = (tuple(rng.integers(1, 4, k).tolist()) for _ in range(3))
    padding = tuple(map(tuple, rng.integers(-2, 3, (k, 2)).tolist()))
    form = convolution.Form((1,) * k, padding, dilation, groups)
    x_shape = [o + d * (m - 1) - a - b
               for o, d, m, (a, b) in zip(out, dilation, size, padding)]
    if min(x_shape) > 0:
        g, w = drawn((n, q * groups, *out)), drawn((q * groups, c, *size))
        x = convolution.conv_input(g, w, form=form)
        close(x, convolution.conv_input.formula(g, w, form=form))
        assert x.shape == (n, c * groups, *x_shape)


def test_an_infinite_weight_reaches_the_entries_of_its_windows_alone():
    w, g = drawn((2, 2, 3)), drawn((1, 2, 5))
    x = np.zeros((1, 2, 5))
    usual, = rg.vjp(lambda x: nn.conv1d(x, w, padding=1), x)[1](g)
    w[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):  # at the edge the infinity meets a zero
        found, = rg.vjp(lambda x: nn.conv1d(x, w, padding=1), x)[1](g)
    assert np.isinf(found[0, 0, :4]).all()  # the last window, at 3 to 5, begins before the end
    close(found[0, 1], usual[0, 1])
    assert np.isfinite(found[0, 0, 4])


def test_zeros_that_cut_off_more_than_there_is():
    x = drawn((1, 2))
    for padding in itertools.product(range(-3, 4), repeat=2):
        if sum(padding) < -2:
            continue
        wide = np.pad(x, [(0, 0), (3, 3)])[:, 3 - padding[0]:5 + padding[1]]
        close(convolution.padded(x, (padding,)), wide)


def test_padding_by_name():
    w, even = drawn((2, 4, 3, 3)), drawn((2, 4, 2, 2))
    close(nn.conv2d(T2, w, padding="same"), nn.conv2d(T2, w, padding=1))
    close(nn.conv2d(T2, w, padding="valid"), nn.conv2d(T2, w))
    padded = np.pad(T2, ((0, 0), (0, 0), (0, 1), (0, 1)))
    close(nn.conv2d(T2, even, padding="same"), nn.conv2d(padded, even))


def test_what_is_kept_is_not_unfolded():
    """The unfolded input would be nine times as large as the input."""
    x, w = drawn((8, 8, 32, 32)), drawn((8, 8, 3, 3))
    tracemalloc.start()
    pull = rg.vjp(lambda x, w: nn.conv2d(x, w), x, w)[1]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3 * x.nbytes
    assert pull(np.ones((8, 8, 30, 30)))[0].shape == x.shape


def test_unfolded_columns():
    columns = nn.unfold(T2, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2))
    w = drawn((3, 4, 2, 3))
    y = nn.conv2d(T2, w, dilation=(2, 1), padding=1, stride=(1, 2))
    close(np.reshape(w, (3, -1)) @ columns, np.reshape(y, (2, 3, -1)))
    ones = nn.unfold(np.ones((1, 5, 6)), (2, 3), stride=(3, 3))
    close(nn.fold(ones, (5, 6), (2, 3), stride=(3, 3)), np.tile([[[1], [1], [0], [1], [1]]], 6))


def pooled(x, size, stride, padding, dilation, out, reduce):
    """reduce(entries) of each window, those of the padding left out."""
    def shifted(o):
        return [tuple(s * i - p + d * m for s, i, p, d, m in zip(stride, o, padding, dilation, j))
                for j in itertools.product(*map(range, size))]
    y = np.zeros((*x.shape[:2], *out))
    for o in itertools.product(*map(range, out)):
        inside = [at for at in shifted(o) if all(0 <= t < n for t, n in zip(at, x.shape[2:]))]
        for n, c in np.ndindex(x.shape[:2]):
            y[(n, c, *o)] = reduce([x[(n, c, *at)] for at in inside])
    return y


@pytest.mark.parametrize("size, stride, padding, dilation, ceil, out", [
    ((2, 2), (2, 2), (0, 0), (1, 1), False, (2, 3)), ((2, 2), (2, 2), (0, 0), (1, 1), True, (3, 3)),
    ((3, 2), (1, 3), (1, 1), (1, 1), False, (5, 3)),
    ((3, 3), (2, 2), (1, 1), (1, 2), False, (3, 2))])
def test_pooling_of_windows(size, stride, padding, dilation, ceil, out):
    y, index = nn.max_pool2d(T2, size, stride, padding, dilation, ceil, return_indices=True)
    close(y, pooled(T2, size, stride, padding, dilation, out, max))
    flat = [a.reshape(2, 4, -1) for a in (T2, index, y)]
    close(np.take_along_axis(*flat[:2], -1), flat[2])
    if dilation == (1, 1):
        means = nn.avg_pool2d(T2, size, stride, padding, ceil, count_include_pad=False)
        close(means, pooled(T2, size, stride, padding, dilation, out, np.mean))
        sums = nn.avg_pool2d(T2, size, stride, padding, ceil, divisor_override=1)
        close(sums, pooled(T2, size, stride, padding, dilation, out, sum))
        if not any(padding) and not ceil:
            lengths = pooled(T2, size, stride, padding, dilation, out, np.linalg.norm)
            close(nn.lp_pool2d(T2, 2, size, stride), lengths)


@pytest.mark.parametrize("many", [(2, 3), (5, 1), (3, 4), (None, 7)])
def test_adaptive_windows_cover_the_input(many):
    m = tuple(n if k is None else k for k, n in zip(many, T2.shape[2:]))
    spans = [[slice(i * n // k, -(-(i + 1) * n // k)) for i in range(k)]
             for k, n in zip(m, T2.shape[2:])]
    for function, reduce in ((nn.adaptive_avg_pool2d, np.mean), (nn.adaptive_max_pool2d, np.max)):
        wanted = [[reduce(T2[:, :, a, b], axis=(2, 3)) for b in spans[1]] for a in spans[0]]
        close(function(T2, many), np.moveaxis(wanted, (0, 1), (2, 3)))


def test_an_infinite_entry_meets_its_own_windows_alone():
    x = np.array([[1.0, 2.0, 3.0, np.inf, 4.0, 5.0]])
    close(nn.avg_pool1d(x, 2), [[1.5, np.inf, 4.5]])
    close(nn.adaptive_avg_pool1d(x, 2), [[2.0, np.inf]])


def test_the_first_of_equal_entries_is_the_largest_and_nan_is_larger():
    x = np.array([[1.0, 3.0, 3.0, 2.0, np.nan, 5.0]])
    y, index = nn.max_pool1d(x, 3, return_indices=True)
    np.testing.assert_array_equal(y, [[3.0, np.nan]])
    np.testing.assert_array_equal(index, [[1, 4]])
    lowest = np.full((1, 1, 3, 3), -np.inf)
    close(nn.max_pool2d(lowest, 2, 1, 1, return_indices=True)[1].ravel()[:5], [0, 0, 1, 2, 0])
    ones = np.ones((1, 4))
    close(rg.grad(lambda x: np.sum(nn.max_pool1d(x, 2, 1)))(ones), [[1.0, 1.0, 1.0, 0.0]])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("infinity", [np.inf, np.nan, 1e308])
def test_a_cotangent_that_is_not_finite_meets_the_largest_entry_alone(stride, infinity):
    """Nor does a sum of cotangents that overflows change anything."""
    x = np.array([[1.0, 3.0, 2.0, 0.0, -1.0, 4.0]])
    y, pull = rg.vjp(lambda x: nn.max_pool1d(x, 2, stride), x)
    g = np.full(y.shape, infinity)
    g[0, 0] = 2.0
    expected = np.zeros(x.shape)
    np.add.at(expected, (0, nn.max_pool1d(x, 2, stride, return_indices=True)[1][0]), g[0])
    np.testing.assert_array_equal(pull(g)[0], expected)
    np.testing.assert_array_equal(rg.jit(lambda x, g: rg.vjp(
        lambda x: nn.max_pool1d(x, 2, stride), x)[1](g)[0])(x, g), expected)


def test_layers_that_always_return_the_positions():
    layer, expected = nn.max_pool2d_with_indices, nn.max_pool2d(T2, 2, return_indices=True)
    for found in (layer(T2, 2), layer(T2, 2, return_indices=False),
                  layer(T2, 2, None, 0, 1, False, False)):
        assert all(map(np.array_equal, found, expected))
    assert layer.__name__ == "max_pool2d_with_indices"
    with pytest.raises(TypeError, match="missing .* 'kernel_size'"):
        layer(T2)


@pytest.mark.parametrize("shape", [(2, 3, 6, 4), (3, 6, 4)])
def test_max_pooling_of_any_order_in_memory(shape):
    x = np.random.default_rng(0).integers(-2, 3, shape).astype(float)
    g = np.random.default_rng(1).standard_normal((*shape[:-2], 3, 2))
    y, index = nn.max_pool2d(x, 2, return_indices=True)
    expected = rg.vjp(lambda x: nn.max_pool2d(x, 2), x)[1](g)[0]
    for order in itertools.permutations(range(len(shape))):
        turned = np.transpose(np.transpose(x, order).copy(), np.argsort(order))
        found = nn.max_pool2d(turned, 2, return_indices=True)
        np.testing.assert_array_equal(found[0], y)
        np.testing.assert_array_equal(found[1], index)
        for h in (g, np.transpose(np.transpose(g, order).copy(), np.argsort(order))):
            close(rg.vjp(lambda x: nn.max_pool2d(x, 2), turned)[1](h)[0], expected)


def test_fractional_windows():
    u = np.array([[[0.9, 0.25]]])
    x = np.arange(42.0).reshape(1, 6, 7)
    y, index = nn.fractional_max_pool2d(x, 2, (3, 3), _random_samples=u, return_indices=True)
    columns = [int((i + 0.9) * 2.5) - int(0.9 * 2.5) for i in range(2)] + [5]
    rows = [int((i + 0.25) * 2.0) - int(0.25 * 2.0) for i in range(2)] + [4]
    close(y[0], [[x[0, a + 1, b + 1] for b in columns] for a in rows])
    close(index[0], y[0])
    same = [nn.fractional_max_pool2d(T2, 2, output_ratio=0.5, generator=np.random.default_rng(3))
            for _ in range(2)]
    close(*same)


def test_unpooling_undoes_pooling():
    y, index = nn.max_pool2d(T2, 2, return_indices=True)
    x = nn.max_unpool2d(y, index, 2, output_size=(5, 6))
    close(np.where(x != 0, T2, 0), x)
    close(nn.max_pool2d(np.where(x != 0, x, -np.inf), 2), y)
    close(rg.vjp(lambda y: nn.max_unpool2d(y, index, 2, output_size=(5, 6)), y)[1](x)[0], y)
    twice = rg.jacobian(lambda v: nn.max_unpool1d(v, np.array([[1, 1]]), 1))(np.array([[2.0, 3.0]]))
    close(twice.reshape(2, 2), [[0, 0], [0, 1]])  # the last one of two counts


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_power_means_of_any_magnitude(scale):
    x = np.array([[3.0, 4.0]]) * scale
    close(nn.lp_pool1d(x, 2, 2), [[5.0 * scale]], rtol=1e-14)
    close(rg.grad(lambda x: np.sum(nn.lp_pool1d(x, 2, 2)))(x), [[0.6, 0.8]], rtol=1e-14)


W2 = drawn((2, 4, 3, 3))
ONCE = np.zeros((1, 4), int)
WRONG = [
    (lambda: nn.conv2d(T2, W2[:, :3]), ValueError, "conv2d: input .* expected 3 channels"),
    (lambda: nn.conv2d(T1[0], W2), ValueError, r"conv2d: input is float64\[4,6\]; expected \(N, C"),
    (lambda: nn.conv1d(T1, W2), ValueError, "conv1d: weight has shape .* expected 3 axes"),
    (lambda: nn.conv2d(T2, W2, groups=3), ValueError, "conv2d: weight .* groups is 3; .* divides"),
    (lambda: nn.conv2d(T2, W2, stride=0), ValueError, "conv2d: stride is 0; expected an integer"),
    (lambda: nn.conv2d(T2, W2, stride=1.5), TypeError, "conv2d: stride is 1.5; expected an int"),
    (lambda: nn.conv2d(T2, W2, padding="full"), ValueError, "conv2d: padding is 'full'; expected"),
    (lambda: nn.conv2d(T2, W2, stride=2, padding="same"), ValueError, "conv2d: stride is"),
    (lambda: nn.conv2d(T2, W2, dilation=4), ValueError, "conv2d: .* expected windows that fit"),
    (lambda: nn.conv2d(T2, W2, W2[0, 0]), ValueError, r"conv2d: bias .*; expected \(2,\)"),
    (lambda: nn.conv2d(T2.astype(int), W2), TypeError, "conv2d: input int64.* of one kind"),
    (lambda: nn.conv_transpose2d(T2, W2), ValueError, "conv_transpose2d: .* expected 2 channels"),
    (lambda: nn.conv_transpose1d(T1, drawn((4, 1, 2)), output_padding=1), ValueError,
     "conv_transpose1d: output_padding is 1"),
    (lambda: nn.unfold(T2, 7), ValueError, "unfold: windows of size"),
    (lambda: nn.fold(T1, (3, 3), 2), ValueError, "fold: input has shape .* expected 4 columns"),
    (lambda: nn.max_pool2d(T2, 2, padding=2), ValueError, "max_pool2d: padding is .* at most half"),
    (lambda: nn.max_pool1d(T1, 7), ValueError, "max_pool1d: .* expected windows that fit"),
    (lambda: nn.avg_pool2d(T2, 2, divisor_override=0), ValueError, "avg_pool2d: divisor_overr"),
    (lambda: nn.lp_pool1d(T1, 0, 2), ValueError, "lp_pool1d: norm_type is 0"),
    (lambda: nn.adaptive_avg_pool2d(T2, (1, 2, 3)), ValueError, "adaptive_avg_pool2d: output_size"),
    (lambda: nn.fractional_max_pool2d(T2, 2, 2), TypeError, "fractional_max_pool2d: generator is"),
    (lambda: nn.fractional_max_pool2d(T2, 2), ValueError, "fractional_max_pool2d: output_ratio is"),
    (lambda: nn.fractional_max_pool2d(T2, 2, 6), ValueError, "fractional_max_pool2d: input has"),
    (lambda: nn.max_unpool1d(T1[0, :1, :4], ONCE - 1, 1), ValueError, "max_unpool1d: indices lie"),
    (lambda: nn.max_unpool1d(T1[0, :1, :3], ONCE, 1), ValueError, "max_unpool1d: indices is"),
    (lambda: nn.max_unpool1d(T1[0, :1, :4], ONCE, 2, output_size=(2,)), ValueError,
     "max_unpool1d: output_size is")]


@pytest.mark.parametrize("call, error, message", WRONG, ids=[message for *_, message in WRONG])
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
