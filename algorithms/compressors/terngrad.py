"""Ternary values: the sign of an entry at the largest magnitude, or nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.levels import (
    LevelCodec,
    dither_variance,
    draw_codes,
    finite_norms,
    read_scales,
    rounded_up,
)
from algorithms.coding.norms import deviation
from algorithms.coding.trits import read_trits, trits_bit, write_trits
from netsim.fields import PositiveFloat
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component

_TRITS = np.array([0, 1, 0, 2], np.uint8)  # of level | is negative << 1
_VALUES = np.array([0.0, 1.0, -1.0])


@component("compressor")
@dataclass(frozen=True)
class TernGrad(LevelCodec):
    """Q_i = s sign(x_i) with probability |x_i| / s, else 0, independently; s = max |x_i|.

    Unbiased, with E||Q||^2 = s ||x||_1 exactly and w = (sqrt(d) - 1) / 2, met by x = (1, c, ..., c) with
    c = 1 / (1 + sqrt(d)). With `clip` entries beyond clip * sigma are cut to that first, sigma the standard deviation
    of the entries: less variance, but biased. s is rounded up to its float type before the draws, so that both ends
    have the same s and the rounding does not bias; draws as in `_levels`, by coordinate.

    Payload: FPP + 8 ceil(d / 5) bits: s, then trits, five to the octet. The paper counts FPP + d log2 3.

    Parameters
    ----------
    clip
        Standard deviations; 2.5 in the paper. None: no clipping.

    References
    ----------
    Wen, Xu, Yan, Wu, Wang, Chen, Li, "TernGrad: ternary gradients to reduce communication in distributed deep
    learning", NeurIPS 2017, eq. 3 and, for clipping, eq. 14.

    Examples
    --------
    >>> payload = TernGrad().encode(np.array([3.0, 0.0, -4.0]), np.random.default_rng(1))
    >>> TernGrad().decode(payload.data, 3).tolist(), len(payload.data)
    ([4.0, 0.0, -4.0], 5)
    """

    clip: PositiveFloat | None = None

    write_checks: ClassVar[bool] = True  # the largest magnitude shows every entry that is not finite
    examples: ClassVar[Examples] = ({}, {"float_bit": 64}, {"clip": 2.5})
    sweep: ClassVar[Examples] = ({"clip": 1.5, "float_bit": 16},)

    @property
    def is_unbiased(self) -> bool:  # type: ignore[override]
        """True without clipping."""
        return self.clip is None

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the scale and the trits."""
        scale = finite_norms(self, x, x.size, math.inf)
        if self.clip is not None:
            scale = np.minimum(scale, self.clip * deviation(x))
        scale = rounded_up(self, scale, self.float_bit, what="scale")
        out.floats(scale, self.float_bit)
        write_trits(out, _TRITS.take(draw_codes(x, scale, x.size, 1, key)))
        return PaperBits(value_bit=self.float_bit + x.size * math.log2(3))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        scale = read_scales(src, 1, self.float_bit)[0]
        values: Array = (_VALUES * scale + 0.0).take(read_trits(src, dim))
        return values

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self.float_bit + trits_bit(dim)) // 8

    def variance_bound(self, dim: int) -> float | None:
        """Return w = (sqrt(d) - 1) / 2 without clipping."""
        return dither_variance(dim, 1, math.inf) if self.clip is None else None

    def encode_flop(self, dim: int) -> float:
        """Return 8 per coordinate, and 4 more for its standard deviation."""
        return super().encode_flop(dim) + (0 if self.clip is None else 4 * dim)
