"""The k entries of largest magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.coding.sparse import Largest, ValueCode
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class TopK(Largest, ValueCode):
    """Q(x) = x on the T = min(k, nonzeros) entries of largest |x_i|, ties to the lowest index; 0 elsewhere.

    With A(T) the sum of their squares, ||Q - x||^2 = (1 - alpha) ||x||^2 and <x, Q> = ||Q||^2, where
    alpha = A(T) / ||x||^2 >= k/d, so it is a contraction with delta = k/d.

    Payload: lg(d+1) bits for T, lg d for each index, FPP for each value, in that order. The paper counts
    T (lg d + FPP).

    References
    ----------
    Stich, Cordonnier, Jaggi, "Sparsified SGD with memory", NeurIPS 2018. Khirirat, Magnusson, Aytekin, Johansson,
    "A flexible framework for communication-efficient machine learning", AAAI 2021, sparsification S.

    Examples
    --------
    >>> import numpy as np
    >>> codec = TopK(k=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 0.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist(), payload.paper_bit
    ([0.0, -3.0, 0.0, 2.0], 68.0)
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
        {"fraction": 0.03, "index": "auto", "float_bit": 16},
        {"fraction": 0.3, "index": "auto", "float_bit": 16},
    )

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons of each entry."""
        return 2 * dim

    def contraction(self, dim: int) -> float:
        """Return delta = k/d."""
        return self.max_entries(dim) / dim
