"""IEEE 802.15.4 at 2.4 GHz: low-power radios that share one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels._csma import ContendingNodes, Rules
from channels._lrwpan import MAX_PAYLOAD
from channels._reach import Reach, by_path_loss, everyone, within
from channels._single import SingleCell
from channels._sixlowpan import RawFraming, SixLowpan
from channels._tsch import SHORTEST_SLOT_NS, SlottedCell
from channels.energy.cc2420 import Cc2420
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, PositiveFloat, Range, Ref
from netsim.interfaces import FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.units import NS_PER_S, seconds_to_ns


@component("channel")
@dataclass(frozen=True)
class Ieee802154:
    """Unslotted IEEE 802.15.4 without contention: random backoff, fragments, acknowledgements, frame spacing.

    All nodes share one half-duplex medium, and messages have it one at a time, in order of (submit time, sender,
    submission). A message of M bytes is ceil(M / payload_bytes) frames; a frame with n bytes takes
    T(b) = 864 + 320 b + 32 (n + 17) us to the end of its acknowledgement: b backoff periods, b uniform on {0..7},
    clear channel assessment 128, turnaround 192, the frame with its 17 octets of overhead, turnaround 192 and the
    acknowledgement of 352 us. Its data are there 544 us earlier. Behind it the medium stays free for 640 us (192 up to
    18 octets of MPDU) before the next frame, whoever sends it. A message to several nodes is one broadcast: no
    acknowledgement, the same spacing behind each frame, and it arrives at all of them at the same instant.

    Parameters
    ----------
    mac
        ``single``: a message has the medium for itself.
    payload_bytes
        Of the message in a frame, 1 .. 116: what 127 octets of PPDU leave with short addresses.
    radio
        Power of every node's radio.
    radio_policy
        ``always_on``: whoever does not send or receive listens. ``sleep_when_idle``: a radio sleeps while its node
        takes no part in the message that has the medium; it wakes at once, at no cost, and knows when.
    reliable
        Whether every message must arrive; it does with ``single``, whatever is said here.

    Notes
    -----
    Scope and limits: no collisions, no loss, no propagation delay (10 m are 33 ns), no association, no beacons; nobody
    overhears, so in ``rx`` is only whom a frame is for. ``tx`` and ``rx`` are frames on the air, from the preamble to
    the check sequence; backoff, assessment, turnaround and spacing are ``listen``. A message's joules count the
    sender's radio from the start of its service to the last acknowledgement, beyond ``idle`` where it is always on and
    beyond ``sleep`` where it sleeps: not beyond ``listen``, which on some radios draws more than sending.
    A backoff depends on the medium's key, the transfer's and the frame's number, on nothing else.

    Validation: the eight values of T(b), the mean of k frames, the distribution of b, and the energy of one frame on
    four chips against their closed forms; a single sender in ns-3.44 gives the same eight values.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants) and 7.5 (channel access, acknowledgement, spacing).

    Examples
    --------
    >>> import numpy as np
    >>> from netsim.interfaces import Node
    >>> medium = Ieee802154().open([Node(0), Node(1, is_server=True)], np.random.default_rng(0))
    >>> medium.submit(0, 0, (1,), 100)
    0
    >>> (medium.next_event_ns() - 4_064_000) % 320_000
    0
    >>> medium.cost("s", 0, 1)([800, 8000])
    array([0.005184, 0.062496])
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"payload_bytes": 64, "radio": "nrf52840", "radio_policy": "sleep_when_idle"},
        {"payload_bytes": 7, "radio": {"name": "at86rf233"}},
        {"mac": "csma_ca"},
        {"mac": "csma_ca", "reliable": False, "collisions": "capture", "radio_policy": "sleep_when_idle"},
        {"mac": "csma_ca", "framing": "sixlowpan", "range_m": 4.0, "collisions": "capture", "cca": "any_overlap"},
        {"mac": "slotted", "path_loss": "log_distance", "per": 0.05, "acknowledge": False, "reliable": False},
        {"mac": "tsch", "server_cells": 1},
        {"mac": "tsch", "server_cells": 2, "radio_policy": "sleep_when_idle", "framing": "sixlowpan", "slot_s": 0.015},
    )

    mac: Literal["single", "csma_ca", "slotted", "tsch"] = "single"
    payload_bytes: Annotated[int, Range(ge=1, le=MAX_PAYLOAD)] = 100
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Cc2420)
    radio_policy: Literal["always_on", "sleep_when_idle"] = "always_on"
    reliable: bool = True
    framing: Literal["raw", "sixlowpan"] = "raw"
    collisions: Literal["strict", "capture"] = "strict"
    cca: Literal["ns3", "any_overlap"] = "ns3"
    acknowledge: bool = True
    per: Annotated[float, Range(ge=0, lt=1)] = 0.0
    range_m: PositiveFloat | None = None
    path_loss: Literal["none", "log_distance"] = "none"
    tx_power_dbm: float = 0.0
    path_loss_exponent: PositiveFloat = 3.0
    reference_loss_db: NonNegativeFloat = 46.6777
    noise_dbm: float = -106.987
    sensitivity_dbm: float = -106.58
    cca_threshold_dbm: float = -96.58
    min_be: Annotated[int, Range(ge=0, le=8)] = 3
    max_be: Annotated[int, Range(ge=3, le=8)] = 5
    max_backoffs: Annotated[int, Range(ge=0, le=5)] = 4
    max_retries: Annotated[int, Range(ge=0, le=7)] = 3
    slot_s: Annotated[float, Range(ge=SHORTEST_SLOT_NS / NS_PER_S)] = 0.01
    server_cells: NonNegativeInt = 0
    slot_retries: NonNegativeInt = 7

    def __post_init__(self) -> None:
        faults = []
        if self.min_be > self.max_be:
            faults.append(Fault(("min_be",), f"at most max_be, {self.max_be}", str(self.min_be)))
        if self.mac in ("csma_ca", "slotted") and self.reliable and not self.acknowledge:
            faults.append(Fault(("acknowledge",), "true where reliable is true", "False"))
        if self.range_m is not None and self.path_loss != "none":
            faults.append(
                Fault(("range_m",), "nothing with path_loss, which says itself who hears whom", str(self.range_m))
            )
        if self.mac == "single":
            plain = {"framing": "raw", "per": 0.0, "range_m": None, "path_loss": "none"}
            faults += [
                Fault(
                    (key,), "only with contention or slots; mac single has no loss and no framing of its own", repr(got)
                )
                for key, default in plain.items()
                if (got := getattr(self, key)) != default
            ]
        if faults:
            raise ConfigError(faults)

    @property
    def contends(self) -> bool:
        """Whether frames meet others on the air, and may be sent in vain or once too often."""
        return self.mac in ("csma_ca", "slotted") or self.per > 0 or self.path_loss != "none"

    @property
    def reliable_delivery(self) -> bool:
        """Whether no transfer can end with ok False."""
        return self.mac == "single" or (self.reliable and self.range_m is None and self.path_loss == "none")

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """A medium at time 0, keyed by one 64-bit draw from `rng`."""
        key = int(rng.integers(1 << 64, dtype=np.uint64))
        sleeps = self.radio_policy == "sleep_when_idle"
        if self.mac == "single":
            return SingleCell(nodes, self.payload_bytes, self.radio, sleeps, key, frames)
        framing = RawFraming(self.payload_bytes) if self.framing == "raw" else SixLowpan()
        reach = self._reach(nodes)
        if self.mac == "tsch":
            return SlottedCell(
                nodes, self.server_cells, seconds_to_ns(self.slot_s), framing, reach, self.radio, key, self.per,
                self.reliable, self.slot_retries, sleeps, frames,
            )  # fmt: skip
        rules = Rules(
            self.mac == "slotted", self.collisions == "strict", self.cca == "ns3", self.reliable, self.acknowledge,
            sleeps, self.per, self.min_be, self.max_be, self.max_backoffs, self.max_retries,
        )  # fmt: skip
        return ContendingNodes(nodes, framing, rules, reach, self.radio, key, frames)

    def _reach(self, nodes: Sequence[Node]) -> Reach:
        if self.range_m is not None:
            return within(nodes, self.range_m)
        if self.path_loss == "none":
            return everyone()
        return by_path_loss(
            nodes, self.tx_power_dbm, self.reference_loss_db, self.path_loss_exponent, self.noise_dbm,
            self.sensitivity_dbm, self.cca_threshold_dbm,
        )  # fmt: skip
