"""Every entry as a float: no compression but the rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.compressors._base import BaseCompressor, PaperBits
from algorithms.compressors._bits import BitReader, BitWriter, FloatBit
from netsim.interfaces import Array, Key
from netsim.registry import component


@component("compressor")
@dataclass(frozen=True)
class Identity(BaseCompressor):
    """Q(x) = x, each entry rounded to `float_bit` bits.

    Payload: FPP d bits, which is also the papers' figure. Unbiased with w = 0 and a contraction with delta = 1,
    rounding aside.

    Parameters
    ----------
    float_bit
        FPP, bits of one float: 64, 32 or 16 (IEEE 754).

    Examples
    --------
    >>> import numpy as np
    >>> payload = Identity().encode(np.array([1.5, -2.0]), np.random.default_rng(1))
    >>> len(payload.data), payload.paper_bit, Identity().decode(payload.data, 2).tolist()
    (8, 64.0, [1.5, -2.0])
    """

    float_bit: FloatBit = 32

    is_unbiased: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"float_bit": 64}, {"float_bit": 16})

    def check(self, x: Array) -> None:
        """Nothing: `write` looks at every entry."""

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append all entries."""
        out.floats(self.rounded(x, self.float_bit), self.float_bit)
        return PaperBits(value_bit=self.float_bit * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """The vector on the bit stream, float64, shape (dim,)."""
        return src.floats(dim, self.float_bit)

    def max_size_bytes(self, dim: int) -> int:
        """The length of every payload."""
        return self.float_bit * dim // 8

    def variance_bound(self, dim: int) -> float:
        """w = 0."""
        return 0.0

    def contraction(self, dim: int) -> float:
        """delta = 1."""
        return 1.0
