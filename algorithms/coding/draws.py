"""Uniform draws of a codec by coordinate: numpy for few, a compiled twin for many, the same numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from algorithms.coding import kernels
from netsim.compiling import pays
from netsim.interfaces import Floats, Indices, Key
from netsim.rng import philox

COMPILED_FROM = 8192  # draws

_DENSE = 2**63  # dense draws have counters of their own: they are independent of `uniforms` under the same key
_LOWER = 2**62

Words32 = npt.NDArray[np.uint32]


def uniforms(key: Key, coordinates: Indices) -> Floats:
    """Return one uniform in [0, 1) of 53 bits for each coordinate.

    Word 0 of the coordinate's Philox block gives the upper 32 bits, as in `netsim.rng.uniforms`, and word 1 the
    21 below them, so that a probability far below 2**-32 is met too.

    Examples
    --------
    >>> uniforms(Key(0, 0), np.arange(2)).round(6).tolist()
    [0.399046, 0.972241]
    """
    counters = np.ascontiguousarray(coordinates).astype(np.uint64)
    if pays(counters.size, COMPILED_FROM):
        draws = np.empty(counters.size)
        kernels.draws.uniforms(np.uint64(key.key), np.uint64(key.counter), counters, draws)
        return draws
    words = philox(key.key, key.counter, counters)
    return words[:, 0] * 2.0**-32 + (words[:, 1] >> np.uint32(11)) * 2.0**-53


def dense_words(key: Key, first: int, count: int, lower: bool = False) -> Words32:
    """Return 32 random bits for each coordinate first .. first + count - 1, using all words of a Philox block.

    Coordinate c takes word (c >> 8) & 3 of the block with counter 2^63 + 256 (c >> 10) + (c & 255): runs of 256
    coordinates take the same word of successive blocks, which fills vectors without a shuffle.

    Parameters
    ----------
    first
        A multiple of 1024.
    lower
        32 other bits of the same coordinates, with counters from 2^63 + 2^62 on, for those who need 64.

    Returns
    -------
    uint32, shape (count,).

    Examples
    --------
    >>> [f"{word:08x}" for word in dense_words(Key(0, 0), 0, 2)]
    ['a2b20ccf', '4d789cc1']
    """
    start = dense_counter(first) + lower * _LOWER
    if pays(count, COMPILED_FROM):
        words = np.empty((count + 1023) & ~1023, np.uint32)
        kernels.draws.dense_words(np.uint64(key.key), np.uint64(key.counter), np.uint64(start), words)
        return words[:count]
    blocks = (count + 1023) >> 10
    used = 256 if count > 256 else count
    counters = np.uint64(start) + np.arange(256 * (blocks - 1) + used, dtype=np.uint64)
    four = philox(key.key, key.counter, counters)
    if blocks > 1 or used == 256:
        return four.reshape(blocks, 256, 4).transpose(0, 2, 1).reshape(-1)[:count]
    return four[:, 0]


def dense_counter(first: int) -> int:
    """Return the counter of the block that holds coordinate `first`, a multiple of 1024, and the 255 after it."""
    return _DENSE + (first >> 2)


def words_at(key: Key, coordinates: Indices) -> Words32:
    """Return the words that `dense_words` gives for these coordinates, in any order.

    Examples
    --------
    >>> bool((words_at(Key(1, 2), np.array([5, 3000])) == dense_words(Key(1, 2), 0, 3001)[[5, 3000]]).all())
    True
    """
    c = np.ascontiguousarray(coordinates).astype(np.uint64)
    counters = (c >> np.uint64(10) << np.uint64(8)) + (c & np.uint64(255)) + np.uint64(_DENSE)
    word = (c >> np.uint64(8)) & np.uint64(3)
    return four_words(key, counters)[np.arange(c.size), word.astype(np.int64)]


def four_words(key: Key, counters: npt.NDArray[np.uint64]) -> Words32:
    """Return the four words of each counter, as `netsim.rng.philox` does."""
    if not pays(counters.size, COMPILED_FROM):
        return philox(key.key, key.counter, counters)
    words = np.empty((counters.size, 4), np.uint32)
    kernels.draws.words(np.uint64(key.key), np.uint64(key.counter), counters, words)
    return words
