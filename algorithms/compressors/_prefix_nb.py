"""Compiled twins of the array paths in `_prefix`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def omega_codes(values: Any, codes: Any, lengths: Any) -> None:
    """Elias omega of each value: its codeword, first bit lowest, and its bits.

    Parameters
    ----------
    values
        uint64, shape (n,), 1 to 2**32 - 1.
    codes, lengths
        uint64 and int64, shape (n,), filled here.
    """
    for i in range(values.size):
        code, length, group = np.uint64(0), 1, values[i]
        while group > np.uint64(1):
            width, flipped, left = 0, np.uint64(0), group
            while left != np.uint64(0):
                flipped = (flipped << np.uint64(1)) | (left & np.uint64(1))
                left >>= np.uint64(1)
                width += 1
            code = (code << np.uint64(width)) | flipped
            length += width
            group = np.uint64(width - 1)
        codes[i], lengths[i] = code, length


@njit(cache=True)
def read_omega(words: Any, start_bit: Any, values: Any) -> Any:
    """Decode one codeword after the other; the bits that they take.

    Where a codeword is none of a number below 2**32, or begins beyond the words, its value and all later ones are 0.

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
        shift = np.uint64(position & 63)
        window = (words[position >> 6] >> shift) | (
            words[(position >> 6) + 1] << (np.uint64(63) - shift) << np.uint64(1)
        )
        value = np.uint64(1)
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
