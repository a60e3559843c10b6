"""Partitions: every sample to one node, none empty, and what each rule promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import ConfigError
from netsim.registry import build, get, names

CONFIGS = [{"name": name, **config} for name in names("partition") for config in get("partition", name).examples]
IDS = [" ".join(map(str, config.values())) for config in CONFIGS]


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_sample_goes_to_one_node_and_none_is_empty(config, data):
    labels = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=1, max_size=60)), float)
    nodes = data.draw(st.integers(1, labels.size))
    seed = data.draw(st.integers(0, 2**32))
    rule = build("partition", config)
    parts = rule.split(labels, nodes, np.random.default_rng(seed))
    assert len(parts) == nodes
    assert all(part.size and (np.diff(part) > 0).all() for part in parts)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(labels.size))
    again = rule.split(labels, nodes, np.random.default_rng(seed))
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_more_nodes_than_samples(config):
    with pytest.raises(ConfigError) as caught:
        build("partition", config).split(np.ones(3), 4, np.random.default_rng(0))
    assert str(caught.value) == "nodes: at most 3, as each node needs one of the 3 samples. Got 4."


@pytest.mark.parametrize("name", ["iid", "contiguous"])
def test_equal_shares(name):
    parts = build("partition", name).split(np.ones(11), 4, np.random.default_rng(0))
    assert sorted(part.size for part in parts) == [2, 3, 3, 3]


def test_contiguous_keeps_the_order():
    parts = build("partition", "contiguous").split(np.ones(11), 4, np.random.default_rng(0))
    assert np.array_equal(np.concatenate(parts), np.arange(11))


def test_iid_mixes():
    """A random half of 1000 rows, 500 of each label, holds 250 +- 7.9 of label 1 (hypergeometric).

    Beyond 5 sigma with probability 6e-7; a split that keeps the order gives 0 or 500.
    """
    labels = np.repeat([-1.0, 1.0], 500)
    (first, _) = build("partition", "iid").split(labels, 2, np.random.default_rng(0))
    assert abs((labels[first] == 1).sum() - 250) < 5 * 7.9


@pytest.mark.parametrize(("nodes", "labels_a_node"), [(3, 1), (4, 1), (20, 1), (2, 2)])
def test_by_label(nodes, labels_a_node):
    labels = np.array([0.0] * 10 + [1.0] * 40 + [2.0] * 10)
    parts = build("partition", "by_label").split(labels, nodes, np.random.default_rng(0))
    assert max(np.unique(labels[part]).size for part in parts) == labels_a_node


def test_by_label_gives_nodes_to_the_large_labels():
    """60 samples on 6 nodes: 10 per node, so the label with 40 samples has 4 nodes."""
    labels = np.array([0.0] * 10 + [1.0] * 40 + [2.0] * 10)
    parts = build("partition", "by_label").split(labels, 6, np.random.default_rng(0))
    assert [part.size for part in parts] == [10] * 6
    assert [labels[part[0]] for part in parts] == [0, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_dirichlet_second_moment(alpha):
    """E[p_0^2] = (alpha + 1) / (M (M alpha + 1)) for a node's share p_0 of one label; 2000 draws, M = 4.

    With 5 standard errors the test fails by chance with probability 6e-7; rounding to 1/1000 adds at most 1e-3.
    """
    rule, rng = build("partition", {"name": "dirichlet", "alpha": alpha}), np.random.default_rng(1)
    squares = np.array([(rule.split(np.ones(1000), 4, rng)[0].size / 1000) ** 2 for _ in range(2000)])
    expected = (alpha + 1) / (4 * (4 * alpha + 1))
    assert abs(squares.mean() - expected) < 5 * squares.std() / 2000**0.5 + 1e-3


def test_dirichlet_of_tiny_alpha_fills_every_node():
    parts = build("partition", {"name": "dirichlet", "alpha": 1e-6}).split(np.ones(8), 8, np.random.default_rng(0))
    assert [part.size for part in parts] == [1] * 8
