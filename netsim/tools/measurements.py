"""Measured costs of messages, read from a CSV file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netsim import cells
from netsim.errors import ConfigError, nearest_hint

Floats = npt.NDArray[np.float64]

# Column names in a file for each word of the command line; the first one present counts.
SIZES = {
    "bytes": ("message_bytes", "size_bytes", "bytes", "payload_bytes", "size_bit"),
    "T": ("T", "budget", "entries"),
}
COSTS = {
    "seconds": ("service_s", "latency_mean_s", "seconds", "p50_s", "latency_s", "time_s"),
    "joules": ("message_j", "joules", "energy_j", "sender_j"),
}
SIZE_UNITS = {"bytes": 8.0, "bit": 1.0}
COST_UNITS = {"s": (1.0, "s"), "ms": (1e-3, "s"), "us": (1e-6, "s"), "ns": (1e-9, "s"),
              "j": (1.0, "J"), "mj": (1e-3, "J"), "uj": (1e-6, "J")}  # fmt: skip
# Limits that no link exceeds: bits per second, joules per bit.
RATES = {"s": (1e-3, 1e14), "J": (1e-16, 1e3)}
ONE_AT_A_TIME = ("channel", "pattern", "protocol", "rate")
MAX_ROWS = 2_000_000


@dataclass(frozen=True, eq=False)
class Points:
    """Measured costs.

    Parameters
    ----------
    size
        Bits, or kept coordinates T.
    cost
        Seconds or joules.
    error
        Standard errors; NaN where unknown.
    nodes
        Senders at the same time; 1 where the file says nothing.
    delivery
        Share of messages that arrived: ``delivery``, or 1 - ``loss``; 1 where the file says nothing.
    replications
        Behind each row's standard error; infinite where the file says nothing.
    is_count
        Whether sizes are T.
    unit
        Of the cost, ``s`` or ``J``.
    names
        Of the two columns.
    """

    size: Floats
    cost: Floats
    error: Floats
    nodes: Floats
    delivery: Floats
    replications: Floats
    is_count: bool
    unit: str
    names: tuple[str, str]
    blank: int = 0

    def of(self, nodes: float) -> Points:
        """Return the rows with this many senders."""
        keep = self.nodes == nodes
        arrays = ("size", "cost", "error", "nodes", "delivery", "replications")
        return replace(self, **{name: getattr(self, name)[keep] for name in arrays})

    def spread(self) -> tuple[Floats, float] | None:
        """Return each row's standard error, smooth in the size, and its degrees of freedom; None where unknown."""
        from scipy.special import digamma

        size, error, freedom = self.size, self.error, self.replications - 1.0
        if not np.isfinite(error).all():
            sizes, place, count = np.unique(size, return_inverse=True, return_counts=True)
            if count.min() < 3 or sizes.size < 2:
                return None
            error = np.array([float(self.cost[place == i].std(ddof=1)) for i in range(sizes.size)])
            size, freedom = sizes, np.asarray(count - 1.0, np.float64)
        if not (error > 0).all() or np.unique(size).size < 2:
            return None
        k = np.minimum(freedom, 1e6) / 2
        # The logarithm of an estimated deviation is too small on average.
        slope, start = np.polyfit(np.log(size), np.log(error) - (digamma(k) - np.log(k)) / 2, 1)
        return np.asarray(np.exp(start + slope * np.log(self.size)), np.float64), float(freedom.sum())


def read(path: str, x: str = "bytes", y: str = "seconds", where: Sequence[str] = ()) -> Points:
    """Read a CSV of ``netsim probe``, ``netsim measure`` or a user's own.

    Parameters
    ----------
    path
        The file; its first line names the columns.
    x
        ``bytes`` or ``T``, or a column whose name ends in _bytes or _bit, or is T.
    y
        ``seconds`` or ``joules``, or a column whose name ends in _s, _ms, _us, _ns, _j, _mj or _uj.
    where
        ``column=value``: only these rows.

    Raises
    ------
    ConfigError
        If the file cannot be read, a column is missing, values are none, or units cannot be right.
    """
    file = cells.read(Path(path).expanduser(), path)
    if len(file.rows) > MAX_ROWS:
        raise ConfigError(f"{path}: at most {MAX_ROWS} rows. Got {len(file.rows)}")
    header, rows = file.columns, [(line, dict(zip(file.columns, row, strict=True))) for line, row in file.rows]
    for condition in where:
        name, equals, value = condition.partition("=")
        if not equals or name not in header:
            allowed = f"column=value, with a column of {path}: {', '.join(header)}"
            raise ConfigError(f"--where: {allowed}. Got {condition!r}{nearest_hint(name, header)}")
        rows = [(line, row) for line, row in rows if _equal(row[name], value)]
    if not rows:
        raise ConfigError(f"{path}: no rows{' where ' + ' and '.join(where) if where else ''}")
    for name in ONE_AT_A_TIME:
        values = sorted({row.get(name, "") for _, row in rows})
        if len(values) > 1:
            raise ConfigError(f"{path}: one {name} at a time; choose with --where {name}={values[0]}. "
                              f"Got {', '.join(values[:8])}")  # fmt: skip
    size_name, size_unit = _size_column(path, x, header)
    cost_name, (factor, unit) = _cost_column(path, y, header)
    kept, numbers = [], []
    for line, row in rows:
        if row[cost_name] == "" and row[size_name]:  # a message that was lost
            continue
        size, cost = (file.number(line, name, row[name], positive=True) for name in (size_name, cost_name))
        kept.append((line, row))
        numbers.append((size * size_unit, cost * factor))
    if not numbers:
        raise ConfigError(f"{path}: no row has a number in {cost_name}")
    sizes, costs = (np.array(column) for column in zip(*numbers, strict=True))

    def optional(name: str, default: float) -> Floats:
        return np.array([file.number(line, name, row[name]) if row.get(name) else default for line, row in kept])

    errors, nodes = optional(f"{cost_name}_se", math.nan) * factor, optional("nodes", 1.0)
    delivery = optional("delivery", 1.0) if "delivery" in header else 1.0 - optional("loss", 0.0)
    replications, names = optional("replications", math.inf), (size_name, cost_name)
    is_count, blank = size_name in SIZES["T"], len(rows) - len(kept)
    points = Points(sizes, costs, errors, nodes, delivery, replications, is_count, unit, names, blank)
    _check_units(path, points)
    return points


def _size_column(path: str, x: str, header: Sequence[str]) -> tuple[str, float]:
    name = _column(path, "--x", x, SIZES, header)
    if name in SIZES["T"]:
        return name, 1.0
    unit = name if name in SIZE_UNITS else name.rpartition("_")[2]
    if unit not in SIZE_UNITS:
        raise ConfigError(f"--x: bytes, T, or a column whose name ends in _bytes or _bit. Got {name!r}")
    return name, SIZE_UNITS[unit]


def _cost_column(path: str, y: str, header: Sequence[str]) -> tuple[str, tuple[float, str]]:
    name = _column(path, "--y", y, COSTS, header)
    unit = {"seconds": "s", "joules": "j"}.get(name, name.rpartition("_")[2])
    if unit not in COST_UNITS:
        ends = ", ".join(f"_{u}" for u in COST_UNITS)
        raise ConfigError(f"--y: seconds, joules, or a column whose name ends in one of {ends}. Got {name!r}")
    return name, COST_UNITS[unit]


def _column(path: str, option: str, word: str, known: Mapping[str, Sequence[str]], header: Sequence[str]) -> str:
    if word in known:
        name = next((n for n in known[word] if n in header), None)
        if name is not None:
            return name
        allowed = f"a column for {word} ({', '.join(known[word])}), or its name with {option}"
        raise ConfigError(f"{path}: {allowed}. Got the columns {', '.join(header) or '(none)'}")
    if word in header:
        return word
    raise ConfigError(f"{option}: one of {', '.join(known)}, or a column of {path}: {', '.join(header)}. "
                      f"Got {word!r}{nearest_hint(word, header)}")  # fmt: skip


def _check_units(path: str, points: Points) -> None:
    low, high = RATES[points.unit]
    ratio = points.size / points.cost if points.unit == "s" else points.cost / points.size
    factor = 1.0 if not points.is_count else 32.0
    ratio = ratio * factor if points.unit == "s" else ratio / factor
    wrong = (ratio < low) | (ratio > high)
    if wrong.any():
        i = int(np.argmax(wrong))
        of = "bit/s" if points.unit == "s" else "J/bit"
        raise ConfigError(
            f"{path}: the units cannot be right: {size_text(points, i)} for {points.cost[i]:.3g} {points.unit} would "
            f"be {ratio[i]:.3g} {of}; {points.names[0]} and {points.names[1]} are not in the units that their names say"
        )


def size_text(points: Points, i: int) -> str:
    """Return the size of a row."""
    return f"T = {points.size[i]:g}" if points.is_count else f"{points.size[i] / 8:g} B"


def _equal(text: str, value: str) -> bool:
    try:
        return float(text) == float(value)
    except ValueError:
        return text.strip() == value.strip()
