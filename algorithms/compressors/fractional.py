"""Levels whose ends are in one ratio, each sent with the mean of what fell into it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.bits import BitReader, BitWriter, Words
from algorithms.coding.codec import FloatCodec, PaperBits
from algorithms.coding.levels import read_scales
from netsim.compiling import IS_ON
from netsim.fields import Range
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component

COMPILED_FROM = 8192  # entries; below, numpy is quick enough and numba is never imported

_STAGE = 16_384  # entries that are coded together


@component("compressor")
@dataclass(frozen=True)
class Fractional(FloatCodec):
    """Q_i = sign(x_i) mu_l, l the level of |x_i|, of which there are L = 2^(q-1), mu_l the mean |x_j| of its entries.

    With x_max and x_min the largest and smallest nonzero |x_i| and a = (x_max / x_min)^(1/L), level l reaches from
    x_max / a^l to x_max / a^(l-1): l is the first with |x_i| >= x_max / a^l, at most L. Zeros are in level L, with
    sign 1; where x_max = x_min all others are in level 1.

    Q is the nearest vector with one value in each level and sign up to the sign: sum |Q_i| = sum |x_i|,
    ||x - Q||^2 = ||x||^2 - ||Q||^2, and |Q_i / x_i| lies between 1/a and a where no entry is 0. It is a contraction
    with delta = 1/d. q = 1 is `scaled_sign`.

    Payload: q d + FPP L bits, for each entry its sign and l - 1 in q - 1 bits, then mu_1 .. mu_L (0 where a level is
    empty), which is also the paper's figure; x_max, x_min and a do not travel.

    Deviation: the ends are found as geometric means, by square roots and products alone, so that levels are the same on
    every machine; an end may differ from the formula's by a few units in the last place.

    Parameters
    ----------
    bits
        q, bits of an entry, 1 to 12.

    References
    ----------
    Ozfatura, Ozfatura, Gunduz, "Distributed sparse SGD with majority voting", arXiv 2011.06495, 2020, equations 17
    and 18, fractional quantisation.

    Examples
    --------
    >>> codec = Fractional(bits=3)
    >>> payload = codec.encode(np.array([16.0, -10.0, 7.0, -3.0, 1.5, 1.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 6).tolist(), payload.paper_bit
    ([13.0, -13.0, 7.0, -3.0, 1.25, 1.25], 146.0)
    """

    bits: Annotated[int, Range(ge=1, le=12)] = 4

    examples: ClassVar[Examples] = (
        {},
        {"bits": 1, "float_bit": 16},
        {"bits": 3, "float_bit": 64},
        {"bits": 7},
    )
    sweep: ClassVar[Examples] = ({"bits": 2}, {"bits": 5})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append signs and levels, then the means."""
        peak, ends = self._ends(x)
        # Only where a sum may overflow in units of the largest entry, in which the smallest may vanish.
        unit = 1.0 if peak * x.size < math.inf else peak
        totals = np.zeros((2, self._levels))
        for start in range(0, x.size, _STAGE):
            codes, found = self._codes(x[start : start + _STAGE], x.size, ends, unit)
            out.uints(codes, self.bits)
            totals += found
        means = totals[0] / np.maximum(totals[1], 1.0) * unit
        out.floats(self.rounded(means, self.float_bit, what="mean of level"), self.float_bit)
        return PaperBits(value_bit=self.bits * x.size + self.float_bit * self._levels)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        codes = src.uints(dim, self.bits)
        means = read_scales(src, self._levels, self.float_bit)
        table = np.stack([means, -means], axis=1).ravel()
        x: Array = table[codes.view(np.int64)]
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return (self.bits * dim + self.float_bit * self._levels + 7) // 8

    def contraction(self, dim: int) -> float:
        """Return delta = 1/d, met by one nonzero entry where q = 1."""
        return 1 / dim

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons for the range, q - 1 for the level, a product and a sum an entry."""
        return float((3 + self.bits) * dim)

    @property
    def _levels(self) -> int:
        return 1 << (self.bits - 1)

    def _ends(self, x: Array) -> tuple[float, Floats]:
        """Return x_max, and x_max / a^l for l = 1 .. L - 1, falling."""
        high, low = 0.0, math.inf
        for start in range(0, x.size, _STAGE):
            magnitudes = np.abs(x[start : start + _STAGE])
            high = max(high, float(magnitudes.max()))
            low = min(low, float(np.where(magnitudes > 0, magnitudes, np.inf).min()))
        ends = np.array([high, low if high > 0 else high])
        for _ in range(self.bits - 1):
            halved = np.empty(2 * ends.size - 1)
            halved[::2] = ends
            # Not above its left neighbour nor below its right one, where the two are almost equal.
            halved[1::2] = np.clip(np.sqrt(ends[:-1]) * np.sqrt(ends[1:]), ends[1:], ends[:-1])
            ends = halved
        return high, ends[1:-1]

    def _codes(self, x: Array, dim: int, ends: Floats, unit: float) -> tuple[Words, Floats]:
        """Return sign and level of each entry, and for each level the sum of |x_i| / unit and its entries."""
        if IS_ON and dim >= COMPILED_FROM:
            codes, found = np.empty(x.size, np.uint64), np.zeros((2, self._levels))
            kernels.fractional.codes(x, ends, unit, found[0], found[1], codes)
            return codes, found
        magnitudes = np.abs(x).astype(np.float64, copy=False)
        # As many ends lie above an entry as its level has levels before it.
        levels = ends.size - np.searchsorted(ends[::-1], magnitudes, side="right")
        sums = np.bincount(levels, magnitudes / unit, self._levels)
        found = np.stack([sums, np.bincount(levels, minlength=self._levels)])
        return levels.astype(np.uint64) << np.uint64(1) | (x < 0).astype(np.uint64), found
