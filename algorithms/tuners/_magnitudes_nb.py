"""Compiled passes over large vectors; imported only by `_magnitudes`, whose numpy lines are their twins.

Sums run in 128 fixed float64 lanes: they vectorise, and their bits are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

LANES = 128
BLOCK = 64


@numba.njit(cache=True)
def total(lanes: Any) -> Any:
    """The lanes added up in order (`lanes.sum()` takes longer to compile than all the rest)."""
    out = 0.0
    for lane in lanes:
        out += lane
    return out


@numba.njit(cache=True)
def energy_from(x: Any, threshold: Any) -> Any:
    """sum x_i^2 over |x_i| >= threshold."""
    lanes = np.zeros(LANES)
    full = x.size - x.size % LANES
    for start in range(0, full, LANES):
        for j in range(LANES):
            v = np.float64(x[start + j])
            lanes[j] += v * v * np.float64(abs(x[start + j]) >= threshold)
    for i in range(full, x.size):
        v = np.float64(x[i])
        lanes[i - full] += v * v * np.float64(abs(x[i]) >= threshold)
    return total(lanes)


@numba.njit(cache=True)
def mass_below(x: Any, threshold: Any) -> Any:
    """sum |x_i| over |x_i| < threshold."""
    lanes = np.zeros(LANES)
    full = x.size - x.size % LANES
    for start in range(0, full, LANES):
        for j in range(LANES):
            v = abs(x[start + j])
            lanes[j] += np.float64(v) * np.float64(v < threshold)
    for i in range(full, x.size):
        v = abs(x[i])
        lanes[i - full] += np.float64(v) * np.float64(v < threshold)
    return total(lanes)


@numba.njit(cache=True)
def above(x: Any, low: Any, out: Any) -> int:
    """Write every |x_i| >= low into `out`, in index order; how many, or -1 where `out` may be too short.

    Each block is compared as a whole first, which vectorises; where it has a hit, its entries are appended
    without a branch. `out` needs `BLOCK` places more than there are hits.
    """
    n = 0
    full = x.size - x.size % BLOCK
    for start in range(0, full, BLOCK):
        hit = False
        for i in range(start, start + BLOCK):
            hit |= abs(x[i]) >= low
        if hit:
            if n + BLOCK > out.size:
                return -1
            for i in range(start, start + BLOCK):
                v = abs(x[i])
                out[n] = v
                n += int(v >= low)
    if n + x.size - full > out.size:
        return -1
    for i in range(full, x.size):
        v = abs(x[i])
        if v >= low:
            out[n] = v
            n += 1
    return n


@numba.njit(cache=True)
def fixed_point(pool: Any, c0: float, c1: float) -> tuple[int, float]:
    """`affine.fixed_point` in place: the first n of `pool` are what it keeps; n and the sum of their squares."""
    n, least = pool.size, np.zeros(1, pool.dtype)[0]
    while n > 0:
        energy = energy_from(pool[:n], least)
        tau = c1 * energy / (c0 + c1 * n)
        kept = 0
        for i in range(n):
            v = pool[i]
            pool[kept] = v
            kept += int(np.float64(v) * np.float64(v) > tau)
        if kept == n:
            return n, energy
        n = kept
    return 0, 0.0
