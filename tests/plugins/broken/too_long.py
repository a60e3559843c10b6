"""A compressor that says 32 bits for an entry and writes 64."""

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
class TooLong(Codec):
    """Entries as they are."""

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append all entries."""
        out.floats(x.astype(np.float64), 64)
        return PaperBits(value_bit=64 * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Take all entries."""
        return src.floats(dim, 64)

    def max_size_bytes(self, dim: int) -> int:
        """Half of what there is."""
        return 4 * dim
