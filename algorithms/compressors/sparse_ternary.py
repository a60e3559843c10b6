"""Sparse ternary compression: top-k signs of one magnitude, positions as Golomb-coded gaps."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from algorithms.coding import select
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.indices import read_count, write_count
from algorithms.coding.prefix import read_rice, write_rice
from algorithms.coding.sizes import CodeSize, lg
from algorithms.coding.sparse import Kept, SparseCompressor, mean_magnitude, read_scale
from netsim.errors import DecodeError
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component

GOLDEN = (math.sqrt(5) - 1) / 2  # phi - 1


def golomb_width(count: int, dim: int) -> int:
    """Return b* = 1 + floor(log2(log(phi - 1) / log(1 - p))), p = count/dim, and 0 where that is negative.

    Found by squaring 1 - p until it is below phi - 1, so that it is the same number on every machine.

    Parameters
    ----------
    count
        1 to dim.

    Examples
    --------
    >>> [golomb_width(count, 1000) for count in (1, 10, 50, 381, 382, 1000)]
    [9, 6, 4, 1, 0, 0]
    """
    width, power = 0, (dim - count) / dim
    while power >= GOLDEN:
        power *= power
        width += 1
    return width


@component("compressor")
@dataclass(frozen=True)
class SparseTernary(Kept, SparseCompressor):
    """Q_i = mu sign(x_i) on the T = min(k, nonzeros) entries of largest |x_i|, mu their mean magnitude; 0 elsewhere.

    The same vector as `sign_top_k`'s, so a contraction with delta = 1/d; positions are coded as gaps with Golomb's code
    of parameter 2^b*, b* = 1 + floor(log2(log(phi - 1) / log(1 - T/d))), phi the golden ratio.

    Payload: lg(d+1) bits for T, then, unless it is 0, FPP for mu, for each gap g (index less the one before, less 1)
    floor(g / 2^b*) ones and a zero, all of these first, then b* bits each, then one bit for each sign. That is
    lg(d+1) + FPP + T (2 + b*) + sum floor(g / 2^b*).

    The paper counts T (b* + 1/(1 - (1 - p)^(2^b*)) + 1), the mean for random positions, p = T/d; we add FPP for mu.

    Deviations: b* follows from T and d of each message, not from a fixed p; signs follow after all gaps.

    Parameters
    ----------
    fraction
        Instead of `k`: this share of d, p in the paper, rounded down, but at least one.

    References
    ----------
    Sattler, Wiedemann, Mueller, Samek, "Robust and communication-efficient federated learning from non-i.i.d. data",
    IEEE Transactions on Neural Networks and Learning Systems 2019, algorithms 1 (STC) and 3 (Golomb encoding),
    equations 16 and 17.

    Examples
    --------
    >>> codec = SparseTernary(k=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 0.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -2.5, 0.0, 2.5]
    """

    write_checks: ClassVar[bool] = True  # the selection holds every kind of entry that is refused
    examples: ClassVar[Examples] = ({"k": 3}, {"fraction": 0.1}, {"k": 30, "float_bit": 64})
    sweep: ClassVar[Examples] = ({"fraction": 0.01}, {"fraction": 0.3}, {"fraction": 1.0})

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Append count, mean magnitude, gaps and signs."""
        support = select.top_k(x, self.max_entries(x.size))
        count = support.size
        write_count(out, count, x.size)
        if count == 0:
            return PaperBits()
        kept = x[support].astype(np.float64)
        self.require_finite(kept, support)
        out.floats(self.rounded(np.array([mean_magnitude(kept)]), self.float_bit, what="mean"), self.float_bit)
        width = golomb_width(count, x.size)
        write_rice(out, np.diff(support, prepend=-1) - 1, width)
        out.signs(kept < 0)
        return PaperBits(count * mean_gap_bit(count, x.size), self.float_bit + count)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        count = read_count(src, dim)
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0)
        mean = read_scale(src, self.float_bit)
        gaps = read_rice(src, count, golomb_width(count, dim), dim - 1).astype(np.int64)
        indices = np.add.accumulate(gaps + 1) - 1
        if indices[-1] >= dim:
            raise DecodeError(f"payload: indices lie below {dim}. Got {indices[-1]}.")
        return indices, np.where(src.signs(count), -mean, mean)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = FPP, p1 = 1 and the mean length of a gap at T = k: exact for the paper's bits of k entries."""
        return CodeSize(self.float_bit, 1 + mean_gap_bit(self.max_entries(dim), dim), lg(dim + 1))

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload of a vector of that dimension."""
        return (lg(dim + 1) + self.float_bit + _most_bit(self.max_entries(dim), dim) + 7) // 8

    def contraction(self, dim: int) -> float:
        """Return delta = 1/d, met by x = (1, ..., 1) with k = 1."""
        return 1 / dim

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons for the selection; an addition, a comparison and a subtraction for each entry sent."""
        return 2 * dim + 3 * self.max_entries(dim)


def mean_gap_bit(count: int, dim: int) -> float:
    """Return b* + 1 / (1 - (1 - p)^(2^b*)): the mean length of a gap between random positions."""
    width, power = golomb_width(count, dim), (dim - count) / dim
    for _ in range(width):
        power *= power
    return width + 1 / (1 - power)


@lru_cache(maxsize=256)
def _most_bit(most: int, dim: int) -> int:
    """Return bits of the longest gaps and signs of up to `most` entries, T (2 + b) + floor((d - T) / 2^b).

    As long as b stays the same this grows with T, so the last T of each b is tried.
    """
    longest, count = 0, 1
    while count <= most:
        width = golomb_width(count, dim)
        same = bisect_right(range(count, most + 1), -width, key=lambda t: -golomb_width(t, dim))
        count += same
        last = count - 1
        longest = max(longest, last * (2 + width) + ((dim - last) >> width))
    return longest
