"""Packing and unpacking for `algorithms.coding.bits`, compiled: the same bits as its numpy paths.

All three loops fill or read whole 64-bit words, the first bit of the stream in the lowest bit of the first word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.compiling import kernel


@kernel
def pack(values: Any, width: int, head: int, head_bit: int, out: Any) -> Any:
    """Write `head_bit` bits of `head`, then `width` bits of each value, into the words of `out`.

    Parameters
    ----------
    values
        uint64, shape (n,).
    width
        1 to 64.
    head, head_bit
        A number and how many of its bits count, fewer than 8.
    out
        uint64, shape (ceil((head_bit + n * width) / 64),).

    Returns
    -------
    All values or-ed. If it has a bit beyond `width`, then one of the values has, and the words are wrong: checking once
    at the end costs less than checking each value.
    """
    # `word` gathers bits until 64 are used; then it is stored, and the rest of the value begins the next one.
    word, used, place, seen = np.uint64(head), head_bit, 0, np.uint64(0)
    for i in range(values.size):
        value = values[i]
        seen |= value
        word |= value << np.uint64(used)
        used += width
        if used >= 64:
            out[place] = word
            place += 1
            used -= 64
            # A shift by 64 is undefined, so that a value that ends with its word leaves 0 by a branch.
            word = value >> np.uint64(width - used) if used > 0 else np.uint64(0)
    if used > 0:
        out[place] = word
    return seen


@kernel
def pack_codes(codes: Any, lengths: Any, head: Any, head_bit: int, out: Any) -> None:
    """Write `head_bit` bits of `head`, then each codeword, into the words of `out`.

    Parameters
    ----------
    codes, lengths
        uint64 and int64, shape (n,): codewords and their bits, 0 to 64.
    head, head_bit
        uint64 and how many of its bits count, fewer than 8.
    out
        uint64, shape (ceil((head_bit + sum of lengths) / 64),).
    """
    # As in `pack`, with a width of its own for each codeword.
    word, used, place = head, head_bit, 0
    for i in range(codes.size):
        code, length = codes[i], lengths[i]
        word |= code << np.uint64(used)
        used += length
        if used >= 64:
            out[place] = word
            place += 1
            used -= 64
            word = code >> np.uint64(length - used) if used > 0 else np.uint64(0)
    if used > 0:
        out[place] = word


@kernel
def unpack(words: Any, start_bit: int, width: int, values: Any) -> None:
    """Read `width` bits for each of `values`, from bit `start_bit` of `words` on.

    Parameters
    ----------
    words
        uint64, with at least one word beyond the last one that is needed.
    start_bit
        0 or more.
    width
        1 to 64.
    values
        uint64, shape (n,), filled here.
    """
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - width)
    position = start_bit
    for i in range(values.size):
        # A value lies in one word or across two. The upper part is shifted in two steps: where `shift` is 0, it must
        # vanish, and one step would have to shift by 64.
        place, shift = position >> 6, np.uint64(position & 63)
        low = words[place] >> shift
        high = words[place + 1] << (np.uint64(63) - shift) << np.uint64(1)
        values[i] = (low | high) & mask
        position += width
