"""The sign of every entry, times the mean magnitude of its block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.levels import read_scales
from algorithms.coding.signs import magnitude_means, read_signs, write_signs
from netsim.fields import PositiveInt
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class BlockSign(FloatCodec):
    """Q(x) = (||x_b||_1 / B) sign(x_b) for each block x_b of B consecutive entries, with sign(0) = 1.

    As `scaled_sign` in each block: ||x - Q||^2 = ||x||^2 - sum_b ||x_b||_1^2 / B_b, with B_b = B but for a shorter last
    block, so it is a contraction with delta = 1 / min(B, d).

    Payload: FPP ceil(d/B) + d bits, the scales and then all signs, which is also the paper's figure.

    Parameters
    ----------
    block
        B, entries that share a scale; from d on it is `scaled_sign`.

    References
    ----------
    Zheng, Huang, Kwok, "Communication-efficient distributed blockwise momentum SGD with error-feedback", NeurIPS 2019,
    algorithm 2 (there a block is a tensor).

    Examples
    --------
    >>> codec = BlockSign(block=2)
    >>> payload = codec.encode(np.array([0.5, -3.5, 1.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 3).tolist(), payload.paper_bit
    ([2.0, -2.0, 1.0], 67.0)
    """

    block: PositiveInt = 256

    draws: ClassVar[bool] = False
    write_checks: ClassVar[bool] = True  # the scales are finite only where every entry is
    examples: ClassVar[Examples] = (
        {},
        {"block": 8, "float_bit": 16},
        {"block": 1, "float_bit": 64},
        {"block": 50},
    )
    sweep: ClassVar[Examples] = ({"block": 32, "float_bit": 16},)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the scales and the signs."""
        scales = magnitude_means(x, self.block)
        if not np.isfinite(scales).all():
            self.refuse_infinite(x)
        out.floats(self.rounded(scales, self.float_bit, what="scale"), self.float_bit)
        write_signs(out, x)
        return PaperBits(value_bit=self.float_bit * scales.size + x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        block = min(self.block, dim)
        scales = read_scales(src, -(-dim // block), self.float_bit)
        x = read_signs(src, dim, 1.0)
        whole = dim // block
        x[: whole * block].reshape(whole, block)[...] *= scales[:whole, None]
        x[whole * block :] *= scales[-1]
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self.float_bit * -(-dim // self.block) + dim + 7) // 8

    def contraction(self, dim: int) -> float:
        """Return delta = 1/B, or 1/d where that is more; met by one nonzero entry in each block."""
        return 1 / min(self.block, dim)

    def encode_flop(self, dim: int) -> float:
        """Return a magnitude, a sum and a comparison an entry."""
        return 3.0 * dim
