"""Compiled twins of the loops in `sparse_dithering`: levels, signs and sums of a block, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def _gather(levels: Any) -> int:
    """Move the levels that are not 0 to the front; how many there are."""
    count = 0
    for i in range(levels.size):
        level = levels[i]
        levels[count] = level
        count += int(level > 0)
    return count


@njit(cache=True)
def nearest(x: Any, step: float, levels: Any, trits: Any, lanes: Any) -> int:
    """k_i = floor(|x_i| / step + 1/2), their trits, and sum k_i |x_i| and sum k_i^2 added in lanes i mod 16.

    Parameters
    ----------
    x
        float32 or float64, shape (n,).
    levels, trits
        uint64 and uint8, shape (n,), filled here: the k_i > 0 in order, then anything; a trit is 0 where k_i = 0, else
        1 for plus and 2 for minus.
    lanes
        float64, shape (2, 16), added to here.

    Returns
    -------
    How many k_i > 0 there are.
    """
    products, squares = lanes[0], lanes[1]
    whole = x.size - x.size % 16
    for i in range(x.size):
        level = np.floor(abs(np.float64(x[i])) / step + 0.5)
        levels[i] = np.uint64(np.int64(level))
        trits[i] = np.uint8(level > 0) << np.uint8(x[i] < 0)
    for i in range(0, whole, 16):
        for j in range(16):
            level = np.float64(np.int64(levels[i + j]))
            products[j] += level * abs(np.float64(x[i + j]))
            squares[j] += level * level
    for i in range(whole, x.size):
        level = np.float64(np.int64(levels[i]))
        products[i - whole] += level * abs(np.float64(x[i]))
        squares[i - whole] += level * level
    return int(_gather(levels))


@njit(cache=True)
def drawn(x: Any, step: float, draws: Any, levels: Any, trits: Any) -> int:
    """k_i = floor(y_i), and one more where the draw is below its fraction, y_i = |x_i| / step; and their trits.

    Parameters
    ----------
    x
        float32 or float64, shape (n,).
    draws
        float64 in [0, 1), shape (n,).
    levels, trits
        As in `nearest`.

    Returns
    -------
    How many k_i > 0 there are.
    """
    for i in range(x.size):
        y = abs(np.float64(x[i])) / step
        low = np.floor(y)
        level = low + np.float64(draws[i] < y - low)
        levels[i] = np.uint64(np.int64(level))
        trits[i] = np.uint8(level > 0) << np.uint8(x[i] < 0)
    return int(_gather(levels))


@njit(cache=True)
def place(trits: Any, levels: Any, scale: float, x: Any) -> None:
    """x_i = +-scale k where the trit is not 0, the levels in order; 0 elsewhere.

    Parameters
    ----------
    trits
        uint8, shape (d,).
    levels
        uint64, one more than there are trits that are not 0.
    x
        float64, shape (d,), filled here.
    """
    factors = np.array([0.0, scale, -scale])
    j = np.int64(0)
    for i in range(trits.size):
        trit = np.int64(trits[i])
        x[i] = factors[trit] * np.float64(np.int64(levels[j]))
        j += np.int64(trit > 0)
