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


class Constant:
    """An array that is not differentiated (torch has no rule for it, or it is data)."""

    def __init__(self, value):
        self.value = value
