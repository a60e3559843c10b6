"""The k largest entries of a vector by magnitude: exact, ties to the lowest index, zeros never.

Magnitudes are compared as the bits of |x|, which order like the numbers and put infinity and NaN on top, so a
selection of one entry or more holds such an entry wherever there is one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from netsim.compiling import IS_ON, pays
from netsim.interfaces import Array, Indices

COMPILED_FROM = 16384  # entries; below, numpy is quick enough and numba is never imported
_SAMPLED_FROM = 4096
_SMALLEST = 1  # the key of the smallest magnitude that is not zero
# How far under the expected threshold to go, in standard deviations and ranks: too short once in a thousand; never.
_MARGINS = ((3.0, 2.0), (10.0, 20.0))

_MASKS: dict[int, Any] = {
    4: np.uint32(0x7FFFFFFF),
    8: np.uint64(0x7FFFFFFFFFFFFFFF),
}  # all but the sign, by bytes of a key

Keys = npt.NDArray[np.unsignedinteger[Any]]


class Candidates(NamedTuple):
    """Places whose magnitudes reach a threshold, ascending, and these magnitudes."""

    found: Indices
    magnitudes: Keys


def top_k(x: Array, k: int) -> Indices:
    """Return indices of the min(k, nonzeros) entries of largest |x_i|, ascending.

    A sample gives a threshold that at least k entries very probably reach, one pass collects those, and the
    exact choice is made among them. Where the sample misleads, a much lower threshold is tried, and then the choice
    is made among all nonzero entries.

    Parameters
    ----------
    x
        float32 or float64, shape (d,), C-contiguous.
    k
        0 or more.

    Examples
    --------
    >>> top_k(np.array([1.0, -3.0, 0.0, 3.0, 2.0]), 2).tolist()
    [1, 3]
    >>> top_k(np.array([1.0, -3.0, 0.0, 3.0, 2.0]), 9).tolist()
    [0, 1, 3, 4]
    """
    if k <= 0:
        return np.zeros(0, np.int64)
    keys = _keys(x)
    size, places = keys.size, _sample_places(x.size)
    compiled = pays(size, COMPILED_FROM)
    for deviations, ranks in _MARGINS:
        expected = k * places.size / size
        rank = math.ceil(expected + deviations * math.sqrt(expected) + ranks)
        if compiled:
            # The room is for twice as many as should reach the threshold.
            capacity, chosen = (
                min(size, 2 * rank * size // max(places.size, 1) + 4096),
                np.empty(min(k, size), np.int64),
            )
            count = kernels.select.top_k(keys, places, _MASKS[keys.itemsize], rank, capacity, chosen)
            if count >= 0:
                return chosen if count == chosen.size else chosen[:count].copy()
        else:
            threshold = _sampled(keys, places, rank)
            candidates = _collect(keys, threshold)
            if candidates.found.size >= k or threshold == _SMALLEST:
                return _choose(candidates, k)
    return _choose(_collect(keys, _SMALLEST), k)


def _keys(x: Array) -> Keys:
    return x.view(np.uint32 if x.dtype == np.float32 else np.uint64)


def _without_sign(keys: Keys) -> Keys:
    magnitudes: Keys = keys & _MASKS[keys.itemsize]
    return magnitudes


@lru_cache(maxsize=8)
def _sample_places(size: int) -> Indices:
    """Return one place in each of 1024 to 65,536 equal strides, moved by a hash so that periodic data cannot hide.

    None of a short vector.
    """
    if size < _SAMPLED_FROM:
        return np.zeros(0, np.int64)
    count = min(max(size // 256, 1024), 65536)
    stride = size // count
    hashed = (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return np.arange(count) * stride + ((hashed * np.uint64(stride)) >> np.uint64(32)).astype(np.int64)


def _sampled(keys: Keys, places: Indices, rank: int) -> int:
    """Return the magnitude of that rank among the nonzeros at some places; the smallest where they are too few."""
    sample = _without_sign(keys[places])
    sample = sample[sample != 0]
    return _SMALLEST if rank >= sample.size else _kth_largest(sample, rank)


def _collect(keys: Keys, threshold: int) -> Candidates:
    magnitudes = _without_sign(keys)
    found = np.flatnonzero(magnitudes >= keys.dtype.type(threshold))
    return Candidates(found, magnitudes[found])


def collect(keys: Keys, threshold: int, capacity: int) -> Candidates | None:
    """Return the places whose keys without their sign reach a threshold; None if they are more than `capacity`.

    Parameters
    ----------
    keys
        uint32 or uint64, the bits of floats, shape (d,), C-contiguous.
    threshold
        1 or more.
    """
    if not IS_ON:
        candidates = _collect(keys, threshold)
        return candidates if candidates.found.size <= capacity else None
    room = capacity + kernels.select.LANES
    found, magnitudes = np.empty(room, np.int64), np.empty(room, keys.dtype)
    count = kernels.select.collect(keys, _MASKS[keys.itemsize], keys.dtype.type(threshold - 1), found, magnitudes)
    return None if count < 0 else Candidates(found[:count], magnitudes[:count])


def _choose(candidates: Candidates, k: int) -> Indices:
    """Choose the k largest candidates, ties to the lowest index."""
    found, magnitudes = candidates
    if found.size <= k:
        return found.copy()
    kth = _kth_largest(magnitudes, k)
    kept = magnitudes > kth
    ties = k - int(np.count_nonzero(kept))
    kept[np.flatnonzero(magnitudes == kth)[:ties]] = True
    return found[kept]


def _kth_largest(magnitudes: Keys, k: int) -> int:
    return int(np.partition(magnitudes, magnitudes.size - k)[magnitudes.size - k])
