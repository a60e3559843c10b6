"""Who is next to whom: graphs, positions and mixing weights.

A star has a server in its middle and needs no graph; every other topology joins peers 0 .. M-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from netsim.errors import ConfigError, Fault, SimulationError
from netsim.fields import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from netsim.interfaces import NodeId

if TYPE_CHECKING:
    import networkx as nx

Place = tuple[float, float]
MAX_DRAWS = 1000

# The keys that a topology takes beside `positions_m`, and those of them that it needs.
_TAKES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "star": (("aggregators",), ()),
    "ring": ((), ()),
    "torus": (("rows",), ()),
    "grid": (("rows",), ()),
    "complete": ((), ()),
    "erdos_renyi": (("probability",), ("probability",)),
    "geometric": (("radius_m", "side_m"), ("radius_m", "side_m")),
    "edges": (("edges",), ("edges",)),
}


@dataclass(frozen=True)
class Topology:
    """The shape of the network.

    Parameters
    ----------
    name
        ``star``: workers around a server. Between peers: ``ring``; ``torus`` and ``grid`` (rows times columns, with
        and without wrapping around); ``complete``; ``erdos_renyi`` (each pair with the same probability);
        ``geometric`` (peers uniform on a square, joined within a radius); ``edges`` (as listed).
        Random ones are redrawn until they are connected.
    rows
        Of a torus or grid; default the most square.
    probability
        Of each pair, for ``erdos_renyi``.
    radius_m, side_m
        Reach and side of the square, for ``geometric``.
    edges
        Pairs of peers, for ``edges``.
    aggregators
        Of a star with two tiers: workers are dealt in order to so many aggregators, which stand between them and the
        server. Their ids follow those of the workers; the server's comes last.
    positions_m
        One (x, y) per node, the server last, for channels that ask; a ``geometric`` topology draws them itself.

    Examples
    --------
    >>> sorted(graph(Topology("ring"), 4, np.random.default_rng(0)).edges)
    [(0, 1), (0, 3), (1, 2), (2, 3)]
    """

    name: Literal["star", "ring", "torus", "grid", "complete", "erdos_renyi", "geometric", "edges"] = "star"
    rows: PositiveInt | None = None
    probability: Fraction | None = None
    radius_m: PositiveFloat | None = None
    side_m: PositiveFloat | None = None
    edges: tuple[tuple[NonNegativeInt, NonNegativeInt], ...] = ()
    aggregators: PositiveInt | None = None
    positions_m: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        takes, needs = _TAKES[self.name]
        given = [
            k
            for k in ("rows", "probability", "radius_m", "side_m", "edges", "aggregators")
            if getattr(self, k) not in (None, ())
        ]
        faults = [
            Fault((k,), f"no key of topology {self.name}; it takes {', '.join((*takes, 'positions_m'))}", repr(k))
            for k in given
            if k not in takes
        ]
        faults += [Fault((k,), f"topology {self.name} needs it", "nothing") for k in needs if k not in given]
        if self.name == "geometric" and self.positions_m:
            faults.append(Fault(("positions_m",), "a geometric topology draws its own positions", "positions"))
        if faults:
            raise ConfigError(faults)

    @property
    def is_star(self) -> bool:
        """True where there is a server."""
        return self.name == "star"

    def clusters(self, num_nodes: int) -> tuple[tuple[NodeId, ...], ...]:
        """The workers of each aggregator, sizes differing by one at most; empty where there are none."""
        parts = self.aggregators or 0
        edges = [i * num_nodes // parts for i in range(parts + 1)] if parts else [0]
        return tuple(tuple(range(a, b)) for a, b in pairwise(edges))

    def faults(self, num_nodes: int) -> list[Fault]:
        """What keeps this topology from joining `num_nodes` workers or peers; paths are relative to it."""
        found = []
        if self.name in ("torus", "grid") and self.rows and num_nodes % self.rows:
            found.append(Fault(("rows",), f"a divisor of the {num_nodes} nodes is needed", str(self.rows)))
        if self.aggregators and self.aggregators > num_nodes:
            allowed = f"at most {num_nodes}, so that each has a worker"
            found.append(Fault(("aggregators",), allowed, str(self.aggregators)))
        places = num_nodes + self.is_star + (self.aggregators or 0)
        if self.positions_m and len(self.positions_m) != places:
            found.append(Fault(("positions_m",), f"a position for each of {places} nodes", str(len(self.positions_m))))
        if self.name == "edges":
            found += self._edge_faults(num_nodes)
        return found

    def _edge_faults(self, num_nodes: int) -> list[Fault]:
        found = []
        for i, (a, b) in enumerate(self.edges):
            if max(a, b) >= num_nodes:
                found.append(Fault(("edges", i), f"nodes are 0 .. {num_nodes - 1}", f"[{a}, {b}]"))
            elif a == b:
                found.append(Fault(("edges", i), "an edge joins two different nodes", f"[{a}, {b}]"))
        if not found:
            import networkx as nx

            parts = nx.number_connected_components(_listed(self, num_nodes))
            if parts > 1:
                found.append(Fault(("edges",), f"edges that join all {num_nodes} nodes", f"{parts} separate parts"))
        return found


@dataclass(frozen=True, eq=False)
class Mixing:
    """Symmetric, doubly stochastic mixing weights W of a graph.

    Parameters
    ----------
    weights
        For each node, its neighbours in increasing id with w_ij > 0; w_ii is 1 minus their sum.
    """

    weights: tuple[Mapping[NodeId, float], ...]

    def neighbours(self, node: NodeId) -> Mapping[NodeId, float]:
        """Weights of one node's neighbours, in increasing id."""
        return self.weights[node]

    def matrix(self) -> npt.NDArray[np.float64]:
        """W, shape (M, M)."""
        w = np.zeros((len(self.weights), len(self.weights)))
        for i, row in enumerate(self.weights):
            w[i, list(row)] = list(row.values())
            w[i, i] = 1.0 - w[i].sum()
        return w


def graph(topology: Topology, num_nodes: int, rng: np.random.Generator) -> nx.Graph[int]:
    """The graph of a topology; a random one is drawn from `rng` until it is connected.

    Parameters
    ----------
    topology
        Any; the star's server is node `num_nodes`.
    num_nodes
        Workers or peers.
    rng
        For the random topologies.

    Raises
    ------
    SimulationError
        If no connected graph comes in 1000 draws.
    """
    import networkx as nx

    if topology.name in _DRAWN:
        for _ in range(MAX_DRAWS):
            drawn = _DRAWN[topology.name](topology, num_nodes, rng)
            if nx.is_connected(drawn):
                return drawn
        text = f"network.topology: no connected {topology.name} graph of {num_nodes} nodes in {MAX_DRAWS} draws"
        raise SimulationError(f"{text}; a larger probability or radius is needed")
    return _FIXED[topology.name](topology, num_nodes)


def mixing(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Mixing:
    """Metropolis-Hastings weights w_ij = 1 / (1 + max(deg_i, deg_j)) of a topology.

    On a ring of three or more that is 1/3, on a torus of side three or more 1/5, on a complete graph 1/M.

    References
    ----------
    Xiao, Boyd, Kim, "Distributed average consensus with least-mean-square deviation", JPDC 2007, section 3.

    Examples
    --------
    >>> mixing(Topology("complete"), 4, np.random.default_rng(0)).neighbours(2)
    {0: 0.25, 1: 0.25, 3: 0.25}
    """
    joined = graph(topology, num_nodes, rng)
    degree = dict(joined.degree)
    return Mixing(
        tuple({j: 1.0 / (1 + max(degree[i], degree[j])) for j in sorted(joined[i])} for i in sorted(joined.nodes))
    )


def positions(topology: Topology, num_nodes: int, rng: np.random.Generator) -> tuple[Place, ...] | None:
    """The nodes' places in metres; None where the topology says nothing about them.

    `num_nodes` counts the server. A ``geometric`` topology gives the places that `graph` joins for an equal `rng`.
    """
    if topology.name == "geometric":
        nodes = graph(topology, num_nodes, rng).nodes
        return tuple(nodes[node]["place_m"] for node in range(num_nodes))
    return topology.positions_m or None


def _ring(topology: Topology, num_nodes: int) -> nx.Graph[int]:
    import networkx as nx

    joined: nx.Graph[int] = nx.cycle_graph(num_nodes) if num_nodes > 2 else nx.path_graph(num_nodes)
    return joined


def _lattice(topology: Topology, num_nodes: int) -> nx.Graph[int]:
    import networkx as nx

    rows = topology.rows or max(r for r in range(1, math.isqrt(num_nodes) + 1) if num_nodes % r == 0)
    cols = num_nodes // rows
    # networkx wraps only sides of three or more: a torus of two rows is no multigraph.
    square = nx.grid_2d_graph(rows, cols, periodic=topology.name == "torus")
    return nx.relabel_nodes(square, {(r, c): r * cols + c for r, c in square.nodes})


def _complete(topology: Topology, num_nodes: int) -> nx.Graph[int]:
    import networkx as nx

    joined: nx.Graph[int] = nx.complete_graph(num_nodes)
    return joined


def _star(topology: Topology, num_nodes: int) -> nx.Graph[int]:
    import networkx as nx

    return nx.Graph([(node, num_nodes) for node in range(num_nodes)])


def _listed(topology: Topology, num_nodes: int) -> nx.Graph[int]:
    import networkx as nx

    joined: nx.Graph[int] = nx.empty_graph(num_nodes)
    joined.add_edges_from(topology.edges)
    return joined


def _erdos_renyi(topology: Topology, num_nodes: int, rng: np.random.Generator) -> nx.Graph[int]:
    import networkx as nx

    first, second = np.triu_indices(num_nodes, 1)
    chosen = rng.random(first.size) < (topology.probability or 0.0)
    joined: nx.Graph[int] = nx.empty_graph(num_nodes)
    joined.add_edges_from(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))
    return joined


def _geometric(topology: Topology, num_nodes: int, rng: np.random.Generator) -> nx.Graph[int]:
    import networkx as nx

    places = rng.random((num_nodes, 2)) * (topology.side_m or 0.0)
    first, second = np.triu_indices(num_nodes, 1)
    near = np.hypot(*(places[first] - places[second]).T) <= (topology.radius_m or 0.0)
    joined: nx.Graph[int] = nx.empty_graph(num_nodes)
    joined.add_edges_from(zip(first[near].tolist(), second[near].tolist(), strict=True))
    nx.set_node_attributes(joined, {node: (x, y) for node, (x, y) in enumerate(places.tolist())}, "place_m")
    return joined


_FIXED: Mapping[str, Callable[[Topology, int], nx.Graph[int]]] = {
    "star": _star, "ring": _ring, "torus": _lattice, "grid": _lattice, "complete": _complete, "edges": _listed,
}  # fmt: skip
_DRAWN: Mapping[str, Callable[[Topology, int, np.random.Generator], nx.Graph[int]]] = {
    "erdos_renyi": _erdos_renyi, "geometric": _geometric,
}  # fmt: skip
