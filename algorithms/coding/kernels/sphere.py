"""Compiled twin of the search in `spherical`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LANES = 16


@njit(cache=True)
def first_hits(blocks: Any, reach: Any, table: Any, first: int, found: Any) -> int:
    """For each block without a point so far, the first point z of the table with <z, block> >= reach.

    Parameters
    ----------
    blocks
        float64, shape (n, d).
    reach
        float64, shape (n,).
    table
        float64, shape (d, m), a point per column, m a multiple of 16.
    first
        The place of the first point in its stream.
    found
        int64, shape (n,), -1 where there is no point yet; places are filled in here.

    Returns
    -------
    How many blocks still have none.
    """
    products = np.empty(LANES)
    missing = 0
    for b in range(blocks.shape[0]):
        if found[b] >= 0:
            continue
        start = 0
        while start < table.shape[1] and found[b] < 0:
            products[:] = 0.0
            for k in range(blocks.shape[1]):
                entry = blocks[b, k]
                for j in range(LANES):
                    products[j] += entry * table[k, start + j]
            hits = 0
            for j in range(LANES):
                hits += int(products[j] >= reach[b])
            if hits > 0:
                j = 0
                while products[j] < reach[b]:
                    j += 1
                found[b] = first + start + j
            start += LANES
        missing += int(found[b] < 0)
    return missing
