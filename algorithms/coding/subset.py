"""Uniform random subsets from a key: the same for sender and reader, in time and memory of the subset."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from netsim.compiling import IS_ON
from netsim.interfaces import Indices, Key
from netsim.rng import philox

COMPILED_FROM = 8192  # members; below, numpy is quick enough and numba is never imported

_BY_HAND = 8  # Philox blocks that are quicker without arrays
_MASK = 0xFFFFFFFF
_FIRST = 2**63  # counters from here on; those below belong to coordinates
_HALF = np.uint64(32)


def subset(key: Key, dim: int, count: int) -> Indices:
    """Return `count` of the numbers 0 .. dim - 1, ascending, every such set equally likely.

    Draw j = 0, 1, 2, ... gives the number floor(w_j dim / 2**64), w_j a 64-bit word of its own counter; the first
    `count` different ones are the set, or what is missing from it where it holds more than half of all. So no number's
    probability differs from 1/dim by more than 2**-64, and at most 1.39 draws a member are expected.

    Parameters
    ----------
    key
        Draw j takes words 0 and 1 of the counter 2**63 + j, which is no coordinate's.
    dim
        Below 2**32.
    count
        0 to dim.

    Examples
    --------
    >>> subset(Key(0, 0), 10, 3).tolist(), subset(Key(0, 0), 10, 7).tolist()
    ([3, 8, 9], [0, 1, 2, 4, 5, 6, 7])
    """
    if 2 * count > dim:
        left = np.ones(dim, np.bool_)
        left[_distinct(key, dim, dim - count)] = False
        return np.flatnonzero(left)
    return _distinct(key, dim, count)


def derived(key: Key, count: int) -> list[Key]:
    """Return keys for the parts 0 .. count - 1 of a composed code; their draws are independent of those of `key`.

    Part t has the four words of the counter 2**64 - 1 - t, which is no coordinate's.

    Examples
    --------
    >>> first, second = derived(Key(0, 0), 2)
    >>> first == second
    False
    """
    if count <= _BY_HAND:
        blocks = [_philox_block(key, 2**64 - 1 - t) for t in range(count)]
    else:
        blocks = philox(key.key, key.counter, np.uint64(2**64 - 1) - np.arange(count, dtype=np.uint64)).tolist()
    return [Key(w0 | w1 << 32, w2 | w3 << 32) for w0, w1, w2, w3 in blocks]


def derived_or_none(key: Key | None, count: int) -> list[Key] | list[None]:
    """Return `derived` keys for a reader, who may have no key."""
    return [None] * count if key is None else derived(key, count)


def _philox_block(key: Key, counter: int) -> list[int]:
    """Return the four words of one counter of `netsim.rng.philox`, in Python integers: faster for a few of them."""
    c0, c1, c2, c3 = counter & _MASK, counter >> 32, key.counter & _MASK, key.counter >> 32
    k0, k1 = key.key & _MASK, key.key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return [c0, c1, c2, c3]


def _distinct(key: Key, dim: int, count: int) -> Indices:
    """Return the first `count` different draws, ascending."""
    if IS_ON and count >= COMPILED_FROM:
        members, seen = np.empty(count, np.int64), np.zeros((dim + 63) >> 6, np.uint64)
        kernels.subset.distinct(np.uint64(key.key), np.uint64(key.counter), np.uint64(dim), seen, members)
        return members
    drawn: Indices = np.zeros(0, np.int64)
    while True:
        more = 8 + 3 * (count - drawn.size) // 2
        drawn = np.concatenate([drawn, _numbers(key, dim, drawn.size, more)])
        different, first = np.unique(drawn, return_index=True)
        if different.size >= count:
            return np.sort(drawn[np.sort(first)[:count]])


def _numbers(key: Key, dim: int, start: int, count: int) -> Indices:
    counters = np.uint64(_FIRST + start) + np.arange(count, dtype=np.uint64)
    words: npt.NDArray[np.uint64] = philox(key.key, key.counter, counters).astype(np.uint64)
    size = np.uint64(dim)
    return ((words[:, 1] * size + (words[:, 0] * size >> _HALF)) >> _HALF).astype(np.int64)
