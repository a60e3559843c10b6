"""Costs: what sending over a link costs, as far as a node may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class CostModel(Protocol):
    """What sending costs over one link, in the unit of `quantity`; never decreasing.

    ``basis`` says what the model is a function of: ``"count"`` the kept coordinates T, ``"paper"`` the
    papers' P(T) in bits, ``"message"`` all bits of the real message, header included.
    ``structure`` holds the constants where the cost is C = c0 + c_packet * ceil(.) + c_bit * x; None: only
    calls will do.
    """

    @property
    def basis(self) -> Literal["count", "paper", "message"]: ...
    @property
    def quantity(self) -> str: ...
    @property
    def structure(self) -> CostStructure | None: ...
    def __call__(self, size: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the cost of messages of these sizes (in the unit of `basis`), elementwise."""

    def observe(self, message_bit: float, value: float) -> None:
        """Learn that an own transfer of this size ended and cost `value`."""


@runtime_checkable
class PacketObserver(Protocol):
    """What a cost model may offer that learns from packets, too."""

    def observe_packets(self, message_bit: float, value: float, packets: int) -> None:
        """Learn from an own transfer and its number of packets; called in place of `CostModel.observe`."""


@dataclass(frozen=True, slots=True)
class CostStructure:
    """C(x) = c0 + c_packet * ceil((header_bit + x) / payload_max_bit) + c_bit * x; x = 0 costs as x > 0.

    Parameters
    ----------
    c0, c_packet, c_bit
        Cost of a message, of a packet, of a unit of x, in the model's unit. `c0` may be negative where the
        whole stays positive.
    payload_max_bit
        What one packet holds; None where there are no packets (`c_packet` is then 0).
    header_bit
        Bits inside the ceiling beside x.
    packing
        ``whole``: an entry never straddles two packets; ``stream``: the payload is one bit stream.
    """

    c0: float = 0.0
    c_packet: float = 0.0
    c_bit: float = 0.0
    payload_max_bit: float | None = None
    header_bit: float = 0.0
    packing: Literal["whole", "stream"] = "whole"


class Link(Protocol):
    """What a node may know of its link to one destination."""

    def cost(self, quantity: str) -> CostModel:
        """Return the link's cost of messages of some bits in ``bit`` (on the wire), ``packet``, ``s`` or ``j``."""

    def answer(self) -> Answer | None:
        """Return the broadcast with which the destination answers this node and others; None where it does not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's broadcast to all that send to it.

    Parameters
    ----------
    link
        From that node back to the asking one.
    receivers
        Nodes that send to it, and to which it broadcasts.
    transmissions
        How often the broadcast is sent: once on a shared medium, to each receiver on wires.
    longest_bit
        The message that holds all of the model, in floats of 32 bits.
    """

    link: Link
    receivers: int
    transmissions: int
    longest_bit: float


class Cost(Protocol):
    """A frozen cost configuration (kind ``cost``)."""

    def open(self, link: Link) -> CostModel:
        """Return the live model for one node and destination."""
