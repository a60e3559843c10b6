"""k entries drawn uniformly from the r of largest magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.coding import select
from algorithms.coding.drawn import DrawnValues
from algorithms.coding.subset import subset
from netsim.errors import ConfigError, Fault
from netsim.fields import PositiveInt
from netsim.interfaces import Array, Floats, Indices, Key
from netsim.registry import Examples, component


@component("compressor")
@dataclass(frozen=True)
class RTopK(DrawnValues):
    """Q_i = x_i on K = min(k, R) coordinates drawn from the R = min(r, nonzeros) of largest |x_i|, 0 elsewhere.

    With A(R) the sum of the R largest squares, E||Q - x||^2 = ||x||^2 - (K/R) A(R) <= (1 - k/d) ||x||^2. `scaled`, the
    values are multiplied by R/K: then E Q is the vector of the R largest entries, and
    E||Q - x||^2 = ||x||^2 + (R/K - 2) A(R). r = k is `top_k`, r >= d without zeros is `rand_k`.

    Payload: lg(d+1) bits for K, lg d for each index, FPP for each value, in that order. The paper counts
    K (lg d + FPP).

    Parameters
    ----------
    k
        Entries to keep.
    r
        Entries to draw from, k or more.
    scaled
        Whether values are multiplied by R/K.

    References
    ----------
    Barnes, Inan, Isik, Ozgur, "rTop-k: a statistical estimation approach to distributed SGD", IEEE Journal on Selected
    Areas in Information Theory 2020, algorithm 1 (not scaled).

    Examples
    --------
    >>> codec = RTopK(k=1, r=2)
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -3.0, 0.0, 0.0]
    """

    counts_entries: ClassVar[tuple[str, ...]] = ("k", "r")

    k: PositiveInt
    r: PositiveInt
    scaled: bool = False

    examples: ClassVar[Examples] = (
        {"k": 3, "r": 9},
        {"k": 4, "r": 20, "scaled": True, "float_bit": 64},
        {"k": 3, "r": 9, "index": "auto"},
    )
    sweep: ClassVar[Examples] = (
        {"k": 25, "r": 50, "index": "auto"},
        {"k": 100, "r": 128, "index": "auto"},
    )

    def __post_init__(self) -> None:
        if self.r < self.k:
            raise ConfigError([Fault(("r",), f"a whole number >= k = {self.k}", str(self.r))])

    def draw(self, x: Array, key: Key) -> tuple[Indices, Floats]:
        """Draw K of the R largest."""
        largest = select.top_k(x, self.r)
        kept = min(self.k, largest.size)
        indices = largest[subset(key, largest.size, kept)] if kept else largest
        values = x[indices].astype(np.float64)
        if self.scaled and kept:
            with np.errstate(over="ignore"):  # refused when rounded
                values *= largest.size / kept
        return indices, values

    def max_entries(self, dim: int) -> int:
        """Return min(k, d)."""
        return min(self.k, dim)

    def variance_bound(self, dim: int) -> float:
        """Return 1 - k/d; scaled, the largest of R/K - 1 (x within R entries) and 1 + (R/K - 2) r/d (all equal)."""
        r, k = min(self.r, dim), self.max_entries(dim)
        return max(r / k - 1, 1 + (r / k - 2) * r / dim) if self.scaled else 1 - k / dim

    def encode_flop(self, dim: int) -> float:
        """Return a check of each entry and two comparisons for the selection; a draw and a product for each kept."""
        return 3 * dim + 2 * self.max_entries(dim)
