"""Prefix codes of `algorithms.coding.prefix`, compiled: the same bits as its numpy paths.

The first bit of a codeword is the lowest bit of a word, so that numbers whose most significant bit comes first in the
stream stand in words with their bits in reverse order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.coding.kernels.select import lowest_bit
from netsim.compiling import kernel


@kernel
def omega_codes(values: Any, codes: Any, lengths: Any) -> None:
    """Encode each value in Elias omega: its codeword, first bit lowest, and the codeword's bits.

    Parameters
    ----------
    values
        uint64, shape (n,), 1 to 2**32 - 1.
    codes, lengths
        uint64 and int64, shape (n,), filled here.
    """
    for i in range(values.size):
        # From the back: the closing 0, the value itself, its number of bits less 1, that one's, and so on down to 1.
        code, length, group = np.uint64(0), 1, values[i]
        while group > np.uint64(1):
            # Bits of the group in reverse order, and how many there are.
            width, flipped, left = 0, np.uint64(0), group
            while left != np.uint64(0):
                flipped = (flipped << np.uint64(1)) | (left & np.uint64(1))
                left >>= np.uint64(1)
                width += 1
            code = (code << np.uint64(width)) | flipped
            length += width
            group = np.uint64(width - 1)
        codes[i], lengths[i] = code, length


@kernel
def read_omega(words: Any, start_bit: Any, values: Any) -> Any:
    """Decode one codeword of Elias omega after the other, and return how many bits they take.

    If a codeword stands for no number below 2**32, or begins beyond the words, its value and all later ones are 0.

    Parameters
    ----------
    words
        uint64, with a word of zeros beyond the last one that holds anything.
    start_bit
        Of the first codeword.
    values
        uint64, shape (n,), filled here.
    """
    position = start_bit
    for i in range(values.size):
        if (position >> 6) + 1 >= words.size:
            values[i:] = 0
            return position - start_bit
        # The next 64 bits; the codeword of a number below 2**32 takes fewer.
        shift = np.uint64(position & 63)
        window = (words[position >> 6] >> shift) | (
            words[(position >> 6) + 1] << (np.uint64(63) - shift) << np.uint64(1)
        )
        value = np.uint64(1)
        # A group begins with a 1 and has one bit more than the group before it says; a 0 ends the codeword.
        while window & np.uint64(1):
            width = np.int64(value) + 1
            if width > 32:
                values[i:] = 0
                return position - start_bit
            group = np.uint64(0)
            for _ in range(width):
                group = (group << np.uint64(1)) | (window & np.uint64(1))
                window >>= np.uint64(1)
            value = group
            position += width
        position += 1
        values[i] = value
    return position - start_bit


@kernel
def unary(values: Any, words: Any) -> None:
    """Encode each value k as k - 1 ones and a zero.

    Parameters
    ----------
    values
        uint64, shape (n,), 1 or more.
    words
        uint64, shape (ceil(sum / 64),), filled here.
    """
    run = np.uint64(0xFFFFFFFF)
    word, used, place = np.uint64(0), 0, 0
    for i in range(values.size):
        left = int(values[i])
        while left > 0:
            # A long one is written as runs of 32 ones and a rest that ends with the zero.
            width = 32 if left > 63 else left
            code = run if left > 63 else (np.uint64(1) << np.uint64(left - 1)) - np.uint64(1)
            word |= code << np.uint64(used)
            used += width
            if used >= 64:
                words[place] = word
                place += 1
                used -= 64
                word = code >> np.uint64(width - used) if used > 0 else np.uint64(0)
            left -= width
    if used > 0:
        words[place] = word


@kernel
def read_unary(words: Any, start_bit: Any, stop_bit: Any, values: Any) -> Any:
    """Decode numbers written by `unary`, and return how many bits they take; -1 if they go beyond `stop_bit`.

    Parameters
    ----------
    words
        uint64, shape (ceil(stop_bit / 64),) or more.
    start_bit, stop_bit
        The first bit of the first number, and the first bit behind all numbers; start_bit < stop_bit.
    values
        uint64, shape (n,), filled here.
    """
    # Numbers end at zeros: bits of `zeros` are the zeros of a word that have not been taken yet.
    before, place = start_bit - 1, start_bit >> 6
    zeros = ~words[place] & (np.uint64(0xFFFFFFFFFFFFFFFF) << np.uint64(start_bit & 63))
    for i in range(values.size):
        # A number's end may lie words ahead.
        while zeros == np.uint64(0):
            place += 1
            if place << 6 >= stop_bit:
                return -1
            zeros = ~words[place]
        end = (place << 6) + lowest_bit(zeros)
        if end >= stop_bit:
            return -1
        values[i] = np.uint64(end - before)
        before = end
        zeros &= zeros - np.uint64(1)
    return before + 1 - start_bit


@kernel
def read_truncated(words: Any, start_bit: Any, m: int, values: Any) -> Any:
    """Decode numbers below m in truncated binary, and return how many bits they take; -1 if beyond the words.

    Parameters
    ----------
    words
        uint64.
    start_bit
        Of the first number.
    m
        2 or more.
    values
        uint64, shape (n,), filled here.
    """
    # The first `cut` numbers have one bit less than the others.
    width = 0
    while (m - 1) >> width > 0:
        width += 1
    cut = (1 << width) - m
    position, stop = start_bit, words.size << 6
    for i in range(values.size):
        if position + width > stop:
            return -1
        # The most significant bit comes first.
        number = 0
        for j in range(width - 1):
            at = position + j
            number = 2 * number + int((words[at >> 6] >> np.uint64(at & 63)) & np.uint64(1))
        position += width - 1
        if number >= cut:
            bit = int((words[position >> 6] >> np.uint64(position & 63)) & np.uint64(1))
            number = 2 * number + bit - cut
            position += 1
        values[i] = np.uint64(number)
    return position - start_bit
