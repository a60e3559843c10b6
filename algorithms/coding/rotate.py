"""The randomised Hadamard rotation: signs, then a fast Walsh-Hadamard transform; numpy for short vectors."""

from __future__ import annotations

import math

import numpy as np

from algorithms.coding import kernels
from algorithms.coding.draws import four_words
from netsim.compiling import IS_ON
from netsim.interfaces import Array, Key

COMPILED_FROM = 8192  # entries after padding
_BLOCK = 65536  # signs that are unpacked at once
_SIGNS = 128  # signs of one Philox block


def padded(dim: int) -> int:
    """Return the smallest power of two that is `dim` or more."""
    return 1 << (dim - 1).bit_length()


def rotate(x: Array, key: Key) -> Array:
    """Return H diag(s) x / sqrt(D), float64, shape (D,): x padded with zeros, s random signs, H of +1 and -1.

    An orthogonal map of the padded vector. Sums and differences are taken in the same order everywhere, stage by stage
    from neighbours to halves, so that the bits do not depend on the machine.

    Parameters
    ----------
    x
        Shape (d,), finite.
    key
        Sign i is bit i mod 128 of the four words of counter i // 128; 1 is minus.
    """
    y = np.zeros(padded(x.size))
    y[: x.size] = x
    _flip(y, key)
    return _transform(y)


def rotate_back(y: Array, dim: int, key: Key) -> Array:
    """Return the first `dim` entries of the vector that `rotate` maps to `y`; `y` is used up."""
    _transform(y)
    _flip(y, key)
    y += 0.0  # no minus zero
    return y[:dim]


def _flip(y: Array, key: Key) -> None:
    """Multiply y_i by s_i in place, by the numbers' sign bits."""
    counters = np.arange(-(-y.size // _SIGNS), dtype=np.uint64)
    octets = np.ascontiguousarray(four_words(key, counters)).astype("<u4", copy=False).view(np.uint8)
    numbers = y.view(np.uint64)
    for start in range(0, y.size, _BLOCK):
        block = numbers[start : start + _BLOCK]
        minus = np.unpackbits(octets.ravel()[start >> 3 :], count=block.size, bitorder="little")
        block ^= minus.astype(np.uint64) << np.uint64(63)


def _transform(y: Array) -> Array:
    """Return H y / sqrt(D) in place; sums in units of a power of two near the largest entry cannot overflow."""
    peak = max(float(y.max()), -float(y.min()))
    if peak == 0:
        return y
    exponent = math.frexp(peak)[1]
    _scale(y, -exponent)
    if IS_ON and y.size >= COMPILED_FROM:
        kernels.rotate.walsh_hadamard(y, np.empty((y.size // kernels.rotate.ROW, kernels.rotate.TILE)))
    else:
        half = 1
        while half < y.size:
            pairs = y.reshape(-1, 2, half)
            sums = pairs[:, 0] + pairs[:, 1]
            np.subtract(pairs[:, 0], pairs[:, 1], out=pairs[:, 1])
            pairs[:, 0] = sums
            half *= 2
    with np.errstate(over="ignore", under="ignore"):  # whoever uses it refuses what is not finite
        y *= 1 / math.sqrt(y.size)
        _scale(y, exponent)
    return y


def _scale(y: Array, exponent: int) -> None:
    """Multiply y by 2**exponent in place; twice by half of it, as 2**exponent itself may be no float64."""
    if abs(exponent) < 1000:
        y *= 2.0**exponent
    else:
        y *= 2.0 ** (exponent // 2)
        y *= 2.0 ** (exponent - exponent // 2)
