"""Sums over long vectors in 16 fixed lanes: as quick as a copy, and the same bits on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def lane_sums(x: Any, bucket: int, offset: float, factor: float, kind: int, lanes: Any) -> None:
    """Entry i of its bucket adds y, |y| or y^2 to lane i mod 16, y = (x_i - offset) factor.

    Parameters
    ----------
    x
        float32 or float64, shape (d,).
    bucket
        Entries of a bucket; the last may have fewer.
    kind
        0: y, 1: |y|, 2: y^2.
    lanes
        float64, shape (ceil(d / bucket), 16), filled here.
    """
    for b in range(lanes.shape[0]):
        part = x[b * bucket : min((b + 1) * bucket, x.size)]
        sums = np.zeros(16)
        whole = part.size - part.size % 16
        for i in range(0, whole, 16):
            for j in range(16):
                y = (np.float64(part[i + j]) - offset) * factor
                sums[j] += y * y if kind == 2 else (abs(y) if kind == 1 else y)
        for j in range(part.size - whole):
            y = (np.float64(part[whole + j]) - offset) * factor
            sums[j] += y * y if kind == 2 else (abs(y) if kind == 1 else y)
        lanes[b] = sums
