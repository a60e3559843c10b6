"""A set of coordinates as a message: votes and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import MessageCode, PaperBits, sealed
from algorithms.coding.indices import IndexCode, read_count, read_indices, write_count, write_indices
from netsim.errors import EncodeError
from netsim.interfaces import Array, Indices, Key, Payload


@dataclass(frozen=True)
class IndexSet(MessageCode):
    """Ascending coordinates below `dim`, and nothing else.

    Payload: [lg(d + 1) bits of the count where `count` is None] and the index section; the papers' bits are those of
    the section.

    Parameters
    ----------
    dim
        d.
    count
        How many coordinates every message has, where both ends know that.
    index
        The code of the section; see `algorithms.coding.indices`.

    Examples
    --------
    >>> code = IndexSet(16, count=4, index="block_paper")
    >>> payload = code.encode_keyed(np.array([1, 2, 9, 15]), Key(0, 0))
    >>> len(payload.data), payload.paper_bit, code.decode(payload.data, 16).tolist()
    (2, 16.0, [1, 2, 9, 15])
    """

    dim: int
    count: int | None = None
    index: IndexCode = "fixed"

    def encode_keyed(self, x: Indices, key: Key) -> Payload:
        """Encode the coordinates.

        Raises
        ------
        EncodeError
            If they are not as many as `count` says, do not ascend, or reach `dim`.
        """
        indices = checked(x, self.dim)
        if self.count is not None and indices.size != self.count:
            raise EncodeError(f"index set: {self.count} coordinates are needed. Got {indices.size}.")
        out = BitWriter()
        if self.count is None:
            write_count(out, indices.size, self.dim)
        return sealed(out, PaperBits(index_bit=write_indices(out, indices, self.dim, self.index)))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Indices:
        """Decode the coordinates, int64; see `Codec.decode`."""
        src = BitReader(data)
        count = read_count(src, self.dim) if self.count is None else self.count
        indices = read_indices(src, count, self.dim, self.index)
        src.finish()
        return indices

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0, key: Key | None = None) -> None:
        """Add `scale` at every coordinate: a vote."""
        acc[self.decode(data, self.dim)] += scale

    def encode_flop(self, dim: int) -> float:
        """Return one operation for each coordinate of the vector that was looked through."""
        return self.dim

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return one operation for each coordinate of the set, of which eight bits hold one or more."""
        return self.count if self.count is not None else 8 * len(data)


def checked(x: Indices, dim: int) -> Indices:
    """Return a set of coordinates as int64.

    Raises
    ------
    EncodeError
        If they do not ascend or reach `dim`.
    """
    indices = np.asarray(x, np.int64)
    if indices.size and (indices[0] < 0 or indices[-1] >= dim or (np.diff(indices) <= 0).any()):
        raise EncodeError(f"index set: coordinates ascend from 0 to below {dim}. Got {indices.tolist()[:8]}.")
    return indices
