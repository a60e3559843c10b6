"""The signs of the k entries of largest magnitude, times their mean magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.coding.sparse import Largest, SignCode
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class SignTopK(Largest, SignCode):
    """Q(x) = (S(T)/T) sign(x) on the T = min(k, nonzeros) entries of largest |x_i|; 0 elsewhere.

    S(T) is the sum of their magnitudes. Of all multiples of that sign pattern Q is the one nearest to x:
    ||x - Q||^2 = (1 - beta) ||x||^2 and <x, Q> = ||Q||^2 = beta ||x||^2 with beta = S(T)^2 / (T ||x||^2) >= 1/d, so
    it is a contraction with delta = 1/d.

    Payload: lg(d+1) bits for T, FPP for the scale, lg d for each index, one for each sign, in that order; only T where
    it is 0. The paper counts FPP + T (lg d + 1).

    Deviation: the paper's raw form sends ||x|| instead of S(T)/T, from which a server cannot form the step; the
    iterates are the same.

    References
    ----------
    Khirirat, Magnusson, Aytekin, Johansson, "A flexible framework for communication-efficient machine learning",
    AAAI 2021, sparsification with quantisation S+Q. Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD", NeurIPS 2019,
    SignTop_k with m = 1.

    Examples
    --------
    >>> import numpy as np
    >>> codec = SignTopK(k=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 0.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), payload.paper_bit
    ([0.0, -2.5, 0.0, 2.5], 38.0)
    """

    examples: ClassVar[Examples] = (
        {"k": 3},
        {"fraction": 0.1},
        {"k": 5, "float_bit": 64},
        {"fraction": 0.2, "index": "auto"},
    )
    sweep: ClassVar[Examples] = (
        {"fraction": 0.01},
        {"fraction": 0.3},
        {"fraction": 1.0},
        {"fraction": 0.3, "index": "auto", "float_bit": 16},
    )

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons of each entry; an addition and a comparison of each one sent."""
        return 2 * dim + 2 * self.max_entries(dim)

    def contraction(self, dim: int) -> float:
        """Return delta = 1/d, met by x = (1, ..., 1) with k = 1."""
        return 1 / dim
