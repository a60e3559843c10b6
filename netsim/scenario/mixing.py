"""Mixing weights between peers, round by round, and how fast they average."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from netsim.errors import SimulationError
from netsim.interfaces import NodeId, Spectrum
from netsim.scenario import graphs

if TYPE_CHECKING:
    from netsim.scenario.graphs import Graph
    from netsim.scenario.topology import Topology

Streams = Callable[[str], np.random.Generator]
_KEPT_ROUNDS = 64  # of a graph that changes
_MEASURED_ROUNDS = 100  # of random matchings, for their spectral gap
_DENSE = 2048  # peers up to which all eigenvalues are computed


@dataclass(frozen=True, eq=False)
class Mixing:
    """The weights W of one round: w_ij > 0 where peer i hears peer j.

    W is symmetric and doubly stochastic on an undirected graph; on a directed one its rows sum to 1, and its columns
    where every peer hears as many as hear it.

    Parameters
    ----------
    weights
        For each peer those it hears, in increasing id; w_ii is 1 minus their sum.
    hearers
        For each peer those that hear it, in increasing id.
    """

    weights: tuple[Mapping[NodeId, float], ...]
    hearers: tuple[tuple[NodeId, ...], ...]

    def neighbours(self, node: NodeId) -> Mapping[NodeId, float]:
        """Return the weights of the peers that a peer hears, in increasing id."""
        return self.weights[node]

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return W, shape (M, M)."""
        w = np.zeros((len(self.weights), len(self.weights)))
        for i, row in enumerate(self.weights):
            w[i, list(row)] = list(row.values())
            w[i, i] = 1.0 - w[i].sum()
        return w


class Peers:
    """Who hears whom with which weight in each round.

    Of the streams by purpose, ``topology`` draws the graph, ``matching R`` the matching of round R.

    Attributes
    ----------
    graph : all edges of all rounds.

    Examples
    --------
    >>> from netsim.scenario.topology import Topology
    >>> Peers(Topology("complete"), 4, lambda _: np.random.default_rng(0)).mixing(0).neighbours(2)
    {0: 0.25, 1: 0.25, 3: 0.25}
    """

    def __init__(self, topology: Topology, num_nodes: int, streams: Streams) -> None:
        self.topology, self.num_nodes, self._streams = topology, num_nodes, streams
        self.graph = graphs.graph(topology, num_nodes, streams("topology"))
        self._changing = functools.lru_cache(maxsize=_KEPT_ROUNDS)(self._of_round)
        self._fixed = None if topology.changes else weigh(self.graph, topology)

    def mixing(self, round: int) -> Mixing:
        """Return the weights of one round."""
        return self._fixed or self._changing(round % self._period if self._period else round)

    @functools.cached_property
    def spectrum(self) -> Spectrum:
        """How fast the weights average.

        Where the graph changes, the gap is 1 - ||W_R ... W_1 - 11'/M||^(1/R) over a whole turn of the schedule, or
        over 100 random matchings.
        """
        if self._fixed is not None:
            return _spectrum(self._fixed, self.graph.is_directed())
        ones = np.full((self.num_nodes, self.num_nodes), 1.0 / self.num_nodes)
        product, rounds = np.eye(self.num_nodes), self._period or _MEASURED_ROUNDS
        for round in range(rounds):
            product = self.mixing(round).matrix() @ product
        shrinks = float(np.linalg.norm(product - ones, 2)) ** (1.0 / rounds)
        return Spectrum(1.0 - shrinks if shrinks > 1e-12 ** (1.0 / rounds) else 1.0, 2.0)

    @functools.cached_property
    def _period(self) -> int:
        schedule = self.topology.schedule
        if schedule == "one_peer_exponential":
            return max((self.num_nodes - 1).bit_length(), 1)
        return len(schedule) if isinstance(schedule, tuple) else 0

    def _of_round(self, round: int) -> Mixing:
        schedule, peers = self.topology.schedule, range(self.num_nodes)
        if schedule == "one_peer_exponential":
            ahead = (1 << round) % self.num_nodes
            heard = tuple({(i - ahead) % self.num_nodes: 0.5} if ahead else {} for i in peers)
            return Mixing(heard, tuple(((i + ahead) % self.num_nodes,) if ahead else () for i in peers))
        edges = schedule[round] if isinstance(schedule, tuple) else self._matching(round)
        joined = self.graph.__class__()
        joined.add_nodes_from(peers)
        joined.add_edges_from(edges)
        return weigh(joined, self.topology)

    def _matching(self, round: int) -> list[tuple[NodeId, NodeId]]:
        """Take the edges in random order, each whose two peers are free."""
        edges, free, chosen = sorted(self.graph.edges), [True] * self.num_nodes, list[tuple[NodeId, NodeId]]()
        for i in self._streams(f"matching {round}").permutation(len(edges)).tolist():
            a, b = edges[i]
            if free[a] and free[b]:
                free[a] = free[b] = False
                chosen.append((a, b))
        return chosen


def weigh(joined: Graph, topology: Topology) -> Mixing:
    """Return the mixing weights that a topology gives a graph.

    Raises
    ------
    SimulationError
        If a given matrix has a weight where the graph has no edge.
    """
    nodes, near, heard = range(joined.number_of_nodes()), graphs.hearers(joined), graphs.heard(joined)
    if joined.is_directed():
        most = 1 + max(map(len, heard))
        return Mixing(tuple(dict.fromkeys(row, 1.0 / most) for row in heard), near)
    degree = [len(row) for row in near]
    if isinstance(topology.mixing, tuple):
        rows = _given(topology.mixing, near)
    elif topology.mixing == "uniform":
        most = 1 + max(degree)
        rows = [dict.fromkeys(near[i], 1.0 / most) for i in nodes]
    else:
        share = 0.5 if topology.mixing == "lazy" else 1.0
        rows = [{j: share / (1 + max(degree[i], degree[j])) for j in near[i]} for i in nodes]
    return Mixing(tuple(rows), near)


def _given(matrix: Sequence[Sequence[float]], near: Sequence[Sequence[NodeId]]) -> list[dict[NodeId, float]]:
    for i, row in enumerate(matrix):
        beyond = [j for j, weight in enumerate(row) if weight and j != i and j not in near[i]]
        if beyond:
            text = f"network.topology.mixing[{i}][{beyond[0]}]: a weight where the graph has no edge must be 0"
            raise SimulationError(f"{text}. Got {row[beyond[0]]:g}")
    return [{j: row[j] for j in near[i]} for i, row in enumerate(matrix)]


def _spectrum(mixing: Mixing, is_directed: bool) -> Spectrum:
    """Compute the spectrum from all eigenvalues, or for many peers from the largest ones."""
    size = len(mixing.weights)
    if size == 1:
        return Spectrum(1.0, 0.0)
    if is_directed:
        sizes = np.sort(np.abs(np.linalg.eigvals(mixing.matrix())))
        return Spectrum(1.0 - float(sizes[-2]), float(np.linalg.norm(np.eye(size) - mixing.matrix(), 2)))
    if size <= _DENSE:
        values = np.linalg.eigvalsh(mixing.matrix())
        return Spectrum(1.0 - float(max(abs(values[0]), abs(values[-2]))), 1.0 - float(values[0]))
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator, eigsh

    rows = [(i, j, w) for i, row in enumerate(mixing.weights) for j, w in row.items()]
    rows += [(i, i, 1.0 - sum(row.values())) for i, row in enumerate(mixing.weights)]
    i, j, w = (np.array(column) for column in zip(*rows, strict=True))
    matrix = csr_array((w, (i, j)), shape=(size, size))
    centred = LinearOperator((size, size), matvec=lambda x: matrix @ x - np.mean(x), dtype=np.float64)
    start = np.linspace(-1.0, 1.0, size)
    largest = float(np.abs(eigsh(centred, k=1, which="LM", v0=start, tol=1e-7, return_eigenvectors=False))[0])
    least = float(eigsh(matrix, k=1, which="SA", v0=start, tol=1e-7, return_eigenvectors=False)[0])
    return Spectrum(1.0 - largest, 1.0 - least)
