"""How a message becomes packets on a wire: bytes, and whole nanoseconds per packet."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s
from netsim.units import NS_PER_S, serialisation_ns

# Few sizes of packets recur in many messages.
_packet_ns = functools.lru_cache(maxsize=8192)(serialisation_ns)


class Hop(NamedTuple):
    """Serialisation of one message's packets on one link: k - 1 full ones, then the last."""

    full_ns: int
    last_ns: int

    def total_ns(self, packets: int) -> int:
        """Return the time of all packets back to back."""
        return (packets - 1) * self.full_ns + self.last_ns


class Train(NamedTuple):
    """The packets of one message.

    Parameters
    ----------
    size_bytes
        The message.
    packets
        k >= 1: k - 1 full ones, then the last with the remainder.
    full_bytes, last_bytes
        On the wire, overhead and padding included.
    wire_bytes
        Sum over all packets.
    wire, port
        Serialisation on a node's own wire and on the server's port (None where there is none).
    wire_ns
        Sum over all packets on the node's own wire.
    from_port_ns
        Through the server's port and then the node's wire, both idle before.
    """

    size_bytes: int
    packets: int
    full_bytes: int
    last_bytes: int
    wire_bytes: int
    wire: Hop
    wire_ns: int
    port: Hop | None = None
    from_port_ns: int = 0

    def sent(self, elapsed_ns: int, hop: Hop) -> tuple[int, int, int]:
        """Return whole packets, their bytes, and nanoseconds on the link, `elapsed_ns` after the first bit."""
        total_ns = hop.total_ns(self.packets)
        if elapsed_ns >= total_ns:
            return self.packets, self.wire_bytes, total_ns
        packets = min(max(elapsed_ns, 0) // hop.full_ns, self.packets - 1) if self.packets > 1 else 0
        return packets, packets * self.full_bytes, max(elapsed_ns, 0)


@dataclass(frozen=True, slots=True)
class Framing:
    """Packets of at most `payload_max_bytes`, each max(min_frame_bytes, overhead_bytes + payload) on the wire.

    Parameters
    ----------
    payload_max_bytes
        None: a message is one packet whatever its size.
    overhead_bytes, min_frame_bytes
        Per packet, >= 0. A smallest frame that holds a full payload makes all packets equal.

    Examples
    --------
    >>> Framing(1472, 66, 84).train(1473, 1e9)
    Train(size_bytes=1473, packets=2, full_bytes=1538, last_bytes=84, wire_bytes=1622, wire=Hop(full_ns=12304, \
last_ns=672), wire_ns=12976, port=None, \
from_port_ns=0)
    """

    payload_max_bytes: int | None
    overhead_bytes: int = 0
    min_frame_bytes: int = 0

    def frame_bytes(self, payload_bytes: int) -> int:
        """Return the bytes of one packet on the wire."""
        return max(self.min_frame_bytes, self.overhead_bytes + payload_bytes)

    def train(self, size_bytes: int, rate_bps: float | None, port_bps: float | None = None) -> Train:
        """Return the packets of a message of at least one byte; with `rate_bps` None they take no time."""
        limit = self.payload_max_bytes or size_bytes
        packets = -(-size_bytes // limit)
        full, last = self.frame_bytes(limit), self.frame_bytes(size_bytes - (packets - 1) * limit)
        wire = self._hop(full, last, rate_bps)
        wire_bytes, wire_ns = (packets - 1) * full + last, wire.total_ns(packets)
        if port_bps is None:
            return Train(size_bytes, packets, full, last, wire_bytes, wire, wire_ns)
        port = self._hop(full, last, port_bps)
        through_ns = port.last_ns + wire.last_ns
        if packets > 1:
            slower_ns = max(port.full_ns, wire.full_ns)
            ahead_ns = port.full_ns + wire.full_ns + (packets - 2) * slower_ns
            through_ns = max((packets - 1) * port.full_ns + through_ns, ahead_ns + wire.last_ns)
        return Train(size_bytes, packets, full, last, wire_bytes, wire, wire_ns, port, through_ns)

    def wire_bytes(self, size_bytes: Int64s) -> Int64s:
        """Return the bytes on the wire of messages of these sizes."""
        packets, last = self._cut(size_bytes)
        return (packets - 1) * self.frame_bytes(self.payload_max_bytes or 0) + last

    def hop_ns(self, size_bytes: Int64s, rate_bps: float) -> tuple[int, Int64s, Int64s]:
        """Return the time of a full packet, and packets and time of the last packet of messages of these sizes."""
        packets, last = self._cut(size_bytes)
        full_ns = serialisation_ns(self.frame_bytes(self.payload_max_bytes or 0), rate_bps)
        return full_ns, packets, _serialisations_ns(last, rate_bps)

    def per_frame(self, rate_bps: float | None = None) -> tuple[float, float] | None:
        """Return (a, b) where n packets with x bits of message cost exactly a n + b x in bits, or in seconds at a rate.

        None where padding or rounding to nanoseconds makes a last packet an exception.
        """
        if self.payload_max_bytes is not None and self.min_frame_bytes >= self.overhead_bytes + self.payload_max_bytes:
            bit = 8.0 * self.min_frame_bytes
            return (bit if rate_bps is None else serialisation_ns(self.min_frame_bytes, rate_bps) / NS_PER_S, 0.0)
        if self.min_frame_bytes > self.overhead_bytes + 1:
            return None
        if rate_bps is None:
            return 8.0 * self.overhead_bytes, 1.0
        return (8.0 * self.overhead_bytes / rate_bps, 1.0 / rate_bps) if 8 * NS_PER_S % rate_bps == 0 else None

    def _hop(self, full_bytes: int, last_bytes: int, rate_bps: float | None) -> Hop:
        if rate_bps is None:
            return Hop(0, 0)
        return Hop(_packet_ns(full_bytes, rate_bps), _packet_ns(last_bytes, rate_bps))

    def _cut(self, size_bytes: Int64s) -> tuple[Int64s, Int64s]:
        """Return packets, and bytes of the last one on the wire, of messages of these sizes."""
        limit = self.payload_max_bytes
        packets = np.ones_like(size_bytes) if limit is None else np.maximum(-(-size_bytes // limit), 1)
        last = np.maximum(size_bytes, 1) - (packets - 1) * (limit or 0)
        return packets, np.maximum(last + self.overhead_bytes, self.min_frame_bytes)


def tandem_ns(packets: npt.ArrayLike, first: tuple[npt.ArrayLike, ...], then: tuple[npt.ArrayLike, ...]) -> Int64s:
    """Return the time from the first bit in to the last bit out of two idle store-and-forward links.

    Parameters
    ----------
    packets
        k, any shape.
    first, then
        (nanoseconds of a full packet, of the last packet) on each link.

    Notes
    -----
    The last of k >= 2 packets leaves links 1..H after max_h [sum_{j<=h} t_j + (k-2) max_{j<=h} t_j + sum_{j>=h} u_j],
    a lone packet after sum_j u_j; t_j and u_j are the nanoseconds of a full and of the last packet on link j.
    """
    k = np.asarray(packets, np.int64)
    t1, u1, t2, u2 = (np.asarray(x, np.int64) for x in (*first, *then))
    many = np.maximum((k - 1) * t1 + u1 + u2, t1 + t2 + (k - 2) * np.maximum(t1, t2) + u2)
    return np.asarray(np.where(k > 1, many, u1 + u2), np.int64)


def _serialisations_ns(size_bytes: Int64s, rate_bps: float) -> Int64s:
    """Return `serialisation_ns` of many sizes."""
    bit_ns = 8 * NS_PER_S * size_bytes
    if float(rate_bps).is_integer():
        rate = int(rate_bps)
        return np.asarray((2 * bit_ns + rate) // (2 * rate), np.int64)
    return np.asarray((bit_ns / rate_bps + 0.5).astype(np.int64))
