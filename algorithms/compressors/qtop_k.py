"""The k entries of largest magnitude, as signs and stochastically rounded levels of their norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from algorithms.coding import select
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.indices import read_count, read_indices, write_count, write_indices
from algorithms.coding.levels import (
    ENCODE_FLOP,
    Levels,
    code_bit,
    dither_variance,
    draw_codes,
    finite_norms,
    fractions,
    read_codes,
    read_scales,
    rounded_up,
    write_codes,
)
from algorithms.coding.sizes import CodeSize, lg
from algorithms.coding.sparse import IndexedCode, Kept
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class QTopK(Kept, IndexedCode):
    """`qsgd` with s levels of the 2-norm, of the T = min(k, nonzeros) entries of largest |x_i|; 0 elsewhere.

    With v those entries and beta = min(T / s^2, sqrt(T) / s), ``scaled`` divides by 1 + beta: then
    E||Q - x||^2 <= (1 - delta) ||x||^2 with delta = k / (d (1 + beta_ks)). Without, Q is unbiased for v, and the same
    holds with delta = (1 - beta_ks) k/d where beta_ks < 1. Both in expectation, not on every draw: `contraction` has
    none, `variance_bound` has 1 - delta. Draws as in `_levels`, by coordinate of x: with k = d, unscaled, Q is the Q
    of `qsgd`.

    Payload: lg(d+1) bits for T, FPP for ||v||, T lg d for the indices, T (1 + lg(s+1)) for signs and levels, in that
    order; T lg d stands for the bits of the index section where `index` is another code; only T where it is 0. The
    papers do not count T itself.

    Deviations: beta is of the T that is sent; the paper's code divides by 1 + k / s^2, without the minimum.

    Parameters
    ----------
    levels
        s, 1 to 65,535; b bits for sign and level are s = 2^(b-1) - 1.
    scaled
        Divide by 1 + beta.

    References
    ----------
    Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD: distributed SGD with quantization, sparsification and local
    computations", NeurIPS 2019, QTop_k, Lemmas 1 and 2.

    Examples
    --------
    >>> codec = QTopK(k=2, levels=4)
    >>> payload = codec.encode(np.array([0.5, -3.0, 0.0, 4.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).round(3).tolist(), payload.paper_bit
    ([0.0, -2.222, 0.0, 4.444], 44.0)
    """

    levels: Levels = field(kw_only=True)
    scaled: bool = field(default=True, kw_only=True)

    write_checks: ClassVar[bool] = True  # the largest entries hold any that is not finite
    examples: ClassVar[Examples] = (
        {"k": 3, "levels": 7},
        {"fraction": 0.2, "levels": 4, "scaled": False, "index": "auto"},
        {"k": 8, "levels": 200, "float_bit": 64},
    )
    sweep: ClassVar[Examples] = (
        {"fraction": 0.03, "levels": 3, "index": "auto"},
        {"fraction": 0.3, "levels": 3, "index": "auto"},
        {"fraction": 0.6, "levels": 15, "index": "auto"},
    )

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append count, norm, indices, signs and levels."""
        support = select.top_k(x, self.max_entries(x.size))
        write_count(out, support.size, x.size)
        if support.size == 0:
            return PaperBits()
        kept = x[support]
        self.require_finite(kept, support)
        scale = rounded_up(self, finite_norms(self, kept, kept.size, 2.0), self.float_bit)
        codes = draw_codes(kept, scale, kept.size, self.levels, key, support)
        out.floats(scale, self.float_bit)
        index_bit = write_indices(out, support, x.size, self.index)
        write_codes(out, codes, code_bit(self.levels))
        return PaperBits(index_bit, self.float_bit + support.size * code_bit(self.levels))

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Return the entries on the bit stream; those of level 0 among them."""
        count = read_count(src, dim)
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0)
        scale = float(read_scales(src, 1, self.float_bit)[0])
        indices = read_indices(src, count, dim, self.index)
        parts = [fractions(codes, self.levels) for _, codes in read_codes(src, count, code_bit(self.levels))]
        values: Floats = np.concatenate(parts) * scale
        return indices, values / (1 + self._beta(count)) if self.scaled else values

    def size(self, dim: int) -> CodeSize:
        """Return p0 = FPP, p1 = lg d + 1 + lg(s+1)."""
        return CodeSize(self.float_bit, lg(dim) + code_bit(self.levels), lg(dim + 1))

    def variance_bound(self, dim: int) -> float:
        """Return max E||Q - x||^2 / ||x||^2: 1 - k / (d (1 + beta)), unscaled 1 - (1 - beta) k/d, or beta if > 1.

        beta is the sharper min(k / (4 s^2), sqrt(k) / s) where Q is not scaled.
        """
        k = self.max_entries(dim)
        if self.scaled:
            return 1 - k / (dim * (1 + self._beta(k)))
        beta = dither_variance(k, self.levels, 2.0)
        return 1 - (1 - beta) * k / dim if beta < 1 else beta

    def encode_flop(self, dim: int) -> float:
        """Return one comparison per coordinate, 8 per kept entry."""
        return dim + ENCODE_FLOP * self.max_entries(dim)

    def decode_flop(self, dim: int) -> float:
        """Return 3 per kept entry."""
        return 3 * self.max_entries(dim)

    def _beta(self, count: int) -> float:
        return min(count / self.levels**2, math.sqrt(count) / self.levels)
