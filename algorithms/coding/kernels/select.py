"""The passes of `algorithms.coding.select`, compiled: the k largest magnitudes, exactly.

Keys are the bits of floats without their sign: as integers they are in the order of the magnitudes. One pass reads the
vector, as quickly as memory gives it, and collects what exceeds a threshold from a sample; the others work on the few
keys that it found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from netsim.compiling import kernel

LANES = 64  # keys that are compared at once, whatever the processor's vectors hold
PARTS = 512

_BATCH = 64  # words of a run between two looks at their bits: four runs are 64 to 128 kB of keys, which stay near
_AHEAD_BYTES = 2048  # a pass asks for memory this far ahead of what it reads
_CACHE_LINE_BYTES = 64
_VECTOR_BYTES = 32  # of the vectors that `exceeding` is put together from

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _lanes(builder: Any, kind: Any, scalar: Any) -> Any:
    """Return a vector of that type that holds the scalar in each lane."""
    blank = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(blank, scalar, _I32(0))
    return builder.shuffle_vector(first, blank, _places([0] * kind.count))


def _places(places: list[int]) -> Any:
    """Return the lanes that a shuffle takes, as LLVM wants them."""
    return ir.Constant(ir.VectorType(_I32, len(places)), places)


def _loaded(builder: Any, vector: Any, place: Any) -> Any:
    """Load a vector that may begin at any key."""
    loaded = builder.load(builder.bitcast(place, vector.as_pointer()))
    loaded.align = vector.element.width // 8
    return loaded


@intrinsic
def _reaching(typing_context: Any, keys: Any, start: Any, mask: Any, threshold: Any) -> Any:
    """Compare 64 keys: bit j of the word says whether (keys[start + j] & mask) >= threshold. Fetch what follows."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, *scalars = arguments
        kind = signature.args[0]
        vector = ir.VectorType(context.get_data_type(kind.dtype), LANES)
        masks, bounds = (_lanes(builder, vector, scalar) for scalar in scalars)
        place = builder.gep(context.make_array(kind)(context, builder, array).data, [first])
        _fetch(builder, builder.bitcast(place, _I8.as_pointer()), kind.dtype.bitwidth // 8 * LANES)
        masked = builder.and_(_loaded(builder, vector, place), masks)
        return builder.bitcast(builder.icmp_unsigned(">=", masked, bounds), _I64)

    return types.uint64(keys, types.intp, keys.dtype, keys.dtype), build


@intrinsic
def _exceeding(typing_context: Any, keys: Any, start: Any, mask: Any, floor: Any) -> Any:
    """Compare 64 keys: bit j of the word says whether (keys[start + j] & mask) > floor, all without their top bit.

    Left to itself, the compiler exchanges the halves of vectors at each narrowing, which takes longer than to compare.
    Here results are narrowed to 16 bits within the halves, and the bytes taken from these in order.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, *scalars = arguments
        kind = signature.args[0]
        key_bytes = kind.dtype.bitwidth // 8
        count = _VECTOR_BYTES // key_bytes
        vector = ir.VectorType(context.get_data_type(kind.dtype), count)
        masks, bounds = (_lanes(builder, vector, scalar) for scalar in scalars)
        # Compare vector by vector: a lane is all ones where the key exceeds.
        data = context.make_array(kind)(context, builder, array).data
        parts, orders = [], []
        for lane in range(0, LANES, count):
            place = builder.gep(data, [builder.add(first, _I64(lane))])
            masked = builder.and_(_loaded(builder, vector, place), masks)
            parts.append(builder.sext(builder.icmp_signed(">", masked, bounds), vector))
            orders.append(list(range(lane, lane + count)))
        # Narrow to four vectors of 16 lanes of 16 bits; `orders` says which key each lane is of.
        while len(parts) > LANES // 16:
            parts, orders = _narrowed(builder, parts, orders)
        # Take one byte of each lane, in the order of the keys; the sign bits of 32 bytes are half of the word.
        octets = ir.VectorType(_I8, 32)
        word = _I64(0)
        for i in range(0, len(parts), 2):
            pair = (builder.bitcast(part, octets) for part in parts[i : i + 2])
            order = orders[i] + orders[i + 1]
            from_which = [2 * order.index(16 * i + lane) for lane in range(32)]
            ordered = builder.shuffle_vector(*pair, _places(from_which))
            bits = builder.bitcast(builder.icmp_signed("<", ordered, ir.Constant(octets, [0] * 32)), _I32)
            word = builder.or_(word, builder.shl(builder.zext(bits, _I64), _I64(16 * i)))
        return word

    return types.uint64(keys, types.intp, keys.dtype, keys.dtype), build


def _narrowed(builder: Any, parts: list[Any], orders: list[list[int]]) -> tuple[list[Any], list[list[int]]]:
    """Join vectors in pairs into one with lanes half as wide, each half from the same halves of both; and the order."""
    kind = parts[0].type
    count = 2 * kind.count
    narrow = ir.VectorType(ir.IntType(kind.element.width // 2), count)
    half = kind.count // 2
    low = list(range(0, kind.count, 2))
    sources = _places([lane + side + part for side in (0, kind.count) for part in (0, count) for lane in low])
    pairs = [
        builder.shuffle_vector(*(builder.bitcast(part, narrow) for part in parts[i : i + 2]), sources)
        for i in range(0, len(parts), 2)
    ]
    joined = [a[:half] + b[:half] + a[half:] + b[half:] for a, b in zip(orders[::2], orders[1::2], strict=True)]
    return pairs, joined


def _fetch(builder: Any, place: Any, count_bytes: int) -> None:
    """Ask the cache for what lies ahead of a place; beyond the end of memory that does nothing."""
    kinds = [_I8.as_pointer(), _I32, _I32, _I32]
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", kinds[:1], ir.FunctionType(ir.VoidType(), kinds))
    to_read, often, data = _I32(0), _I32(3), _I32(1)
    for line in range(0, count_bytes, _CACHE_LINE_BYTES):
        builder.call(prefetch, [builder.gep(place, [_I64(_AHEAD_BYTES + line)]), to_read, often, data])


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the place of the lowest 1 in a word; 64 if there is none."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


# A call has no typing context: to the type checker, too, they are what the compiler sees.
reaching: Any = _reaching
exceeding: Any = _exceeding
lowest_bit: Any = _lowest_bit


@kernel
def _note(keys: Any, start: int, mask: Any, floor: Any, words: Any, starts: Any, used: Any) -> Any:
    """Note a word of 64 comparisons and where they begin, and return how many words are kept."""
    # A word is written in any case; if it has no bit, the next one overwrites it.
    word = exceeding(keys, start, mask, floor)
    words[used], starts[used] = word, start
    return used + np.uint64(word != 0)


@kernel
def collect(keys: Any, mask: Any, floor: Any, found: Any, magnitudes: Any) -> Any:
    """Collect the places i with (keys[i] & mask) > floor, ascending, and what stands there.

    Words without a bit are dropped without a branch: the processor would often guess wrong whether one of 64 keys
    exceeds. Four runs of words are read in turn, so that more of memory is on its way at once. Indices are unsigned:
    numba checks signed ones for counting from the end.

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
    count, room = np.uint64(0), np.uint64(found.size - LANES)
    words, starts = np.empty(4 * _BATCH, np.uint64), np.empty(4 * _BATCH, np.uint64)
    ends = np.empty(4, np.uint64)
    whole = keys.size - keys.size % (4 * LANES)
    # First four runs of up to 64 words of comparisons, then the bits of those words that have any.
    first = 0
    while first < whole:
        run = min(_BATCH * LANES, (whole - first) // (4 * LANES) * LANES)
        a, b, c, d = np.uint64(0), np.uint64(_BATCH), np.uint64(2 * _BATCH), np.uint64(3 * _BATCH)
        for start in range(first, first + run, LANES):
            a = _note(keys, start, mask, floor, words, starts, a)
            b = _note(keys, start + run, mask, floor, words, starts, b)
            c = _note(keys, start + 2 * run, mask, floor, words, starts, c)
            d = _note(keys, start + 3 * run, mask, floor, words, starts, d)
        ends[0], ends[1], ends[2], ends[3] = a, b, c, d
        for i in range(4):
            for j in range(np.uint64(i * _BATCH), ends[i]):
                left, start = words[j], starts[j]
                # One word may add 64 places: that much room is behind `capacity`.
                if count > room:
                    return -1
                while left != 0:
                    place = start + np.uint64(lowest_bit(left))
                    found[count], magnitudes[count] = place, keys[place] & mask
                    count += np.uint64(1)
                    left &= left - np.uint64(1)
        first += 4 * run
    # The last keys, one by one: each is written and counts if it exceeds.
    for place in range(whole, keys.size):
        if count > room:
            return -1
        found[count], magnitudes[count] = place, keys[place] & mask
        count += np.uint64(magnitudes[count] > floor)
    return -1 if count > room else np.int64(count)


@kernel
def _ranked(keys: Any, k: int) -> Any:
    """Return the k-th largest key, how many of the k largest equal it, and how many of all do.

    Cut the range of the keys into 512 equal parts, count the keys in each, and go on with those of the part that holds
    the wanted one. Ties and repeated keys cost nothing extra.
    """
    pool, rank = keys, k
    while True:
        low = high = pool[0]
        for i in range(pool.size):  # with min() and max() it would not become vector code
            low = pool[i] if pool[i] < low else low
            high = pool[i] if pool[i] > high else high
        # Parts of 2^shift numbers, so that a shift finds a key's part.
        first, shift = np.int64(low), 0
        while (np.int64(high) - first) >> shift >= PARTS:
            shift += 1
        counts = np.zeros(PARTS, np.int64)
        for i in range(pool.size):
            counts[np.uint64((np.int64(pool[i]) - first) >> shift)] += 1
        # From the top part down, until the rank is reached.
        part = (np.int64(high) - first) >> shift
        while counts[part] < rank:
            rank -= counts[part]
            part -= 1
        # Parts of one number each: found. Otherwise go on inside the part.
        if shift == 0:
            return first + part, rank, counts[part]
        inside, size = np.empty(counts[part], keys.dtype), np.uint64(0)
        for i in range(pool.size):
            if (np.int64(pool[i]) - first) >> shift == part:
                inside[size] = pool[i]
                size += np.uint64(1)
        pool = inside


@kernel
def kth_largest(keys: Any, k: int) -> Any:
    """Return the k-th largest key.

    Parameters
    ----------
    keys
        uint32 or uint64 without their top bit, shape (n,), C-contiguous.
    k
        1 to n.
    """
    return _ranked(keys, k)[0]


@kernel
def sampled(keys: Any, places: Any, mask: Any, rank: int) -> Any:
    """Return the magnitude of that rank among the nonzeros at `places`; 1, the smallest of all, if they are too few.

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
    # A zero is written like any other and does not count, without a branch.
    sample, size = np.empty(places.size, keys.dtype), np.uint64(0)
    for i in range(places.size):
        magnitude = keys[np.uint64(places[i])] & mask
        sample[size] = magnitude
        size += np.uint64(magnitude != 0)
    return kth_largest(sample[:size], rank) if rank < size else 1


@kernel
def choose(found: Any, magnitudes: Any, chosen: Any) -> None:
    """Fill `chosen` with the places of the largest magnitudes, in the order of `found`, ties to the first of them.

    Parameters
    ----------
    found, magnitudes
        As `collect` fills them.
    chosen
        int64, shape (k,), k from 1 to as many as were found.
    """
    # Of those equal to the k-th largest only the first `ties` are chosen: up to which candidate that is.
    kth, ties, equal = _ranked(magnitudes, chosen.size)
    with_ties = magnitudes.size
    if ties < equal:
        with_ties = 0
        while ties > 0:
            ties -= int(np.int64(magnitudes[with_ties]) == kth)
            with_ties += 1
    # Up to there equal ones are chosen, behind it only greater ones. No branch depends on the data: the processor would
    # guess wrong for every third candidate.
    size, most, i = np.uint64(0), np.uint64(chosen.size), np.uint64(0)
    while size < most and i < np.uint64(with_ties):
        chosen[size] = found[i]
        size += np.uint64(np.int64(magnitudes[i]) >= kth)
        i += np.uint64(1)
    while size < most:
        chosen[size] = found[i]
        size += np.uint64(np.int64(magnitudes[i]) > kth)
        i += np.uint64(1)


@kernel
def top_k(keys: Any, places: Any, mask: Any, rank: int, capacity: int, chosen: Any) -> Any:
    """Run `sampled`, `collect` and `choose` one after the other.

    Parameters
    ----------
    keys, places, mask, rank
        See `sampled`.
    capacity
        How many keys may reach the sample's threshold; the smallest there is may be reached by all.
    chosen
        int64, shape (k,), k >= 1, filled here.

    Returns
    -------
    How many are chosen, k or all that are not zero; -1 where the sample misled: the threshold is reached by fewer
    than k or by more than `capacity`.
    """
    # A threshold of 1 lets all nonzeros through: room for all of them.
    threshold = sampled(keys, places, mask, rank)
    room = LANES + (keys.size if threshold == 1 else capacity)
    found, magnitudes = np.empty(room, np.int64), np.empty(room, keys.dtype)
    magnitudes[0] = threshold - 1  # of the keys' type now
    count = collect(keys, mask, magnitudes[0], found, magnitudes)
    # Too many or too few: the caller tries again with another rank.
    if count < 0 or (count < chosen.size and threshold > 1):
        return -1
    if count <= chosen.size:
        for i in range(count):  # an assignment of arrays would compile numba's messages about their shapes, too
            chosen[i] = found[i]
        return count
    choose(found[:count], magnitudes[:count], chosen)
    return chosen.size
