"""Graphs, positions and mixing weights."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import ConfigError, SimulationError
from netsim.rng import stream
from netsim.scenario.graphs import graph
from netsim.scenario.mixing import Mixing, Peers
from netsim.scenario.topology import Topology

TOPOLOGIES = [
    Topology("ring"),
    Topology("torus"),
    Topology("grid"),
    Topology("complete"),
    Topology("erdos_renyi", probability=0.5),
    Topology("geometric", radius_m=70.0, side_m=100.0),
    Topology("star_of_peers"),
    Topology("ring", mixing="uniform"),
    Topology("grid", mixing="uniform"),
    Topology("star_of_peers", mixing="lazy"),
]
CHANGING = [
    Topology("torus", schedule="random_matching"),
    Topology("complete", schedule="one_peer_exponential"),
    Topology("edges", schedule=(((0, 1), (2, 3)), ((1, 2), (3, 4)), ((0, 4),)), mixing="lazy"),
]


def mixing(topology: Topology, nodes: int, seed: int = 0) -> Mixing:
    return Peers(topology, nodes, partial(stream, seed, 0, -1)).mixing(0)


def gap(topology: Topology, nodes: int) -> float:
    """1 - |lambda_2(W)|."""
    w = mixing(topology, nodes).matrix()
    return float(1.0 - np.sort(np.abs(np.linalg.eigvalsh(w)))[-2])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TOPOLOGIES), st.integers(1, 40), st.integers(0, 2**32))
def test_mixing_is_symmetric_doubly_stochastic_and_on_the_edges_alone(
    topology: Topology, nodes: int, seed: int
) -> None:
    weights, joined = mixing(topology, nodes, seed), graph(topology, nodes, stream(seed, 0, -1, "topology"))
    w = weights.matrix()
    assert (w == w.T).all()
    assert np.abs(w.sum(0) - 1.0).max() <= nodes * 2.0**-52
    assert w.min() >= -nodes * 2.0**-53
    for node in range(nodes):
        assert list(weights.neighbours(node)) == sorted(joined[node])
        assert all(w[node, j] == value > 0 for j, value in weights.neighbours(node).items())
    assert nx.is_connected(joined)
    assert sorted(joined.nodes) == list(range(nodes))


@pytest.mark.parametrize(
    ("name", "nodes", "delta"),
    [  # eigenvalues: ring 1/3 + 2/3 cos(2 pi k/n); torus 1/5 + 2/5 (cos(2 pi k/s) + cos(2 pi l/s)); complete 0
        ("ring", 4, 2 / 3),
        ("ring", 8, 0.19526),
        ("ring", 9, 0.15597),
        ("ring", 16, 0.05075),
        ("ring", 36, 0.01013),
        ("ring", 60, 0.00365),
        ("torus", 9, 0.6),
        ("torus", 16, 0.4),
        ("torus", 36, 0.2),
        ("torus", 4, 2 / 3),  # two rows of two are a ring of four
        ("complete", 7, 1.0),
        ("hypercube", 8, 2 / 4),  # 1 - 2k/(n + 1), k = 0 .. n, for 2^n peers
        ("hypercube", 32, 2 / 6),
        ("star_of_peers", 7, 1 / 7),  # I - L/M with Laplacian eigenvalues 0, 1 and M
    ],
)
def test_spectral_gaps_are_those_of_the_literature(name: str, nodes: int, delta: float) -> None:
    """The values of Koloskova, Stich, Jaggi (ICML 2019), table 1, to more digits from the closed eigenvalues."""
    topology = Topology(name)  # type: ignore[arg-type]
    spectrum = Peers(topology, nodes, partial(stream, 0, 0, -1)).spectrum
    assert spectrum.gap == pytest.approx(delta, abs=5e-6)
    assert spectrum.gap == pytest.approx(gap(topology, nodes), abs=1e-12)
    identity = np.eye(nodes)
    assert spectrum.norm == pytest.approx(np.linalg.norm(identity - mixing(topology, nodes).matrix(), 2), abs=1e-12)


def test_lazy_weights_halve_the_gap_of_what_has_no_negative_eigenvalue() -> None:
    assert gap(Topology("star_of_peers", mixing="lazy"), 7) == pytest.approx(1 / 14)


@pytest.mark.parametrize("topology", CHANGING, ids=lambda t: str(t.schedule)[:12])
def test_weights_of_every_round_are_doubly_stochastic_and_on_edges(topology: Topology) -> None:
    peers = Peers(topology, 5, partial(stream, 4, 0, -1))
    for round in range(7):
        mixing = peers.mixing(round)
        w = mixing.matrix()
        np.testing.assert_allclose([w.sum(axis=0), w.sum(axis=1)], 1.0, atol=1e-15)
        for i, row in enumerate(mixing.weights):
            assert all(i in mixing.hearers[j] for j in row)
            assert all(peers.graph.has_edge(i, j) for j in row)
        if topology.schedule == "random_matching":
            assert all(len(row) <= 1 for row in mixing.weights)
            free = [i for i, row in enumerate(mixing.weights) if not row]
            assert not any(peers.graph.has_edge(i, j) for i in free for j in free)  # maximal
        assert (peers.mixing(round).matrix() == w).all()


def test_one_peer_exponential_averages_in_log_n_rounds() -> None:
    peers = Peers(Topology("complete", schedule="one_peer_exponential"), 8, partial(stream, 0, 0, -1))
    product = peers.mixing(2).matrix() @ peers.mixing(1).matrix() @ peers.mixing(0).matrix()
    np.testing.assert_array_equal(product, np.full((8, 8), 1 / 8))
    assert peers.spectrum.gap == 1.0
    assert peers.mixing(0).neighbours(0) == {7: 0.5}
    assert peers.mixing(0).hearers[0] == (1,)
    assert peers.mixing(4).neighbours(0) == {6: 0.5}


@pytest.mark.parametrize("degree", [3, 4])
def test_regular_graphs_are_regular_and_small_worlds_have_their_edges(degree: int) -> None:
    drawn = graph(Topology("k_regular", degree=degree), 10, stream(1, 0, -1, "t"))
    assert {d for _, d in drawn.degree} == {degree}
    small = graph(Topology("watts_strogatz", degree=4, probability=0.5), 20, stream(1, 0, -1, "t"))
    assert small.number_of_edges() == 40
    assert nx.is_connected(small)
    assert sorted(small.edges) != sorted(
        graph(Topology("watts_strogatz", degree=4, probability=0.5), 20, stream(2, 0, -1, "t")).edges
    )


def test_many_peers_have_the_same_spectrum_by_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from netsim.scenario import mixing as module

    peers = Peers(Topology("torus"), 64, partial(stream, 0, 0, -1))
    dense = peers.spectrum
    monkeypatch.setattr(module, "_DENSE", 10)
    assert Peers(Topology("torus"), 64, partial(stream, 0, 0, -1)).spectrum == pytest.approx(dense, abs=1e-6)


def test_a_file_gives_numbers_edges_and_places(tmp_path: Path) -> None:
    edges = tmp_path / "g.txt"
    edges.write_text("# a path\n2 0 7.5\n0 1 1\n")
    assert sorted(graph(Topology("file", path=str(edges)), 3, stream(0, 0, -1, "t")).edges) == [(0, 1), (0, 2)]
    drawn = nx.Graph([("a", "b"), ("b", "c")])
    nx.set_node_attributes(drawn, {"a": 0.0, "b": 2.0, "c": 4.0}, "x")
    nx.set_node_attributes(drawn, {"a": 1.0, "b": 1.0, "c": 0.5}, "y")
    nx.write_graphml(drawn, tmp_path / "g.graphml")
    topology = Topology("file", path=str(tmp_path / "g.graphml"))
    assert topology.faults(3) == []
    assert topology.positions(3, stream(0, 0, -1, "t")) == ((0.0, 1.0), (2.0, 1.0), (4.0, 0.5))
    assert mixing(topology, 3).neighbours(1) == {0: 1 / 3, 2: 1 / 3}


def test_a_directed_ring_hears_one_side() -> None:
    one_way = mixing(Topology("ring", directed=True), 5)
    assert one_way.neighbours(2) == {1: 0.5}
    assert one_way.hearers[2] == (3,)
    # |1/2 + exp(2 pi i k / 5) / 2| = cos(pi k / 5)
    spectrum = Peers(Topology("ring", directed=True), 5, partial(stream, 0, 0, -1)).spectrum
    assert spectrum.gap == pytest.approx(1 - np.cos(np.pi / 5))


def test_metropolis_weights_by_hand() -> None:
    # A path 0-1-2 and a leaf 3 at 1: degrees 1, 3, 1, 1, so every edge weighs 1/4.
    path = mixing(Topology("edges", edges=((0, 1), (1, 2), (3, 1))), 4)
    assert path.neighbours(1) == {0: 0.25, 2: 0.25, 3: 0.25}
    assert path.matrix().diagonal().tolist() == [0.75, 0.25, 0.75, 0.75]


@pytest.mark.parametrize(
    ("topology", "nodes", "edges"),
    [
        (Topology("ring"), 1, 0),
        (Topology("ring"), 2, 1),
        (Topology("ring"), 5, 5),
        (Topology("grid", rows=2), 6, 7),  # 2 x 2 across and 3 down
        (Topology("torus", rows=3), 12, 24),  # four edges a node
        (Topology("torus", rows=1), 5, 5),
        (Topology("torus"), 7, 7),  # a prime is a ring
        (Topology("complete"), 6, 15),
        (Topology("erdos_renyi", probability=1.0), 6, 15),
        (Topology("star"), 3, 3),
    ],
)
def test_edges_are_counted(topology: Topology, nodes: int, edges: int) -> None:
    joined = graph(topology, nodes, stream(0, 0, -1, "t"))
    assert joined.number_of_edges() == edges
    assert nx.number_of_selfloops(joined) == 0


def test_the_star_has_the_server_last() -> None:
    assert dict(graph(Topology(), 4, stream(0, 0, -1, "t")).degree)[4] == 4
    assert mixing(Topology(), 2).neighbours(0) == {2: 1 / 3}


def test_an_edge_is_there_with_its_probability() -> None:
    """400 connected graphs of 30 nodes, p = 0.5 (disconnected with probability below 1e-7 each): 174000 edges are
    drawn; their mean leaves 5 standard errors with probability 6e-7."""
    topology, draws, pairs = Topology("erdos_renyi", probability=0.5), 400, 30 * 29 // 2
    rng = stream(5, 0, -1, "topology")
    share = sum(graph(topology, 30, rng).number_of_edges() for _ in range(draws)) / (draws * pairs)
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(draws * pairs)


def test_the_same_stream_gives_the_same_graph_and_another_another() -> None:
    topology = Topology("erdos_renyi", probability=0.3)
    drawn = [sorted(graph(topology, 12, stream(seed, 0, -1, "topology")).edges) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_geometric_nodes_are_joined_within_the_radius_and_stand_where_positions_says() -> None:
    topology = Topology("geometric", radius_m=50.0, side_m=100.0)
    joined = graph(topology, 20, stream(3, 0, -1, "topology"))
    places = topology.positions(20, stream(3, 0, -1, "topology"))
    assert places is not None
    assert len(places) == 20
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    for i in range(20):
        for j in range(i):
            near = np.hypot(places[i][0] - places[j][0], places[i][1] - places[j][1]) <= 50.0
            assert joined.has_edge(i, j) == near


def test_positions_are_those_given_or_none() -> None:
    assert Topology().positions(3, stream(0, 0, -1, "t")) is None
    given_m = ((0.0, 0.0), (1.0, 2.0))
    assert Topology(positions_m=given_m).positions(2, stream(0, 0, -1, "t")) == given_m


def test_no_connected_graph_ends_with_a_sentence() -> None:
    with pytest.raises(
        SimulationError, match=r"^network.topology: no connected erdos_renyi graph of 50 nodes in 1000 draws"
    ):
        graph(Topology("erdos_renyi", probability=1e-6), 50, stream(0, 0, -1, "t"))


@pytest.mark.parametrize(
    ("topology", "nodes", "sentences"),
    [
        (Topology("torus", rows=4), 10, ["rows: a divisor of the 10 nodes is needed. Got 4."]),
        (Topology("edges", edges=((0, 1), (1, 3))), 3, ["edges[1]: nodes are 0 .. 2. Got [1, 3]."]),
        (Topology("edges", edges=((0, 1), (2, 2))), 3, ["edges[1]: an edge joins two different nodes. Got [2, 2]."]),
        (Topology("edges", edges=((0, 1),)), 3, ["edges: edges that join all 3 nodes. Got 2 separate parts."]),
        (Topology(positions_m=((0.0, 0.0),)), 3, ["positions_m: a position for each of 4 nodes. Got 1."]),
        (Topology("ring", positions_m=((0.0, 0.0),) * 3), 3, []),
        (Topology("torus", rows=2), 10, []),
    ],
)
def test_a_topology_says_why_it_does_not_fit_the_nodes(topology: Topology, nodes: int, sentences: list[str]) -> None:
    assert [str(fault) for fault in topology.faults(nodes)] == sentences


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "ring", "rows": 2}, "rows: no key of topology ring; it takes directed, positions_m. Got 'rows'."),
        ({"name": "erdos_renyi"}, "probability: topology erdos_renyi needs it. Got nothing."),
        ({"name": "star", "edges": ((0, 1),)},
         "edges: no key of topology star; it takes aggregators, positions_m. Got 'edges'."),
        ({"name": "geometric", "radius_m": 1.0, "side_m": 1.0, "positions_m": ((0.0, 0.0),)},
         "positions_m: a geometric topology draws its own positions. Got positions."),
    ],
)  # fmt: skip
def test_keys_belong_to_their_topology(keys: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Topology(**keys)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_a_star_needs_no_networkx() -> None:
    code = (
        "import sys; from netsim.scenario.topology import *;"
        "from netsim.rng import stream; t = Topology();"
        "t.faults(9); t.positions(9, stream(0, 0, -1, 't')); print('networkx' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
