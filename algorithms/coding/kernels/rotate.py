"""The Walsh-Hadamard transform compiled, in two passes over memory; the same sums as in `_rotate`, bit for bit."""

from __future__ import annotations

from typing import Any

from numba import njit

ROW = 4096  # entries whose stages run in the first cache
TILE = 16  # columns of the second pass that are copied together


@njit(cache=True)
def _eights(y: Any, first: int, size: int) -> None:
    """The first three stages, over groups of eight neighbours."""
    for i in range(first, first + size, 8):
        a0, a1, a2, a3 = y[i] + y[i + 1], y[i] - y[i + 1], y[i + 2] + y[i + 3], y[i + 2] - y[i + 3]
        a4, a5, a6, a7 = y[i + 4] + y[i + 5], y[i + 4] - y[i + 5], y[i + 6] + y[i + 7], y[i + 6] - y[i + 7]
        b0, b1, b2, b3 = a0 + a2, a1 + a3, a0 - a2, a1 - a3
        b4, b5, b6, b7 = a4 + a6, a5 + a7, a4 - a6, a5 - a7
        y[i], y[i + 1], y[i + 2], y[i + 3] = b0 + b4, b1 + b5, b2 + b6, b3 + b7
        y[i + 4], y[i + 5], y[i + 6], y[i + 7] = b0 - b4, b1 - b5, b2 - b6, b3 - b7


@njit(cache=True)
def _stages(y: Any, first: int, size: int, half: int) -> None:
    """The stages from `half` on up to `size`, two at a time, over the `size` entries from entry `first` on."""
    while 4 * half <= size:
        for start in range(first, first + size, 4 * half):
            for i in range(start, start + half):
                a, b, c, d = y[i], y[i + half], y[i + 2 * half], y[i + 3 * half]
                s, t, u, v = a + b, a - b, c + d, c - d
                y[i], y[i + half], y[i + 2 * half], y[i + 3 * half] = s + u, t + v, s - u, t - v
        half *= 4
    if 2 * half <= size:
        for start in range(first, first + size, 2 * half):
            for i in range(start, start + half):
                a, b = y[i], y[i + half]
                y[i], y[i + half] = a + b, a - b


@njit(cache=True)
def walsh_hadamard(y: Any, scratch: Any) -> None:
    """Transform in place.

    Parameters
    ----------
    y
        float64, a power of two of entries, at least ROW.
    scratch
        float64, shape (y.size / ROW, TILE).
    """
    for first in range(0, y.size, ROW):
        _eights(y, first, ROW)
        _stages(y, first, ROW, 8)
    rows = y.size // ROW
    if rows == 1:
        return
    flat = scratch.reshape(-1)
    for column in range(0, ROW, TILE):
        for row in range(rows):
            for i in range(TILE):
                scratch[row, i] = y[row * ROW + column + i]
        _stages(flat, 0, rows * TILE, TILE)
        for row in range(rows):
            for i in range(TILE):
                y[row * ROW + column + i] = scratch[row, i]
