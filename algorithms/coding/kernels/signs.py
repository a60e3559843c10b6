"""Signs for `algorithms.coding.signs`, compiled: 64 to a word and back as quickly as memory allows; sums by lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from algorithms.coding.kernels.select import LANES, reaching
from netsim.compiling import kernel

CACHE_LINE_BYTES = 64

_I32 = ir.IntType(32)
_FIRST = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)


def _spread(context: Any, builder: Any, kind: Any, arguments: Any, *, streamed: bool) -> Any:
    """Build keys[start + j] = `minus` where bit j of a word is set, else `plus`: the reverse of `reaching`."""
    # 64 lanes of both values, of which the word's bits choose; LLVM cuts them to the processor's vectors.
    bits, array, first, *scalars = arguments
    vector = ir.VectorType(context.get_data_type(kind.dtype), LANES)
    blank = ir.Constant(vector, ir.Undefined)
    lane0 = (builder.insert_element(blank, scalar, _I32(0)) for scalar in scalars)
    plusses, minusses = (builder.shuffle_vector(one, blank, _FIRST) for one in lane0)
    chosen = builder.select(builder.bitcast(bits, ir.VectorType(ir.IntType(1), LANES)), minusses, plusses)
    place = builder.gep(context.make_array(kind)(context, builder, array).data, [first])
    stored = builder.store(chosen, builder.bitcast(place, vector.as_pointer()))
    stored.align = CACHE_LINE_BYTES if streamed else kind.dtype.bitwidth // 8
    # A store that is marked so goes to memory past the caches.
    if streamed:
        stored.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))
    return context.get_dummy_value()


def _signature(keys: Any) -> Any:
    return types.void(types.uint64, keys, types.intp, keys.dtype, keys.dtype)


@intrinsic
def _spread_cached(typing_context: Any, word: Any, keys: Any, start: Any, plus: Any, minus: Any) -> Any:
    """Store through the caches."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(context, builder, signature.args[1], arguments, streamed=False)

    return _signature(keys), build


@intrinsic
def _spread_streamed(typing_context: Any, word: Any, keys: Any, start: Any, plus: Any, minus: Any) -> Any:
    """Store past the caches, which need not read what is overwritten; `start` must be on a cache line."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(context, builder, signature.args[1], arguments, streamed=True)

    return _signature(keys), build


spread: Any = _spread_cached
spread_streamed: Any = _spread_streamed


@kernel
def pack(keys: Any, every: Any, negative: Any, words: Any) -> None:
    """Set bit j of words[i] where keys[64 i + j] are the bits of a number below 0.

    Parameters
    ----------
    keys
        uint32 or uint64, the bits of floats, shape (n,).
    every, negative
        Scalars of the same type: all ones, and the bits of the negative number nearest to 0.
    words
        uint64, shape (ceil(n / 64),), filled here.
    """
    # As an unsigned integer a negative number is at least `negative`: -0.0 is below it and counts as positive.
    whole = keys.size // LANES
    for i in range(whole):
        words[i] = reaching(keys, i * LANES, every, negative)
    if whole < words.size:
        word = np.uint64(0)
        for j in range(keys.size - whole * LANES):
            word |= np.uint64(keys[whole * LANES + j] >= negative) << np.uint64(j)
        words[whole] = word


@kernel
def unpack(words: Any, plus: Any, minus: Any, keys: Any) -> None:
    """Set keys[64 i + j] to `minus` where bit j of words[i] is set, else to `plus`.

    Parameters
    ----------
    words
        uint64.
    plus, minus
        Scalars of the type of `keys`, the bits of two numbers.
    keys
        uint32 or uint64, shape (n,), n >= 64 * words.size, filled here.
    """
    for i in range(words.size):
        spread(words[i], keys, i * LANES, plus, minus)


@kernel
def unpack_streamed(words: Any, plus: Any, minus: Any, keys: Any, skip: int) -> None:
    """Do what `unpack` does for vectors that no cache holds: in half the time there, in twice the time elsewhere.

    Parameters
    ----------
    skip
        keys[skip] is the first on a cache line; 0 to 63.
    """
    # Whole cache lines begin at `skip`. The keys before it come from the first word; each 64 behind it take the upper
    # bits of one word and the lower bits of the next.
    low, high = np.uint64(skip), np.uint64(63 - skip)
    last = words.size - 1
    for j in range(skip):
        keys[j] = minus if (words[0] >> np.uint64(j)) & np.uint64(1) else plus
    for i in range(last):
        word = (words[i] >> low) | ((words[i + 1] << high) << np.uint64(1))
        spread_streamed(word, keys, i * LANES + skip, plus, minus)
    # The rest of the last word.
    for j in range(skip, LANES):
        keys[last * LANES + j] = minus if (words[last] >> np.uint64(j)) & np.uint64(1) else plus


@kernel
def part_sums(x: Any, plus: Any, minus: Any, negative: Any) -> None:
    """Add up entries that are 0 or more, the magnitudes of the others, and their number, entry i in lane i mod p.

    Parameters
    ----------
    x
        float32 or float64, shape (d,).
    plus, minus, negative
        float64, shape (p,), added to here.
    """
    # The sign is a factor of 0 or 1: with a branch the loop would not become vector code.
    period = plus.size
    whole = x.size - x.size % period
    for start in range(0, whole, period):
        for j in range(period):
            value = np.float64(x[start + j])
            below = np.float64(value < 0)
            plus[j] += value * (1.0 - below)
            minus[j] -= value * below
            negative[j] += below
    # The last entries, fewer than p, go to the first lanes.
    for i in range(whole, x.size):
        value = np.float64(x[i])
        below = np.float64(value < 0)
        plus[i - whole] += value * (1.0 - below)
        minus[i - whole] -= value * below
        negative[i - whole] += below
