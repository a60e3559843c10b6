"""Philox4x32-10 compiled; equal to `netsim.rng.philox`, word for word."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(inline="always")  # numba needs every 32-bit step cast back, or it promotes to 64 bits
def _rounds(low: Any, high: Any, key: Any) -> Any:
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0, c1, c2, c3 = low & mask, low >> half, high & mask, high >> half
    k0, k1 = key & mask, key >> half
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> half) ^ c1 ^ k0, (p0 >> half) ^ c3 ^ k1
        c1, c3 = p1 & mask, p0 & mask
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


@njit(cache=True)
def words(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Four 32-bit words for each counter.

    Parameters
    ----------
    key, counter_high
        uint64 scalars.
    counter_low
        uint64, shape (n,).
    out
        uint32, shape (n, 4), filled here.
    """
    for i in range(counter_low.size):
        c0, c1, c2, c3 = _rounds(counter_low[i], counter_high, key)
        out[i, 0], out[i, 1] = np.uint32(c0), np.uint32(c1)
        out[i, 2], out[i, 3] = np.uint32(c2), np.uint32(c3)


@njit(cache=True)
def uniforms(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """One uniform of 53 bits for each counter, from words 0 and 1; arguments as in `words`, `out` float64."""
    for i in range(counter_low.size):
        c0, c1, _, _ = _rounds(counter_low[i], counter_high, key)
        out[i] = np.float64(c0) * 2.0**-32 + np.float64(c1 >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def dense_block(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Four words of each of 256 counters, from `counter_low` on: word w of counter j stands at 256 w + j.

    Parameters
    ----------
    key, counter_high, counter_low
        uint64 scalars.
    out
        uint32, shape (1024,), filled here.
    """
    for j in range(256):
        c0, c1, c2, c3 = _rounds(counter_low + np.uint64(j), counter_high, key)
        out[j], out[256 + j] = np.uint32(c0), np.uint32(c1)
        out[512 + j], out[768 + j] = np.uint32(c2), np.uint32(c3)


@njit(cache=True)
def dense_words(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """The same for whole blocks one after the other, shape (1024 n,)."""
    for block in range(out.size >> 10):
        dense_block(key, counter_high, counter_low + np.uint64(block << 8), out[1024 * block : 1024 * (block + 1)])
