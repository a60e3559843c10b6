"""What every node computes with: its speed and its power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netsim import cells
from netsim.errors import DataError, nearest_name
from netsim.files import data_folder
from netsim.interfaces import NodeId
from netsim.scenario.parts import ComputeModel

COLUMNS = ("name", "flop_per_s", "power_w")


@dataclass(frozen=True, slots=True)
class Device:
    """What one node computes with.

    Parameters
    ----------
    flop_per_s
        None: what takes operations takes no time.
    power_w
        While it computes, beyond idling.
    """

    flop_per_s: float | None = None
    power_w: float = 0.0


def devices(
    compute: ComputeModel, nodes: Sequence[NodeId], workers: Sequence[NodeId], rng: np.random.Generator
) -> dict[NodeId, Device]:
    """Return the device of every node.

    Parameters
    ----------
    compute
        Of the scenario.
    nodes, workers
        All nodes, and those that learn: with lists or boards the others compute at once and for nothing.
    rng
        Draws boards where the scenario names none.

    Raises
    ------
    DataError
        If the table of boards is missing or damaged, or lacks a board.
    """
    if compute.devices is not None:
        table, chosen = read(compute.devices.path), compute.devices.boards
        names = list(chosen) or [list(table)[i] for i in rng.integers(len(table), size=len(workers))]
        unknown = next((name for name in names if name not in table), None)
        if unknown is not None:
            nearest = nearest_name(unknown, table)
            more = f" Nearest: {nearest}." if nearest else ""
            shown = ", ".join(table)
            raise DataError(f"{compute.devices.path}: no board {unknown!r}; there are {shown}.{more}")
        return dict.fromkeys(nodes, Device()) | dict(zip(workers, (table[name] for name in names), strict=True))
    speeds, powers = (_each(value, nodes, workers) for value in (compute.flop_per_s, compute.power_w))
    return {node: Device(speeds.get(node), powers.get(node) or 0.0) for node in nodes}


def read(file: str) -> dict[str, Device]:
    """Read a table of boards: a CSV file with the columns name, flop_per_s and power_w; others are for its readers.

    Raises
    ------
    DataError
        With file and line.
    """
    folder, own = data_folder(None), Path(file).expanduser()
    path = next((one for one in (own, *([folder / own] if folder else [])) if one.is_file()), None)
    if path is None:
        raise DataError(f"devices: the file {file} is needed, with the columns {', '.join(COLUMNS)}. Got no such file.")
    found: dict[str, Device] = {}
    try:
        table = cells.read(path, str(path))
        places = table.places(COLUMNS)
        for line, row in table.rows:
            name, speed, power = (row[place] for place in places)
            if not name or name in found:
                raise DataError(f"{path}:{line}: a name that no other line has is needed. Got {name!r}.")
            flop_per_s = table.number(line, "flop_per_s", speed, positive=True)
            found[name] = Device(flop_per_s, table.number(line, "power_w", power))
    except cells.CellError as error:
        raise DataError(f"{error}.") from None
    if not found:
        raise DataError(f"{path}: at least one board is needed. Got none.")
    return found


def _each(
    value: float | tuple[float, ...] | None, nodes: Sequence[NodeId], workers: Sequence[NodeId]
) -> Mapping[NodeId, float]:
    if value is None:
        return {}
    return dict(zip(workers, value, strict=True)) if isinstance(value, tuple) else dict.fromkeys(nodes, value)
