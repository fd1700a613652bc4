"""Public functions say what they take and give, and in words what they do."""

import inspect
import pydoc
import types
import typing
from importlib import import_module
from importlib.resources import files

import numpy as np
import pytest

import crosscheck
import refgrad
from refgrad import nn

PUBLIC = [(package, name) for package in (refgrad, nn, crosscheck) for name in package.__all__]


def functions_of(thing):
    """The functions behind a public name: itself, the public methods of a class, the call of an
    object."""
    if inspect.isclass(thing):
        members = [getattr(m, "fget", getattr(m, "func", m)) for name, m in vars(thing).items()
                   if not name.startswith("_")]
        return [m for m in members if inspect.isfunction(m)]
    return [thing if inspect.isfunction(thing) else type(thing).__call__]


def lacking(function):
    """The parameters without a hint, and "return" where the result has none."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    return [p.name for p in parameters if p.annotation is p.empty] + (
        ["return"] if signature.return_annotation is signature.empty else [])


def fits(value, hint):
    """Whether a default is of the hint's kind; hints of plain types alone."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(fits(value, h) for h in typing.get_args(hint))
    kinds = {bool: bool, str: str, int: int, float: (int, float), types.NoneType: types.NoneType}
    if hint not in kinds:
        return False
    return isinstance(value, kinds[hint]) and isinstance(value, bool) is (hint is bool)


def misfits(function):
    """The parameters whose default is not what their hint says."""
    hints = typing.get_type_hints(function)
    return [p.name for p in inspect.signature(function).parameters.values()
            if p.default is not p.empty and not fits(p.default, hints[p.name])]


@pytest.mark.parametrize("package, name", PUBLIC, ids=[f"{p.__name__}.{n}" for p, n in PUBLIC])
def test_a_public_name_has_hints_and_a_docstring(package, name):
    thing = getattr(package, name)
    assert inspect.getdoc(thing)
    if not inspect.ismodule(thing):
        for function in functions_of(thing):
            assert lacking(function) == [], function


@pytest.mark.parametrize("name", nn.__all__)
def test_defaults_are_what_the_hints_say(name):
    assert misfits(getattr(nn, name)) == []


def test_what_lacks_or_contradicts_a_hint_is_seen():
    def bad(x: np.ndarray, y, p: int = 0.5, flag: int = True, size: str | None = 3, *more):
        """Wrong in each part."""
    assert lacking(bad) == ["y", "more", "return"]
    bad.__annotations__.update(y=int, more=int)
    assert misfits(bad) == ["p", "flag", "size"]


def test_all_lists_what_is_public():
    for package in (refgrad, nn):
        own = {n for n, value in vars(package).items() if callable(value) and not n.startswith("_")}
        assert own <= set(package.__all__) and len(own) > 10
        assert all(hasattr(package, n) for n in package.__all__)
    assert "value_and_grad(f" in pydoc.render_doc(refgrad)


@pytest.mark.parametrize("package", ["refgrad", "crosscheck"])
def test_static_checkers_find_the_hints(package):
    assert (files(import_module(package)) / "py.typed").is_file()
