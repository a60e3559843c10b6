"""IEEE 802.15.4 at 2.4 GHz: low-power radios that share one cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from channels.energy.cc2420 import Cc2420
from channels.media.lrwpan.csma.nodes import ContendingNodes, Rules
from channels.media.lrwpan.csma.ns3_draws import ns3_draws
from channels.media.lrwpan.frames import LowpanFrames, RawFrames
from channels.media.lrwpan.framing import RawFraming, SixLowpan
from channels.media.lrwpan.paced import PacedNodes, Renamed
from channels.media.lrwpan.reach import Reach, by_path_loss, everyone, within
from channels.media.lrwpan.reception import LOWEST_SINR
from channels.media.lrwpan.single import SingleCell
from channels.media.lrwpan.timing import MAX_PAYLOAD, SHORTEST_SLOT_NS, WINDOW_NS
from channels.media.lrwpan.tsch import SlottedCell
from channels.media.radio_books import RadioPolicy
from channels.policies.always_on import AlwaysOn
from netsim.errors import ConfigError, Fault
from netsim.fields import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range, Ref
from netsim.interfaces import FrameMaker, FrameSink, Medium, Node, PowerProfile
from netsim.registry import component
from netsim.rng import replication_of
from netsim.units import NS_PER_S, seconds_to_ns

SHORT_ADDRESSES = 0xFFFE  # the last two of 16 bits have meanings of their own


@component("channel")
@dataclass(frozen=True)
class Ieee802154:
    """One IEEE 802.15.4 cell: nodes served one at a time, contending with CSMA/CA, or owning slots in turn.

    All nodes share one half-duplex medium. A message of M bytes is ceil(M / payload_bytes) frames (``framing: raw``) or
    6LoWPAN fragments; a frame with n bytes is 32 (n + 17) us on the air, its acknowledgement 352 us.

    ``mac: single``: messages have the medium one at a time, in order of (submit time, sender, submission). A frame
    takes T(b) = 864 + 320 b + 32 (n + 17) us to the end of its acknowledgement: b backoff periods, b uniform on
    {0..7}, clear channel assessment 128, turnaround 192, the frame, turnaround 192 and the acknowledgement. Its data
    are there 544 us earlier. Behind it the medium stays free for 640 us (192 up to 18 octets of MPDU) before the next
    frame, whoever sends it. A message to several nodes is one broadcast: no acknowledgement, the same spacing behind
    each frame.

    ``mac: csma_ca``: every node has its own queue and unslotted CSMA/CA. NB = 0, BE = `min_be`; wait for b periods of
    320 us, b uniform on {0 .. 2^BE - 1}, then assess the channel for 128 us. If it is busy NB and BE (up to `max_be`)
    grow, and after `max_backoffs` + 1 busy assessments the frame is given up; else it is sent 192 us later. The
    acknowledgement begins 192 us behind it. Without one the sender tries again 864 us behind the frame, at once where
    it hears another's, up to `max_retries` times. The next frame follows at once where one was given up (see
    `reliable`), else after the spacing. A receiver locks onto the first frame whose signal is not below -5 dB of the
    rest, and hears nothing while it turns round (192 us) or sends. Who acknowledges finds the channel busy. Frames that
    arrive again count as duplicates.

    ``mac: slotted``: the same with backoffs, two assessments 320 us apart, frames and acknowledgements beginning at
    common boundaries of 320 us; there are no beacons and no inactive period.

    ``mac: tsch``: slots of `slot_s`, one frame with its acknowledgement in each, owned in turn by the nodes that are no
    server, in their order, and then by the server for `server_cells` of them. Node i of N finishes frame k at
    ((k - 1) N + i) slot_s + 2120 + 32 (MPDU + 1) us, where all begin at 0 and nothing is lost.

    Parameters
    ----------
    mac
        ``single``, ``csma_ca``, ``slotted`` or ``tsch``.
    payload_bytes
        Of the message in a raw frame, 1 .. 116: what 127 octets of PPDU leave with short addresses.
    radio
        Power of every node's radio.
    radio_policy
        What a radio does while its node takes no part in a message (with ``single``: in the message that has the
        medium; with ``tsch``: outside what its slots ask for): ``always_on``, ``sleep_when_idle`` or ``duty_cycle``,
        and what waking costs. See there. With contention a message goes to its sender's queue in the first window from
        its submission on (``duty_cycle``), or after waking of all who take part that are not awake
        (``sleep_when_idle``), and whoever takes part is awake until it has ended. With ``tsch``, whose slots are the
        schedule, there is no ``duty_cycle``; a radio wakes once in each slot in which it does anything, before the
        first of it, in at most 0.86 ms.
    reliable
        Whether a frame that was given up is queued again until it is acknowledged. With contention it goes behind the
        message's other frames: the sender takes those that are not acknowledged round and round, the message arrives
        with the last frame that is missing there, and the sender's next message begins when all are acknowledged. A
        broadcast frame is sent again at once, and followed by acknowledged ones to those in range that missed it.
        Otherwise the sender goes on with the message's other frames, and the message is lost where one of them is. With
        ``single`` every message arrives in any case.
    framing
        ``raw``, or ``sixlowpan``: UDP in compressed IPv6 with link-local addresses, datagrams of at most 1232 bytes,
        110 bytes in a lone frame, 104 in a fragment.
    collisions
        ``strict``: frames that overlap at a receiver which hears both are lost there. ``capture``: it gets the one that
        it is locked onto with the probability prod (1 - BER)^bits over stretches of constant interference, BER = 8/15
        1/16 sum_{j=2..16} (-1)^j C(16, j) exp(20 SINR (1/j - 1)).
    cca
        ``ns3``: the channel is busy where a signal starts within the assessment or is on the air at its end.
        ``any_overlap``: where any signal overlaps with it. With path loss: where all signals together have
        `cca_threshold_dbm` at one of these instants, or the node receives a frame at the end.
    acknowledge
        Whether frames to one node are acknowledged (csma_ca and slotted); not `reliable` without.
    per
        Probability that a data frame is lost at a receiver, in [0, 1); acknowledgements are not.
    range_m
        Who is farther away neither hears nor senses a sender; the others all receive the same power. Needs positions.
    path_loss
        ``log_distance``: received power from positions, tx_power_dbm - reference_loss_db - 10 path_loss_exponent
        log10(d / 1 m); frames are lost by noise, too. ``none``: all hear all, or those within `range_m`.
    tx_power_dbm, path_loss_exponent, reference_loss_db, noise_dbm
        Of all nodes.
    sensitivity_dbm, cca_threshold_dbm
        Least power of a signal that a receiver hears (with `ns3_run`, as in ns-3, 5 dB below the noise in its place),
        and of all signals together that an assessment notices.
    min_be, max_be, max_backoffs, max_retries
        macMinBE 0 .. `max_be`, macMaxBE 3 .. 8, macMaxCSMABackoffs 0 .. 5, macMaxFrameRetries 0 .. 7.
    slot_s
        Length of a slot, at least 7.408 ms.
    server_cells
        Slots of the server in a slotframe; with 0 it cannot send.
    slot_retries
        How often a frame is sent again without `reliable`, in slots.
    ns3_run, ns3_seed, ns3_first_stream
        Draw what ns-3.44 draws (``csma_ca`` with path loss): every event, counter and nanosecond is that of its lr-wpan
        module under `RngSeedManager::SetSeed(ns3_seed)` and `SetRun(ns3_run)`; replication r is run `ns3_run` + r,
        ``capture`` its error model, and ``strict`` one that loses what is below 14.8 dB. Devices were created in the
        order server, then the nodes, and `ns3_first_stream` random variables before the first of them. See Notes.

    Raises
    ------
    ConfigError
        If keys do not go together, or positions are missing where they are needed.

    Notes
    -----
    Scope and limits: no association, no beacons, no channel hopping (and so one frame at a time also in slots), no
    interference from outside. Propagation takes time only where `range_m` or `path_loss` gives distances. Sequence
    numbers of two nodes never agree, so an acknowledgement is never taken by the wrong node (in ns-3, and so with
    `ns3_run`, one of 256 is, and what it was for may be lost although `reliable`). A radio meets signals in the order
    in which they arrive; of two that do so at one instant, first that whose sender has waited longer. Where some nodes
    do not notice each other, a sender (not with `ns3_run`) that gave up r times in a row waits for b periods of 320 us,
    b uniform on {0 .. 2^min(5 + r, 12) - 1}, before it goes on: hidden senders that went on at once would never let
    each other through. ``tx`` and ``rx`` are frames on the air, from the preamble to the check sequence; with
    contention ``rx`` is whatever the radio is locked onto, with the others only what is for the node. Backoff,
    assessment, turnaround and spacing are ``listen``. A message's joules count the sender's radio from the start of its
    service to the acknowledgement of the last frame to arrive, beyond ``idle`` where it is always on and beyond
    ``sleep`` where it sleeps: not beyond ``listen``, which on some radios draws more than sending. What is sent again
    behind a delivery, because the acknowledgement was lost, is told by the sender's next one. Costs are those of a lone
    message without loss. A draw depends on the medium's key, the transfer, and which of its draws it is, on nothing
    else.

    Validation: ``single``: the eight values of T(b), the mean of k frames, the distribution of b, and the energy of one
    frame on four chips against their closed forms; a single sender in ns-3.44 gives the same eight values. ``csma_ca``:
    the compiled medium equals one simpy process a node in every counter; two nodes that start together against exact
    rationals; every row of bursts, requeued bursts and Poisson traffic in ns-3.44 (``make validation``,
    docs/validation.md), and with its draws every event of theirs; the same for nodes scattered over squares of 20 to
    120 m, hidden senders among them; hidden senders, and what follows a frame that was given up, by hand. ``slotted``:
    busy first and second assessments within 6 % of Park's fixed point, 5 .. 50 nodes. ``tsch``: makespans exactly, loss
    against its moments. 6LoWPAN: sizes and times of seven messages exactly.

    References
    ----------
    IEEE 802.15.4-2006, clauses 6.4 (constants), 7.5 (channel access, acknowledgement, spacing) and E.4 (error rate);
    IEEE 802.15.4-2015, 6.5.4 (slots). RFC 4944, RFC 6282. P. Park, P. Di Marco, P. Soldati, C. Fischione, K. H.
    Johansson, "A generalized Markov chain model for effective analysis of slotted IEEE 802.15.4", MASS 2009.

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
        {"radio_policy": {"name": "sleep_when_idle", "wake_s": 2e-3, "wake_j": 5e-5}},
        {"radio_policy": {"name": "duty_cycle", "period_s": 0.02, "on_s": 0.002, "wake_s": 1e-3}},
        {"mac": "csma_ca"},
        {"mac": "csma_ca", "reliable": False, "collisions": "capture", "radio_policy": "sleep_when_idle"},
        {"mac": "csma_ca", "radio_policy": {"name": "sleep_when_idle", "wake_s": 2e-3, "wake_j": 5e-5}},
        {"mac": "csma_ca", "radio_policy": {"name": "duty_cycle", "period_s": 0.02, "on_s": 0.002, "wake_s": 1e-3}},
        {"mac": "csma_ca", "framing": "sixlowpan", "range_m": 4.0, "collisions": "capture", "cca": "any_overlap"},
        {"mac": "slotted", "path_loss": "log_distance", "per": 0.05, "acknowledge": False, "reliable": False},
        {"mac": "csma_ca", "path_loss": "log_distance", "collisions": "capture", "ns3_run": 3},
        {"mac": "tsch", "server_cells": 1},
        {"mac": "tsch", "server_cells": 2, "radio_policy": "sleep_when_idle", "framing": "sixlowpan", "slot_s": 0.015},
        {"mac": "tsch", "server_cells": 1, "radio_policy": {"name": "sleep_when_idle", "wake_s": 8e-4, "wake_j": 2e-5}},
    )

    mac: Literal["single", "csma_ca", "slotted", "tsch"] = "single"
    payload_bytes: Annotated[int, Range(ge=1, le=MAX_PAYLOAD)] = 100
    radio: Annotated[PowerProfile, Ref("energy")] = field(default_factory=Cc2420)
    radio_policy: Annotated[RadioPolicy, Ref("radio_policy")] = field(default_factory=AlwaysOn)
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
    ns3_run: PositiveInt | None = None
    ns3_seed: Annotated[int, Range(ge=1, le=4294944442)] = 1
    ns3_first_stream: NonNegativeInt = 0

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
        if self.mac == "tsch":
            faults += self._slot_faults()
        if self.ns3_run is not None:
            needed = {"mac": "csma_ca", "path_loss": "log_distance", "cca": "ns3", "per": 0.0}
            faults += [
                Fault((key,), f"{value} where ns3_run is given", str(getattr(self, key)))
                for key, value in needed.items()
                if getattr(self, key) != value
            ]
            if self.radio_policy.sleeps or self.radio_policy.next_change_ns(0) is not None:
                got = getattr(self.radio_policy, "name", "another")
                faults.append(Fault(("radio_policy",), "always_on where ns3_run is given", got))
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

    def _slot_faults(self) -> list[Fault]:
        policy = self.radio_policy
        if policy.next_change_ns(0) is not None:
            allowed = "always_on or sleep_when_idle with mac tsch, whose slots are the schedule"
            return [Fault(("radio_policy",), allowed, getattr(policy, "name", "another"))]
        if policy.lead_ns > WINDOW_NS:
            allowed = f"with mac tsch at most {WINDOW_NS / NS_PER_S:g} s, before a slot's first listening"
            return [Fault(("radio_policy", "wake_s"), allowed, f"{policy.lead_ns / NS_PER_S:g}")]
        return []

    @property
    def contends(self) -> bool:
        """Whether frames meet others on the air, and may be sent in vain or once too often."""
        return self.mac in ("csma_ca", "slotted") or self.per > 0 or self.path_loss != "none"

    @property
    def reliable_delivery(self) -> bool:
        """Whether no transfer can end with ok False."""
        return self.mac == "single" or (self.reliable and self.range_m is None and self.path_loss == "none")

    def node_faults(self, nodes: int) -> list[Fault]:
        """What does not fit that many nodes, the server not counted."""
        if nodes < SHORT_ADDRESSES:
            return []
        allowed = f"at most {SHORT_ADDRESSES - 1} nodes and a server, as many as there are short addresses"
        return [Fault((), allowed, f"{nodes} nodes")]

    def frames(self) -> FrameMaker:
        """Return a maker of frames with their check sequence, with the headers of 6LoWPAN where `framing` has them."""
        return RawFrames() if self.framing == "raw" else LowpanFrames()

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """A medium at time 0, keyed by one 64-bit draw from `rng`.

        Raises
        ------
        ConfigError
            If there are more nodes than addresses.
        """
        if faults := self.node_faults(sum(not node.is_server for node in nodes)):
            raise ConfigError(faults)
        key = int(rng.integers(1 << 64, dtype=np.uint64))
        if self.mac == "single":
            return SingleCell(nodes, self.payload_bytes, self.radio, self.radio_policy, key, frames)
        framing = RawFraming(self.payload_bytes) if self.framing == "raw" else SixLowpan()
        reach = self._reach(nodes)
        if self.mac == "tsch":
            return SlottedCell(
                nodes, self.server_cells, seconds_to_ns(self.slot_s), framing, reach, self.radio, key, self.per,
                self.reliable, self.slot_retries, self.radio_policy, frames,
            )  # fmt: skip
        rules = Rules(
            self.mac == "slotted", self.collisions == "strict", self.cca == "ns3", self.reliable, self.acknowledge,
            self.radio_policy.sleeps, self.per, self.min_be, self.max_be, self.max_backoffs, self.max_retries,
        )  # fmt: skip
        policy = self.radio_policy
        if self.ns3_run is not None:
            order = sorted(range(len(nodes)), key=lambda row: not nodes[row].is_server)
            draws = ns3_draws(order, self.ns3_seed, self.ns3_run + replication_of(rng), self.ns3_first_stream)
            return ContendingNodes(nodes, framing, rules, reach, self.radio, key, frames, draws)
        if not policy.lead_ns and policy.next_change_ns(0) is None:
            return ContendingNodes(nodes, framing, rules, reach, self.radio, key, frames)
        sink = None if frames is None else Renamed(frames)
        inner = ContendingNodes(nodes, framing, rules, reach, self.radio, key, sink)
        return PacedNodes(nodes, inner, policy, self.radio, sink)

    def _reach(self, nodes: Sequence[Node]) -> Reach:
        if self.range_m is not None:
            return within(nodes, self.range_m)
        if self.path_loss == "none":
            return everyone()
        return by_path_loss(
            nodes, self.tx_power_dbm, self.reference_loss_db, self.path_loss_exponent, self.noise_dbm,
            self.sensitivity_dbm if self.ns3_run is None else self.noise_dbm + 10 * math.log10(LOWEST_SINR),
            self.cca_threshold_dbm,
        )  # fmt: skip
