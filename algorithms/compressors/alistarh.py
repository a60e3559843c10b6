"""Signs of just so many entries that their magnitudes add up to the vector's norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.coding import select
from algorithms.coding.codec import squared_norm
from algorithms.coding.sparse import SignCode, SupportCode
from netsim.interfaces import Array, Indices
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class Alistarh(SupportCode, SignCode):
    """`sign_top_k` at T_A, the smallest T with S(T) >= ||x||, S(T) the sum of the T largest magnitudes.

    T_A <= ceil(sqrt(d)), so with beta = S(T)^2 / (T ||x||^2) >= 1/T_A it is a contraction with delta = 1/ceil(sqrt(d)).

    Payload: lg(d+1) bits for T, FPP for the scale, lg d for each index, one for each sign, in that order; only T where
    it is 0. The paper counts FPP + T (lg d + 1).

    Deviation: the scale is S(T)/T, not ||x||; see `sign_top_k`.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD: communication-efficient SGD via gradient quantization and encoding",
    NeurIPS 2017, quantised gradient descent.

    Examples
    --------
    >>> import numpy as np
    >>> payload = Alistarh().encode(np.array([3.0, -2.0, 1.0, 0.0]), np.random.default_rng(1))
    >>> Alistarh().decode(payload.data, 4).tolist()
    [2.5, -2.5, 0.0, 0.0]
    """

    examples: ClassVar[Examples] = ({}, {"float_bit": 64}, {"index": "rice"})
    sweep: ClassVar[Examples] = ({"index": "auto", "float_bit": 16},)

    def support(self, x: Array) -> Indices:
        """Return the T_A largest entries, ascending."""
        largest = select.top_k(x, self.max_entries(x.size))
        if largest.size == 0:
            return largest
        self.require_finite(x[largest], largest)
        magnitudes = np.abs(x[largest].astype(np.float64))
        # In units of the largest entry nothing overflows, whatever the vector's scale.
        peak = float(magnitudes.max())
        order = np.argsort(-magnitudes, kind="stable")
        sums = np.add.accumulate(magnitudes[order] / peak)
        enough = int(np.searchsorted(sums, math.sqrt(squared_norm(x, peak)))) + 1
        return np.sort(largest[order[:enough]])

    def max_entries(self, dim: int) -> int:
        """Return ceil(sqrt(dim)), which T_A never exceeds."""
        return math.isqrt(dim - 1) + 1

    def encode_flop(self, dim: int) -> float:
        """Return two comparisons, a square and an addition an entry; four for each of the ceil(sqrt(d)) largest."""
        return 4 * (dim + self.max_entries(dim))

    def contraction(self, dim: int) -> float:
        """Return delta = 1/ceil(sqrt(d))."""
        return 1 / self.max_entries(dim)
