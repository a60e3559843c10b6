"""Passes over large vectors for `algorithms.tuners.magnitudes`, compiled; the numpy lines there do the same.

Sums run in 128 fixed float64 lanes, entry i in lane i mod 128: such loops become vector code, and the bits are the same
on every machine. Conditions are factors of 0 or 1, since a branch would keep a loop from becoming vector code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.compiling import kernel

LANES = 128


@kernel
def total(lanes: Any) -> Any:
    """Add up the lanes in order; `lanes.sum()` would take longer to compile than all the rest."""
    out = 0.0
    for lane in lanes:
        out += lane
    return out


@kernel
def energy(x: Any) -> Any:
    """Return sum x_i^2: the same bits as `energy_from` with 0, in half the time."""
    lanes = np.zeros(LANES)
    full = x.size - x.size % LANES
    for start in range(0, full, LANES):
        for j in range(LANES):
            v = np.float64(x[start + j])
            lanes[j] += v * v
    # The last entries go to the first lanes.
    for i in range(full, x.size):
        v = np.float64(x[i])
        lanes[i - full] += v * v
    return total(lanes)


@kernel
def energy_from(x: Any, threshold: Any) -> Any:
    """Return sum x_i^2 over |x_i| >= threshold."""
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


@kernel
def mass_below(x: Any, threshold: Any) -> Any:
    """Return sum |x_i| over |x_i| < threshold."""
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


@kernel
def fixed_point(places: Any, pool: Any, c0: float, c1: float) -> tuple[int, float]:
    """Run `algorithms.tuners.affine.fixed_point` in place; return how many magnitudes it keeps and their energy.

    The first entries of both arrays are then the kept ones. tau is the cost's price of one more magnitude, so that
    each step drops those whose square is not above tau; tau then rises, until a step drops none.
    """
    n = pool.size
    while n > 0:
        kept_energy = energy(pool[:n])
        tau = c1 * kept_energy / (c0 + c1 * n)
        # Each is moved to the front and counts if it stays: no branch.
        kept = 0
        for i in range(n):
            v = pool[i]
            pool[kept], places[kept] = v, places[i]
            kept += int(np.float64(v) * np.float64(v) > tau)
        if kept == n:
            return n, kept_energy
        n = kept
    return 0, 0.0
