"""The draws of `algorithms.coding.subset`, compiled: one bit for each number tells whether it has been drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.coding.kernels.draws import _rounds
from netsim.compiling import kernel


@kernel
def distinct(key: Any, counter_high: Any, dim: Any, seen: Any, members: Any) -> None:
    """Draw numbers below `dim` until `count` different ones are there, and list them in ascending order.

    Parameters
    ----------
    key, counter_high, dim
        uint64 scalars.
    seen
        uint64 zeros, shape (ceil(dim / 64),).
    members
        int64, shape (count,), count <= dim, filled here.
    """
    # Words 0 and 1 are a fraction of 64 bits; its product with `dim`, rounded down, is the number.
    half, one, low6 = np.uint64(32), np.uint64(1), np.uint64(63)
    counter = np.uint64(0x8000000000000000)
    left = members.size
    while left > 0:
        w0, w1, _, _ = _rounds(counter, counter_high, key)
        counter += one
        number = (w1 * dim + ((w0 * dim) >> half)) >> half
        # A number that was drawn before sets its bit again and counts nothing.
        place, bit = number >> np.uint64(6), one << (number & low6)
        fresh = (seen[place] & bit) == 0
        seen[place] |= bit
        left -= int(fresh)
    # The bits in order are the members in order.
    size = 0
    for place in range(seen.size):
        word, number = seen[place], place << 6
        while word != 0:
            if word & one:
                members[size] = number
                size += 1
            word >>= one
            number += 1
