"""The k entries of largest magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.coding import select
from algorithms.coding.bits import FloatBit
from algorithms.coding.indices import IndexCode
from algorithms.coding.sparse import Kept, ValueCode
from netsim.interfaces import Array, Indices
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class TopK(Kept, ValueCode):
    """Q(x) = x on the T = min(k, nonzeros) entries of largest |x_i|, ties to the lowest index; 0 elsewhere.

    With A(T) the sum of their squares, ||Q - x||^2 = (1 - alpha) ||x||^2 and <x, Q> = ||Q||^2, where
    alpha = A(T) / ||x||^2 >= k/d, so it is a contraction with delta = k/d.

    Payload: lg(d+1) bits for T, lg d for each index, FPP for each value, in that order. The paper counts
    T (lg d + FPP).

    Parameters
    ----------
    k
        Entries to keep; more than d means all of them.
    fraction
        Instead of `k`: this share of d, rounded down, but at least one.
    float_bit
        FPP, bits of one float: 64, 32 or 16 (IEEE 754).
    index
        How indices are coded; ``fixed`` is lg d each, as above, ``auto`` the shortest code for each message.

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

    float_bit: FloatBit = 32
    index: IndexCode = "fixed"

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

    def support(self, x: Array) -> Indices:
        """Return the T largest entries, ascending."""
        return select.top_k(x, self.max_entries(x.size))

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons of each entry."""
        return 2 * dim

    def contraction(self, dim: int) -> float:
        """Return delta = k/d."""
        return self.max_entries(dim) / dim
