"""Simulated frames as a capture file: libpcap with nanoseconds, the real payload bytes, the simulated times.

Ethernet II / IPv4 / UDP with right checksums (link type 1; without the frame check sequence, padded to 60 bytes), or
IEEE 802.15.4 data frames and acknowledgements with their check sequence (link type 195), raw or with 6LoWPAN: UDP and
IPv6 compressed to six octets, datagrams of 1232 bytes, fragments as they were sent. A message is the 64-bit application
header (`netsim.header`) followed by the codec's payload; a frame carries its part of it. The
time of a frame is when its first bit is sent; frames that collide or get lost are there, as they are on the air.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from netsim.errors import SimulationError
from netsim.header import Header
from netsim.interfaces import Medium, NodeId, Payload, TransferId
from netsim.units import NS_PER_S

Link = Literal["ethernet", "ieee802154", "sixlowpan"]

LINK_TYPES: dict[Link, int] = {"ethernet": 1, "ieee802154": 195, "sixlowpan": 195}
MAGIC = 0xA1B23C4D  # timestamps in nanoseconds
SNAP_BYTES = 262_144
KINDS = ("update", "model", "silence", "ask", "loss")  # numbers 1, 2, ... of the header; other names by their checksum

PORT = 50_000
DATAGRAM_BYTES = 1472
MIN_BYTES = 60
BROADCAST = -1
PAN = 0x4E53
# 6LoWPAN: what a datagram holds of a message, octets of the headers that are left out, and the compressed ones.
LOWPAN_BYTES, LOWPAN_LEFT_OUT = 1280 - 48, 48
LOWPAN_PORT = 0xF0B0
MAX_SHORT = 0xFFFD  # the last two of 16 bits have meanings of their own
MAX_NODE = (1 << 24) - 2


class Frame(NamedTuple):
    """One frame as a medium shows it; see `netsim.interfaces.FrameSink`."""

    start_ns: int
    src: NodeId
    dst: NodeId
    transfer: TransferId
    offset: int
    length: int
    attempt: int
    kind: str


@dataclass(eq=False)
class Capture:
    """A `netsim.interfaces.FrameSink` that remembers every frame, and the bytes of every transfer.

    Parameters
    ----------
    link
        What frames look like.
    """

    link: Link = "ethernet"
    _frames: list[Frame] = field(default_factory=list)
    _messages: dict[TransferId, bytes] = field(default_factory=dict)

    def add(
        self, start_ns: int, src: NodeId, dst: NodeId, transfer: TransferId, offset: int, length: int, attempt: int,
        kind: str,
    ) -> None:  # fmt: skip
        """See `netsim.interfaces.FrameSink`."""
        self._frames.append(Frame(start_ns, src, dst, transfer, offset, length, attempt, kind))

    def put(self, transfer: TransferId, message: bytes) -> None:
        """The bytes of a transfer, header included; before or after its frames."""
        self._messages[transfer] = message

    def records(self) -> list[tuple[int, bytes]]:
        """(nanosecond, bytes) of every frame, in order of time.

        Raises
        ------
        SimulationError
            For a frame of an unknown transfer, bytes that its message does not have, and node numbers that no address
            holds.
        """
        make: _Datagrams | _LowPower = _MAKERS[self.link]()
        out: list[tuple[int, bytes]] = []
        for frame in sorted(self._frames, key=lambda f: f[:5]):
            whole = self._messages.get(frame.transfer, b"")
            out += ((frame.start_ns, data) for data in make(frame, self._part(frame), whole))
        return out

    def to_bytes(self) -> bytes:
        """The capture file."""
        return write(self.records(), LINK_TYPES[self.link])

    def _part(self, frame: Frame) -> bytes:
        if frame.length == 0:
            return b""
        message = self._messages.get(frame.transfer)
        if message is None or frame.offset < 0 or frame.offset + frame.length > len(message):
            size = "no bytes" if message is None else f"{len(message)} bytes"
            raise SimulationError(f"pcap: transfer {frame.transfer} has {size}, and a frame wants {frame.length} of "
                                  f"them from {frame.offset}")  # fmt: skip
        return message[frame.offset : frame.offset + frame.length]


class Tapped:
    """A medium whose submitted messages get bytes in a capture; all else is the medium's.

    Parameters
    ----------
    medium
        Opened with the capture as its frames.
    capture
        Gets the bytes.
    content
        (transfer, src, size_bytes) to that many bytes.
    """

    def __init__(self, medium: Medium, capture: Capture, content: Callable[[TransferId, NodeId, int], bytes]) -> None:
        self._medium, self._capture, self._content = medium, capture, content

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `netsim.interfaces.Medium`."""
        transfer = self._medium.submit(now_ns, src, dst, size_bytes)
        self._capture.put(transfer, self._content(transfer, src, size_bytes))
        return transfer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._medium, name)


def link_of(channel: object) -> Link:
    """What a channel's frames look like: its class says so in ``frame_format``, Ethernet where it says nothing."""
    link: Link = getattr(channel, "frame_format", "ethernet")
    return link


def message(payload: Payload, kind: str, sender: NodeId, round: int) -> bytes:
    """A message's bytes: header and payload."""
    number = KINDS.index(kind) + 1 if kind in KINDS else 32 + zlib.crc32(kind.encode()) % 32
    return Header(number, sender, round).pack() + payload.data


def files(captures: Mapping[str, Capture]) -> dict[str, bytes]:
    """File name to content: one file, ``frames.pcap``, of all media; one each where their frames are of two kinds.

    Parameters
    ----------
    captures
        By the medium's name, such as ``uplink``.
    """
    links = {capture.link for capture in captures.values()}
    if not links:
        return {}
    if len(links) > 1:
        return {f"frames.{name}.pcap": capture.to_bytes() for name, capture in captures.items()}
    records = sorted((r for c in captures.values() for r in c.records()), key=lambda record: record[0])
    return {"frames.pcap": write(records, LINK_TYPES[links.pop()])}


def write(records: Sequence[tuple[int, bytes]], link_type: int) -> bytes:
    """A libpcap file with nanoseconds, little endian.

    Parameters
    ----------
    records
        (nanosecond, frame), in order of time.
    link_type
        Of all frames.

    Examples
    --------
    >>> write([(1_500_000_000, b"abc")], 1).hex(" ", -4)
    '4d3cb2a1 02000400 00000000 00000000 00000400 01000000 01000000 0065cd1d 03000000 03000000 616263'
    """
    out = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_BYTES, link_type)]
    for at_ns, data in records:
        seconds, rest = divmod(at_ns, NS_PER_S)
        kept = data[:SNAP_BYTES]
        out += (struct.pack("<IIII", seconds, rest, len(kept), len(data)), kept)
    return b"".join(out)


def internet_checksum(data: bytes) -> int:
    """RFC 1071: the complement of the ones' complement sum of 16-bit words.

    Examples
    --------
    >>> hex(internet_checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = int(sum(words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def check_sequence(data: bytes) -> int:
    """The 16-bit check sequence of IEEE 802.15.4: x^16 + x^12 + x^5 + 1, bits reversed, from 0.

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


class _Datagrams:
    """Frames as datagrams; what is longer than one holds becomes several at the same time."""

    def __init__(self) -> None:
        self._sent = 0

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        pieces = [part[i : i + DATAGRAM_BYTES] for i in range(0, len(part), DATAGRAM_BYTES)] or [b""]
        self._sent += len(pieces)
        first = self._sent - len(pieces)
        return [_datagram(frame.src, frame.dst, piece, first + i) for i, piece in enumerate(pieces)]


def _datagram(src: NodeId, dst: NodeId, data: bytes, number: int) -> bytes:
    source, target = _address(src), b"\xff" * 4 if dst == BROADCAST else _address(dst)
    length = 8 + len(data)
    udp = struct.pack(">HHH", PORT, PORT, length)
    pseudo = source + target + struct.pack(">BBH", 0, 17, length)
    checksum = _udp_checksum(pseudo, udp, data)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, 64, 17)
    ip = head + struct.pack(">H", internet_checksum(head + b"\0\0" + source + target)) + source + target
    to = b"\xff" * 6 if dst == BROADCAST else b"\x02\0\0" + target[1:]
    whole = to + b"\x02\0\0" + source[1:] + b"\x08\0" + ip + udp + struct.pack(">H", checksum) + data
    return whole.ljust(MIN_BYTES, b"\0")


def _udp_checksum(pseudo: bytes, head: bytes, data: bytes) -> int:
    """Of a datagram; 0 would mean that there is none, so all ones are sent."""
    return internet_checksum(pseudo + head + b"\0\0" + data) or 0xFFFF


def _address(node: NodeId) -> bytes:
    """10.x.y.z of node + 1: 10.0.0.1 is node 0."""
    if not 0 <= node < MAX_NODE:
        raise SimulationError(f"pcap: an IPv4 address in 10.0.0.0/8 holds nodes 0 to {MAX_NODE - 1}. Got {node}")
    return b"\x0a" + (node + 1).to_bytes(3, "big")


class _LowPower:
    """Frames of IEEE 802.15.4; a repeated frame keeps its sequence number, an acknowledgement has its frame's."""

    def __init__(self) -> None:
        self._next: dict[NodeId, int] = {}
        self._last: dict[TransferId, tuple[int, int]] = {}  # offset and sequence number of the last data frame

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
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


class _SixLowpan(_LowPower):
    """The same with 6LoWPAN's headers, as many octets as the simulated frames have.

    A broadcast's IPv6 address is the link-local one of the short address 0xffff: a multicast address, ff02::1, takes an
    octet more.

    References
    ----------
    RFC 4944, section 5.3 (fragments); RFC 6282, sections 3 and 4.3 (compressed headers, ports 61616 + 4 bits).
    """

    def __init__(self) -> None:
        super().__init__()
        self._tags: dict[tuple[TransferId, int, NodeId], int] = {}
        self._tag: dict[NodeId, int] = {}

    def __call__(self, frame: Frame, part: bytes, whole: bytes) -> list[bytes]:
        if frame.kind == "ack":
            return super().__call__(frame, part, whole)
        number, offset = divmod(frame.offset, LOWPAN_BYTES)
        datagram = whole[number * LOWPAN_BYTES : (number + 1) * LOWPAN_BYTES]
        head = b""
        if len(part) < len(datagram):
            size = LOWPAN_LEFT_OUT + len(datagram)
            head = struct.pack(">HH", (0xE000 if offset else 0xC000) | size, self._tag_of(frame, number))
            head += bytes([(LOWPAN_LEFT_OUT + offset) // 8]) if offset else b""
        if not offset:
            head += _compressed(frame.src, frame.dst, datagram)
        return super().__call__(frame, head + part, whole)

    def _tag_of(self, frame: Frame, number: int) -> int:
        """The number of a datagram at its sender."""
        key = (frame.transfer, number, frame.dst)
        if key not in self._tags:
            self._tags[key] = self._tag.get(frame.src, 0)
            self._tag[frame.src] = self._tags[key] + 1 & 0xFFFF
        return self._tags[key]


def _compressed(src: NodeId, dst: NodeId, data: bytes) -> bytes:
    """LOWPAN_IPHC (hop limit 64, both addresses from the short ones), and UDP with both ports in 4 bits each."""
    length = 8 + len(data)
    target = 0xFFFF if dst == BROADCAST else dst
    addresses = b"".join(b"\xfe\x80" + b"\0" * 9 + b"\xff\xfe\0" + struct.pack(">H", n) for n in (src, target))
    udp = struct.pack(">HHH", LOWPAN_PORT, LOWPAN_PORT, length)
    pseudo = addresses + struct.pack(">IBBH", length, 0, 0, 17)
    checksum = _udp_checksum(pseudo, udp, data)
    return b"\x7e\x33\xf3\0" + struct.pack(">H", checksum)


_MAKERS: dict[Link, type[_Datagrams] | type[_LowPower]] = {
    "ethernet": _Datagrams, "ieee802154": _LowPower, "sixlowpan": _SixLowpan,
}  # fmt: skip
