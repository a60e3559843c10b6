"""The shape of the network: what a user writes, and what is wrong with it.

A star has a server in its middle and needs no graph; every other topology joins peers 0 .. M-1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from netsim.errors import ConfigError, Fault
from netsim.fields import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from netsim.interfaces import NodeId

Place: TypeAlias = tuple[float, float]
Edge: TypeAlias = tuple[NonNegativeInt, NonNegativeInt]

TOLERANCE = 1e-9  # of the sums of a given mixing matrix

# The keys of each topology beside the common ones, and those of them that it requires.
_TAKES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "star": (("aggregators",), ()),
    "star_of_peers": ((), ()),
    "ring": (("directed",), ()),
    "torus": (("rows",), ()),
    "grid": (("rows",), ()),
    "complete": ((), ()),
    "hypercube": ((), ()),
    "k_regular": (("degree",), ("degree",)),
    "watts_strogatz": (("degree", "probability"), ("degree", "probability")),
    "erdos_renyi": (("probability",), ("probability",)),
    "geometric": (("radius_m", "side_m"), ("radius_m", "side_m")),
    "edges": (("edges", "directed"), ()),
    "file": (("path", "directed"), ("path",)),
}
_SOME_TAKE = ("rows", "degree", "probability", "radius_m", "side_m", "edges", "path", "directed", "aggregators")


@dataclass(frozen=True)
class Topology:
    """The shape of the network.

    Parameters
    ----------
    name
        ``star``: workers around a server. Between peers: ``ring``; ``torus`` and ``grid`` (rows times columns, with
        and without wrapping around); ``complete``; ``star_of_peers`` (peer 0 in the middle); ``hypercube`` (2^n peers);
        ``k_regular`` (random, each with `degree` neighbours); ``watts_strogatz`` (a ring of `degree` neighbours, each
        edge moved with a probability); ``erdos_renyi`` (each pair with the same probability); ``geometric`` (peers
        uniform on a square, joined within a radius); ``edges`` (as listed); ``file``.
        Random ones are redrawn until they are connected.
    rows
        Of a torus or grid; default the most square.
    degree
        Neighbours of each peer, for ``k_regular`` and, even, for ``watts_strogatz``.
    probability
        Of each pair, for ``erdos_renyi``; that an edge is moved, for ``watts_strogatz``.
    radius_m, side_m
        Reach and side of the square, for ``geometric``.
    edges
        Pairs of peers, for ``edges``.
    path
        A GraphML file (``.graphml`` or ``.xml``) of one graph, or a text with an edge a line, for ``file``. Nodes whose
        names are all numbers become 0 .. M-1 in their order; other names are numbered as they come. An edge that is
        there twice is one. Attributes ``x`` and ``y`` of GraphML nodes are their places in metres; weights are not
        read.
    directed
        Whether messages go along an edge one way only, from its first peer to its second.
    aggregators
        Of a star with two tiers: workers are dealt in order to so many aggregators, which stand between them and the
        server. Their ids follow those of the workers; the server's comes last.
    mixing
        Weights between peers: ``metropolis`` (1 / (1 + the larger degree of the two)), ``uniform`` (1 / (1 + the
        largest degree of all)), ``lazy`` (half of the Metropolis weights, so that no eigenvalue is negative), or a
        symmetric, doubly stochastic matrix. A directed graph has uniform weights.
    schedule
        Which edges are there in a round: ``fixed``, all; ``random_matching``, a random maximal set of edges that share
        no peer; ``one_peer_exponential`` (of ``complete``), one directed edge from each peer, to the peers 1, 2, 4, ...
        places ahead in turn; or edges by round (of ``edges``), which come in turn.
    positions_m
        One (x, y) per node, the server last, for channels that ask; a ``geometric`` topology draws them itself.

    References
    ----------
    Xiao, Boyd, Kim, "Distributed average consensus with least-mean-square deviation", JPDC 2007, section 3 (weights).
    Watts, Strogatz, Nature 393, 1998. Assran, Loizou, Ballas, Rabbat, "Stochastic gradient push for distributed deep
    learning", ICML 2019, appendix A (one-peer exponential). Wang, Sahu, Yang, Joshi, Kar, "MATCHA: speeding up
    decentralized SGD via matching decomposition sampling", ICC 2019 (matchings).

    Examples
    --------
    >>> Topology("torus").faults(12), [str(fault) for fault in Topology("hypercube").faults(12)]
    ([], ['name: a hypercube has 2^n peers. Got 12 nodes.'])
    """

    name: Literal[
        "star", "star_of_peers", "ring", "torus", "grid", "complete", "hypercube", "k_regular", "watts_strogatz",
        "erdos_renyi", "geometric", "edges", "file",
    ] = "star"  # fmt: skip
    rows: PositiveInt | None = None
    degree: PositiveInt | None = None
    probability: Fraction | None = None
    radius_m: PositiveFloat | None = None
    side_m: PositiveFloat | None = None
    edges: tuple[Edge, ...] = ()
    path: str | None = None
    directed: bool = False
    aggregators: PositiveInt | None = None
    mixing: Literal["metropolis", "uniform", "lazy"] | tuple[tuple[NonNegativeFloat, ...], ...] = "metropolis"
    schedule: Literal["fixed", "random_matching", "one_peer_exponential"] | tuple[tuple[Edge, ...], ...] = "fixed"
    positions_m: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        takes, needs = _TAKES[self.name]
        given = [key for key in _SOME_TAKE if getattr(self, key) not in (None, (), False)]
        allowed = f"no key of topology {self.name}; it takes {', '.join((*takes, 'positions_m'))}"
        faults = [Fault((key,), allowed, repr(key)) for key in given if key not in takes]
        faults += [Fault((k,), f"topology {self.name} needs it", "nothing") for k in needs if k not in given]
        if self.name == "geometric" and self.positions_m:
            faults.append(Fault(("positions_m",), "a geometric topology draws its own positions", "positions"))
        faults += self._weights_faults()
        if faults:
            raise ConfigError(faults)

    def _weights_faults(self) -> Iterator[Fault]:
        schedule = self.schedule if isinstance(self.schedule, str) else "edges by round"
        if self.is_star and self.mixing != "metropolis":
            yield Fault(("mixing",), "a star has a server and mixes nothing", repr(self.mixing))
        if self.is_star and schedule != "fixed":
            yield Fault(("schedule",), "a star is the same in every round", schedule)
        if self.directed and self.mixing != "metropolis":
            yield Fault(("mixing",), "no choice for a directed graph, whose weights are uniform", repr(self.mixing))
        if isinstance(self.mixing, tuple) and schedule != "fixed":
            yield Fault(("mixing",), "a matrix needs a graph that stays, schedule: fixed", f"schedule {schedule}")
        if schedule == "random_matching" and self.directed:
            yield Fault(("schedule",), "a matching needs edges that go both ways", "a directed graph")
        if schedule == "one_peer_exponential" and self.name != "complete":
            allowed = "one_peer_exponential needs topology complete, as any two peers may meet"
            yield Fault(("schedule",), allowed, f"topology {self.name}")
        if schedule == "edges by round" and (self.name != "edges" or self.edges):
            yield Fault(("schedule",), "edges by round need topology edges without a list of its own", self.name)
        if self.name == "edges" and not self.edges and not isinstance(self.schedule, tuple):
            yield Fault(("edges",), "topology edges needs it", "nothing")

    @property
    def is_star(self) -> bool:
        """True where there is a server."""
        return self.name == "star"

    @property
    def is_directed(self) -> bool:
        """True where somebody hears a peer that it does not send to."""
        return self.directed or self.schedule == "one_peer_exponential"

    @property
    def changes(self) -> bool:
        """True where not all edges are there in every round."""
        return self.schedule != "fixed"

    def needs(self, num_nodes: int) -> Mapping[str, str]:
        """Return the requirements on an algorithm between peers (see `netsim.interfaces.Algorithm`), in words."""
        from netsim.scenario import graphs

        found = {"changing": "a graph that changes from round to round"} if self.changes else {}
        if self.is_directed:
            found["directed"] = "a directed graph"
        rounds = self.schedule if isinstance(self.schedule, tuple) else (self.edges,)
        each = [
            dataclasses.replace(self, schedule="fixed", edges=edges) for edges in rounds if edges or not self.changes
        ]
        if self.directed and not all(graphs.is_balanced(graphs.fixed(one, num_nodes)) for one in each):
            found["unbalanced"] = "a directed graph in which a peer hears more or fewer than hear it"
        return found

    def positions(self, num_nodes: int, rng: np.random.Generator) -> tuple[Place, ...] | None:
        """Return the nodes' places in metres; None where the topology says nothing about them.

        `num_nodes` counts the server. A ``geometric`` topology gives the places that its graph joins for an equal
        `rng`.
        """
        if self.positions_m or self.name not in ("geometric", "file"):
            return self.positions_m or None
        from netsim.scenario import graphs

        nodes = graphs.graph(self, num_nodes, rng).nodes
        places = [nodes[node]["place_m"] for node in range(num_nodes) if "place_m" in nodes[node]]
        return tuple(places) if len(places) == num_nodes else None

    def clusters(self, num_nodes: int) -> tuple[tuple[NodeId, ...], ...]:
        """Return the workers of each aggregator, sizes differing by one at most; empty where there are none."""
        parts = self.aggregators or 0
        edges = [i * num_nodes // parts for i in range(parts + 1)] if parts else [0]
        return tuple(tuple(range(a, b)) for a, b in pairwise(edges))

    def faults(self, num_nodes: int) -> list[Fault]:
        """Return the faults of this topology with `num_nodes` workers or peers; paths are relative to it."""
        found = [*self._size_faults(num_nodes)]
        if self.aggregators and self.aggregators > num_nodes:
            allowed = f"at most {num_nodes}, so that each has a worker"
            found.append(Fault(("aggregators",), allowed, str(self.aggregators)))
        places = num_nodes + self.is_star + (self.aggregators or 0)
        if self.positions_m and len(self.positions_m) != places:
            found.append(Fault(("positions_m",), f"a position for each of {places} nodes", str(len(self.positions_m))))
        if self.name in ("edges", "file"):
            found += self._edge_faults(num_nodes)
        if isinstance(self.mixing, tuple) and not found:
            found += self._matrix_faults(self.mixing, num_nodes)
        return found

    def _size_faults(self, num_nodes: int) -> Iterator[Fault]:
        if self.name in ("torus", "grid") and self.rows and num_nodes % self.rows:
            yield Fault(("rows",), f"a divisor of the {num_nodes} nodes is needed", str(self.rows))
        if self.name == "hypercube" and num_nodes & (num_nodes - 1):
            yield Fault(("name",), "a hypercube has 2^n peers", f"{num_nodes} nodes")
        if self.degree is None:
            return
        if not 1 < self.degree < num_nodes and not (self.degree == 1 and num_nodes == 2):
            yield Fault(("degree",), f"2 .. {num_nodes - 1} for {num_nodes} peers", str(self.degree))
        elif self.name == "k_regular" and self.degree * num_nodes % 2:
            allowed = f"an even degree, as {num_nodes} peers with an odd one would have half an edge"
            yield Fault(("degree",), allowed, str(self.degree))
        elif self.name == "watts_strogatz" and self.degree % 2:
            yield Fault(("degree",), "an even degree, half of it to each side", str(self.degree))

    def _edge_faults(self, num_nodes: int) -> Iterator[Fault]:
        from netsim.scenario import graphs

        rounds = self.schedule if isinstance(self.schedule, tuple) else (self.edges,)
        found = 0
        for r, edges in enumerate(rounds):
            for i, (a, b) in enumerate(edges):
                where = ("schedule", r, i) if self.changes else ("edges", i)
                if max(a, b) >= num_nodes:
                    yield Fault(where, f"nodes are 0 .. {num_nodes - 1}", f"[{a}, {b}]")
                elif a == b:
                    yield Fault(where, "an edge joins two different nodes", f"[{a}, {b}]")
                else:
                    continue
                found += 1
        if found:
            return
        key = "path" if self.name == "file" else "schedule" if isinstance(self.schedule, tuple) else "edges"
        try:
            joined = graphs.listed(self, num_nodes)
        except ConfigError as error:
            yield from error.faults
            return
        if joined.number_of_nodes() != num_nodes:
            yield Fault((key,), f"a graph of {num_nodes} nodes", f"one of {joined.number_of_nodes()}")
            return
        parts, words = graphs.number_of_parts(joined), "can all reach each other" if self.directed else "join all"
        if parts > 1:
            what = f"edges that {words} {num_nodes} nodes" if not self.directed else f"{num_nodes} nodes that {words}"
            when = ", all rounds together" if key == "schedule" else ""
            yield Fault((key,), what + when, f"{parts} separate parts")

    def _matrix_faults(self, matrix: tuple[tuple[float, ...], ...], num_nodes: int) -> Iterator[Fault]:
        from netsim.scenario import graphs

        sizes = {len(matrix), *map(len, matrix)}
        if sizes != {num_nodes}:
            yield Fault(("mixing",), f"{num_nodes} rows of {num_nodes} weights", " or ".join(map(str, sorted(sizes))))
            return
        near = graphs.fixed(self, num_nodes) if self.name in graphs.FIXED else None
        for i, row in enumerate(matrix):
            if abs(sum(row) - 1.0) > TOLERANCE:
                yield Fault(("mixing", i), "a stochastic matrix: weights that sum to 1", f"a sum of {sum(row):.10g}")
            beyond = [j for j, weight in enumerate(row) if weight and j != i and near is not None and j not in near[i]]
            for j in beyond:
                yield Fault(("mixing", i, j), "0 where the graph has no edge", f"{row[j]:g}")
            for j in range(i):
                if abs(row[j] - matrix[j][i]) > TOLERANCE:
                    allowed = f"a symmetric matrix: the weight [{j}][{i}] is {matrix[j][i]:g}"
                    yield Fault(("mixing", i, j), allowed, f"{row[j]:g}")
