"""Partitions: every sample to one node, none empty, and what each rule promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import ConfigError, DataError
from netsim.interfaces import GradientRequest
from netsim.registry import build, get, names
from tests.support import stand_ins

# `natural` deals by groups, `file` as a file says, `feature` columns.
OWN = {"natural", "file", "feature"}
RULES = [name for name in names("partition") if name not in OWN]
CONFIGS = [{"name": name, **config} for name in RULES for config in get("partition", name).examples]
IDS = [" ".join(map(str, config.values())) for config in CONFIGS]


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_sample_goes_to_one_node_and_none_is_empty(config, data):
    labels = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=1, max_size=60)), float)
    nodes = data.draw(st.integers(1, labels.size))
    seed = data.draw(st.integers(0, 2**32))
    rule = build("partition", config)
    if config.get("labels_per_node") and np.unique(labels).size > nodes:
        with pytest.raises(ConfigError, match=r"partition.labels_per_node: a number with which .* Got 1."):
            rule.split(labels, nodes, np.random.default_rng(seed))
        return
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


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_labels_per_node(data):
    """Every node has exactly so many labels; equal labels on equal nodes give sizes that differ by a few."""
    counts = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    nodes, each = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6))
    labels = np.repeat(np.arange(len(counts), dtype=float), counts)
    rule = build("partition", {"name": "by_label", "labels_per_node": each})
    possible = len(counts) <= each * nodes <= np.minimum(counts, nodes).sum()
    if not possible:
        with pytest.raises(ConfigError):
            rule.split(labels, nodes, np.random.default_rng(0))
        return
    parts = rule.split(labels, nodes, np.random.default_rng(0))
    assert [np.unique(labels[part]).size for part in parts] == [each] * nodes
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(labels.size))


def test_two_labels_for_each_of_ten_nodes():
    """100 samples of 10 labels, 2 places of each: 10 samples a node, 5 of each of its labels."""
    labels = np.repeat(np.arange(10.0), 10)
    parts = build("partition", {"name": "by_label", "labels_per_node": 2}).split(labels, 10, np.random.default_rng(0))
    assert all(np.unique(labels[part], return_counts=True)[1].tolist() == [5, 5] for part in parts)


def test_shards():
    """McMahan's: 600 samples of 10 labels on 10 nodes, 20 shards of 30; a shard of 30 among labels of 60 has one."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10.0), 60))
    parts = build("partition", "shards").split(labels, 10, np.random.default_rng(0))
    assert [part.size for part in parts] == [60] * 10
    assert {np.unique(labels[part]).size for part in parts} <= {1, 2}
    with pytest.raises(ConfigError, match=r"partition.per_node: at most 2, as 4 nodes share 11 samples. Got 3."):
        build("partition", {"name": "shards", "per_node": 3}).split(np.ones(11), 4, np.random.default_rng(0))


@pytest.mark.parametrize("over", ["labels", "quantities"])
@pytest.mark.parametrize("alpha", [1e-100, 1e-9, 1e100])
def test_extreme_alpha_ends_at_once(over, alpha):
    """Near 0 one node has all but what the others need; at 1e100 shares are equal."""
    rule = build("partition", {"name": "dirichlet", "alpha": alpha, "over": over})
    sizes = sorted(part.size for part in rule.split(np.ones(100), 5, np.random.default_rng(0)))
    assert sizes == ([20] * 5 if alpha > 1 else [1, 1, 1, 1, 96])


def test_dirichlet_over_quantities_second_moment():
    """As over labels, E[p_0^2] = (alpha + 1)/(M (M alpha + 1)); 5 standard errors, chance 6e-7, rounding 1e-3."""
    rule = build("partition", {"name": "dirichlet", "alpha": 1.0, "over": "quantities"})
    rng = np.random.default_rng(2)
    squares = np.array([(rule.split(np.ones(1000), 4, rng)[0].size / 1000) ** 2 for _ in range(2000)])
    assert abs(squares.mean() - 2 / 20) < 5 * squares.std() / 2000**0.5 + 1e-3


def test_quantity_skew_is_a_power_law():
    """Shares 1/(m+1) of 4 nodes: 12/25, 6/25, 4/25, 3/25 of 1000 samples."""
    parts = build("partition", "quantity_skew").split(np.ones(1000), 4, np.random.default_rng(0))
    assert [part.size for part in parts] == [480, 240, 160, 120]
    steep = build("partition", {"name": "quantity_skew", "exponent": 1e100}).split(
        np.ones(9), 4, np.random.default_rng(0)
    )
    assert [part.size for part in steep] == [6, 1, 1, 1]


def test_natural():
    groups = np.array([1.0, 0.0, 2.0, 1.0, 2.0])
    rule = build("partition", "natural")
    assert [part.tolist() for part in rule.split(groups, 3, np.random.default_rng(0))] == [[1], [0, 3], [2, 4]]
    assert [part.tolist() for part in rule.split(groups, 2, np.random.default_rng(0))] == [[1, 2, 4], [0, 3]]
    with pytest.raises(ConfigError, match=r"nodes: at most 3, as samples come from 3. Got 4."):
        rule.split(groups, 4, np.random.default_rng(0))
    problem = {"name": "logistic_regression", "dataset": "breast_cancer", "partition": "natural"}
    with pytest.raises(ConfigError, match=r"dataset: a dataset that says whom samples come from .* for natural. Got"):
        build("problem", problem).open(0)


def test_natural_nodes_of_a_table(tmp_path, monkeypatch):
    """Sites alternate, so that each of two nodes has every other sample."""
    monkeypatch.chdir(tmp_path)
    stand_ins.tables(tmp_path)
    data = {"name": "csv", "path": "own.csv", "node_column": "site"}
    problem = {"name": "softmax_regression", "dataset": data, "nodes": 2, "partition": "natural"}
    live = build("problem", problem).open(0)
    assert [live.num_samples(node) for node in (0, 1)] == [15, 15]
    colours = live._features[:, 2:4]  # red in the north, green in the south
    assert colours[:15].tolist() == [[0, 1]] * 15 or colours[:15].tolist() == [[1, 0]] * 15


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0\n1\n\n1\n2\n", ""),
        ("0\n1\n1\n", "nodes.txt: a line for each of 4 samples is needed. Got 3."),
        ("0\n1\n1\n3\n", "nodes.txt:4: a node from 0 to 2 is needed. Got '3'."),
        ("0\n1\n-1\n2\n", "nodes.txt:3: a node from 0 to 2 is needed. Got '-1'."),
        ("0\n1\n1\n1\n", "nodes.txt: a sample for each of 3 nodes is needed. Got none for node 2."),
    ],
)
def test_file(text, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rule = build("partition", {"name": "file", "path": "nodes.txt"})
    with pytest.raises(DataError, match=r"file: nodes.txt is needed"):
        rule.split(np.ones(4), 3, np.random.default_rng(0))
    (tmp_path / "nodes.txt").write_text(text)
    if sentence:
        with pytest.raises(DataError) as caught:
            rule.split(np.ones(4), 3, np.random.default_rng(0))
        assert str(caught.value) == sentence
    else:
        assert [part.tolist() for part in rule.split(np.ones(4), 3, np.random.default_rng(0))] == [[0], [1, 2], [3]]


@pytest.mark.parametrize("order", ["contiguous", "random"])
def test_feature(order):
    """Columns are dealt: gradients of a node have only its own, and together they are those of all columns."""
    rule = build("partition", {"name": "feature", "order": order})
    parts = rule.split_columns(31, 4, np.random.default_rng(0))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(31))
    assert sorted(part.size for part in parts) == [7, 8, 8, 8]
    config = {"name": "logistic_regression", "dataset": "breast_cancer", "l2": 0.0}
    whole = build("problem", {**config, "nodes": 1}).open(0)
    split = build("problem", {**config, "nodes": 4, "partition": {"name": "feature", "order": order}}).open(0)
    requests = [GradientRequest(node, np.zeros(31)) for node in range(4)]
    gradients = [np.asarray(gradient) for gradient in split.gradients(requests)]
    owners = sum((gradient != 0).astype(int) for gradient in gradients)
    assert owners.max() == 1
    # At w = 0 every view has the same losses, so that the nodes' gradients are the blocks of the whole one.
    assert sum(gradients) == pytest.approx(whole.gradients([GradientRequest(0, np.zeros(31))])[0], abs=1e-14)
    with pytest.raises(ConfigError, match=r"nodes: at most 3, as each node needs one of the 3 columns. Got 4."):
        rule.split_columns(3, 4, np.random.default_rng(0))
