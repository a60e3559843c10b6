"""Compiled passes of `threshold_v`, at about the speed of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from algorithms.coding.kernels.select import LANES, lowest_bit, reaching


@njit(cache=True)
def count(keys: Any, mask: Any, threshold: Any) -> int:
    """How many i have (keys[i] & mask) >= threshold; keys uint32 or uint64, the others scalars of that type."""
    total = 0
    for i in range(keys.size):
        total += int((keys[i] & mask) >= threshold)
    return total


@njit(cache=True)
def collect(keys: Any, mask: Any, threshold: Any, found: Any) -> None:
    """Fill `found`, int64 and as long as `count` says, with these i, ascending."""
    size = 0
    whole = keys.size - keys.size % LANES
    for start in range(0, whole, LANES):
        left = reaching(keys, start, mask, threshold)
        while left != 0:
            found[size] = start + lowest_bit(left)
            size += 1
            left &= left - np.uint64(1)
    for i in range(whole, keys.size):
        if (keys[i] & mask) >= threshold:
            found[size] = i
            size += 1
