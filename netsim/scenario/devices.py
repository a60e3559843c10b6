"""What every node computes with: its speed and its powers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from netsim import cells
from netsim.errors import DataError, nearest_name
from netsim.interfaces import NodeId
from netsim.scenario.compute import KNOWN, ComputeModel
from netsim.scenario.compute import Devices as Table
from netsim.scenario.distributions import Distribution, Speeds, Times
from netsim.units import seconds_to_ns

COLUMNS = ("name", "flop_per_s", "power_w")
T = TypeVar("T")
Streams = Callable[[NodeId], np.random.Generator]


@dataclass(frozen=True, slots=True)
class Device:
    """What one node computes with: its speed, and its power while it computes and while it is on and does not.

    Without a speed, what takes operations takes no time.
    """

    flop_per_s: float | None = None
    power_w: float = 0.0
    idle_w: float = 0.0

    def time_ns(self, flop: float) -> int:
        """Return how long operations take, in ns."""
        return seconds_to_ns(flop / self.flop_per_s) if self.flop_per_s else 0


def devices(
    compute: ComputeModel, nodes: Sequence[NodeId], workers: Sequence[NodeId], stream: Streams
) -> dict[NodeId, Device]:
    """Return the device of every node.

    Parameters
    ----------
    nodes, workers
        All nodes, and those that learn: with lists, boards or speeds drawn the others compute at once and for nothing.
    stream
        The random stream of a node, from which its speed is drawn; that of -1 draws boards where the scenario names
        none.

    Raises
    ------
    DataError
        If the table of boards is missing or damaged, or lacks a board.
    """
    boards = compute.boards
    if boards is not None:
        table, chosen = read(boards), boards.boards
        names = [chosen] * len(workers) if isinstance(chosen, str) else list(chosen)
        names = names or [list(table)[i] for i in stream(-1).integers(len(table), size=len(workers))]
        unknown = next((name for name in names if name not in table), None)
        if unknown is not None:
            nearest = nearest_name(unknown, table)
            more = f" Nearest: {nearest}." if nearest else ""
            shown = ", ".join(table)
            raise DataError(f"{boards.path or 'known boards'}: no board {unknown!r}; there are {shown}.{more}")
        return dict.fromkeys(nodes, Device()) | dict(zip(workers, (table[name] for name in names), strict=True))
    given: dict[NodeId, float | Speeds] = _each(compute.flop_per_s, nodes, workers)
    speeds = {n: one.sample(stream(n)) if isinstance(one, Speeds) else one for n, one in given.items()}
    powers, idle = (_each(value, nodes, workers) for value in (compute.power_w, compute.idle_w))
    return {n: Device(speeds.get(n), powers.get(n) or 0.0, idle.get(n) or 0.0) for n in nodes}


def gradient_times(
    compute: ComputeModel, nodes: Sequence[NodeId], workers: Sequence[NodeId], stream: Streams
) -> dict[NodeId, float | Times]:
    """Return the seconds of a gradient at every node that takes any, or their law where each gradient draws its own.

    See `devices`; a node's stream draws its one time.
    """
    given: dict[NodeId, float | Distribution] = _each(compute.gradient_s, nodes, workers)
    return {
        n: one.sample(stream(n)) if isinstance(one, Distribution) and one.per == "node" else one
        for n, one in given.items()
    }


def read(table: Table) -> dict[str, Device]:
    """Read a table of boards.

    Raises
    ------
    DataError
        With file and line.
    """
    path = table.found()
    if path is None:
        needed = f"the file {table.path} is needed, with the columns {', '.join(COLUMNS)}"
        raise DataError(f"devices: {needed}. Got no such file.")
    found: dict[str, Device] = {}
    try:
        file = cells.read(path, str(path))
        places = dict(zip(COLUMNS, file.places(COLUMNS), strict=True))
        places |= {"idle_w": file.columns.index("idle_w")} if "idle_w" in file.columns else {}
        for line, row in file.rows:
            name = row[places["name"]]
            if not name or name in found:
                raise DataError(f"{path}:{line}: a name that no other line has is needed. Got {name!r}.")
            speed = file.number(line, "flop_per_s", row[places["flop_per_s"]], positive=True)
            power, idle = (
                file.number(line, key, row[places[key]]) if key in places else 0.0 for key in ("power_w", "idle_w")
            )
            if idle > power:
                raise DataError(f"{path}:{line}: power_w >= idle_w is needed. Got {power:g} and {idle:g}.")
            found[name] = Device(speed, power, idle)
    except cells.CellError as error:
        raise DataError(f"{error}.") from None
    if not found:
        raise DataError(f"{path}: at least one board is needed. Got none.")
    return found


def known() -> dict[str, tuple[Device, str, str]]:
    """Return the boards that come with netsim by name: the device, the maker's name of it, and where figures are from.

    All figures were measured: flop/s are those of High-Performance Linpack in double precision on all cores of the
    processor (no graphics unit), watts those of the whole board at its plug, during that and at rest.
    """
    table = cells.read(KNOWN, str(KNOWN))
    places = table.places(("name", "board", "source"))
    more = {name: (board, source) for name, board, source in (tuple(row[i] for i in places) for _, row in table.rows)}
    return {name: (device, *more[name]) for name, device in read(Table()).items()}


def _each(value: T | tuple[T, ...] | None, nodes: Sequence[NodeId], workers: Sequence[NodeId]) -> dict[NodeId, T]:
    """Return the values by node: one for all, or those of the workers where they are listed or drawn for each."""
    if value is None:
        return {}
    if isinstance(value, tuple):
        return dict(zip(workers, value, strict=True))
    is_each = isinstance(value, Speeds) or (isinstance(value, Distribution) and value.per == "node")
    return dict.fromkeys(workers if is_each else nodes, value)
