"""The sign of every entry, times the mean magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.signs import magnitude_means, read_signs, write_signs
from algorithms.coding.sparse import read_scale
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class ScaledSign(FloatCodec):
    """Q(x) = (||x||_1 / d) sign(x), with sign(0) = 1.

    Of all multiples of these signs Q is the one nearest to x: ||x - Q||^2 = (1 - beta) ||x||^2 and
    <x, Q> = ||Q||^2 = beta ||x||^2 with beta = ||x||_1^2 / (d ||x||^2) >= 1/d, so it is a contraction with
    delta = 1/d.

    Payload: FPP + d bits, the scale and then the signs, which is also the paper's figure.

    References
    ----------
    Karimireddy, Rebjock, Stich, Jaggi, "Error feedback fixes signSGD and other gradient compression schemes",
    ICML 2019, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> payload = ScaledSign().encode(np.array([0.5, -3.0, 0.0, 2.5]), np.random.default_rng(1))
    >>> ScaledSign().decode(payload.data, 4).tolist(), payload.paper_bit
    ([1.5, -1.5, 1.5, 1.5], 36.0)
    """

    draws: ClassVar[bool] = False
    write_checks: ClassVar[bool] = True  # the scale is finite only where every entry is
    examples: ClassVar[Examples] = ({}, {"float_bit": 64}, {"float_bit": 16})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the scale and the signs."""
        scale = magnitude_means(x, x.size)
        if not scale[0] < float("inf"):
            self.refuse_infinite(x)
        out.floats(self.rounded(scale, self.float_bit, what="scale"), self.float_bit)
        write_signs(out, x)
        return PaperBits(value_bit=self.float_bit + x.size)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        return read_signs(src, dim, read_scale(src, self.float_bit))

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self.float_bit + dim + 7) // 8

    def contraction(self, dim: int) -> float:
        """Return delta = 1/d, met by one nonzero entry."""
        return 1 / dim

    def encode_flop(self, dim: int) -> float:
        """Return a magnitude, a sum and a comparison an entry."""
        return 3.0 * dim
