"""k entries drawn uniformly, without looking at them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.drawn import DrawnValues, senders
from algorithms.coding.sizes import CodeSize
from algorithms.coding.sparse import Kept
from algorithms.coding.subset import subset
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class RandK(Kept, DrawnValues):
    """Q_i = (d/k) x_i on a uniform random set S of k coordinates, 0 elsewhere; Q_i = x_i there if not `scaled`.

    Scaled it is unbiased with E||Q - x||^2 = (d/k - 1) ||x||^2 exactly; not scaled, E||Q - x||^2 = (1 - k/d) ||x||^2
    exactly, a contraction in expectation with delta = k/d, but not on every draw.

    Payload, private indices: lg(d+1) bits for T, lg d for each index, FPP for each value, in that order, T the number
    of nonzero entries among the k: zeros are not sent. The paper counts T (lg d + FPP).

    Payload, ``shared_seed``: FPP for each of the k values in order of their coordinates, zeros among them; nothing
    else, as both ends draw S from the sender's key. The paper counts k FPP.

    The set costs O(k) draws and memory of k numbers and d bits; see `_subset`.

    Parameters
    ----------
    shared_seed
        Whether the reader draws S, too; it then needs the sender's key.
    scaled
        Whether values are multiplied by d/k.
    index
        How indices are coded; ``fixed`` is lg d each. Without effect where the seed is shared.

    References
    ----------
    Stich, Cordonnier, Jaggi, "Sparsified SGD with memory", NeurIPS 2018, definition 2.2 (not scaled). Wangni, Wang,
    Liu, Zhang, "Gradient sparsification for communication-efficient distributed optimization", NeurIPS 2018, uniform
    sampling (scaled).

    Examples
    --------
    >>> codec = RandK(k=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -6.0, 2.0, 0.0]
    """

    shared_seed: bool = False
    scaled: bool = True

    examples: ClassVar[Examples] = (
        {"k": 3},
        {"fraction": 0.3, "index": "auto"},
        {"k": 3, "shared_seed": True},
        {"fraction": 0.1, "shared_seed": True, "scaled": False, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"fraction": 0.01},
        {"fraction": 0.3},
        {"fraction": 0.3, "shared_seed": True},
    )

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]  # depends on a key
        """Where values are scaled."""
        return self.scaled

    @property
    def shares_randomness(self) -> bool:  # type: ignore[override]
        """Where the seed is shared."""
        return self.shared_seed

    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """Draw S, without the coordinates of zeros where indices travel, and return it with the values."""
        indices = subset(key, x.size, self.max_entries(x.size))
        if not self.shared_seed:
            indices = indices[x[indices] != 0]
        values = x[indices].astype(np.float64)
        if self.scaled:
            with np.errstate(over="ignore"):  # refused when rounded
                values *= x.size / self.max_entries(x.size)
        return indices, values

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append what the reader cannot know."""
        if not self.shared_seed:
            return super().write(x, key, out)
        indices, values = self.draw(x, key)
        out.floats(self.rounded(values, self.float_bit, indices), self.float_bit)
        return PaperBits(value_bit=self.float_bit * values.size)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        if not self.shared_seed:
            return super().read_entries(src, dim)
        key = senders(key, self.name)
        values = src.floats(self.max_entries(dim), self.float_bit)
        return subset(key, dim, values.size), values

    def size(self, dim: int) -> CodeSize:
        """Return p0 = 0, p1 = lg d + FPP, or FPP where the seed is shared."""
        return CodeSize(0, self.float_bit, 0) if self.shared_seed else super().size(dim)

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        if self.shared_seed:
            return math.ceil(self.float_bit * self.max_entries(dim) / 8)
        return super().max_size_bytes(dim)

    def variance_bound(self, dim: int) -> float:
        """Return w = d/k - 1; 1 - k/d where values are not scaled. Both are met by every vector."""
        k = self.max_entries(dim)
        return dim / k - 1 if self.scaled else 1 - k / dim
