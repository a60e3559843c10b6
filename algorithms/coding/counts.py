"""How often each coordinate was named, as a message: sums of votes on their way round a ring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import MessageCode, PaperBits, sealed
from algorithms.coding.indices import index_bit, read_count, read_indices, write_count, write_indices
from algorithms.coding.sizes import lg
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Key, Payload


@dataclass(frozen=True)
class Counts(MessageCode):
    """Whole numbers 0 .. most, one for each of `dim` coordinates.

    Payload: one bit that names the shorter of two forms. Dense: lg(most + 1) bits a coordinate. Sparse: lg(d + 1) bits
    of the number of coordinates with a count above 0, their index section (block code), and lg(most) bits of each count
    less one. The figure of bits leaves out the first bit and the number of coordinates.

    Parameters
    ----------
    dim
        d.
    most
        The largest count, >= 1: as many as were added up.

    Examples
    --------
    >>> code = Counts(dim=16, most=3)
    >>> payload = code.encode_keyed(np.bincount([1, 9, 9], minlength=16), Key(0, 0))
    >>> len(payload.data), payload.paper_bit, np.flatnonzero(code.decode(payload.data, 16)).tolist()
    (3, 14.0, [1, 9])
    """

    dim: int
    most: int

    def encode_keyed(self, x: Array, key: Key) -> Payload:
        """Encode the counts.

        Raises
        ------
        EncodeError
            If they are not as many, or one is no whole number of 0 .. most.
        """
        counts = np.asarray(x).astype(np.int64)
        is_whole = counts.size == self.dim and np.array_equal(counts, x)
        if not is_whole or (counts.size and not 0 <= counts.min() <= counts.max() <= self.most):
            text = f"counts: {self.dim} whole numbers of 0 .. {self.most} are needed"
            raise EncodeError(f"{text}. Got {counts.size}: {np.asarray(x).ravel()[:8].tolist()}")
        out, named = BitWriter(), np.flatnonzero(counts)
        dense_bit = self.dim * lg(self.most + 1)
        index, value_bit = index_bit(named, self.dim, "block"), named.size * lg(self.most)
        if lg(self.dim + 1) + index + value_bit >= dense_bit:
            out.uint(0, 1)
            out.uints(counts, lg(self.most + 1))
            return sealed(out, PaperBits(value_bit=dense_bit))
        out.uint(1, 1)
        write_count(out, named.size, self.dim)
        write_indices(out, named, self.dim, "block")
        out.uints(counts[named] - 1, lg(self.most))
        return sealed(out, PaperBits(index_bit=index, value_bit=value_bit))

    def decode(self, data: bytes, dim: int, key: Key | None = None) -> Any:
        """Decode the counts, float64, shape (d,).

        Raises
        ------
        DecodeError
            If bits are missing or left over, or a count exceeds `most`.
        """
        src = BitReader(data)
        counts = np.zeros(self.dim)
        if src.uint(1):
            named = read_indices(src, read_count(src, self.dim), self.dim, "block")
            counts[named] = src.uints(named.size, lg(self.most)) + 1.0
        else:
            counts[:] = src.uints(self.dim, lg(self.most + 1))
        src.finish()
        if counts.size and counts.max() > self.most:
            raise DecodeError(f"payload: a count is at most {self.most}. Got {counts.max():g}.")
        return counts

    def encode_flop(self, dim: int) -> float:
        """Return one operation a coordinate."""
        return float(self.dim)

    def decode_flop_of(self, data: bytes, dim: int) -> float:
        """Return one operation a coordinate."""
        return float(self.dim)
