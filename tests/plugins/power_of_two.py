"""Every entry as a power of two: sign and exponent, as a user would add a compressor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import Codec, PaperBits
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Array, Key
from netsim.registry import component

BIAS = 128  # exponents -127 .. 127 are the codes 1 .. 255; code 0 is zero
SIGN = 256
ENTRY_BIT = 9


@component("compressor")
@dataclass(frozen=True)
class PowerOfTwo(Codec):
    """Q(x)_i = sign(x_i) 2^floor(log2 |x_i|), and 0 where |x_i| < 2^-127.

    From 2^e <= |x_i| < 2^(e+1) follows |x_i - Q_i| < |x_i| / 2, so ||x - Q||^2 <= ||x||^2 / 4: a contraction with
    delta = 3/4 (but for entries below 2^-127). Draws nothing, and is biased towards 0.

    Payload: for each entry 8 bits of exponent and a sign, 9 d bits, which is also what theory counts.

    References
    ----------
    Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning", MSML 2022; this
    is its deterministic form, which rounds down.

    Examples
    --------
    >>> payload = PowerOfTwo().encode(np.array([5.0, -0.75, 0.0]), np.random.default_rng(1))
    >>> len(payload.data), payload.paper_bit, PowerOfTwo().decode(payload.data, 3).tolist()
    (4, 27.0, [4.0, -0.5, 0.0])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append all entries."""
        codes = np.where(x == 0, 0, np.frexp(x)[1] - 1 + BIAS)  # |x_i| = m 2^e with m in [1/2, 1)
        if (codes >= SIGN).any():
            i = int(np.argmax(codes))
            raise EncodeError(f"{self.name}: entry {i} must lie within 2^128. Got {x[i]}.")
        codes = np.maximum(codes, 0)
        out.uints(codes + SIGN * ((x < 0) & (codes > 0)), ENTRY_BIT)
        return PaperBits(value_bit=ENTRY_BIT * x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """The vector on the bit stream, float64, shape (dim,)."""
        words = src.uints(dim, ENTRY_BIT).astype(np.int64)
        if (words == SIGN).any():
            raise DecodeError("payload: zero has no sign. Got one with a minus.")
        codes = words % SIGN
        magnitudes = np.where(codes == 0, 0.0, np.ldexp(1.0, codes - BIAS))
        return np.where(words > SIGN, -magnitudes, magnitudes)

    def max_size_bytes(self, dim: int) -> int:
        """The length of every payload."""
        return -(-ENTRY_BIT * dim // 8)

    def contraction(self, dim: int) -> float:
        """delta = 3/4."""
        return 0.75
