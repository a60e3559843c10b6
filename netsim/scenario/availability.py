"""When nodes are on and off: from a file, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from netsim import cells
from netsim.errors import ConfigError, DataError, Fault
from netsim.fields import NonNegativeInt
from netsim.files import places
from netsim.interfaces import NodeId
from netsim.scenario.distributions import Times
from netsim.units import seconds_to_ns

COLUMNS = ("node", "from_s", "to_s")
LAST_S = 1e9  # about 32 years


@dataclass(frozen=True)
class Availability:
    """When workers or peers are on; the server always is.

    A node that is off sends and receives nothing: what is under way to it or from it is lost, and so is what is sent to
    it. Its computing stands still and goes on where it stood once the node is on; deadlines and waits go on meanwhile,
    and one that ends while the node is off is answered once it is on. A node that is off takes no power but what the
    profile of its radio or port says of sleep.

    Parameters
    ----------
    path
        A CSV file with the columns ``node``, ``from_s`` and ``to_s``: each line is a time in which the node is on, with
        its end left out. A node that has a line is off at all other times; one that has none is always on.
    up, down
        In place of a file: how long a node is on, and then off, in turn, each drawn anew; it begins on at time 0. A
        node draws its own times, anew in every replication.
    nodes
        With `up` and `down`, the nodes that go off: ``workers``, all that learn, or a list of their ids.
    """

    path: str | None = None
    up: Times | None = None
    down: Times | None = None
    nodes: Literal["workers"] | tuple[NonNegativeInt, ...] = "workers"

    def __post_init__(self) -> None:
        drawn = [key for key in ("up", "down") if getattr(self, key) is not None]
        faults = []
        if self.path is not None and drawn:
            faults.append(Fault(("path",), "either path, or up and down", f"path and {' and '.join(drawn)}"))
        elif self.path is None and len(drawn) < 2:
            allowed, got = "path, or up and down, is needed", f"{drawn[0]} alone" if drawn else "nothing"
            faults.append(Fault(("path",) if not drawn else (drawn[0],), allowed, got))
        if self.path is not None and self.nodes != "workers":
            faults.append(Fault(("nodes",), "workers, as the file says which nodes", "a list"))
        if isinstance(self.nodes, tuple):
            if not self.nodes:
                faults.append(Fault(("nodes",), "at least one node", "an empty list"))
            faults += [
                Fault(("nodes", i), "each node once", f"{n}") for i, n in enumerate(self.nodes) if n in self.nodes[:i]
            ]
        if faults:
            raise ConfigError(faults)

    def found(self) -> Path | None:
        """Return the file, looked for in the working folder and below the data folder; None where there is none."""
        return next((place for place in (places(self.path) if self.path else ()) if place.is_file()), None)


def changes(
    availability: Availability, nodes: int, stream: Callable[[NodeId], np.random.Generator]
) -> dict[NodeId, Iterator[int]]:
    """Return the instants in ns at which those of `nodes` learning nodes that go off do, and come back, in order.

    All are on before the first one. `stream` gives the random stream of a node.

    Raises
    ------
    DataError
        If the file is missing or damaged; with its line.
    """
    if availability.path is not None:
        return {node: iter(_edges(spans)) for node, spans in read(availability, nodes).items()}
    which = range(nodes) if isinstance(availability.nodes, str) else availability.nodes
    return {node: _drawn(availability, stream(node)) for node in which}


def read(availability: Availability, nodes: int) -> dict[NodeId, list[tuple[int, int]]]:
    """Read the times in which nodes are on: for each node of the file (from, to) in ns, in order and apart.

    Raises
    ------
    DataError
        With file and line.
    """
    path = availability.found()
    if path is None:
        allowed = f"availability: the file {availability.path} is needed, with the columns {', '.join(COLUMNS)}"
        raise DataError(f"{allowed}. Got no such file.")
    found: dict[NodeId, list[tuple[int, int, int]]] = {}
    try:
        file = cells.read(path, str(path))
        places = file.places(COLUMNS)
        if len(file.columns) > len(COLUMNS):
            raise DataError(
                f"{path}:1: the columns {', '.join(COLUMNS)} alone are needed. Got {', '.join(file.columns)}."
            )
        for line, row in file.rows:
            node, from_ns, to_ns = _span(file, line, [row[place] for place in places], nodes)
            found.setdefault(node, []).append((from_ns, to_ns, line))
    except cells.CellError as error:
        raise DataError(f"{error}.") from None
    if not found:
        raise DataError(f"{path}: at least one line is needed. Got none.")
    for node, spans in found.items():
        spans.sort()
        for before, after in pairwise(spans):
            if after[0] < before[1]:
                allowed = f"times of node {node} that do not overlap are needed"
                raise DataError(f"{path}:{after[2]}: {allowed}. Got one that begins within that of line {before[2]}.")
    return {node: [(from_ns, to_ns) for from_ns, to_ns, _ in spans] for node, spans in sorted(found.items())}


def _span(file: cells.Cells, line: int, row: Sequence[str], nodes: int) -> tuple[NodeId, int, int]:
    text, where = row[0], f"{file.file}:{line}"
    if not (text.isascii() and text.isdigit() and int(text) < nodes):
        raise DataError(f"{where}: node: one of 0 .. {nodes - 1} is needed, a node that learns. Got {text!r}.")
    from_s, to_s = (file.number(line, name, cell) for name, cell in zip(COLUMNS[1:], row[1:], strict=True))
    if not from_s < to_s <= LAST_S or seconds_to_ns(from_s) == seconds_to_ns(to_s):
        allowed = f"seconds with 0 <= from_s < to_s <= {LAST_S:g}, at least a nanosecond apart, are needed"
        raise DataError(f"{where}: {allowed}. Got {row[1]}, {row[2]}.")
    return int(text), seconds_to_ns(from_s), seconds_to_ns(to_s)


def _edges(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the instants of change of a node that is on in these spans alone; spans that touch are one."""
    joined: list[list[int]] = []
    for from_ns, to_ns in spans:
        if joined and joined[-1][1] == from_ns:
            joined[-1][1] = to_ns
        else:
            joined.append([from_ns, to_ns])
    edges = [edge for span in joined for edge in span]
    return edges[1:] if edges[0] == 0 else [0, *edges]


def _drawn(availability: Availability, rng: np.random.Generator) -> Iterator[int]:
    now_ns, laws = 0, (availability.up, availability.down)
    while True:
        for law in laws:
            assert law is not None
            now_ns += max(1, seconds_to_ns(law.sample(rng)))
            yield now_ns
