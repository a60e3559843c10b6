"""What sparse codes share whose entries are drawn with the key instead of found in the vector."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from algorithms.compressors._base import BaseCompressor, PaperBits
from algorithms.compressors._bits import BitWriter
from algorithms.compressors._indices import write_count, write_indices
from algorithms.compressors._sparse import Floats, ValueCode
from netsim.errors import DecodeError
from netsim.interfaces import Array, Indices, Key


class DrawnValues(ValueCode):
    """Drawn coordinates as floats: count, indices, values, as `ValueCode` has them."""

    @abstractmethod
    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """What is sent: coordinates, ascending, and their values before the wire's rounding."""

    def support(self, x: Array) -> Indices:
        """No such set: it depends on the key."""
        raise NotImplementedError(f"{type(self).__name__} draws its entries; see draw(x, key)")

    def check(self, x: Array) -> None:
        """Every entry must be finite, drawn or not."""
        BaseCompressor.check(self, x)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append count, indices and values."""
        indices, values = self.draw(x, key)
        floats = self.rounded(values, self.float_bit, indices)
        write_count(out, indices.size, x.size)
        index_bit = write_indices(out, indices, x.size, self.index)
        out.floats(floats, self.float_bit)
        return PaperBits(index_bit, indices.size * self.float_bit)

    def encode_flop(self, dim: int) -> float:
        """A check of each entry; a draw and a multiplication for each one sent."""
        return dim + 2 * self.max_entries(dim)


def senders(key: Key | None, name: str) -> Key:
    """The key of a code that shares its randomness.

    Raises
    ------
    DecodeError
        If there is none.
    """
    if key is None:
        raise DecodeError(f"{name}: the key that the sender drew with is needed. Got none.")
    return key
