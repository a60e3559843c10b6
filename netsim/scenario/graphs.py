"""Graphs of peers, drawn or read, by networkx."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx
import numpy as np

from netsim.errors import ConfigError, Fault, SimulationError
from netsim.scenario import graphml
from netsim.units import to_number

if TYPE_CHECKING:
    from netsim.scenario.topology import Topology

    Graph: TypeAlias = nx.Graph[int]

MAX_DRAWS = 1000


def graph(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Graph:
    """Return the graph of a topology over all rounds; a random one is drawn from `rng` until it is connected.

    The server of a star is node `num_nodes`.

    Raises
    ------
    SimulationError
        If no connected graph comes in 1000 draws.

    Examples
    --------
    >>> from netsim.scenario.topology import Topology
    >>> sorted(graph(Topology("ring"), 4, np.random.default_rng(0)).edges)
    [(0, 1), (0, 3), (1, 2), (2, 3)]
    """
    if topology.name in _DRAWN:
        for _ in range(MAX_DRAWS):
            drawn = _DRAWN[topology.name](topology, num_nodes, rng)
            if nx.is_connected(drawn):
                return drawn
        text = f"network.topology: no connected {topology.name} graph of {num_nodes} nodes in {MAX_DRAWS} draws"
        raise SimulationError(f"{text}; a larger degree, probability or radius is needed")
    return fixed(topology, num_nodes)


def fixed(topology: Topology, num_nodes: int) -> Graph:
    """Return the graph of a topology that draws nothing."""
    return FIXED[topology.name](topology, num_nodes)


def number_of_parts(joined: Graph) -> int:
    """Return the number of components of a graph; of a directed one, of strongly connected components."""
    if isinstance(joined, nx.DiGraph):
        return nx.number_strongly_connected_components(joined)
    return nx.number_connected_components(joined)


def is_balanced(joined: Graph) -> bool:
    """Return whether every peer hears as many as hear it, so that equal weights keep the mean of all."""
    return not isinstance(joined, nx.DiGraph) or all(joined.in_degree(i) == joined.out_degree(i) for i in joined)


def hearers(joined: Graph) -> tuple[tuple[int, ...], ...]:
    """Return for each node those that hear it, in increasing id."""
    return tuple(tuple(sorted(joined[node])) for node in sorted(joined))


def heard(joined: Graph) -> tuple[tuple[int, ...], ...]:
    """Return for each node those that it hears, in increasing id."""
    if not isinstance(joined, nx.DiGraph):
        return hearers(joined)
    return tuple(tuple(sorted(joined.predecessors(node))) for node in sorted(joined))


def listed(topology: Topology, num_nodes: int) -> Graph:
    """Return the graph of listed edges, of all rounds together, or of a file.

    Raises
    ------
    ConfigError
        If the file is none of a graph; paths are relative to the topology.
    """
    if topology.path is not None:
        return _read(topology.path, topology.directed)
    joined: Graph = nx.empty_graph(num_nodes, create_using=nx.DiGraph if topology.directed else nx.Graph)
    for edges in topology.schedule if isinstance(topology.schedule, tuple) else (topology.edges,):
        joined.add_edges_from(edges)
    return joined


def _read(path: str, directed: bool) -> Graph:
    """Read a graph, its nodes numbered 0 .. M-1, with ``place_m`` where the file has places."""
    fault = functools.partial(Fault, ("path",))
    file = Path(path)
    if not file.is_file():
        raise ConfigError([fault("a GraphML file, or a text with an edge a line", f"no file {path!r}")])
    is_graphml = file.suffix.lower() in (".graphml", ".xml")
    try:
        found = graphml.read(file) if is_graphml else _edge_list(file, directed)
    except graphml.LineError as error:
        raise ConfigError([fault(f"{path}:{error.line}: {error.allowed}", error.got)]) from None
    except (OSError, SyntaxError, LookupError, TypeError, ValueError, AttributeError, nx.NetworkXException) as error:
        kind = "GraphML" if is_graphml else "text with an edge a line, such as 0 1"
        raise ConfigError([fault(f"{path} is no {kind}", " ".join(str(error).split()) or "an empty file")]) from None
    if found.number_of_nodes() == 0:
        raise ConfigError([fault(f"{path}: a graph of some nodes", "none")])
    if found.is_directed() != directed:
        allowed = f"{path} is of a {'directed' if found.is_directed() else 'undirected'} graph: the key has to say so"
        raise ConfigError([Fault(("directed",), allowed, str(directed).lower())])
    return _numbered(found)


def _edge_list(file: Path, directed: bool) -> nx.Graph[str]:
    """Read two names a line, with or without a weight; names are all numbers without gaps, or none is a number."""
    joined: nx.Graph[str] = nx.DiGraph() if directed else nx.Graph()
    first, line = list[str](), 0
    for line, text in enumerate(file.read_text("utf-8-sig").split("\n"), 1):
        words = text.partition("#")[0].split()
        if not words:
            continue
        first, got = first or words, repr(text.strip()[:40])
        if not (2 <= len(words) <= 3 and all(map(_NAME.fullmatch, words[:2])) and all(map(_is_weight, words[2:]))):
            raise graphml.LineError(line, "an edge, such as 0 1", got)
        if words[0] == words[1]:
            raise graphml.LineError(line, "an edge joins two different nodes", f"an edge of {words[0]!r} with itself")
        if len(words) != len(first) or any(word.isdigit() != first[0].isdigit() for word in words[:2]):
            allowed = f"{'numbers' if first[0].isdigit() else 'names'} of two nodes{' and a weight' * (len(first) - 2)}"
            raise graphml.LineError(line, f"{allowed}, as in the lines before", got)
        joined.add_edge(words[0], words[1])
    numbers = sorted(map(int, joined)) if first and first[0].isdigit() else []
    for before, number in itertools.pairwise(numbers):
        if number > before + 1:
            raise graphml.LineError(line, "an edge of every node", f"the last of them, and none of node {before + 1}")
    return joined


_NAME = re.compile(r"0|[1-9][0-9]*|[^\W\d][\w.:-]*")


def _is_weight(text: str) -> bool:
    try:
        return 0.0 < to_number(text, None) < math.inf
    except ValueError:
        return False


def _numbered(named: nx.Graph[str]) -> Graph:
    """Return the graph with numbered nodes: in the order of their names where those are numbers, else as they come."""
    names = list(named)
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=int)
    numbers = {node: i for i, node in enumerate(names)}
    plain: Graph = (nx.DiGraph if named.is_directed() else nx.Graph)()
    plain.add_nodes_from((i, dict(named.nodes[node])) for node, i in numbers.items())
    plain.add_edges_from((numbers[a], numbers[b]) for a, b in named.edges)
    return plain


def _ring(topology: Topology, num_nodes: int) -> Graph:
    if topology.directed:
        ahead: Graph = nx.DiGraph()
        ahead.add_nodes_from(range(num_nodes))
        ahead.add_edges_from((i, (i + 1) % num_nodes) for i in range(num_nodes) if num_nodes > 1)
        return ahead
    joined: Graph = nx.cycle_graph(num_nodes) if num_nodes > 2 else nx.path_graph(num_nodes)
    return joined


def _lattice(topology: Topology, num_nodes: int) -> Graph:
    rows = topology.rows or max(r for r in range(1, math.isqrt(num_nodes) + 1) if num_nodes % r == 0)
    cols = num_nodes // rows
    # networkx wraps only sides of three or more: a torus of two rows is no multigraph.
    square = nx.grid_2d_graph(rows, cols, periodic=topology.name == "torus")
    return nx.relabel_nodes(square, {(r, c): r * cols + c for r, c in square.nodes})


def _hypercube(topology: Topology, num_nodes: int) -> Graph:
    joined: Graph = nx.empty_graph(num_nodes)
    sides = [1 << b for b in range(num_nodes.bit_length() - 1)]
    joined.add_edges_from((i, i ^ side) for i in range(num_nodes) for side in sides)
    return joined


def _k_regular(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Graph:
    seed = int(rng.integers(1 << 32))
    joined: Graph = nx.random_regular_graph(topology.degree or 0, num_nodes, seed=seed)
    return joined


def _watts_strogatz(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Graph:
    seed = int(rng.integers(1 << 32))
    joined: Graph = nx.watts_strogatz_graph(num_nodes, topology.degree or 0, topology.probability or 0.0, seed=seed)
    return joined


def _erdos_renyi(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Graph:
    first, second = np.triu_indices(num_nodes, 1)
    chosen = rng.random(first.size) < (topology.probability or 0.0)
    joined: Graph = nx.empty_graph(num_nodes)
    joined.add_edges_from(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))
    return joined


def _geometric(topology: Topology, num_nodes: int, rng: np.random.Generator) -> Graph:
    places = rng.random((num_nodes, 2)) * (topology.side_m or 0.0)
    first, second = np.triu_indices(num_nodes, 1)
    near = np.hypot(*(places[first] - places[second]).T) <= (topology.radius_m or 0.0)
    joined: Graph = nx.empty_graph(num_nodes)
    joined.add_edges_from(zip(first[near].tolist(), second[near].tolist(), strict=True))
    nx.set_node_attributes(joined, {node: (x, y) for node, (x, y) in enumerate(places.tolist())}, "place_m")
    return joined


FIXED: Mapping[str, Callable[[Topology, int], Graph]] = {
    "star": lambda _, num_nodes: nx.Graph([(node, num_nodes) for node in range(num_nodes)]),
    "star_of_peers": lambda _, num_nodes: nx.star_graph(num_nodes - 1),
    "ring": _ring,
    "torus": _lattice,
    "grid": _lattice,
    "complete": lambda _, num_nodes: nx.complete_graph(num_nodes),
    "hypercube": _hypercube,
    "edges": listed,
    "file": listed,
}
_DRAWN: Mapping[str, Callable[[Topology, int, np.random.Generator], Graph]] = {
    "erdos_renyi": _erdos_renyi, "geometric": _geometric, "k_regular": _k_regular,
    "watts_strogatz": _watts_strogatz,
}  # fmt: skip
