"""The arrays that the tests of layers and losses share."""

import numpy as np

from refgrad.cases import sample


def drawn(shape, domain=None, seed=0):
    return np.asarray(sample(np.random.default_rng([seed, *shape]), shape, domain))


X, X3, X4 = drawn((4, 3)), drawn((2, 3, 4)), drawn((2, 3, 2, 2))
PROBABILITIES = drawn((4, 3), "probabilities", seed=2)
LOGS = np.log(PROBABILITIES)
CLASSES, CLASSES3 = np.array([2, 0, 1, 1]), np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
SOME_IGNORED = np.array([2, -100, 1, 0])
POSITIVE3 = drawn((3,), "positive")
UNIT = drawn((4, 3), "unit interval", seed=1)

IMAGE, VOLUME = drawn((2, 4, 3, 5)), drawn((1, 2, 3, 2, 4))
#: Calls of functions that pad, rearrange, resample and sample: name, arguments, options.
SPATIAL = [
    ("pad", (IMAGE, (1, 2, 0, -1)), {"value": 0.5}), ("pad", (IMAGE, (1, 2, -1, 1), "reflect")),
    ("pad", (X, (-1, 4), "replicate")), ("pad", (VOLUME, (1, 0, 1, -1, 3, 1), "circular")),
    ("channel_shuffle", (IMAGE, 2)),
    ("pixel_shuffle", (IMAGE, 2)), ("pixel_unshuffle", (VOLUME[0], 2)), ("interpolate", (X3, 7)),
    ("interpolate", (IMAGE,), {"scale_factor": (1.7, 0.6), "mode": "nearest-exact"}),
    ("interpolate", (X3,), {"scale_factor": 1.3, "mode": "linear", "recompute_scale_factor": True}),
    ("interpolate", (IMAGE, (5, 3)), {"mode": "bilinear", "align_corners": True}),
    ("interpolate", (IMAGE,), {"scale_factor": 1.3, "mode": "bicubic"}),
    ("interpolate", (IMAGE, 2), {"mode": "area"}),
    ("interpolate", (VOLUME, (2, 3, 3)), {"mode": "trilinear"}),
    *(("interpolate", (IMAGE, (2, 3)), {"mode": mode, "antialias": True})
      for mode in ("bilinear", "bicubic", "lanczos")),
    ("upsample", (IMAGE, 4), {"mode": "bilinear"}),
    ("upsample_nearest", (X4,), {"scale_factor": 3}), ("upsample_bilinear", (IMAGE, (2, 7))),
    *(("grid_sample", (IMAGE, 1.5 * drawn((2, 2, 3, 2))),
       {"mode": mode, "padding_mode": padding, "align_corners": a})
      for mode in ("bilinear", "nearest", "bicubic")
      for padding in ("zeros", "border", "reflection") for a in (True, False)),
    *(("grid_sample", (VOLUME, drawn((1, 2, 1, 2, 3))),
       {"padding_mode": padding, "align_corners": False})
      for padding in ("zeros", "border", "reflection")),
    ("affine_grid", (drawn((2, 2, 3)), [2, 1, 3, 2]), {"align_corners": False}),
    ("affine_grid", (drawn((1, 3, 4)), [1, 1, 2, 1, 3]), {"align_corners": True})]


class Constant:
    """An array that is not differentiated (torch has no rule for it, or it is data)."""

    def __init__(self, value):
        self.value = value
