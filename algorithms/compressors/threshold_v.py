"""The entries whose magnitude reaches a threshold, however many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.sparse import SupportCode, ValueCode
from netsim.compiling import IS_ON
from netsim.fields import PositiveFloat
from netsim.interfaces import Array, Indices
from netsim.registry import Examples, component

COMPILED_FROM = 16384  # entries


_KEYS: dict[int, Any] = {
    4: (np.uint32, np.uint32(2**31 - 1)),
    8: (np.uint64, np.uint64(2**63 - 1)),
}  # by bytes of a number: its bits as a whole number, and all of them but the sign


def reaching(x: Array, v: Array) -> Indices:
    """Return the places with |x_i| >= v, or NaN, ascending: magnitudes compare like their bits without the sign.

    Parameters
    ----------
    x
        float32 or float64, shape (d,), C-contiguous.
    v
        Shape (1,), of the same type, above 0.
    """
    kind, mask = _KEYS[x.itemsize]
    keys, threshold = x.view(kind), v.view(kind)[0]
    if not IS_ON or keys.size < COMPILED_FROM:
        return np.flatnonzero((keys & mask) >= threshold)
    found = np.empty(kernels.threshold.count(keys, mask, threshold), np.int64)
    kernels.threshold.collect(keys, mask, threshold, found)
    return found


@component("compressor")
@dataclass(frozen=True)
class ThresholdV(SupportCode, ValueCode):
    """Q_i = x_i where |x_i| >= v, else 0.

    ||Q - x||^2 < d v^2, whatever x is: the error is absolute. No share of ||x||^2 bounds it, so there is neither w nor
    delta; of all sets of T entries the one kept is the best, ||Q - x||^2 = (1 - alpha(T)) ||x||^2 as in `top_k`.

    Payload: lg(d+1) bits for T, lg d for each index, FPP for each value, in that order. The paper counts
    T (lg d + FPP).

    Parameters
    ----------
    v
        Above 0, in the unit of the vector. A threshold that the vector's float type does not hold is rounded up.

    References
    ----------
    Sahu, Dutta, Abdelmoniem, Banerjee, Canini, Kalnis, "Rethinking gradient sparsification as total error
    minimization", NeurIPS 2021, hard-threshold sparsifier. Dutta, Bergou, Abdelmoniem, Ho, Sahu, Canini, Kalnis, "On
    the discrepancy between the theoretical analysis and practical implementations of compressed communication for
    distributed deep learning", AAAI 2020.

    Examples
    --------
    >>> codec = ThresholdV(v=1.0)
    >>> payload = codec.encode(np.array([0.5, -3.0, 1.0, 2.0]), np.random.default_rng(1))
    >>> codec.decode(payload.data, 4).tolist()
    [0.0, -3.0, 1.0, 2.0]
    """

    v: PositiveFloat

    examples: ClassVar[Examples] = (
        {"v": 1.0},
        {"v": 1e-100, "float_bit": 64},
        {"v": 0.5, "index": "auto"},
    )
    sweep: ClassVar[Examples] = (
        {"v": 0.15, "index": "auto"},
        {"v": 0.1, "index": "auto"},
        {"v": 0.05, "index": "auto"},
    )

    def support(self, x: Array) -> Indices:
        """Return the entries that reach v, ascending; NaN reaches everything."""
        v = np.array([self.v])
        if x.dtype == np.float32:
            with np.errstate(over="ignore", under="ignore"):
                rounded = v.astype(np.float32)
            v = np.where(rounded < v, np.nextafter(rounded, np.float32(np.inf)), rounded).astype(np.float32)
        return reaching(x, v)

    def max_entries(self, dim: int) -> int:
        """Return `dim`: all entries may be sent."""
        return dim
