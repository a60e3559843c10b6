"""Frames of IEEE 802.15.4 in a capture: data frames and acknowledgements, raw or with the headers of 6LoWPAN."""

from __future__ import annotations

import struct
from functools import cache

from channels.media.checksums import udp_checksum
from channels.media.lrwpan.framing import DATAGRAM, UNCOMPRESSED
from netsim.errors import SimulationError
from netsim.interfaces import BROADCAST, Frame, NodeId, TransferId

PAN = 0x4E53
LOWPAN_PORT = 0xF0B0
MAX_SHORT = 0xFFFD  # the last two of 16 bits have meanings of their own


class RawFrames:
    """Makes frames of IEEE 802.15.4 with their check sequence (link type 195).

    A repeated frame keeps its sequence number; an acknowledgement has that of its frame.
    """

    link_type = 195

    def __init__(self) -> None:
        self._next: dict[NodeId, int] = {}
        self._last: dict[TransferId, tuple[int, int]] = {}  # offset and sequence number of the last data frame

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        """Return the octets of one frame."""
        if frame.kind == "ack":
            data = struct.pack("<HB", 0x0002, self._last.get(frame.transfer, (0, 0))[1])
        else:
            for node in (frame.src, frame.dst):
                if node != BROADCAST and not 0 <= node <= MAX_SHORT:
                    raise SimulationError(f"pcap: a short address holds nodes 0 to {MAX_SHORT}. Got {node}")
            target = 0xFFFF if frame.dst == BROADCAST else frame.dst
            control = 0x8841 if frame.dst == BROADCAST else 0x8861  # data, short addresses of one PAN; acknowledge
            data = struct.pack("<HBHHH", control, self._number(frame), PAN, target, frame.src) + part
        return [data + struct.pack("<H", check_sequence(data))]

    def _number(self, frame: Frame) -> int:
        offset, number = self._last.get(frame.transfer, (-1, 0))
        if frame.attempt == 1 or offset != frame.offset:
            number = self._next.get(frame.src, 0)
            self._next[frame.src] = number + 1 & 0xFF
        self._last[frame.transfer] = frame.offset, number
        return number


class LowpanFrames(RawFrames):
    """Makes the same frames with the headers of 6LoWPAN, as many octets as the simulated frames have.

    Addresses are link-local, or with `has_global` of 2001:db8::/64 and in full; both end in the short address. A
    broadcast's IPv6 address is the link-local one of the short address 0xffff: a multicast address, ff02::1, takes an
    octet more.

    References
    ----------
    RFC 4944, section 5.3 (fragments); RFC 6282, sections 3 and 4.3 (compressed headers, ports 61616 + 4 bits).
    """

    def __init__(self, has_global: bool = False) -> None:
        super().__init__()
        self._has_global = has_global
        self._tags: dict[tuple[TransferId, int, NodeId], int] = {}
        self._tag: dict[NodeId, int] = {}

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        """Return the octets of one frame, with the 6LoWPAN headers of its datagram."""
        if frame.kind == "ack":
            return super().__call__(frame, part, whole)
        number, offset = divmod(frame.offset, DATAGRAM)
        datagram = whole[number * DATAGRAM : (number + 1) * DATAGRAM]
        head = b""
        if len(part) < len(datagram):
            size = UNCOMPRESSED + len(datagram)
            head = struct.pack(">HH", (0xE000 if offset else 0xC000) | size, self._tag_of(frame, number))
            head += bytes([(UNCOMPRESSED + offset) // 8]) if offset else b""
        if not offset:
            head += _compressed(frame.src, frame.dst, datagram, self._has_global)
        return super().__call__(frame, head + part, whole)

    def _tag_of(self, frame: Frame, number: int) -> int:
        """Return the number of a datagram at its sender."""
        key = (frame.transfer, number, frame.dst)
        if key not in self._tags:
            self._tags[key] = self._tag.get(frame.src, 0)
            self._tag[frame.src] = self._tags[key] + 1 & 0xFFFF
        return self._tags[key]


def _compressed(src: NodeId, dst: NodeId, data: bytes, has_global: bool) -> bytes:
    """Return LOWPAN_IPHC (hop limit 64; addresses elided, or in full) and UDP with both ports in 4 bits each."""
    length = 8 + len(data)
    target = 0xFFFF if dst == BROADCAST else dst
    prefix = b"\x20\x01\x0d\xb8" + b"\0" * 4 if has_global else b"\xfe\x80" + b"\0" * 6
    addresses = b"".join(prefix + b"\0" * 3 + b"\xff\xfe\0" + struct.pack(">H", n) for n in (src, target))
    udp = struct.pack(">HHH", LOWPAN_PORT, LOWPAN_PORT, length)
    pseudo = addresses + struct.pack(">IBBH", length, 0, 0, 17)
    checksum = udp_checksum(pseudo, udp, data)
    iphc = b"\x7e\0" + addresses if has_global else b"\x7e\x33"
    return iphc + b"\xf3\0" + struct.pack(">H", checksum)


def check_sequence(data: bytes) -> int:
    """Return the 16-bit check sequence of IEEE 802.15.4: x^16 + x^12 + x^5 + 1, bits reversed, from 0.

    Examples
    --------
    >>> hex(check_sequence(b"123456789"))
    '0x2189'
    """
    table, value = _crc_table(), 0
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value


@cache
def _crc_table() -> tuple[int, ...]:
    out = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
        out.append(value)
    return tuple(out)
