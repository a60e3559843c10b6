"""Passes of `algorithms.compressors.threshold_v`, compiled: about as quick as the vector can be read."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.coding.kernels.select import LANES, lowest_bit, reaching
from netsim.compiling import kernel


@kernel
def count(keys: Any, mask: Any, threshold: Any) -> int:
    """Count the i with (keys[i] & mask) >= threshold; keys are uint32 or uint64, the others scalars of that type."""
    total = 0
    for i in range(keys.size):
        total += int((keys[i] & mask) >= threshold)
    return total


@kernel
def collect(keys: Any, mask: Any, threshold: Any, found: Any) -> None:
    """Fill `found`, int64 and as long as `count` says, with these i in ascending order."""
    size = 0
    whole = keys.size - keys.size % LANES
    # 64 comparisons are a word; its bits are taken from the lowest on, each cleared once it is noted.
    for start in range(0, whole, LANES):
        left = reaching(keys, start, mask, threshold)
        while left != 0:
            found[size] = start + lowest_bit(left)
            size += 1
            left &= left - np.uint64(1)
    # The last keys, fewer than 64, one by one.
    for i in range(whole, keys.size):
        if (keys[i] & mask) >= threshold:
            found[size] = i
            size += 1
