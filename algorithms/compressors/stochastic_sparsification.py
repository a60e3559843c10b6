"""A random subset of the entries, drawn with the probabilities that lose least for their expected number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.codec import PaperBits
from algorithms.coding.draws import uniforms
from algorithms.coding.indices import most_index_bit, read_count, read_indices, write_count, write_indices
from algorithms.coding.sizes import CodeSize, lg
from algorithms.coding.sparse import ValueCode, read_scale
from netsim.errors import ConfigError, DecodeError, Fault
from netsim.fields import PositiveFloat
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component


def optimal_level(x: Array, budget: float) -> float:
    """Return 1/lambda of the optimal probabilities p_i = min(1, lambda |x_i|) with sum p_i = budget.

    With s the smallest number for which (T - s) |x_(s+1)| <= R_s, the s largest entries have p = 1 and
    1/lambda = R_s / (T - s), where R_s is the sum of the other magnitudes. Found without a sort: entries with
    (T - s) |x_i| > R_s move over to the s largest until there are none.

    Parameters
    ----------
    x
        Finite, not all zero, shape (d,).
    budget
        T > 0, a real number; from the number of nonzeros on, every nonzero entry has p = 1.

    Examples
    --------
    >>> optimal_level(np.array([4.0, -1.0, 1.0, 0.0]), 2.0)
    2.0
    """
    magnitudes = np.abs(x[x != 0]).astype(np.float64)
    if budget >= magnitudes.size:
        return float(magnitudes.min())
    # In units of the largest entry no sum overflows.
    peak = float(magnitudes.max())
    rest, left = magnitudes / peak, budget
    while True:
        total = float(np.add.reduce(rest))
        saturated = left * rest > total
        count = int(np.count_nonzero(saturated))
        if count == 0 or count >= left:  # the latter only by rounding
            return total / left * peak
        left -= count
        rest = rest[~saturated]


def level_of_variance(x: Array, variance: float) -> float:
    """Return 1/lambda of the probabilities p_i = min(1, lambda |x_i|) with E||Q||^2 = (1 + variance) ||x||^2.

    With s the smallest number for which |x_(s+1)| R_s <= V_s, V_s = variance ||x||^2 plus the squares of all but the s
    largest entries, 1/lambda = V_s / R_s. Found without a sort: entries with |x_i| R_s > V_s move over to the s
    largest until there are none.

    Parameters
    ----------
    x
        Finite, not all zero, shape (d,).
    variance
        Above 0; where it is lost in rounding, every nonzero entry has p = 1.

    Examples
    --------
    >>> level_of_variance(np.array([4.0, -1.0, 1.0, 0.0]), 2 / 18)
    2.0
    """
    magnitudes = np.abs(x[x != 0]).astype(np.float64)
    peak = float(magnitudes.max())
    rest = magnitudes / peak
    extra = variance * float(np.add.reduce(np.square(rest)))
    while rest.size:
        level = (extra + float(np.add.reduce(np.square(rest)))) / float(np.add.reduce(rest))
        saturated = rest > level
        if not saturated.any():
            return level * peak
        rest = rest[~saturated]
    return float(magnitudes.min())


def probabilities(x: Array, level: float) -> Floats:
    """Return p_i = min(1, |x_i| / level), shape (d,)."""
    return np.minimum(np.abs(x).astype(np.float64, copy=False) / level, 1.0)


def omega(x: Array, budget: npt.ArrayLike) -> Floats:
    """Return ||x||^2 / E||Q||^2 with the optimal probabilities, for each budget; 1 where x = 0.

    Concave and increasing in the budget T, 0 at 0, 1 from T = nonzeros on; T ||x||^2 / ||x||_1^2 as long as
    T <= ||x||_1 / max|x|; never below T/d.

    Parameters
    ----------
    x
        Finite, shape (d,).
    budget
        T >= 0, of any shape, which the result has too.

    Examples
    --------
    >>> omega(np.array([4.0, -1.0, 1.0, 0.0]), [0.5, 2.0, 3.0]).round(3).tolist()
    [0.25, 0.9, 1.0]
    """
    t = np.asarray(budget, np.float64)
    magnitudes = np.sort(np.abs(x[x != 0]).astype(np.float64))[::-1]
    if magnitudes.size == 0:
        return np.ones_like(t)
    magnitudes = magnitudes / magnitudes[0]
    rest = np.add.accumulate(magnitudes[::-1])[::-1]
    squares = np.concatenate([[0.0], np.add.accumulate(np.square(magnitudes))])
    # s entries are saturated for budgets up to s + R_s / |x_(s+1)|, which never decreases in s.
    reach = np.arange(magnitudes.size) + rest / magnitudes
    s = np.minimum(np.searchsorted(reach, t), magnitudes.size - 1)
    inside = (t > 0) & (t < magnitudes.size)
    moment = squares[s] + rest[s] ** 2 / np.where(inside, t - s, 1.0)
    return np.where(inside, squares[-1] / moment, np.where(t > 0, 1.0, 0.0))


@component("compressor")
@dataclass(frozen=True)
class StochasticSparsification(ValueCode):
    """Q_i = x_i / p_i with probability p_i = min(1, lambda |x_i|), else 0, independently.

    Unbiased. `budget` T: sum p_i = T; of all probabilities with that sum these have the smallest
    E||Q||^2 = sum x_i^2 / p_i, which is ||x||^2 / omega(T) with omega(T) >= T/d, so w = d/T - 1. `variance` eps:
    E||Q||^2 = (1 + eps) ||x||^2, so w = eps exactly; of all probabilities with that second moment these have the
    smallest sum. Every hit with p_i < 1 decodes to sign(x_i) / lambda.

    Payload, N entries hit, N1 of them with p_i = 1, N0 with p_i < 1:

    - ``plain``: lg(d+1) for N, lg d for each index, FPP for each value. The papers count N (lg d + FPP).
    - ``hybrid``: lg(d+1) for each of N1 and N0, then, unless both are 0, FPP for 1/lambda, lg d for each of the N1 and
      then of the N0 indices, FPP for each of the N1 values, one for each of the N0 signs. The papers count
      FPP + N1 (lg d + FPP) + N0 (lg d + 1).

    The draws have 53 bits; rounding 1/lambda to float32 biases by 2**-24 of an entry at most.

    Parameters
    ----------
    budget
        T > 0, the expected number of entries, a real number; more than there are nonzeros sends all of them.
    variance
        Instead of `budget`: eps > 0, the expected squared error over ||x||^2.
    wire
        ``plain`` or ``hybrid``.

    References
    ----------
    Wangni, Wang, Liu, Zhang, "Gradient sparsification for communication-efficient distributed optimization",
    NeurIPS 2018, algorithm 2 (variance form; hybrid code). Wang, Sievert, Charles, Liu, Wright, Papailiopoulos,
    "ATOMO: communication-efficient learning via atomic sparsification", NeurIPS 2018 (budget form). Khirirat,
    Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, stochastic sparsification SS.

    Examples
    --------
    >>> codec = StochasticSparsification(budget=2.0)
    >>> payload = codec.encode(np.array([4.0, -1.0, 1.0, 0.0]), np.random.default_rng(4))
    >>> codec.decode(payload.data, 4).tolist()
    [4.0, 0.0, 2.0, 0.0]
    """

    counts_entries: ClassVar[tuple[str, ...]] = ("budget",)

    budget: PositiveFloat | None = None
    wire: Literal["plain", "hybrid"] = "plain"
    variance: PositiveFloat | None = None

    is_unbiased: ClassVar[bool] = True
    examples: ClassVar[Examples] = (
        {"budget": 3.5},
        {"budget": 3.5, "wire": "hybrid"},
        {"budget": 0.5, "float_bit": 64},
        {"variance": 2.0},
        {"variance": 0.1, "wire": "hybrid", "index": "auto"},
    )
    sweep: ClassVar[Examples] = (
        {"budget": 25.0, "wire": "hybrid"},
        {"budget": 100.0, "wire": "hybrid"},
        {"budget": 25.0, "wire": "hybrid", "index": "auto"},
    )

    def __post_init__(self) -> None:
        if (self.budget is None) == (self.variance is None):
            got = "neither" if self.budget is None else "both"
            raise ConfigError([Fault(("budget",), "either budget or variance is needed", got)])

    def level(self, x: Array) -> float:
        """Return 1/lambda for a vector that is not zero."""
        if self.budget is None:
            return level_of_variance(x, self.variance or 0.0)
        return optimal_level(x, self.budget)

    def write(self, x: Array, key: Key, out: BitWriter, memory: Any = None) -> PaperBits:
        """Draw, and append what was hit."""
        places = np.flatnonzero(x)
        level = self.level(x) if places.size else 1.0
        p = probabilities(x[places], level)
        hit = uniforms(key, places) < p
        places, p = places[hit], p[hit]
        kept = x[places].astype(np.float64, copy=False)
        if self.wire == "hybrid":
            return self._write_hybrid(out, x.size, level, (places[p == 1], kept[p == 1]), (places[p < 1], kept[p < 1]))
        return self.write_entries(places, np.where(p < 1, np.copysign(level, kept), kept), x.size, out)

    def read_entries(self, src: BitReader, dim: int, key: Key | None = None) -> tuple[Indices, Floats]:
        """Read the entries off the bit stream."""
        return self._read_hybrid(src, dim) if self.wire == "hybrid" else super().read_entries(src, dim)

    def size(self, dim: int) -> CodeSize:
        """Return p0 = 0, p1 = lg d + FPP; of ``hybrid`` an upper bound, met where every entry has p = 1."""
        if self.wire == "hybrid":
            return CodeSize(self.float_bit, lg(dim) + self.float_bit, 2 * lg(dim + 1))
        return super().size(dim)

    def max_entries(self, dim: int) -> int:
        """Return `dim`: all entries may be sent."""
        return dim

    def decode_flop_at(self, src: BitReader, dim: int) -> float:
        """Return one multiplication for each entry that the payload holds; all of them with ``hybrid``."""
        return read_count(src, dim) if self.wire == "plain" else dim

    def encode_flop(self, dim: int) -> float:
        """Return eight for each entry: magnitude, unit, sum, comparison, probability, draw, comparison, value."""
        return 8 * dim

    def max_size_bytes(self, dim: int) -> int:
        """Return an upper bound on the payload; ``hybrid`` has two index sections of d indices in all."""
        if self.wire == "plain" or self.index == "fixed":
            return super().max_size_bytes(dim)
        rest = 2 * lg(dim + 1) + self.float_bit * (1 + dim)
        return math.ceil((rest + 2 * most_index_bit(dim, dim, self.index)) / 8)

    def variance_bound(self, dim: int) -> float:
        """Return w = d/T - 1, and 0 from T = d on; eps."""
        if self.budget is None:
            return self.variance or 0.0
        return max(dim / self.budget - 1.0, 0.0)

    def _write_hybrid(
        self, out: BitWriter, dim: int, level: float, sure: tuple[Indices, Floats], drawn: tuple[Indices, Floats]
    ) -> PaperBits:
        n1, n0 = sure[0].size, drawn[0].size
        write_count(out, n1, dim)
        write_count(out, n0, dim)
        if n1 + n0 == 0:
            return PaperBits()
        scale = self.rounded(np.array([level]), self.float_bit, what="1/lambda")
        values = self.rounded(sure[1], self.float_bit, sure[0])
        out.floats(scale, self.float_bit)
        index_bit = write_indices(out, sure[0], dim, self.index) + write_indices(out, drawn[0], dim, self.index)
        out.floats(values, self.float_bit)
        out.signs(drawn[1] < 0)
        return PaperBits(index_bit, self.float_bit * (1 + n1) + n0)

    def _read_hybrid(self, src: BitReader, dim: int) -> tuple[Indices, Floats]:
        n1, n0 = read_count(src, dim), read_count(src, dim)
        if n1 + n0 > dim:
            raise DecodeError(f"payload: at most {dim} entries fit. Got counts of {n1} and {n0}.")
        if n1 + n0 == 0:
            return np.zeros(0, np.int64), np.zeros(0)
        level = read_scale(src, self.float_bit)
        sure, drawn = (read_indices(src, count, dim, self.index) for count in (n1, n0))
        indices = np.concatenate([sure, drawn])
        if np.unique(indices).size < indices.size:
            raise DecodeError("payload: an index stands for one entry. Got one twice.")
        values = src.floats(n1, self.float_bit)
        return indices, np.concatenate([values, np.where(src.signs(n0), -level, level)])
