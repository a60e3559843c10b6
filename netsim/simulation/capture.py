"""Simulated frames as a capture file: libpcap with nanoseconds, the real payload bytes, the simulated times.

A message is the 64-bit application header (`netsim.header`) followed by the codec's payload; a frame carries its part
of it. The channel says how its frames look (`netsim.interfaces.ShowsFrames`). The time of a frame is when its first bit
is sent; frames that collide or get lost are in the file, as they are on the air.
"""

from __future__ import annotations

import heapq
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from netsim.errors import SimulationError
from netsim.files import Temporary
from netsim.header import Header
from netsim.interfaces import Frame, Medium, NodeId, Payload, ShowsFrames, TransferId
from netsim.units import NS_PER_S

MAGIC = 0xA1B23C4D  # timestamps in nanoseconds
SNAP_BYTES = 262_144
_RECENT = 64  # messages whose bytes stay at hand
_RECORD = struct.Struct("<IIII")
KINDS = ("update", "model", "silence", "ask", "loss")  # numbers 1, 2, ... of the header; other names by their checksum


class Capture:
    """A `netsim.interfaces.FrameSink` that writes every frame into a temporary file soon after it has begun.

    Messages' bytes wait in another temporary file, as their frames may be sent again much later. Both files have no
    name and vanish with the process; small ones stay in memory.
    """

    def __init__(self, channel: ShowsFrames) -> None:
        self._make = channel.frames()
        self.link_type = self._make.link_type  # of libpcap
        # Frames that others may still precede: the values of `Frame` by which they are sorted, then when they came.
        self._coming: list[tuple[Any, ...]] = []
        self._frames = 0
        self._file, self._bodies = Temporary(), Temporary()
        self._file.write(_head(self.link_type))
        self._places: dict[TransferId, tuple[int, int]] = {}
        self._recent: dict[TransferId, bytes] = {}

    def add(self, frame: Frame) -> None:
        """See `netsim.interfaces.FrameSink`."""
        heapq.heappush(self._coming, (*frame[:5], self._frames, frame))
        self._frames += 1

    def put(self, transfer: TransferId, message: bytes) -> None:
        """Keep the bytes of a transfer, header included; before or after its frames."""
        self._places[transfer] = self._bodies.seek(0, io.SEEK_END), len(message)
        self._bodies.write(message)

    def settle(self, to_ns: int | None = None) -> None:
        """Write the frames that began before an instant, all before which have been added; None: all.

        Raises
        ------
        SimulationError
            For a frame of an unknown transfer, bytes that its message does not have, and node numbers that no address
            holds.
        """
        coming = self._coming
        while coming and (to_ns is None or coming[0][0] < to_ns):
            frame: Frame = heapq.heappop(coming)[-1]
            part = self._part(frame)
            for data in self._make(frame, part, self._whole(frame.transfer) or b""):
                _add(self._file, frame.start_ns, data)

    def file(self) -> IO[bytes]:
        """Return the capture file with all frames, at its beginning."""
        self.settle()
        self._file.seek(0)
        return self._file

    def to_bytes(self) -> bytes:
        """Return the content of the capture file."""
        return self.file().read()

    def _whole(self, transfer: TransferId) -> bytes | None:
        """Return the bytes of a transfer; None where there are none."""
        whole = self._recent.get(transfer)
        if whole is None and transfer in self._places:
            place, length = self._places[transfer]
            self._bodies.seek(place)
            whole = self._recent[transfer] = self._bodies.read(length)
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]
        return whole

    def _part(self, frame: Frame) -> bytes:
        if frame.length == 0:
            return b""
        message = self._whole(frame.transfer)
        if message is None or frame.offset < 0 or frame.offset + frame.length > len(message):
            size = "no bytes" if message is None else f"{len(message)} bytes"
            raise SimulationError(f"pcap: transfer {frame.transfer} has {size}, and a frame wants {frame.length} of "
                                  f"them from {frame.offset}")  # fmt: skip
        return message[frame.offset : frame.offset + frame.length]


class Tapped:
    """A medium, opened with a capture as its frames, whose messages get bytes there; all else is the medium's.

    `content` makes a message's bytes of (transfer, src, size_bytes).
    """

    def __init__(self, medium: Medium, capture: Capture, content: Callable[[TransferId, NodeId, int], bytes]) -> None:
        self._medium, self._capture, self._content = medium, capture, content

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """See `netsim.interfaces.Medium`."""
        transfer = self._medium.submit(now_ns, src, dst, size_bytes)
        self._capture.put(transfer, self._content(transfer, src, size_bytes))
        self._capture.settle(now_ns)
        return transfer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._medium, name)


def message(payload: Payload, kind: str, sender: NodeId, round: int) -> bytes:
    """Return a message's bytes: header and payload."""
    number = KINDS.index(kind) + 1 if kind in KINDS else 32 + zlib.crc32(kind.encode()) % 32
    return Header(number, sender, round, payload.flags).pack() + payload.data


def files(captures: Mapping[str, Capture]) -> dict[str, IO[bytes]]:
    """Return file name to content: one file, ``frames.pcap``, of all media; one each where their link types differ.

    The captures are by their medium's name, such as ``uplink``.
    """
    links = {capture.link_type for capture in captures.values()}
    if len(links) > 1:
        return {f"frames.{name}.pcap": capture.file() for name, capture in captures.items()}
    if not captures:
        return {}
    whole = Temporary()
    whole.write(_head(links.pop()))
    for at_ns, data in heapq.merge(*(_records(c.file()) for c in captures.values()), key=lambda record: record[0]):
        _add(whole, at_ns, data)
    whole.seek(0)
    return {"frames.pcap": whole}


def _head(link_type: int) -> bytes:
    """Return the head of a libpcap file with nanoseconds, little endian."""
    return struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_BYTES, link_type)


def _add(file: IO[bytes], at_ns: int, data: bytes) -> None:
    """Append a frame to a libpcap file, but where its time is beyond what the format counts."""
    seconds, rest = divmod(at_ns, NS_PER_S)
    if not seconds >> 32:
        file.write(_RECORD.pack(seconds, rest, min(len(data), SNAP_BYTES), len(data)) + data[:SNAP_BYTES])


def _records(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield time and bytes of the frames of a libpcap file; none of ours is longer than SNAP_BYTES."""
    file.seek(len(_head(0)))
    while head := file.read(_RECORD.size):
        seconds, rest, kept, _ = _RECORD.unpack(head)
        yield seconds * NS_PER_S + rest, file.read(kept)
