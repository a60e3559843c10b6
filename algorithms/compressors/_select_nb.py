"""The compiled passes of `_select`: one over the vector at about the speed of memory, one that ranks what it found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BLOCK = 4096  # keys whose flags stay in the first-level cache

_PLACES = np.uint64(0x0001020304050607)  # times 2**(8 j) has j in its top byte; byte j of an octet is flag j


@njit(cache=True)
def collect(keys: Any, mask: Any, threshold: Any, found: Any) -> int:
    """Collect the places i with (keys[i] & mask) >= threshold, ascending.

    Parameters
    ----------
    keys
        uint32 or uint64, shape (d,).
    mask, threshold
        Scalars of the same type.
    found
        int64, shape (capacity + 8,), filled here.

    Returns
    -------
    How many there are; -1 where they are more than `capacity`.
    """
    flags = np.empty(BLOCK, np.uint8)
    octets = flags.view(np.uint64)
    queue = np.empty(octets.size, np.int64)
    capacity = found.size - 8
    count = 0
    blocks_end = keys.size - keys.size % BLOCK
    for start in range(0, blocks_end, BLOCK):
        block = keys[start : start + BLOCK]
        # These two loops have no branch: the first becomes vector code, the second finds the octets with a flag.
        for j in range(BLOCK):
            flags[j] = np.uint8((block[j] & mask) >= threshold)
        hits = 0
        for octet in range(octets.size):
            queue[hits] = octet
            hits += int(octets[octet] != 0)
        for hit in range(hits):
            if count > capacity:
                return -1
            left = octets[queue[hit]]
            while left != 0:
                lowest = left & (np.uint64(0) - left)
                found[count] = start + 8 * queue[hit] + np.int64((lowest * _PLACES) >> np.uint64(56))
                count += 1
                left ^= lowest
    for i in range(blocks_end, keys.size):
        if (keys[i] & mask) >= threshold:
            if count >= capacity:
                return -1
            found[count] = i
            count += 1
    return count if count <= capacity else -1


@njit(cache=True)
def kth_largest(keys: Any, k: int) -> Any:
    """The k-th largest key, by eleven bits at a time; ties and repeated keys cost nothing extra.

    Parameters
    ----------
    keys
        uint32 or uint64 without their top bit, shape (n,), C-contiguous.
    k
        1 to n.
    """
    pool, rank, kth = keys, k, np.int64(0)
    shift = 8 * keys.itemsize - 12
    while True:
        counts = np.zeros(2048, np.int64)
        for i in range(pool.size):
            counts[(np.int64(pool[i]) >> shift) & 2047] += 1
        digit = 2047
        while counts[digit] < rank:
            rank -= counts[digit]
            digit -= 1
        kth |= np.int64(digit) << shift
        if shift == 0:
            return kth
        inside = np.empty(counts[digit], keys.dtype)
        size = 0
        for i in range(pool.size):
            if (np.int64(pool[i]) >> shift) & 2047 == digit:
                inside[size] = pool[i]
                size += 1
        pool, shift = inside, max(shift - 11, 0)
