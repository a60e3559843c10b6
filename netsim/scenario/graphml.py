"""GraphML files of one graph, read by networkx once every line is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

import networkx as nx

from netsim.units import to_number


class LineError(ValueError):
    """A line of a graph's file that is not as it has to be."""

    def __init__(self, line: int, allowed: str, got: str) -> None:
        super().__init__(f"line {line}: {allowed}. Got {got}")
        self.line, self.allowed, self.got = line, allowed, got


def read(file: Path) -> nx.Graph[str]:
    """Return the graph of a file, several edges between two nodes as one, with ``place_m`` of nodes that have x and y.

    Raises
    ------
    LineError
        For what networkx leaves out or makes up: a second graph, nodes that edges name and the file lacks, places that
        some nodes lack or that are no numbers.
    ValueError, networkx.NetworkXException
        If the file is no GraphML.
    """
    lines = _Lines()
    lines.look_at(file.read_bytes())
    found = nx.read_graphml(file)
    plain: nx.Graph[str] = (nx.DiGraph if found.is_directed() else nx.Graph)()
    plain.add_nodes_from(found)
    plain.add_edges_from(found.edges())
    for node, place in lines.places.items():
        plain.nodes[node]["place_m"] = place["x"], place["y"]
    return plain


class _Lines:
    """Every node and edge of a file with its line.

    Attributes
    ----------
    places : x and y of the nodes that have them.
    """

    def __init__(self) -> None:
        self.places: dict[str, dict[str, float]] = {}
        self._graphs = 0
        self._directed = ""
        self._axes: dict[str, str] = {}  # ids of the keys x and y
        self._nodes: dict[str, int] = {}
        self._edges: list[tuple[int, str, str]] = []
        self._node = self._axis = self._text = ""
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    def look_at(self, content: bytes) -> None:
        """Look at a whole file."""
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            raise ValueError(error) from None
        for line, *ends in self._edges:
            for end in ends:
                if end not in self._nodes:
                    raise LineError(line, "an edge between nodes of the file", f"the node {end!r}")
            if ends[0] == ends[1]:
                allowed, got = "an edge joins two different nodes", f"an edge of {ends[0]!r} with itself"
                raise LineError(line, allowed, got)
        for node, line in self._nodes.items() if self.places else ():
            missing = {"x", "y"} - self.places.get(node, {}).keys()
            if missing:
                got = f"node {node!r} without {' and '.join(sorted(missing))}"
                raise LineError(line, "x and y of every node, or of none", got)

    def _begin(self, tag: str, given: Mapping[str, str]) -> None:
        tag, line = tag.rpartition(":")[2], self._parser.CurrentLineNumber
        if tag == "graph":
            self._graphs += 1
            self._directed = given.get("edgedefault", "")
            if self._graphs > 1:
                raise LineError(line, "one graph in a file", "another one")
        elif tag == "hyperedge":
            raise LineError(line, "edges that join two nodes", "a hyperedge")
        elif tag == "key" and given.get("attr.name") in ("x", "y") and given.get("for") in ("node", "all"):
            self._axes[given.get("id", "")] = given["attr.name"]
        elif tag == "node":
            self._node = given.get("id", "")
            if not self._node or self._node in self._nodes:
                raise LineError(line, "nodes that have an id each", repr(self._node) + (" twice" if self._node else ""))
            self._nodes[self._node] = line
        elif tag == "edge":
            wanted = "true" if self._directed == "directed" else "false"
            if given.get("directed", wanted) != wanted:
                raise LineError(line, f"edges that are all {self._directed}", f"directed={given['directed']!r}")
            self._edges.append((line, given.get("source", ""), given.get("target", "")))
        elif tag == "data" and self._node:
            self._axis, self._text = self._axes.get(given.get("key", ""), ""), ""

    def _add(self, text: str) -> None:
        self._text += text if self._axis else ""

    def _end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "node":
            self._node = ""
        if tag == "data" and self._axis:
            try:
                number = to_number(self._text.strip(), None)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                allowed = f"{self._axis} of node {self._node!r}: a number of metres"
                raise LineError(self._parser.CurrentLineNumber, allowed, repr(self._text.strip()[:40]))
            self.places.setdefault(self._node, {})[self._axis] = number
            self._axis = ""
