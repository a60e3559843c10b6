"""What computing costs, as a scenario says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, PositiveFloat
from netsim.files import places
from netsim.scenario.distributions import Distribution, Speeds

KNOWN = Path(__file__).with_name("boards.csv")


@dataclass(frozen=True)
class Devices:
    """Boards that nodes compute with, of a table.

    Parameters
    ----------
    path
        A CSV file with the columns ``name``, ``flop_per_s``, ``power_w`` (of the board while it computes) and, where
        waiting takes power, ``idle_w`` (of the board while it waits); further columns, such as the figures' sources,
        are for its readers. Nothing: the table of known boards that comes with netsim (``netsim list board``).
    boards
        The board of each node, or one for all of them; an empty list: each node draws one of the table, anew in every
        replication.
    """

    path: str = ""
    boards: str | tuple[str, ...] = ()

    def found(self) -> Path | None:
        """Return the file, looked for in the working folder and below the data folder; None where there is none."""
        return next((place for place in (places(self.path) if self.path else [KNOWN]) if place.is_file()), None)

    def files(self) -> Sequence[Path]:
        """Return the files that decide what the boards are."""
        path = self.found()
        return [] if path is None else [path]


@dataclass(frozen=True)
class ComputeModel:
    """What computing costs.

    Parameters
    ----------
    gradient_s
        Time of a gradient: one for all nodes, a list with one per node, or a distribution, drawn for each gradient or
        (``per: node``) once for each node and replication.
    flop_per_s
        Speed of a node, in place of `gradient_s`: one for all, a list with one per node, or a distribution over nodes,
        drawn once for each node and replication; a gradient then takes what the problem says it takes.
    interval_s
        Time from the start of a round to that of the next, as of sensors that do not train back to back: who reports
        rounds (the server, or each peer) begins each at a multiple of it, the next free one where a round took longer.
        0: back to back.
    power_w
        Power of a node while it computes, or a list with one per node: beyond idling where there is no `idle_w`, of
        all of the node where there is.
    idle_w
        Power of a node while it is on and does not compute, or a list with one per node; radios and ports of the
        network have their own profiles beside it. 0: what idles is not counted.
    devices
        Boards with their speed and powers, in place of `gradient_s`, `flop_per_s`, `power_w` and `idle_w`; ``boards``:
        each node draws one of the known boards. With lists, boards, or values drawn for each node, nodes that do not
        learn, such as a server, compute at once and for nothing.
    codec_flop
        Whether encoding and decoding take time and energy too, at `flop_per_s`; `gradient_s` may then be given beside
        it, for the gradients.
    """

    gradient_s: NonNegativeFloat | tuple[NonNegativeFloat | Distribution, ...] | Distribution = 0.0
    flop_per_s: PositiveFloat | tuple[PositiveFloat | Speeds, ...] | Speeds | None = None
    power_w: NonNegativeFloat | tuple[NonNegativeFloat, ...] = 0.0
    idle_w: NonNegativeFloat | tuple[NonNegativeFloat, ...] = 0.0
    codec_flop: bool = False
    interval_s: NonNegativeFloat = 0.0
    devices: Devices | Literal["boards"] | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.devices is not None:
            keys = ("gradient_s", "flop_per_s", "power_w", "idle_w")
            given = [key for key in keys if getattr(self, key) not in (0.0, None)]
            faults += [Fault((key,), "either devices or this", "both") for key in given]
        if self.flop_per_s is not None and self.gradient_s != 0.0 and not self.codec_flop:
            faults.append(Fault(("flop_per_s",), "either gradient_s or flop_per_s", "both"))
        if self.codec_flop and not self.has_speed:
            faults.append(Fault(("codec_flop",), "flop_per_s is needed, the rate of codecs", "true alone"))
        for i, (idle_w, power_w) in enumerate(_pairs(self.idle_w, self.power_w)):
            if idle_w > power_w:
                path = ("idle_w", i) if isinstance(self.idle_w, tuple) else ("idle_w",)
                allowed = f"at most power_w, {power_w:g} W, which is all of a node's power while it computes"
                faults.append(Fault(path, allowed, f"{idle_w:g}"))
                break
        if faults:
            raise ConfigError(faults)

    @property
    def boards(self) -> Devices | None:
        """The table of boards and who has which; None where there is none."""
        return Devices() if self.devices == "boards" else self.devices

    @property
    def has_speed(self) -> bool:
        """Whether nodes have a speed."""
        return self.flop_per_s is not None or self.devices is not None

    @property
    def is_drawn_per_node(self) -> bool:
        """Whether anything that stays a node's for a replication is drawn."""
        each = [
            one for values in (self.gradient_s, self.flop_per_s)
            for one in (values if isinstance(values, tuple) else (values,))
        ]  # fmt: skip
        drawn = any(isinstance(one, Speeds) or (isinstance(one, Distribution) and one.per == "node") for one in each)
        return drawn or (self.boards is not None and not self.boards.boards)

    @property
    def counts_waiting(self) -> bool:
        """Whether the joules of nodes that wait are counted."""
        idle = self.idle_w if isinstance(self.idle_w, tuple) else (self.idle_w,)
        return self.devices is not None or any(idle)

    @property
    def takes_time(self) -> bool:
        """False where every gradient takes no time at all, and rounds are back to back."""
        times = self.gradient_s if isinstance(self.gradient_s, tuple) else (self.gradient_s,)
        return self.interval_s > 0 or self.has_speed or any(time != 0.0 for time in times)


def _pairs(one: float | tuple[float, ...], other: float | tuple[float, ...]) -> list[tuple[float, float]]:
    """Return the values of both node by node; one pair where both are alike at all nodes."""
    length = max(len(each) if isinstance(each, tuple) else 1 for each in (one, other))
    both = [each if isinstance(each, tuple) else (each,) * length for each in (one, other)]
    return list(zip(*both, strict=False))
