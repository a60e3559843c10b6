"""The loop of `algorithms.compressors.fractional`, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.compiling import kernel


@kernel
def codes(x: Any, ends: Any, unit: float, sums: Any, counts: Any, out: Any) -> None:
    """Find each entry's level l, the number of ends above |x_i|, and add |x_i| / unit and 1 to sum and count of l.

    Parameters
    ----------
    x
        float32 or float64, shape (n,).
    ends
        float64, shape (L - 1,), falling, L a power of two.
    sums, counts
        float64, shape (L,), added to here.
    out
        uint64, shape (n,), filled here with 2 l + (x_i < 0).
    """
    for i in range(x.size):
        magnitude = abs(np.float64(x[i]))
        level, step = 0, sums.size >> 1
        while step > 0:
            # Binary search without a branch: the processor cannot guess which half holds the entry.
            level += step * int(ends[level + step - 1] > magnitude)
            step >>= 1
        sums[level] += magnitude / unit
        counts[level] += 1.0
        out[i] = np.uint64(2 * level + int(x[i] < 0))
