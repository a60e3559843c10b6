"""Signs and stochastically rounded levels of a vector's norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.indices import index_bit, read_count, read_indices, write_count, write_indices
from algorithms.coding.levels import (
    Codes,
    LevelCodec,
    Levels,
    code_bit,
    dither_variance,
    draw_codes,
    finite_norms,
    read_drawn,
    read_scales,
    rounded_up,
    split,
    write_drawn,
)
from algorithms.coding.prefix import omega_bit, read_omega, write_omega
from algorithms.coding.sizes import lg
from netsim.fields import PositiveInt
from netsim.interfaces import Array, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class QSGD(LevelCodec):
    """Q_i = n sign(x_i) z_i / s, z_i = floor(y_i) + Bernoulli(y_i - floor(y_i)), y_i = s |x_i| / n, n = ||x||.

    Unbiased, with the exact variance (n^2 / s^2) sum f_i (1 - f_i), f_i the fraction of y_i; for the 2-norm it is at
    most w ||x||^2 with w = min(d / (4 s^2), sqrt(d) / s), for s = 1 also sqrt(d) - 1. With `bucket` each bucket has its
    own norm and d is the bucket's size. The norm is rounded up to its float type before y_i is formed, so both ends
    have the same n, no level exceeds s, and the rounding does not bias; draws as in `_levels`, by coordinate.

    Payload, N norms (1, or ceil(d / bucket)), T levels that are not 0, |.| the length of an Elias omega code:

    - ``fixed``: FPP N + d (1 + lg(s+1)); norms, then sign and level of each coordinate. The papers count the same.
    - ``sparse``: lg(d+1) + FPP N + sum over the T of |gap| + 1 + |z_i|; T, norms, gaps (the first one is index + 1),
      signs, levels. The paper has no T: it counts lg(d+1) bits less.
    - ``dense``: FPP N + sum over d of |z_i + 1|, + T; norms, levels, then the signs of those that are not 0.
    - ``best``: one bit, 1 for dense, and the shorter of these two, sparse if they are equal; without that bit for the
      paper.

    Deviations: gaps, signs and levels of ``sparse`` and ``dense`` stand in sections instead of in turn, at the same
    length; T is sent because the reader must know the end.

    Parameters
    ----------
    levels
        s, 1 to 65,535; b bits for sign and level are s = 2^(b-1) - 1.
    code
        ``fixed``, ``sparse``, ``dense`` or ``best``.
    bucket
        Consecutive entries that share a norm; the last bucket may have fewer. None: the whole vector.
    norm
        ``two``, or ``max`` for the largest magnitude.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, eq. 4, Lemma 3.1, Theorem 3.2, Corollary 3.3; buckets and max-norm in its section 4.

    Examples
    --------
    >>> payload = QSGD(levels=4).encode(np.array([3.0, 0.0, -4.0]), np.random.default_rng(1))
    >>> QSGD(levels=4).decode(payload.data, 3).tolist(), payload.paper_bit
    ([3.75, 0.0, -3.75], 44.0)
    """

    levels: Levels
    code: Literal["fixed", "sparse", "dense", "best"] = "fixed"
    bucket: PositiveInt | None = None
    norm: Literal["two", "max"] = "two"

    is_unbiased: ClassVar[bool] = True
    write_checks: ClassVar[bool] = True  # the norms show every entry that is not finite
    examples: ClassVar[Examples] = (
        {"levels": 7},
        {"levels": 1, "code": "sparse"},
        {"levels": 5, "code": "dense", "float_bit": 64},
        {"levels": 3, "code": "best", "bucket": 20, "norm": "max"},
        {"levels": 300, "bucket": 16},
    )
    sweep: ClassVar[Examples] = (
        {"levels": 1, "norm": "max"},
        {"levels": 4, "code": "best"},
        {"levels": 32, "code": "best"},
        {"levels": 255, "code": "best"},
    )

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Round the norms, draw the levels, and append both."""
        bucket = self._bucket(x.size)
        norms = finite_norms(self, x, bucket, 2.0 if self.norm == "two" else math.inf)
        scales = rounded_up(self, norms, self.float_bit)
        norm_bit = self.float_bit * scales.size
        if self.code == "fixed":
            out.floats(scales, self.float_bit)
            write_drawn(out, x, scales, bucket, self.levels, key)
            return PaperBits(value_bit=norm_bit + x.size * code_bit(self.levels))
        codes = draw_codes(x, scales, bucket, self.levels, key)
        levels, negative = split(codes, self.levels)
        places = np.flatnonzero(levels)
        negative = negative[places]
        code = self.code
        if code == "best":
            code = self._shorter(levels, places)
            out.uint(int(code == "dense"), 1)
        if code == "sparse":
            write_count(out, places.size, x.size)
            out.floats(scales, self.float_bit)
            gap_bit = write_indices(out, places, x.size, "gap")
            start = out.bit_length
            out.signs(negative)
            write_omega(out, levels[places])
            return PaperBits(gap_bit, norm_bit + out.bit_length - start)
        out.floats(scales, self.float_bit)
        start = out.bit_length
        write_omega(out, levels.astype(np.uint64) + np.uint64(1))
        out.signs(negative)
        return PaperBits(value_bit=norm_bit + out.bit_length - start)

    def read(self, src: BitReader, dim: int, key: Key | None = None) -> Array:
        """Read the vector off the bit stream, float64, shape (dim,)."""
        code, bucket = self.code, self._bucket(dim)
        if code == "best":
            code = "dense" if src.uint(1) else "sparse"
        count = read_count(src, dim) if code == "sparse" else dim
        scales = read_scales(src, -(-dim // bucket), self.float_bit)
        if code == "fixed":
            return read_drawn(src, dim, scales, bucket, self.levels)
        if code == "sparse":
            places = read_indices(src, count, dim, "gap")
            negative, levels = src.signs(count), read_omega(src, count, self.levels)
        else:
            all_levels = read_omega(src, dim, self.levels + 1) - np.uint64(1)
            places = np.flatnonzero(all_levels)
            levels, negative = all_levels[places], src.signs(places.size)
        x = np.zeros(dim)
        x[places] = np.where(negative, -1.0, 1.0) * (levels / self.levels)
        x[places] *= scales[places // bucket]
        return x

    def max_size_bytes(self, dim: int) -> int:
        """Return the length of every payload of ``fixed``, else a bound: gaps of 1 and the longest level everywhere."""
        bit = self.float_bit * -(-dim // self._bucket(dim))
        longest = [int(length) for length in omega_bit([self.levels, self.levels + 1])]
        sparse, dense = lg(dim + 1) + dim * (2 + longest[0]), dim * (1 + longest[1])
        bit += {
            "fixed": dim * code_bit(self.levels),
            "sparse": sparse,
            "dense": dense,
            "best": 1 + min(sparse, dense),
        }[self.code]
        return math.ceil(bit / 8)

    def variance_bound(self, dim: int) -> float:
        """Return w, of which the largest bucket has the largest."""
        return dither_variance(self._bucket(dim), self.levels, 2.0 if self.norm == "two" else math.inf)

    def _shorter(self, levels: Codes, places: Indices) -> Literal["sparse", "dense"]:
        """Return the code with fewer bits, sparse if they are equal, from how often each level occurs."""
        lengths = omega_bit(np.arange(1, self.levels + 2))
        counts = np.bincount(levels, minlength=self.levels + 1)
        dense = int(counts @ lengths) + places.size
        sparse = lg(levels.size + 1) + index_bit(places, levels.size, "gap") + places.size
        sparse += int(counts[1:] @ lengths[:-1])
        return "dense" if dense < sparse else "sparse"

    def _bucket(self, dim: int) -> int:
        return dim if self.bucket is None else min(self.bucket, dim)
