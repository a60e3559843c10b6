"""Stochastic rounding and packing of long vectors for `algorithms.coding.levels`, in blocks that stay in cache.

A level is a fixed-point number: |x_i - low| times a factor, with `fraction` bits behind the point. A random word is
added below the point, and what is before the point then is the rounded level. Loops are short and separate and go over
slices from 0 on: written so, they become vector code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.coding.kernels.draws import dense_words
from netsim.compiling import kernel

BLOCK = 8192  # a multiple of the 1024 of `dense_words`; what a block needs stays in a second-level cache


@kernel
def _round_block(
    x: Any, low: Any, factor: float, top: float, fraction: int, negative: Any, words: Any, codes: Any, levels: Any
) -> None:
    """Round up to BLOCK entries of one bucket; `negative` is a code's sign bit, `levels` is int32 to work in."""
    # Fixed-point levels: 0.5 rounds to the nearest of them, and `top` is the highest that there is.
    if low == 0:
        for i in range(x.size):
            y = abs(np.float64(x[i]) * factor) + 0.5
            levels[i] = np.int32(y if y < top else top)
    else:
        offset = np.float64(low)
        for i in range(x.size):
            y = abs((np.float64(x[i]) - offset) * factor) + 0.5
            levels[i] = np.int32(y if y < top else top)
    # Add the random bits and shift them away. Constants keep the shifts in 32 bits, of which a vector holds twice as
    # many as of the 64 that numba promotes to: hence one loop for each fraction.
    if fraction == 28:
        for i in range(x.size):
            raised = np.uint32(np.uint32(levels[i]) + np.uint32(words[i] >> np.uint32(4)))
            level = np.int32(np.uint32(raised >> np.uint32(28)))
            codes[i] = np.uint8(level | (negative if x[i] < low else np.int32(0)))
    else:
        for i in range(x.size):
            raised = np.uint32(np.uint32(levels[i]) + np.uint32(words[i] >> np.uint32(8)))
            level = np.int32(np.uint32(raised >> np.uint32(24)))
            codes[i] = np.uint8(level | (negative if x[i] < low else np.int32(0)))


@kernel
def _round_buckets(
    x: Any,
    low: Any,
    first: int,
    bucket: int,
    factors: Any,
    top: float,
    fraction: int,
    sign: int,
    words: Any,
    codes: Any,
    levels: Any,
) -> None:
    """Round entries of several buckets, each part that lies in one bucket with that bucket's factor."""
    negative = np.int32(1 << sign)
    start = 0
    while start < x.size:
        # Up to the end of the bucket, of the entries, or of the room in `levels`.
        here = (first + start) // bucket
        stop = min((here + 1) * bucket - first, x.size, start + BLOCK)
        draws, target = words[start:stop], codes[start:stop]
        _round_block(x[start:stop], low, factors[here], top, fraction, negative, draws, target, levels)
        start = stop


@kernel
def round_small(
    x: Any,
    low: Any,
    first: int,
    bucket: int,
    factors: Any,
    top: float,
    fraction: int,
    sign: int,
    words: Any,
    codes: Any,
) -> None:
    """Round to levels of 7 bits or fewer: codes[i] = level | (x_i < low) << sign.

    Parameters
    ----------
    x
        float32 or float64, shape (n,): entries `first` and following of a vector.
    low
        A number of the same type.
    factors
        float64, one for each bucket of the vector: |x_i - low| factor is the level with `fraction` bits behind the
        point.
    top
        The highest level in that form, plus 0.5.
    fraction
        28 or 24.
    words
        uint32, shape (n,), random: their upper `fraction` bits decide.
    codes
        uint8, shape (n,), filled here.
    """
    _round_buckets(x, low, first, bucket, factors, top, fraction, sign, words, codes, np.empty(BLOCK, np.int32))


@kernel
def round_large(
    x: Any, low: Any, first: int, bucket: int, factors: Any, top: float, sign: int, words: Any, codes: Any
) -> None:
    """Round to levels of 8 to 16 bits, with 32 bits behind the point; as `round_small`, but `codes` is uint32."""
    offset = np.float64(low)
    start = 0
    while start < x.size:
        here = (first + start) // bucket
        stop = min((here + 1) * bucket - first, x.size)
        factor = factors[here]
        entries, draws, target = x[start:stop], words[start:stop], codes[start:stop]
        for i in range(entries.size):
            # 16 bits of level and 32 behind the point need words of 64.
            y = abs(np.float64(entries[i]) - offset) * factor + 0.5
            level = (np.uint64(np.int64(y if y < top else top)) + np.uint64(draws[i])) >> np.uint64(32)
            target[i] = np.uint32(level) | np.uint32(np.uint32(entries[i] < low) << np.uint32(sign))
        start = stop


@kernel
def encode_small(
    x: Any,
    low: Any,
    bucket: int,
    factors: Any,
    top: float,
    fraction: int,
    sign: int,
    key: Any,
    counter_high: Any,
    counter_low: Any,
    width: int,
    octets: Any,
) -> None:
    """Draw, round and pack a whole vector, block by block.

    Parameters
    ----------
    key, counter_high, counter_low
        uint64 scalars; the last is the counter of coordinate 0.
    width
        Bits of a code.
    octets
        uint8, shape (ceil(d width / 8),), filled here.
    """
    words, codes, levels = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.int32)
    # What one step writes the next one reads: a block stays in the cache between them.
    for first in range(0, x.size, BLOCK):
        part = x[first : first + BLOCK]
        size = part.size
        draws, target = words[:size], codes[:size]
        dense_words(key, counter_high, counter_low + np.uint64(first >> 2), words[: (size + 1023) & ~1023])
        _round_buckets(part, low, first, bucket, factors, top, fraction, sign, draws, target, levels)
        pack(codes[:size], width, octets[first * width >> 3 : ((first + size) * width + 7) >> 3])


@kernel
def pack(codes: Any, width: int, octets: Any) -> None:
    """Pack `width` bits (1 to 8) of each code, low bits first.

    Parameters
    ----------
    codes
        uint8, shape (n,), each below ``2**width``.
    octets
        uint8, shape (ceil(n width / 8),), filled here.
    """
    # Two codes are an octet: the commonest width has a loop of its own.
    if width == 4:
        for i in range(codes.size >> 1):
            octets[i] = codes[2 * i] | np.uint8(codes[2 * i + 1] << np.uint8(4))
        if codes.size & 1:
            octets[codes.size >> 1] = codes[codes.size - 1]
        return
    # Eight codes are `width` octets, whatever the width.
    word, used, place = np.uint64(0), 0, 0
    whole = codes.size >> 3
    for i in range(whole):
        word = np.uint64(0)
        for j in range(8):
            word |= np.uint64(codes[8 * i + j]) << np.uint64(j * width)
        for j in range(width):
            octets[width * i + j] = np.uint8(word >> np.uint64(8 * j))
    # The last codes, fewer than eight.
    word, used, place = np.uint64(0), 0, whole * width
    for i in range(8 * whole, codes.size):
        word |= np.uint64(codes[i]) << np.uint64(used)
        used += width
    while place < octets.size:
        octets[place] = np.uint8(word)
        word >>= np.uint64(8)
        place += 1


@kernel
def unpack(octets: Any, width: int, codes: Any) -> None:
    """Read the codes that `pack` wrote; arguments as there, `codes` is filled."""
    if width == 4:
        for i in range(codes.size >> 1):
            codes[2 * i] = octets[i] & np.uint8(15)
            codes[2 * i + 1] = octets[i] >> np.uint8(4)
        if codes.size & 1:
            codes[codes.size - 1] = octets[codes.size >> 1] & np.uint8(15)
        return
    # Eight codes at a time from `width` octets; at the end there may be fewer of both.
    mask = np.uint64((1 << width) - 1)
    for i in range((codes.size + 7) >> 3):
        word = np.uint64(0)
        for j in range(min(width, octets.size - width * i)):
            word |= np.uint64(octets[width * i + j]) << np.uint64(8 * j)
        for j in range(min(8, codes.size - 8 * i)):
            codes[8 * i + j] = np.uint8((word >> np.uint64(j * width)) & mask)
