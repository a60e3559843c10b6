"""IEEE 802.15.4 at 2.4 GHz: low-power radios that share one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels.energy.cc2420 import Cc2420
from channels.macs.single import Single
from channels.media.lrwpan.cell import Mac, PathLoss
from channels.media.lrwpan.frames import LowpanFrames, RawFrames
from channels.media.lrwpan.framing import Framing, RawFraming, SixLowpan
from channels.media.lrwpan.timing import MAX_PAYLOAD
from channels.media.radio_books import RadioPolicy
from channels.path_losses.none import Everyone
from channels.policies.always_on import AlwaysOn
from netsim.errors import ConfigError, Fault
from netsim.fields import Range, Ref
from netsim.interfaces import FrameMaker, FrameSink, Medium, Node, PowerProfile
from netsim.registry import component

SHORT_ADDRESSES = 0xFFFE  # the last two of 16 bits have meanings of their own


@component("channel")
@dataclass(frozen=True)
class Ieee802154:
    """One IEEE 802.15.4 cell: all nodes share one half-duplex medium, as the `mac` says.

    A message of M bytes is ceil(M / payload_bytes) frames (``framing: raw``) or 6LoWPAN fragments; a frame with n bytes
    is 32 (n + 17) us on the air, its acknowledgement 352 us.

    Parameters
    ----------
    mac
        How nodes share the medium: ``single`` (an ideal scheduler: one message at a time, without contention or
        loss), ``csma_ca``, ``slotted`` or ``tsch``; a name, or a mapping with its own keys. See there.
    payload_bytes
        Of the message in a raw frame, 1 .. 116: what 127 octets of PPDU leave with short addresses.
    radio
        Power of every node's radio, and what it notices where `path_loss` is ``log_distance``.
    radio_policy
        What a radio does while its node takes no part in a message (with ``single``: in the message that has the
        medium; with ``tsch``: outside what its slots ask for): ``always_on``, ``sleep_when_idle`` or ``duty_cycle``,
        and what waking costs. See there, and at the `mac`.
    reliable
        Whether a frame that was given up is sent again until it is acknowledged. Otherwise the message is lost where
        one of its frames is. With ``single`` every message arrives in any case.
    framing
        ``raw``, or ``sixlowpan``: UDP in compressed IPv6 with link-local addresses, datagrams of at most 1232 bytes,
        110 bytes in a lone frame, 104 in a fragment. ``sixlowpan_global``: with global addresses and no shared context,
        whose 2 * 16 octets each datagram carries: 78 bytes in a lone frame, 72 in a first fragment.
    collisions
        Where frames contend. ``strict``: frames that overlap at a receiver which hears both are lost there.
        ``capture``: it gets the one that it is locked onto with the probability prod (1 - BER)^bits over stretches of
        constant interference, BER = 8/15 1/16 sum_{j=2..16} (-1)^j C(16, j) exp(20 SINR (1/j - 1)).
    cca
        Where frames contend. ``ns3``: the channel is busy where a signal starts within the assessment or is on the air
        at its end. ``any_overlap``: where any signal overlaps with it. With ``path_loss: log_distance``: where all
        signals together have the radio's `cca_threshold_dbm` at one of these instants, or the node receives a frame at
        the end.
    per
        Probability that a data frame is lost at a receiver, in [0, 1); acknowledgements are not.
    path_loss
        Which nodes hear each other: ``none`` (all), ``disc`` (up to a distance) or ``log_distance`` (by received
        power). See there.

    Raises
    ------
    ConfigError
        If keys do not go with the `mac`, or positions are missing where they are needed.

    Notes
    -----
    Scope and limits: no association, no beacons, no interference from outside. Propagation takes time only where
    `path_loss` gives distances. ``tx`` and ``rx`` are frames on the air, from the preamble to the check sequence.
    Backoff, assessment, turnaround and spacing are ``listen``. A message's joules count the sender's radio from the
    start of its service to the acknowledgement of the last frame to arrive, beyond ``idle`` where it is always on and
    beyond ``sleep`` where it sleeps: not beyond ``listen``, which on some radios draws more than sending. Costs are
    those of a lone message without loss.

    Validation: see each `mac`. 6LoWPAN: sizes and times of seven messages exactly.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants), 7.5 (channel access, acknowledgement, spacing) and E.4 (error rate).
    RFC 4944, RFC 6282.

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

    is_radio: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"payload_bytes": 64, "radio": "nrf52840", "radio_policy": "sleep_when_idle"},
        {"payload_bytes": 7, "radio": {"name": "at86rf233"}},
        {"radio_policy": {"name": "sleep_when_idle", "wake_s": 2e-3, "wake_j": 5e-5}},
        {"radio_policy": {"name": "duty_cycle", "period_s": 0.02, "on_s": 0.002, "wake_s": 1e-3}},
        {"mac": "csma_ca"},
        {"mac": "csma_ca", "reliable": False, "collisions": "capture", "radio_policy": "sleep_when_idle"},
        {"mac": "csma_ca", "radio_policy": {"name": "sleep_when_idle", "wake_s": 2e-3, "wake_j": 5e-5}},
        {"mac": "csma_ca", "radio_policy": {"name": "duty_cycle", "period_s": 0.02, "on_s": 0.002, "wake_s": 1e-3}},
        {"mac": "csma_ca", "framing": "sixlowpan", "path_loss": {"name": "disc", "range_m": 4.0},
         "collisions": "capture", "cca": "any_overlap"},
        {"mac": "csma_ca", "framing": "sixlowpan_global"},
        {"mac": {"name": "slotted", "acknowledge": False}, "path_loss": "log_distance", "per": 0.05, "reliable": False},
        {"mac": {"name": "tsch", "server_cells": 1}},
        {"mac": {"name": "tsch", "server_cells": 2, "slot_s": 0.015}, "radio_policy": "sleep_when_idle",
         "framing": "sixlowpan"},
        {"mac": {"name": "tsch", "server_cells": 1},
         "radio_policy": {"name": "sleep_when_idle", "wake_s": 8e-4, "wake_j": 2e-5}},
    )  # fmt: skip

    mac: Annotated[Mac, Ref("mac")] = field(default_factory=Single)
    payload_bytes: Annotated[int, Range(ge=1, le=MAX_PAYLOAD)] = 100
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Cc2420)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=AlwaysOn)
    reliable: bool = True
    framing: Literal["raw", "sixlowpan", "sixlowpan_global"] = "raw"
    collisions: Literal["strict", "capture"] = "strict"
    cca: Literal["ns3", "any_overlap"] = "ns3"
    per: Annotated[float, Range(ge=0, lt=1)] = 0.0
    path_loss: Annotated[PathLoss, Ref("path_loss")] = field(default_factory=Everyone)

    def __post_init__(self) -> None:
        if faults := [*self.mac.faults(self), *self.path_loss.faults(self.radio)]:
            raise ConfigError(faults)

    @property
    def contends(self) -> bool:
        """Whether frames can collide, so that some are lost or sent twice."""
        return self.mac.contends or self.per > 0 or self.path_loss.is_noisy

    @property
    def reliable_delivery(self) -> bool:
        """Whether no transfer can end with ok False."""
        return self.mac.always_delivers or (self.reliable and self.path_loss.reaches_all)

    @property
    def tells_failure(self) -> bool:
        """Whether a sender knows of every message whether it arrived.

        It does where frames are repeated until they are acknowledged: what fails then was out of reach or down, and
        nothing of its last frame was acknowledged. After a last repeat a missing acknowledgement says nothing, as it
        may be the acknowledgement that was lost.
        """
        return self.reliable

    @property
    def has_slots(self) -> bool:
        """Whether the end of a node's slot says that it sent nothing."""
        return bool(getattr(self.mac, "has_slots", False))

    def fragmentation(self) -> Framing:
        """See `channels.media.lrwpan.cell.Cell`."""
        has_global = self.framing == "sixlowpan_global"
        return RawFraming(self.payload_bytes) if self.framing == "raw" else SixLowpan(has_global)

    def node_faults(self, nodes: int) -> list[Fault]:
        """Return what does not fit that many nodes, the server not counted."""
        if nodes < SHORT_ADDRESSES:
            return []
        allowed = f"at most {SHORT_ADDRESSES - 1} nodes and a server, as many as there are short addresses"
        return [Fault((), allowed, f"{nodes} nodes")]

    def frames(self) -> FrameMaker:
        """Return a maker of frames with their check sequence, with the headers of 6LoWPAN where `framing` has them."""
        return RawFrames() if self.framing == "raw" else LowpanFrames(self.framing == "sixlowpan_global")

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Return a medium at time 0, keyed by one 64-bit draw from `rng`.

        Raises
        ------
        ConfigError
            If there are more nodes than addresses.
        """
        if faults := self.node_faults(sum(not node.is_server for node in nodes)):
            raise ConfigError(faults)
        return self.mac.open(self, nodes, int(rng.integers(1 << 64, dtype=np.uint64)), frames)
