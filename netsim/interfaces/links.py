"""Channels, media, and what they report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from netsim.interfaces.costs import CostModel
from netsim.interfaces.messages import NodeId, TransferId

STATES = ("tx", "rx", "listen", "idle", "sleep")
BROADCAST = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A node as a channel sees it."""

    id: NodeId
    is_server: bool = False
    position_m: tuple[float, float] | None = None


class Delivery(NamedTuple):
    """The end of one transfer at one destination.

    Parameters
    ----------
    transfer, dst, at_ns
        Which transfer ended, where, when (the last byte).
    ok
        False where it was given up.
    packets, attempts
        Packets (MAC frames) of the message, and transmissions with all repeats.
    wire_bytes, airtime_ns
        All that it occupied of the medium: headers, padding, gaps, acknowledgements, repeats. Of a broadcast on a
        shared medium these and the packets count once, at its smallest destination; elsewhere they are 0.
    src, size_bytes
        As submitted.
    service_s, energy_j
        What the sender's cost models learn from: seconds from submit to last byte without own queueing, and
        the sender's joules beyond idling.
    """

    transfer: TransferId
    dst: NodeId
    at_ns: int
    ok: bool
    packets: int
    attempts: int
    wire_bytes: int
    airtime_ns: int
    src: NodeId
    size_bytes: int
    service_s: float
    energy_j: float


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What a medium's interfaces did from 0 to the instant asked for.

    Parameters
    ----------
    interfaces
        One (node, name) per row, such as (3, "radio"); a full-duplex port is two interfaces.
    state_ns
        int64, shape (rows, 5): nanoseconds in each of `STATES`; every row sums to the instant.
    energy_j
        float64, shape (rows, 5): joules in each state.
    tx_bytes, tx_frames
        int64, shape (rows,): on the wire so far.
    """

    interfaces: Sequence[tuple[NodeId, str]]
    state_ns: npt.NDArray[np.int64]
    energy_j: npt.NDArray[np.float64]
    tx_bytes: npt.NDArray[np.int64]
    tx_frames: npt.NDArray[np.int64]


class Frame(NamedTuple):
    """One frame (packet, segment, slot) that a medium sends.

    Parameters
    ----------
    start_ns
        When its first bit is sent.
    src, dst
        Sender and destination; `BROADCAST`: to all.
    transfer
        The transfer of whose message it carries a part.
    offset, length
        The part: `length` bytes from byte `offset` on; no bytes in an acknowledgement.
    attempt
        1 for the first transmission, 2 for the first repeat.
    kind
        ``data`` or ``ack``; a channel may have more.
    """

    start_ns: int
    src: NodeId
    dst: NodeId
    transfer: TransferId
    offset: int
    length: int
    attempt: int
    kind: str


class FrameSink(Protocol):
    """Gets every frame of a medium when it begins; frames of one instant in any order."""

    def add(self, frame: Frame) -> None:
        """Take a frame."""


class FrameMaker(Protocol):
    """Makes the bytes of a capture's frames, in order of time; it may count them.

    Attributes
    ----------
    link_type
        Of libpcap, https://www.tcpdump.org/linktypes.html.
    """

    @property
    def link_type(self) -> int: ...

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        """Return the bytes of one frame or of several; `part` is its part of the message, `whole` all of the message.

        Raises
        ------
        SimulationError
            For a node that no address holds.
        """


@runtime_checkable
class ShowsFrames(Protocol):
    """What a channel may offer so that its frames can be captured."""

    def frames(self) -> FrameMaker:
        """Return a new maker, for one capture."""


class Medium(Protocol):
    """A channel's state while it runs: integer nanoseconds, no clock of its own."""

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """Take a message (header included); `now_ns` is never before the last `advance`."""

    def next_event_ns(self) -> int | None:
        """Return a lower bound on the time of the next delivery, None: nothing is under way. Other calls change it."""

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        """Return all deliveries up to and at `to_ns`, by (at_ns, dst, src, transfer); the same however time is cut."""

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """Take a node down or bring it up, at the time of the last `advance`; transfers that need it end not ok."""

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the expected cost of a lone message (basis ``message``) in ``bit``, ``packet``, ``s`` or ``j``."""

    def usage(self, at_ns: int) -> Usage:
        """Return state times up to `at_ns`, not before the last `advance`; later ones hold if nothing is submitted."""


@runtime_checkable
class Broadcasts(Protocol):
    """What a medium may state: whether a message to several nodes is one transmission, as on air, or one to each."""

    broadcasts: bool


@runtime_checkable
class Superposes(Protocol):
    """What a medium may offer on which amplitudes of several senders arrive as one sum.

    Attributes
    ----------
    power_limit_w
        The largest mean square of a message's amplitudes; None: no limit.
    """

    power_limit_w: float | None

    def gains(self, round: int, senders: Sequence[NodeId]) -> npt.NDArray[np.float64]:
        """Return |h| of each sender in a round: what it sends arrives times that."""

    def noise(self, round: int, dst: NodeId, size: int, part: int = 0) -> npt.NDArray[np.float64]:
        """Return the noise of a receiver in so many channel uses; `part` tells apart several sums of one round."""


@runtime_checkable
class PowerBound(Protocol):
    """What a medium may offer so that a battery need not be looked at all the time."""

    def max_power_w(self, node: NodeId) -> float:
        """Return an upper bound on the power of all the node's interfaces together, at any time."""


@runtime_checkable
class Contends(Protocol):
    """What a medium may offer whose senders hinder each other."""

    def offered_load(self) -> float:
        """Return the frames that would be on the air on the mean, did all nodes send and none hear another."""


class Channel(Protocol):
    """One link technology; frozen configuration (kind ``channel``).

    One that is a radio cell has the class attribute ``is_radio = True``: two of them at one node are two radios.
    """

    reliable_delivery: ClassVar[bool]  # False where a transfer can end with ok False
    # It may have `has_slots`, a bool: whether the end of a node's slot shows that the node sent nothing.
    # It may have `tells_failure`, a bool: whether the sender of a message to one node learns in the end, by
    # acknowledgements, whether it arrived, where it can be lost at all.

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium:
        """Open a medium between these nodes at time 0."""


class Carried(NamedTuple):
    """One message in many draws of a medium; arrays are int64 of shape (draws,).

    Parameters
    ----------
    at_ns
        When its last byte is there.
    packets, attempts, wire_bytes
        As in `Delivery`, the same in all draws.
    busy
        (interface, state, begin_ns, end_ns): interfaces, by their place, that it keeps in a state of `STATES`.
    """

    at_ns: npt.NDArray[np.int64]
    packets: int
    attempts: int
    wire_bytes: int
    busy: Sequence[tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]


class DrawnMedia(Protocol):
    """Many draws of a medium in which a message waits for none but those before it on its own way.

    Attributes
    ----------
    interfaces
        As in `Usage`.
    power_w
        float64, shape (5,): of an interface in each of `STATES`; one that no message keeps busy is idle.
    """

    interfaces: Sequence[tuple[NodeId, str]]
    power_w: npt.NDArray[np.float64]

    def carry(self, at_ns: npt.NDArray[np.int64], src: NodeId, dst: NodeId, size_bytes: int) -> Carried | None:
        """Return what the medium does with a message that is submitted at these instants; None: more than it knows.

        Messages of one way come in order.
        """


@runtime_checkable
class Replays(Protocol):
    """What a channel may offer so that many replications are replayed at once: equal to its media to the nanosecond."""

    def replay(self, nodes: Sequence[Node], rngs: Sequence[np.random.Generator]) -> DrawnMedia | None:
        """Return one draw for each of `rngs`, as `open` makes it; None where messages share more than their way."""


class PowerProfile(Protocol):
    """Power of an interface in each state (kind ``energy``)."""

    def power_w(self, state: str) -> float:
        """Return the power in watts in one of `STATES`."""
