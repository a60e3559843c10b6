"""Loops of `algorithms.compressors.sparse_dithering`, compiled: levels, signs and sums of a block, and back.

A trit says whether an entry is kept and with which sign: 0 where its level is 0, 1 for plus, 2 for minus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.compiling import kernel


@kernel
def _gather(levels: Any) -> int:
    """Move the levels that are not 0 to the front and return how many there are."""
    # Each level is written, and the next one overwrites a 0: a branch would often be guessed wrong.
    count = 0
    for i in range(levels.size):
        level = levels[i]
        levels[count] = level
        count += int(level > 0)
    return count


@kernel
def nearest(x: Any, step: float, levels: Any, trits: Any, lanes: Any) -> int:
    """Round to the nearest levels, k_i = floor(|x_i| / step + 1/2), and add up sum k_i |x_i| and sum k_i^2.

    Parameters
    ----------
    x
        float32 or float64, shape (n,).
    levels, trits
        uint64 and uint8, shape (n,), filled here: the k_i > 0 in order, then anything; a trit is 0 where k_i = 0, else
        1 for plus and 2 for minus.
    lanes
        float64, shape (2, 16), added to here: entry i adds to lane i mod 16, which fixes the order of the sum.

    Returns
    -------
    How many k_i > 0 there are.
    """
    products, squares = lanes[0], lanes[1]
    whole = x.size - x.size % 16
    # Levels and trits first, alone: this loop becomes vector code.
    for i in range(x.size):
        level = np.floor(abs(np.float64(x[i])) / step + 0.5)
        levels[i] = np.uint64(np.int64(level))
        trits[i] = np.uint8(level > 0) << np.uint8(x[i] < 0)
    # Then the sums, 16 lanes at a time, and the last entries in the first lanes.
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


@kernel
def drawn(x: Any, step: float, draws: Any, levels: Any, trits: Any) -> int:
    """Round y_i = |x_i| / step at random: k_i = floor(y_i), and one more where the draw is below y_i's fraction.

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
        # The comparison is added as 0 or 1, without a branch, so that the loop becomes vector code.
        y = abs(np.float64(x[i])) / step
        low = np.floor(y)
        level = low + np.float64(draws[i] < y - low)
        levels[i] = np.uint64(np.int64(level))
        trits[i] = np.uint8(level > 0) << np.uint8(x[i] < 0)
    return int(_gather(levels))


@kernel
def place(trits: Any, levels: Any, scale: float, x: Any) -> None:
    """Put the levels back in order: x_i = +-scale k where the trit is not 0, else 0.

    Parameters
    ----------
    trits
        uint8, shape (d,).
    levels
        uint64, one more than there are trits that are not 0.
    x
        float64, shape (d,), filled here.
    """
    # A level is read for each entry and passed over only behind a trit that is not 0: hence one more level than trits.
    factors = np.array([0.0, scale, -scale])
    j = np.int64(0)
    for i in range(trits.size):
        trit = np.int64(trits[i])
        x[i] = factors[trit] * np.float64(np.int64(levels[j]))
        j += np.int64(trit > 0)
