"""What sparse codes share whose entries are drawn with the key instead of found in the vector."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from algorithms.coding.bits import BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.sparse import ValueCode
from netsim.errors import DecodeError
from netsim.interfaces import Array, Floats, Indices, Key


class DrawnValues(ValueCode):
    """Drawn coordinates as floats."""

    @abstractmethod
    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """Draw the coordinates to send, ascending, and their values before the wire's rounding."""

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append count, indices and values."""
        indices, values = self.draw(x, key)
        return self.write_entries(indices, values, x.size, out)

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
