"""What an algorithm is judged by, each word with one meaning: README, terminal, page and summary.csv share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netsim.scenario.parts import DIRECTIONS
from netsim.units import S_PER_DAY

Numbers = npt.NDArray[np.float64]
UP, DOWN, PEER = DIRECTIONS


@dataclass(frozen=True)
class Quantity:
    """One thing that is spent, or how long a battery lasts.

    Parameters
    ----------
    noun
        As in "the fewest wire bits".
    unit
        Of `scale` times the column, before prefixes; '' for a count.
    stem
        In summary.csv, without ``_mean``.
    columns
        In rounds.parquet; the quantity is `scale` times their sum.
    scale
        From the file's unit to `unit`.
    is_gain
        True where more is better.
    """

    noun: str
    unit: str
    stem: str
    columns: tuple[str, ...]
    meaning: str
    scale: float = 1.0
    is_gain: bool = False

    @property
    def title(self) -> str:
        """As the title of an axis or a column."""
        return self.noun[0].upper() + self.noun[1:]

    def along(self, column: Callable[[str], Numbers]) -> Numbers:
        """Return the quantity of every row of rounds.parquet; `column` gives a column by its name."""
        total: Numbers = self.scale * np.sum([column(name) for name in self.columns], axis=0)
        return total


def _counted(noun: str, unit: str, way: str, counter: str, meaning: str, scale: float = 1.0) -> Quantity:
    ways = DIRECTIONS if way == "total" else (way,)
    return Quantity(noun, unit, f"{way}_{counter}", tuple(f"{w}_{counter}" for w in ways), meaning, scale)


WIRE = _counted(
    "wire bits", "bit", "total", "wire_bytes",
    "all that occupies the medium: payloads, headers, gaps, acknowledgements and repeats; up, down and between peers",
    8,
)  # fmt: skip
WIRE_UP = _counted("wire bits up", "bit", UP, "wire_bytes", "wire bits from workers to the server", 8)
WIRE_DOWN = _counted("wire bits down", "bit", DOWN, "wire_bytes", "wire bits from the server to workers", 8)
WIRE_PEER = _counted("wire bits between peers", "bit", PEER, "wire_bytes", "wire bits between peers", 8)
MESSAGE = _counted("message bits", "bit", "total", "message_bytes", "header and payload of every message, sent once", 8)
PAPER = _counted(
    "paper bits", "bit", "total", "paper_bit",
    "the formula of the codec's source, without headers, length fields and padding",
)  # fmt: skip
PACKETS = _counted("packets", "", "total", "packets", "frames that the messages need, each counted once")
TRANSMISSIONS = _counted("transmissions", "", "total", "transmissions", "frames sent, every repeat counted")
SECONDS = Quantity("seconds", "s", "time_s", ("sim_time_s",), "simulated time")
WORKER_JOULES = Quantity(
    "workers' joules", "J", "worker_energy_j", ("worker_energy_j",), "radios, ports and processors of workers or peers"
)
SERVER_JOULES = Quantity("server's joules", "J", "server_energy_j", ("server_energy_j",), "the same of the server")
ALL_JOULES = Quantity("joules", "J", "energy_j", ("energy_j",), "of all nodes, the server included")
LIFETIME = Quantity(
    "battery life", "s", "lifetime_days", ("lifetime_days",),
    "of the battery that lasts least: its capacity over its node's mean power", S_PER_DAY, is_gain=True,
)  # fmt: skip

GLOSSARY = (
    WIRE, WIRE_UP, WIRE_DOWN, WIRE_PEER, MESSAGE, PAPER, PACKETS, TRANSMISSIONS,
    SECONDS, WORKER_JOULES, SERVER_JOULES, ALL_JOULES, LIFETIME,
)  # fmt: skip


def headline(has_battery: bool = False, server_power: str = "mains") -> tuple[Quantity, ...]:
    """Return what algorithms are ranked by, in this order: wire bits, packets, seconds, joules, battery life.

    Joules are the workers', with server power ``battery`` those of all nodes; the last where nodes have batteries.
    """
    joules = ALL_JOULES if server_power == "battery" else WORKER_JOULES
    return (WIRE, PACKETS, SECONDS, joules, *((LIFETIME,) if has_battery else ()))


def tabled(has_battery: bool = False, server_power: str = "mains") -> tuple[Quantity, ...]:
    """Return the columns of the main table: `headline`, and beside it what it is made of and what papers count."""
    ranked = headline(has_battery, server_power)
    joules = () if ranked[3] is ALL_JOULES else (SERVER_JOULES,)
    return (
        WIRE, WIRE_UP, WIRE_DOWN, WIRE_PEER, MESSAGE, PAPER, PACKETS, TRANSMISSIONS, SECONDS, ranked[3], *joules,
        *ranked[4:],
    )  # fmt: skip


BY_STEM: Mapping[str, Quantity] = {quantity.stem: quantity for quantity in GLOSSARY}
