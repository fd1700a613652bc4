"""Samples of ndarray's methods and attributes, for every array type with `refgrad.face.Face`."""

import numpy as np

M = np.array([[0.531, -1.517, 2.013], [1.257, 0.742, -0.263]])
V = np.array([1.519, 0.513, 2.507])

#: What is done to a 2 x 3 array such as M; the name begins with the method's.
METHODS = {
    "sum": lambda x: x.sum(), "sum axis": lambda x: x.sum(0),
    "sum keepdims": lambda x: x.sum(axis=1, keepdims=True), "mean": lambda x: x.mean(axis=-1),
    "prod": lambda x: x.prod(axis=(0, 1)), "max": lambda x: x.max(1), "min": lambda x: x.min(),
    "var": lambda x: x.var(ddof=1), "std": lambda x: x.std(0), "cumsum": lambda x: x.cumsum(),
    "cumprod": lambda x: x.cumprod(1), "clip": lambda x: x.clip(-1, 1),
    "clip max": lambda x: x.clip(max=1.0), "dot": lambda x: x.dot(V), "trace": lambda x: x.trace(1),
    "diagonal": lambda x: x.diagonal(), "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.flatten(), "squeeze": lambda x: x[None].squeeze(0),
    "swapaxes": lambda x: x.swapaxes(0, 1), "repeat": lambda x: x.repeat(2, axis=1),
    "take": lambda x: x.take([0, 0, 5]), "take axis": lambda x: x.take([2, 0], axis=1),
    "take mode": lambda x: x.take([7], mode="wrap"),
    "compress": lambda x: x.compress([True, False, True], axis=1),
    "reshape": lambda x: x.reshape(3, 2), "reshape tuple": lambda x: x.reshape((6,)),
    "reshape -1": lambda x: x.reshape(-1), "reshape order": lambda x: x.reshape(3, 2, order="F"),
    "transpose": lambda x: x.transpose(), "transpose axes": lambda x: x.transpose(1, 0),
    "transpose tuple": lambda x: x.transpose((1, 0)), "T": lambda x: x.T, "mT": lambda x: x.mT,
    "real": lambda x: x.real, "imag": lambda x: x.imag + x, "conj": lambda x: x.conj(),
    "conjugate": lambda x: x.conjugate(), "copy": lambda x: x.copy(),
    "astype": lambda x: x.astype(x.dtype), "round": lambda x: x.round(1) + x,
    "argmax": lambda x: x[x.argmax() // 3], "argmin": lambda x: x.ravel()[x.argmin()],
    "argsort": lambda x: x.ravel()[x.argsort(axis=None)],
    "argpartition": lambda x: x.ravel()[x.argpartition(0, axis=None)[0]],
    "nonzero": lambda x: x[x.nonzero()], "any": lambda x: x if x.any() else -x,
    "all": lambda x: x * x.all(axis=0),
    "searchsorted": lambda x: x[0] * x[0][[0, 2]].searchsorted(1.0),
}
