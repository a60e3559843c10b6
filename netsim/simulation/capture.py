"""Simulated frames as a capture file: libpcap with nanoseconds, the real payload bytes, the simulated times.

A message is the 64-bit application header (`netsim.header`) followed by the codec's payload; a frame carries its part
of it. The channel says how its frames look (`netsim.interfaces.ShowsFrames`). The time of a frame is when its first bit
is sent; frames that collide or get lost are in the file, as they are on the air.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netsim.errors import SimulationError
from netsim.header import Header
from netsim.interfaces import Frame, Medium, NodeId, Payload, ShowsFrames, TransferId
from netsim.units import NS_PER_S

MAGIC = 0xA1B23C4D  # timestamps in nanoseconds
SNAP_BYTES = 262_144
KINDS = ("update", "model", "silence", "ask", "loss")  # numbers 1, 2, ... of the header; other names by their checksum


@dataclass(eq=False)
class Capture:
    """A `netsim.interfaces.FrameSink` that remembers every frame, and the bytes of every transfer.

    Parameters
    ----------
    channel
        Makes the frames' bytes.
    """

    channel: ShowsFrames
    _frames: list[Frame] = field(default_factory=list)
    _messages: dict[TransferId, bytes] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        """See `netsim.interfaces.FrameSink`."""
        self._frames.append(frame)

    def put(self, transfer: TransferId, message: bytes) -> None:
        """Remember the bytes of a transfer, header included; before or after its frames."""
        self._messages[transfer] = message

    @property
    def link_type(self) -> int:
        """Of libpcap."""
        return self.channel.frames().link_type

    def records(self) -> list[tuple[int, bytes]]:
        """Return (nanosecond, bytes) of every frame, in order of time.

        Raises
        ------
        SimulationError
            For a frame of an unknown transfer, bytes that its message does not have, and node numbers that no address
            holds.
        """
        make = self.channel.frames()
        out: list[tuple[int, bytes]] = []
        for frame in sorted(self._frames, key=lambda f: f[:5]):
            whole = self._messages.get(frame.transfer, b"")
            out += ((frame.start_ns, data) for data in make(frame, self._part(frame), whole))
        return out

    def to_bytes(self) -> bytes:
        """Return the capture file."""
        return write(self.records(), self.link_type)

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


def message(payload: Payload, kind: str, sender: NodeId, round: int) -> bytes:
    """Return a message's bytes: header and payload."""
    number = KINDS.index(kind) + 1 if kind in KINDS else 32 + zlib.crc32(kind.encode()) % 32
    return Header(number, sender, round, payload.flags).pack() + payload.data


def files(captures: Mapping[str, Capture]) -> dict[str, bytes]:
    """Return file name to content: one file, ``frames.pcap``, of all media; one each where their link types differ.

    Parameters
    ----------
    captures
        By the medium's name, such as ``uplink``.
    """
    links = {capture.link_type for capture in captures.values()}
    if not links:
        return {}
    if len(links) > 1:
        return {f"frames.{name}.pcap": capture.to_bytes() for name, capture in captures.items()}
    records = sorted((r for c in captures.values() for r in c.records()), key=lambda record: record[0])
    return {"frames.pcap": write(records, links.pop())}


def write(records: Sequence[tuple[int, bytes]], link_type: int) -> bytes:
    """Return a libpcap file with nanoseconds, little endian.

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
        if seconds >> 32:  # beyond what the format counts; the clock ends a few years later
            break
        kept = data[:SNAP_BYTES]
        out += (struct.pack("<IIII", seconds, rest, len(kept), len(data)), kept)
    return b"".join(out)
