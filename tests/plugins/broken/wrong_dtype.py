"""A compressor that decodes to float32."""

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
class WrongDtype(Codec):
    """Entries in 32 bits."""

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append all entries."""
        out.floats(self.rounded(x, 32), 32)
        return PaperBits(value_bit=32 * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Take all entries, and leave them as they came."""
        return src.floats(dim, 32).astype(np.float32)

    def max_size_bytes(self, dim: int) -> int:
        """The length of every payload."""
        return 4 * dim
