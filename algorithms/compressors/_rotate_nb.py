"""The Walsh-Hadamard transform compiled, in two passes over memory; the same sums as in `_rotate`, bit for bit."""

from __future__ import annotations

from typing import Any

from numba import njit

ROW = 4096  # entries whose stages run in the first cache
TILE = 16  # columns of the second pass that are copied together


@njit(cache=True)
def _stages(y: Any, first: int, size: int, width: int) -> None:
    """All stages over `size` groups of `width` neighbours each, from entry `first` on."""
    half = width
    while half < size * width:
        for start in range(first, first + size * width, 2 * half):
            for i in range(start, start + half):
                a, b = y[i], y[i + half]
                y[i], y[i + half] = a + b, a - b
        half *= 2


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
        _stages(y, first, ROW, 1)
    rows = y.size // ROW
    if rows == 1:
        return
    flat = scratch.reshape(-1)
    for column in range(0, ROW, TILE):
        for row in range(rows):
            for i in range(TILE):
                scratch[row, i] = y[row * ROW + column + i]
        _stages(flat, 0, rows, TILE)
        for row in range(rows):
            for i in range(TILE):
                y[row * ROW + column + i] = scratch[row, i]
