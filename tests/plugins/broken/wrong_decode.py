"""A compressor whose `read` forgets the sign that its `write` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from netsim.interfaces import Array, Key
from netsim.registry import component


@component("compressor")
@dataclass(frozen=True)
class WrongDecode(Codec):
    """A bit for each sign and 64 for each magnitude."""

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Signs, then magnitudes."""
        out.uints(x < 0, 1)
        out.floats(np.abs(x).astype(np.float64), 64)
        return PaperBits(value_bit=65 * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Magnitudes."""
        src.uints(dim, 1)
        return src.floats(dim, 64)

    def max_size_bytes(self, dim: int) -> int:
        """The length of every payload."""
        return -(-65 * dim // 8)

    def contraction(self, dim: int) -> float:
        """Exact."""
        return 1.0
