"""Samples of torch's op database as calls of a function of NumPy arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

PREFIX = "nn.functional."

#: Functions of torch.nn.functional that the database has under the names of torch's own.
ELSEWHERE = "softmax", "log_softmax", "sigmoid", "tanh"


def entries():
    """The entries of the database that are functions of torch.nn.functional in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return [op for op in op_db if (op.name.startswith(PREFIX) or op.name in ELSEWHERE)
            and op.supports_dtype(torch.float64, "cpu")]


def name_of(op):
    return op.name.removeprefix(PREFIX)


def samples_of(op, seed=0, most=None):
    """The samples of an entry, then its references; at most so many."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        found = list(islice(op.sample_inputs("cpu", torch.float64, requires_grad=True), most))
        if most is None and op.reference_inputs_func is not None:
            found += islice(op.reference_inputs("cpu", torch.float64, requires_grad=True),
                            len(found), None)
    return [Call.of(s) for s in found]


def refused_by_torch(op):
    """The calls that torch refuses."""
    if op.error_inputs_func is None:
        return []
    return [Call.of(e.sample_input) for e in op.error_inputs("cpu")]


@dataclass(frozen=True)
class Place:
    """Where a tensor stands that is differentiated."""

    number: int


@dataclass(frozen=True)
class Call:
    """The arguments of a call, in which a `Place` stands for each tensor that is differentiated."""

    tensors: list
    args: tuple
    options: dict

    @classmethod
    def of(cls, sample):
        tensors = []

        def taken(x):
            if torch.is_tensor(x) and x.requires_grad and x.is_floating_point():
                tensors.append(x.detach().requires_grad_())
                return Place(len(tensors) - 1)
            return type(x)(map(taken, x)) if type(x) in (list, tuple) else x

        args = tuple(map(taken, (sample.input, *sample.args)))
        return cls(tensors, args, {k: taken(v) for k, v in sample.kwargs.items()})

    def __str__(self):
        given = [*map(_told, self.args), *(f"{k}={_told(v)}" for k, v in self.options.items())]
        return f"({', '.join(given)})"

    def of_torch(self, function):
        """(tensors, function of them)."""
        return self.tensors, lambda *values: self._call(function, values, lambda x: x)

    def of_arrays(self, function):
        """(arrays, function of them)."""
        return list(map(array, self.tensors)), lambda *values: self._call(function, values, array)

    def _call(self, function, values, convert):
        def filled(x):
            if type(x) is Place:
                return values[x.number]
            return type(x)(map(filled, x)) if type(x) in (list, tuple) else convert(x)
        return function(*map(filled, self.args), **{k: filled(v) for k, v in self.options.items()})


def array(x):
    """A tensor as an array, with its strides; a shape as a tuple."""
    if isinstance(x, torch.Size):
        return tuple(x)
    return x.detach().numpy(force=True) if torch.is_tensor(x) else x


def _told(x):
    if type(x) is Place:
        return f"x{x.number}"
    return f"{str(x.dtype)[6:]}{list(x.shape)}" if torch.is_tensor(x) else repr(x)


def leaves(result):
    """The arrays or tensors of a result."""
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def waves(shapes, start=0):
    """Numbers that are nowhere 0 nor all of one sign, for each shape."""
    return [np.cos(np.arange(int(np.prod(s))) + start + k).reshape(s) for k, s in enumerate(shapes)]
