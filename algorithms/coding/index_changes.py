"""What enters and what leaves a set of coordinates, as a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import MessageCode, PaperBits, sealed
from algorithms.coding.index_set import checked
from algorithms.coding.indices import IndexCode, read_count, read_indices, write_count, write_indices
from netsim.errors import DecodeError
from netsim.interfaces import Array, Indices, Key, Payload


class SetChanges(NamedTuple):
    """Ascending coordinates that enter a set, and ascending ones that leave it."""

    adds: Indices
    drops: Indices


@dataclass(frozen=True)
class IndexChanges(MessageCode):
    """Two sets of ascending coordinates below `dim` that have none in common.

    Payload: for the adds and then for the drops lg(d + 1) bits of their count and the index section; the papers' bits
    are those of the sections.

    Parameters
    ----------
    dim
        d.
    index
        The code of the sections; see `algorithms.coding.indices`.

    Examples
    --------
    >>> code = IndexChanges(16, index="block_paper")
    >>> payload = code.encode_keyed(SetChanges(np.array([1, 9]), np.array([4])), Key(0, 0))
    >>> len(payload.data), payload.paper_bit
    (4, 16.0)
    >>> [part.tolist() for part in code.decode(payload.data, 16)]
    [[1, 9], [4]]
    """

    dim: int
    index: IndexCode = "fixed"

    def encode_keyed(self, x: SetChanges, key: Key) -> Payload:
        """Encode both sets.

        Raises
        ------
        EncodeError
            If coordinates do not ascend or reach `dim`.
        """
        out, bit = BitWriter(), 0
        for part in x:
            indices = checked(part, self.dim)
            write_count(out, indices.size, self.dim)
            bit += write_indices(out, indices, self.dim, self.index)
        return sealed(out, PaperBits(index_bit=bit))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Any:
        """Decode both sets, int64; see `Codec.decode`."""
        src = BitReader(data)
        found = [read_indices(src, read_count(src, self.dim), self.dim, self.index) for _ in range(2)]
        src.finish()
        changes = SetChanges(*found)
        if np.intersect1d(*changes, assume_unique=True).size:
            raise DecodeError("payload: no coordinate both enters and leaves a set. Got one that does.")
        return changes

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale` at what enters and subtract it at what leaves: votes that move."""
        changes = self.decode(data, self.dim)
        acc[changes.adds] += scale
        acc[changes.drops] -= scale

    def encode_flop(self, dim: int) -> float:
        """Return one operation for each coordinate of the vector that was looked through."""
        return self.dim

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return one operation for each coordinate of the sets, of which eight bits hold one or more."""
        return 8 * len(data)
