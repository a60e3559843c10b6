"""bfloat16: the upper half of a float32, rounded to nearest with ties to even, from float32 or float64 directly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Array

LARGEST = float(np.uint32(0x7F7F0000).view(np.float32))  # (2 - 2**-7) 2**127

_ONE = np.uint32(1)


def to_bfloat16(x: Array) -> npt.NDArray[np.uint16]:
    """Return the 16 bits of each number; those of infinity where it is half a unit or more above the largest.

    Examples
    --------
    >>> [f"{word:04x}" for word in to_bfloat16(np.array([1.0, -2.0, 1 + 2**-8, 1 + 3 * 2**-8]))]
    ['3f80', 'c000', '3f80', '3f82']
    """
    with np.errstate(over="ignore", under="ignore"):
        single = x.astype(np.float32)
    bits = single.view(np.uint32).copy()
    if x.dtype != np.float32:
        # Rounding twice is right where the first is towards zero and keeps in the last bit that it was inexact.
        back = single.astype(np.float64)
        bits -= np.abs(back) > np.abs(x)
        bits |= back != x
    upper = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & _ONE)) >> np.uint32(16)
    return upper.astype(np.uint16)


def from_bfloat16(words: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Return the numbers of these bits, exactly."""
    return (words.astype(np.uint32) << np.uint32(16)).view(np.float32)
