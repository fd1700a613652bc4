"""The classical identities: that the books' formulas are right, and that the proofs would notice if
they were not."""

from collections import Counter

import numpy as np
import pytest

from crosscheck.ball import Ball
from crosscheck.studies.derivations.examples import EXAMPLES
from crosscheck.studies.derivations.identities import FAMILIES, IDENTITIES, shapes_of
from crosscheck.studies.derivations.proving import (
    Posed, agreement, declared, derived_gradient, digits, drawn, own_gradient, program, projected)
from refgrad.derive import derive
from refgrad.derive.expression import parse

REQUIRED = 40


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: i.id)
def test_the_books_formula_agrees_with_differences_and_with_the_engine(identity):
    posed = Posed(identity)
    assert digits(posed.book, posed.function, posed.arrays, posed.properties) >= REQUIRED
    assert agreement(posed.book, posed.own, posed.arrays) >= REQUIRED


def derivation_of(identity):
    function = parse(identity.function)
    return derive(function, identity.wrt,
                  **{n: declared(identity.arrays)[n] for n in function.names})


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: i.id)
def test_every_identity_is_derived(identity):
    posed = Posed(identity)
    derived = derived_gradient(derivation_of(identity), posed.cotangent)
    assert agreement(derived, posed.book, posed.arrays) >= REQUIRED
    assert digits(derived, posed.function, posed.arrays, posed.properties) >= REQUIRED


def test_matrix_notation_is_enough_for_all_but_traces_of_blocks():
    """The gradient of log det (A kron X) sums blocks of an inverse, which has no other name in
    matrix notation."""
    assert ([i.id for i in IDENTITIES if derivation_of(i).fallback]
            in ([], ["det of a Kronecker product"]))


def test_the_table_is_complete():
    assert len(IDENTITIES) >= 70
    assert [name for name, count in Counter(i.id for i in IDENTITIES).items() if count > 1] == []
    for identity in IDENTITIES:
        names = parse(identity.function).names
        cotangents = {"G", "g"} - set(names)
        assert identity.wrt in names and set(names) <= set(identity.arrays)
        assert set(identity.arrays) - set(names) <= cotangents
        assert identity.source
    assert {"traces", "determinants", "inverses", "log det", "quadratic forms",
            "norms", "elementwise functions",
            "Kronecker and Hadamard products", "structured matrices"} <= set(FAMILIES)


def test_shapes_are_read():
    assert shapes_of("X: m n, S: n n positive definite, a: n, c:") == {
        "X": ("m", "n"), "S": ("n", "n", "positive definite"), "a": ("n",), "c": ()}


# The proofs themselves

@pytest.mark.parametrize("change", [
    lambda g: -g, lambda g: 2 * g, lambda g: g.T, lambda g: g + 1e-30,
    lambda g: np.where(np.eye(3) > 0, 0, g)])
def test_a_wrong_formula_is_noticed(change):
    arrays = drawn({"A": ("k", "k"), "X": ("k", "k"), "b": (3,), "Z": (3, 3)},
                   np.random.default_rng(1))
    function = program("tr(sin(Z) @ Z @ Z) + b @ Z @ b")
    right = own_gradient(function, {"Z": ""})
    wrong = lambda arrays: {"Z": change(right(arrays)["Z"])}
    assert digits(right, function, arrays) >= REQUIRED
    assert digits(wrong, function, arrays) < REQUIRED
    assert agreement(wrong, right, arrays) < REQUIRED


def test_one_wrong_argument_of_two_is_noticed():
    arrays = drawn({"x": ("m",), "A": ("m", "n"), "y": ("n",)}, np.random.default_rng(0))
    function = program("x @ A @ y")
    gradient = lambda d: {"x": d["A"] @ d["y"], "y": d["x"] @ d["A"] * (1 + Ball(2.0**-100))}
    assert 29 < digits(gradient, function, arrays) < 32


def test_a_gradient_of_another_shape_is_refused():
    arrays = drawn({"x": ("m",)}, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"shape \(\); expected \(2,\)"):
        digits(lambda d: {"x": d["x"] @ d["x"]}, program("x @ x"), arrays)


def test_a_kink_proves_nothing():
    arrays = {"x": np.array([0.0, 1.0])}
    assert digits(lambda d: {"x": np.sign(d["x"])}, program("sum(abs(x))"), arrays) == -np.inf


def test_symmetric_variables_vary_among_symmetric_matrices():
    arrays = drawn({"A": ("n", "n"), "X": ("n", "n", "symmetric")}, np.random.default_rng(0))
    function = program("tr(A @ X)")
    symmetric = lambda d: {"X": (d["A"] + d["A"].T) / 2}
    assert digits(symmetric, function, arrays, {"X": "symmetric"}) >= REQUIRED
    assert digits(symmetric, function, arrays) < 2
    found = projected({"X": Ball(arrays["A"])}, {"X": "symmetric"})["X"]
    assert np.all(found.overlaps(found.T))


def test_points_have_their_properties():
    arrays = drawn({"S": ("n", "n", "positive definite"), "D": ("m", "m", "diagonal"),
                    "p": ("m", "n", "probabilities"), "c": ()}, np.random.default_rng(0))
    assert (arrays["m"], arrays["n"]) == (2, 3)
    assert (np.all(np.linalg.eigvalsh(arrays["S"]) > 0)
            and np.array_equal(arrays["S"], arrays["S"].T))
    assert np.array_equal(arrays["D"], np.diag(np.diagonal(arrays["D"])))
    assert np.all(arrays["p"] > 0) and np.all(np.sum(arrays["p"], axis=1) == 1)
    assert np.shape(arrays["c"]) == ()
    assert np.array_equal(arrays["I_n"], np.eye(3)) and np.array_equal(arrays["one_m"], np.ones(2))


# The worked examples

@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.section}: {e.title}")
def test_every_example_is_derived(example):
    arrays = drawn(example.shapes, np.random.default_rng(0))
    function = lambda arrays: example.function(**{name: arrays[name] for name in example.shapes})
    properties = dict.fromkeys(example.wrt, "")
    derivation = derive(example.function, example.wrt, **example.shapes)
    derived = derived_gradient(derivation)
    assert derivation.fallback is None and derivation.steps
    assert agreement(derived, own_gradient(function, properties), arrays) >= REQUIRED
    assert digits(derived, function, arrays, properties) >= REQUIRED
