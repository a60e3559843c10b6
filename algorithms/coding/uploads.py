"""The uploads of a round as one message: their payloads, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import MessageCode
from netsim.errors import DecodeError
from netsim.interfaces import Array, Key, Payload

_WIDTH_BIT = 6


@dataclass(frozen=True)
class Uploads(MessageCode):
    """Payloads of `count` senders, in increasing id; None for one that was silent.

    Payload: 6 bits that say how many bits w a length has, `count` times w bits with a length plus one (0: silent),
    padding to a byte, then the payloads one behind the other. Nothing of them is decoded or changed, and its paper
    bits are their bits.

    Parameters
    ----------
    count
        How many senders there are.

    Examples
    --------
    >>> code = Uploads(3)
    >>> payload = code.encode_keyed([b"ab", None, b""], Key(0, 0))
    >>> len(payload.data), code.decode(payload.data, 1)
    (4, (b'ab', None, b''))
    """

    count: int

    def size_bytes(self, lengths: Sequence[int | None]) -> int:
        """Return the payload's length for uploads of these lengths."""
        width = _width(lengths)
        return -(-(_WIDTH_BIT + self.count * width) // 8) + sum(n or 0 for n in lengths)

    def encode_keyed(self, x: Sequence[bytes | None], key: Key) -> Payload:
        """Join the uploads."""
        lengths = [None if data is None else len(data) for data in x]
        out, width = BitWriter(), _width(lengths)
        out.uint(width, _WIDTH_BIT)
        for n in lengths:
            out.uint(0 if n is None else n + 1, width)
        bodies = b"".join(data for data in x if data is not None)
        return Payload(out.getvalue() + bodies, 8.0 * len(bodies), 0.0, 8.0 * len(bodies))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> tuple[bytes | None, ...]:
        """Split the payload into the uploads.

        Raises
        ------
        DecodeError
            If the lengths do not add up to that of the payload.
        """
        src = BitReader(data)
        width = src.uint(_WIDTH_BIT)
        lengths = [src.uint(width) - 1 for _ in range(self.count)]
        at = -(-(_WIDTH_BIT + self.count * width) // 8)
        whole = at + sum(max(n, 0) for n in lengths)
        if whole != len(data):
            raise DecodeError(f"payload: {self.count} uploads of these lengths take {whole} bytes. Got {len(data)}.")
        found = list[bytes | None]()
        for n in lengths:
            found.append(None if n < 0 else data[at : at + n])
            at += max(n, 0)
        return tuple(found)

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Refuse: the algorithm's step says what the uploads come to."""
        raise TypeError("uploads add up in the server's step")

    def encode_flop(self, dim: int) -> float:
        """Return 0: bytes are copied."""
        return 0.0

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return 0: bytes are copied; the step that follows decodes."""
        return 0.0


def _width(lengths: Sequence[int | None]) -> int:
    return max(0 if n is None else n + 1 for n in lengths).bit_length()
