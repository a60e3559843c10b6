"""Backoff draws that depend on transfer and frame alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from channels.media.lrwpan.timing import BACKOFFS
from netsim.rng import philox

_MASK = 0xFFFFFFFF
_WORDS = 4
_FEW_BLOCKS = 16


def backoffs(key: int, transfer: int, frames: int) -> npt.NDArray[np.int64]:
    """Return the backoff periods of a transfer's frames, uniform on {0..7}: the low bits of Philox words.

    Frame f takes word f mod 4 of the counter (transfer, f div 4).

    Parameters
    ----------
    key
        64-bit key of the medium.
    transfer
        Upper half of the counter.
    frames
        How many.

    Examples
    --------
    >>> bool((backoffs(5, 3, 400)[:9] == backoffs(5, 3, 9)).all())
    True
    """
    blocks = -(-frames // _WORDS)
    if blocks > _FEW_BLOCKS:
        many = philox(key, transfer, np.arange(blocks, dtype=np.uint64)).ravel()[:frames]
        return (many & np.uint32(BACKOFFS - 1)).astype(np.int64)
    drawn = [word for block in range(blocks) for word in words(key, transfer, block)]
    return np.array(drawn[:frames], np.int64) & (BACKOFFS - 1)


def words(key: int, high: int, low: int) -> tuple[int, int, int, int]:
    """Return what `netsim.rng.philox` gives for one counter; numpy would take a tenth of a millisecond."""
    c0, c1, c2, c3 = low & _MASK, low >> 32, high & _MASK, high >> 32
    k0, k1 = key & _MASK, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3
