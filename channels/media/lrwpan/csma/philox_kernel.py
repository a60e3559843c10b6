"""Counter-based random words: Philox4x32-10 for one counter, compiled."""

# mypy: disable-error-code="no-untyped-def, assignment"

from __future__ import annotations

import numpy as np

from channels.media.lrwpan.csma.compiling import inner

_MASK = np.uint64(0xFFFFFFFF)


@inner
def words(key, high, low):
    """Return the four words of `netsim.rng.philox` for one counter, each in the lower half of a uint64."""
    # All is uint64, which holds the product of two words of 32 bits; masks cut back to 32.
    c0, c1 = low & _MASK, low >> np.uint64(32)
    c2, c3 = high & _MASK, high >> np.uint64(32)
    k0, k1 = key & _MASK, key >> np.uint64(32)
    # A round multiplies words 0 and 2, mixes the upper halves with the other words and the key, keeps the lower ones.
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ k0, (p0 >> np.uint64(32)) ^ c3 ^ k1
        c1, c3 = p1 & _MASK, p0 & _MASK
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK, (k1 + np.uint64(0xBB67AE85)) & _MASK
    return c0, c1, c2, c3
