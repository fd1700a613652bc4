"""Calls of norms, attention, embeddings and dropouts, which test_nn compares with torch's."""

import numpy as np

from tests.refgrad.layers import POSITIVE3, Constant, X, X3, X4, drawn

TOKENS, BAGS = np.array([[0, 3, 3], [1, 0, 3]]), np.array([0, 3, 3, 1, 0, 2])
OFFSETS = np.array([0, 2, 2, 5])
WEIGHT = drawn((4, 2))
Q, K, V = drawn((2, 3, 4)), drawn((2, 5, 4)), drawn((2, 5, 2))
MASK = np.random.default_rng(3).random((3, 5)) < 0.6
MASK[1] = False
ADDED = np.where(MASK | (np.arange(3) == 1)[:, None], drawn((3, 5)), -np.inf)

CALLS = [
    ("softmax", (np.array(0.5), 0)), ("log_softmax", (np.array(0.5), -1)), ("softmin", (X, 0)),
    ("softmin", (X3, 1)), ("group_norm", (drawn((2, 4, 3)), 2, drawn((4,)), drawn((4,), seed=1))),
    ("group_norm", (drawn((2, 6)), 2, drawn((6,)))),
    ("group_norm", (X4, 1, drawn((3,)), drawn((3,), seed=1)), {"eps": 0.5}),
    ("instance_norm", (X3,)),
    ("instance_norm", (X4, None, None, drawn((3,)), drawn((3,), seed=1)), {"eps": 0.5}),
    ("instance_norm", (X3, Constant(drawn((3,))), Constant(POSITIVE3), drawn((3,), seed=1)),
     {"use_input_stats": False}),
    ("rms_norm", (X, (3,))), ("rms_norm", (X, [3], drawn((3,)), 0.5)),
    ("rms_norm", (X3, (3, 4), drawn((3, 4)))),
    ("local_response_norm", (X3, 2)), ("local_response_norm", (X4, 3, 0.5, 0.5, 2.0)),
    ("local_response_norm", (X3, 7), {"alpha": 2.0}),
    ("normalize", (X,)), ("normalize", (X, 1.0, 0)), ("normalize", (X3, 3, -1)),
    ("normalize", (X, float("inf"), 1)), ("normalize", (X, 2.0, 1, 1000.0)),
    ("normalize", (X3, 2.0, (0, 2))), ("normalize", (np.array(0.5), 1.5, 0)),
    ("bilinear", (X, drawn((4, 2)), drawn((5, 3, 2)), drawn((5,)))),
    ("bilinear", (X3, X3, drawn((2, 4, 4)))),
    ("bilinear", (drawn((3,)), drawn((2,)), drawn((5, 3, 2)))),
    ("embedding", (TOKENS, WEIGHT)), ("embedding", (np.array(1), WEIGHT)),
    ("embedding", (TOKENS, WEIGHT, -1)),
    ("embedding", (TOKENS, WEIGHT), {"scale_grad_by_freq": True, "padding_idx": 0}),
    *(("embedding_bag", (BAGS, WEIGHT, offsets),
       {"mode": mode, "include_last_offset": last, "padding_idx": padding})
      for mode in ("sum", "mean", "max")
      for last, offsets in ((False, OFFSETS), (True, np.array([0, 2, 2, 6])))
      for padding in (None, 3)),
    *(("embedding_bag", (TOKENS, WEIGHT), {"mode": mode}) for mode in ("sum", "mean", "max")),
    ("embedding_bag", (TOKENS, WEIGHT),
     {"mode": "sum", "per_sample_weights": drawn((2, 3)), "padding_idx": 1}),
    ("embedding_bag", (BAGS, WEIGHT, OFFSETS), {"mode": "sum", "per_sample_weights": drawn((6,))}),
    ("scaled_dot_product_attention", (Q, K, V)),
    ("scaled_dot_product_attention", (Q[0], K[0], V[0])),
    ("scaled_dot_product_attention", (Q, K, V, MASK)),
    ("scaled_dot_product_attention", (Q, K, V, ADDED)),
    ("scaled_dot_product_attention", (Q, K, V, drawn((2, 3, 5)), 0.0, False)),
    ("scaled_dot_product_attention", (Q, K, V), {"is_causal": True, "scale": 0.3}),
    ("scaled_dot_product_attention", (Q, K[:1], V[:1])),
    *((name, (x, p, training)) for name, x in (
        ("dropout1d", X), ("dropout1d", X3), ("dropout2d", X3),
        ("dropout2d", X4), ("dropout3d", X4),
        ("dropout3d", X4[None]), ("alpha_dropout", X), ("feature_alpha_dropout", X3))
      for p, training in ((0.0, True), (1.0, True), (0.5, False))),
]
