"""The compiled passes of `_select`: one over the vector at about the speed of memory, the others over what it found."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LANES = 64  # keys that are compared at once, whatever the processor's vectors hold
PARTS = 512

_BATCH = 64  # words of comparisons between two looks at their bits: 16 to 32 kB of keys, which stay near
_AHEAD_BYTES = 2048  # where a pass is, what it will read next is asked for this far on
_CACHE_LINE_BYTES = 64

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FIRST = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)


def _compared(context: Any, builder: Any, kind: Any, arguments: Any, *, signed: bool) -> Any:
    """A word of 64 comparisons, in LLVM's vectors: numba has no word for a result of one bit a lane."""
    array, first, *scalars = arguments
    vector = ir.VectorType(context.get_data_type(kind.dtype), LANES)
    blank = ir.Constant(vector, ir.Undefined)
    lane0 = (builder.insert_element(blank, scalar, ir.Constant(_I32, 0)) for scalar in scalars)
    masks, bounds = (builder.shuffle_vector(one, blank, _FIRST) for one in lane0)
    place = builder.gep(context.make_array(kind)(context, builder, array).data, [first])
    key_bytes = kind.dtype.bitwidth // 8
    _fetch(builder, builder.bitcast(place, _I8.as_pointer()), key_bytes * LANES)
    loaded = builder.load(builder.bitcast(place, vector.as_pointer()))
    loaded.align = key_bytes
    masked = builder.and_(loaded, masks)
    lanes = builder.icmp_signed(">", masked, bounds) if signed else builder.icmp_unsigned(">=", masked, bounds)
    return builder.bitcast(lanes, _I64)


@intrinsic
def _reaching(typing_context: Any, keys: Any, start: Any, mask: Any, threshold: Any) -> Any:
    """A word whose bit j says whether (keys[start + j] & mask) >= threshold."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _compared(context, builder, signature.args[0], arguments, signed=False)

    return types.uint64(keys, types.intp, keys.dtype, keys.dtype), build


@intrinsic
def _exceeding(typing_context: Any, keys: Any, start: Any, mask: Any, floor: Any) -> Any:
    """A word whose bit j says whether (keys[start + j] & mask) > floor, for numbers without their top bit: quicker."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _compared(context, builder, signature.args[0], arguments, signed=True)

    return types.uint64(keys, types.intp, keys.dtype, keys.dtype), build


def _fetch(builder: Any, place: Any, count_bytes: int) -> None:
    """Ask for what lies ahead of a place; beyond the end of memory that is nothing, not a fault."""
    kinds = [_I8.as_pointer(), _I32, _I32, _I32]
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", kinds[:1], ir.FunctionType(ir.VoidType(), kinds))
    to_read, often, data = _I32(0), _I32(3), _I32(1)
    for line in range(0, count_bytes, _CACHE_LINE_BYTES):
        builder.call(prefetch, [builder.gep(place, [_I64(_AHEAD_BYTES + line)]), to_read, often, data])


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """The place of the lowest 1 in a word; 64 where there is none."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


# A call has no typing context: to the type checker, too, they are what the compiler sees.
reaching: Any = _reaching
exceeding: Any = _exceeding
lowest_bit: Any = _lowest_bit


@njit(cache=True)
def collect(keys: Any, mask: Any, floor: Any, found: Any, magnitudes: Any) -> int:
    """Collect the places i with (keys[i] & mask) > floor, ascending, and what stands there.

    Words without a bit are dropped without a branch: whether there is one in 64 keys would often be guessed wrong.

    Parameters
    ----------
    keys
        uint32 or uint64, shape (d,), C-contiguous.
    mask, floor
        Scalars of the same type, without its top bit.
    found, magnitudes
        int64 and the type of the keys, shape (capacity + 64,) each, filled here with i and keys[i] & mask; the 64
        places are room to work in.

    Returns
    -------
    How many there are; -1 where they are more than `capacity`.
    """
    count, room = 0, found.size - LANES
    words, starts = np.empty(_BATCH, np.uint64), np.empty(_BATCH, np.int64)
    whole = keys.size - keys.size % LANES
    for first in range(0, whole, _BATCH * LANES):
        some = 0
        for start in range(first, min(first + _BATCH * LANES, whole), LANES):
            word = exceeding(keys, start, mask, floor)
            words[some], starts[some] = word, start
            some += int(word != 0)
        for i in range(some):
            left, start = words[i], starts[i]
            if count > room:
                return -1
            while left != 0:
                place = start + lowest_bit(left)
                found[count], magnitudes[count] = place, keys[place] & mask
                count += 1
                left &= left - np.uint64(1)
    if count > room:
        return -1
    for place in range(whole, keys.size):
        found[count], magnitudes[count] = place, keys[place] & mask
        count += int(magnitudes[count] > floor)
    return -1 if count > room else count


@njit(cache=True)
def kth_largest(keys: Any, k: int) -> Any:
    """The k-th largest key: in which of 512 equal parts of their range it lies, and so on in that part.

    Ties and repeated keys cost nothing extra.

    Parameters
    ----------
    keys
        uint32 or uint64 without their top bit, shape (n,), C-contiguous.
    k
        1 to n.
    """
    pool, rank = keys, k
    while True:
        low = high = pool[0]
        for i in range(pool.size):  # with min() and max() it would not become vector code
            low = pool[i] if pool[i] < low else low
            high = pool[i] if pool[i] > high else high
        first, shift = np.int64(low), 0
        while (np.int64(high) - first) >> shift >= PARTS:
            shift += 1
        counts = np.zeros(PARTS, np.int64)
        for i in range(pool.size):
            counts[(np.int64(pool[i]) - first) >> shift] += 1
        part = (np.int64(high) - first) >> shift
        while counts[part] < rank:
            rank -= counts[part]
            part -= 1
        if shift == 0:
            return first + part
        inside = np.empty(counts[part], keys.dtype)
        size = 0
        for i in range(pool.size):
            if (np.int64(pool[i]) - first) >> shift == part:
                inside[size] = pool[i]
                size += 1
        pool = inside


@njit(cache=True)
def sampled(keys: Any, places: Any, mask: Any, rank: int) -> Any:
    """The magnitude of that rank among the nonzeros at `places`; 1, the smallest there is, where they are too few.

    Parameters
    ----------
    keys
        uint32 or uint64, shape (d,), C-contiguous.
    places
        int64, shape (n,).
    mask
        A scalar of the type of the keys: all bits but the sign.
    rank
        1 or more.
    """
    sample, size = np.empty(places.size, keys.dtype), 0
    for i in range(places.size):
        sample[size] = keys[places[i]] & mask
        size += int(sample[size] != 0)
    return kth_largest(sample[:size], rank) if rank < size else 1


@njit(cache=True)
def choose(found: Any, magnitudes: Any, chosen: Any) -> None:
    """Fill `chosen` with the places of the largest magnitudes, in the order of `found`, ties to the first of them.

    Parameters
    ----------
    found, magnitudes
        As `collect` fills them.
    chosen
        int64, shape (k,), k from 1 to as many as were found.
    """
    kth = kth_largest(magnitudes, chosen.size)
    ties = chosen.size
    for i in range(magnitudes.size):
        ties -= int(np.int64(magnitudes[i]) > kth)
    # No branch depends on the data: it would be guessed wrong for every third candidate.
    size, i = 0, 0
    while size < chosen.size:
        magnitude = np.int64(magnitudes[i])
        tie = int(magnitude == kth) & int(ties > 0)
        ties -= tie
        chosen[size] = found[i]
        size += tie | int(magnitude > kth)
        i += 1
