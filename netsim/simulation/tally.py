"""What the messages of a run came to, counted as they end."""

from __future__ import annotations

from collections.abc import Collection

from netsim.interfaces import HEADER_BYTES, Delivery, NodeId
from netsim.scenario.parts import DIRECTIONS
from netsim.simulation.flight import Flight
from netsim.simulation.messages import MessageRows
from netsim.units import NS_PER_S


class Counter:
    """Sums over the messages of one direction; the names are those of `netsim.scenario.parts.COUNTERS`."""

    __slots__ = ("messages", "packets", "paper_bit", "payload_bytes", "transmissions", "wire_bytes")

    def __init__(self) -> None:
        self.paper_bit = 0.0
        self.payload_bytes = self.wire_bytes = self.packets = self.transmissions = self.messages = 0

    @property
    def message_bytes(self) -> int:
        """Payloads and their headers."""
        return self.payload_bytes + HEADER_BYTES * self.messages


class Tally:
    """Counts messages at their ends.

    Parameters
    ----------
    free_ways
        Directions that cost nothing: nothing of them is counted.
    keeps_rows
        Whether every message has a row.

    Attributes
    ----------
    counters : by direction.
    uploads : messages to a server or between peers, without notices of silence.
    delivered_bytes : of payloads, at every destination.
    traffic : messages and bytes that peers got from each other, by (src, dst).
    rows : of each end of a message; None where they are not kept.
    """

    def __init__(self, free_ways: Collection[str], keeps_rows: bool) -> None:
        self.counters = {direction: Counter() for direction in DIRECTIONS}
        self.uploads = self.delivered_bytes = 0
        self.traffic: dict[tuple[NodeId, NodeId], tuple[int, int]] = {}
        self.rows = MessageRows() if keeps_rows else None
        self._booked = {d: Counter() if d in free_ways else counter for d, counter in self.counters.items()}

    @property
    def messages(self) -> int:
        """Messages of all directions."""
        return sum(counter.messages for counter in self.counters.values())

    def book(self, direction: str, flight: Flight, delivery: Delivery) -> None:
        """Count a message that ended at one destination, delivered or lost.

        A broadcast on a shared medium is one transmission: only the delivery that carries its packets counts.
        """
        payload, packets = flight.payload, delivery.packets
        size = len(payload.data)
        if packets:
            counter = self._booked[direction]
            counter.paper_bit += payload.paper_bit
            counter.payload_bytes += size
            counter.wire_bytes += delivery.wire_bytes
            counter.packets += packets
            counter.transmissions += delivery.attempts
            counter.messages += 1
            if direction != "downlink" and not flight.is_silence:
                self.uploads += 1
        if delivery.ok:
            self.delivered_bytes += size
            if direction == "peer":
                way = delivery.src, delivery.dst
                messages, total = self.traffic.get(way, (0, 0))
                self.traffic[way] = messages + 1, total + size
        if self.rows is not None:
            message = flight.message
            self.rows.add((
                message.round, message.src, delivery.dst, "silence" if flight.is_silence else message.kind,
                float(payload.paper_bit), float(payload.index_bit), float(payload.value_bit), size,
                delivery.wire_bytes, packets, delivery.attempts, flight.sent_ns / NS_PER_S,
                delivery.at_ns / NS_PER_S, delivery.airtime_ns / NS_PER_S, delivery.ok,
            ))  # fmt: skip
