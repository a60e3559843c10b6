"""Backoff draws that depend on transfer and frame alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from channels._lrwpan import BACKOFFS
from netsim.rng import philox

_MASK = 0xFFFFFFFF
_FEW = 16


def backoffs(key: int, transfer: int, frames: int) -> npt.NDArray[np.int64]:
    """Backoff periods of a transfer's frames, uniform on {0..7}: the low bits of word 0 of Philox.

    Parameters
    ----------
    key
        64-bit key of the medium.
    transfer
        Upper half of the counter; the frame number is the lower half.
    frames
        How many.

    Examples
    --------
    >>> bool((backoffs(5, 3, 40)[:4] == backoffs(5, 3, 4)).all())
    True
    """
    if frames > _FEW:
        words = philox(key, transfer, np.arange(frames, dtype=np.uint64))[:, 0]
        return (words & np.uint32(BACKOFFS - 1)).astype(np.int64)
    return np.array([_word(key, transfer, frame) & (BACKOFFS - 1) for frame in range(frames)], np.int64)


def _word(key: int, high: int, low: int) -> int:
    """Word 0 of `netsim.rng.philox` for one counter; numpy would take a tenth of a millisecond."""
    c0, c1, c2, c3 = low & _MASK, low >> 32, high & _MASK, high >> 32
    k0, k1 = key & _MASK, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0
