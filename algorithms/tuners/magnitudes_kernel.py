"""Compiled passes over large vectors; imported only by `_magnitudes`, whose numpy lines are their twins.

Sums run in 128 fixed float64 lanes: they vectorise, and their bits are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

LANES = 128


@numba.njit(cache=True)
def total(lanes: Any) -> Any:
    """The lanes added up in order (`lanes.sum()` takes longer to compile than all the rest)."""
    out = 0.0
    for lane in lanes:
        out += lane
    return out


@numba.njit(cache=True)
def energy(x: Any) -> Any:
    """sum x_i^2; the same bits as `energy_from` with 0, in half the time."""
    lanes = np.zeros(LANES)
    full = x.size - x.size % LANES
    for start in range(0, full, LANES):
        for j in range(LANES):
            v = np.float64(x[start + j])
            lanes[j] += v * v
    for i in range(full, x.size):
        v = np.float64(x[i])
        lanes[i - full] += v * v
    return total(lanes)


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
def fixed_point(places: Any, pool: Any, c0: float, c1: float) -> tuple[int, float]:
    """`affine.fixed_point` in place: the first n of both arrays are what it keeps; n and the sum of their squares."""
    n = pool.size
    while n > 0:
        kept_energy = energy(pool[:n])
        tau = c1 * kept_energy / (c0 + c1 * n)
        kept = 0
        for i in range(n):
            v = pool[i]
            pool[kept], places[kept] = v, places[i]
            kept += int(np.float64(v) * np.float64(v) > tau)
        if kept == n:
            return n, kept_energy
        n = kept
    return 0, 0.0
