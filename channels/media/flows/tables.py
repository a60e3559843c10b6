"""Measured links from CSV files: rates and round trips between regions, and rates over time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from netsim import cells
from netsim.errors import ConfigError, Fault
from netsim.files import places
from netsim.units import BOUNDS

Pair = tuple[str, str]

# iperf moves bytes for this long by default; the column `bitrate_Bps` of the intercloud measurements holds those bytes.
IPERF_S = 10.0
LOWEST_BPS, HIGHEST_BPS = 1e3, 1e12
LONGEST_RTT_S = 5.0


@dataclass(frozen=True, slots=True)
class Table:
    """Medians over the measurements of every ordered pair of regions."""

    rtt_s: dict[Pair, float]
    rate_bps: dict[Pair, float]

    @property
    def regions(self) -> list[str]:
        """All of them, sorted."""
        return sorted({region for pair in self.rtt_s for region in pair})


@contextmanager
def _at_path() -> Iterator[None]:
    """Make the error of a cell one of the key ``path``."""
    try:
        yield
    except cells.CellError as error:
        here = ", here or below the folder NETSIM_DATA" if error.allowed.endswith("can be read") else ""
        raise fault(f"{error.allowed}{here}", f"{error.place}: {error.got}", error.nearest) from None


@_at_path()
def read_table(path: str) -> Table:
    """Read round trips, and rates where the file has them, between regions.

    Three kinds of files, told apart by their first line. (1) ``from, to, rtt_s`` and, if wanted, ``rate_bps``. (2)
    ``from_cloud, from_region, to_cloud, to_region, bitrate_Bps, avgrtt``, as measured by iperf and ping between
    clouds: regions are named ``CLOUD:REGION``; ``bitrate_Bps`` is no rate but the bytes of a run of 10 s, so the rate
    is 8 times it over 10 s; ``avgrtt`` is in ms. (3) a square with ``Source`` in its corner and round trips in ms.

    Raises
    ------
    ConfigError
        Where columns are missing, a value is no number, or its unit cannot be right.
    """
    file = cells.read(located(path), path, comments=True)
    header = file.columns
    rtt, rate = dict[Pair, list[float]](), dict[Pair, list[float]]()
    if header and header[0] == "Source":
        for line, row in file.rows:
            for to, cell in zip(header[1:], row[1:], strict=True):
                if cell:
                    rtt.setdefault((row[0], to), []).append(file.number(line, "the round trip in ms", cell) / 1e3)
    elif "bitrate_Bps" in header:
        columns = file.places(["from_cloud", "from_region", "to_cloud", "to_region", "bitrate_Bps", "avgrtt"])
        for line, row in file.rows:
            from_cloud, from_region, to_cloud, to_region, moved, ping = (row[column] for column in columns)
            pair = (f"{from_cloud}:{from_region}", f"{to_cloud}:{to_region}")
            rate.setdefault(pair, []).append(8.0 * file.number(line, "bitrate_Bps", moved) / IPERF_S)
            rtt.setdefault(pair, []).append(file.number(line, "avgrtt", ping) / 1e3)
    else:
        has_rate = "rate_bps" in header
        columns = file.places(["from", "to", "rtt_s", *(["rate_bps"] if has_rate else [])])
        for line, row in file.rows:
            start, end, trip, *speed = (row[column] for column in columns)
            rtt.setdefault((start, end), []).append(file.number(line, "rtt_s", trip))
            if speed:
                rate.setdefault((start, end), []).append(file.number(line, "rate_bps", speed[0]))
    if not rtt:
        raise fault("a table with at least one pair of regions", f"none in {path!r}")
    table = Table(
        {pair: float(median(values)) for pair, values in rtt.items()},
        {pair: float(median(values)) for pair, values in rate.items()},
    )
    _check_units(path, table)
    return table


@_at_path()
def read_trace(path: str) -> dict[str, tuple[tuple[float, float], ...]]:
    """Read steps (time in s, rate in bit/s) of every node from the columns ``time_s, rate_bps`` and maybe ``node``.

    Without that column the steps are everybody's, under ''. Each node's times begin at 0 and rise; the last rate,
    which is above 0, holds from there on.
    """
    file = cells.read(located(path), path, comments=True)
    columns = file.places(["time_s", "rate_bps", *(["node"] if "node" in file.columns else [])])
    steps: dict[str, list[tuple[float, float]]] = {}
    for line, row in file.rows:
        time, rate, *node = (row[column] for column in columns)
        at_s, rate_bps = file.number(line, "time_s", time), file.number(line, "rate_bps", rate)
        mine = steps.setdefault(node[0] if node else "", [])
        if at_s < 0 or (mine and at_s <= mine[-1][0]) or (not mine and at_s != 0):
            raise fault("times that begin at 0 and rise", f"{path}:{line}: {time}")
        if at_s > BOUNDS["s"][1]:
            raise fault(f"time_s: at most {BOUNDS['s'][1]:g} s", f"{path}:{line}: {time}")
        if rate_bps and not LOWEST_BPS <= rate_bps <= HIGHEST_BPS:
            allowed = f"rates of 0 or {LOWEST_BPS:g} .. {HIGHEST_BPS:g} in bit/s; other units cannot be right"
            raise fault(allowed, f"{path}:{line}: {rate}")
        mine.append((at_s, rate_bps))
    if not steps:
        raise fault("a trace of at least one step", f"none in {path!r}")
    for name, mine in steps.items():
        if not mine[-1][1]:
            whose = f" for node {name}" if name else ""
            raise fault("a last rate above 0", f"0 at {mine[-1][0]:g} s in {path!r}{whose}")
    return {name: tuple(mine) for name, mine in steps.items()}


def located(path: str) -> Path:
    """Return where a file lies: as its path stands, or else below the folder NETSIM_DATA."""
    return next((place for place in places(path) if place.exists()), Path(path).expanduser())


def fault(allowed: str, got: str, nearest: str = "") -> ConfigError:
    """Return the error of a wrong file, at the key ``path``."""
    return ConfigError([Fault(("path",), allowed, got, nearest)])


def _check_units(path: str, table: Table) -> None:
    """Raise where a value is one that no network has: the file is in another unit."""
    for what, values, low, high, unit in (
        ("round trips", table.rtt_s, 0.0, LONGEST_RTT_S, "s"),
        ("rates", table.rate_bps, LOWEST_BPS, HIGHEST_BPS, "bit/s"),
    ):
        for (start, end), value in values.items():
            if not (low <= value <= high and value > 0):
                allowed = f"{what} between {low:g} and {high:g} {unit}; the unit of the file cannot be right"
                raise fault(allowed, f"{value:g} {unit} from {start} to {end} in {path!r}")
