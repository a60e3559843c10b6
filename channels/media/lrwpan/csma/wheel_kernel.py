"""Timers of nodes and acknowledgements: a wheel of buckets with a bit for each that is not empty, compiled.

Each entity has one timer. A bucket holds, as a linked list, the entities whose timer ends within its 65.5 us; no timer
ends farther ahead than the wheel spans. The wheel is one int64 array: the first entity of each bucket's list or -1,
then the bits, 64 in a word.
"""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import numpy as np

from channels.media.lrwpan.csma.compiling import inner
from channels.media.lrwpan.csma.tables import AT, BUCKET_BITS, FOREVER, NEXT

# A de Bruijn sequence: its product with a power of two has that power's own number in the upper six bits.
_DEBRUIJN = np.uint64(0x03F79D71B4CB0A89)
_PLACES = np.zeros(64, np.int64)
for _i in range(64):
    _PLACES[((1 << _i) * 0x03F79D71B4CB0A89 & (1 << 64) - 1) >> 58] = _i


@inner
def lowest_bit(x):
    """Return the index of the lowest bit that is set."""
    return _PLACES[((x & (~x + np.uint64(1))) * _DEBRUIJN) >> np.uint64(58)]


@inner
def buckets(wheel):
    """Return the number of buckets: a power of two."""
    # A word of bits stands for 64 buckets.
    return wheel.size // 65 * 64


@inner
def push(wheel, timer, entity, at):
    """Start an entity's timer, which ends at `at`."""
    # In front of the bucket's list; the order within a bucket is settled when it is taken out.
    size = buckets(wheel)
    bucket = (at >> BUCKET_BITS) & (size - 1)
    timer[AT, entity], timer[NEXT, entity] = at, wheel[bucket]
    wheel[bucket] = entity
    wheel[size + (bucket >> 6)] |= np.int64(np.uint64(1) << np.uint64(bucket & 63))


@inner
def remove(wheel, timer, entity):
    """Cancel an entity's timer."""
    size = buckets(wheel)
    bucket = (timer[AT, entity] >> BUCKET_BITS) & (size - 1)
    # Lists are short: the entity before this one is looked for from the front.
    if wheel[bucket] == entity:
        wheel[bucket] = timer[NEXT, entity]
    else:
        before = wheel[bucket]
        while timer[NEXT, before] != entity:
            before = timer[NEXT, before]
        timer[NEXT, before] = timer[NEXT, entity]
    if wheel[bucket] < 0:
        wheel[size + (bucket >> 6)] &= ~np.int64(np.uint64(1) << np.uint64(bucket & 63))
    timer[AT, entity] = FOREVER


@inner
def empty(wheel, timer):
    """Empty all buckets, and leave the times in `timer`."""
    size = buckets(wheel)
    for entity in range(timer.shape[1]):
        if timer[AT, entity] != FOREVER:
            bucket = (timer[AT, entity] >> BUCKET_BITS) & (size - 1)
            wheel[bucket] = -1
            wheel[size + (bucket >> 6)] = 0


@inner
def next_bucket(wheel, now):
    """Return the first bucket from that of `now` on that is not empty; -1 if all are."""
    size = buckets(wheel)
    first = (now >> BUCKET_BITS) & (size - 1)
    # The rest of the first word, then word after word once around, the first one again as the last.
    many = size >> 6
    word = first >> 6
    bits = np.uint64(wheel[size + word]) >> np.uint64(first & 63)
    if bits != np.uint64(0):
        return first + lowest_bit(bits)
    for k in range(1, many + 1):
        there = (word + k) & (many - 1)
        bits = np.uint64(wheel[size + there])
        if bits != np.uint64(0):
            return 64 * there + lowest_bit(bits)
    return np.int64(-1)
