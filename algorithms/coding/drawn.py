"""What sparse codes share whose entries are drawn with the key instead of found in the vector."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from algorithms.coding.bits import BitReader, BitWriter, FloatBit
from algorithms.coding.codec import PaperBits
from algorithms.coding.indices import read_count, read_indices, write_count, write_indices
from algorithms.coding.sizes import CodeSize, lg
from algorithms.coding.sparse import Floats, SparseCompressor
from netsim.errors import DecodeError
from netsim.interfaces import Array, Indices, Key


class DrawnValues(SparseCompressor):
    """Drawn coordinates as floats: count, indices, values, as `ValueCode` has them."""

    float_bit: FloatBit

    @abstractmethod
    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """Draw the coordinates to send, ascending, and their values before the wire's rounding."""

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append count, indices and values."""
        indices, values = self.draw(x, key)
        floats = self.rounded(values, self.float_bit, indices)
        write_count(out, indices.size, x.size)
        index_bit = write_indices(out, indices, x.size, self.index)
        out.floats(floats, self.float_bit)
        return PaperBits(index_bit, indices.size * self.float_bit)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        count = read_count(src, dim)
        return read_indices(src, count, dim, self.index), src.floats(count, self.float_bit)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = 0, p1 = lg d + FPP."""
        return CodeSize(paper0_bit=0, entry_bit=lg(dim) + self.float_bit, count_bit=lg(dim + 1))

    def encode_flop(self, dim: int) -> float:
        """Return a check of each entry; a draw and a multiplication for each one sent."""
        return dim + 2 * self.max_entries(dim)


def senders(key: Key | None, name: str) -> Key:
    """Return the key of a code that shares its randomness.

    Raises
    ------
    DecodeError
        If there is none.
    """
    if key is None:
        raise DecodeError(f"{name}: the key that the sender drew with is needed. Got none.")
    return key
