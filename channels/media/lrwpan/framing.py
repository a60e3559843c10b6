"""How a message becomes IEEE 802.15.4 frames: raw fragments, or UDP in compressed IPv6 datagrams (6LoWPAN)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from channels.costing.models import Int64s
from channels.media.lrwpan.timing import MAX_PAYLOAD, OVERHEAD_OCTETS

COMPRESSED = 6  # LOWPAN_IPHC 2 and compressed UDP header 4, instead of
UNCOMPRESSED = 48  # IPv6 40 and UDP 8
FRAG1, FRAGN = 4, 5
ADDRESSES = 2 * 16  # of global addresses, which without a context are carried whole
DATAGRAM = 1280 - UNCOMPRESSED  # UDP payload in the IPv6 MTU of the link
PART = 8 * ((MAX_PAYLOAD - FRAGN) // 8)


class Plan(NamedTuple):
    """The frames of one message: whole cycles of the framing, then a first one, middle ones and a last one.

    Parameters
    ----------
    frames, whole
        How many, and how many of them belong to whole cycles.
    first, middle, last
        Octets on the air of those behind the whole cycles; `last` is that of the message's last frame in any case.
    """

    frames: int
    whole: int
    first: int
    middle: int
    last: int


class RawFraming:
    """Fragments of at most `payload_bytes`, each the payload of a frame, without any header of its own."""

    def __init__(self, payload_bytes: int) -> None:
        self.payload_bytes = payload_bytes
        self.cycle = np.array([payload_bytes + OVERHEAD_OCTETS], np.int64)

    def plan(self, size_bytes: int) -> Plan:
        """Return the frames of a message of that size."""
        whole, rest = divmod(size_bytes, self.payload_bytes)
        full = self.payload_bytes + OVERHEAD_OCTETS
        return Plan(whole + (rest > 0), whole, full, full, rest + OVERHEAD_OCTETS if rest else full)

    def part(self, size_bytes: int, frame: int) -> tuple[int, int]:
        """Return offset and length of the part of a message that a frame carries."""
        offset = frame * self.payload_bytes
        return offset, min(self.payload_bytes, size_bytes - offset)

    def totals(self, size_bytes: Int64s) -> tuple[Int64s, Int64s]:
        """Return frames and octets on the air of messages of these sizes."""
        frames = -(-size_bytes // self.payload_bytes)
        return frames, size_bytes + OVERHEAD_OCTETS * frames


class SixLowpan:
    """UDP datagrams of at most 1232 bytes, header-compressed, fragmented where they do not fit into one frame.

    A datagram with up to 110 bytes is one frame: 6 octets of compressed headers before them. A longer one is fragments
    of 104 bytes: 8 floor((116 - 4 - 6 + 48) / 8) - 48 in the first, because offsets count 8 octets of the uncompressed
    datagram, whose headers are 48, and 8 floor((116 - 5) / 8) in the others; the first has 4 octets more, every other 5
    instead of the compressed headers. With global addresses the compressed headers are 38 octets: 78 bytes in a lone
    frame, 72 in a first fragment.

    Parameters
    ----------
    has_global
        Whether addresses are global and no context is shared, so that both are carried with their 16 octets.

    References
    ----------
    RFC 4944, section 5.3; RFC 6282, section 3.1.1.

    Examples
    --------
    >>> [octets - 6 for octets in frames_of(SixLowpan(), 512)]
    [125, 120, 120, 120, 112]
    >>> [octets - 6 for octets in frames_of(SixLowpan(has_global=True), 512)]
    [125, 120, 120, 120, 120, 40]
    """

    def __init__(self, has_global: bool = False) -> None:
        self.head = COMPRESSED + ADDRESSES * has_global
        self.lone = MAX_PAYLOAD - self.head
        self.first = 8 * ((MAX_PAYLOAD - FRAG1 - self.head + UNCOMPRESSED) // 8) - UNCOMPRESSED
        self.parts = self._parts(DATAGRAM)
        first, middle = self._octets(True, self.first), self._octets(False, PART)
        last = self._octets(False, DATAGRAM - self.first - (self.parts - 2) * PART)
        self.cycle = np.array([first, *[middle] * (self.parts - 2), last], np.int64)

    def _parts(self, size_bytes: int) -> int:
        """Return the fragments of a datagram that is longer than one frame holds."""
        return 1 + -(-(size_bytes - self.first) // PART)

    def _octets(self, is_first: bool, size_bytes: int) -> int:
        return OVERHEAD_OCTETS + (FRAG1 + self.head if is_first else FRAGN) + size_bytes

    def plan(self, size_bytes: int) -> Plan:
        """Return the frames of a message of that size."""
        datagrams, rest = divmod(size_bytes, DATAGRAM)
        whole = self.parts * datagrams
        first, middle = int(self.cycle[0]), int(self.cycle[1])
        if rest == 0:
            return Plan(whole, whole, first, middle, int(self.cycle[-1]))
        if rest <= self.lone:
            return Plan(whole + 1, whole, first, middle, OVERHEAD_OCTETS + self.head + rest)
        frames = self._parts(rest)
        last = self._octets(False, rest - self.first - (frames - 2) * PART)
        return Plan(whole + frames, whole, first, middle, last)

    def part(self, size_bytes: int, frame: int) -> tuple[int, int]:
        """Return offset and length of the part of a message that a frame carries."""
        datagram, number = divmod(frame, self.parts)
        begin = datagram * DATAGRAM
        end = min(begin + DATAGRAM, size_bytes)
        if end - begin <= self.lone:
            return begin, end - begin
        if not number:
            return begin, self.first
        offset = begin + self.first + (number - 1) * PART
        return offset, min(PART, end - offset)

    def totals(self, size_bytes: Int64s) -> tuple[Int64s, Int64s]:
        """Return frames and octets on the air of messages of these sizes."""
        datagrams, rest = size_bytes // DATAGRAM, size_bytes % DATAGRAM
        parts = np.where(rest <= self.lone, np.minimum(rest, 1), 1 + -(-(rest - self.first) // PART))
        fragmented = OVERHEAD_OCTETS * parts + FRAG1 + self.head + FRAGN * (parts - 1)
        lone = (OVERHEAD_OCTETS + self.head) * parts
        frames = self.parts * datagrams + parts
        octets = (int(self.cycle.sum()) - DATAGRAM) * datagrams + np.where(rest <= self.lone, lone, fragmented)
        return frames, size_bytes + octets


Framing = RawFraming | SixLowpan


def frames_of(framing: Framing, size_bytes: int) -> list[int]:
    """Return the octets on the air of each frame of a message."""
    plan = framing.plan(size_bytes)
    out = [int(octets) for octets in framing.cycle[np.arange(plan.whole) % framing.cycle.size]]
    tail = plan.frames - plan.whole
    if tail:
        out += ([plan.first] + [plan.middle] * (tail - 2) if tail > 1 else []) + [plan.last]
    return out
