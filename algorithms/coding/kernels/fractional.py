"""Compiled twin of the loop in `fractional`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def codes(x: Any, ends: Any, unit: float, sums: Any, counts: Any, out: Any) -> None:
    """out[i] = 2 l + (x_i < 0), l the number of ends above |x_i|; adds |x_i| / unit and 1 to level l.

    Parameters
    ----------
    x
        float32 or float64, shape (n,).
    ends
        float64, shape (L - 1,), falling, L a power of two.
    sums, counts
        float64, shape (L,), added to here.
    out
        uint64, shape (n,), filled here.
    """
    for i in range(x.size):
        magnitude = abs(np.float64(x[i]))
        level, step = 0, sums.size >> 1
        while step > 0:
            # Without a branch: which half it is cannot be guessed.
            level += step * int(ends[level + step - 1] > magnitude)
            step >>= 1
        sums[level] += magnitude / unit
        counts[level] += 1.0
        out[i] = np.uint64(2 * level + int(x[i] < 0))
