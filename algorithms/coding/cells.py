"""Whole numbers below a bound, so many bits each: the cells that samples fall into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import MessageCode, PaperBits, sealed
from netsim.errors import EncodeError
from netsim.interfaces import Indices, Key, Payload


@dataclass(frozen=True)
class Cells(MessageCode):
    """Numbers 0 .. 2^bits - 1, each in `bits` bits.

    Parameters
    ----------
    bits, count
        Of each number, and how many there are.

    Examples
    --------
    >>> code = Cells(bits=3, count=2)
    >>> code.decode(code.encode_keyed(np.array([5, 2]), Key(0, 0)).data, 2).tolist()
    [5, 2]
    """

    bits: int
    count: int

    def encode_keyed(self, x: Any, key: Key) -> Payload:
        """Encode the numbers.

        Raises
        ------
        EncodeError
            If one is beyond 2^bits - 1.
        """
        numbers = np.asarray(x, np.int64)
        if numbers.size != self.count or (numbers.size and not 0 <= numbers.min() <= numbers.max() < 1 << self.bits):
            text = f"cells: {self.count} numbers of 0 .. {(1 << self.bits) - 1} are needed"
            raise EncodeError(f"{text}. Got {numbers.tolist()[:8]}")
        out = BitWriter()
        out.uints(numbers, self.bits)
        return sealed(out, PaperBits(value_bit=float(self.bits * self.count)))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Indices:
        """Decode the numbers, int64."""
        src = BitReader(data)
        found = src.uints(self.count, self.bits).astype(np.int64)
        src.finish()
        return found

    def encode_flop(self, dim: int) -> float:
        """One operation a number."""
        return float(self.count)

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """One operation a number."""
        return float(self.count)
