"""The signs of k entries drawn uniformly, times their mean magnitude."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.drawn import senders
from algorithms.coding.sizes import CodeSize
from algorithms.coding.sparse import Kept, SignCode, read_scale
from algorithms.coding.subset import subset
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class SignRandK(Kept, SignCode):
    """Q(x) = (||x_S||_1/T) sign(x) on a uniform random set S of k coordinates, 0 elsewhere.

    Indices that travel name the T nonzero entries of S only; with a shared seed T = k, and zeros of S decode to the
    scale, sign(0) = +1. Either way ||x - Q||^2 = ||x||^2 - ||x_S||_1^2/T on every draw, so E||Q - x||^2 <=
    (1 - 1/d) ||x||^2, as ||x_S||_1^2/T >= ||x_S||^2/k and E||x_S||^2 = (k/d) ||x||^2.

    Payload, private indices: lg(d+1) bits for T, FPP for the scale, lg d for each index, one for each sign, in that
    order; only T where it is 0. The paper counts FPP + T (lg d + 1).

    Payload, ``shared_seed``: FPP for the scale, k signs. The paper counts FPP + k.

    Parameters
    ----------
    shared_seed
        Whether the reader draws S, too; it then needs the sender's key.
    index
        How indices are coded; ``fixed`` is lg d each. Without effect where the seed is shared.

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
            self.write_scale(kept, out)
            out.signs(kept < 0)
            return PaperBits(value_bit=self.float_bit + kept.size)
        return self.write_entries(indices[kept != 0], kept[kept != 0], x.size, out)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        if not self.shared_seed:
            return super().read_entries(src, dim)
        key = senders(key, self.name)
        scale = read_scale(src, self.float_bit)
        negative = src.signs(self.max_entries(dim))
        return subset(key, dim, negative.size), np.where(negative, -scale, scale)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = FPP, p1 = lg d + 1, or 1 where the seed is shared."""
        return CodeSize(self.float_bit, 1, 0) if self.shared_seed else super().size(dim)

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
