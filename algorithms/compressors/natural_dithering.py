"""Natural dithering: signs and stochastically rounded powers of two of a vector's p-norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.draws import Words32, dense_words
from algorithms.coding.levels import (
    LevelCodec,
    check_levels,
    chunks,
    code_bit,
    finite_norms,
    read_codes,
    read_scales,
    rounded_up,
    split,
    write_codes,
)
from algorithms.coding.sizes import lg
from netsim.fields import Range
from netsim.interfaces import Array, Floats, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class NaturalDithering(LevelCodec):
    """Q_i = ||x||_p sign(x_i) z_i, where z_i is y_i = |x_i| / ||x||_p rounded to 0, 2^(1-s), ..., 1/2 or 1 at random.

    Of the two levels a <= y_i < b around it, b has probability (y_i - a) / (b - a): unbiased, with the exact variance
    ||x||_p^2 sum (y_i - a) (b - y_i). With r = min(p, 2) and c = d^(1/r) 2^(1-s), w = 1/8 + c min(1, c). The norm is
    rounded up to its float type before y_i is formed; a probability is met to within 2^-33. Draws by coordinate.

    Payload: FPP + d (1 + lg(s+1)) bits: the norm, then sign and level of each coordinate. The paper drops the norm's
    sign and counts 31 + d (2 + log2 s).

    Parameters
    ----------
    levels
        s, 1 to 127 levels other than 0.
    p
        1 or more, or ``inf``; see `dithering`.

    References
    ----------
    Horvath, Ho, Horvath, Sahu, Canini, Richtarik, "Natural compression for distributed deep learning", MSML 2022,
    natural dithering, Theorem 7.

    Examples
    --------
    >>> payload = NaturalDithering(levels=3).encode(np.array([3.0, 0.0, -4.0]), np.random.default_rng(1))
    >>> NaturalDithering(levels=3).decode(payload.data, 3).tolist(), payload.paper_bit
    ([5.0, 0.0, -2.5], 41.0)
    """

    levels: Annotated[int, Range(ge=1, le=127)]
    p: Annotated[float, Range(ge=1)] | Literal["inf"] = 2.0

    is_unbiased: ClassVar[bool] = True
    write_checks: ClassVar[bool] = True  # the norm shows every entry that is not finite
    examples: ClassVar[Examples] = (
        {"levels": 3},
        {"levels": 7, "p": "inf"},
        {"levels": 2, "p": 1, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"levels": 1, "p": "inf"},
        {"levels": 3, "p": "inf"},
    )

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append the norm, signs and levels."""
        order = math.inf if self.p == "inf" else float(self.p)
        scale = rounded_up(self, finite_norms(self, x, x.size, order), self.float_bit)
        out.floats(scale, self.float_bit)
        codes = np.zeros(x.size, np.uint8)
        if scale[0] > 0:
            sign = lg(self.levels + 1)
            for start, stop in chunks(x.size):
                part = x[start:stop].astype(np.float64)
                levels = self._levels(np.minimum(np.abs(part) / scale, 1.0), dense_words(key, start, stop - start))
                codes[start:stop] = levels | (part < 0).astype(np.uint64) << np.uint64(sign)
        write_codes(out, codes, code_bit(self.levels))
        return PaperBits(value_bit=self.float_bit + x.size * code_bit(self.levels))

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        scale = read_scales(src, 1, self.float_bit)[0]
        blocks = read_codes(src, dim, code_bit(self.levels))
        powers = np.concatenate([[0.0], np.ldexp(1.0, np.arange(1 - self.levels, 1))])
        x = np.empty(dim)
        for start, codes in blocks:
            levels, negative = split(codes, self.levels)
            check_levels(levels, self.levels)
            part = powers.take(levels) * scale
            x[start : start + codes.size] = np.where(negative, 0.0 - part, part)
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload."""
        return math.ceil((self.float_bit + dim * code_bit(self.levels)) / 8)

    def variance_bound(self, dim: int) -> float:
        """Return w."""
        r = 2.0 if self.p == "inf" else min(float(self.p), 2.0)
        c: float = float(dim) ** (1 / r) * 2.0 ** (1 - self.levels)
        return 1 / 8 + c * min(1.0, c)

    def _levels(self, y: Floats, words: Words32) -> npt.NDArray[np.uint64]:
        """Return the power's number from 1 on, or 0: random bits added to the fraction carry into the exponent."""
        draws = (words.astype(np.uint64) << np.uint64(20)) + np.uint64(1 << 19)
        powers = (y.view(np.uint64) + draws) >> np.uint64(52)
        lowest = 1024 - self.levels  # exponent code of 2^(1-s)
        small = y < 2.0 ** (1 - self.levels)
        with np.errstate(over="ignore"):
            shares = np.ldexp(np.where(small, y, 0.0), self.levels - 1 + 52).astype(np.uint64)
        return np.where(small, (shares + draws) >> np.uint64(52), powers - np.uint64(lowest - 1))
