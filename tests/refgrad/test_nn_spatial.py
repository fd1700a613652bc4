"""Padding, resampling, sampling: against loops over single entries, at kinks, and what is refused.

(Against torch they are compared in test_nn, for the calls in `layers.SPATIAL`.)
"""

import itertools

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn
from refgrad.nn.resampling import MODES, SMOOTHED
from refgrad.nn.sparse import Sparse, resample
from tests.refgrad.layers import IMAGE, VOLUME, X3, X, drawn

from .checks import close

LINE = np.array([[[1.0, 4.0, 16.0, 64.0]]])


def resized(x, m, **how):
    return nn.interpolate(x, m, **how)[0, 0]


@pytest.mark.parametrize("mode, pad, expected", [
    ("constant", (2, -1), [0, 0, 1, 4, 16]), ("reflect", (3, 2), [64, 16, 4, 1, 4, 16, 64, 16, 4]),
    ("replicate", (-2, 2), [16, 64, 64, 64]), ("replicate", (-4, 5), [64] * 5),
    ("circular", (2, -1), [4, 16, 1, 4, 16]), ("circular", (4, 1), [1, 4, 16, 64] * 2 + [1]),
    ("reflect", (3, -2), [64, 16, 4, 1, 4])])
def test_padding_by_hand(mode, pad, expected):
    np.testing.assert_array_equal(nn.pad(LINE, pad, mode)[0, 0], expected)


def test_pad_starts_at_the_last_axis():
    assert nn.pad(IMAGE, (1, 0, 2, 0)).shape == (2, 4, 5, 6)
    np.testing.assert_array_equal(nn.pad(X, (0, 0, 1, 0), value=np.inf)[0], np.full(3, np.inf))


def test_shuffles_by_loops():
    r, y = 2, nn.pixel_shuffle(IMAGE, 2)
    for h, i, w, j in itertools.product(range(3), range(r), range(5), range(r)):
        np.testing.assert_array_equal(y[:, 0, h * r + i, w * r + j], IMAGE[:, i * r + j, h, w])
    np.testing.assert_array_equal(nn.pixel_unshuffle(y, 2), IMAGE)
    np.testing.assert_array_equal(nn.channel_shuffle(IMAGE, 2), IMAGE[:, [0, 2, 1, 3]])


@pytest.mark.parametrize("mode, m, expected", [
    ("nearest", 6, [1, 1, 4, 16, 16, 64]), ("nearest", 3, [1, 4, 16]),
    ("nearest-exact", 3, [1, 16, 64]),
    ("linear", 8, [1, 1.75, 3.25, 7, 13, 28, 52, 64]), ("linear", 2, [2.5, 40]),
    ("area", 3, [2.5, 10, 40]), ("area", 8, [1, 1, 4, 4, 16, 16, 64, 64])])
def test_resampling_by_hand(mode, m, expected):
    close(resized(LINE, m, mode=mode), np.array(expected))


def test_aligned_corners_keep_the_corners():
    close(resized(LINE, 7, mode="linear", align_corners=True),
          np.array([1, 2.5, 4, 10, 16, 40, 64]))
    for mode in ("bilinear", "bicubic"):
        y = nn.interpolate(IMAGE, (5, 9), mode=mode, align_corners=True)
        close(y[..., ::2, ::2], IMAGE)


@pytest.mark.parametrize("n, m", [(5, 3), (5, 7), (4, 1), (1, 3), (3, 3), (7, 2)])
@pytest.mark.parametrize("name, weights", [(name, w) for name, (w, _) in MODES.items() if w]
                         + list(SMOOTHED.items()))
def test_weights_are_sums_of_one_and_transposed(name, weights, n, m):
    matrix = Sparse.of_rows(n, weights(n, m, None, False))
    dense = resample(np.eye(n), matrix=matrix, axis=-2)
    close(np.sum(dense, axis=1), np.ones(m))
    close(resample(np.eye(m), matrix=matrix.transposed, axis=-2), dense.T)
    if m > 1 and n > 1:  # the middle stays in the middle
        close(dense[::-1, ::-1], dense) if not name == "nearest" else None


@pytest.mark.parametrize("mode", ["linear", "area"])
def test_a_weight_of_zero_keeps_infinities_out(mode):
    x = np.array([[[1.0, 2.0, 3.0, np.inf]]])
    np.testing.assert_array_equal(resized(x, 2, mode=mode), [1.5, np.inf])
    grids = np.array([[[[-0.75, 0.0], [-0.25, 0.0]]]])
    np.testing.assert_array_equal(nn.grid_sample(x[:, None], grids, align_corners=False)[0, 0, 0],
                                  [1, 2])


def test_smoothing_one_axis_after_the_other():
    """torch 2.13 gives something else for the width 1, though its gradient is this one's."""
    f = lambda x, size: nn.interpolate(x, size, mode="bicubic", antialias=True)
    close(f(IMAGE, (2, 1)), f(f(IMAGE, (2, 5)), (2, 1)))
    close(f(IMAGE, (2, 1)), f(f(IMAGE, (3, 1)), (2, 1)))


def test_the_gradient_of_the_nearest_goes_where_the_value_came_from():
    """torch 2.13 sends it elsewhere: positions follow from the factor, though the size stays."""
    x = np.arange(7.0)[None, None]
    f = lambda x: nn.interpolate(x, scale_factor=1.1)
    np.testing.assert_array_equal(f(x)[0, 0], [0, 0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x)))(x)[0, 0], [2, 1, 1, 1, 1, 1, 0])


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_the_identity_grid_gives_the_array(mode, align):
    grid = nn.affine_grid(np.eye(2, 3)[None].repeat(2, 0), IMAGE.shape, align)
    close(nn.grid_sample(IMAGE, grid, mode, "border", align), IMAGE, rtol=1e-14)
    if align is False:
        close(nn.grid_sample(IMAGE, nn.affine_grid(np.eye(2, 3)[None].repeat(2, 0), (2, 4, 6, 10),
                                                   align), mode,
                             "border", align), nn.interpolate(IMAGE, scale_factor=2, mode=mode),
              rtol=1e-13)


def test_sampling_by_loops():
    grid = drawn((1, 1, 2, 3, 3))
    y = nn.grid_sample(VOLUME, grid, align_corners=True)
    for place in np.ndindex(1, 2, 3):
        p = [(g + 1) / 2 * (n - 1) for g, n in zip(grid[0][place][::-1], VOLUME.shape[2:])]
        expected = 0
        for i in np.ndindex(VOLUME.shape[2:]):
            expected = (expected + np.prod([max(1 - abs(a - b), 0) for a, b in zip(p, i)])
                        * VOLUME[(0, slice(None), *i)])
        close(y[(0, slice(None), *place)], expected)


def test_nan_is_minus_one():
    at = lambda g: nn.grid_sample(IMAGE[:1], np.array([[[[g, 0.25]]]]), align_corners=True)
    np.testing.assert_array_equal(at(np.nan), at(-1.0))


def test_the_nearest_of_two_is_the_even_one():
    y = nn.grid_sample(LINE[:, None], np.array([[[[-2 / 3, 0], [0, 0], [2 / 3, 0]]]]), "nearest",
                       align_corners=True)
    np.testing.assert_array_equal(y[0, 0, 0], [1, 16, 16])


def test_affine_grid_by_loops():
    theta = drawn((2, 2, 3))
    grid = nn.affine_grid(theta, (2, 1, 3, 4))
    for n, h, w in np.ndindex(2, 3, 4):
        close(grid[n, h, w], theta[n] @ [(2 * w + 1) / 4 - 1, (2 * h + 1) / 3 - 1, 1])


WRONG = [
    (lambda: nn.pad(X, (1, 1), "mirror"), ValueError,
     "pad: mode is 'mirror'; expected one of 'constant'"),
    (lambda: nn.pad(X, (1,)), ValueError, "pad: pad is of length 1"),
    (lambda: nn.pad(X, (1,) * 6), ValueError, "pad: pad is of length 6"),
    (lambda: nn.pad(X, 1), TypeError, "pad is int"),
    (lambda: nn.pad(X, (1, 0.5)), TypeError, r"pad\[1\] is float"),
    (lambda: nn.pad(X, (1, 1), "reflect", 2.0), ValueError,
     "pad: value is 2.0; expected None with mode='reflect'"),
    (lambda: nn.pad(X, (3, 0), "reflect"), ValueError, "expected at most 2 with mode='reflect'"),
    (lambda: nn.pad(X, (4, 0), "circular"), ValueError, "expected at most 3 with mode='circular'"),
    (lambda: nn.pad(X, (3, -1), "circular"), ValueError, "at most 2 with mode='circular'"),
    (lambda: nn.pad(X, (1, 1, 1, 1), "replicate"), ValueError, "one or two axes before them"),
    (lambda: nn.pad(X, (-2, -2)), ValueError, "do not cut more than that"),
    (lambda: nn.channel_shuffle(IMAGE, 3), ValueError,
     "groups is 3; expected a divisor of the 4 channels"),
    (lambda: nn.channel_shuffle(IMAGE, 0), ValueError,
     "groups is 0; expected an integer from 1 on"),
    (lambda: nn.channel_shuffle(X, 1), ValueError, "channel_shuffle: input is of shape"),
    (lambda: nn.pixel_shuffle(IMAGE, 3), ValueError, "square divides the 4 channels"),
    (lambda: nn.pixel_unshuffle(IMAGE, 2), ValueError, "a divisor of the height 3 and the width 5"),
    (lambda: nn.pixel_shuffle(X, 1), ValueError, r"expected \(..., C, H, W\)"),
    (lambda: nn.interpolate(X3), ValueError, "size is None and scale_factor is None"),
    (lambda: nn.interpolate(X3, 2, 2.0), ValueError,
     "size is 2 and scale_factor is 2.0; expected one of the two"),
    (lambda: nn.interpolate(X3, 2, mode="cubic"), ValueError, "interpolate: mode is 'cubic'"),
    (lambda: nn.interpolate(X3, 2, mode="bilinear"), ValueError,
     r"with 2 more axes, as mode is 'bilinear'"),
    (lambda: nn.interpolate(X3, 2, align_corners=False), ValueError,
     "align_corners is False; expected None"),
    (lambda: nn.interpolate(X3, 2, antialias=True), ValueError,
     "antialias is True; expected False"),
    (lambda: nn.interpolate(IMAGE, 2, mode="lanczos"), ValueError,
     "antialias is False; expected True"),
    (lambda: nn.interpolate(X3, 2, recompute_scale_factor=True), ValueError,
     "recompute_scale_factor is True"),
    (lambda: nn.interpolate(X3, (2, 2)), ValueError,
     r"size is \(2, 2\); expected one number, or one for each"),
    (lambda: nn.interpolate(X3, 1.5), TypeError, "size is float; expected an integer"),
    (lambda: nn.interpolate(X3, 0), ValueError, "size is 0 along an axis of size 4"),
    (lambda: nn.interpolate(X3, scale_factor=-1), ValueError,
     "scale_factor is -1; expected positive numbers"),
    (lambda: nn.upsample_nearest(X3[:, :, :0], 2), ValueError,
     "upsample_nearest: input is of shape"),
    (lambda: nn.grid_sample(IMAGE, drawn((2, 1, 1, 3))), ValueError,
     r"expected \(2, H', W', 2\) for an input"),
    (lambda: nn.grid_sample(IMAGE, drawn((1, 1, 1, 2))), ValueError,
     "grid_sample: grid is float64"),
    (lambda: nn.grid_sample(VOLUME, drawn((1, 1, 1, 1, 3)), "bicubic"), ValueError,
     "mode is 'bicubic'"),
    (lambda: nn.grid_sample(X3, X3), ValueError, "grid_sample: input is of shape"),
    (lambda: nn.grid_sample(IMAGE, drawn((2, 1, 1, 2)), "linear"), ValueError, "mode is 'linear'"),
    (lambda: nn.grid_sample(IMAGE, drawn((2, 1, 1, 2)), padding_mode="ones"), ValueError,
     "padding_mode is 'ones'"),
    (lambda: nn.affine_grid(drawn((2, 2, 3)), (1, 1, 2, 2)), ValueError,
     r"expected \(1, 2, 3\), as size is"),
    (lambda: nn.affine_grid(drawn((2, 2, 3)), (2, 2)), ValueError, "affine_grid: size is"),
    (lambda: nn.affine_grid(drawn((2, 2, 3)), (2, 1, 0, 2)), ValueError,
     "size is 0; expected an integer from 1 on"),
    (lambda: nn.affine_grid(np.ones((2, 2, 3), int), (2, 1, 2, 2)), TypeError,
     "theta is int64.*expected floats"),
]


@pytest.mark.parametrize("call, error, message", WRONG, ids=[message for *_, message in WRONG])
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call()
