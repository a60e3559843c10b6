"""The signs of k entries drawn uniformly, times their mean magnitude."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter, FloatBit
from algorithms.coding.codec import PaperBits
from algorithms.coding.drawn import senders
from algorithms.coding.indices import IndexCode, read_count, read_indices, write_count, write_indices
from algorithms.coding.sizes import CodeSize, lg
from algorithms.coding.sparse import Floats, Kept, SparseCompressor, mean_magnitude, read_scale
from algorithms.coding.subset import subset
from netsim.interfaces import Array, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class SignRandK(Kept, SparseCompressor):
    """Q(x) = (||x_S||_1/T) sign(x) on a uniform random set S of k coordinates, 0 elsewhere.

    Indices that travel name the T nonzero entries of S only; with a shared seed T = k, and zeros of S decode to the
    scale, sign(0) = +1. Either way ||x - Q||^2 = ||x||^2 - ||x_S||_1^2/T on every draw, so E||Q - x||^2 <=
    (1 - 1/d) ||x||^2, as ||x_S||_1^2/T >= ||x_S||^2/k and E||x_S||^2 = (k/d) ||x||^2.

    Payload, private indices: lg(d+1) bits for T, FPP for the scale, lg d for each index, one for each sign, in that
    order; only T where it is 0. The paper counts FPP + T (lg d + 1).

    Payload, ``shared_seed``: FPP for the scale, k signs. The paper counts FPP + k.

    Parameters
    ----------
    k
        Entries to keep; more than d means all of them.
    fraction
        Instead of `k`: this share of d, rounded down, but at least one.
    shared_seed
        Whether the reader draws S, too; it then needs the sender's key.
    index
        How indices are coded; ``fixed`` is lg d each. Without effect where the seed is shared.
    float_bit
        FPP, bits of the scale: 64, 32 or 16 (IEEE 754).

    References
    ----------
    Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD: distributed SGD with quantization, sparsification, and local
    computations", NeurIPS 2019, SignComp_k of Rand_k, m = 1.

    Examples
    --------
    >>> codec = SignRandK(k=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -2.0, 2.0, 0.0]
    """

    shared_seed: bool = False
    index: IndexCode = "fixed"
    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = (
        {"k": 3},
        {"fraction": 0.3, "float_bit": 64, "index": "auto"},
        {"k": 3, "shared_seed": True},
    )
    sweep: ClassVar[Examples] = (
        {"fraction": 0.1, "shared_seed": True},
        {"fraction": 1.0, "shared_seed": True},
    )

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]  # depends on a key
        """Where the seed is shared."""
        return self.shared_seed

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append what the reader cannot know."""
        indices = subset(key, x.size, self.max_entries(x.size))
        kept = x[indices].astype(np.float64)
        if self.shared_seed:
            self._write_scale(kept, out)
            out.signs(kept < 0)
            return PaperBits(value_bit=self.float_bit + kept.size)
        indices, kept = indices[kept != 0], kept[kept != 0]
        write_count(out, indices.size, x.size)
        if indices.size == 0:
            return PaperBits()
        self._write_scale(kept, out)
        index_bit = write_indices(out, indices, x.size, self.index)
        out.signs(kept < 0)
        return PaperBits(index_bit, self.float_bit + indices.size)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        if self.shared_seed:
            key = senders(key, self.name)
            scale = read_scale(src, self.float_bit)
            negative = src.signs(self.max_entries(dim))
            return subset(key, dim, negative.size), np.where(negative, -scale, scale)
        count = read_count(src, dim)
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0)
        scale = read_scale(src, self.float_bit)
        indices = read_indices(src, count, dim, self.index)
        return indices, np.where(src.signs(count), -scale, scale)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = FPP, p1 = lg d + 1, or 1 where the seed is shared."""
        if self.shared_seed:
            return CodeSize(self.float_bit, 1, 0)
        return CodeSize(self.float_bit, lg(dim) + 1, lg(dim + 1))

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        if self.shared_seed:
            return math.ceil((self.float_bit + self.max_entries(dim)) / 8)
        return super().max_size_bytes(dim)

    def variance_bound(self, dim: int) -> float:
        """Return 1 - 1/d, met by one nonzero entry with k = d and a shared seed."""
        return 1 - 1 / dim

    def encode_flop(self, dim: int) -> float:
        """Return a check of each entry; a draw, a comparison and an addition for each one sent."""
        return dim + 3 * self.max_entries(dim)

    def _write_scale(self, kept: Floats, out: BitWriter) -> None:
        out.floats(self.rounded(np.array([mean_magnitude(kept)]), self.float_bit, what="scale"), self.float_bit)
