"""The Walsh-Hadamard transform of `algorithms.coding.rotate`, compiled: the same sums, bit for bit.

The transform of 2^k entries has k stages; stage j adds and subtracts entries 2^j apart. Run one after the other, each
stage would read the whole vector from memory. Here the vector is read twice: once for the stages within rows of 4096
entries, which fit into the first cache, and once for those between rows.
"""

from __future__ import annotations

from typing import Any

from netsim.compiling import kernel

ROW = 4096  # entries of a row
TILE = 16  # columns that the second pass copies together: two cache lines


@kernel
def _eights(y: Any, first: int, size: int) -> None:
    """Run the first three stages over groups of eight neighbours, which stay in registers."""
    for i in range(first, first + size, 8):
        # a: sums and differences of neighbours; b: of those two apart; then of those four apart.
        a0, a1, a2, a3 = y[i] + y[i + 1], y[i] - y[i + 1], y[i + 2] + y[i + 3], y[i + 2] - y[i + 3]
        a4, a5, a6, a7 = y[i + 4] + y[i + 5], y[i + 4] - y[i + 5], y[i + 6] + y[i + 7], y[i + 6] - y[i + 7]
        b0, b1, b2, b3 = a0 + a2, a1 + a3, a0 - a2, a1 - a3
        b4, b5, b6, b7 = a4 + a6, a5 + a7, a4 - a6, a5 - a7
        y[i], y[i + 1], y[i + 2], y[i + 3] = b0 + b4, b1 + b5, b2 + b6, b3 + b7
        y[i + 4], y[i + 5], y[i + 6], y[i + 7] = b0 - b4, b1 - b5, b2 - b6, b3 - b7


@kernel
def _stages(y: Any, first: int, size: int, half: int) -> None:
    """Run the stages from distance `half` up to `size`, two at a time, over `size` entries from `first` on."""
    # Two stages in one pass load and store each entry once instead of twice.
    while 4 * half <= size:
        for start in range(first, first + size, 4 * half):
            for i in range(start, start + half):
                a, b, c, d = y[i], y[i + half], y[i + 2 * half], y[i + 3 * half]
                s, t, u, v = a + b, a - b, c + d, c - d
                y[i], y[i + half], y[i + 2 * half], y[i + 3 * half] = s + u, t + v, s - u, t - v
        half *= 4
    # An odd number of stages leaves one.
    if 2 * half <= size:
        for start in range(first, first + size, 2 * half):
            for i in range(start, start + half):
                a, b = y[i], y[i + half]
                y[i], y[i + half] = a + b, a - b


@kernel
def walsh_hadamard(y: Any, scratch: Any) -> None:
    """Transform in place.

    Parameters
    ----------
    y
        float64, a power of two of entries, at least ROW.
    scratch
        float64, shape (y.size / ROW, TILE).
    """
    # First pass: all stages within a row.
    for first in range(0, y.size, ROW):
        _eights(y, first, ROW)
        _stages(y, first, ROW, 8)
    rows = y.size // ROW
    if rows == 1:
        return
    # Second pass: stages between rows. Entries of a column lie 32 kB apart and would push each other out of the cache,
    # so that 16 columns are copied to one place, transformed there and copied back.
    flat = scratch.reshape(-1)
    for column in range(0, ROW, TILE):
        for row in range(rows):
            for i in range(TILE):
                scratch[row, i] = y[row * ROW + column + i]
        _stages(flat, 0, rows * TILE, TILE)
        for row in range(rows):
            for i in range(TILE):
                y[row * ROW + column + i] = scratch[row, i]
