"""The search of `algorithms.compressors.spherical`, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.compiling import kernel

LANES = 16


@kernel
def first_hits(blocks: Any, reach: Any, table: Any, first: int, found: Any) -> int:
    """Find for each block that has no point yet the first point z of the table with <z, block> >= reach.

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
        int64, shape (n,), -1 where a block has no point yet; found places in the stream are filled in here.

    Returns
    -------
    How many blocks still have no point.
    """
    products = np.empty(LANES)
    missing = 0
    for b in range(blocks.shape[0]):
        if found[b] >= 0:
            continue
        start = 0
        while start < table.shape[1] and found[b] < 0:
            # Products with 16 points at once. Each is summed in the order of the block's entries, as in numpy.
            products[:] = 0.0
            for k in range(blocks.shape[1]):
                entry = blocks[b, k]
                for j in range(LANES):
                    products[j] += entry * table[k, start + j]
            # Count hits first, which becomes vector code; look for the place only where there is one.
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
