"""Random networks: plain data that replays exactly, covers what it should and means the same in
refgrad and torch."""

import numpy as np
import pytest

from crosscheck.ball import Ball, arithmetic
from crosscheck.ball.arithmetic import Undecided
from crosscheck.networks import Network, draw_networks, interpret, network_of_id
from crosscheck.networks.draw import PROFILES
from crosscheck.networks.network import Array
from crosscheck.subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from crosscheck.subjects.libraries.torch_library import LIBRARY as TORCH
from tests.crosscheck.drawn import alone


@pytest.fixture(scope="module")
def drawn():
    return {(profile, seed): draw_networks(seed, PROFILES[profile].networks, profile)
            for profile in PROFILES for seed in (0, 1, 20)}


def everything(drawn):
    return [n for networks, _ in drawn.values() for n in networks]


def test_json_holds_all_of_a_network(drawn):
    for n in everything(drawn):
        assert Network.from_json(n.to_json()) == n


@pytest.mark.parametrize("text", ["", "[]", "{}", "null",
                                  '{"id": "", "arrays": {"x": {}}, "calls": [], "depth": 1}'])
def test_json_that_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="not a network in JSON"):
        Network.from_json(text)


@pytest.mark.parametrize("profile", PROFILES)
def test_an_id_replays_its_network_exactly(drawn, profile):
    networks = drawn[profile, 20][0]
    for index in (0, 28, 29, 37, 59):
        again = network_of_id(f"{profile}-20-{index}")
        assert again == networks[index]
        for a, b in zip(again.draw(), networks[index].draw()):
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[k], b[k]) for k in a)


def test_a_network_depends_on_seed_and_index_alone(drawn):
    networks = drawn["full", 1][0]
    assert draw_networks(1, 50, "full")[0] == networks[:50]
    assert networks[40] != drawn["full", 0][0][40]
    assert len({n.id for n in everything(drawn)}) == len(everything(drawn))


@pytest.mark.parametrize("id", ["", "full", "full-0", "full-0-x", "full-0--1", "full--1-0",
                                "huge-0-1", "full-1.5-2"])
def test_a_wrong_id_is_refused_with_an_example(id):
    with pytest.raises(ValueError, match="PROFILE-SEED-INDEX.*full-0-17"):
        network_of_id(id)


def test_at_least_one_network():
    with pytest.raises(ValueError, match="expected 1 to 1000000000000, got 0"):
        draw_networks(0, 0)


def test_every_number_is_the_same_in_float32(drawn):
    for n in drawn["full", 0][0]:
        for arrays in n.draw():
            for x in arrays.values():
                assert x.dtype == np.int64 or np.array_equal(x, x.astype(np.float32)), n.id


def test_an_unknown_law_is_refused():
    with pytest.raises(ValueError, match="'gamma' is unknown"):
        Array((2,), "input", "gamma").draw()


def test_default_counts_meet_every_layer_and_in_full_every_pair(drawn):
    for (profile, seed), (_, coverage) in drawn.items():
        layers, pairs = coverage.missing()
        assert not layers, (profile, seed)
        assert not pairs or profile != "full", (profile, seed)


def test_coverage_names_what_was_not_met():
    layers, pairs = draw_networks(0, 1)[1].missing()
    assert "relu" in layers and "linear" not in layers
    assert ("activation", "norm") in pairs and ("affine", "regression") not in pairs


def test_pairs_follow_the_data_through_plumbing(drawn):
    """A residual's sum belongs to the layer before it, the losses to the last layer, sums of losses
    to no one."""
    for n in drawn["full", 0][0][150:160]:
        first = {c.result: c for c in n.calls}
        for c in n.calls:
            if c.layer and c.arguments[0] in first and first[c.arguments[0]].layer:
                assert (first[c.arguments[0]].layer, c.layer) in n.pairs
        assert all(a and b for a, b in n.pairs)


def uses(network, name, function=""):
    """How many calls, of `function` or of any but the penalty, use one and the same parameter."""
    used = [k for c in network.calls if c.function.startswith(function) and c.layer != "l2_penalty"
            for k in {*c.arguments[1:], *c.named.values()} if str(k).startswith(name)]
    return max(map(used.count, used), default=0)


FEATURES = {
    "depth 8": lambda n: n.depth == 8,
    "width 64": lambda n: any(64 in a.shape for a in n.arrays.values()),
    "width 1": lambda n: n.arrays["x"].shape[-1] == 1,
    "batch of 1": lambda n: n.arrays["x"].shape[0] == 1,
    "a third axis": lambda n: len(n.arrays["x"].shape) == 3,
    "scale below 0.01": lambda n: any(a.scale < 1e-2 for a in n.arrays.values()),
    "scale above 100": lambda n: any(a.scale > 1e2 and a.law == "normal"
                                     for a in n.arrays.values()),
    "a shared weight": lambda n: uses(n, "weight", "linear") > 1,
    "a shared bias": lambda n: uses(n, "bias") > 1,
    "a scalar bias": lambda n: any(a.shape == () and a.role == "parameter"
                                   for a in n.arrays.values()),
    "a column bias": lambda n: any(len(a.shape) > 1 and a.shape[-1] == 1 and k.startswith("bias")
                                   for k, a in n.arrays.items()),
    "a residual": lambda n: "residual" in n.layers,
    "a concatenation": lambda n: "concatenate" in n.layers,
    "batch norm in training": lambda n: any(c.function == "batch_norm" and c.options["training"]
                                            for c in n.calls),
    "batch norm in use": lambda n: any(c.function == "batch_norm" and not c.options["training"]
                                       for c in n.calls),
    "several losses": lambda n: sum("reduction" in c.options for c in n.calls) > 2,
    "a penalty": lambda n: "l2_penalty" in n.layers,
    **{f"reduction {r}": lambda n, r=r: any(c.options.get("reduction") == r for c in n.calls)
       for r in ("mean", "sum", "none", "batchmean")},
}


@pytest.mark.parametrize("feature", FEATURES)
def test_occurs(drawn, feature):
    assert all(any(map(FEATURES[feature], drawn["full", seed][0])) for seed in (0, 1, 20))


@pytest.mark.filterwarnings("ignore:reduction")  # torch would rather have kl_div's batchmean
def test_the_same_value_in_refgrad_and_torch(drawn):
    """Within what rounding can do, as a ball of the working precision says.

    A largest entry may be open: an index of it has no ball.  torch's soft_margin_loss overflows.
    """
    networks, still_open = everything({k: drawn[k] for k in (("full", 0), ("quick", 1))}), []
    for n in networks:
        leaves, constants = n.draw()
        here = float(interpret(n, REFGRAD.function, leaves, constants))
        there = interpret(n, TORCH.function,
                          *(TORCH.arrays(d, "float64") for d in (leaves, constants)))
        try:
            with arithmetic(np.float64):
                enclosure = interpret(n, REFGRAD.function, {k: Ball(a) for k, a in leaves.items()},
                                      {k: Ball(a) if a.dtype.kind == "f" else a
                                       for k, a in constants.items()})
        except Undecided:
            still_open.append(n.id)
            continue
        assert enclosure.lower() <= here <= enclosure.upper(), n.id
        overflows = "soft_margin_loss" in n.layers and there == np.inf
        # torch gets the factors and offsets of a random function rounded.
        given = 16 * np.finfo(float).eps * abs(here) * any(name.endswith("alpha_dropout")
                                                           for name in n.layers)
        assert (overflows
                or enclosure.lower() - given <= float(there) <= enclosure.upper() + given), n.id
    assert len(still_open) < len(networks) / 20


def test_the_program_is_readable():
    lines = alone("batch_norm").program()
    assert lines[0] == "h1 = batch_norm(x, None, None, weight_0, bias_0, training=True)"
    assert lines[-1].startswith("h5 = add(h3, h4")
