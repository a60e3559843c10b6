"""Philox4x32-10, compiled; equal to `netsim.rng.philox`, word for word.

A counter of 128 bits is `counter_high` and `counter_low`; ten rounds of multiplying and mixing with the key make four
words of 32 bits of it. `words` and `uniforms` take any counters; `dense_block` and `dense_words` take counters that
follow each other, in vectors of eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from netsim.compiling import inlined, kernel

_AT_ONCE = 8  # counters of `dense_block` whose rounds are interleaved: a round waits for its products
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_LONGS = ir.VectorType(_I64, _AT_ONCE)
_ORDER = (0, 1, 4, 5, 2, 3, 6, 7)  # of counters in lanes: their words are narrowed to 32 bits within halves of vectors


@inlined
def _rounds(low: Any, high: Any, key: Any) -> Any:
    """Return the four words of one counter, each in the lower half of a uint64."""
    # All is uint64, which holds the product of two words; masks cut back to 32 bits, to which numba would not.
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0, c1, c2, c3 = low & mask, low >> half, high & mask, high >> half
    k0, k1 = key & mask, key >> half
    # A round multiplies words 0 and 2, mixes the upper halves of the products with the other words and the key, and
    # keeps the lower halves; the key moves on by constants.
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> half) ^ c1 ^ k0, (p0 >> half) ^ c3 ^ k1
        c1, c3 = p1 & mask, p0 & mask
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return c0, c1, c2, c3


@kernel
def words(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Fill in four 32-bit words for each counter.

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


@kernel
def uniforms(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Fill in one number in [0, 1) of 53 bits for each counter, from words 0 and 1; `out` is float64, shape (n,)."""
    for i in range(counter_low.size):
        c0, c1, _, _ = _rounds(counter_low[i], counter_high, key)
        # 32 bits of word 0 and the upper 21 of word 1: both products and their sum are exact.
        out[i] = np.float64(c0) * 2.0**-32 + np.float64(c1 >> np.uint64(11)) * 2.0**-53


@intrinsic
def _dense_words8(typing_context: Any, key: Any, counter_high: Any, counter_low: Any, out: Any, j: Any) -> Any:
    """Write word w of the counters counter_low + j .. + 7 to out[256 w + j ..], in LLVM's vectors; as in `_rounds`.

    A lane of 64 bits holds a word of 32 in its lower half. What the upper half holds does not matter: `_product` masks
    it away before it multiplies.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        key, high, low, out_of, first = arguments
        b = builder
        mask, half = _I64(0xFFFFFFFF), _I64(32)
        # Eight counters in the order of the lanes; words 1 to 3 of the counter are the same in all.
        c0 = b.add(_all(b, b.add(low, first), _LONGS), ir.Constant(_LONGS, _ORDER))
        # A block begins at a multiple of 256 counters: the upper half is the same for all.
        c1, c2, c3 = (_all(b, word, _LONGS) for word in (b.lshr(low, half), high, b.lshr(high, half)))
        k0, k1 = b.and_(key, mask), b.lshr(key, half)
        # Nine rounds in lanes of 64 bits.
        for _ in range(9):
            p0, p1 = _product(b, c0, 0xD2511F53), _product(b, c2, 0xCD9E8D57)
            c0 = b.xor(b.lshr(p1, _constant(32)), b.xor(c1, _all(b, k0, _LONGS)))
            c2 = b.xor(b.lshr(p0, _constant(32)), b.xor(c3, _all(b, k1, _LONGS)))
            c1, c3 = p1, p0
            k0, k1 = b.and_(b.add(k0, _I64(0x9E3779B9)), mask), b.and_(b.add(k1, _I64(0xBB67AE85)), mask)
        # The tenth narrows to 32 bits on the way: it mixes halves that `_halves` takes out in the counters' order.
        p0, p1 = _product(b, c0, 0xD2511F53), _product(b, c2, 0xCD9E8D57)
        words = ir.VectorType(_I32, _AT_ONCE)
        key0, key1 = (_all(b, b.trunc(word, _I32), words) for word in (k0, k1))
        c0 = b.xor(b.xor(_halves(b, p1, 1), _halves(b, c1, 0)), key0)
        c2 = b.xor(b.xor(_halves(b, p0, 1), _halves(b, c3, 0)), key1)
        data = context.make_array(signature.args[3])(context, b, out_of).data
        for w, word in enumerate((c0, _halves(b, p1, 0), c2, _halves(b, p0, 0))):
            place = b.gep(data, [b.add(first, _I64(256 * w))])
            b.store(word, b.bitcast(place, words.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64, out, types.intp), build


def _constant(value: int) -> Any:
    """Return the vector with this number in each lane."""
    return ir.Constant(_LONGS, [value] * _AT_ONCE)


def _all(builder: Any, scalar: Any, kind: Any) -> Any:
    """Return a vector of that type that holds the scalar in each lane."""
    blank = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(blank, scalar, _I32(0))
    return builder.shuffle_vector(first, blank, ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count))


def _product(builder: Any, words: Any, factor: int) -> Any:
    """Multiply the lower halves of the lanes by a constant of 32 bits; the products take all 64."""
    return builder.mul(builder.and_(words, _constant(0xFFFFFFFF)), _constant(factor))


def _halves(builder: Any, words: Any, upper: int) -> Any:
    """Return the lower or the upper 32 bits of each lane, in the order of the counters; lower bits come first."""
    narrow = builder.bitcast(words, ir.VectorType(_I32, 2 * _AT_ONCE))
    places = [2 * lane + upper for lane in _ORDER]  # the order is its own inverse
    return builder.shuffle_vector(narrow, narrow, ir.Constant(ir.VectorType(_I32, _AT_ONCE), places))


# A call has no typing context: to the type checker, too, it is what the compiler sees.
dense_words8: Any = _dense_words8


@kernel
def dense_block(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Fill in four words of each of 256 counters, from `counter_low` on: word w of counter j stands at 256 w + j.

    Parameters
    ----------
    key, counter_high, counter_low
        uint64 scalars; the last is a multiple of 256.
    out
        uint32, shape (1024,), filled here.
    """
    for j in range(0, 256, _AT_ONCE):
        dense_words8(key, counter_high, counter_low, out, j)


@kernel
def dense_words(key: Any, counter_high: Any, counter_low: Any, out: Any) -> None:
    """Fill in whole blocks of `dense_block`, one after the other; `out` has shape (1024 n,)."""
    # A block of 256 counters makes 1024 words.
    for block in range(out.size >> 10):
        dense_block(key, counter_high, counter_low + np.uint64(block << 8), out[1024 * block : 1024 * (block + 1)])
