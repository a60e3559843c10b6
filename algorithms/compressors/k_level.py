"""Every entry rounded at random to one of k equidistant levels between the smallest and the largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.levels import LevelCodec, check_levels, read_codes, rounded_up, write_drawn
from algorithms.coding.sizes import lg
from netsim.errors import DecodeError
from netsim.fields import Range
from netsim.interfaces import Array, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class KLevel(LevelCodec):
    """Q_i = X_min + (X_max - X_min) z_i / (k-1), z_i the number y_i = (k-1) (x_i - X_min) / (X_max - X_min) rounded.

    y_i is rounded up with probability y_i - floor(y_i), down otherwise: unbiased, with the exact variance
    (X_max - X_min)^2 / (k-1)^2 sum f_i (1 - f_i), f_i the fraction of y_i, and w = d / (2 (k-1)^2) because
    (X_max - X_min)^2 <= 2 ||x||^2. X_min is rounded down and X_max up to their float type before y_i is formed, so that
    both ends have the same levels and the rounding does not bias; draws as in `_levels`, by coordinate.

    Payload: 2 FPP + d lg k bits: X_min, X_max, then each z_i. The paper counts d lg k and two floats.

    Parameters
    ----------
    levels
        k, 2 to 65,536.

    References
    ----------
    Suresh, Yu, Kumar, McMahan, "Distributed mean estimation with limited communication", ICML 2017, section 2.2,
    stochastic k-level quantisation, Theorem 2.

    Examples
    --------
    >>> payload = KLevel(levels=3).encode(np.array([3.0, 0.5, -1.0, 0.0]), np.random.default_rng(1))
    >>> KLevel(levels=3).decode(payload.data, 4).tolist(), payload.paper_bit
    ([3.0, 1.0, -1.0, 1.0], 72.0)
    """

    levels: Annotated[int, Range(ge=2, le=65536)]

    is_unbiased: ClassVar[bool] = True
    write_checks: ClassVar[bool] = True  # the extremes show every entry that is not finite
    examples: ClassVar[Examples] = (
        {"levels": 2},
        {"levels": 16},
        {"levels": 300, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"levels": 4},
        {"levels": 8},
        {"levels": 64},
    )

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the extremes and the levels."""
        extremes = np.array([x.min(), x.max()], np.float64)
        if not np.isfinite(extremes).all():
            self.refuse_infinite(x)
        lowest = rounded_up(self, extremes[:1], self.float_bit, what="minimum", down=True)
        highest = rounded_up(self, extremes[1:], self.float_bit, what="maximum")
        out.floats(np.concatenate([lowest, highest]), self.float_bit)
        low = float(lowest[0])
        with np.errstate(over="ignore"):
            reach = highest - lowest
        if not 2.0**-900 < reach[0] < math.inf:
            # Near the ends of float64 halves are formed, or differences of tiny numbers, before the levels.
            half = 0.5 if reach[0] == math.inf else 1.0
            x, reach, low = x.astype(np.float64) * half - low * half, highest * half - lowest * half, 0.0
        write_drawn(out, x, reach, x.size, self.levels - 1, key, low, signed=False)
        return PaperBits(value_bit=2 * self.float_bit + x.size * lg(self.levels))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        low, high = src.floats(2, self.float_bit).tolist()
        if low > high:
            raise DecodeError(f"payload: the minimum is at most the maximum. Got {low} and {high}.")
        blocks = read_codes(src, dim, lg(self.levels))
        shares = np.arange(self.levels) / (self.levels - 1)
        values = low * (1 - shares) + high * shares
        x = np.empty(dim)
        for start, codes in blocks:
            check_levels(codes, self.levels - 1)
            x[start : start + codes.size] = values.take(codes)
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return math.ceil((2 * self.float_bit + dim * lg(self.levels)) / 8)

    def variance_bound(self, dim: int) -> float:
        """Return w = d / (2 (k-1)^2)."""
        return dim / (2 * (self.levels - 1) ** 2)

    def decode_flop(self, dim: int) -> float:
        """Return 1 per coordinate."""
        return dim
