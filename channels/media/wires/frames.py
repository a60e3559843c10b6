"""Frames of wired channels in a capture: UDP over IPv4 in Ethernet II."""

from __future__ import annotations

import struct

from channels.media.checksums import internet_checksum, udp_checksum
from netsim.errors import SimulationError
from netsim.interfaces import BROADCAST, Frame, NodeId

PORT = 50_000
DATAGRAM_BYTES = 1472
MIN_BYTES = 60
MAX_NODE = (1 << 24) - 2


class Datagrams:
    """Makes UDP datagrams with right checksums, without the frame check sequence, padded to 60 bytes (link type 1).

    A frame that is longer than a datagram holds becomes several datagrams at the same time.
    """

    link_type = 1

    def __init__(self) -> None:
        self._sent = 0

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        """Return the UDP datagrams of one frame's bytes, in Ethernet frames."""
        pieces = [part[i : i + DATAGRAM_BYTES] for i in range(0, len(part), DATAGRAM_BYTES)] or [b""]
        self._sent += len(pieces)
        first = self._sent - len(pieces)
        return [_datagram(frame.src, frame.dst, piece, first + i) for i, piece in enumerate(pieces)]


def _datagram(src: NodeId, dst: NodeId, data: bytes, number: int) -> bytes:
    source, target = _address(src), b"\xff" * 4 if dst == BROADCAST else _address(dst)
    length = 8 + len(data)
    udp = struct.pack(">HHH", PORT, PORT, length)
    pseudo = source + target + struct.pack(">BBH", 0, 17, length)
    checksum = udp_checksum(pseudo, udp, data)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 64, 17)
    ip = head + struct.pack(">H", internet_checksum(head + b"\0\0" + source + target)) + source + target
    to = b"\xff" * 6 if dst == BROADCAST else b"\x02\0\0" + target[1:]
    whole = to + b"\x02\0\0" + source[1:] + b"\x08\0" + ip + udp + struct.pack(">H", checksum) + data
    return whole.ljust(MIN_BYTES, b"\0")


def _address(node: NodeId) -> bytes:
    """Return 10.x.y.z of node + 1: 10.0.0.1 is node 0."""
    if not 0 <= node < MAX_NODE:
        raise SimulationError(f"pcap: an IPv4 address in 10.0.0.0/8 holds nodes 0 to {MAX_NODE - 1}. Got {node}")
    return b"\x0a" + (node + 1).to_bytes(3, "big")
