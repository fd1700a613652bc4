"""Calls of layers with windows, which are compared with torch's."""

import numpy as np

from tests.refgrad.layers import drawn

T1, T2, T3 = drawn((2, 4, 6)), drawn((2, 4, 5, 6)), drawn((1, 2, 3, 4, 3))
U2, U3 = drawn((2, 4, 2), "unit interval"), drawn((1, 2, 3), "unit interval")
COLUMNS = drawn((2, 8, 12))


def window_calls(constant):
    """(name, arguments, keyword arguments) of each; `constant` marks arrays that do not vary."""
    return [
        ("conv1d", (T1, drawn((3, 4, 2)), drawn((3,)))),
        ("conv1d", (T1[0], drawn((4, 2, 3)), None, 2, 1, 2, 2)),
        ("conv2d", (T2, drawn((3, 4, 3, 1)), drawn((3,))), {"padding": "same"}),
        ("conv2d", (T2, drawn((4, 1, 3, 2)), None, (2, 3), (1, 0), (1, 2), 4)),
        ("conv3d", (T3, drawn((2, 2, 2, 1, 2)), drawn((2,)), (1, 2, 1), (1, 0, 1))),
        ("conv_transpose1d", (T1, drawn((4, 2, 3)), drawn((4,)), 3, 1, 2, 2)),
        ("conv_transpose2d", (T2[0], drawn((4, 2, 2, 3)), drawn((2,)), (2, 1), 1, (1, 0), 1, 2)),
        ("conv_transpose3d", (T3, drawn((2, 1, 2, 1, 2)), None, 1, (1, 0, 0))),
        ("unfold", (T2, (2, 3), (2, 1), 1, (1, 2))), ("fold", (COLUMNS, (4, 5), 2)),
        ("fold", (COLUMNS[0], (5, 4), (2, 1), 1, (1, 0), (2, 1))),
        ("max_pool1d", (T1, 2)), ("max_pool1d", (T1[0], 3, 2, 1, 2, True)),
        ("max_pool2d", (T2, (2, 3), None, 1)), ("max_pool2d", (T2, 2, 2), {"ceil_mode": True}),
        ("max_pool3d", (T3, 2, 1, (1, 0, 1))),
        ("adaptive_max_pool1d", (T1, 4)), ("adaptive_max_pool2d", (T2, (None, 4))),
        ("adaptive_max_pool3d", (T3, (2, 1, 2))),
        ("fractional_max_pool2d", (T2, 2, (3, 4)), {"_random_samples": constant(U2)}),
        ("fractional_max_pool3d", (T3, (1, 2, 1)), {
            "output_ratio": (0.7, 0.6, 0.7), "_random_samples": constant(U3)}),
        ("max_unpool1d", (T1[0, :2, :2], np.array([[5, 0], [1, 2]]), 3)),
        ("max_unpool2d", (T2[:1, :1, :1, :2], np.array([[[[8, 1]]]]), 2), {"output_size": (3, 4)}),
        ("max_unpool3d", (T3[0, :1, :1, :1, :2], np.array([[[[9, 4]]]]), 2)),
        ("avg_pool1d", (T1, 3, 2, 1)), ("avg_pool2d", (T2, 3, 2, 1, True, False)),
        ("avg_pool2d", (T2[0], (2, 3)), {"divisor_override": 5}), ("avg_pool3d", (T3, 2, 1, 1)),
        ("adaptive_avg_pool1d", (T1, 4)), ("adaptive_avg_pool2d", (T2, (3, None))),
        ("adaptive_avg_pool3d", (T3, 2)),
        ("lp_pool1d", (T1, 2, 3, 1)), ("lp_pool2d", (np.abs(T2), 1.5, 2, None, True)),
        ("lp_pool2d", (T2, float("inf"), 2)), ("lp_pool3d", (T3, 4, 2, 1))]
