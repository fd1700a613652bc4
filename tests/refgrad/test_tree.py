"""Nests of dict, list, tuple, namedtuple and dataclass."""

import collections
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest

import refgrad as rg
from refgrad.tree import flatten, flatten_like, paths, tree_map, unflatten


class Pair(NamedTuple):
    first: object
    second: object


@dataclass(frozen=True, slots=True)
class Frozen:
    w: object
    b: object = 0.0


@dataclass
class Converting:
    """A dataclass whose __post_init__ would lose a trace."""
    w: object
    size: object = field(init=False, default=1.0)

    def __post_init__(self):
        self.w = np.asarray(self.w, dtype=float)


NESTS = [1.0, None, [], {}, (), [1.0, [2.0, (3.0, None)]],
         {"b": 1.0, "a": {"c": 2.0}}, Pair(1.0, [2.0]),
         Frozen(1.0, {"x": 2.0}), Converting([1.0, 2.0]), collections.OrderedDict(z=1.0, a=2.0),
         collections.defaultdict(list, a=1.0), [Pair(None, ())]]


@pytest.mark.parametrize("nest", NESTS, ids=repr)
def test_apart_and_together(nest):
    leaves, structure = flatten(nest)
    again = unflatten(structure, leaves)
    assert type(again) is type(nest)
    assert again == nest or isinstance(nest, Converting) and np.array_equal(again.w, nest.w)
    assert flatten(again)[1] == structure
    assert len(paths(structure)) == len(leaves)
    assert [x is y for x, y in zip(flatten_like(structure, nest, "nest"), leaves,
                                   strict=True)].count(False) == 0


def test_leaves_come_in_the_order_of_the_nest():
    leaves, structure = flatten({"b": 1, "a": [2, Pair(3, Frozen(4, None))], "c": (5,)})
    assert leaves == [1, 2, 3, 4, 5]
    assert paths(structure) == ["['b']", "['a'][0]", "['a'][1].first", "['a'][1].second.w",
                                "['c'][0]"]
    assert repr(structure) == ("dict(b: *, a: list(0: *, 1: Pair(first: *, second: Frozen(w: *, b: "
                               "None))), c: tuple(0: *))")


def test_a_class_is_a_leaf_and_so_is_an_array():
    assert flatten(Frozen)[0] == [Frozen]
    x = np.ones(3)
    assert flatten(x)[0][0] is x and flatten("ab")[0] == ["ab"]


def test_a_dataclass_is_rebuilt_without_its_constructor():
    g = rg.grad(lambda p: np.sum(p.w ** 2) * p.size)(Converting([1.0, 2.0]))
    assert isinstance(g, Converting)
    np.testing.assert_array_equal(g.w, [2, 4])
    assert g.size == 5


def test_tree_map():
    assert tree_map(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]}) == {"x": [11, 22]}
    assert tree_map(lambda a, b: a - b, {"x": 1, "y": 2}, {"y": 20, "x": 10}) == {"x": -9, "y": -18}
    assert rg.tree_map(lambda a: a * 2, Pair(1, None)) == Pair(2, None)
    assert rg.tree_map(lambda a: a, None) is None


@pytest.mark.parametrize("other, where", [
    ({"x": [1], "y": 2},
     r"argument 2\['x'\] has the structure list\(0: \*\); expected list\(0: \*, 1: \*\)"),
    ({"x": (1, 2), "y": 2}, r"argument 2\['x'\] has the structure tuple"),
    ({"x": [1, 2], "z": 2},
     r"argument 2 has the structure dict\(x: .*z: \*\); expected dict\(x: .*y: \*\)"),
    ({"x": [1, 2], "y": [2]}, r"argument 2\['y'\] has the structure list\(0: \*\); expected \*"),
    ({"x": [1, None], "y": 2}, r"argument 2\['x'\]\[1\] has the structure None; expected \*"),
    (3, r"argument 2 has the structure \*; expected dict")])
def test_another_structure_is_named(other, where):
    with pytest.raises(ValueError, match=where):
        tree_map(lambda a, b: a, {"x": [1, 2], "y": 2}, other)


def test_equal_arrays_in_a_nest_are_separate_arguments():
    w = np.array([1.0, 2.0])
    g = rg.grad(lambda p: np.sum(p[0] * p[1]))([w, w])
    np.testing.assert_array_equal(g[0], w)
    np.testing.assert_array_equal(g[1], w)
